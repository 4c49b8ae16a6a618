/**
 * Whether a failure is the event's own or the service's, told by how others fare: `event` when somebody else's call
 * succeeded since this event failed last, `service` when somebody else has failed since the last success, `alone` when
 * there is nobody to compare with.
 */
export type Verdict = 'event' | 'service' | 'alone';

interface Failing {
  /** Successes of anybody that there had been at the caller's last failure. */
  lastAt: number;
  over: boolean;
}

/**
 * Successes and failures of one call, by caller. A caller that gave up is remembered until the next success: of a
 * service that fails for everybody, one event at most is blamed, however long it lasts.
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
    for (const [other, { lastAt }] of this.#failing) {
      if (other !== caller && lastAt === this.#successes) return 'service';
    }
    return 'alone';
  }

  /** The caller will not call again for now. */
  ended(caller: string): void {
    const entry = this.#failing.get(caller);
    if (entry !== undefined) entry.over = true;
  }
}
