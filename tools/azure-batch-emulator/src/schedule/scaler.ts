import { evaluateFormula, type FormulaRun } from '../autoscale/evaluate.ts';
import type { PoolRow } from '../store/rows.ts';
import { isoTime, type Micros } from '../time.ts';
import type { Core } from './core.ts';
import type { Fleet } from './fleet.ts';
import type { Machine } from './machine.ts';

/** Samples are kept for this long: what a formula can look back on. */
const keptMicros = 24 * 3600 * 1_000_000;

/** What `autoScaleRun` and an evaluation show; as the store keeps it. */
export interface StoredRun {
  readonly timestamp: string;
  readonly results: string;
  readonly error?: FormulaRun['error'];
}

/** Samples every pool, and evaluates the formulas of those that scale themselves. */
export class Scaler {
  readonly #core: Core;
  readonly #fleet: Fleet;
  readonly #machine: Machine;
  readonly #periodMs: number;
  readonly #random: () => number;
  #timer: NodeJS.Timeout | undefined;

  constructor(core: Core, fleet: Fleet, machine: Machine, periodMs: number, random: () => number) {
    this.#core = core;
    this.#fleet = fleet;
    this.#machine = machine;
    this.#periodMs = periodMs;
    this.#random = random;
  }

  start(): void {
    this.#timer = setInterval(() => this.#core.guard(() => this.#sampleAll()), this.#periodMs);
    this.#timer.unref();
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  #sampleAll(): void {
    const { store, stamps, options } = this.#core;
    const machine = this.#machine.measure(options.dataDirectory);
    store.transaction(() => {
      for (const pool of store.pools.all()) this.#sample(pool, stamps.next(), machine);
    });
  }

  #sample(pool: PoolRow, at: Micros, machine: Readonly<Record<string, number>>): void {
    const metrics = { ...machine, ...this.#present(pool) };
    this.#core.store.accounting.addSample(pool.seq, { at, metrics }, at - keptMicros);
  }

  /** Metrics that are counted now. */
  #present(pool: PoolRow): Record<string, number> {
    const { store } = this.#core;
    const nodes = store.pools.nodes(pool.seq);
    const count = (test: (node: (typeof nodes)[number]) => boolean): number => nodes.filter(test).length;
    const tasks = store.jobs.poolCounts(pool.account, pool.id_key);
    const usable = count(({ state }) => state === 'idle' || state === 'running');
    return {
      ActiveTasks: tasks.active,
      RunningTasks: tasks.running,
      PendingTasks: tasks.active + tasks.running,
      SucceededTasks: tasks.succeeded,
      FailedTasks: tasks.failed,
      CurrentDedicatedNodes: count(({ dedicated }) => dedicated === 1),
      CurrentLowPriorityNodes: count(({ dedicated }) => dedicated === 0),
      PreemptedNodeCount: count(({ state }) => state === 'preempted'),
      UsableNodeCount: usable,
      SampleNodeCount: usable,
      WallClockSeconds: (nodes.length * this.#periodMs) / 1000,
    };
  }

  /** Evaluates a formula over a pool's samples, without applying it. */
  evaluate(pool: PoolRow, formula: string): { readonly run: FormulaRun; readonly stored: StoredRun } {
    const { store, stamps } = this.#core;
    const now = stamps.next();
    const run = evaluateFormula(formula, {
      now,
      period: this.#periodMs * 1000,
      samples: store.accounting.samples(pool.seq),
      targets: { dedicated: pool.target_dedicated, lowPriority: pool.target_low, deallocation: 'requeue' },
      present: this.#present(pool),
      random: this.#random,
    });
    const error = run.error === undefined ? {} : { error: run.error };
    return { run, stored: { timestamp: isoTime(now), results: run.results, ...error } };
  }

  /** Evaluates what is due and resizes the pools that want it; one that is still resizing goes on to its new targets. */
  due(now: Micros): void {
    const { store, stamps, options } = this.#core;
    for (const pool of store.pools.toScale(now)) {
      const { formula, scale_interval: interval } = pool;
      if (formula === null || interval === null) continue;
      // A new pool's first evaluation would have nothing to look at, and the next one may be far.
      if (store.accounting.samples(pool.seq).length === 0) {
        const machine = this.#machine.measure(options.dataDirectory);
        store.transaction(() => this.#sample(pool, stamps.next(), machine));
      }
      const { run, stored } = this.evaluate(pool, formula);
      store.transaction(() => {
        store.pools.scaled(pool.seq, JSON.stringify(stored), now + interval);
        const { dedicated, lowPriority, deallocation } = run.targets;
        const same = dedicated === pool.target_dedicated && lowPriority === pool.target_low;
        if (run.error !== undefined || same || pool.allocation_state === 'stopping') return;
        store.pools.resize(pool, dedicated, lowPriority, deallocation, null, stamps.next());
        this.#fleet.allocate(pool.seq);
      });
    }
  }
}
