import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { startWorld, type Running } from '../bench/world.ts';

/**
 * Two integrators on one database, each killed with -9 again and again at drawn moments, while a writer inserts: every row
 * comes out as one event. `--count` kills (200), one mode after another; `--seed` replays the moments and the rows.
 */
const { values } = parseArgs({
  options: { seed: { type: 'string', default: '1' }, count: { type: 'string', default: '200' } },
});
const kills = Number(values.count);
let state = Number(values.seed) >>> 0 || 1;
/** Mulberry32. */
const random = (): number => {
  state = (state + 0x6d2b79f5) >>> 0;
  let t = state;
  t = Math.imul(t ^ (t >>> 15), t | 1);
  t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
  return ((t ^ (t >>> 14)) >>> 0) / 4_294_967_296;
};
const condition = `SELECT Book, CONVERT(varchar(10), AsOf, 23) AS AsOf, Cut, Scenario, Revision, BaseCurrency, Samples, Seed, CONVERT(varchar(42), Quantile) AS Quantile, DvaName, GridTenors, Strict, Priority, Traceparent FROM xva.RunRequest`;
const modes = {
  outbox: 'mode: outbox',
  rowversion: 'mode: rowversion, start: beginning',
  changeTracking: 'mode: changeTracking, start: beginning',
  query: `mode: query, start: beginning, maxRows: 10000, sql: "${condition}"`,
} as const;
const window = 'leaseSeconds: 2, maxAttempts: 100, window: { lengthMs: 60000, minDelayMs: 20, maxDelayMs: 100 }';

let broken = 0;
for (const [mode, text] of Object.entries(modes)) {
  const world = await startWorld();
  const definition = `{ name: soak, ${text}, ${window} }`;
  const replicas: (Running | undefined)[] = [undefined, undefined];
  const revisions: number[] = [];
  const mine = Math.ceil(kills / Object.keys(modes).length);
  for (let kill = 0; kill < mine; kill += 1) {
    const which = kill % 2;
    replicas[which] ??= await world.startIntegrator(definition);
    revisions.push(...(await world.insert(1 + Math.floor(random() * 4))));
    await sleep(random() * 900);
    process.kill(replicas[which].pid, 'SIGKILL');
    replicas[which] = undefined;
  }
  for (const replica of replicas) await replica?.stop();
  const last = await world.startIntegrator(definition);
  const deadline = performance.now() + 120_000;
  while (!revisions.every((one) => world.publishedAt.has(one)) && performance.now() < deadline) await sleep(50);
  const lost = revisions.filter((one) => !world.publishedAt.has(one));
  const doubled = revisions.filter((one) => (world.idsOf.get(one)?.size ?? 0) > 1);
  await last.stop();
  await world.stop();
  console.log(
    `${mode}: ${mine} kills, ${revisions.length} rows, ${lost.length} lost, ${doubled.length} doubled (seed ${values.seed})`,
  );
  broken += lost.length + doubled.length;
}
process.exitCode = broken === 0 ? 0 : 1;
