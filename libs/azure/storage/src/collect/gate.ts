import { retry, type Clock, type Random } from '@xva/runtime';
import { StorageError } from '../errors.ts';

export interface GateOptions {
  /** Requests in flight at most. */
  readonly parallelism: number;
  readonly clock: Clock;
  readonly random: Random;
  /** Tries in all per request. */
  readonly maxAttempts: number;
  readonly deadlineMs: number;
  /** Told of each answer that asked to slow down. */
  readonly onThrottle?: ((limit: number) => void) | undefined;
}

/**
 * Requests to one account, so many at a time: half as many after an answer that says "slow down" (429, 503), one more
 * after each round without one. Waits at least as long as Retry-After asks.
 */
export class Gate {
  readonly #options: GateOptions;
  readonly #waiting: (() => void)[] = [];
  #limit: number;
  #flying = 0;
  #calm = 0;

  constructor(options: GateOptions) {
    this.#options = options;
    this.#limit = options.parallelism;
  }

  /** How many requests may be in flight now. */
  get limit(): number {
    return this.#limit;
  }

  /** Runs the request when there is room, again when it may succeed later. @throws what the last try threw */
  async run<T>(request: () => Promise<T>, signal?: AbortSignal): Promise<T> {
    const { clock, random, maxAttempts, deadlineMs } = this.#options;
    return retry(() => this.#once(request), {
      policy: { maxAttempts, baseDelayMs: 100, maxDelayMs: 5_000, deadlineMs },
      clock,
      random,
      signal,
      judge: (error) =>
        error instanceof StorageError && error.retryable
          ? { retry: true, retryAfterMs: error.retryAfterMs }
          : { retry: false },
    });
  }

  async #once<T>(request: () => Promise<T>): Promise<T> {
    while (this.#flying >= this.#limit) await new Promise<void>((resolve) => this.#waiting.push(resolve));
    this.#flying += 1;
    try {
      const answer = await request();
      this.#calmer();
      return answer;
    } catch (error) {
      if (error instanceof StorageError && (error.status === 429 || error.status === 503)) this.slowDown();
      throw error;
    } finally {
      this.#flying -= 1;
      this.#waiting.shift()?.();
    }
  }

  /** Halves what may be in flight; also told by answers that carry refusals of parts (a batch's items). */
  slowDown(): void {
    this.#calm = 0;
    this.#limit = Math.max(1, Math.floor(this.#limit / 2));
    this.#options.onThrottle?.(this.#limit);
  }

  #calmer(): void {
    this.#calm += 1;
    if (this.#calm < this.#limit || this.#limit >= this.#options.parallelism) return;
    this.#calm = 0;
    this.#limit += 1;
    this.#waiting.shift()?.();
  }
}
