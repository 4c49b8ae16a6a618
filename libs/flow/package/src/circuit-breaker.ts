import { StepFailure } from './failures.ts';

export interface BreakerOptions {
  /** Failures in a row that open the circuit. */
  readonly failures: number;
  /** How long it stays open before one call may try. */
  readonly coolDownMs: number;
}

/**
 * Spares a dependency that is down, and the callers the wait for it. Closed: all pass. Open: all are refused until the
 * cool-down is over. Half-open: one call tries; its success closes the circuit, its failure opens it again. Only
 * transient failures count: a refusal or "busy" comes from something that lives.
 */
export class CircuitBreaker {
  readonly #options: BreakerOptions;
  readonly #now: () => number;
  #failures = 0;
  #openUntil = 0;
  #probing = false;

  /** `now` in milliseconds. */
  constructor(options: BreakerOptions, now: () => number) {
    this.#options = options;
    this.#now = now;
  }

  get state(): 'closed' | 'open' | 'half-open' {
    if (this.#failures < this.#options.failures) return 'closed';
    return this.#now() < this.#openUntil ? 'open' : 'half-open';
  }

  /** @throws StepFailure `transient` with the wait until the next try when the circuit is open. */
  async run<T>(operation: () => Promise<T>): Promise<T> {
    const { state } = this;
    if (state === 'open' || (state === 'half-open' && this.#probing)) {
      const retryAfterMs = Math.max(this.#openUntil - this.#now(), Math.min(1_000, this.#options.coolDownMs));
      throw new StepFailure(
        'transient',
        'input-api-unavailable',
        `not asked: it failed ${this.#failures} times in a row`,
        {
          retryAfterMs,
        },
      );
    }
    const isProbe = state === 'half-open';
    if (isProbe) this.#probing = true;
    try {
      const result = await operation();
      this.#failures = 0;
      return result;
    } catch (error) {
      if (error instanceof StepFailure && error.kind === 'transient') this.#failed();
      else if (error instanceof StepFailure) this.#failures = 0;
      throw error;
    } finally {
      if (isProbe) this.#probing = false;
    }
  }

  #failed(): void {
    this.#failures += 1;
    if (this.#failures >= this.#options.failures) this.#openUntil = this.#now() + this.#options.coolDownMs;
  }
}
