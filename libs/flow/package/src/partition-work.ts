import type { Clock } from '@xva/runtime';
import { PartitionWindow, type Placed, type WindowOptions } from './window.ts';

export interface PartitionWorkOptions<E extends Placed> {
  readonly window: WindowOptions;
  /** Events of one order key are worked on one after the other; undefined = any time. */
  readonly orderOf: (event: E) => string | undefined;
  /** Resolves when the event's effect is durable; rejects only when the signal is aborted or nothing can be decided. */
  readonly handle: (event: E, signal: AbortSignal) => Promise<void>;
  /** Durable when it resolves. */
  readonly checkpoint: (event: E) => Promise<void>;
  readonly onCheckpointError: (error: unknown) => void;
  /** Least time between two checkpoints; what is not covered yet comes again after a crash. */
  readonly checkpointIntervalMs: number;
  /** Called when `handle` rejected without an abort: the event stays undone and the prefix ends before it. */
  readonly onUndecided: (event: E, error: unknown) => void;
  readonly clock: Clock;
  /** Second breath: what is under way is let go. */
  readonly stopWorking: AbortSignal;
}

const checkpointRetryMs = 1_000;

/** Works on one partition while it is ours: window, tasks and checkpoints. */
export class PartitionWork<E extends Placed> {
  readonly #options: PartitionWorkOptions<E>;
  readonly #window: PartitionWindow<E>;
  readonly #letGo = new AbortController();
  readonly #signal: AbortSignal;
  readonly #tasks = new Set<Promise<void>>();
  #taking = true;
  #isStarting = false;
  #unsaved: E | undefined;
  #saving: Promise<void> | undefined;
  #changed = Promise.withResolvers<undefined>();

  constructor(options: PartitionWorkOptions<E>) {
    this.#options = options;
    this.#window = new PartitionWindow(options.window);
    this.#signal = AbortSignal.any([options.stopWorking, this.#letGo.signal]);
  }

  get running(): number {
    return this.#window.running;
  }

  get size(): number {
    return this.#window.size;
  }

  /** Takes events in order; resolves when all are taken and there is room for more, or when the partition is let go. */
  async receive(events: readonly E[]): Promise<void> {
    for (const event of events) {
      if (!(await this.#roomOrEnd())) return;
      this.#window.add(event, this.#options.orderOf(event));
      this.#startSoon();
    }
    await this.#roomOrEnd();
  }

  /**
   * Ends the stay. On `stop` running events are finished (until the second breath) and checkpointed. On `lost` and
   * `error` they are let go: they come again, here or elsewhere. A lost partition's checkpoint is not ours to write.
   */
  async release(reason: 'stop' | 'lost' | 'error'): Promise<void> {
    this.#taking = false;
    this.#wake();
    if (reason !== 'stop') this.#letGo.abort(new PartitionReleasedError(reason));
    await Promise.all(this.#tasks);
    if (reason === 'lost') return;
    this.#letGo.abort(new PartitionReleasedError(reason));
    await this.#saving;
    await this.#saveOnce();
  }

  async #roomOrEnd(): Promise<boolean> {
    while (this.#taking && this.#window.room <= 0) await this.#changed.promise;
    return this.#taking;
  }

  #wake(): void {
    this.#changed.resolve(undefined);
    this.#changed = Promise.withResolvers<undefined>();
  }

  /** In a turn of its own: who handed the events over asks for the next ones meanwhile. */
  #startSoon(): void {
    if (this.#isStarting) return;
    this.#isStarting = true;
    setImmediate(() => {
      this.#isStarting = false;
      this.#startTasks();
    });
  }

  #startTasks(): void {
    while (this.#taking) {
      const event = this.#window.start();
      if (event === undefined) return;
      const task = this.#work(event).finally(() => this.#tasks.delete(task));
      this.#tasks.add(task);
    }
  }

  async #work(event: E): Promise<void> {
    try {
      await this.#options.handle(event, this.#signal);
    } catch (error) {
      if (!this.#signal.aborted) this.#options.onUndecided(event, error);
      return;
    }
    this.#window.finish(event);
    const covered = this.#window.takeCheckpoint();
    if (covered !== undefined) {
      this.#unsaved = covered;
      this.#wake();
    }
    this.#startTasks();
    if (covered !== undefined) this.#saving ??= this.#save();
  }

  /** Writes checkpoints one at a time, always the newest, the first at once: a burst of events costs few writes. */
  async #save(): Promise<void> {
    while (this.#unsaved !== undefined && !this.#letGo.signal.aborted) {
      const isSaved = await this.#saveOnce();
      const pauseMs = isSaved ? this.#options.checkpointIntervalMs : checkpointRetryMs;
      await this.#options.clock.sleep(pauseMs, this.#letGo.signal);
    }
    // In the same turn as the check above: an event that ends later starts the next round.
    this.#saving = undefined;
  }

  /** Writes the newest checkpoint if there is one; false when that failed. */
  async #saveOnce(): Promise<boolean> {
    const target = this.#unsaved;
    if (target === undefined) return true;
    try {
      await this.#options.checkpoint(target);
    } catch (error) {
      this.#options.onCheckpointError(error);
      return false;
    }
    if (this.#unsaved === target) this.#unsaved = undefined;
    return true;
  }
}

/** The reason of an abort when the partition is no longer ours. */
export class PartitionReleasedError extends Error {
  override readonly name = 'PartitionReleasedError';
  readonly reason: string;

  constructor(reason: string) {
    super(`the partition was released: ${reason}`);
    this.reason = reason;
  }
}
