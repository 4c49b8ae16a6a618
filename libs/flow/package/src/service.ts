import type { Clock } from '@xva/runtime';
import { CircuitBreaker, type BreakerOptions } from './circuit-breaker.ts';
import { Evidence } from './evidence.ts';
import { asKind, asStepFailure, type StepFailure } from './failures.ts';
import { Gate } from './gate.ts';
import type { CallContext } from './ports.ts';

export interface ServiceOptions {
  readonly breaker: BreakerOptions;
  /** Between tries while a person must change something; undefined = nobody waits for one. */
  readonly operatorDelayMs: number | undefined;
  /** Whether the service answers at all, by a request that concerns no event. */
  readonly alive: (signal: AbortSignal) => Promise<boolean>;
  readonly clock: Clock;
}

const longestPauseMs = 60_000;

/** A service that all events call: what one of them learns of it holds for the others. */
export class Service {
  readonly #options: ServiceOptions;
  readonly #breaker: CircuitBreaker;
  readonly #gate: Gate;
  readonly #evidence = new Map<string, Evidence>();

  constructor(options: ServiceOptions) {
    this.#options = options;
    this.#breaker = new CircuitBreaker(options.breaker, () => options.clock.now().getTime());
    this.#gate = new Gate(options.clock);
  }

  get circuit(): CircuitBreaker['state'] {
    return this.#breaker.state;
  }

  /** Waits out a pause that the service asked for. @throws StepFailure while its circuit is open. */
  async admit(signal: AbortSignal): Promise<void> {
    await this.#gate.pass(signal);
    const refusal = this.#breaker.refusal();
    if (refusal !== undefined) throw refusal;
  }

  /**
   * Makes one call. A failure that may be the event's own goes on as `transient`; one that is the service's is an
   * `outage`, whatever it looked like.
   *
   * @throws StepFailure, or the signal's reason.
   */
  async call<T>(name: string, context: CallContext, operation: () => Promise<T>): Promise<T> {
    const evidence = this.#evidenceOf(name);
    const isProbe = await this.#enter(context.signal);
    try {
      const result = await operation();
      this.#succeeded(evidence, context);
      return result;
    } catch (error) {
      throw await this.#failed(error, evidence, context, isProbe);
    }
  }

  /** The same for an answer that is read in chunks: the call is over when the last one is, or when nobody reads on. */
  async *stream(
    name: string,
    context: CallContext,
    open: () => Promise<AsyncIterable<Uint8Array>>,
  ): AsyncGenerator<Uint8Array> {
    const evidence = this.#evidenceOf(name);
    const isProbe = await this.#enter(context.signal);
    let isOver = false;
    try {
      yield* await open();
      isOver = true;
      this.#succeeded(evidence, context);
    } catch (error) {
      isOver = true;
      throw await this.#failed(error, evidence, context, isProbe);
    } finally {
      if (!isOver) this.#breaker.left(isProbe);
    }
  }

  /** The event is over, whatever became of it. */
  ended(eventId: string): void {
    for (const evidence of this.#evidence.values()) evidence.ended(eventId);
  }

  async #enter(signal: AbortSignal): Promise<boolean> {
    await this.#gate.pass(signal);
    // From here to the end in one turn: of those who wait for a half-open circuit one may try.
    const refusal = this.#breaker.refusal();
    if (refusal !== undefined) throw refusal;
    return this.#breaker.enter();
  }

  #succeeded(evidence: Evidence, context: CallContext): void {
    this.#breaker.succeeded();
    evidence.succeeded(context.eventId);
  }

  async #failed(error: unknown, evidence: Evidence, context: CallContext, isProbe: boolean): Promise<unknown> {
    if (!context.signal.aborted) return this.#learn(asStepFailure(error), evidence, context, isProbe);
    this.#breaker.left(isProbe);
    return context.signal.reason;
  }

  async #learn(failure: StepFailure, evidence: Evidence, context: CallContext, isProbe: boolean): Promise<StepFailure> {
    switch (failure.kind) {
      case 'poison':
        // It has looked at the request: it lives.
        this.#succeeded(evidence, context);
        return failure;
      case 'busy':
        this.#breaker.succeeded();
        this.#gate.closeFor(Math.min(failure.retryAfterMs ?? 0, longestPauseMs));
        return failure;
      case 'operator':
        if (this.#options.operatorDelayMs === undefined) this.#breaker.left(isProbe);
        else this.#breaker.failed(failure, this.#options.operatorDelayMs);
        return failure;
      case 'outage':
        evidence.failed(context.eventId);
        this.#breaker.failed(failure);
        return failure;
      case 'transient': {
        const verdict = evidence.failed(context.eventId);
        const isOwn = verdict === 'event' || (verdict === 'few' && (await this.#options.alive(context.signal)));
        if (isOwn) {
          this.#breaker.left(isProbe);
          return failure;
        }
        const outage = asKind('outage', failure);
        this.#breaker.failed(outage);
        return outage;
      }
    }
  }

  #evidenceOf(name: string): Evidence {
    const known = this.#evidence.get(name) ?? new Evidence();
    this.#evidence.set(name, known);
    return known;
  }
}
