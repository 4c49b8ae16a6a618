/** Requests of each account within the running second: more than the limit are told to wait. */
export class RateLimit {
  readonly #perSecond: number;
  readonly #now: () => number;
  readonly #buckets = new Map<string, { tokens: number; at: number }>();

  /** @param perSecond 0 = any number */
  constructor(perSecond: number, now: () => number) {
    this.#perSecond = perSecond;
    this.#now = now;
  }

  /** Whether the account may make a request now. */
  admits(account: string): boolean {
    if (this.#perSecond === 0) return true;
    const now = this.#now();
    const full = Math.max(1, this.#perSecond);
    const { tokens, at } = this.#buckets.get(account) ?? { tokens: full, at: now };
    const filled = Math.min(full, tokens + (Math.max(0, now - at) / 1000) * this.#perSecond);
    this.#buckets.set(account, { tokens: filled >= 1 ? filled - 1 : filled, at: now });
    return filled >= 1;
  }
}
