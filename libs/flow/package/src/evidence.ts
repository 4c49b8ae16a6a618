/**
 * Whether a failure is the event's own or the service's, told by how others fare: `event` when somebody else's call
 * succeeded since this event failed last, `service` when more than a few have failed since the last success, `few` when
 * there are too few to tell.
 */
export type Verdict = 'event' | 'service' | 'few';

/** Two or three bad events may well come at once; more of them are an outage. */
const fewCallers = 3;

interface Failing {
  /** Successes of anybody that there had been at the caller's last failure. */
  lastAt: number;
  over: boolean;
}

/**
 * Successes and failures of one call, by caller. A caller that gave up is remembered until the next success: of a
 * service that fails for everybody, `fewCallers` events at most are blamed, however long it lasts.
 */
export class Evidence {
  #successes = 0;
  readonly #failing = new Map<string, Failing>();

  succeeded(caller: string): void {
    this.#successes += 1;
    this.#failing.delete(caller);
    for (const [other, { over }] of this.#failing) if (over) this.#failing.delete(other);
  }

  failed(caller: string): Verdict {
    const before = this.#failing.get(caller);
    this.#failing.set(caller, { lastAt: this.#successes, over: false });
    if (before !== undefined && this.#successes > before.lastAt) return 'event';
    const failing = [...this.#failing.values()].filter(({ lastAt }) => lastAt === this.#successes).length;
    return failing > fewCallers ? 'service' : 'few';
  }

  /** The caller will not call again for now. */
  ended(caller: string): void {
    const entry = this.#failing.get(caller);
    if (entry !== undefined) entry.over = true;
  }
}
