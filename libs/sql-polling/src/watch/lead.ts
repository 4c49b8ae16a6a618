import type { Cursor, DetectionStore, LeadRecord, Stored } from './state.ts';

/** Thrown when another process took the lead: what was under way is repeated by it, under the same event ids. */
export class LeadLostError extends Error {
  override readonly name = 'LeadLostError';
  readonly definition: string;
  /** It passes by itself: this process stands by now. */
  readonly retryable = true;

  constructor(definition: string) {
    super(`another integrator leads ${definition} now`);
    this.definition = definition;
  }
}

export interface LeadOptions {
  readonly store: DetectionStore;
  readonly definition: string;
  /** One name per process and start. */
  readonly name: string;
  readonly leaseMs: number;
  /** Milliseconds that only go forward; no two processes' clocks are ever compared. */
  readonly monotonicMs: () => number;
}

/**
 * Which of several processes reads a definition, and its cursor. The record is only written under its etag, so a leader
 * that was declared dead cannot move the cursor. A stand-by takes over when it has seen the record unchanged for the
 * lease's length by its own clock; a leader renews every third of it.
 */
export class Lead {
  readonly #options: LeadOptions;
  #held: Stored<LeadRecord> | undefined;
  #writtenAtMs = 0;
  #seen: { readonly etag: string; readonly atMs: number } | undefined;
  #last: Promise<unknown> = Promise.resolve();
  #term = 0;

  constructor(options: LeadOptions) {
    this.#options = options;
  }

  /**
   * Takes or keeps the lead; undefined while another process has it. `fresh` makes the cursor of a definition that has none.
   *
   * @throws what the store throws
   */
  hold(fresh: () => Promise<Cursor>): Promise<Cursor | undefined> {
    return this.#inTurn(() => this.#hold(fresh));
  }

  async #hold(fresh: () => Promise<Cursor>): Promise<Cursor | undefined> {
    const { store, definition, leaseMs, monotonicMs } = this.#options;
    if (this.#held !== undefined) {
      const { cursor } = this.#held.value;
      if (monotonicMs() - this.#writtenAtMs < leaseMs / 3) return cursor;
      return (await this.#write(cursor, this.#held.etag)) ? cursor : undefined;
    }
    const stored = await store.readLead(definition);
    if (stored === undefined) {
      const cursor = await fresh();
      return (await this.#write(cursor, undefined)) ? cursor : undefined;
    }
    const { leader } = stored.value;
    // Our own name is there when an answer was lost.
    if (leader === null || leader === this.#options.name || this.#isStale(stored)) {
      return (await this.#write(stored.value.cursor, stored.etag)) ? stored.value.cursor : undefined;
    }
    return undefined;
  }

  /** Moves the cursor. @throws LeadLostError when another process leads; what the store throws */
  save(cursor: Cursor): Promise<void> {
    return this.#inTurn(async () => {
      const held = this.#held;
      if (held === undefined || !(await this.#write(cursor, held.etag)))
        throw new LeadLostError(this.#options.definition);
    });
  }

  /** Counts the times that this process took the lead: what it knew in an earlier one, another may have gone beyond. */
  get term(): number {
    return this.#term;
  }

  /** Lets the next one take over at once. */
  release(): Promise<void> {
    return this.#inTurn(async () => {
      const held = this.#held;
      this.#held = undefined;
      if (held === undefined) return;
      const { store, definition } = this.#options;
      await store.writeLead(definition, { ...held.value, leader: null }, held.etag);
    });
  }

  /** One at a time: two writes under one etag would look like a lost lead. */
  #inTurn<T>(act: () => Promise<T>): Promise<T> {
    const turn = this.#last.then(act, act);
    this.#last = turn.catch(() => undefined);
    return turn;
  }

  #isStale(stored: Stored<LeadRecord>): boolean {
    const now = this.#options.monotonicMs();
    if (this.#seen?.etag !== stored.etag) this.#seen = { etag: stored.etag, atMs: now };
    // The holder's own lease counts: another release may be set to a longer one.
    return now - this.#seen.atMs >= Math.max(stored.value.leaseMs, this.#options.leaseMs);
  }

  async #write(cursor: Cursor, etag: string | undefined): Promise<boolean> {
    const { store, definition, name, leaseMs, monotonicMs } = this.#options;
    // The lease runs from before the write: an answer that comes late must not make it longer.
    const atMs = monotonicMs();
    const value: LeadRecord = { cursor, leader: name, leaseMs };
    let written: string | undefined;
    try {
      written = await store.writeLead(definition, value, etag);
    } catch (error) {
      // Whether it was written is unknown, so the etag is: what is stored must be read before anything else.
      this.#held = undefined;
      throw error;
    }
    if (written !== undefined && this.#held === undefined) this.#term += 1;
    this.#held = written === undefined ? undefined : { value, etag: written };
    this.#writtenAtMs = atMs;
    this.#seen = undefined;
    return written !== undefined;
  }
}
