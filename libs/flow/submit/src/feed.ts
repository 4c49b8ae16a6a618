import type { Clock } from '@xva/runtime';
import type { RunStore, StoredRun } from './ports.ts';
import { isOpen } from './record.ts';

interface Watched {
  /** The newest version that anybody here saw. */
  latest: StoredRun | undefined;
  /** Milliseconds since the epoch of the last read, or telling. */
  readAt: number;
  reading: Promise<void> | undefined;
  watchers: number;
  readonly wake: Set<() => void>;
}

export interface FeedOptions {
  /** How often the record of a watched run is read: what another replica changed is told after this at the latest. */
  readonly pollMs: number;
}

/**
 * Changes of run records, for those who watch. What this process writes is told at once (`tell`, the loop's hook); what
 * another replica writes is found by reading the record, once per watched run whatever the number of watchers.
 */
export class RunFeed {
  readonly #runs: Pick<RunStore, 'get'>;
  readonly #clock: Clock;
  readonly #pollMs: number;
  readonly #watched = new Map<string, Watched>();

  constructor(runs: Pick<RunStore, 'get'>, clock: Clock, options: FeedOptions) {
    this.#runs = runs;
    this.#clock = clock;
    this.#pollMs = options.pollMs;
  }

  /** Runs that somebody watches here. */
  get size(): number {
    return this.#watched.size;
  }

  /** A version that was written or read here. */
  tell(run: StoredRun): void {
    const watched = this.#watched.get(run.record.runId);
    if (watched === undefined) return;
    this.#note(watched, run);
  }

  #note(watched: Watched, run: StoredRun): void {
    watched.readAt = this.#clock.now().getTime();
    if (watched.latest !== undefined && watched.latest.record.version >= run.record.version) return;
    watched.latest = run;
    for (const wake of watched.wake) wake();
  }

  /**
   * Versions of a run's record after `sinceVersion`, oldest first; a version that was overtaken before it was seen is
   * left out. The present one comes at once when it is newer. Ends after a version with nothing open any more, when the
   * run does not exist, or when the signal aborts.
   *
   * @throws whatever the store throws: the watcher asks again from the version that it has.
   */
  async *watch(runId: string, sinceVersion: number, signal: AbortSignal): AsyncGenerator<StoredRun> {
    const watched = this.#watched.get(runId) ?? {
      latest: undefined,
      readAt: Number.NEGATIVE_INFINITY,
      reading: undefined,
      watchers: 0,
      wake: new Set<() => void>(),
    };
    this.#watched.set(runId, watched);
    watched.watchers += 1;
    try {
      let seen = sinceVersion;
      await this.#read(runId, watched);
      while (!signal.aborted) {
        const { latest } = watched;
        if (latest === undefined) return;
        if (latest.record.version > seen) {
          seen = latest.record.version;
          yield latest;
          continue;
        }
        if (!isOpen(latest.record)) return;
        await this.#changed(runId, watched, signal);
      }
    } finally {
      watched.watchers -= 1;
      if (watched.watchers === 0) this.#watched.delete(runId);
    }
  }

  /** Until the run was told or read again, or the signal aborts. */
  async #changed(runId: string, watched: Watched, signal: AbortSignal): Promise<void> {
    const sleeping = new AbortController();
    const stop = (): void => sleeping.abort();
    signal.addEventListener('abort', stop, { once: true });
    if (signal.aborted) stop();
    let wake: () => void = () => undefined;
    const told = new Promise<void>((resolve) => (wake = resolve));
    watched.wake.add(wake);
    const wait = Math.max(0, watched.readAt + this.#pollMs - this.#clock.now().getTime());
    const slept = await Promise.race([
      told.then(() => false),
      this.#clock.sleep(wait, sleeping.signal).then(() => !sleeping.signal.aborted),
    ]);
    watched.wake.delete(wake);
    stop();
    signal.removeEventListener('abort', stop);
    if (slept && !signal.aborted) await this.#read(runId, watched);
  }

  async #read(runId: string, watched: Watched): Promise<void> {
    if (this.#clock.now().getTime() - watched.readAt < this.#pollMs && watched.latest !== undefined) return;
    watched.reading ??= this.#runs.get(runId).then((run) => {
      if (run === undefined) watched.latest = undefined;
      else this.#note(watched, run);
    });
    try {
      await watched.reading;
    } finally {
      watched.reading = undefined;
    }
  }
}
