import type { JobRequest } from '@xva/contracts';
import { silentLogger } from '@xva/runtime';
import { samplePackage, type SamplePackageOptions } from '@xva/testkit';
import {
  acceptRun,
  cancelRun,
  ManifestCache,
  progressOf,
  reconcileRun,
  retryRun,
  unlimited,
  type AcceptOutcome,
  type StoredRun,
  type SubmitDeps,
} from '../src/index.ts';
import { policy, World, type Exit } from './world.ts';

let world: World;
let deps: SubmitDeps;

beforeEach(() => {
  world = new World();
  deps = {
    runs: world.runs,
    batch: world.batch,
    work: world.work,
    ledger: world.ledger,
    manifests: new ManifestCache(world.work.objects),
    clock: { now: () => world.date, sleep: () => Promise.resolve() },
    policy,
    logger: silentLogger,
  };
});

async function accept(request: JobRequest, isBusy = () => false): Promise<AcceptOutcome> {
  const submission = { request, submittedBy: 'test', traceparent: null };
  return acceptRun(submission, { ...deps, limits: policy, isBusy });
}

function runOf(accepted: AcceptOutcome): StoredRun {
  if (accepted.outcome === 'busy') throw new Error('busy');
  return accepted.run;
}

async function post(options: Partial<SamplePackageOptions> = {}): Promise<string> {
  const costNanos = [6e7, 6e7, 6e7];
  const sample = samplePackage({ name: 'unit', nettingSets: 3, samples: 1000, gridDates: 10, costNanos, ...options });
  world.upload(sample);
  return runOf(await accept(sample.request)).record.runId;
}

const pass = (runId: string, admit = true) =>
  reconcileRun(runId, deps, {
    deep: true,
    ...(admit ? {} : { capacity: { ...unlimited(world.batch), room: () => Promise.resolve(0) } }),
  });

/** Passes and task executions in turn until nothing is open. */
async function finish(runId: string): Promise<void> {
  for (let turn = 0; turn < 50; turn += 1) {
    if ((await pass(runId)).kind === 'over') return;
    world.now += 60_000;
    for (const task of world.runnable()) world.execute(task);
  }
  throw new Error(`still ${world.record(runId).state}`);
}

describe('accepting', () => {
  it('makes one run of one request, however often it comes', async () => {
    const sample = samplePackage({ name: 'once', nettingSets: 2 });
    world.upload(sample);
    expect((await accept(sample.request)).outcome).toBe('created');
    expect((await accept({ ...sample.request, priority: 5 })).outcome).toBe('exists');
    expect(world.records.size).toBe(1);
  });

  it('shows a conflict when the event comes with another package', async () => {
    const sample = samplePackage({ name: 'conflict', nettingSets: 2 });
    const other = samplePackage({ name: 'conflict', nettingSets: 3 });
    world.upload(sample);
    world.upload(other);
    await accept(sample.request);
    expect(await accept(other.request)).toMatchObject({ outcome: 'conflict' });
  });

  it('gives a swept run back and starts nothing', async () => {
    const runId = await post();
    await finish(runId);
    const { record, etag } = world.records.get(runId)!;
    await world.runs.swap({ ...record, state: 'swept', version: record.version + 1 }, etag);
    const jobs = world.jobs.size;
    const again = await accept(
      samplePackage({ name: 'unit', nettingSets: 3, samples: 1000, gridDates: 10, costNanos: [6e7, 6e7, 6e7] }).request,
    );
    expect(again).toMatchObject({ outcome: 'exists', run: { record: { state: 'swept' } } });
    expect((await pass(runId)).kind).toBe('over');
    expect(world.jobs.size).toBe(jobs);
  });

  it('refuses a package that is missing, changed, of another event, or no manifest', async () => {
    const sample = samplePackage({ name: 'bad', nettingSets: 2 });
    await expect(accept(sample.request)).rejects.toMatchObject({ code: 'package-not-found' });
    const objects = world.work.objects as ReturnType<World['blobs']>;
    await objects.putIfAbsent(sample.packageId, 'something else');
    await expect(accept(sample.request)).rejects.toMatchObject({ code: 'package-corrupt' });
    const other = samplePackage({ name: 'other', nettingSets: 2 });
    world.upload(other);
    await expect(accept({ ...sample.request, packageId: other.packageId })).rejects.toMatchObject({
      code: 'package-of-another-event',
    });
    const text = '{"schemaVersion":"1.0"}';
    const { createHash } = await import('node:crypto');
    const packageId = createHash('sha256').update(text).digest('hex');
    await objects.putIfAbsent(packageId, text);
    await expect(accept({ ...sample.request, packageId })).rejects.toMatchObject({ code: 'manifest-not-valid' });
  });

  it('takes no new run when too many wait, but still knows the old ones', async () => {
    const sample = samplePackage({ name: 'busy', nettingSets: 1 });
    world.upload(sample);
    expect(await accept(sample.request, () => true)).toEqual({ outcome: 'busy' });
    await accept(sample.request);
    expect((await accept(sample.request, () => true)).outcome).toBe('exists');
  });
});

describe('a run', () => {
  it('waits for slots with a reason, and starts when there is room', async () => {
    const runId = await post();
    expect(await pass(runId, false)).toMatchObject({ kind: 'waiting', on: 'admission' });
    expect(await pass(runId, false)).toMatchObject({ kind: 'waiting', on: 'admission' });
    expect(world.record(runId)).toMatchObject({
      state: 'queued',
      version: 2,
      reasons: [{ code: 'waiting-for-slots' }],
    });
    expect(world.jobs.size).toBe(0);
    await finish(runId);
    expect(world.record(runId).state).toBe('done');
  });

  it('waits for quota with a reason', async () => {
    world.quotaRefusals = 2;
    const runId = await post();
    expect(await pass(runId)).toMatchObject({ kind: 'waiting', on: 'quota' });
    expect(world.record(runId)).toMatchObject({ state: 'queued', reasons: [{ code: 'waiting-for-quota' }] });
    await finish(runId);
    expect(world.record(runId)).toMatchObject({ state: 'done', attempt: 1 });
    expect(world.record(runId).attempts).toHaveLength(1);
  });

  it('gives its tasks files by identity, ids in the environment, and no secret anywhere', async () => {
    const runId = await post();
    await pass(runId);
    const job = world.jobs.get(`${runId}-a1`)!;
    const task = job.tasks.get('shard-0001')!.spec;
    expect(task.commandLine).toBe('xva-engine run --task task.json --root . --out out');
    expect(task).toMatchObject({ identityResourceId: '/identity', image: 'engine:1', requiredSlots: 1 });
    expect(task.resourceFiles.map((file) => file.filePath)).toEqual([
      'task.json',
      'Input/control.json',
      'Input/market.txt',
      'Input/portfolio.xml',
    ]);
    expect(task.environment).toMatchObject({ XVA_RUN_ID: runId });
    expect(task.outputFiles.map((file) => [file.filePattern, file.path, file.condition])).toEqual([
      ['out/bundle-*.tar', 'a1/shard-0001/out', 'tasksuccess'],
      ['out/report-*.json', 'a1/shard-0001/out', 'taskcompletion'],
      ['../stdout.txt', 'a1/shard-0001/logs/stdout.txt', 'taskcompletion'],
      ['../stderr.txt', 'a1/shard-0001/logs/stderr.txt', 'taskcompletion'],
      ['out/logs/**', 'a1/shard-0001/logs/engine', 'taskcompletion'],
    ]);
    const ours = { xva_run_id: runId, xva_environment: 'uat' };
    expect(job.spec.metadata).toMatchObject({ ...ours, xva_attempt: '1', xva_class: 'task-input' });
    expect(world.containerLabels.get(world.record(runId).container)).toMatchObject({ ...ours, xva_class: 'bundle' });
    expect(JSON.stringify([job.spec, task])).not.toMatch(/sig=|AccountKey|SharedKey/);
  });

  it('is partial when the engine rejected a netting set', async () => {
    world.reject = ['NS-002'];
    const runId = await post();
    await finish(runId);
    expect(world.record(runId)).toMatchObject({ state: 'done', outcome: 'partial' });
  });

  it('publishes nothing when it is strict and a netting set was rejected, or when totals do not add up', async () => {
    world.reject = ['NS-002'];
    const strict = await post({ name: 'strict', strict: true });
    await finish(strict);
    expect(world.record(strict)).toMatchObject({ state: 'failed', outcome: 'failed' });
    expect(world.record(strict).reasons.at(-1)?.message).toContain('strict');
    world.reject = [];
    world.wrongTotal = true;
    const wrong = await post({ name: 'wrong' });
    await finish(wrong);
    expect(world.record(wrong).reasons.at(-1)).toMatchObject({ code: 'result-refused' });
    expect(world.record(wrong).reasons.at(-1)?.message).toMatch(/total cva/);
    expect(world.result(`${wrong}/published.json`)).toBeUndefined();
    expect(world.activeJobs()).toEqual([]);
  });

  it('runs again only what it has not got, when that is asked', async () => {
    const broken: Exit[] = [10];
    world.exits.set('shard-0002', broken);
    const runId = await post();
    await pass(runId);
    for (const task of world.runnable()) if (task.task.spec.id !== 'shard-0002') world.execute(task);
    await pass(runId);
    await finish(runId);
    const failed = world.record(runId);
    expect(failed).toMatchObject({ state: 'failed', outcome: 'failed' });
    expect(failed.accepted.map((bundle) => bundle.taskId)).toEqual(['shard-0001', 'shard-0003']);
    expect(await retryRun(runId, 'somebody', deps)).toMatchObject({ outcome: 'done' });
    await finish(runId);
    const done = world.record(runId);
    expect(done).toMatchObject({ state: 'done', attempt: 2 });
    expect([...world.jobs.get(`${runId}-a2`)!.tasks.keys()]).toEqual(['shard-0002', 'merge']);
    expect(done.accepted.map((bundle) => bundle.attempt)).toEqual([1, 2, 1]);
    expect(await retryRun(runId, 'somebody', deps)).toMatchObject({ outcome: 'refused' });
    expect(await retryRun('xva-20260930-none', 'somebody', deps)).toEqual({ outcome: 'absent' });
  });

  it('opens another job when a task succeeded and left no valid bundle', async () => {
    const runId = await post();
    await pass(runId);
    for (const found of world.runnable()) {
      if (found.task.spec.id === 'shard-0001') world.finish(found, 0);
      else world.execute(found);
    }
    await pass(runId);
    expect(world.record(runId)).toMatchObject({ state: 'running', attempt: 2 });
    expect(world.record(runId).attempts[1]).toMatchObject({ tasks: ['shard-0001'] });
    await finish(runId);
    expect(world.record(runId).state).toBe('done');
  });

  it('ends when its jobs are lost again and again', async () => {
    const runId = await post();
    for (let turn = 0; turn < policy.maxAttempts + 1; turn += 1) {
      await pass(runId);
      for (const id of world.activeJobs()) world.endJob(id, 'somebody');
    }
    await finish(runId);
    expect(world.record(runId)).toMatchObject({ state: 'failed', attempt: policy.maxAttempts });
    expect(world.record(runId).reasons.at(-1)).toMatchObject({ code: 'attempts-used-up' });
  });

  it('fails when its job has used up its time', async () => {
    const runId = await post();
    await pass(runId);
    world.endJob(`${runId}-a1`, 'MaxWallClockTimeExpiry');
    await finish(runId);
    expect(world.record(runId).reasons.at(-1)).toMatchObject({ code: 'job-out-of-time' });
  });

  it('says once that its deadline is missed, and goes on', async () => {
    const sample = samplePackage({ name: 'late', nettingSets: 1 });
    world.upload(sample);
    const deadline = '2026-09-30T18:00:30.000Z';
    const { runId } = runOf(await accept({ ...sample.request, deadline })).record;
    await finish(runId);
    const record = world.record(runId);
    expect(record.state).toBe('done');
    expect(record.reasons.filter((reason) => reason.code === 'deadline-missed')).toHaveLength(1);
  });

  it('stands still when the job of another is in its place', async () => {
    const runId = await post();
    await world.batch.addJob({ id: `${runId}-a1`, poolId: 'elsewhere', priority: 0, metadata: {} });
    await finish(runId);
    expect(world.record(runId)).toMatchObject({ state: 'failed', reasons: [{ code: 'job-conflict' }] });
  });

  it('tells the progress of every task', async () => {
    const runId = await post();
    expect(await progressOf(world.record(runId), world.batch, new Date(world.now))).toMatchObject({
      state: 'queued',
      percent: 0,
    });
    await pass(runId);
    world.execute(world.runnable()[0]!);
    await pass(runId);
    const half = await progressOf(world.record(runId), world.batch, new Date(world.now));
    expect(half.tasks.map((task) => task.state)).toEqual(['accepted', 'active', 'active', 'waiting']);
    expect(half.percent).toBeCloseTo(95 / 3, 0);
    const startedAt = Date.parse(world.record(runId).startedAt ?? '');
    const later = await progressOf(world.record(runId), world.batch, new Date(startedAt + 60_000));
    expect(Date.parse(later.eta ?? '')).toBe(
      Math.trunc(startedAt + 60_000 + (60_000 * (100 - half.percent)) / half.percent),
    );
    await finish(runId);
    expect(await progressOf(world.record(runId), world.batch, new Date(world.now))).toMatchObject({
      state: 'done',
      percent: 100,
    });
  });
});

describe('cancelling', () => {
  it('leaves nothing active, also while it is submitting', async () => {
    const queued = await post();
    expect(await cancelRun(queued, 'somebody', deps)).toMatchObject({ outcome: 'done' });
    expect(await cancelRun(queued, 'somebody', deps)).toMatchObject({ outcome: 'already' });
    await finish(queued);
    expect(world.jobs.size).toBe(0);
    expect(world.record(queued)).toMatchObject({
      state: 'cancelled',
      outcome: 'cancelled',
      finishedAt: expect.any(String),
    });
  });

  it('is refused when the run is over', async () => {
    const runId = await post();
    await finish(runId);
    expect(await cancelRun(runId, 'somebody', deps)).toMatchObject({ outcome: 'refused' });
  });
});
