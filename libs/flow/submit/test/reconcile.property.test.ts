import { publishedSchema, resultSummarySchema, type RunRecord } from '@xva/contracts';
import { samplePackage } from '@xva/testkit';
import fc from 'fast-check';
import { acceptRun, cancelRun, isOpen, ManifestCache } from '../src/index.ts';
import { drive, type Chaos } from './actors.ts';
import { policy, World, type Exit } from './world.ts';

const clockOf = (world: World) => ({ now: () => world.date, sleep: () => Promise.resolve() });

async function posted(world: World, name: string, sets = 3): Promise<string> {
  const sample = samplePackage({ name, nettingSets: sets, samples: 1000, gridDates: 10, costNanos: [6e7, 6e7, 6e7] });
  world.upload(sample);
  const accepted = await acceptRun(
    { request: sample.request, submittedBy: 'test', traceparent: null },
    {
      runs: world.runs,
      manifests: new ManifestCache(world.work.objects),
      limits: policy,
      clock: clockOf(world),
      isBusy: () => false,
    },
  );
  if (accepted.outcome === 'busy') throw new Error('busy');
  return accepted.run.record.runId;
}

/** What must hold of any run that is over, whatever happened to it. */
function checkOver(world: World, record: RunRecord): void {
  expect(isOpen(record)).toBe(false);
  expect(world.activeJobs()).toEqual([]);
  expect(new Set(record.attempts.map((attempt) => attempt.jobId)).size).toBe(record.attempts.length);
  const jobs = [...world.jobs.keys()].filter((id) => id.startsWith(record.runId));
  for (const id of jobs) expect(record.attempts.map((attempt) => attempt.jobId)).toContain(id);
  expect(new Set(record.accepted.map((bundle) => bundle.taskId)).size).toBe(record.accepted.length);
  for (const count of Object.values(record.retries)) expect(count).toBeLessThanOrEqual(policy.maxTaskRetries);
  const pointer = world.result(`${record.runId}/published.json`);
  expect(pointer !== undefined).toBe(record.state === 'done');
}

function checkPublished(world: World, record: RunRecord): void {
  const pointer = publishedSchema.parse(world.result(`${record.runId}/published.json`));
  expect(pointer).toMatchObject({
    runId: record.runId,
    bundleId: record.merged?.bundleId,
    attempt: record.merged?.attempt,
  });
  const file = pointer.files.find((one) => one.name === 'summary.json');
  const summary = resultSummarySchema.parse(world.result(file?.blob ?? ''));
  expect(summary.shards.map((shard) => shard.bundleId).sort()).toEqual(
    record.accepted.map((bundle) => bundle.bundleId).sort(),
  );
  expect(summary.nettingSets.map((set) => set.id)).toEqual(['NS-001', 'NS-002', 'NS-003']);
  const pointers = [...(world.containers.get('results') ?? [])].filter(([name]) => name.endsWith('published.json'));
  expect(pointers).toHaveLength(1);
}

const taskIds = ['shard-0001', 'shard-0002', 'shard-0003', 'merge'] as const;
const passing = fc.constantFrom<Exit>(30, 40, 60, 70, -9, -15, 1, null);
const chaos = fc.record({
  seed: fc.integer(),
  reconcilers: fc.constantFrom(1, 2, 2, 3),
  kills: fc.integer({ min: 0, max: 5 }),
  faults: fc.integer({ min: 0, max: 8 }),
  zombies: fc.integer({ min: 0, max: 2 }),
});
const exits = fc.record(
  Object.fromEntries(taskIds.map((id) => [id, fc.array(passing, { maxLength: policy.maxTaskRetries })])) as Record<
    (typeof taskIds)[number],
    fc.Arbitrary<Exit[]>
  >,
);
const seed = Number(process.env['XVA_TEST_SEED'] ?? Date.now() % 1_000_000_000);
const numRuns = Number(process.env['XVA_TEST_RUNS'] ?? 80);
console.info(`seed ${seed}, ${numRuns} histories per property`);
const points = new Set<string>();

async function play(
  given: Omit<Chaos, 'endings' | 'deletions' | 'cancel'> & Partial<Chaos>,
  arrange: (world: World) => void,
): Promise<{ world: World; record: RunRecord }> {
  const world = new World();
  arrange(world);
  const runId = await posted(world, 'chaos');
  const result = await drive(
    world,
    runId,
    { endings: 0, deletions: 0, cancel: false, ...given },
    { cancel: () => cancelRun(runId, 'test', { runs: world.runs, clock: clockOf(world) }) },
  );
  for (const point of result.points) points.add(point);
  const record = world.record(runId);
  checkOver(world, record);
  return { world, record };
}

describe('any number of reconcilers, killed between any two calls', () => {
  it('publish once, when every task succeeds in the end', async () => {
    await fc.assert(
      fc.asyncProperty(chaos, exits, fc.integer({ min: 0, max: 3 }), async (given, codes, quota) => {
        const { world, record } = await play(given, (fresh) => {
          for (const id of taskIds) fresh.exits.set(id, [...codes[id]]);
          fresh.quotaRefusals = quota;
        });
        expect(record).toMatchObject({ state: 'done', outcome: 'complete' });
        // The merge's job ends with it: each of its failures may take a job of its own, no other does.
        expect(record.attempt).toBeLessThanOrEqual(1 + codes.merge.length);
        expect(world.jobs.size).toBe(record.attempts.length);
        checkPublished(world, record);
      }),
      { seed, numRuns },
    );
  });

  it('go on in another job when one is ended or deleted by somebody', async () => {
    await fc.assert(
      fc.asyncProperty(
        chaos,
        fc.integer({ min: 0, max: 2 }),
        fc.integer({ min: 0, max: 1 }),
        async (given, endings, deletions) => {
          const { world, record } = await play({ ...given, endings, deletions }, () => undefined);
          expect(record).toMatchObject({ state: 'done', outcome: 'complete' });
          expect(record.attempt).toBeLessThanOrEqual(1 + endings + deletions);
          checkPublished(world, record);
        },
      ),
      { seed, numRuns },
    );
  });

  it('fail the run, and leave no job, when a task cannot succeed', async () => {
    // One reconciler may be late with a reactivation that another has done already, and so give a task a try that nobody
    // counted: never more of these than reconcilers and kills.
    const tries = policy.maxTaskRetries + 10;
    const hopeless = fc.oneof(
      fc.constantFrom<Exit>(10, 20, 2).map((exit) => [30, ...Array.from({ length: tries }, () => exit)]),
      fc.array(passing, { minLength: tries, maxLength: tries }),
    );
    await fc.assert(
      fc.asyncProperty(chaos, fc.constantFrom(...taskIds), hopeless, async (given, id, codes) => {
        const { record } = await play({ ...given, zombies: 0 }, (world) => world.exits.set(id, [...codes]));
        expect(record).toMatchObject({ state: 'failed', outcome: 'failed' });
        if (id !== 'merge') expect(record.attempt).toBe(1);
        expect(record.reasons.filter((reason) => reason.code === 'task-failed').map((one) => one.subject)).toEqual([
          expect.stringMatching(`^a[0-9]+/${id}$`),
        ]);
      }),
      { seed, numRuns },
    );
  });

  it('end the run and its jobs when it is cancelled at any moment', async () => {
    let cancelled = 0;
    await fc.assert(
      fc.asyncProperty(chaos, async (given) => {
        const { record } = await play({ ...given, cancel: true }, () => undefined);
        expect(['cancelled', 'done']).toContain(record.state);
        if (record.state === 'cancelled') cancelled += 1;
      }),
      { seed, numRuns },
    );
    expect(cancelled).toBeGreaterThan(numRuns / 4);
  });

  it('were stopped before and after every call that they make', () => {
    const calls = [...points].map((point) => point.replace(/:.*/, ''));
    for (const call of ['runs.swap', 'batch.addJob', 'batch.addTasks', 'batch.reactivateTask', 'batch.terminateJob'])
      expect(calls).toContain(call);
    for (const call of [
      'container.putIfAbsent',
      'container.openRead',
      'results.putIfAbsent',
      'work.ensureRunContainer',
    ])
      expect(calls).toContain(call);
    console.info(`crash points: ${[...points].sort().join(' ')}`);
  });
});
