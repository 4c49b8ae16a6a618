import type { PoolClass } from '@xva/contracts';
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

/** Every pool that tasks may go to, each once. */
export function poolsOf(policy: PoolPolicy): readonly PoolChoice[] {
  const all = [firstPoolOf(policy), poolOf('dedicated', policy), poolOf('large', policy)];
  return all.filter((one, index) => all.findIndex((other) => other.poolId === one.poolId) === index);
}
