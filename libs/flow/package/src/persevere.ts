import { retryDelayMs, type Clock, type Random } from '@xva/runtime';
import { asStepFailure, StepFailure } from './failures.ts';

export interface Patience {
  /** How long an event may fail by itself, tries and waits together, before it is given up. Outages do not count. */
  readonly budgetMs: number;
  /** How long an outage is waited out before the event is left undecided; undefined = without end. */
  readonly outageMs: number | undefined;
  readonly baseDelayMs: number;
  readonly maxDelayMs: number;
  /** Between tries while a person must change something; undefined = do not wait, fail at once. */
  readonly operatorDelayMs: number | undefined;
}

const longestWaitMs = 300_000;

export interface PersevereOptions {
  readonly patience: Patience;
  readonly clock: Clock;
  readonly random: Random;
  readonly signal: AbortSignal;
  readonly onWait: (failure: StepFailure, delayMs: number) => void;
}

/**
 * Repeats a step until it succeeds, is poison, or its budget for failures of its own is used up. Outages, being busy and
 * waiting for a person use no budget: nothing would come of giving up.
 *
 * @throws StepFailure `poison` (also for a used-up budget, then with the reason of the last failure), `operator` or
 * `outage` when nobody waits that long, or the signal's reason.
 */
export async function persevere<T>(operation: () => Promise<T>, options: PersevereOptions): Promise<T> {
  const { patience, clock, random, signal } = options;
  const policy = { ...patience, maxAttempts: Infinity, deadlineMs: patience.budgetMs };
  let inARow = 0;
  let ownTries = 0;
  let ownMs = 0;
  let outSince: number | undefined;
  for (;;) {
    signal.throwIfAborted();
    const started = clock.now().getTime();
    try {
      return await operation();
    } catch (error) {
      signal.throwIfAborted();
      const failure = asStepFailure(error);
      inARow += 1;
      const delayMs = retryDelayMs(policy, inARow, random, asked(failure));
      if (failure.kind !== 'outage') outSince = undefined;
      switch (failure.kind) {
        case 'poison':
          throw failure;
        case 'operator':
          if (patience.operatorDelayMs === undefined) throw failure;
          await pause(failure, failure.retryAfterMs ?? patience.operatorDelayMs);
          break;
        case 'busy':
          await pause(failure, delayMs);
          break;
        case 'outage':
          outSince ??= started;
          if (clock.now().getTime() + delayMs - outSince > (patience.outageMs ?? Infinity)) throw failure;
          await pause(failure, delayMs);
          break;
        case 'transient':
          ownTries += 1;
          ownMs += clock.now().getTime() - started;
          if (ownMs + delayMs > patience.budgetMs) throw givenUp(failure, ownTries, ownMs);
          ownMs += delayMs;
          await pause(failure, delayMs);
      }
    }
  }

  async function pause(failure: StepFailure, delayMs: number): Promise<void> {
    options.onWait(failure, delayMs);
    await clock.sleep(delayMs, signal);
  }
}

/** What the other side asked for, if it makes sense: zero would be a tight loop, a year a lost event. */
function asked({ retryAfterMs }: StepFailure): number | undefined {
  return retryAfterMs === undefined || retryAfterMs <= 0 ? undefined : Math.min(retryAfterMs, longestWaitMs);
}

function givenUp(failure: StepFailure, tries: number, afterMs: number): StepFailure {
  const message = `given up after ${tries} tries in ${Math.round(afterMs / 1000)} s: ${failure.message}`;
  return new StepFailure('poison', failure.reason, message, { defects: failure.defects, cause: failure });
}
