import type { RunRecord } from '@xva/contracts';
import { describeError } from '@xva/runtime';
import { allot, demandsOf, type Demand } from './admission.ts';
import type { Capacity, SubmitDeps } from './deps.ts';
import { nextPoolOf } from './pools.ts';
import type { PoolFacts, StoredRun, UsageEntry } from './ports.ts';
import { slotsOf, type Slots } from './slots.ts';
import { defaultHalfLifeMs, deskUsage, usageHorizon } from './usage.ts';

export interface CapacityOptions {
  /** Tasks that may be outstanding in one pool over all runs; undefined = twice its slots. */
  readonly maxOutstandingTasks: number | undefined;
  /** How long what is known of pools and past usage is good for. */
  readonly refreshMs: number;
}

interface Known {
  readonly facts: PoolFacts | undefined;
  readonly slots: Slots;
  readonly readAt: number;
}

/** Slots are filled twice: a task that ends is followed at once by one that waits in the pool. */
const backlogFactor = 2;

/**
 * Shares the pools among the runs that this process knows: only about twice their slots is ever submitted, the rest waits
 * in the run records. Several replicas come to about the same shares, since they see the same records; between two looks
 * they may go over the limit by what one of them adds.
 */
export class PoolCapacity implements Capacity {
  readonly #deps: SubmitDeps;
  readonly #options: CapacityOptions;
  readonly #records: () => readonly RunRecord[];
  readonly #jobs = new Map<string, { readonly runId: string; readonly tasks: number }>();
  readonly #pools = new Map<string, Known>();
  #usage: { readonly entries: readonly UsageEntry[]; readonly readAt: number } = { entries: [], readAt: Number.NaN };
  /** Counts what was freed: a cheap way to see that waiting runs may have room now. */
  freed = 0;

  /** @param records open runs that the process knows of */
  constructor(deps: SubmitDeps, options: CapacityOptions, records: () => readonly RunRecord[]) {
    this.#deps = deps;
    this.#options = options;
    this.#records = records;
  }

  outstanding(runId: string, jobId: string, _poolId: string, tasks: number): void {
    if ((this.#jobs.get(jobId)?.tasks ?? 0) > tasks) this.freed += 1;
    this.#jobs.set(jobId, { runId, tasks });
  }

  /** A run is over, or no longer looked after here. */
  forget(runId: string): void {
    for (const [jobId, job] of this.#jobs) if (job.runId === runId) this.#jobs.delete(jobId);
    this.freed += 1;
  }

  async facts(poolId: string): Promise<PoolFacts | undefined> {
    return (await this.#pool(poolId)).facts;
  }

  shortage(poolId: string): { readonly code: string; readonly message: string } {
    const short = this.#pools.get(poolId)?.slots.short;
    if (short !== undefined) {
      const message = `pool ${poolId} has fewer nodes than it asked for (${short}), and they are busy; the run goes on when tasks are done`;
      return { code: 'waiting-for-cores', message };
    }
    const message = `as many tasks as pool ${poolId} can work on soon are submitted already; the run goes on when some are done`;
    return { code: 'waiting-for-slots', message };
  }

  async room(run: StoredRun, poolId: string): Promise<number> {
    const [{ slots }] = await Promise.all([this.#pool(poolId), this.#refreshUsage()]);
    const others = this.#records().filter((record) => record.runId !== run.record.runId);
    return this.#shares([...others, run.record], poolId, slots).get(run.record.runId) ?? 0;
  }

  /** Queued runs that have room now, from what is known already. */
  admitted(): ReadonlySet<string> {
    const records = this.#records();
    const queued = new Set(records.filter((record) => record.state === 'queued').map((record) => record.runId));
    const found = new Set<string>();
    if (queued.size === 0) return found;
    for (const [poolId, { slots }] of this.#pools)
      for (const [runId, tasks] of this.#shares(records, poolId, slots))
        if (tasks > 0 && queued.has(runId)) found.add(runId);
    return found;
  }

  #shares(records: readonly RunRecord[], poolId: string, slots: Slots): ReadonlyMap<string, number> {
    const outstanding = (jobId: string): number | undefined => this.#jobs.get(jobId)?.tasks;
    const demands: Demand[] = [];
    let used = 0;
    for (const record of records) {
      const { wants, has } = demandsOf(record, outstanding, (queued) => nextPoolOf(queued, this.#deps.policy).poolId);
      demands.push(...wants.filter((demand) => demand.poolId === poolId));
      used += has.get(poolId) ?? 0;
    }
    const most = this.#options.maxOutstandingTasks ?? backlogFactor * slots.slots;
    const now = this.#deps.clock.now();
    const halfLifeMs = this.#deps.policy.usageHalfLifeMs ?? defaultHalfLifeMs;
    const usage = deskUsage(this.#usage.entries, records, now, halfLifeMs);
    return allot(demands, Math.max(0, most - used), usage);
  }

  async #pool(poolId: string): Promise<Known> {
    const now = this.#deps.clock.now().getTime();
    const known = this.#pools.get(poolId);
    if (known !== undefined && now - known.readAt < this.#options.refreshMs) return known;
    const facts = await this.#deps.batch.poolFacts(poolId);
    const slots = facts === undefined ? { slots: backlogFactor, short: undefined } : slotsOf(facts);
    const fresh = { facts, slots, readAt: now };
    this.#pools.set(poolId, fresh);
    return fresh;
  }

  /** Past usage decides the order only: without it runs still go on. */
  async #refreshUsage(): Promise<void> {
    const { usage, policy, clock, logger } = this.#deps;
    const now = clock.now();
    if (usage === undefined || now.getTime() - this.#usage.readAt < this.#options.refreshMs) return;
    const entries: UsageEntry[] = [];
    try {
      for await (const entry of usage.since(usageHorizon(now, policy.usageHalfLifeMs ?? defaultHalfLifeMs)))
        entries.push(entry);
      this.#usage = { entries, readAt: now.getTime() };
    } catch (error) {
      this.#usage = { ...this.#usage, readAt: now.getTime() };
      logger.warn({ error: describeError(error) }, 'usage of the desks could not be read; the order may be unfair');
    }
  }
}
