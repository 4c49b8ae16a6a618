/** Above this share of failed tries the whole call slows down, not only the collection that failed. */
const busyShare = 0.4;
/** So many failures with no success between them are no bad luck. */
const awayInRow = 3;
/** Weight of the newest reply in the share. */
const newest = 0.1;

/**
 * How many collections may be in flight. One failure (429, 5xx, a lost connection) delays the collection that it met; when
 * many tries fail, the window is halved (once for all requests that were under way) and everyone waits as long as the
 * service asked, or as the back-off says: down to one try at a time while nothing comes through, so that an outage costs
 * the service a few requests a second and not every collection its tries at once. Each success widens the window by one.
 */
export class Throttle {
  readonly #max: number;
  #window: number;
  #share = 0;
  #changedMs = Number.NEGATIVE_INFINITY;
  #pausedUntilMs = 0;
  #inRow = 0;
  #rounds = 0;

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

  /** Nothing has come through for a while: what fails now fails for all, and says nothing of the collection that met it. */
  get isAway(): boolean {
    return this.#inRow >= awayInRow;
  }

  /** How often all rested since something came through. */
  get rounds(): number {
    return this.#rounds;
  }

  accepted(): void {
    this.#inRow = 0;
    this.#rounds = 0;
    this.#share *= 1 - newest;
    if (this.#window < this.#max) this.#window += 1;
  }

  refused(startedMs: number, nowMs: number, retryAfterMs: number): void {
    this.#inRow += 1;
    this.#share = this.#share * (1 - newest) + newest;
    if (this.#share < busyShare) return;
    this.#pausedUntilMs = Math.max(this.#pausedUntilMs, nowMs + retryAfterMs);
    if (startedMs < this.#changedMs) return;
    this.#window = Math.max(1, Math.floor(this.#window / 2));
    this.#rounds += 1;
    this.#changedMs = nowMs;
  }
}
