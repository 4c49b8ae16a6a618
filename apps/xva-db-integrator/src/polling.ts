import { pollOnce, type DetectDeps, type PollOutcome } from '@xva/flow-detect';
import type { Clock, Random } from '@xva/runtime';
import {
  afterPoll,
  dueTicks,
  openWindow,
  scheduleTicks,
  ticksMeanwhile,
  type DueTicks,
  type PollingDefinition,
  type PollingWindow,
} from '@xva/sql-polling';
import type { IntegratorMetrics } from './metrics.ts';

export interface PollingDeps {
  readonly definition: PollingDefinition;
  readonly detect: DetectDeps;
  readonly rowConcurrency: number;
  readonly clock: Clock;
  readonly random: Random;
  readonly metrics: IntegratorMetrics;
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

/** How long at most to sleep before looking at the clock again: a suspended machine or a set clock is noticed. */
const longestSleepMs = 60_000;

/**
 * One definition's schedule until the stop. Unless missed ticks are to be dropped it starts with the latest tick, as if it
 * had run since then: what came while nobody ran is found at once, and the next tick finds this window over.
 */
export async function runSchedule(deps: PollingDeps): Promise<void> {
  const { definition, clock, stopTaking, metrics } = deps;
  const { schedule, window, name } = definition;
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
      for (const tick of due.run) await runWindow(deps, window, tick.getTime());
      due = counted(ticksMeanwhile(ticks, schedule.overlap, due.upTo, clock.now()));
      continue;
    }
    const next = ticks.next(due.upTo);
    const waitMs = next === null ? longestSleepMs : next.getTime() - clock.now().getTime();
    await clock.sleep(Math.min(longestSleepMs, Math.max(1, waitMs)), stopTaking);
    due = counted(dueTicks(ticks, schedule.misfire, due.upTo, clock.now()));
  }
}
