/** Where an event stands in its partition. */
export interface Placed {
  readonly sequenceNumber: number;
}

export interface WindowOptions {
  /** Events worked on at once. */
  readonly maxParallel: number;
  /** Events taken in and not yet done without a gap: bounds memory when the oldest one is stuck. */
  readonly maxSpan: number;
}

interface Entry<E> {
  readonly event: E;
  readonly order: string | undefined;
  state: 'queued' | 'running' | 'done';
}

/**
 * The events of one partition between arrival and checkpoint, as a pure state machine. Events run side by side, those of
 * one order key one after the other; the checkpoint only ever covers a prefix in which every event is done, so that a
 * crash repeats events but never skips one.
 */
export class PartitionWindow<E extends Placed> {
  readonly #options: WindowOptions;
  readonly #entries: Entry<E>[] = [];
  readonly #busyOrders = new Set<string>();
  #running = 0;
  #last = -1;

  constructor(options: WindowOptions) {
    this.#options = options;
  }

  /** Events that may still be added. */
  get room(): number {
    return this.#options.maxSpan - this.#entries.length;
  }

  get running(): number {
    return this.#running;
  }

  get size(): number {
    return this.#entries.length;
  }

  /** Adds the next event; false for one that was added before (sequence numbers only grow). */
  add(event: E, order: string | undefined): boolean {
    if (event.sequenceNumber <= this.#last) return false;
    this.#last = event.sequenceNumber;
    this.#entries.push({ event, order, state: 'queued' });
    return true;
  }

  /** The oldest event that may start now, which then counts as running. */
  start(): E | undefined {
    if (this.#running >= this.#options.maxParallel) return undefined;
    const entry = this.#entries.find(
      ({ state, order }) => state === 'queued' && (order === undefined || !this.#busyOrders.has(order)),
    );
    if (entry === undefined) return undefined;
    entry.state = 'running';
    this.#running += 1;
    if (entry.order !== undefined) this.#busyOrders.add(entry.order);
    return entry.event;
  }

  finish(event: E): void {
    const entry = this.#entries.find((candidate) => candidate.event === event);
    if (entry?.state !== 'running') return;
    entry.state = 'done';
    this.#running -= 1;
    if (entry.order !== undefined) this.#busyOrders.delete(entry.order);
  }

  /** The last event of the done prefix, which leaves the window; undefined when the oldest event is not done. */
  takeCheckpoint(): E | undefined {
    let count = 0;
    while (this.#entries[count]?.state === 'done') count += 1;
    return this.#entries.splice(0, count).at(-1)?.event;
  }
}
