import type { PoolFacts } from './ports.ts';

/** Codes of resize errors that say that the nodes asked for will not come soon (Batch REST, ResizeError). */
const noRoom =
  /^(AccountCoreQuotaReached|AccountLowPriorityCoreQuotaReached|AllocationFailed|AllocationTimedout|AllocationTimedOut|InsufficientCapacity)/i;

export interface Slots {
  /** Tasks that the pool can run at a time, now or as soon as its nodes are there. */
  readonly slots: number;
  /** Why fewer nodes are there than the pool asks for; undefined = none is missing, or they are on their way. */
  readonly short: string | undefined;
}

/**
 * A pool's slots. With a resize error for quota or capacity only the nodes that are there count, since the others do not
 * come; otherwise the target counts, so that tasks are there when nodes are. At least two, for an autoscaled pool at rest
 * has no nodes and grows by the tasks that it sees.
 */
export function slotsOf(pool: PoolFacts): Slots {
  const short = (pool.resizeErrors ?? []).find((error) => noRoom.test(error));
  const current = pool.dedicatedNodes.current + pool.spotNodes.current;
  const target = pool.dedicatedNodes.target + pool.spotNodes.target;
  const nodes = short === undefined ? Math.max(current, target) : current;
  return { slots: Math.max(2, nodes * pool.slotsPerNode), short };
}
