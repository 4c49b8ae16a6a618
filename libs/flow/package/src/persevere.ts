import { retryDelayMs, type Clock, type Random } from '@xva/runtime';
import { asStepFailure, StepFailure } from './failures.ts';

export interface Patience {
  /** How long transient failures may go on, from the first one, before the event is given up. */
  readonly budgetMs: number;
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
 * Repeats a step until it succeeds, is poison, or its budget for transient failures is used up. Being busy or waiting for
 * a person uses no budget: the other side lives, or nothing would come of giving up.
 *
 * @throws StepFailure `poison` (also for a used-up budget, then with the reason of the last failure), `operator` when
 * there is no waiting for one, or the signal's reason.
 */
export async function persevere<T>(operation: () => Promise<T>, options: PersevereOptions): Promise<T> {
  const { patience, clock, random, signal } = options;
  const policy = { ...patience, maxAttempts: Infinity, deadlineMs: patience.budgetMs };
  let inARow = 0;
  let tries = 0;
  let failingSince: number | undefined;
  for (;;) {
    signal.throwIfAborted();
    tries += 1;
    try {
      return await operation();
    } catch (error) {
      signal.throwIfAborted();
      const failure = asStepFailure(error);
      inARow += 1;
      const delayMs = retryDelayMs(policy, inARow, random, asked(failure));
      switch (failure.kind) {
        case 'poison':
          throw failure;
        case 'operator':
          if (patience.operatorDelayMs === undefined) throw failure;
          failingSince = undefined;
          await pause(failure, patience.operatorDelayMs);
          break;
        case 'busy':
          failingSince = undefined;
          await pause(failure, delayMs);
          break;
        case 'transient': {
          const now = clock.now().getTime();
          failingSince ??= now;
          if (now + delayMs - failingSince > patience.budgetMs) throw givenUp(failure, tries, now - failingSince);
          await pause(failure, delayMs);
        }
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
