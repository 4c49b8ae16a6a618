import { Cron } from 'croner';
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

/** A tick that was due this long ago is still on time. */
export const onTimeMs = 1_000;

/** More missed ticks than this are not run one by one. */
export const mostMissedTicks = 1_000;

export interface DueTicks {
  /** Ticks to run now, in order. */
  readonly run: readonly Date[];
  /** Ticks that the misfire policy drops. */
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
  const due: Date[] = [];
  let missed = 0;
  for (let tick = ticks.next(since); tick !== null && tick <= now; tick = ticks.next(tick)) {
    due.push(tick);
    if (due.length > mostMissedTicks) {
      due.shift();
      missed += 1;
    }
  }
  const wanted =
    misfire === 'all'
      ? due
      : misfire === 'last'
        ? due.slice(-1)
        : due.slice(-1).filter((tick) => now.getTime() - tick.getTime() <= onTimeMs);
  return { run: wanted, dropped: missed + due.length - wanted.length, upTo: now };
}

/**
 * What becomes of ticks that came while the one before still ran. One that came within the last second is on time (a
 * window as long as the schedule's period ends with the next tick); of earlier ones `queue` runs the newest, `skip` none.
 */
export function ticksMeanwhile(ticks: Ticks, overlap: 'skip' | 'queue', since: Date, now: Date): DueTicks {
  const { run, dropped, upTo } = dueTicks(ticks, overlap === 'queue' ? 'last' : 'none', since, now);
  return { run, dropped, upTo };
}
