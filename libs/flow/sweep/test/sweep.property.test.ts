import fc from 'fast-check';
import { isLive, type RunRecord } from '@xva/contracts';
import { mark, sweep, sweepPolicySchema } from '../src/index.ts';
import { World } from './fakes.ts';

const policy = sweepPolicySchema.parse({
  schemaVersion: '1.0',
  name: 'model',
  minimumAgeSeconds: 100,
  reportMaxAgeSeconds: 500,
  ceiling: { percent: 100 },
  rules: {
    runs: { retainSeconds: 300 },
    orphanedRuns: { retainSeconds: 200 },
    leakedJobs: { retainSeconds: 200 },
    objects: { retainSeconds: 200 },
    requests: { retainSeconds: 200 },
    deadLetters: { retainSeconds: 200 },
  },
});
const object = (digit: number): string => digit.toString(16).repeat(64).slice(0, 64);
const runOf = (index: number): string => `xva-20260930-rates-${String.fromCharCode(97 + index).repeat(14)}`;
const packageOf = (index: number): { id: string; objects: readonly string[] } => {
  const id = object(8 + (index % 6));
  return { id, objects: [id, object(index % 4), object((index + 1) % 4)] };
};

class Killed extends Error {}

/** The invariant: whatever happened, a run that is live, pinned or unpublished still has all that it needs. */
function checkNothingNeededIsGone(world: World, needed: ReadonlyMap<string, readonly string[]>): void {
  for (const [runId, { record }] of world.records) {
    const unpublished = record.state === 'done' && !world.published.has(runId);
    if (!(isLive(record.state) || unpublished)) continue;
    expect(world.containers.has(record.container)).toBe(true);
    // What an ended run has to show is in its container; its job may go as leaked.
    if (isLive(record.state)) expect(world.jobs.has(`${runId}-a1`)).toBe(true);
    for (const name of needed.get(runId) ?? [])
      expect([runId, name, world.blobs.object.has(name)]).toEqual([runId, name, true]);
  }
}

const step = fc.oneof(
  fc.record({ do: fc.constant('submit' as const), run: fc.nat(5) }),
  fc.record({
    do: fc.constant('finish' as const),
    run: fc.nat(5),
    state: fc.constantFrom<RunRecord['state']>('done', 'failed', 'cancelled', 'publishing'),
  }),
  fc.record({ do: fc.constant('publish' as const), run: fc.nat(5) }),
  fc.record({ do: fc.constant('pin' as const), run: fc.nat(5) }),
  fc.record({ do: fc.constant('wait' as const), seconds: fc.nat(400) }),
  fc.record({ do: fc.constant('mark' as const) }),
  fc.record({ do: fc.constant('sweep' as const), killAt: fc.nat(30) }),
);

describe('any interleaving of submissions, ends, pins, marks and killed sweeps', () => {
  it('never takes what is needed, and takes every orphan in the end', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 5, maxLength: 60 }), async (steps) => {
        const world = new World();
        const needed = new Map<string, readonly string[]>();
        let report: Awaited<ReturnType<typeof mark>> | undefined;
        for (const action of steps) {
          world.interrupt = () => undefined;
          if (action.do === 'wait') world.now += action.seconds * 1000;
          if (action.do === 'mark') report = await mark(world.deps(), policy, `r${world.reports.size}`);
          if (action.do === 'submit' && !world.records.has(runOf(action.run))) {
            const { id, objects } = packageOf(action.run);
            // The uploader touches what is there already, so its age starts anew and its version changes.
            for (const name of objects) world.putBlob('object', name);
            world.packages.set(id, objects);
            world.addRun(runOf(action.run), 'running', id);
            needed.set(runOf(action.run), objects);
          }
          const current = 'run' in action ? world.records.get(runOf(action.run))?.record.state : undefined;
          if (action.do === 'finish' && current !== undefined && isLive(current))
            world.setState(runOf(action.run), action.state);
          if (action.do === 'publish' && current === 'done') world.published.add(runOf(action.run));
          if (action.do === 'pin' && current !== undefined) world.pinned.add(runOf(action.run));
          if (action.do === 'sweep' && report !== undefined) {
            let calls = 0;
            world.interrupt = () => {
              calls += 1;
              // Dead is dead: every call after the kill fails too.
              if (calls >= action.killAt) throw new Killed();
            };
            await sweep(world.deps(), policy, report, { approved: true, signal: new AbortController().signal }).catch(
              (error: unknown) => {
                if (!(error instanceof Killed)) throw error;
              },
            );
          }
          checkNothingNeededIsGone(world, needed);
        }
        // Everything ends and is published, time passes: whatever is not pinned must be gone after three cycles.
        world.interrupt = () => undefined;
        for (const [runId, { record }] of world.records) {
          if (isLive(record.state)) world.setState(runId, 'done');
          world.published.add(runId);
        }
        for (let round = 0; round < 3; round += 1) {
          world.now += 3_600_000;
          const last = await mark(world.deps(), policy, `last${round}`);
          await sweep(world.deps(), policy, last, { approved: true, signal: new AbortController().signal });
        }
        const kept = [...world.records.values()]
          .filter(({ record }) => record.state !== 'swept')
          .map(({ record }) => record.runId);
        expect(kept.every((runId) => world.pinned.has(runId))).toBe(true);
        const keptObjects = new Set(kept.flatMap((runId) => needed.get(runId) ?? []));
        expect([...world.blobs.object.keys()].filter((name) => !keptObjects.has(name))).toEqual([]);
        expect([...world.containers.keys()].sort()).toEqual(kept.map((runId) => `run-${runId}`).sort());
      }),
      { numRuns: 300 },
    );
  });
});
