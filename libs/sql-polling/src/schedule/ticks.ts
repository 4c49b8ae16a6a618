import { Cron } from 'croner';
import { businessCalendar, joint, type BusinessCalendar } from '../calendar/business-calendar.ts';
import { localDate } from '../calendar/dates.ts';
import type { PollingDefinition } from '../definition/schema.ts';

/** When a schedule comes due; the wall clock and its daylight saving are croner's. */
export interface Ticks {
  /** The first tick after `from`; null when none ever comes. */
  next(from: Date): Date | null;
  /** The last tick up to and including `from`; null when there was none. */
  latest(from: Date): Date | null;
}

export function cronTicks(schedule: Pick<PollingDefinition['schedule'], 'cron' | 'timezone'>): Ticks {
  const job = new Cron(schedule.cron, { timezone: schedule.timezone, paused: true, mode: '5-or-6-parts' });
  return {
    next: (from) => job.nextRun(from),
    // The library looks strictly before its argument, which is at whole seconds.
    latest: (from) => job.previousRuns(1, new Date(Math.floor(from.getTime() / 1000) * 1000 + 1000))[0] ?? null,
  };
}

const hourMs = 3_600_000;

/** A calendar may close for good; nobody looks further than this for the next open day. */
const furthestClosedDays = 366;

/**
 * Those ticks only whose local date is a business day. The others do not exist: no misfire policy runs them, and none is
 * counted as dropped.
 */
export function onBusinessDays(ticks: Ticks, calendar: BusinessCalendar, timezone: string): Ticks {
  const closed = (tick: Date) => !calendar.isBusinessDay(localDate(tick, timezone));
  /** The last second, in that direction, on the tick's local date. */
  const leave = (tick: Date, direction: 1 | -1): Date => {
    const date = localDate(tick, timezone);
    const isSame = (ms: number) => localDate(new Date(ms), timezone) === date;
    let inside = tick.getTime();
    let beyond = inside + direction * hourMs;
    for (; isSame(beyond); beyond += direction * hourMs) inside = beyond;
    while (Math.abs(beyond - inside) > 1_000) {
      const middle = Math.round((inside + beyond) / 2_000) * 1_000;
      if (isSame(middle)) inside = middle;
      else beyond = middle;
    }
    return new Date(inside);
  };
  const seek = (first: Date | null, step: (from: Date) => Date | null, direction: 1 | -1): Date | null => {
    let tick = first;
    let days = 0;
    let skipped = '';
    while (tick !== null && closed(tick)) {
      const date = localDate(tick, timezone);
      if (date !== skipped) {
        days += 1;
        skipped = date;
        if (days > furthestClosedDays) return null;
        tick = step(leave(tick, direction));
      } else {
        tick = step(tick);
      }
    }
    return tick;
  };
  return {
    next: (from) => seek(ticks.next(from), (at) => ticks.next(at), 1),
    latest: (from) => seek(ticks.latest(from), (at) => ticks.latest(new Date(at.getTime() - 1000)), -1),
  };
}

/** A definition's ticks: its cron in its zone, on the business days of its calendars. */
export function scheduleTicks({
  schedule,
  calendarRules,
}: Pick<PollingDefinition, 'schedule' | 'calendarRules'>): Ticks {
  const ticks = cronTicks(schedule);
  if (schedule.calendars.length === 0) return ticks;
  const calendars = schedule.calendars.map((name) => businessCalendar(name, calendarRules));
  return onBusinessDays(ticks, joint(calendars), schedule.timezone);
}

/** A tick that was due this long ago is still on time. */
export const onTimeMs = 1_000;

/** More missed ticks than this are not run one by one. */
export const mostMissedTicks = 1_000;

/** Nor counted beyond this: the cron library takes a fifth of a millisecond for each, which nothing else runs in. */
const mostCountedTicks = 2 * mostMissedTicks;

export interface DueTicks {
  /** Ticks to run now, in order. */
  readonly run: readonly Date[];
  /** Ticks that the misfire policy drops; at least, when there are thousands. */
  readonly dropped: number;
  /** The instant up to which ticks are accounted for. */
  readonly upTo: Date;
}

/**
 * Ticks in (`since`, `now`] by the misfire policy: `all` runs each, `last` only the newest, `none` only one that is on
 * time. A clock that went backwards gives none, and what was accounted for stays so: no tick runs twice.
 */
export function dueTicks(ticks: Ticks, misfire: 'all' | 'last' | 'none', since: Date, now: Date): DueTicks {
  if (now <= since) return { run: [], dropped: 0, upTo: since };
  let due: Date[] = [];
  let tick = ticks.next(since);
  for (; tick !== null && tick <= now && due.length < mostCountedTicks; tick = ticks.next(tick)) due.push(tick);
  const isCut = tick !== null && tick <= now;
  const missed = isCut ? mostMissedTicks : Math.max(0, due.length - mostMissedTicks);
  due = isCut ? newest(ticks, since, now) : due.slice(missed);
  const wanted =
    misfire === 'all'
      ? due
      : misfire === 'last'
        ? due.slice(-1)
        : due.slice(-1).filter((tick) => now.getTime() - tick.getTime() <= onTimeMs);
  return { run: wanted, dropped: missed + due.length - wanted.length, upTo: now };
}

/** The last `mostMissedTicks` in (`since`, `now`], in order. */
function newest(ticks: Ticks, since: Date, now: Date): Date[] {
  const found: Date[] = [];
  for (let tick = ticks.latest(now); tick !== null && tick > since && found.length < mostMissedTicks;) {
    found.push(tick);
    tick = ticks.latest(new Date(tick.getTime() - 1_000));
  }
  return found.reverse();
}

/**
 * What becomes of ticks that came while the one before still ran. One that came within the last second is on time (a
 * window as long as the schedule's period ends with the next tick); of earlier ones `queue` runs the newest, `skip` none.
 */
export function ticksMeanwhile(ticks: Ticks, overlap: 'skip' | 'queue', since: Date, now: Date): DueTicks {
  const { run, dropped, upTo } = dueTicks(ticks, overlap === 'queue' ? 'last' : 'none', since, now);
  return { run, dropped, upTo };
}
