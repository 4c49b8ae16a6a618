import type { DetectDeps } from '@xva/flow-detect';
import { silentLogger, type Clock } from '@xva/runtime';
import { cronTicks, parseDefinitions } from '@xva/sql-polling';
import { FakePublisher, FakeRequestStore, FakeRequestTable, sourceRowOf, type RequestFields } from '@xva/testkit';
import { Registry } from 'prom-client';
import { createMetrics } from '../src/metrics.ts';
import { runSchedule, runTick, runWindow, type PollingDeps, type TickedSource } from '../src/polling.ts';

const start = Date.parse('2026-09-30T18:00:30Z');

/** Runs a definition in virtual time: sleeping moves the clock, polling takes `pollMs`. */
async function play(
  yaml: string,
  options: { forMs: number; pollMs?: number; aheadMs?: number; rows?: readonly RequestFields[] },
) {
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
    // Wrong for the first ten seconds.
    now: () => new Date(now + (now < start + 10_000 ? (options.aheadMs ?? 0) : 0)),
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

const untilEnd = (signal?: AbortSignal): Promise<void> =>
  new Promise((resolve) => signal?.addEventListener('abort', () => resolve(), { once: true }));

/** A schedule's ticks by hand, on a ledger that one leader at a time may read and write. */
function ticking(misfire: string, ledger: { tick: Date | null; leads: boolean }) {
  const [definition] = parseDefinitions(
    `version: 1\ndefinitions:\n  - { name: a, mode: rowversion, start: now, window: { lengthMs: 2000, minDelayMs: 500, maxDelayMs: 500 }, schedule: { cron: "0 18 * * *", misfire: ${misfire} } }\n`,
    'p.yaml',
  );
  let now = Date.parse('2026-09-30T18:00:00Z');
  const polled: string[] = [];
  let current: Date | undefined;
  const ticked: TickedSource = {
    begin: (tick) => void (current = tick),
    last: () => Promise.resolve(ledger.leads ? ledger.tick : undefined),
    done: (tick) => {
      if (ledger.leads) ledger.tick = tick;
      return Promise.resolve();
    },
  };
  const clock: Clock = {
    now: () => new Date(now),
    sleep: (ms) => {
      now += ms;
      return Promise.resolve();
    },
  };
  const onPoll = { call: (): void => undefined };
  const detect: DetectDeps = {
    definition: 'a',
    source: {
      ...new FakeRequestTable().source(),
      claim: () => {
        polled.push(current?.toISOString().slice(5, 10) ?? 'none');
        onPoll.call();
        return Promise.resolve({ claimed: [], poisoned: [] });
      },
    },
    store: new FakeRequestStore(),
    publisher: new FakePublisher(),
    // A row's only sleep is the lease's timer, which ends with the row.
    clock: { now: () => new Date(now), sleep: (_ms, signal) => untilEnd(signal) },
    random: () => 0,
    logger: silentLogger,
    leaseMs: 60_000,
    blame: () => 'row',
    crashPoint: () => undefined,
  };
  const stop = new AbortController();
  const deps: PollingDeps = {
    definition: definition!,
    ticked,
    detect,
    rowConcurrency: 1,
    clock,
    random: () => 0,
    metrics: createMetrics(new Registry()),
    logger: silentLogger,
    stopTaking: stop.signal,
  };
  const ticks = cronTicks(definition!.schedule);
  return { deps, polled, onPoll, stop, ticks, run: (tick: string) => runTick(deps, ticks, new Date(tick)) };
}

describe('ticks that the ledger accounts for', () => {
  const monday = '2026-09-28T18:00:00Z';
  const wednesday = '2026-09-30T18:00:00Z';

  it('after a take-over, those that nobody worked off come first, each once, then its own', async () => {
    const ledger = { tick: new Date('2026-09-27T18:00:00Z'), leads: true };
    const { polled, run } = ticking('all', ledger);
    await run(wednesday);
    expect([...new Set(polled)]).toEqual(['09-28', '09-29', '09-30']);
    expect(polled.filter((day) => day !== '09-30')).toEqual(['09-28', '09-29']);
    expect(ledger.tick).toEqual(new Date(wednesday));
    polled.length = 0;
    await run(wednesday);
    expect(polled).toEqual([]);
  });

  it('the lead comes within the window: what the leader before left undone is still done', async () => {
    const ledger = { tick: new Date(monday), leads: false };
    const { polled, onPoll, run } = ticking('all', ledger);
    onPoll.call = () => void (ledger.leads ||= polled.length === 2);
    await run(wednesday);
    expect(polled.filter((day) => day === '09-29')).toHaveLength(1);
    expect(ledger.tick).toEqual(new Date(wednesday));
  });

  it.each(['last', 'none'])('misfire %s runs only its own', async (misfire) => {
    const ledger = { tick: new Date(monday), leads: true };
    const { polled, run } = ticking(misfire, ledger);
    await run(wednesday);
    expect(new Set(polled)).toEqual(new Set(['09-30']));
    expect(ledger.tick).toEqual(new Date(wednesday));
  });

  it('who does not lead notes nothing, and what was stopped half way is done again', async () => {
    const standBy = { tick: new Date(monday), leads: false };
    await ticking('all', standBy).run(wednesday);
    expect(standBy.tick).toEqual(new Date(monday));
    const stopped = { tick: new Date(monday), leads: true };
    const { polled, onPoll, stop, run } = ticking('all', stopped);
    onPoll.call = () => stop.abort();
    await run(wednesday);
    expect([polled, stopped.tick]).toEqual([['09-29'], new Date(monday)]);
  });

  it('a ledger that does not answer holds up no tick', async () => {
    const { deps, polled, ticks } = ticking('all', { tick: null, leads: true });
    const failing: TickedSource = {
      begin: (tick) => deps.ticked?.begin(tick),
      last: () => Promise.reject(new Error('no answer')),
      done: () => Promise.reject(new Error('no answer')),
    };
    await runTick({ ...deps, ticked: failing }, ticks, new Date(wednesday));
    expect(new Set(polled)).toEqual(new Set(['09-30']));
  });
});

describe('a window', () => {
  const claimed = { requestId: '1', leaseToken: 't', attempts: 1, row: sourceRowOf() };

  it('with rows that never stand still comes to its end, and pauses between its looks', async () => {
    const { deps } = ticking('all', { tick: null, leads: true });
    const started = deps.clock.now().getTime();
    let looks = 0;
    const source: DetectDeps['source'] = {
      ...deps.detect.source,
      claim: async () => {
        looks += 1;
        if (looks > 500) throw new Error('asked without a pause');
        await deps.clock.sleep(1);
        return { claimed: [claimed], poisoned: [] };
      },
      readDetails: () => Promise.resolve({ outcome: 'lease-lost' }),
    };
    await runWindow({ ...deps, detect: { ...deps.detect, source } }, deps.definition.window, started);
    expect(looks).toBeLessThan(40);
  });

  it('leaves a busy hub alone for as long as it asks, beyond its own end too', async () => {
    const { deps } = ticking('all', { tick: null, leads: true });
    const started = deps.clock.now().getTime();
    const polled: number[] = [];
    const source: DetectDeps['source'] = {
      ...deps.detect.source,
      claim: () => {
        polled.push(deps.clock.now().getTime() - started);
        return Promise.resolve({ claimed: [claimed], poisoned: [] });
      },
      readDetails: () => Promise.reject(new Error('busy')),
      release: () => Promise.resolve('released'),
    };
    const detect: DetectDeps = { ...deps.detect, source, blame: () => 'passes', busyMs: () => 7_000 };
    await runWindow({ ...deps, detect }, deps.definition.window, started);
    expect(polled).toEqual([0, 7_000]);
    expect(deps.clock.now().getTime() - started).toBe(14_000);
  });
});

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

  it('a clock that ran months ahead and is set right does not silence it', async () => {
    const { polls, running } = await play(windowOf(1_000, 1_000, 2_000), { forMs: 400_000, aheadMs: 90 * 86_400_000 });
    await running;
    // Once by the wrong clock, then by the right one on every minute.
    expect(new Set(polls.map((at) => Math.floor(at / 60_000))).size).toBeGreaterThanOrEqual(5);
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
