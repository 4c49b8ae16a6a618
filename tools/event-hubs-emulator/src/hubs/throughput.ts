/**
 * What one throughput unit lets through per second: in 1 MB or 1,000 events, out 2 MB or 4,096 events (Event Hubs
 * quotas, "throughput units").
 */
const perUnit = {
  in: { bytes: 1_000_000, events: 1_000 },
  out: { bytes: 2_000_000, events: 4_096 },
} as const;

/** A bucket that may be overdrawn by what is let through at once, so that a batch of any size passes some time. */
class Bucket {
  readonly #perSecond: number;
  #level: number;
  #atMs: number;

  constructor(perSecond: number, nowMs: number) {
    this.#perSecond = perSecond;
    this.#level = perSecond;
    this.#atMs = nowMs;
  }

  /** Milliseconds until something may pass again; 0 when it may now. */
  waitMs(nowMs: number): number {
    // A clock that was set back adds nothing.
    const passedMs = Math.max(0, nowMs - this.#atMs);
    this.#atMs = nowMs;
    this.#level = Math.min(this.#perSecond, this.#level + (passedMs / 1000) * this.#perSecond);
    return this.#level > 0 ? 0 : Math.ceil((-this.#level / this.#perSecond) * 1000) + 1;
  }

  take(amount: number): void {
    this.#level -= amount;
  }
}

type Direction = keyof typeof perUnit;

/**
 * The throughput of one namespace. Without units nothing is limited. What comes in beyond the limit is to be refused,
 * what goes out is to wait: the service does the same.
 */
export class Throughput {
  readonly units: number | undefined;
  readonly #now: () => number;
  readonly #buckets: Readonly<Record<Direction, readonly [bytes: Bucket, events: Bucket]>>;

  constructor(units: number | undefined, now: () => number) {
    this.units = units;
    this.#now = now;
    const bucketsOf = ({ bytes, events }: { readonly bytes: number; readonly events: number }) =>
      [new Bucket(bytes * (units ?? 0), now()), new Bucket(events * (units ?? 0), now())] as const;
    this.#buckets = { in: bucketsOf(perUnit.in), out: bucketsOf(perUnit.out) };
  }

  /** Milliseconds until something may pass in this direction; 0 when it may now. */
  waitMs(direction: Direction): number {
    if (this.units === undefined) return 0;
    return Math.max(...this.#buckets[direction].map((bucket) => bucket.waitMs(this.#now())));
  }

  /** Counts what passes. */
  take(direction: Direction, bytes: number, events: number): void {
    this.#buckets[direction][0].take(bytes);
    this.#buckets[direction][1].take(events);
  }
}
