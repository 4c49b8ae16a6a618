import { fuzzEvents, fuzzPackages, type Tally } from './fuzz.ts';

const seed = Number(process.env['XVA_SEED'] ?? 20_261_123);
const shown = (tally: Tally): string => [...tally].map(([name, count]) => `${name} ${count}`).join(', ');

describe(`mutated input (seed ${seed}; XVA_SEED sets another)`, () => {
  it('2,000 mutated events: each is one job or one dead letter', async () => {
    const tally = await fuzzEvents(2_000, seed);
    process.stderr.write(`2,000 mutated events, seed ${seed}: ${shown(tally)}\n`);
    // A mutation that never got past the first check would prove little.
    for (const name of ['job', 'event-not-json', 'event-invalid', 'event-type-unknown']) {
      expect(tally.get(name)).toBeGreaterThan(0);
    }
  });

  it('300 mutated packages: nothing is stored under a name that its content does not give', async () => {
    const tally = await fuzzPackages(300, seed);
    process.stderr.write(`300 mutated packages, seed ${seed}: ${shown(tally)}\n`);
    for (const name of ['job', 'package-invalid', 'part-differs', 'input-api-nonsense']) {
      expect(tally.get(name)).toBeGreaterThan(0);
    }
  });
});
