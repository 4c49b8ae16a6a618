import { pollOnce, type DetectDeps, type PollOutcome } from '@xva/flow-detect';
import { describeError, type Clock, type Logger, type Random } from '@xva/runtime';
import {
  afterPoll,
  dueTicks,
  openWindow,
  scheduleTicks,
  ticksMeanwhile,
  type DueTicks,
  type PollingDefinition,
  type PollingWindow,
  type Ticks,
} from '@xva/sql-polling';
import type { IntegratorMetrics } from './metrics.ts';

/** Ticks of a definition whose cursor is in the ledger. */
export interface TickedSource {
  /** What is polled from now on is for this tick. */
  readonly begin: (tick: Date) => void;
  /** The last tick that was worked off, null before the first; undefined while another process leads. */
  readonly last: () => Promise<Date | null | undefined>;
  readonly done: (tick: Date) => Promise<void>;
}

export interface PollingDeps {
  readonly ticked?: TickedSource | undefined;
  readonly definition: PollingDefinition;
  readonly detect: DetectDeps;
  readonly rowConcurrency: number;
  readonly clock: Clock;
  readonly random: Random;
  readonly metrics: IntegratorMetrics;
  readonly logger: Logger;
  readonly stopTaking: AbortSignal;
}

/** Rows of polls that came to nothing but lost leases. */
const mostLostInARow = 20;

/** Polls from `startedAtMs` until the window is over and the table worked off; every poll's outcome. */
export async function runWindow(
  deps: PollingDeps,
  window: PollingWindow,
  startedAtMs: number,
  onPoll: (outcome: PollOutcome) => void = () => undefined,
): Promise<void> {
  const { definition, detect, clock, stopTaking } = deps;
  let state = openWindow(window, startedAtMs);
  let lost = 0;
  while (!stopTaking.aborted) {
    const began = performance.now();
    const options = { limit: definition.batchSize, concurrency: deps.rowConcurrency, stopTaking };
    const outcome = await pollOnce(detect, options);
    deps.metrics.polled(definition.name, outcome, performance.now() - began);
    onPoll(outcome);
    // Rows that went on while they were read: a few times they are looked at again at once, but what never stands still (a
    // condition with the time in it) must not have the database asked without a pause, nor the window go on for ever.
    lost = outcome.rows.some((row) => row.outcome !== 'lease-lost') ? 0 : lost + outcome.rows.length;
    const finding = lost > mostLostInARow && outcome.finding === 'rows' ? 'nothing' : outcome.finding;
    const verdict = afterPoll(window, state, finding, clock.now().getTime(), deps.random);
    // The hub's wish goes before the window's: the next tick's would ask at once.
    const waitMs = Math.max(outcome.busyMs ?? 0, verdict.next === 'end' ? 0 : verdict.waitMs);
    if (waitMs > 0) await clock.sleep(waitMs, stopTaking);
    if (verdict.next === 'end') return;
    ({ state } = verdict);
  }
}

/**
 * One tick's window; before it, the ticks that nobody worked off since the last one in the ledger, by the misfire policy:
 * another leader, or this process before it was restarted, may have missed them. A tick that the ledger says is worked off
 * is not run again.
 */
export async function runTick(deps: PollingDeps, ticks: Ticks, tick: Date): Promise<void> {
  const { definition, ticked } = deps;
  const isStopping = (): boolean => deps.stopTaking.aborted;
  const last = await lastTick(deps);
  if (last?.getTime() === tick.getTime()) return;
  if (last !== undefined) await runMissed(deps, ticks, last, tick);
  if (isStopping()) return;
  ticked?.begin(tick);
  await runWindow(deps, definition.window, tick.getTime());
  if (isStopping()) return;
  if (last === undefined) {
    // The lead may have come to this process within the window: what the leader before left undone is done now.
    const left = await lastTick(deps);
    if (left !== undefined) await runMissed(deps, ticks, left, tick);
    if (isStopping()) return;
  }
  await noteTick(deps, tick);
}

async function runMissed(deps: PollingDeps, ticks: Ticks, last: Date, tick: Date): Promise<void> {
  const { definition, ticked, metrics, clock } = deps;
  const isStopping = (): boolean => deps.stopTaking.aborted;
  const { schedule, window, name } = definition;
  if (schedule.misfire !== 'all' || ticked === undefined) return;
  const missed = dueTicks(ticks, 'all', last, new Date(tick.getTime() - 1)).run;
  metrics.ticks(name, 'run', missed.length);
  for (const one of missed) {
    if (isStopping()) return;
    ticked.begin(one);
    await runWindow(deps, { ...window, lengthMs: 0 }, clock.now().getTime());
    if (!isStopping()) await noteTick(deps, one);
  }
}

async function lastTick({ ticked, logger, definition }: PollingDeps): Promise<Date | undefined> {
  try {
    return (await ticked?.last()) ?? undefined;
  } catch (error) {
    logger.warn({ definition: definition.name, error: describeError(error) }, 'the last tick could not be read');
    return undefined;
  }
}

async function noteTick({ ticked, logger, definition }: PollingDeps, tick: Date): Promise<void> {
  try {
    await ticked?.done(tick);
  } catch (error) {
    // It is run again after a restart: the same conditions give the same events.
    logger.warn({ definition: definition.name, tick, error: describeError(error) }, 'the tick could not be noted');
  }
}

/** Clocks are corrected by less than this all the time; by more, something was wrong. */
const clockToleranceMs = 300_000;

/** How long at most to sleep before looking at the clock again: a suspended machine or a set clock is noticed. */
const longestSleepMs = 60_000;

/**
 * One definition's schedule until the stop. Unless missed ticks are to be dropped it starts with the latest tick, as if it
 * had run since then: what came while nobody ran is found at once, and the next tick finds this window over.
 */
export async function runSchedule(deps: PollingDeps): Promise<void> {
  const { definition, clock, stopTaking, metrics, logger } = deps;
  const { schedule, name } = definition;
  const ticks = scheduleTicks(definition);
  const counted = (due: DueTicks): DueTicks => {
    metrics.ticks(name, 'run', due.run.length);
    metrics.ticks(name, 'dropped', due.dropped);
    return due;
  };
  const now = clock.now();
  let due = counted({ run: schedule.misfire === 'none' ? [] : [ticks.latest(now) ?? now], dropped: 0, upTo: now });
  while (!stopTaking.aborted) {
    const aheadMs = due.upTo.getTime() - clock.now().getTime();
    if (aheadMs > clockToleranceMs) {
      // A clock that ran ahead: waiting until it is there again could be months of silence. Looking twice fires nothing twice.
      logger.warn({ definition: name, aheadMs }, 'the clock was set back: ticks count from now');
      due = { run: due.run, dropped: 0, upTo: clock.now() };
    }
    if (due.run.length > 0) {
      for (const tick of due.run) await runTick(deps, ticks, tick);
      due = counted(ticksMeanwhile(ticks, schedule.overlap, due.upTo, clock.now()));
      continue;
    }
    const next = ticks.next(due.upTo);
    const waitMs = next === null ? longestSleepMs : next.getTime() - clock.now().getTime();
    await clock.sleep(Math.min(longestSleepMs, Math.max(1, waitMs)), stopTaking);
    due = counted(dueTicks(ticks, schedule.misfire, due.upTo, clock.now()));
  }
}
