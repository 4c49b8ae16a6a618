import fc from 'fast-check';
import {
  afterPoll,
  cronTicks,
  dueTicks,
  openWindow,
  type PollFinding,
  type PollingWindow,
  type Ticks,
} from '../src/index.ts';

function localTimes(cron: string, timezone: string, from: string, count: number): readonly string[] {
  const ticks = cronTicks({ cron, timezone });
  const times: string[] = [];
  for (let at: Date | null = new Date(from); times.length < count;) {
    at = ticks.next(at);
    if (at === null) break;
    times.push(at.toISOString().replace(':00.000Z', 'Z'));
  }
  return times;
}

describe('ticks', () => {
  it('follow the wall clock over both changes in Lisbon', () => {
    // 2026-03-29 01:00 UTC forward, 2026-10-25 01:00 UTC back.
    expect(localTimes('0 18 * * *', 'Europe/Lisbon', '2026-03-28T00:00:00Z', 2)).toEqual([
      '2026-03-28T18:00Z',
      '2026-03-29T17:00Z',
    ]);
    expect(localTimes('0 18 * * *', 'Europe/Lisbon', '2026-10-24T00:00:00Z', 2)).toEqual([
      '2026-10-24T17:00Z',
      '2026-10-25T18:00Z',
    ]);
  });

  it('know that São Paulo ended its daylight saving in 2019', () => {
    expect(localTimes('0 18 * * *', 'America/Sao_Paulo', '2018-01-10T00:00:00Z', 1)).toEqual(['2018-01-10T20:00Z']);
    expect(localTimes('0 18 * * *', 'America/Sao_Paulo', '2026-01-10T00:00:00Z', 1)).toEqual(['2026-01-10T21:00Z']);
  });

  it('look back to the latest one, the present second included', () => {
    const hourly = cronTicks({ cron: '0 * * * *', timezone: 'UTC' });
    for (const [from, latest] of [
      ['18:59:59.999', '18:00:00'],
      ['18:00:00', '18:00:00'],
      ['18:00:00.400', '18:00:00'],
      ['17:59:59.999', '17:00:00'],
    ] as const) {
      expect(hourly.latest(at(from))).toEqual(at(latest));
    }
  });

  it('run a daily job once on the night with two 01:30, and once on the one with no 02:30', () => {
    const nights = localTimes('30 1 * * *', 'America/New_York', '2026-10-31T12:00:00Z', 2);
    expect(nights).toEqual(['2026-11-01T05:30Z', '2026-11-02T06:30Z']);
    const spring = localTimes('30 2 * * *', 'America/New_York', '2026-03-07T12:00:00Z', 2);
    expect(spring[0]).toMatch(/^2026-03-08T0[67]:/);
    expect(spring[1]).toBe('2026-03-09T06:30Z');
  });
});

const everyMinute = cronTicks({ cron: '* * * * *', timezone: 'UTC' });
const at = (text: string): Date => new Date(`2026-09-30T${text}Z`);

describe('missed ticks', () => {
  it.each([
    ['all', ['18:01:00', '18:02:00', '18:03:00'], 0],
    ['last', ['18:03:00'], 2],
    ['none', [], 3],
  ] as const)('with the policy %s', (misfire, times, dropped) => {
    const due = dueTicks(everyMinute, misfire, at('18:00:30'), at('18:03:30'));
    expect(due.run).toEqual(times.map(at));
    expect(due.dropped).toBe(dropped);
  });

  it('on time is not missed', () => {
    expect(dueTicks(everyMinute, 'none', at('18:00:30'), at('18:01:00.500')).run).toEqual([at('18:01:00')]);
  });

  it('a clock that goes backwards runs no tick twice', () => {
    const first = dueTicks(everyMinute, 'all', at('18:00:30'), at('18:02:10'));
    const back = dueTicks(everyMinute, 'all', first.upTo, at('18:01:10'));
    expect(back).toEqual({ run: [], dropped: 0, upTo: first.upTo });
    expect(dueTicks(everyMinute, 'all', back.upTo, at('18:03:10')).run).toEqual([at('18:03:00')]);
  });

  it('a year of them does not flood', () => {
    let asked = 0;
    const counted: Ticks = {
      next: (from) => ((asked += 1), everyMinute.next(from)),
      latest: (from) => ((asked += 1), everyMinute.latest(from)),
    };
    const due = dueTicks(counted, 'all', new Date('2025-09-25T00:00:00Z'), at('18:00:30'));
    expect(due.run).toHaveLength(1_000);
    expect([due.run[0], due.run.at(-1)]).toEqual([at('01:21:00'), at('18:00:00')]);
    expect(due.dropped).toBeGreaterThanOrEqual(1_000);
    expect(dueTicks(counted, 'last', new Date('2025-09-25T00:00:00Z'), at('18:00:30')).run).toEqual([at('18:00:00')]);
    // Not the half million that there were: each keeps the process from everything else.
    expect(asked).toBeLessThan(7_000);
    const day = dueTicks(everyMinute, 'all', new Date('2026-09-29T18:00:30Z'), at('18:00:30'));
    expect([day.run.length, day.dropped]).toEqual([1_000, 440]);
  });

  it('however often one looks, every tick is run or dropped once', () => {
    const ticks: Ticks = {
      next: (from) => new Date((Math.floor(from.getTime() / 1000) + 1) * 1000),
      latest: (from) => from,
    };
    fc.assert(
      fc.property(fc.array(fc.integer({ min: -5_000, max: 9_000 }), { minLength: 1, maxLength: 30 }), (steps) => {
        let now = 100_000;
        let upTo = new Date(now);
        const run: number[] = [];
        for (const step of steps) {
          now += step;
          const due = dueTicks(ticks, 'all', upTo, new Date(now));
          run.push(...due.run.map((tick) => tick.getTime()));
          ({ upTo } = due);
        }
        const expected = Math.floor(upTo.getTime() / 1000) - 100;
        expect(run).toEqual(Array.from({ length: expected }, (_, index) => (101 + index) * 1000));
      }),
    );
  });
});

describe('a polling window', () => {
  const window: PollingWindow = { lengthMs: 10_000, minDelayMs: 20, maxDelayMs: 1_000, until: 'windowEnd' };

  function play(findings: readonly PollFinding[], options: Partial<PollingWindow> = {}) {
    const opened = { ...window, ...options };
    let state = openWindow(opened, 0);
    let now = 0;
    const waits: (number | 'end')[] = [];
    for (const finding of findings) {
      const verdict = afterPoll(opened, state, finding, now, () => 0);
      if (verdict.next === 'end') {
        waits.push('end');
        break;
      }
      ({ state } = verdict);
      now += verdict.waitMs;
      waits.push(verdict.waitMs);
    }
    return waits;
  }

  it('asks again at once after rows, and ever slower while none come', () => {
    expect(play(['nothing', 'nothing', 'rows', 'nothing', 'nothing'])).toEqual([20, 30, 0, 20, 30]);
    expect(play(Array.from({ length: 20 }, () => 'nothing' as const)).slice(10)).toEqual(
      expect.arrayContaining([1_000]),
    );
  });

  it('backs off to half a minute in trouble', () => {
    expect(
      play(
        Array.from({ length: 12 }, () => 'trouble' as const),
        { lengthMs: 1_000_000 },
      ).at(-1),
    ).toBe(30_000);
  });

  it('ends, but never with a full table', () => {
    expect(play(['nothing'], { lengthMs: 0 })).toEqual(['end']);
    expect(play(['rows', 'rows', 'nothing'], { lengthMs: 0 })).toEqual([0, 0, 'end']);
  });

  it('can end with the rows that it waited for', () => {
    expect(play(['nothing', 'rows', 'rows', 'nothing'], { until: 'rows' })).toEqual([20, 0, 0, 'end']);
  });

  it('never waits beyond its end, and jitter only shortens', () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 9_999 }), fc.double({ min: 0, max: 0.999, noNaN: true }), (now, draw) => {
        const state = { startedAtMs: 0, delayMs: 1_000, sawRows: false };
        const verdict = afterPoll(window, state, 'nothing', now, () => draw);
        if (verdict.next === 'end') throw new Error('ended early');
        expect(verdict.waitMs).toBeLessThanOrEqual(Math.min(1_000, 10_000 - now));
        expect(verdict.waitMs).toBeGreaterThanOrEqual(Math.min(800, 10_000 - now));
      }),
    );
  });
});
