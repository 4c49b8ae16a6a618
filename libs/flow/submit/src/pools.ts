import type { PoolClass, RunRecord } from '@xva/contracts';
import type { SubmitPolicy } from './policy.ts';

export interface PoolChoice {
  readonly poolId: string;
  readonly poolClass: PoolClass;
}

type PoolPolicy = Pick<SubmitPolicy, 'poolId' | 'spotPoolId' | 'largePoolId'>;

/** Where a run starts: spot nodes, when there is a pool of them. */
export function firstPoolOf(policy: PoolPolicy): PoolChoice {
  return policy.spotPoolId === undefined
    ? { poolId: policy.poolId, poolClass: 'dedicated' }
    : { poolId: policy.spotPoolId, poolClass: 'spot' };
}

/** The pool of a class, or the dedicated one when there is none. */
export function poolOf(poolClass: PoolClass, policy: PoolPolicy): PoolChoice {
  if (poolClass === 'spot' && policy.spotPoolId !== undefined) return { poolId: policy.spotPoolId, poolClass };
  if (poolClass === 'large' && policy.largePoolId !== undefined) return { poolId: policy.largePoolId, poolClass };
  return { poolId: policy.poolId, poolClass: 'dedicated' };
}

/** Where a run's next attempt goes: what was tried again leaves the spot nodes, and stays where there is more memory. */
export function nextPoolOf(record: RunRecord, policy: PoolPolicy): PoolChoice {
  const known = record.attempts.find((attempt) => attempt.attempt === record.attempt);
  if (known !== undefined) return known;
  const last = record.attempts.at(-1);
  return last === undefined ? firstPoolOf(policy) : poolOf(last.poolClass === 'large' ? 'large' : 'dedicated', policy);
}

/** Every pool that tasks may go to, each once. */
export function poolsOf(policy: PoolPolicy): readonly PoolChoice[] {
  const all = [firstPoolOf(policy), poolOf('dedicated', policy), poolOf('large', policy)];
  return all.filter((one, index) => all.findIndex((other) => other.poolId === one.poolId) === index);
}
