import { explore } from './model.ts';

describe('any interleaving of submissions, ends, retries, pins, restores, clock steps and two sweepers that may be killed', () => {
  it('never takes what is needed, takes every orphan in the end, and gives back the same bytes (20,000 steps)', async () => {
    const seed = Number(process.env['XVA_SEED'] ?? 20260930);
    const { steps, acts } = await explore(seed, 20_000);
    expect(steps).toBeGreaterThanOrEqual(20_000);
    // A history that never gets so far would prove nothing.
    expect(Object.keys(acts).sort()).toEqual(
      [
        'advance',
        'came back',
        'finish',
        'kill',
        'mark',
        'pin',
        'pinTaken',
        'pinned late',
        'post',
        'publish',
        'restore',
        'retry',
        'stray',
        'sweep',
        'unpin',
        'upload',
        'wait',
      ].sort(),
    );
  });
});
