import { parseArgs } from 'node:util';
import { randomFrom } from '../test/actors.ts';
import { checkPublished, play, poolsPolicy, taskIds, type History } from '../test/histories.ts';
import { policy, type Exit, type World } from '../test/world.ts';

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
const passing: readonly Exit[] = [30, 40, 60, 70, -9, -15, 1, null];
const started = performance.now();
const seen = { done: 0, cancelled: 0, moved: 0, attempts: 0, kills: 0 };

for (let seed = first; seed < first + count; seed += 1) {
  const random = randomFrom(seed);
  const upTo = (most: number): number => Math.floor(random() * (most + 1));
  const pools = random() < 0.5;
  const cancel = random() < 0.1;
  const others = random() < 0.2;
  const history: History = {
    ...{ seed, reconcilers: 1 + upTo(2), kills: upTo(5), faults: upTo(8), zombies: upTo(2), cancel },
    ...{ preemptions: upTo(4), pauses: cancel ? 0 : upTo(3), room: [1, 2, 100][upTo(2)] ?? 1 },
    // Few enough that no run uses up its attempts.
    ...(others ? { endings: upTo(2), deletions: upTo(1) } : {}),
  };
  const exits = taskIds.map((id) => [id, Array.from({ length: upTo(3) }, () => passing[upTo(7)] ?? null)] as const);
  const arrange = (world: World): void => {
    for (const [id, codes] of exits) world.exits.set(id, [...codes]);
    world.quotaRefusals = upTo(3);
  };
  try {
    const { world, record } = await play(history, arrange, pools ? poolsPolicy : policy);
    if (record.state === 'done') checkPublished(world, record);
    else if (!cancel || record.state !== 'cancelled') throw new Error(`it ended as ${record.state}`);
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
