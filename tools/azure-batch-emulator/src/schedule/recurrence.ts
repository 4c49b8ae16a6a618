import type { Micros } from '../time.ts';

/** What a schedule's times say, and what was done so far. All times in microseconds. */
export interface Recurrence {
  /** The first moment at which a job is due: doNotRunUntil, or the schedule's creation. */
  readonly anchor: Micros;
  /** Time between two jobs; undefined = one job only. */
  readonly interval: Micros | undefined;
  /** How long after its slot a job may still be created; undefined = until the next slot. */
  readonly startWindow: Micros | undefined;
  readonly notAfter: Micros | undefined;
  /** The slot for which the last job was created. */
  readonly lastSlot: Micros | undefined;
  readonly jobActive: boolean;
}

export type ScheduleDecision =
  | { readonly kind: 'create'; readonly slot: Micros }
  /** Nothing to do before `until` (absent: before the active job ends); `nextRun` is the slot that comes next, if any. */
  | { readonly kind: 'wait'; readonly until: Micros | undefined; readonly nextRun: Micros | undefined }
  | { readonly kind: 'complete' };

function earliest(...times: readonly (Micros | undefined)[]): Micros | undefined {
  const known = times.filter((time) => time !== undefined);
  return known.length === 0 ? undefined : Math.min(...known);
}

/**
 * What a job schedule does now (Batch REST reference, "Job Schedule": at most one active job; a recurrence that cannot
 * start within its window is lost, nothing is carried over; without an interval there is one job).
 */
export function decideSchedule(plan: Recurrence, now: Micros): ScheduleDecision {
  const { anchor, interval, startWindow, notAfter, lastSlot, jobActive } = plan;
  const over = notAfter !== undefined && now >= notAfter;
  if (over) return jobActive ? { kind: 'wait', until: undefined, nextRun: undefined } : { kind: 'complete' };
  const within = (slot: Micros): Micros | undefined => (notAfter !== undefined && slot >= notAfter ? undefined : slot);
  if (now < anchor) return { kind: 'wait', until: earliest(anchor, notAfter), nextRun: within(anchor) };
  const slot = interval === undefined ? anchor : anchor + Math.floor((now - anchor) / interval) * interval;
  const next = interval === undefined ? undefined : slot + interval;
  const taken = lastSlot !== undefined && lastSlot >= slot;
  const open = startWindow === undefined || now < slot + startWindow;
  if (!taken && open && !jobActive) return { kind: 'create', slot };
  // One job only: it was created, or its window has passed.
  if (next === undefined) {
    return jobActive ? { kind: 'wait', until: notAfter, nextRun: undefined } : { kind: 'complete' };
  }
  return { kind: 'wait', until: earliest(next, notAfter), nextRun: within(next) };
}
