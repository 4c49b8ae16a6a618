import { parseArgs } from 'node:util';
import { fuzzEvents, fuzzPackages, type Tally } from '../test/fuzz.ts';

/** `--seed N [--events N] [--packages N]`: mutated events and packages; ends with 1 and the case's number when a promise broke. */
const { values } = parseArgs({
  options: { seed: { type: 'string' }, events: { type: 'string' }, packages: { type: 'string' } },
});
const seed = Number(values.seed ?? 1);
const print = (what: string, tally: Tally): void => {
  const ends = [...tally].sort(([, a], [, b]) => b - a).map(([name, count]) => `${name} ${count}`);
  process.stdout.write(`${what}, seed ${seed}: ${ends.join(', ')}\n`);
};

const events = Number(values.events ?? 100_000);
const packages = Number(values.packages ?? 10_000);
print(`${events} mutated events`, await fuzzEvents(events, seed));
print(`${packages} mutated packages`, await fuzzPackages(packages, seed + 1));
