import { silentLogger, systemClock } from '@xva/runtime';
import { samplePackage } from '@xva/testkit';
import { acceptRun, cancelRun, ManifestCache, pollDelayMs, RunLoop, type SubmitDeps } from '../src/index.ts';
import { policy, World } from './world.ts';

let world: World;
let deps: SubmitDeps;
let stop: AbortController;

beforeEach(() => {
  world = new World();
  world.now = Date.now();
  stop = new AbortController();
  deps = {
    runs: world.runs,
    batch: world.batch,
    work: world.work,
    ledger: world.ledger,
    manifests: new ManifestCache(world.work.objects),
    clock: systemClock,
    policy,
    logger: silentLogger,
  };
});

const options = { pollMs: 5, pollMaxMs: 20, discoverMs: 30, deepMs: 20, quotaRetryMs: 5, concurrency: 4 };

async function post(name: string): Promise<string> {
  const sample = samplePackage({ name, nettingSets: 2 });
  world.upload(sample);
  const accepted = await acceptRun(
    { request: sample.request, submittedBy: 'test', traceparent: null },
    { ...deps, limits: policy, isBusy: () => false },
  );
  if (accepted.outcome === 'busy') throw new Error('busy');
  return accepted.run.record.runId;
}

async function until(look: () => boolean): Promise<void> {
  const deadline = Date.now() + 10_000;
  while (!look()) {
    if (Date.now() > deadline) throw new Error('waited too long');
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
}

/** Runs the loop, executing tasks meanwhile, until `look` holds. */
async function runUntil(loop: RunLoop, look: () => boolean, execute = true): Promise<void> {
  const running = loop.run(stop.signal);
  await until(() => {
    if (execute) for (const task of world.runnable()) world.execute(task);
    return look();
  });
  stop.abort();
  await running;
}

describe('the loop', () => {
  it('never has more tasks in Batch than it may, shares them among desks, and goes on so after a restart', async () => {
    const limit = 3;
    const postFor = async (desk: string, name: string): Promise<string> => {
      const costNanos = Array.from({ length: 8 }, () => 6e7);
      const sample = samplePackage({ name, nettingSets: 8, samples: 1000, gridDates: 10, costNanos });
      world.upload(sample);
      const accepted = await acceptRun(
        { request: sample.request, submittedBy: 'test', desk, traceparent: null },
        { ...deps, limits: policy, isBusy: () => false },
      );
      if (accepted.outcome === 'busy') throw new Error('busy');
      return accepted.run.record.runId;
    };
    const runs = [await postFor('rates', 'r1'), await postFor('rates', 'r2'), await postFor('fx', 'f1')];
    let most = 0;
    const desksAtOnce = new Set<string>();
    const turn = (): void => {
      const waiting = world.runnable();
      most = Math.max(most, waiting.length);
      if (waiting.length === limit)
        desksAtOnce.add(waiting.map(({ job }) => (job.spec.id.startsWith(runs[2] ?? '') ? 'fx' : 'rates')).join());
      const [first] = waiting;
      if (first !== undefined) world.execute(first);
    };
    const states = (): string[] => runs.map((runId) => world.record(runId).state);
    const some = new RunLoop(deps, { ...options, maxOutstandingTasks: limit });
    await runUntil(some, () => (turn(), world.record(runs[0] ?? '').accepted.length >= 3), false);
    expect(states()).not.toEqual(['done', 'done', 'done']);
    stop = new AbortController();
    const later = new RunLoop(deps, { ...options, maxOutstandingTasks: limit });
    await runUntil(later, () => (turn(), states().every((state) => state === 'done')), false);
    // The merge of a run goes when its turn comes, whatever else is there.
    expect(most).toBeLessThanOrEqual(limit + runs.length);
    expect([...desksAtOnce].some((desks) => desks.includes('fx') && desks.includes('rates'))).toBe(true);
  });

  it('finds runs that an earlier life left, and many finish', async () => {
    const ids: string[] = [];
    for (let index = 0; index < 10; index += 1) ids.push(await post(`run-${index}`));
    const loop = new RunLoop(deps, { ...options, maxOutstandingTasks: 4 });
    let most = 0;
    await runUntil(loop, () => {
      most = Math.max(most, world.activeJobs().length);
      return ids.every((id) => world.record(id).state === 'done');
    });
    expect(most).toBeLessThanOrEqual(4);
    expect(world.activeJobs()).toEqual([]);
    expect(ids.some((id) => world.record(id).reasons.some((reason) => reason.code === 'waiting-for-slots'))).toBe(true);
  });

  it('works at once on a run that is posted, and hears of a command while it works', async () => {
    const loop = new RunLoop(deps, {
      ...options,
      discoverMs: 60_000,
      pollMs: 60_000,
      pollMaxMs: 60_000,
      maxOutstandingTasks: 4,
    });
    const running = loop.run(stop.signal);
    const id = await post('woken');
    loop.wake(id, await world.runs.get(id));
    await until(() => world.record(id).state === 'running');
    const cancelled = await cancelRun(id, 'test', deps);
    if (cancelled.outcome !== 'done') throw new Error('not cancelled');
    loop.wake(id, cancelled.run);
    await until(() => world.record(id).finishedAt !== null);
    expect(world.record(id).state).toBe('cancelled');
    stop.abort();
    await running;
  });

  it('takes twice the slots of the pool when nothing is set', async () => {
    for (let index = 0; index < 20; index += 1) await post(`slot-${index}`);
    const loop = new RunLoop(deps, { ...options, maxOutstandingTasks: undefined });
    await runUntil(loop, () => world.activeJobs().length === 16, false);
    expect(world.activeJobs()).toHaveLength(16);
  });

  it('tells in the record what a run waits for, once, and goes on when it is back', async () => {
    const id = await post('away');
    let away = true;
    const addJob: SubmitDeps['batch']['addJob'] = async (spec) => {
      if (away) throw new Error('Batch is away');
      return world.batch.addJob(spec);
    };
    const loop = new RunLoop({ ...deps, batch: { ...world.batch, addJob } }, { ...options, maxOutstandingTasks: 4 });
    await runUntil(loop, () => {
      if (world.record(id).reasons.length > 0) away = false;
      return world.record(id).state === 'done';
    });
    expect(world.record(id).reasons).toMatchObject([{ code: 'waiting-for-service', message: 'Batch is away' }]);
  });

  it('looks less often the longer nothing moves', () => {
    const limits = { pollMs: 200, pollMaxMs: 2_000 };
    expect([0, 10_000, 60_000, 600_000].map((since) => pollDelayMs(since, limits))).toEqual([200, 200, 600, 2_000]);
  });
});
