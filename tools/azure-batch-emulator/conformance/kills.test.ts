import { killRounds } from './kills.ts';

/** `XVA_SEED=n` draws the same moments again; the soak kills two hundred times. */
const seed = Number(process.env['XVA_SEED'] ?? Date.now() % 1_000_000);

it('four kills -9 under load lose nothing that was acknowledged and hide no second run', async () => {
  console.log(`kills: XVA_SEED=${seed}`);
  const found = await killRounds({ kills: 4, seed });
  expect(found.broken).toEqual([]);
  expect(found.tasks).toBeGreaterThan(10);
});
