/** Above this share of throttled replies the whole call slows down, not only the collection that was refused. */
const busyShare = 0.25;
/** Weight of the newest reply in the share. */
const newest = 0.1;

/**
 * How many collections may be in flight. One 429 or 503 delays the collection that it met; when many replies are such, the
 * window is halved (once for all requests that were under way) and everyone waits as long as the service asked. Each
 * reply that is none widens the window by one.
 */
export class Throttle {
  readonly #max: number;
  #window: number;
  #share = 0;
  #changedMs = Number.NEGATIVE_INFINITY;
  #pausedUntilMs = 0;

  constructor(max: number) {
    this.#max = max;
    this.#window = max;
  }

  get window(): number {
    return this.#window;
  }

  /** Milliseconds since the epoch before which nothing new is to be sent. */
  get pausedUntilMs(): number {
    return this.#pausedUntilMs;
  }

  accepted(): void {
    this.#share *= 1 - newest;
    if (this.#window < this.#max) this.#window += 1;
  }

  refused(startedMs: number, nowMs: number, retryAfterMs: number): void {
    this.#share = this.#share * (1 - newest) + newest;
    if (this.#share < busyShare) return;
    this.#pausedUntilMs = Math.max(this.#pausedUntilMs, nowMs + retryAfterMs);
    if (startedMs < this.#changedMs) return;
    this.#window = Math.max(1, Math.floor(this.#window / 2));
    this.#changedMs = nowMs;
  }
}
