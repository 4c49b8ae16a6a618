import { mark, sweep, sweepPolicySchema, type SweepOutcome, type SweepPolicy } from '../src/index.ts';
import { World } from './fakes.ts';

export const hash = (digit: string): string => digit.repeat(64);
export const runA = 'xva-20260930-rates-aaaaaaaaaaaaaa';
export const runB = 'xva-20260930-rates-bbbbbbbbbbbbbb';
export const policyOf = (rules: object, more: object = {}): SweepPolicy =>
  sweepPolicySchema.parse({
    schemaVersion: '1.0',
    name: 'test',
    minimumAgeSeconds: 60,
    ceiling: { percent: 100 },
    rules,
    ...more,
  });
export const all = policyOf({
  runs: { retainSeconds: 3600 },
  orphanedRuns: { retainSeconds: 600 },
  leakedJobs: { retainSeconds: 600 },
  objects: { retainSeconds: 600 },
  requests: { retainSeconds: 600 },
  deadLetters: { retainSeconds: 600 },
});

/** A run that is over, one that runs, what nobody needs, and what is foreign. */
export function seeded(): World {
  const world = new World();
  world.packages.set(hash('1'), [hash('1'), hash('2'), hash('3')]);
  world.packages.set(hash('4'), [hash('4'), hash('2')]);
  for (const digit of '12345') world.put(`objects/${hash(digit)}`);
  world.put('objects/readme.txt');
  world.addRun(runA, 'done', hash('1'), world.date.toISOString());
  world.published.add(runA);
  world.addRun(runB, 'running', hash('4'));
  world.addContainer('run-xva-20260930-rates-cccccccccccccc');
  world.addContainer('run-notes');
  world.addJob('xva-20260930-rates-cccccccccccccc-a1', 'active');
  world.addJob('someone-elses-job', 'completed');
  world.put(`requests/${'f'.repeat(32)}.json`);
  world.put('deadletters/dl.json');
  return world;
}

export async function cycle(world: World, policy: SweepPolicy, approved?: string): Promise<SweepOutcome> {
  const report = await mark(world.deps(), policy, `r-${world.reports.size}`);
  return sweep(world.deps(), policy, report, { approved, signal: new AbortController().signal });
}
