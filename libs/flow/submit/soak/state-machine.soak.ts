import { parseArgs } from 'node:util';
import { checkPublished, drawn, play, poolsPolicy } from '../test/histories.ts';
import { policy } from '../test/world.ts';

/**
 * `--seed N --count N`: histories of a run with several reconcilers, killed between any two calls, lost replies, failing
 * and preempted tasks, pauses, ended and deleted jobs, cancellations. Ends with 1 on the first broken promise, and names
 * the history's own seed: `--seed <that> --count 1` plays it again.
 */
const { values } = parseArgs({
  options: { seed: { type: 'string', default: '1' }, count: { type: 'string', default: '20000' } },
});
const first = Number(values.seed);
const count = Number(values.count);
const started = performance.now();
const seen = { done: 0, cancelled: 0, moved: 0, attempts: 0, kills: 0 };

for (let seed = first; seed < first + count; seed += 1) {
  const { history, exits, pools, arrange } = drawn(seed);
  try {
    const { world, record } = await play(history, arrange, pools ? poolsPolicy : policy);
    if (record.state === 'done') checkPublished(world, record);
    else if (!history.cancel || record.state !== 'cancelled') throw new Error(`it ended as ${record.state}`);
    seen[record.state === 'done' ? 'done' : 'cancelled'] += 1;
    seen.attempts += record.attempts.length;
    seen.kills += history.kills;
    if (record.attempts.some((attempt) => attempt.poolClass !== record.attempts[0]?.poolClass)) seen.moved += 1;
  } catch (error) {
    console.error(`seed ${seed}: ${JSON.stringify({ history, exits, pools })}`);
    console.error(error);
    process.exit(1);
  }
}
const seconds = (performance.now() - started) / 1000;
console.log(
  `${count} histories in ${seconds.toFixed(1)} s, seeds ${first} to ${first + count - 1}: ${seen.done} published once, ` +
    `${seen.cancelled} cancelled, ${seen.moved} through several pools, ${seen.attempts} jobs for ${seen.attempts} attempts, none left active`,
);
