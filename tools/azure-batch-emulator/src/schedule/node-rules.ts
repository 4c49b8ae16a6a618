import { createHash } from 'node:crypto';
import type { PoolRow } from '../store/rows.ts';
import type { Verdict } from './core.ts';
import { taskEnded } from './decide.ts';

/** A node's id, as pools of virtual machines name theirs; the time makes it new after every boot from nothing. */
export function nodeId(pool: PoolRow, ordinal: number, dedicated: boolean, now: number): string {
  const hash = createHash('sha256').update(`${pool.account}/${pool.seq}/${ordinal}/${now}`).digest('hex');
  return `tvmps_${hash.slice(0, 32)}_${dedicated ? 'd' : 'p'}`;
}

/** What becomes of a node's tasks when it goes: undefined = they are waited for. */
export function verdictOf(option: string): Verdict | undefined {
  if (option === 'terminate') return { kind: 'end', failure: taskEnded };
  return option === 'requeue' ? { kind: 'requeue' } : undefined;
}

interface ResizeError {
  readonly code: string;
  readonly message: string;
}

const resizeErrors = {
  AccountCoreQuotaReached: 'The specified account has reached core quota',
  AccountLowPriorityCoreQuotaReached: 'The specified account has reached low priority core quota',
  AllocationFailed: 'Desired number of dedicated nodes could not be allocated',
  AllocationTimedout: 'Desired number of nodes could not be allocated as the resize timeout was reached',
  ResizeStopped: 'Desired number of nodes could not be allocated as the resize was stopped',
} as const;

/** Why a pool has not the nodes that it wants. */
export function resizeError(code: string): ResizeError {
  const known = Object.hasOwn(resizeErrors, code) ? resizeErrors[code as keyof typeof resizeErrors] : undefined;
  return { code, message: known ?? 'The resize of the pool failed' };
}
