import type { Clock, Random } from './clock.ts';

export interface RetryPolicy {
  /** Tries in all, the first one included. */
  readonly maxAttempts: number;
  readonly baseDelayMs: number;
  readonly maxDelayMs: number;
  /** No new try starts later than this after the first one. */
  readonly deadlineMs: number;
}

/** What to do about an error: give up now, or try again, not before `retryAfterMs` if the other side said so. */
export type RetryVerdict =
  { readonly retry: false } | { readonly retry: true; readonly retryAfterMs?: number | undefined };

export interface RetryOptions {
  readonly policy: RetryPolicy;
  readonly clock: Clock;
  readonly random: Random;
  readonly judge: (error: unknown) => RetryVerdict;
  readonly signal?: AbortSignal | undefined;
  readonly onRetry?: (error: unknown, attempt: number, delayMs: number) => void;
}

/**
 * Wait before try `attempt + 1`: full jitter (a draw from [0, cap], the cap doubling from `baseDelayMs` up to
 * `maxDelayMs`), but never less than what the other side asked for.
 */
export function retryDelayMs(policy: RetryPolicy, attempt: number, random: Random, retryAfterMs?: number): number {
  const cap = Math.min(policy.maxDelayMs, policy.baseDelayMs * 2 ** Math.min(attempt - 1, 30));
  const jittered = Math.round(random() * cap);
  return retryAfterMs === undefined ? jittered : retryAfterMs + Math.round(random() * Math.min(50, policy.baseDelayMs));
}

/**
 * Runs an operation until it succeeds, is judged final, or the policy is used up; then the last error is thrown as it
 * came. An aborted signal stops the waiting and throws the signal's reason.
 */
export async function retry<T>(operation: (attempt: number) => Promise<T>, options: RetryOptions): Promise<T> {
  const { policy, clock, random, judge, signal } = options;
  const started = clock.now().getTime();
  for (let attempt = 1; ; attempt += 1) {
    signal?.throwIfAborted();
    try {
      return await operation(attempt);
    } catch (error) {
      signal?.throwIfAborted();
      const verdict = judge(error);
      if (!verdict.retry || attempt >= policy.maxAttempts) throw error;
      const delayMs = retryDelayMs(policy, attempt, random, verdict.retryAfterMs);
      if (clock.now().getTime() - started + delayMs > policy.deadlineMs) throw error;
      options.onRetry?.(error, attempt, delayMs);
      await clock.sleep(delayMs, signal);
    }
  }
}
