import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { BatchAdapter } from '@xva/azure-batch';
import type { Published, ResultSummary, RunProgress, RunView } from '@xva/contracts';
import { batchAccount, samplePackage, type SamplePackageOptions } from '@xva/testkit';
import { call, Rig, until, untilState, type Controller } from './rig.ts';

let rig: Rig;
let controller: Controller;
let batch: BatchAdapter;
let counters: string;

beforeAll(async () => {
  counters = mkdtempSync(join(tmpdir(), 'xva-counters-'));
  rig = await Rig.start();
  controller = await rig.controller({ XVA_TARGET_SHARD_SECONDS: '0.7' });
  batch = new BatchAdapter({
    endpoint: rig.batch.url,
    accountName: batchAccount.name,
    accountKey: batchAccount.keyBase64,
  });
});
afterAll(async () => {
  batch.close();
  await rig.stop();
  rmSync(counters, { recursive: true, force: true });
});
afterEach(() => rig.batch.clearFaults());

/** Cost of a netting set that fills a shard of 0.7 s alone. */
const wide = 8e6;

async function post(options: Partial<SamplePackageOptions> & { name: string }, url = controller.url): Promise<RunView> {
  const nettingSets = options.nettingSets ?? 2;
  const costNanos = Array.from({ length: nettingSets }, () => wide);
  const sample = samplePackage({ nettingSets, samples: 1000, gridDates: 10, costNanos, ...options });
  await rig.upload(sample);
  const { status, body } = await call<RunView>(url, 'POST', '/v1/runs', { body: sample.request });
  expect([200, 201]).toContain(status);
  return body;
}

async function jobsOf(runId: string): Promise<readonly { id: string; state: string }[]> {
  const found: { id: string; state: string }[] = [];
  for await (const { id, state } of batch.listJobs(`startswith(id,'${runId}')`)) found.push({ id, state });
  return found;
}

async function expectNoActiveJob(runId: string): Promise<void> {
  await until('its jobs to end', async () =>
    (await jobsOf(runId)).every((job) => job.state === 'completed') ? true : undefined,
  );
}

describe('a run', () => {
  it('goes from request to published result, and everything of it can be read', async () => {
    const run = await post({ name: 'happy', nettingSets: 4 });
    expect(run).toMatchObject({ shards: 4, requestKey: { scenario: 'happy' } });
    const done = await untilState(controller.url, run.runId, 'done', 'failed');
    expect(done).toMatchObject({ state: 'done', outcome: 'complete', attempt: 1, reasons: [] });
    await expectNoActiveJob(run.runId);
    const path = `/v1/runs/${run.runId}`;
    const results = await call<{ published: Published; summary: ResultSummary }>(
      controller.url,
      'GET',
      `${path}/results`,
    );
    expect(results.body.summary.nettingSets.map((set) => set.id)).toEqual(['NS-001', 'NS-002', 'NS-003', 'NS-004']);
    expect(results.body.published.files.map((file) => file.name)).toEqual(['summary.json', 'tables/xva.csv']);
    const table = await call<string>(controller.url, 'GET', `${path}/results/files/tables/xva.csv`);
    expect(table.body).toMatch(/^NS-001,\d/m);
    const etag = table.headers.get('etag') ?? '';
    const again = await call(controller.url, 'GET', `${path}/results/files/tables/xva.csv`, {
      headers: { 'if-none-match': etag },
    });
    expect(again.status).toBe(304);
    const progress = await call<RunProgress>(controller.url, 'GET', `${path}/progress`);
    expect(progress.body).toMatchObject({ percent: 100, state: 'done' });
    expect(progress.body.tasks.map((task) => task.state)).toEqual(Array(5).fill('accepted'));
    const log = await call<string>(controller.url, 'GET', `${path}/tasks/shard-0001/logs/stdout`);
    expect([log.body, log.headers.get('x-log-source')]).toEqual(['success: shard-0001\n', 'node']);
    await batch.deleteJob(`${run.runId}-a1`);
    await until('the job to be gone', async () =>
      (await batch.getJob(`${run.runId}-a1`)) === undefined ? true : undefined,
    );
    const stored = await call<string>(controller.url, 'GET', `${path}/tasks/shard-0001/logs/engine`, {
      headers: { range: 'bytes=7-9' },
    });
    expect([stored.body, stored.headers.get('x-log-source')]).toEqual(['log', 'storage']);
    expect((await call(controller.url, 'GET', `${path}/tasks/shard-0009/logs/engine`)).status).toBe(404);
  });

  it('is one run for a hundred identical requests at a time', async () => {
    const sample = samplePackage({ name: 'hundred', nettingSets: 1 });
    await rig.upload(sample);
    const replies = await Promise.all(
      Array.from({ length: 100 }, () => call<RunView>(controller.url, 'POST', '/v1/runs', { body: sample.request })),
    );
    expect(replies.map((reply) => reply.status).sort()).toEqual([...Array<number>(99).fill(200), 201]);
    expect(new Set(replies.map((reply) => reply.body.runId)).size).toBe(1);
    const { runId } = replies[0]!.body;
    await untilState(controller.url, runId, 'done');
    expect((await jobsOf(runId)).map((job) => job.id)).toEqual([`${runId}-a1`]);
    const other = samplePackage({ name: 'hundred', nettingSets: 2 });
    await rig.upload(other);
    const conflict = await call(controller.url, 'POST', '/v1/runs', { body: other.request });
    expect([conflict.status, conflict.body]).toMatchObject([409, { code: 'run-conflict' }]);
  });

  it('tries a task again whose failure may pass, and says so', async () => {
    const control = JSON.stringify({ counters, exits: { 'shard-0001': [30, 60] } });
    const run = await post({ name: 'passing', control });
    const done = await untilState(controller.url, run.runId, 'done', 'failed');
    expect(done).toMatchObject({ state: 'done', attempt: 1 });
    expect(done.reasons.map((reason) => reason.code)).toEqual(['task-retried', 'task-retried']);
    expect(done.reasons[0]?.message).toBe('exit code 30, engineCrash: the stand-in was told to fail with 30');
  });

  it('fails for good with the words of the runner, and goes on when that is asked', async () => {
    const control = JSON.stringify({ counters, exits: { 'shard-0002': [10] } });
    const run = await post({ name: 'final', control, nettingSets: 3 });
    const failed = await until('the run to fail and end', async () => {
      const { body } = await call<RunView>(controller.url, 'GET', `/v1/runs/${run.runId}`);
      return body.state === 'failed' && body.finishedAt !== null ? body : undefined;
    });
    expect(failed.reasons).toMatchObject([
      {
        code: 'task-failed',
        subject: 'a1/shard-0002',
        message: 'exit code 10, badInput: the stand-in was told to fail with 10',
      },
    ]);
    await expectNoActiveJob(run.runId);
    expect((await call(controller.url, 'GET', `/v1/runs/${run.runId}/results`)).body).toMatchObject({
      code: 'not-published',
    });
    expect((await call(controller.url, 'POST', `/v1/runs/${run.runId}/retry`)).status).toBe(202);
    expect(await untilState(controller.url, run.runId, 'done')).toMatchObject({ attempt: 2, outcome: 'complete' });
    expect((await jobsOf(run.runId)).map((job) => job.id)).toEqual([`${run.runId}-a1`, `${run.runId}-a2`]);
    expect((await call(controller.url, 'POST', `/v1/runs/${run.runId}/retry`)).body).toMatchObject({
      code: 'run-state',
    });
  });

  it('can be cancelled while it runs, and is followed live before', async () => {
    const run = await post({ name: 'cancelled', control: JSON.stringify({ workMs: 20_000 }) });
    const path = `/v1/runs/${run.runId}`;
    const live = await until('the engine to tell its progress', async () => {
      const { body } = await call<RunProgress>(controller.url, 'GET', `${path}/progress`);
      return body.tasks.some((task) => task.phase === 'simulation') ? body : undefined;
    });
    expect(live.percent).toBeGreaterThan(5);
    expect(Date.parse(live.eta ?? '')).toBeGreaterThan(Date.now() - 60_000);
    expect((await call(controller.url, 'POST', `${path}/cancel`)).status).toBe(202);
    expect((await call(controller.url, 'POST', `${path}/cancel`)).status).toBe(200);
    await expectNoActiveJob(run.runId);
    expect(await untilState(controller.url, run.runId, 'cancelled')).toMatchObject({ outcome: 'cancelled' });
  });

  it('is partial when the engine rejected a netting set', async () => {
    const run = await post({ name: 'partial', control: JSON.stringify({ reject: ['NS-002'] }) });
    expect(await untilState(controller.url, run.runId, 'done', 'failed')).toMatchObject({ outcome: 'partial' });
  });
});

describe('what fails around it', () => {
  it('throttling, resets and quota only slow it down', async () => {
    const answer = { kind: 'status', status: 503, code: 'ServerBusy', retryAfter: 0 };
    await rig.batch.arm({ point: 'request', match: { op: 'Task_List' }, times: 2, action: answer });
    await rig.batch.arm({
      point: 'request',
      match: { op: 'Job_Add' },
      times: 1,
      action: { kind: 'reset', when: 'after' },
    });
    await rig.batch.arm({
      point: 'request',
      match: { op: 'Task_AddCollection' },
      times: 1,
      action: { kind: 'reset', when: 'after' },
    });
    await rig.batch.arm({ point: 'quota', match: {}, times: 1, action: { kind: 'refuse' } });
    const run = await post({ name: 'throttled' });
    const done = await untilState(controller.url, run.runId, 'done', 'failed');
    expect(done).toMatchObject({ state: 'done', attempt: 1 });
    expect(done.reasons.map((reason) => reason.code)).toContain('waiting-for-quota');
  });

  it('a node that goes away, and Batch killed with -9 and started again, are survived', async () => {
    const run = await post({ name: 'node-lost', control: JSON.stringify({ workMs: 300 }) });
    await until('a task to run', async () =>
      (await batch.listTasks(`${run.runId}-a1`))?.some((task) => task.state === 'running') ? true : undefined,
    );
    await rig.batch.verb('preempt-node', { pool: 'pool' });
    await rig.batch.crash();
    expect(await untilState(controller.url, run.runId, 'done', 'failed')).toMatchObject({ state: 'done', attempt: 1 });
  });

  it('a job ended by somebody is followed by another with what is missing', async () => {
    const run = await post({ name: 'ended', control: JSON.stringify({ workMs: 400 }) });
    await until('the job to be there', async () =>
      (await batch.listTasks(`${run.runId}-a1`))?.length === 2 ? true : undefined,
    );
    await batch.terminateJob(`${run.runId}-a1`, 'somebody');
    const done = await untilState(controller.url, run.runId, 'done', 'failed');
    expect(done).toMatchObject({ state: 'done', attempt: 2 });
    expect(done.reasons.map((reason) => reason.code)).toContain('attempt-lost');
  });

  it('an unreachable Batch account is told in the run, which goes on when it is back', async () => {
    const blind = await rig.controller({ XVA_BATCH_URL: 'http://127.0.0.1:1' });
    await controller.kill();
    const run = await post({ name: 'blind' }, blind.url);
    const told = await until(
      'the run to tell what it waits for',
      async () => {
        const { body } = await call<RunView>(blind.url, 'GET', `/v1/runs/${run.runId}`);
        return body.reasons.find((reason) => reason.code === 'waiting-for-service');
      },
      45_000,
    );
    expect(told.message).toMatch(/Batch/);
    await blind.kill();
    controller = await rig.controller({ XVA_TARGET_SHARD_SECONDS: '0.7' });
    expect(await untilState(controller.url, run.runId, 'done', 'failed')).toMatchObject({ state: 'done' });
  });
});

/** Some, as a process; every point is tried in the flow's own tests. */
const crashPoints = [
  'runs.insert:after',
  'container.putIfAbsent:after',
  'batch.addJob:after',
  'batch.addTasks:after',
  'batch.patchJob:after',
  'container.openRead:after',
  'results.putIfAbsent:after',
] as const;

describe('killed with -9 at a named point and started again', () => {
  it.each(crashPoints)('%s: one job, one result', async (point) => {
    await controller.kill();
    const doomed = await rig.controller({ XVA_TARGET_SHARD_SECONDS: '0.7', XVA_CRASH_AT: point });
    const sample = samplePackage({ name: `crash-${point}`.replaceAll(/[^a-zA-Z-]/g, '-'), nettingSets: 1 });
    await rig.upload(sample);
    await call(doomed.url, 'POST', '/v1/runs', { body: sample.request }).catch(() => undefined);
    expect(await doomed.kill('SIGCONT')).toBeNull();
    controller = await rig.controller({ XVA_TARGET_SHARD_SECONDS: '0.7' });
    const again = await call<RunView>(controller.url, 'POST', '/v1/runs', { body: sample.request });
    expect(again.status).toBe(200);
    const { runId } = again.body;
    expect(await untilState(controller.url, runId, 'done', 'failed')).toMatchObject({ state: 'done', attempt: 1 });
    expect((await jobsOf(runId)).map((job) => job.id)).toEqual([`${runId}-a1`]);
    await expectNoActiveJob(runId);
  });
});

describe('two replicas', () => {
  it('work on the same runs without doing anything twice', async () => {
    const second = await rig.controller({ XVA_TARGET_SHARD_SECONDS: '0.7' });
    const urls = [controller.url, second.url];
    const runs = await Promise.all(
      Array.from({ length: 6 }, (_run, index) => post({ name: `replica-${index}` }, urls[index % 2])),
    );
    for (const run of runs) {
      const done = await untilState(second.url, run.runId, 'done', 'failed');
      expect(done).toMatchObject({ state: 'done', attempt: 1 });
      expect(await jobsOf(run.runId)).toHaveLength(1);
    }
    expect(await second.kill('SIGTERM')).toBe(0);
  });
});
