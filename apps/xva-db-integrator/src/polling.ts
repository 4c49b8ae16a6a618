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

/** Polls from `startedAtMs` until the window is over and the table worked off; every poll's outcome. */
export async function runWindow(
  deps: PollingDeps,
  window: PollingWindow,
  startedAtMs: number,
  onPoll: (outcome: PollOutcome) => void = () => undefined,
): Promise<void> {
  const { definition, detect, clock, stopTaking } = deps;
  let state = openWindow(window, startedAtMs);
  while (!stopTaking.aborted) {
    const began = performance.now();
    const options = { limit: definition.batchSize, concurrency: deps.rowConcurrency, stopTaking };
    const outcome = await pollOnce(detect, options);
    deps.metrics.polled(definition.name, outcome, performance.now() - began);
    onPoll(outcome);
    const verdict = afterPoll(window, state, outcome.finding, clock.now().getTime(), deps.random);
    if (verdict.next === 'end') return;
    ({ state } = verdict);
    if (verdict.waitMs > 0) await clock.sleep(verdict.waitMs, stopTaking);
  }
}

/**
 * One tick's window; before it, the ticks that nobody worked off since the last one in the ledger, by the misfire policy:
 * another leader, or this process before it was restarted, may have missed them.
 */
export async function runTick(deps: PollingDeps, ticks: Ticks, tick: Date): Promise<void> {
  const { definition, ticked, metrics, stopTaking } = deps;
  const { schedule, window, name } = definition;
  const last = await lastTick(deps);
  if (ticked !== undefined && last !== undefined && last < tick) {
    const before = new Date(tick.getTime() - 1);
    const missed = schedule.misfire === 'all' ? dueTicks(ticks, 'all', last, before).run : [];
    metrics.ticks(name, 'run', missed.length);
    for (const one of missed) {
      if (stopTaking.aborted) return;
      ticked.begin(one);
      await runWindow(deps, { ...window, lengthMs: 0 }, deps.clock.now().getTime());
      await noteTick(deps, one);
    }
  }
  ticked?.begin(tick);
  await runWindow(deps, window, tick.getTime());
  if (!stopTaking.aborted) await noteTick(deps, tick);
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

/** How long at most to sleep before looking at the clock again: a suspended machine or a set clock is noticed. */
const longestSleepMs = 60_000;

/**
 * One definition's schedule until the stop. Unless missed ticks are to be dropped it starts with the latest tick, as if it
 * had run since then: what came while nobody ran is found at once, and the next tick finds this window over.
 */
export async function runSchedule(deps: PollingDeps): Promise<void> {
  const { definition, clock, stopTaking, metrics } = deps;
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
