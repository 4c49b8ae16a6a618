import { readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { BareLoop, startPoller } from './peers.ts';
import { drainThin } from './thin.ts';
import { startWorld, type Running, type World } from './world.ts';

/**
 * `npm run bench -- detect [--quick] [--thin ROWS]`: commit to published, and statements a second, for every mode and for plain pollers,
 * one after another on the same emulators; then a backlog against a bare loop, alternating. Aims are printed beside what
 * was reached; they are no test.
 */
const isQuick = process.argv.includes('--quick');
const rows = isQuick ? 12 : 60;
const idleMs = isQuick ? 3_000 : 8_000;
const backlogRows = isQuick ? 100 : 1_000;
const backlogPairs = isQuick ? 1 : 3;
const thinRows = Number(process.argv[process.argv.indexOf('--thin') + 1] ?? '') || (isQuick ? 1_000 : 20_000);

const condition = `SELECT Book, CONVERT(varchar(10), AsOf, 23) AS AsOf, Cut, Scenario, Revision, BaseCurrency, Samples, Seed, CONVERT(varchar(42), Quantile) AS Quantile, DvaName, GridTenors, Strict, Priority, Traceparent FROM xva.RunRequest WHERE Status = 0`;
const fast = 'window: { lengthMs: 60000, minDelayMs: 5, maxDelayMs: 8 }';
const modes = ['outbox', 'rowversion', 'changeTracking', 'query'] as const;
let names = 0;

function definitionOf(mode: (typeof modes)[number], more = ''): string {
  names += 1;
  const own = mode === 'outbox' ? '' : `, start: now${mode === 'query' ? `, sql: "${condition}", maxRows: 10000` : ''}`;
  return `{ name: bench-${names}, mode: ${mode}${own}${more === '' ? '' : `, ${more}`} }`;
}

function quantile(values: readonly number[], part: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * part))] ?? NaN;
}

async function until(what: string, done: () => boolean): Promise<void> {
  const deadline = performance.now() + 120_000;
  while (!done()) {
    if (performance.now() > deadline) throw new Error(`not within two minutes: ${what}`);
    await sleep(5);
  }
}

/** Rows that came before the first reading are there already for a definition that starts now: so one more, until one fires. */
async function warmUp(world: World): Promise<void> {
  const deadline = performance.now() + 60_000;
  for (;;) {
    const [warm] = await world.insert(1);
    const tryUntil = performance.now() + 1_500;
    while (performance.now() < tryUntil) {
      if (world.publishedAt.has(warm ?? 0)) return;
      await sleep(10);
    }
    if (performance.now() > deadline) throw new Error('no event within a minute');
  }
}

interface Measured {
  readonly p50: number;
  readonly p95: number;
  readonly p99: number;
  readonly idlePerSecond: number;
  readonly busyPerSecond: number;
}

/** Rows committed at moments that have nothing to do with any poller's rhythm. */
async function measure(world: World, start: () => Promise<Running>): Promise<Measured> {
  const running = await start();
  await warmUp(world);
  await sleep(1_500);
  await world.statements();
  await sleep(idleMs);
  const idle = await world.statements();
  const committed = new Map<number, number>();
  const began = performance.now();
  for (let count = 0; count < rows; count += 1) {
    await sleep(50 + Math.random() * 350);
    const [revision] = await world.insert(1);
    committed.set(revision ?? 0, Date.now());
  }
  await until('all events', () => [...committed.keys()].every((revision) => world.publishedAt.has(revision)));
  const busyMs = performance.now() - began;
  const busy = await world.statements();
  await running.stop();
  await world.query('UPDATE xva.RunRequest SET Status = 2 WHERE Status <> 2');
  const latencies = [...committed].map(([revision, at]) => (world.publishedAt.get(revision) ?? NaN) - at);
  return {
    p50: quantile(latencies, 0.5),
    p95: quantile(latencies, 0.95),
    p99: quantile(latencies, 0.99),
    idlePerSecond: (idle * 1000) / idleMs,
    busyPerSecond: (busy * 1000) / busyMs,
  };
}

function line(name: string, measured: Measured, aim = ''): void {
  const ms = (value: number): string => `${value.toFixed(0)} ms`.padStart(8);
  const { p50, p95, p99, idlePerSecond, busyPerSecond } = measured;
  const rate = (value: number): string => value.toFixed(1).padStart(6);
  console.log(
    `${name.padEnd(34)} p50 ${ms(p50)}  p95 ${ms(p95)}  p99 ${ms(p99)}   statements/s idle ${rate(idlePerSecond)}  busy ${rate(busyPerSecond)}  ${aim}`,
  );
}

const reached = (isIt: boolean): string => (isIt ? 'reached' : 'MISSED');

async function latencies(world: World): Promise<void> {
  console.log(
    `\ncommit → accepted by the hub, ${rows} rows of 60 trades at random moments (statements: claims, details, completions)`,
  );
  line('plain poller, 1,000 ms / 100 rows', await measure(world, () => startPoller(world, 1_000, 100)));
  line('plain poller, 500 ms', await measure(world, () => startPoller(world, 500, 100)));
  for (const mode of modes) {
    const usual = await measure(world, () => world.startIntegrator(definitionOf(mode)));
    line(
      `${mode}, default`,
      usual,
      `${reached(usual.p99 <= 1_000 && usual.idlePerSecond <= 5)} (p99 1 s, 5/s in a window)`,
    );
    const quick = await measure(world, () => world.startIntegrator(definitionOf(mode, fast)));
    line(`${mode}, fast`, quick, `${reached(quick.p50 < 20 && quick.p99 < 60)} (p50 20 ms, p99 60 ms)`);
  }
}

function residentMiB(pid: number): number {
  const status = readFileSync(`/proc/${pid}/status`, 'utf8');
  return Number(/VmHWM:\s+(\d+) kB/.exec(status)?.[1] ?? NaN) / 1024;
}

/** Inserts while nobody looks, then measures from the start of the work to the last event. */
async function drain(world: World, work: (revisions: readonly number[]) => Promise<void>): Promise<number> {
  const revisions = await world.insert(backlogRows);
  const began = performance.now();
  await work(revisions);
  return (backlogRows * 1000) / (performance.now() - began);
}

async function backlog(world: World): Promise<void> {
  console.log(
    `\nbacklog of ${backlogRows} requests with details, drained (4 rows side by side on 4 connections, both sides)`,
  );
  const ratios: number[] = [];
  let peak = 0;
  for (let pair = 0; pair < backlogPairs; pair += 1) {
    const loop = new BareLoop(world, 4);
    const bare = async () =>
      drain(world, async () => {
        while ((await loop.pass(20, 4)) > 0);
      });
    const ours = async () => {
      // The process is up and hot before the clock starts, as the loop is.
      const running = await world.startIntegrator(definitionOf('outbox', fast));
      await warmUp(world);
      const rate = await drain(world, (revisions) =>
        until(
          'the backlog',
          () => world.publishedAt.has(revisions.at(-1) ?? 0) && revisions.every((one) => world.publishedAt.has(one)),
        ),
      );
      peak = Math.max(peak, residentMiB(running.pid));
      await running.stop();
      return rate;
    };
    await loop.pass(20, 4);
    const [first, second] = pair % 2 === 0 ? [await bare(), await ours()] : [await ours(), await bare()];
    const [b, o] = pair % 2 === 0 ? [first, second] : [second, first];
    await loop.close();
    ratios.push(o / b);
    console.log(
      `  pair ${pair + 1}: bare ${b.toFixed(0)} rows/s, integrator ${o.toFixed(0)} rows/s, ratio ${(o / b).toFixed(2)}`,
    );
  }
  const median = quantile(ratios, 0.5);
  console.log(
    `  ratio median ${median.toFixed(2)}: ${reached(median >= 0.8)} (aim 0.8); integrator's peak RSS ${peak.toFixed(0)} MiB`,
  );
}

async function thin(world: World): Promise<void> {
  console.log(
    `\nthin rows (no details), ${thinRows} of them in pages of 500, 250 at a time, store and hub in memory: what the database side costs`,
  );
  for (const table of ['NettingSet', 'Trade', 'Quote']) await world.query(`DELETE FROM xva.${table}`);
  // Nobody tracks the changes of an outbox: that was for another mode.
  await world.query('ALTER TABLE xva.RunRequest DISABLE CHANGE_TRACKING');
  const { rowsPerSecond, floorRowsPerSecond, heapAtTenthMiB, heapAtEndMiB } = await drainThin(
    world.simulator,
    (count) => world.insert(count),
    thinRows,
  );
  console.log(
    `  ${rowsPerSecond.toFixed(0)} rows/s: ${reached(rowsPerSecond >= 5_000)} (aim 5,000); the simulator alone, same statements: ${floorRowsPerSecond.toFixed(0)} rows/s, ratio ${(rowsPerSecond / floorRowsPerSecond).toFixed(2)}`,
  );
  console.log(`  heap ${heapAtTenthMiB.toFixed(1)} MiB after a tenth, ${heapAtEndMiB.toFixed(1)} MiB at the end`);
}

const world = await startWorld();
try {
  await latencies(world);
  await backlog(world);
  await thin(world);
} finally {
  await world.stop();
}
