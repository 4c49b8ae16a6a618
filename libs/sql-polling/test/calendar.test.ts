import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import fc from 'fast-check';
import {
  asOfDate,
  builtInCalendars,
  businessCalendar,
  cronTicks,
  dueTicks,
  joint,
  localDate,
  onBusinessDays,
  plusDays,
  scheduleTicks,
  weekdayOf,
} from '../src/index.ts';

const rule = { joins: [], add: [], remove: [] };

describe('built-in calendars', () => {
  it('are what the wheel gives', () => {
    const root = fileURLToPath(new URL('../../../', import.meta.url));
    const script = 'libs/sql-polling/calendars/generate.py';
    const { status, stderr } = spawnSync('.venv/bin/python', [script, '--check'], { cwd: root, encoding: 'utf8' });
    expect([status, stderr]).toEqual([0, '']);
  });

  it.each([
    ['TARGET', '2026-04-03', false, 'Good Friday'],
    ['TARGET', '2026-05-01', false, 'Labour Day'],
    ['TARGET', '2026-04-21', true, 'Tiradentes is Brazil only'],
    ['UnitedStates', '2026-07-03', false, 'Independence Day observed'],
    ['UnitedStates', '2021-06-18', true, 'the first Juneteenth was observed from 2022'],
    ['UnitedStates', '2025-06-19', false, 'Juneteenth'],
    ['UnitedKingdom', '2022-09-19', false, 'the state funeral'],
    ['UnitedKingdom', '2023-05-08', false, 'the coronation'],
    ['Brazil', '2023-11-20', true, 'Consciência Negra was no national holiday yet'],
    ['Brazil', '2024-11-20', false, 'Consciência Negra is national from 2024'],
    ['Brazil', '2026-11-20', false, 'Consciência Negra'],
    ['Brazil', '2026-02-17', false, 'Carnival Tuesday'],
  ] as const)('%s %s open: %s (%s)', (name, date, open, _why) => {
    expect(businessCalendar(name).isBusinessDay(date)).toBe(open);
  });

  it('rest at weekends and have 200 to 262 business days a year', () => {
    for (const name of builtInCalendars) {
      const calendar = businessCalendar(name);
      for (const year of [2010, 2024, 2026, 2045]) {
        let open = 0;
        for (let date = `${year}-01-01`; date.startsWith(String(year)); date = plusDays(date, 1)) {
          if (calendar.isBusinessDay(date)) {
            open += 1;
            expect(weekdayOf(date)).toBeLessThanOrEqual(5);
          }
        }
        expect(open).toBeGreaterThan(240);
        expect(open).toBeLessThan(262);
      }
    }
  });

  it('say so for a year that they do not hold, and for what is no date', () => {
    expect(() => businessCalendar('TARGET').isBusinessDay('2046-01-02')).toThrow('TARGET knows the years 2010 to 2045');
    expect(() => businessCalendar('TARGET').isBusinessDay('2026-02-30')).toThrow('2026-02-30 is no date');
  });
});

describe('calendars of a definition file', () => {
  it('correct a built-in one, in both directions', () => {
    const calendar = businessCalendar('Brazil', { Brazil: { ...rule, add: ['2026-07-09'], remove: ['2026-11-20'] } });
    expect(['2026-07-09', '2026-11-20', '2026-11-19'].map(calendar.isBusinessDay)).toEqual([false, true, true]);
  });

  it('join others and open a Saturday', () => {
    const calendar = businessCalendar('Desk', {
      Desk: { joins: ['TARGET', 'Brazil'], add: [], remove: ['2026-11-21'] },
    });
    const days = ['2026-04-21', '2026-05-01', '2026-11-20', '2026-11-21', '2026-11-22', '2026-11-23'];
    expect(days.map(calendar.isBusinessDay)).toEqual([false, false, false, true, false, true]);
  });

  it('refuse what is unknown and what joins in a circle', () => {
    expect(() => businessCalendar('TARGETT')).toThrow('there is no calendar "TARGETT"; there are TARGET');
    expect(() => businessCalendar('toString')).toThrow('there is no calendar');
    const circle = { A: { ...rule, joins: ['B'] }, B: { ...rule, joins: ['A'] } };
    expect(() => businessCalendar('A', circle)).toThrow('A → B → A');
  });
});

describe('as-of dates', () => {
  const target = businessCalendar('TARGET');
  it.each([
    [0, '2026-11-23', '2026-11-23'],
    [1, '2026-11-23', '2026-11-20'],
    [0, '2026-11-22', '2026-11-20'],
    [1, '2026-11-21', '2026-11-20'],
    [2, '2026-11-21', '2026-11-19'],
    [1, '2026-04-07', '2026-04-02'],
    [0, '2026-04-06', '2026-04-02'],
    [1, '2027-01-04', '2026-12-31'],
  ])('T-%i of %s is %s', (back, local, expected) => expect(asOfDate(back, local, target)).toBe(expected));

  it('are business days, never later than the day, and order is kept', () => {
    const both = joint([target, businessCalendar('Brazil')]);
    const day = fc.integer({ min: 0, max: 9_000 }).map((days) => plusDays('2015-01-01', days));
    fc.assert(
      fc.property(day, fc.integer({ min: 0, max: 10 }), (date, back) => {
        const asOf = asOfDate(back, date, both);
        const further = asOfDate(back + 1, date, both);
        return both.isBusinessDay(asOf) && asOf <= date && further <= asOf && (back === 0 || further < asOf);
      }),
    );
  });
});

describe('ticks on business days', () => {
  const ticksOf = (cron: string, timezone: string, calendars: readonly string[]) =>
    scheduleTicks({ schedule: { cron, timezone, misfire: 'all', overlap: 'skip', calendars: [...calendars] } });

  it('skip holidays and weekends, forwards and backwards', () => {
    const ticks = ticksOf('0 18 * * *', 'America/Sao_Paulo', ['Brazil']);
    expect(ticks.next(new Date('2026-11-19T22:00:00Z'))?.toISOString()).toBe('2026-11-23T21:00:00.000Z');
    expect(ticks.latest(new Date('2026-11-23T20:59:00Z'))?.toISOString()).toBe('2026-11-19T21:00:00.000Z');
    expect(ticks.latest(new Date('2026-11-23T21:00:00Z'))?.toISOString()).toBe('2026-11-23T21:00:00.000Z');
  });

  it('the date is that of the zone, not of UTC', () => {
    const evening = ticksOf('30 22 * * *', 'America/New_York', ['UnitedStates']);
    // Friday 22:30 in New York is Saturday in UTC.
    expect(evening.next(new Date('2026-11-20T12:00:00Z'))?.toISOString()).toBe('2026-11-21T03:30:00.000Z');
  });

  it('a missed holiday is not dropped: it was never due', () => {
    const ticks = ticksOf('0 18 * * *', 'UTC', ['TARGET']);
    const due = dueTicks(ticks, 'last', new Date('2026-12-24T12:00:00Z'), new Date('2026-12-29T12:00:00Z'));
    expect(due.run.map((tick) => tick.toISOString().slice(0, 10))).toEqual(['2026-12-28']);
    expect(due.dropped).toBe(1);
  });

  it('a schedule every second does not count through a holiday, and one that is always closed never comes due', () => {
    const ticks = onBusinessDays(
      cronTicks({ cron: '* * * * * *', timezone: 'UTC' }),
      businessCalendar('TARGET'),
      'UTC',
    );
    expect(ticks.next(new Date('2026-12-24T23:59:59Z'))?.toISOString()).toBe('2026-12-28T00:00:00.000Z');
    expect(ticks.latest(new Date('2026-12-27T23:59:59Z'))?.toISOString()).toBe('2026-12-24T23:59:59.000Z');
    const closed = { name: 'closed', isBusinessDay: () => false };
    const never = onBusinessDays(cronTicks({ cron: '0 * * * *', timezone: 'UTC' }), closed, 'UTC');
    expect([never.next(new Date('2026-01-01T00:00:00Z')), never.latest(new Date('2026-01-01T00:00:00Z'))]).toEqual([
      null,
      null,
    ]);
  });
});

/**
 * Over every change of the clock: a daily tick comes exactly once on every local date, at its wall-clock time, or where that
 * time does not exist at the end of the gap.
 */
describe('daily ticks over every change of the clock', () => {
  const clockOf = (timeZone: string) => {
    const format = new Intl.DateTimeFormat('en-GB', { timeZone, hour: '2-digit', minute: '2-digit', hourCycle: 'h23' });
    return (instant: Date) => format.format(instant);
  };
  /** Changes found by looking at the offset hour by hour, independently of the cron library. */
  const changes = (timeZone: string, from: number, to: number): number => {
    const offset = new Intl.DateTimeFormat('en', { timeZone, timeZoneName: 'longOffset' });
    const of = (at: number) => offset.formatToParts(at).find(({ type }) => type === 'timeZoneName')?.value;
    let count = 0;
    for (let at = from, last = of(from); at < to; at += 3_600_000) {
      const now = of(at);
      if (now !== last) count += 1;
      last = now;
    }
    return count;
  };
  const years = [
    [2017, 2019],
    [2025, 2027],
  ] as const;

  it.each([
    ['America/Sao_Paulo', [5, 0]],
    ['Europe/Lisbon', [6, 6]],
    ['America/New_York', [6, 6]],
  ] as const)('%s', (timezone, expected) => {
    expect(years.map(([a, b]) => changes(timezone, Date.UTC(a), Date.UTC(b + 1)))).toEqual(expected);
    const wall = clockOf(timezone);
    for (const [first, last] of years) {
      for (const time of ['00:00', '00:30', '01:30', '02:30', '23:30']) {
        const [hour, minute] = time.split(':').map(Number);
        const ticks = cronTicks({ cron: `${minute} ${hour} * * *`, timezone });
        let date = `${first}-01-01`;
        let shifted = 0;
        let at = ticks.next(new Date(Date.UTC(first) - 86_400_000));
        while (at !== null && localDate(at, timezone) < date) at = ticks.next(at);
        for (; at !== null && localDate(at, timezone) <= `${last}-12-31`; at = ticks.next(at)) {
          expect(localDate(at, timezone)).toBe(date);
          if (wall(at) !== time) {
            shifted += 1;
            // Just before it the clock showed a time earlier than the one that is missing.
            const before = new Date(at.getTime() - 60_000);
            expect(localDate(before, timezone) < date || wall(before) < time).toBe(true);
            expect(wall(at) > time).toBe(true);
          }
          date = plusDays(date, 1);
        }
        expect(date).toBe(`${last + 1}-01-01`);
        expect(shifted).toBeLessThanOrEqual(3);
      }
    }
  });
});
