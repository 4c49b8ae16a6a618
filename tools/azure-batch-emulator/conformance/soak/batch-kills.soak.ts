import { parseArgs } from 'node:util';
import { killRounds } from '../kills.ts';

/** `--seed N --kills 200`. Ends with 1 on a broken promise; the state is then kept and named. */
const { values } = parseArgs({
  options: { seed: { type: 'string', default: '1' }, kills: { type: 'string', default: '200' } },
});
const started = performance.now();
const found = await killRounds({
  kills: Number(values.kills),
  seed: Number(values.seed),
  tell: (line) => console.log(line),
});
console.log(
  `seed ${values.seed}: ${found.kills} kills, ${found.jobs} jobs and ${found.tasks} tasks acknowledged, ${found.requeued} requeued, ` +
    `${found.ranAgain} came to their end more than once, each told by its requeue count; ${((performance.now() - started) / 1_000).toFixed(0)} s`,
);
for (const line of found.broken) console.log(`BROKEN ${line}`);
process.exitCode = found.broken.length > 0 ? 1 : 0;
