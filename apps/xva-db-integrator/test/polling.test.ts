import type { DetectDeps } from '@xva/flow-detect';
import { silentLogger, type Clock } from '@xva/runtime';
import { parseDefinitions } from '@xva/sql-polling';
import { FakePublisher, FakeRequestStore, FakeRequestTable, type RequestFields } from '@xva/testkit';
import { Registry } from 'prom-client';
import { createMetrics } from '../src/metrics.ts';
import { runSchedule } from '../src/polling.ts';

const start = Date.parse('2026-09-30T18:00:30Z');

/** Runs a definition in virtual time: sleeping moves the clock, polling takes `pollMs`. */
async function play(yaml: string, options: { forMs: number; pollMs?: number; rows?: readonly RequestFields[] }) {
  const [definition] = parseDefinitions(`version: 1\ndefinitions:\n  - { name: a, mode: outbox, ${yaml} }\n`, 'p.yaml');
  const table = new FakeRequestTable();
  for (const row of options.rows ?? []) table.insert(row);
  const publisher = new FakePublisher();
  const stop = new AbortController();
  let now = start;
  const move = (ms: number): void => {
    now += ms;
    if (now >= start + options.forMs) stop.abort();
  };
  const clock: Clock = {
    now: () => new Date(now),
    sleep: async (ms, signal) => {
      // The lease's timer: its end is the end of the row.
      if (signal !== undefined && signal !== stop.signal) {
        return new Promise((resolve) => signal.addEventListener('abort', () => resolve(), { once: true }));
      }
      move(ms);
      return Promise.resolve();
    },
  };
  const polls: number[] = [];
  const source = table.source();
  const detect: DetectDeps = {
    definition: 'a',
    source: {
      ...source,
      claim: (limit) => {
        polls.push(now - start);
        move(options.pollMs ?? 1);
        return source.claim(limit);
      },
    },
    store: new FakeRequestStore(),
    publisher,
    clock,
    random: () => 0,
    logger: silentLogger,
    leaseMs: 60_000,
    blame: () => 'row',
    crashPoint: () => undefined,
  };
  const registry = new Registry();
  const metrics = createMetrics(registry);
  const running = runSchedule({
    definition: definition!,
    detect,
    rowConcurrency: 2,
    clock,
    random: () => 0,
    metrics,
    logger: silentLogger,
    stopTaking: stop.signal,
  });
  return { polls, running, publisher, registry };
}

const windowOf = (minDelayMs: number, maxDelayMs: number, lengthMs: number): string =>
  `window: { minDelayMs: ${minDelayMs}, maxDelayMs: ${maxDelayMs}, lengthMs: ${lengthMs} }`;

describe('a schedule', () => {
  it('with a window as long as its period never stops looking', async () => {
    const { polls, running } = await play(windowOf(200, 1_000, 60_000), { forMs: 300_000, pollMs: 7 });
    await running;
    const gaps = polls.slice(1).map((at, index) => at - polls[index]!);
    expect(polls[0]).toBe(0);
    expect(Math.max(...gaps)).toBeLessThanOrEqual(1_100);
    // Slows down to once a second in every window.
    expect(polls.length).toBeLessThan(360);
  });

  it('waits for its tick when missed ones are to be dropped', async () => {
    const schedule = 'schedule: { cron: "* * * * *", misfire: none }';
    const { polls, running } = await play(`${schedule}, ${windowOf(1_000, 1_000, 2_000)}`, { forMs: 95_000 });
    await running;
    expect(polls.map((at) => Math.floor(at / 1000))).toEqual([30, 31, 32, 90, 91, 92]);
  });

  // Windows of 95 s on every minute, looked at for 7 minutes from 18:00:30: skipping, those of 18:00, 18:02, 18:04 and
  // 18:06; queueing, each tick's own, the later ones begun late and ended on time.
  it.each([
    ['skip', 4],
    ['queue', 8],
  ])('with windows longer than the period and %s has %i windows', async (overlap, windows) => {
    const schedule = `schedule: { cron: "* * * * *", misfire: last, overlap: ${overlap} }`;
    const { registry, running } = await play(`${schedule}, ${windowOf(5_000, 5_000, 95_000)}`, { forMs: 420_000 });
    await running;
    const metric = (await registry.getSingleMetric('xva_integrator_ticks_total')!.get()).values;
    const run = metric.find(({ labels }) => labels['outcome'] === 'run');
    expect(run?.value).toBe(windows);
  });

  it('finds at once what came while nobody ran, and counts it', async () => {
    const rows = [{ revision: 1 }, { revision: 2 }];
    const options = { forMs: 3_000, rows };
    const schedule = 'schedule: { cron: "0 3 * * *" }';
    const { publisher, running, registry } = await play(`${schedule}, ${windowOf(200, 1_000, 1_000)}`, options);
    await running;
    expect(publisher.events).toHaveLength(2);
    expect(await registry.metrics()).toContain('xva_integrator_rows_total{definition="a",outcome="published"} 2');
  });
});
