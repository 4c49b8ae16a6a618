import { parseArgs } from 'node:util';
import { ended } from '../../test/helpers.ts';
import { startBounded } from '../bounded.ts';
import { fuzz } from '../fuzz.ts';

/** `--seed N --count 100000`; `--only N` sends the one request of that number and shows it. Ends with 1 on a broken promise. */
const { values } = parseArgs({
  options: {
    seed: { type: 'string', default: '1' },
    count: { type: 'string', default: '100000' },
    only: { type: 'string' },
  },
});
const seed = Number(values.seed);
const count = Number(values.count);
const only = values.only === undefined ? undefined : Number(values.only);
const emulator = await startBounded();
const started = performance.now();
const found = await fuzz({ url: emulator.endpoints.batch, pid: emulator.child.pid ?? 0, count, seed, only });
const died = emulator.child.exitCode !== null || emulator.child.signalCode !== null;
await ended(emulator.child, 'SIGKILL');
console.log(
  `seed ${seed}: ${found.sent} malformed requests in ${((performance.now() - started) / 1_000).toFixed(0)} s`,
);
for (const [kind, times] of [...found.answers].sort((a, b) => b[1] - a[1]))
  console.log(`  ${String(times).padStart(7)}  ${kind}`);
for (const line of found.broken) console.log(`BROKEN ${line}`);
if (emulator.said.length > 0) console.log(`the emulator said:\n${emulator.said.join('').slice(0, 4_000)}`);
const grown = found.grownMb ?? 0;
console.log(`${died ? 'the emulator DIED' : 'the emulator lives'}; it grew by ${grown.toFixed(0)} MB`);
process.exitCode = found.broken.length > 0 || died || grown > 64 ? 1 : 0;
