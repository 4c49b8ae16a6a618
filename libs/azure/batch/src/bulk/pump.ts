import { retryDelayMs, type Clock, type Random, type RetryPolicy } from '@xva/runtime';
import { BatchError } from '../errors.ts';
import { ChunkSize, maxTasks } from './chunk-size.ts';
import { settle, type RefusedTask, type Settlement } from './settle.ts';
import { bodyBytes, bodyOf, type Item, type ItemSource } from './source.ts';
import { Throttle } from './throttle.ts';

export interface PumpOptions {
  /** Sends one collection once. Rejects with a BatchError for what Batch or the network refused. */
  readonly send: (body: string) => Promise<unknown>;
  /** Whether the same request may succeed later, and how long Batch asked to wait; undefined = never. */
  readonly judge: (error: unknown, startedMs: number) => { readonly retryAfterMs: number | undefined } | undefined;
  readonly onRetry: (error: unknown, attempt: number, delayMs: number) => void;
  /** Takes what the answer to one collection settled; the pump waits for it, so that nothing piles up behind it. */
  readonly onSettled: (settled: Settlement) => Promise<void> | void;
  readonly parallelism: number;
  readonly policy: RetryPolicy;
  readonly clock: Clock;
  readonly random: Random;
  readonly signal: AbortSignal | undefined;
}

/** A single task is too large when so many tries say so: one 413 may be a proxy's mood. */
const provenTooLarge = 3;

/** A collection on its way. `attempts` counts the tries that failed, `refusals` those of a single task for its size. */
interface Chunk {
  readonly items: readonly Item[];
  readonly bytes: number;
  readonly attempts: number;
  readonly refusals: number;
  readonly firstTriedMs: number | undefined;
}

/**
 * Sends everything that a source gives by collections, several in flight, in no order. It holds no more than the
 * collections in flight and as many again that wait for another try, whatever the length of the input. A collection that
 * failed waits by itself while others go on; one that is too large is sent again in two halves. Each item ends settled, or
 * `run` rejects: with the first error that is final, the input's own, or the signal's reason.
 */
export class Pump {
  readonly #options: PumpOptions;
  readonly #size: ChunkSize;
  readonly #throttle: Throttle;
  readonly #stop = new AbortController();
  readonly #ready: Chunk[] = [];
  #flying = 0;
  #waiting = 0;
  #pausing = false;
  #pulling = false;
  #drained = false;
  #failed: { readonly error: unknown } | undefined;
  #wake: () => void = () => undefined;

  constructor(options: PumpOptions) {
    this.#options = options;
    this.#size = new ChunkSize();
    this.#throttle = new Throttle(options.parallelism);
  }

  async run(source: ItemSource): Promise<void> {
    const { signal } = this.#options;
    const cancel = (): void => this.#fail(signal?.reason);
    signal?.addEventListener('abort', cancel, { once: true });
    if (signal?.aborted === true) cancel();
    try {
      for (;;) {
        const changed = new Promise<void>((resolve) => (this.#wake = resolve));
        const stopping = this.#failed !== undefined;
        const room = !stopping && this.#flying < this.#throttle.window && !this.#paused();
        const chunk = room ? this.#ready.shift() : undefined;
        if (chunk !== undefined) {
          void this.#fly(chunk);
          continue;
        }
        if (room && !this.#pulling && !this.#drained && this.#waiting < this.#options.parallelism)
          void this.#pull(source);
        const idle = this.#flying === 0 && this.#waiting === 0 && !this.#pulling;
        if (idle && (stopping || (this.#drained && this.#ready.length === 0))) break;
        await changed;
      }
    } finally {
      signal?.removeEventListener('abort', cancel);
      await source.close();
    }
    if (this.#failed !== undefined) throw this.#failed.error;
  }

  async #pull(source: ItemSource): Promise<void> {
    this.#pulling = true;
    try {
      const items = await source.take(maxTasks, this.#size.limit);
      if (items.length === 0) this.#drained = true;
      else this.#enqueue(items);
    } catch (error) {
      this.#fail(error);
    }
    this.#pulling = false;
    this.#wake();
  }

  /** The first failure counts. A cancelled call drops what is in flight; any other lets it come home. */
  #fail(error: unknown): void {
    this.#failed ??= { error };
    this.#stop.abort();
    this.#wake();
  }

  #enqueue(items: readonly Item[], attempts = 0, firstTriedMs?: number, refusals = 0): void {
    this.#ready.push({ items, bytes: bodyBytes(items), attempts, refusals, firstTriedMs });
  }

  #paused(): boolean {
    const left = this.#throttle.pausedUntilMs - this.#options.clock.now().getTime();
    if (left > 0 && !this.#pausing) {
      this.#pausing = true;
      void this.#options.clock.sleep(left, this.#stop.signal).then(() => {
        this.#pausing = false;
        this.#wake();
      });
    }
    return left > 0;
  }

  async #fly(given: Chunk): Promise<void> {
    const { clock, send, onSettled } = this.#options;
    const startedMs = clock.now().getTime();
    const chunk = { ...given, firstTriedMs: given.firstTriedMs ?? startedMs };
    this.#flying += 1;
    try {
      const answer = await send(bodyOf(chunk.items)).catch((error: unknown) => new Refusal(error));
      if (answer instanceof Refusal) await this.#refused(chunk, answer.error, startedMs);
      else {
        this.#throttle.accepted();
        this.#size.accepted(chunk.bytes);
        const settled = settle(chunk.items, answer);
        await onSettled(settled);
        if (settled.again.length > 0) this.#again({ ...chunk, items: settled.again }, itemError(settled), undefined);
      }
    } catch (error) {
      this.#fail(error);
    } finally {
      this.#flying -= 1;
      this.#wake();
    }
  }

  async #refused(chunk: Chunk, error: unknown, startedMs: number): Promise<void> {
    const { clock, judge } = this.#options;
    if (error instanceof BatchError && error.status === 413) return this.#tooLarge(chunk, error);
    const verdict = judge(error, startedMs);
    if (verdict === undefined) return this.#fail(error);
    const delayMs = this.#again(chunk, error, verdict.retryAfterMs);
    // A service that is away needs no less rest than one that is busy.
    if (error instanceof BatchError && error.retryable)
      this.#throttle.refused(startedMs, clock.now().getTime(), delayMs);
  }

  /**
   * Sends the items again after a while, or fails for good when the policy is used up. Returns the wait. While nothing
   * comes through for any of several collections, all back off together and none uses up its tries: the deadline ends it.
   */
  #again(chunk: Chunk, error: unknown, retryAfterMs: number | undefined): number {
    const { policy, random, clock, onRetry } = this.#options;
    const isAlone = this.#drained && this.#ready.length + this.#waiting + this.#flying <= 1;
    const isShared = this.#throttle.isAway && !isAlone;
    const attempts = chunk.attempts + (isShared ? 0 : 1);
    const delayMs = retryDelayMs(policy, isShared ? this.#throttle.rounds + 1 : attempts, random, retryAfterMs);
    const now = clock.now().getTime();
    if (attempts >= policy.maxAttempts || now - (chunk.firstTriedMs ?? now) + delayMs > policy.deadlineMs) {
      this.#fail(error);
      return 0;
    }
    onRetry(error, attempts, delayMs);
    this.#waiting += 1;
    void clock.sleep(delayMs, this.#stop.signal).then(() => {
      this.#waiting -= 1;
      this.#enqueue(chunk.items, attempts, chunk.firstTriedMs, chunk.refusals);
      this.#wake();
    });
    return delayMs;
  }

  /** Halves what was too large. A single task that is too large is refused for good, unless as much has passed before. */
  async #tooLarge(chunk: Chunk, error: BatchError): Promise<void> {
    const believed = this.#size.refused(chunk.bytes);
    const [first] = chunk.items;
    if (chunk.items.length > 1) {
      const half = Math.ceil(chunk.items.length / 2);
      this.#enqueue(chunk.items.slice(0, half), chunk.attempts, chunk.firstTriedMs);
      this.#enqueue(chunk.items.slice(half), chunk.attempts, chunk.firstTriedMs);
    } else if (believed && chunk.refusals + 1 >= provenTooLarge && first !== undefined) {
      const refused: RefusedTask = { index: first.index, taskId: first.id, code: error.code, message: error.detail };
      await this.#options.onSettled({ created: [], existed: [], refused: [refused], again: [], reason: noReason });
    } else this.#again({ ...chunk, refusals: chunk.refusals + 1 }, error, error.retryAfterMs);
  }
}

/** What `send` rejected with, apart from errors of our own making. */
class Refusal {
  readonly error: unknown;
  constructor(error: unknown) {
    this.error = error;
  }
}

const noReason = { code: '', detail: '' };

/** What is reported when an item fails on Batch's side until the tries are used up. */
function itemError(settled: Settlement): BatchError {
  const { code, detail } = settled.reason;
  return new BatchError(`task ${settled.again[0]?.id ?? ''}`, { code, status: 500, detail });
}
