import type { RunRecord } from '@xva/contracts';
import { openTasks, openTasksByAttempt } from './record.ts';

/** Tasks that a run would put into a pool now, if there were room without end. */
export interface Demand {
  readonly runId: string;
  readonly desk: string;
  readonly priority: number;
  readonly createdAt: string;
  readonly poolId: string;
  readonly tasks: number;
  /** What one of them is likely to take, in slot-seconds: what the desk is charged with while it is not known better. */
  readonly secondsPerTask: number;
}

/** Tasks of a job that wait or run, as they were last seen; undefined = nobody looked yet. */
export type Outstanding = (jobId: string) => number | undefined;

/**
 * What a run wants of the pools, and what it has there.
 *
 * @param firstPool pool of a queued run's next attempt
 */
export function demandsOf(
  record: RunRecord,
  outstanding: Outstanding,
  firstPool: (record: RunRecord) => string,
): { readonly wants: readonly Demand[]; readonly has: ReadonlyMap<string, number> } {
  const { runId, desk, priority, createdAt } = record;
  const has = new Map<string, number>();
  const wants: Demand[] = [];
  const costs = record.plan.shards.map((shard) => shard.costSeconds);
  const secondsPerTask = costs.reduce((sum, cost) => sum + cost, 0) / Math.max(1, costs.length);
  const want = (poolId: string, tasks: number): void => {
    if (tasks > 0 && record.paused === null)
      wants.push({ runId, desk, priority, createdAt, poolId, tasks, secondsPerTask });
  };
  if (record.state === 'queued') want(firstPool(record), openTasks(record).length);
  if (record.state !== 'submitting' && record.state !== 'running') return { wants, has };
  const open = openTasksByAttempt(record);
  for (const attempt of record.attempts.filter((one) => one.endedAt === null)) {
    const tasks = open.get(attempt.attempt)?.length ?? 0;
    // What is not known to be in Batch may be there: it counts as there, but for an attempt that was never placed.
    const there = outstanding(attempt.jobId) ?? (attempt.submittedAt === null ? 0 : tasks);
    has.set(attempt.poolId, (has.get(attempt.poolId) ?? 0) + there);
    want(attempt.poolId, tasks - there);
  }
  return { wants, has };
}

/**
 * Who may add how many tasks to one pool: by priority; within a priority the desk that used least goes first, task by
 * task, each charged with what it is likely to take; within a desk the oldest run goes first.
 *
 * @param usage decayed slot-seconds per desk
 */
export function allot(
  demands: readonly Demand[],
  free: number,
  usage: ReadonlyMap<string, number>,
): ReadonlyMap<string, number> {
  const shares = new Map<string, number>();
  const charged = new Map<string, number>();
  const ordered = [...demands].sort(
    (a, b) => b.priority - a.priority || compare(a.createdAt, b.createdAt) || compare(a.runId, b.runId),
  );
  let left = free;
  for (let from = 0; from < ordered.length && left > 0;) {
    const priority = ordered[from]?.priority ?? 0;
    const group = ordered.filter((one) => one.priority === priority);
    from += group.length;
    const queues = new Map<string, { demand: Demand; tasks: number }[]>();
    for (const demand of group) {
      const queue = queues.get(demand.desk) ?? [];
      queue.push({ demand, tasks: demand.tasks });
      queues.set(demand.desk, queue);
    }
    while (left > 0 && queues.size > 0) {
      const desk = neediest(queues, usage, charged);
      const queue = queues.get(desk) ?? [];
      const [head] = queue;
      if (head === undefined) {
        queues.delete(desk);
        continue;
      }
      // Alone in its priority, a desk needs no turns.
      const given = queues.size === 1 ? Math.min(left, head.tasks) : 1;
      head.tasks -= given;
      left -= given;
      shares.set(head.demand.runId, (shares.get(head.demand.runId) ?? 0) + given);
      charged.set(desk, (charged.get(desk) ?? 0) + given * head.demand.secondsPerTask);
      if (head.tasks === 0) queue.shift();
      if (queue.length === 0) queues.delete(desk);
    }
  }
  return shares;
}

function neediest(
  queues: ReadonlyMap<string, readonly { readonly demand: Demand }[]>,
  usage: ReadonlyMap<string, number>,
  charged: ReadonlyMap<string, number>,
): string {
  let best = '';
  let bestUse = Number.POSITIVE_INFINITY;
  let bestAge = '';
  for (const [desk, queue] of queues) {
    const use = (usage.get(desk) ?? 0) + (charged.get(desk) ?? 0);
    const age = queue[0]?.demand.createdAt ?? '';
    if (use < bestUse || (use === bestUse && age < bestAge)) [best, bestUse, bestAge] = [desk, use, age];
  }
  return best;
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
