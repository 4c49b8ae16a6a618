import { samplePackage } from '@xva/testkit';
import { silentLogger } from '@xva/runtime';
import {
  acceptRun,
  builtInCostModel,
  learnFrom,
  ManifestCache,
  pauseRun,
  planRequest,
  reconcileRun,
  resumeRun,
  retryRun,
  RunFeed,
  setRunPriority,
  shardSeconds,
  unlimited,
  type Alert,
  type Capacity,
  type SubmitDeps,
  type SubmitPolicy,
} from '../src/index.ts';
import { policy, World } from './world.ts';

let world: World;
let alerts: Alert[];

beforeEach(() => {
  world = new World();
  alerts = [];
});

function depsWith(change: Partial<SubmitPolicy> = {}): SubmitDeps {
  return {
    runs: world.runs,
    batch: world.batch,
    work: world.work,
    ledger: world.ledger,
    manifests: new ManifestCache(world.work.objects),
    clock: { now: () => world.date, sleep: () => Promise.resolve() },
    policy: { ...policy, ...change },
    logger: silentLogger,
    alert: (alert) => void alerts.push(alert),
  };
}

async function post(deps: SubmitDeps, sets = 3, name = 'running'): Promise<string> {
  const costNanos = Array.from({ length: sets }, () => 6e7);
  const sample = samplePackage({ name, nettingSets: sets, samples: 1000, gridDates: 10, costNanos });
  world.upload(sample);
  const accepted = await acceptRun(
    { request: sample.request, submittedBy: 'test', desk: 'rates desk', traceparent: null },
    { ...deps, limits: deps.policy, isBusy: () => false },
  );
  if (accepted.outcome === 'busy') throw new Error('busy');
  return accepted.run.record.runId;
}

const pass = (runId: string, deps: SubmitDeps, capacity?: Capacity) =>
  reconcileRun(runId, deps, { deep: true, ...(capacity === undefined ? {} : { capacity }) });

async function finish(runId: string, deps: SubmitDeps, capacity?: Capacity): Promise<void> {
  for (let turn = 0; turn < 60; turn += 1) {
    if ((await pass(runId, deps, capacity)).kind === 'over') return;
    world.now += 60_000;
    for (const task of world.runnable()) world.execute(task);
  }
  throw new Error(`still ${world.record(runId).state}`);
}

describe('what failed goes where it may succeed', () => {
  const pools = { spotPoolId: 'spot', largePoolId: 'large' };

  it('more memory after a lack of it, in an attempt job with only that shard, while the others go on', async () => {
    const deps = depsWith(pools);
    world.exits.set('shard-0002', [40]);
    const runId = await post(deps);
    await pass(runId, deps);
    world.execute(world.runnable().find(({ task }) => task.spec.id === 'shard-0002')!);
    await pass(runId, deps);
    const { attempts, state } = world.record(runId);
    expect(state).toBe('running');
    expect(attempts.map(({ poolId, poolClass, tasks }) => [poolId, poolClass, tasks])).toEqual([
      ['spot', 'spot', ['shard-0001', 'shard-0002', 'shard-0003']],
      ['large', 'large', ['shard-0002']],
    ]);
    expect(world.activeJobs()).toEqual([`${runId}-a1`, `${runId}-a2`]);
    await finish(runId, deps);
    const done = world.record(runId);
    expect(done).toMatchObject({ state: 'done', retries: { 'shard-0002': 1 } });
    expect(done.accepted.map(({ taskId, attempt }) => [taskId, attempt])).toEqual([
      ['shard-0001', 1],
      ['shard-0002', 2],
      ['shard-0003', 1],
    ]);
    expect(done.reasons.find((one) => one.code === 'task-moved')?.message).toContain('outOfMemory');
    expect(world.activeJobs()).toEqual([]);
  });

  it('dedicated nodes after spot ones failed or were taken away too often', async () => {
    const deps = depsWith({ ...pools, maxSpotAttempts: 2 });
    world.exits.set('shard-0001', [60, 60]);
    const runId = await post(deps);
    await pass(runId, deps);
    const third = world.runnable().find(({ task }) => task.spec.id === 'shard-0003')!;
    world.preempt(third);
    world.preempt(third);
    await finish(runId, deps);
    const done = world.record(runId);
    expect(done.state).toBe('done');
    expect(done.accepted.map((one) => one.attempt)).toEqual([2, 1, 2]);
    expect(done.attempts[1]).toMatchObject({ poolClass: 'dedicated', poolId: 'pool' });
    const moved = done.reasons.filter((one) => one.code === 'task-moved');
    expect(moved.map((one) => one.subject).sort()).toEqual(['a1/shard-0001', 'a1/shard-0003']);
    expect(moved.map((one) => one.message).join()).toContain('taken away from it 2 times');
    // What was moved while it waited must not run in its old place too.
    expect(world.jobs.get(`${runId}-a1`)?.tasks.get('shard-0003')?.facts.state).toBe('completed');
  });

  it('nowhere, when input or model are at fault', async () => {
    const deps = depsWith(pools);
    world.exits.set('shard-0001', [20]);
    const runId = await post(deps);
    await finish(runId, deps);
    expect(world.record(runId)).toMatchObject({ state: 'failed', attempts: [{ attempt: 1 }] });
    expect(alerts.map((one) => one.code)).toEqual(['run-failed']);
  });

  it('counts a failure once however many reasons come after it, and gives up after its budget', async () => {
    const deps = depsWith({ maxTaskRetries: 2 });
    world.exits.set('shard-0001', [30, 30, 30, 30]);
    const runId = await post(deps);
    await finish(runId, deps);
    expect(world.record(runId)).toMatchObject({ state: 'failed', retries: { 'shard-0001': 2 } });
    expect(world.executions(runId, 'shard-0001')).toBe(3);
  });

  it('computes every shard afresh with another engine image, and says so', async () => {
    const deps = depsWith();
    world.exits.set('shard-0002', [10]);
    const runId = await post(deps);
    await finish(runId, deps);
    expect(world.record(runId).accepted).toHaveLength(2);
    await retryRun(runId, 'somebody', deps);
    const newer = depsWith({ image: 'engine:2' });
    await finish(runId, newer);
    const done = world.record(runId);
    expect(done.accepted.map((one) => one.attempt)).toEqual([2, 2, 2]);
    expect(done.attempts.map((one) => one.image)).toEqual(['engine:1', 'engine:2']);
    expect(done.reasons.map((one) => one.code)).toContain('engine-changed');
  });

  it('refuses to mix engines under one image name, and a retry computes all afresh', async () => {
    const deps = depsWith();
    const runId = await post(deps);
    await pass(runId, deps);
    const [first, ...others] = world.runnable();
    world.execute(first!);
    await pass(runId, deps);
    world.engineVersion = '2';
    for (const task of others) world.execute(task);
    await finish(runId, deps);
    expect(world.record(runId)).toMatchObject({ state: 'failed', reasons: [{ code: 'engine-mismatch' }] });
    expect(world.record(runId).reasons[0]?.message).toMatch(/stand-in 1.*stand-in 2/);
    await retryRun(runId, 'somebody', deps);
    await finish(runId, deps);
    expect(world.record(runId)).toMatchObject({ state: 'done' });
    expect(new Set(world.record(runId).accepted.map((one) => one.engine)).size).toBe(1);
  });
});

describe('a netting set that is too long', () => {
  it('is cut by trade: its cubes and the package go into the merge, and the numbers are those of the whole', async () => {
    const deps = depsWith();
    const costNanos = [6e5, 6e3];
    const sizes = { nettingSets: 2, tradesPerSet: 6, samples: 1000, gridDates: 10, costNanos };
    const submit = async (name: string, splitSetSeconds?: number): Promise<string> => {
      const sample = samplePackage({ name, ...sizes });
      world.upload(sample);
      const limits = {
        targetShardSeconds: 3.2,
        maxShards: 9,
        ...(splitSetSeconds === undefined ? {} : { splitSetSeconds }),
      };
      const accepted = await acceptRun(
        { request: sample.request, submittedBy: 'test', traceparent: null },
        { ...deps, limits, isBusy: () => false },
      );
      if (accepted.outcome === 'busy') throw new Error('busy');
      return accepted.run.record.runId;
    };
    const numbers = (runId: string): unknown => {
      const pointer = world.result(`${runId}/published.json`) as { files: { name: string; blob: string }[] };
      const summary = world.result(pointer.files.find((one) => one.name === 'summary.json')?.blob ?? '');
      const { nettingSets, totals } = summary as { nettingSets: unknown; totals: unknown };
      return { nettingSets, totals };
    };
    const whole = await submit('whole');
    await finish(whole, deps);
    const split = await submit('split', 4);
    await finish(split, deps);
    const { plan, accepted } = world.record(split);
    expect(plan.shards.map((shard) => [shard.nettingSets, shard.trades?.length])).toEqual([
      [['NS-001'], 2],
      [['NS-001'], 2],
      [['NS-001'], 2],
      [['NS-002'], undefined],
    ]);
    expect(accepted).toHaveLength(4);
    expect(numbers(split)).toEqual(numbers(whole));
    const merge = world.jobs.get(`${split}-a1`)?.tasks.get('merge')?.spec;
    expect(merge?.resourceFiles.map((file) => file.filePath)).toEqual(
      expect.arrayContaining(['manifest.json', 'Input/portfolio.xml', 'Input/market.txt']),
    );
  });
});

describe('a pool that is full', () => {
  it('gets a part of the shards, and the rest as they end, never more than there is room for', async () => {
    const deps = depsWith();
    const runId = await post(deps, 12);
    let most = 0;
    const there = new Map<string, number>();
    const capacity: Capacity = {
      ...unlimited(world.batch),
      room: async () => Math.max(0, 4 - [...there.values()].reduce((sum, tasks) => sum + tasks, 0)),
      outstanding: (_run, jobId, _pool, tasks) => {
        there.set(jobId, tasks);
        most = Math.max(most, world.runnable().length);
      },
    };
    await pass(runId, deps, capacity);
    expect(world.jobs.get(`${runId}-a1`)?.tasks.size).toBe(4);
    expect(world.record(runId)).toMatchObject({ state: 'running', waiting: { code: 'waiting-for-slots' } });
    await finish(runId, deps, capacity);
    expect(world.record(runId)).toMatchObject({ state: 'done', waiting: null });
    expect(most).toBeLessThanOrEqual(4);
  });
});

describe('an account that is configured by a SAS', () => {
  it('is refused where tasks have an identity: no token goes into a task', async () => {
    const deps = depsWith();
    const runContainer = (name: string) => ({
      ...world.work.runContainer(name),
      url: (blob?: string) => `https://storage/${name}/${blob ?? ''}?sv=2026&sig=secret`,
    });
    const runId = await post(deps);
    await finish(runId, { ...deps, work: { ...world.work, runContainer } });
    expect(world.record(runId)).toMatchObject({ state: 'failed', reasons: [{ code: 'work-url-with-secret' }] });
    expect(JSON.stringify([...world.jobs.values()].map((job) => [...job.tasks.values()]))).not.toContain('secret');
  });
});

describe('what an operator asks for', () => {
  it('pauses: what runs goes on and is accepted, nothing starts; resumes where it stood', async () => {
    const deps = depsWith();
    const runId = await post(deps);
    await pass(runId, deps);
    const [running, ...waiting] = world.runnable();
    expect(await pauseRun(runId, 'somebody', deps)).toMatchObject({ outcome: 'done' });
    expect(await pauseRun(runId, 'somebody', deps)).toMatchObject({ outcome: 'already' });
    await pass(runId, deps);
    expect(world.jobs.get(`${runId}-a1`)?.state).toBe('disabled');
    world.execute(running!);
    await pass(runId, deps);
    expect(world.record(runId).accepted).toHaveLength(1);
    expect(world.runnable()).toEqual([]);
    expect(await resumeRun(runId, 'somebody', deps)).toMatchObject({ outcome: 'done' });
    await pass(runId, deps);
    expect(world.runnable()).toHaveLength(waiting.length);
    await finish(runId, deps);
    expect(world.record(runId)).toMatchObject({ state: 'done', paused: null, held: false });
    expect(await pauseRun(runId, 'somebody', deps)).toMatchObject({ outcome: 'refused' });
  });

  it('keeps a queued run queued while it is paused', async () => {
    const deps = depsWith();
    const runId = await post(deps);
    await pauseRun(runId, 'somebody', deps);
    expect(await pass(runId, deps)).toMatchObject({ kind: 'waiting', on: 'pause' });
    expect(world.jobs.size).toBe(0);
    await resumeRun(runId, 'somebody', deps);
    await finish(runId, deps);
    expect(world.record(runId).state).toBe('done');
  });

  it('changes the priority, in the record and in Batch', async () => {
    const deps = depsWith();
    const runId = await post(deps);
    await pass(runId, deps);
    expect(await setRunPriority(runId, 500, 'somebody', deps)).toMatchObject({ outcome: 'done' });
    expect(await setRunPriority(runId, 5000, 'somebody', deps)).toMatchObject({ outcome: 'refused' });
    expect(await setRunPriority(runId, 1.5, 'somebody', deps)).toMatchObject({ outcome: 'refused' });
    await pass(runId, deps);
    expect(world.jobs.get(`${runId}-a1`)?.priority).toBe(500);
    await finish(runId, deps);
    expect(world.record(runId).state).toBe('done');
  });
});

describe('what a run says of itself', () => {
  it('its deadline, missed, is a field and one alert', async () => {
    const deps = depsWith();
    const sample = samplePackage({ name: 'late', nettingSets: 1 });
    world.upload(sample);
    const request = { ...sample.request, deadline: '2026-09-30T18:00:30.000Z' };
    const accepted = await acceptRun(
      { request, submittedBy: 'test', traceparent: null },
      { ...deps, limits: policy, isBusy: () => false },
    );
    if (accepted.outcome === 'busy') throw new Error('busy');
    const { runId } = accepted.run.record;
    await finish(runId, deps);
    expect(world.record(runId)).toMatchObject({ state: 'done', deadlineMissedAt: expect.any(String) });
    expect(alerts).toMatchObject([{ runId, code: 'deadline-missed' }]);
  });

  it('its cost: the slot time of every execution, also of those that failed, at the price of the pool', async () => {
    const deps = depsWith({ prices: { currency: 'EUR', perNodeHour: { pool: 3.6 } } });
    world.taskMs = 10_000;
    world.exits.set('shard-0001', [30]);
    const runId = await post(deps);
    await finish(runId, deps);
    // Four executions of shards and the merge, ten seconds each, on nodes with four slots.
    expect(world.record(runId).cost).toEqual({
      slotSeconds: 50,
      nodeHours: expect.closeTo(50 / 4 / 3600, 8),
      amount: expect.closeTo((50 / 4 / 3600) * 3.6, 8),
      currency: 'EUR',
      executions: 5,
    });
    expect(world.record(runId).desk).toBe('rates desk');
  });

  it('its changes, to whoever watches, in this process and from another', async () => {
    const deps = depsWith();
    const runId = await post(deps);
    const clock = { now: () => new Date(), sleep: () => new Promise<void>((resolve) => setImmediate(resolve)) };
    const feed = new RunFeed(world.runs, clock, { pollMs: 0 });
    const stop = new AbortController();
    const seen: [number, string][] = [];
    const watching = (async () => {
      for await (const { record } of feed.watch(runId, 0, stop.signal)) seen.push([record.version, record.state]);
    })();
    await finish(runId, deps);
    await watching;
    expect(seen.at(-1)?.[1]).toBe('done');
    expect(seen.map(([version]) => version)).toEqual([...seen.map(([version]) => version)].sort((a, b) => a - b));
    const later: number[] = [];
    for await (const { record } of feed.watch(runId, seen.at(-1)?.[0] ?? 0, stop.signal)) later.push(record.version);
    expect(later).toEqual([]);
    expect(feed.size).toBe(0);
  });

  it('its plan, cost and end before it is submitted, and what would refuse it', async () => {
    const deps = depsWith({ prices: { currency: 'EUR', perNodeHour: { pool: 3.6 } } });
    const sample = samplePackage({
      name: 'planned',
      nettingSets: 3,
      samples: 1000,
      gridDates: 10,
      costNanos: [6e7, 6e7, 6e7],
    });
    const ask = () => planRequest(sample.request, { ...deps, open: () => [] });
    expect(await ask()).toMatchObject({ shards: [], refusals: [{ code: 'package-not-found' }] });
    world.upload(sample);
    const plan = await ask();
    const seconds = 3 * shardSeconds(sample.manifest, sample.manifest.nettingSets.slice(0, 1));
    expect(plan).toMatchObject({
      existing: null,
      refusals: [],
      pool: { poolId: 'pool', slots: 8 },
      cost: { currency: 'EUR', unit: 'node-hour', pricePerNodeHour: 3.6 },
      eta: { startsInSeconds: 0, meetsDeadline: null },
    });
    expect(plan.shards).toHaveLength(3);
    expect(plan.predicted.cpuSeconds).toBeCloseTo(seconds, 2);
    expect(plan.cost.amount).toBeCloseTo(plan.cost.nodeHours * 3.6, 5);
    expect(world.records.size).toBe(0);
  });
});

describe('the cost model', () => {
  it('predicts a book after one run of it, and moves less with every further one', () => {
    const { manifest } = samplePackage({
      name: 'cost',
      nettingSets: 2,
      samples: 1000,
      gridDates: 40,
      costNanos: [23_000, 4_000],
    });
    const types = ['RateSwap', 'FxForward'];
    const nettingSets = manifest.nettingSets.map((set, index) => ({
      ...set,
      trades: set.trades.map((trade) => ({ ...trade, tradeType: types[index] ?? '' })),
    }));
    const book = { ...manifest, nettingSets };
    const bundle = { taskId: 'shard-0001', attempt: 1, bundleId: '', blob: '', sha256: '', size: 0, engine: null };
    const measured = { ...bundle, cpuSeconds: 5, pricingSeconds: {} };
    const merged = { ...bundle, cpuSeconds: null, pricingSeconds: { RateSwap: 9, FxForward: 1 } };
    const plan = { schemaVersion: '1.0' as const, sharedInputHash: '', shards: [], model: null };
    const run = { accepted: [measured], merged, plan };
    const now = new Date('2026-09-30T18:00:00Z');
    const once = learnFrom(builtInCostModel, book, run, now)!;
    expect(shardSeconds(book, nettingSets, builtInCostModel)).toBeCloseTo(3.68, 2);
    expect(shardSeconds(book, nettingSets, once)).toBeCloseTo(5, 3);
    expect((once.factors['RateSwap'] ?? 0) * 23_000).toBeCloseTo(9 * (once.factors['FxForward'] ?? 0) * 4_000, 0);
    const slower = { ...run, accepted: [{ ...measured, cpuSeconds: 8 }] };
    const twice = learnFrom(once, book, slower, now)!;
    expect(shardSeconds(book, nettingSets, twice)).toBeCloseTo(6.5, 1);
    expect(learnFrom(once, book, { ...run, accepted: [{ ...measured, cpuSeconds: null }] }, now)).toBeUndefined();
  });
});
