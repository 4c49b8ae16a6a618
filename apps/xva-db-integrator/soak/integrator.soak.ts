import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { startWorld, type Running, type World } from '../bench/world.ts';

/**
 * Two integrators on one database and one hub, one of them killed with -9 again and again at drawn moments, while a writer
 * inserts and both sides misbehave: deadlocks, lock time-outs, failovers, dropped connections, slow answers, a busy hub,
 * lost acknowledgements, now and then a database or a hub that is killed itself. Every row comes out as one event.
 * `--count` kills (200), one mode after another; `--seed` replays the moments, the rows and the faults; `--calm` leaves the
 * faults out.
 */
const { values } = parseArgs({
  options: {
    seed: { type: 'string', default: '1' },
    count: { type: 'string', default: '200' },
    calm: { type: 'boolean', default: false },
  },
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

const pick = <T>(some: readonly T[]): T => {
  const one = some[Math.floor(random() * some.length)];
  if (one === undefined) throw new Error('nothing to pick from');
  return one;
};

/** The writer only inserts, so that queries and updates are the integrators'. */
const ofSql = [
  { kind: 'error', number: 1205 },
  { kind: 'error', number: 1222 },
  { kind: 'error', number: 40613 },
  { kind: 'error', number: 10928 },
  { kind: 'drop' },
  { kind: 'drop', after: true },
  { kind: 'dropMidResult', rows: 1 },
  { kind: 'latency', ms: 300 },
] as const;
const ofHub = [
  { kind: 'reject', condition: 'com.microsoft:server-busy' },
  { kind: 'killBeforeWrite' },
  { kind: 'killAfterWrite' },
  { kind: 'dropAck' },
  { kind: 'delay', ms: 300 },
] as const;
const counts: Record<string, number> = {};

/** One thing that goes wrong, more or less often. */
async function misbehave(world: World): Promise<void> {
  const times = 1 + Math.floor(random() * 3);
  const chance = random();
  if (chance < 0.04) {
    counts['database killed'] = (counts['database killed'] ?? 0) + 1;
    await world.simulator.crash();
    await world.reconnect();
  } else if (chance < 0.08) {
    counts['hub killed'] = (counts['hub killed'] ?? 0) + 1;
    await world.hub.kill();
    await sleep(random() * 500);
    await world.hub.restart();
  } else if (chance < 0.6) {
    const action = pick(ofSql);
    const name = `SQL ${'number' in action ? action.number : action.kind}`;
    counts[name] = (counts[name] ?? 0) + 1;
    await world.simulator.arm({ point: 'statement', match: { kind: pick(['query', 'update']) }, times, action });
  } else {
    const action = pick(ofHub);
    counts[`hub ${action.kind}`] = (counts[`hub ${action.kind}`] ?? 0) + 1;
    await world.hub.arm({ point: 'send', match: {}, times, action });
  }
}

let broken = 0;
for (const [mode, text] of Object.entries(modes)) {
  const world = await startWorld();
  const definition = `{ name: soak, ${text}, ${window} }`;
  const start = (): Promise<Running> => world.startIntegrator(definition);
  const replicas: Running[] = [await start(), await start()];
  const revisions: number[] = [];
  const mine = Math.ceil(kills / Object.keys(modes).length);
  for (let kill = 0; kill < mine; kill += 1) {
    revisions.push(...(await world.insert(1 + Math.floor(random() * 4))));
    if (!values.calm && random() < 0.7) await misbehave(world);
    await sleep(random() * 900);
    const which = Math.floor(random() * replicas.length);
    const killed = replicas[which];
    if (killed !== undefined) process.kill(killed.pid, 'SIGKILL');
    replicas[which] = await start();
  }
  await world.simulator.clearFaults();
  await world.hub.clearFaults();
  const deadline = performance.now() + 240_000;
  while (!revisions.every((one) => world.publishedAt.has(one)) && performance.now() < deadline) await sleep(50);
  const lost = revisions.filter((one) => !world.publishedAt.has(one));
  const doubled = revisions.filter((one) => (world.idsOf.get(one)?.size ?? 0) > 1);
  for (const replica of replicas) await replica.stop();
  await world.stop();
  console.log(
    `${mode}: ${mine} kills, ${revisions.length} rows, ${lost.length} lost, ${doubled.length} doubled (seed ${values.seed})`,
  );
  broken += lost.length + doubled.length;
}
console.log(JSON.stringify(counts));
process.exitCode = broken === 0 ? 0 : 1;
