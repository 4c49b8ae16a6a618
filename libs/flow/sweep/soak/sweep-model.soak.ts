import { parseArgs } from 'node:util';
import { explore } from '../test/model.ts';

/** The model of `test/model.ts` for many steps: `--seed N` (replays), `--count STEPS` (default 100,000). */
const { values } = parseArgs({ options: { seed: { type: 'string' }, count: { type: 'string' } } });
const seed = Number(values.seed ?? 1);
const count = Number(values.count ?? 100_000);
const started = Date.now();
try {
  const { steps, histories, acts } = await explore(seed, count);
  console.log(
    `sweep model: seed ${seed}, ${steps} steps in ${histories} histories, ${Math.round((Date.now() - started) / 1000)} s`,
  );
  console.log(JSON.stringify(acts));
} catch (error) {
  const cause = error instanceof Error && error.cause instanceof Error ? `\n${error.cause.message}` : '';
  const described = error instanceof Error ? `${error.message}${cause}` : String(error);
  console.error(`sweep model: seed ${seed}: a promise is broken\n${described}`);
  process.exitCode = 1;
}
