import assert from 'node:assert/strict';
import { publishedSchema, resultSummarySchema, type RunRecord } from '@xva/contracts';
import { samplePackage } from '@xva/testkit';
import { acceptRun, cancelRun, isOpen, ManifestCache, pauseRun, resumeRun, type SubmitPolicy } from '../src/index.ts';
import { drive, randomFrom, type Chaos } from './actors.ts';
import { policy, World, type Exit } from './world.ts';

const clockOf = (world: World) => ({ now: () => world.date, sleep: () => Promise.resolve() });
export const taskIds = ['shard-0001', 'shard-0002', 'shard-0003', 'merge'] as const;

/** Spot nodes first, dedicated ones after, more memory where that is asked for. */
export const poolsPolicy: SubmitPolicy = { ...policy, spotPoolId: 'spot', largePoolId: 'large', maxTaskRetries: 6 };

async function posted(world: World, name: string): Promise<string> {
  const costNanos = [6e7, 6e7, 6e7];
  const sample = samplePackage({ name, nettingSets: 3, samples: 1000, gridDates: 10, costNanos });
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
function checkOver(world: World, record: RunRecord, used: SubmitPolicy): void {
  assert.equal(isOpen(record), false);
  assert.deepEqual(world.activeJobs(), [], 'no job is left active');
  const ids = record.attempts.map((attempt) => attempt.jobId);
  assert.equal(new Set(ids).size, ids.length, 'one job per attempt');
  const jobs = [...world.jobs.keys()].filter((id) => id.startsWith(record.runId));
  for (const id of jobs) assert.ok(ids.includes(id), `job ${id} is of no attempt`);
  assert.equal(new Set(record.accepted.map((bundle) => bundle.taskId)).size, record.accepted.length);
  for (const count of Object.values(record.retries)) assert.ok(count <= used.maxTaskRetries);
  for (const attempt of record.attempts) assert.notEqual(attempt.endedAt, null);
  const pointer = world.result(`${record.runId}/published.json`);
  assert.equal(pointer !== undefined, record.state === 'done');
}

/** Published once, from exactly the accepted bundles, with every netting set. */
export function checkPublished(world: World, record: RunRecord): void {
  const pointer = publishedSchema.parse(world.result(`${record.runId}/published.json`));
  assert.deepEqual(
    [pointer.runId, pointer.bundleId, pointer.attempt],
    [record.runId, record.merged?.bundleId, record.merged?.attempt],
  );
  const file = pointer.files.find((one) => one.name === 'summary.json');
  const summary = resultSummarySchema.parse(world.result(file?.blob ?? ''));
  assert.deepEqual(
    summary.shards.map((shard) => shard.bundleId).sort(),
    record.accepted.map((bundle) => bundle.bundleId).sort(),
  );
  assert.deepEqual(
    summary.nettingSets.map((set) => set.id),
    ['NS-001', 'NS-002', 'NS-003'],
  );
  const pointers = [...(world.containers.get('results') ?? [])].filter(([name]) => name.endsWith('published.json'));
  assert.equal(pointers.length, 1);
}

export type History = Omit<Chaos, 'endings' | 'deletions' | 'cancel'> & Partial<Chaos>;

const passing: readonly Exit[] = [30, 40, 60, 70, -9, -15, 1, null];

/** The history of a seed: the same everywhere, so that a number is enough to play one again. */
export function drawn(seed: number) {
  const random = randomFrom(seed);
  const upTo = (most: number): number => Math.floor(random() * (most + 1));
  const pools = random() < 0.5;
  const cancel = random() < 0.1;
  const others = random() < 0.2;
  const history: History & { readonly cancel: boolean } = {
    ...{ seed, reconcilers: 1 + upTo(2), kills: upTo(5), faults: upTo(8), zombies: upTo(2), cancel },
    ...{ preemptions: upTo(4), pauses: cancel ? 0 : upTo(3), room: [1, 2, 100][upTo(2)] ?? 1 },
    // Few enough that no run uses up its attempts.
    ...(others ? { endings: upTo(2), deletions: upTo(1) } : {}),
  };
  const exits = taskIds.map((id) => [id, Array.from({ length: upTo(3) }, () => passing[upTo(7)] ?? null)] as const);
  const quota = upTo(3);
  const arrange = (world: World): void => {
    for (const [id, codes] of exits) world.exits.set(id, [...codes]);
    world.quotaRefusals = quota;
  };
  return { history, exits, pools, arrange };
}

/** Plays one history to its end and checks what must hold of every one. @throws AssertionError, or that it is stuck */
export async function play(
  given: History,
  arrange: (world: World) => void,
  used: SubmitPolicy = policy,
): Promise<{ readonly world: World; readonly record: RunRecord; readonly points: ReadonlySet<string> }> {
  const world = new World();
  arrange(world);
  const runId = await posted(world, 'chaos');
  const deps = { runs: world.runs, clock: clockOf(world) };
  const { points } = await drive(
    world,
    runId,
    { endings: 0, deletions: 0, cancel: false, ...given },
    {
      cancel: () => cancelRun(runId, 'test', deps),
      pause: () => pauseRun(runId, 'test', deps),
      resume: () => resumeRun(runId, 'test', deps),
    },
    used,
  );
  const record = world.record(runId);
  checkOver(world, record, used);
  return { world, record, points };
}
