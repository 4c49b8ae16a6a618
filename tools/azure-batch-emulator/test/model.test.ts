import { modelRuns } from './model-runs.ts';

/** `XVA_SEED=n` replays. */
const seed = Number(process.env['XVA_SEED'] ?? Date.now() % 1_000_000);

it('jobs, tasks and schedules move only as Batch lets them, with times that grow and counts that agree', async () => {
  console.log(`model: XVA_SEED=${seed}`);
  const { failure, reports, runs, transitions } = await modelRuns(seed, 25);
  expect(failure).toBeUndefined();
  expect(reports).toEqual([]);
  expect(runs).toBeGreaterThan(0);
  expect(transitions.size).toBeGreaterThan(2);
});
