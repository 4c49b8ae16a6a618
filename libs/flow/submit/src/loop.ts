import type { RunRecord } from '@xva/contracts';
import { describeError } from '@xva/runtime';
import { swap, type SubmitDeps } from './deps.ts';
import { PoolCapacity } from './pool-capacity.ts';
import type { StoredRun } from './ports.ts';
import { TaskWatch } from './task-watch.ts';
import { reconcileRun, type ReconcileResult } from './reconcile.ts';
import { change, hasReason, isOpen, reason, withReasons } from './record.ts';

export interface LoopOptions {
  /** Shortest wait between two looks at a run whose tasks are under way. */
  readonly pollMs: number;
  /** Longest one; the wait grows with the time since something moved. */
  readonly pollMaxMs: number;
  /** How often all open runs are listed: what another replica or an earlier life left is found then. */
  readonly discoverMs: number;
  /** How often the job and the record themselves are looked at again, beside the tasks. */
  readonly deepMs: number;
  /** Wait before a job is tried again that the account's quota refused. */
  readonly quotaRetryMs: number;
  /** Runs worked on at a time. */
  readonly concurrency: number;
  /** Tasks that may be outstanding in one pool over all runs; undefined = twice its slots. */
  readonly maxOutstandingTasks: number | undefined;
  /** How long what is known of pools and of the desks' usage is good for. Default 10 s. */
  readonly capacityRefreshMs?: number | undefined;
  /** Looks at runs under way, all together: with many of them each is looked at more seldom. Default 100. */
  readonly maxLooksPerSecond?: number | undefined;
  /** How often all tasks of a job are listed, beside what changed. Default ten minutes. */
  readonly fullListMs?: number | undefined;
}

interface Entry {
  readonly runId: string;
  known: StoredRun | undefined;
  /** After a failure what is known may be old: it is read again. */
  stale: boolean;
  dueAt: number;
  deepAt: number;
  movedAt: number;
  busy: boolean;
  /** How often it was woken: once more during its work means that the work is not over. */
  wakes: number;
  failures: number;
}

export interface LoopHooks {
  readonly onPass?: (result: ReconcileResult['kind'] | 'error', tookMs: number) => void;
  /** Every version of a record that was read or written here, such as `feed.tell`. */
  readonly onRecord?: (run: StoredRun) => void;
}

/** A failing service is asked again after this, doubling up to the longest. */
const errorDelayMs = 250;
const maxErrorDelayMs = 30_000;
/** After so many failures in a row the run's record says what it waits for. */
const failuresToTell = 2;

/** Wait until the next look: at least `pollMs`, and about a hundredth of the time since something moved. */
export function pollDelayMs(sinceMovedMs: number, options: Pick<LoopOptions, 'pollMs' | 'pollMaxMs'>): number {
  return Math.min(options.pollMaxMs, Math.max(options.pollMs, sinceMovedMs / 100));
}

/**
 * Keeps every open run moving: a run that was just posted at once, others when they are due. Holds no state that cannot be
 * read again, so that any number of replicas may run it.
 */
export class RunLoop {
  readonly #deps: SubmitDeps;
  readonly #options: LoopOptions;
  readonly #hooks: LoopHooks;
  readonly #entries = new Map<string, Entry>();
  readonly #working = new Set<Promise<void>>();
  #wakeUp: () => void = () => undefined;
  readonly #capacity: PoolCapacity;
  readonly #watch: TaskWatch;
  /** What was freed in the pools when waiting runs were woken last. */
  #freedSeen = 0;

  constructor(deps: SubmitDeps, options: LoopOptions, hooks: LoopHooks = {}) {
    this.#deps = deps;
    this.#options = options;
    this.#hooks = hooks;
    const { maxOutstandingTasks, capacityRefreshMs = 10_000, fullListMs = 600_000 } = options;
    this.#watch = new TaskWatch(deps.batch, deps.clock, { fullMs: fullListMs });
    const capacity = { maxOutstandingTasks, refreshMs: capacityRefreshMs };
    this.#capacity = new PoolCapacity(deps, capacity, () => this.records());
  }

  /** Open runs that the loop knows of. */
  records(): readonly RunRecord[] {
    return [...this.#entries.values()].flatMap((entry) => (entry.known === undefined ? [] : [entry.known.record]));
  }

  /** Works on a run at once. `known` saves reading it. */
  wake(runId: string, known?: StoredRun): void {
    const entry = this.#entries.get(runId) ?? this.#enter(runId);
    if (known !== undefined && (entry.known === undefined || known.record.version > entry.known.record.version)) {
      entry.known = known;
      entry.stale = false;
      this.#hooks.onRecord?.(known);
    }
    entry.dueAt = 0;
    // What was asked for may concern the jobs themselves, as a pause does.
    entry.deepAt = 0;
    entry.wakes += 1;
    this.#wakeUp();
  }

  /** Runs until the signal aborts, then lets what is under way come to its next stop. */
  async run(signal: AbortSignal): Promise<void> {
    const stop = (): void => this.#wakeUp();
    signal.addEventListener('abort', stop, { once: true });
    let discoverAt = 0;
    while (!signal.aborted) {
      const woken = new Promise<void>((resolve) => (this.#wakeUp = resolve));
      const now = this.#now();
      if (now >= discoverAt) {
        discoverAt = now + this.#options.discoverMs;
        void this.#track(this.#discover());
      }
      this.#wakeAdmitted();
      this.#startDue(signal);
      const wait = Math.max(0, Math.min(discoverAt, this.#nextDue()) - this.#now());
      const sleeping = new AbortController();
      await Promise.race([woken, this.#deps.clock.sleep(wait, sleeping.signal)]);
      sleeping.abort();
    }
    signal.removeEventListener('abort', stop);
    await Promise.all(this.#working);
  }

  /** One pass over every open run, each as far as it can go now. */
  async once(): Promise<readonly { readonly runId: string; readonly state: string; readonly result: string }[]> {
    await this.#discover(true);
    const done: { runId: string; state: string; result: string }[] = [];
    for (const entry of [...this.#entries.values()]) {
      const result = await this.#reconcile(entry, undefined);
      done.push({ runId: entry.runId, state: entry.known?.record.state ?? 'gone', result });
    }
    return done;
  }

  #now(): number {
    return this.#deps.clock.now().getTime();
  }

  #enter(runId: string): Entry {
    const now = this.#now();
    const entry: Entry = {
      runId,
      known: undefined,
      stale: false,
      dueAt: 0,
      deepAt: 0,
      movedAt: now,
      busy: false,
      wakes: 0,
      failures: 0,
    };
    this.#entries.set(runId, entry);
    return entry;
  }

  #busy(): number {
    return [...this.#entries.values()].filter((entry) => entry.busy).length;
  }

  #nextDue(): number {
    let next = Number.POSITIVE_INFINITY;
    // With all hands busy the next thing to happen is that one of them is done, which wakes the loop.
    if (this.#busy() >= this.#options.concurrency) return next;
    for (const entry of this.#entries.values()) if (!entry.busy && entry.dueAt < next) next = entry.dueAt;
    return next;
  }

  #startDue(signal: AbortSignal): void {
    const now = this.#now();
    let free = this.#options.concurrency - this.#busy();
    for (const entry of this.#entries.values()) {
      if (free <= 0) return;
      if (entry.busy || entry.dueAt > now) continue;
      free -= 1;
      void this.#track(this.#work(entry, signal));
    }
  }

  async #track(work: Promise<unknown>): Promise<void> {
    const tracked = work.then(
      () => undefined,
      (error: unknown) => this.#deps.logger.error({ error: describeError(error) }, 'reconciling failed'),
    );
    this.#working.add(tracked);
    await tracked;
    this.#working.delete(tracked);
    this.#wakeUp();
  }

  async #work(entry: Entry, signal: AbortSignal): Promise<void> {
    entry.busy = true;
    const before = entry.wakes;
    try {
      await this.#reconcile(entry, signal);
    } finally {
      entry.busy = false;
      if (entry.wakes !== before) {
        entry.dueAt = 0;
        entry.stale = true;
        this.#entries.set(entry.runId, entry);
      }
    }
  }

  async #reconcile(entry: Entry, signal: AbortSignal | undefined): Promise<ReconcileResult['kind'] | 'error'> {
    const started = this.#now();
    const deep = started >= entry.deepAt;
    const version = entry.known?.record.version;
    try {
      const result = await reconcileRun(entry.runId, this.#deps, {
        // A deep look reads the record too: somebody else may have changed it and left nothing to stumble over.
        known: entry.stale || (deep && entry.known?.record.state !== 'queued') ? undefined : entry.known,
        deep,
        capacity: this.#capacity,
        watch: this.#watch,
        signal,
        onRecord: (run) => {
          entry.known = run;
          this.#hooks.onRecord?.(run);
        },
      });
      entry.failures = 0;
      entry.stale = false;
      if (deep) entry.deepAt = started + this.#options.deepMs;
      if (entry.known?.record.version !== version) entry.movedAt = this.#now();
      if (result.kind === 'over' || result.kind === 'gone') this.#leave(entry);
      else entry.dueAt = this.#dueAfter(entry, result);
      this.#hooks.onPass?.(result.kind, this.#now() - started);
      return result.kind;
    } catch (error) {
      if (isAborted(signal)) return 'error';
      entry.failures += 1;
      entry.stale = true;
      entry.dueAt = this.#now() + Math.min(maxErrorDelayMs, errorDelayMs * 2 ** Math.min(entry.failures - 1, 10));
      this.#hooks.onPass?.('error', this.#now() - started);
      this.#deps.logger.warn(
        { runId: entry.runId, failures: entry.failures, error: describeError(error) },
        'a run could not be moved on and will be tried again',
      );
      if (entry.failures === failuresToTell) await this.#tell(entry.runId, error);
      return 'error';
    }
  }

  #leave(entry: Entry): void {
    this.#entries.delete(entry.runId);
    this.#capacity.forget(entry.runId);
    for (const attempt of entry.known?.record.attempts ?? []) this.#watch.forget(attempt.jobId);
  }

  /** Wakes queued runs that have room now, once something was freed. */
  #wakeAdmitted(): void {
    if (this.#capacity.freed === this.#freedSeen) return;
    this.#freedSeen = this.#capacity.freed;
    for (const runId of this.#capacity.admitted()) {
      const entry = this.#entries.get(runId);
      if (entry !== undefined) entry.dueAt = 0;
    }
  }

  #dueAfter(entry: Entry, result: Extract<ReconcileResult, { kind: 'waiting' }>): number {
    const now = this.#now();
    const { pollMs, discoverMs, quotaRetryMs } = this.#options;
    if (result.on === 'quota') return now + quotaRetryMs;
    if (result.on === 'admission' || result.on === 'pause') return now + discoverMs;
    if (result.notBefore !== undefined)
      return Math.max(now + pollMs, Math.min(result.notBefore.getTime(), now + quotaRetryMs));
    const { maxLooksPerSecond = 100 } = this.#options;
    const turnMs = (this.#entries.size / maxLooksPerSecond) * 1000;
    return now + Math.max(turnMs, pollDelayMs(now - entry.movedAt, this.#options));
  }

  async #discover(thorough = false): Promise<void> {
    try {
      const skip = (runId: string): boolean => !thorough && this.#entries.has(runId);
      for await (const run of this.#deps.runs.listOpen(skip)) {
        const known = this.#entries.get(run.record.runId);
        if (known !== undefined && !thorough) continue;
        if (isOpen(run.record)) (known ?? this.#enter(run.record.runId)).known = run;
      }
    } catch (error) {
      if (thorough) throw error;
      this.#deps.logger.warn({ error: describeError(error) }, 'open runs could not be listed');
    }
  }

  /** Says in the record what a run waits for, once per cause. */
  async #tell(runId: string, error: unknown): Promise<void> {
    try {
      const run = await this.#deps.runs.get(runId);
      if (run === undefined) return;
      const subject = error instanceof Error ? error.name : 'unknown';
      if (hasReason(run.record, 'waiting-for-service', subject)) return;
      const now = this.#deps.clock.now();
      const told = reason(now, 'waiting-for-service', subject, error instanceof Error ? error.message : String(error));
      await swap(this.#deps, run, change(run.record, now, { reasons: withReasons(run.record, [told]) }));
    } catch (failure) {
      this.#deps.logger.warn({ runId, error: describeError(failure) }, 'what a run waits for could not be recorded');
    }
  }
}

/** Asked anew after each wait: it may have aborted meanwhile. */
function isAborted(signal: AbortSignal | undefined): boolean {
  return signal?.aborted === true;
}
