import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { ended, type Started } from '../test/helpers.ts';
import { startBounded } from './bounded.ts';
import { fuzz } from './fuzz.ts';

/** `XVA_SEED=n` replays; the soak sends a hundred thousand. */
const seed = Number(process.env['XVA_SEED'] ?? Date.now() % 1_000_000);
/** Found and not mended yet: each line of FINDINGS.txt that begins with `fuzz(text):`. */
const known = [...readFileSync(join(import.meta.dirname, 'FINDINGS.txt'), 'utf8').matchAll(/^fuzz\((.+?)\):/gm)].map(
  ([, text]) => text ?? '',
);
let emulator: Started;

beforeAll(async () => {
  emulator = await startBounded();
});
afterAll(() => ended(emulator.child, 'SIGKILL'));

it('3,000 malformed requests get an error of Batch each: no crash, no hang, no growth', async () => {
  console.log(`malformed requests: XVA_SEED=${seed}`);
  const found = await fuzz({ url: emulator.endpoints.batch, pid: emulator.child.pid ?? 0, count: 3_000, seed });
  expect(found.broken.filter((line) => !known.some((text) => line.includes(text)))).toEqual([]);
  expect(emulator.child.exitCode).toBeNull();
  // The draw reaches what it is for: many codes, not one refusal at the door.
  expect([...found.answers.keys()].filter((kind) => /^4\d\d /.test(kind)).length).toBeGreaterThan(15);
  if (found.grownMb !== undefined) expect(found.grownMb).toBeLessThan(64);
});
