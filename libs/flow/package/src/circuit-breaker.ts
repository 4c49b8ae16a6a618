import { StepFailure } from './failures.ts';

export interface BreakerOptions {
  /** Failures in a row that open the circuit. */
  readonly failures: number;
  /** How long it stays open before one call may try. */
  readonly coolDownMs: number;
}

/** Between looks of those who wait while another one tries. */
const peekMs = 200;

/**
 * Spares a dependency that is down or refuses us, and the callers the wait for it. Closed: all pass. Open: all are
 * refused until the cool-down is over. Half-open: one call tries; its success closes the circuit, its failure opens it
 * again. A refusal that needs a person opens it at once: a wrong key is not sent a thousand times.
 */
export class CircuitBreaker {
  readonly #options: BreakerOptions;
  readonly #now: () => number;
  #failures = 0;
  #last: StepFailure | undefined;
  #openUntil = 0;
  #probing = false;

  /** `now` in milliseconds. */
  constructor(options: BreakerOptions, now: () => number) {
    this.#options = options;
    this.#now = now;
  }

  get state(): 'closed' | 'open' | 'half-open' {
    if (this.#last === undefined) return 'closed';
    return this.#now() < this.#openUntil ? 'open' : 'half-open';
  }

  /** Why a call may not be made now, with the wait until the next look; undefined when it may. */
  refusal(): StepFailure | undefined {
    const { state } = this;
    if (this.#last === undefined || !(state === 'open' || (state === 'half-open' && this.#probing))) return undefined;
    const { kind, reason, message } = this.#last;
    const retryAfterMs = Math.max(this.#openUntil - this.#now(), Math.min(peekMs, this.#options.coolDownMs));
    return new StepFailure(kind, reason, `not asked, since it failed: ${message}`, { retryAfterMs });
  }

  /** To be followed by one of the three below. True for the one call that tries while the circuit is half-open. */
  enter(): boolean {
    if (this.state !== 'half-open') return false;
    this.#probing = true;
    return true;
  }

  succeeded(): void {
    this.#failures = 0;
    this.#last = undefined;
    this.#probing = false;
  }

  /** The service failed, or a person must change something, which may take `coolDownMs`. */
  failed(failure: StepFailure, coolDownMs = this.#options.coolDownMs): void {
    this.#failures += 1;
    this.#probing = false;
    if (failure.kind !== 'operator' && this.#failures < this.#options.failures) return;
    this.#last = failure;
    this.#openUntil = this.#now() + coolDownMs;
  }

  /** The call said nothing about the service. */
  left(wasProbe: boolean): void {
    if (wasProbe) this.#probing = false;
  }
}
