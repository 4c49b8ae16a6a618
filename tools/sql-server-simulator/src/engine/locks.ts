import { SqlError } from '../types/sql-error.ts';
import type { Transaction } from './transaction.ts';

/** S, U, X on rows, tables and names; IX on tables only (some row of it is being written). */
export type LockMode = 'IX' | 'S' | 'U' | 'X';

export interface Holder {
  readonly transaction: Transaction;
  mode: LockMode;
}

/** Anything that can be locked. */
export interface Lockable {
  holders: Holder[] | undefined;
}

/** Thrown inside a statement when it must wait; the session undoes the statement, waits and runs it again. */
export class LockWait extends Error {
  readonly blockers: ReadonlySet<Transaction>;
  constructor(blockers: ReadonlySet<Transaction>) {
    super('the statement waits for a lock');
    this.name = 'LockWait';
    this.blockers = blockers;
  }
}

function compatible(held: LockMode, wanted: LockMode): boolean {
  if (held === 'X' || wanted === 'X') return false;
  if (held === 'IX' || wanted === 'IX') return held === wanted;
  return !(held === 'U' && wanted === 'U');
}

/** The one mode that covers both; S or U together with IX becomes X (stricter than SIX, never laxer). */
function combine(left: LockMode, right: LockMode): LockMode {
  if (left === right) return left;
  if (left === 'X' || right === 'X' || left === 'IX' || right === 'IX') return 'X';
  return 'U';
}

/** Transactions that hold the target in a mode that forbids `mode` to this one. */
export function conflicts(
  target: Lockable,
  transaction: Transaction | undefined,
  mode: LockMode,
): Set<Transaction> | undefined {
  let found: Set<Transaction> | undefined;
  for (const holder of target.holders ?? []) {
    if (holder.transaction === transaction || compatible(holder.mode, mode)) continue;
    found ??= new Set();
    found.add(holder.transaction);
  }
  return found;
}

/** Takes a lock until the transaction ends. @throws LockWait when another transaction is in the way */
export function acquire(target: Lockable, transaction: Transaction, mode: LockMode): void {
  const mine = target.holders?.find((holder) => holder.transaction === transaction);
  const wanted = mine === undefined ? mode : combine(mine.mode, mode);
  if (mine?.mode === wanted) return;
  const blockers = conflicts(target, transaction, wanted);
  if (blockers !== undefined) throw new LockWait(blockers);
  if (mine !== undefined) {
    mine.mode = wanted;
    return;
  }
  target.holders ??= [];
  target.holders.push({ transaction, mode: wanted });
  transaction.locks.push(target);
}

export function releaseAll(transaction: Transaction): void {
  for (const target of transaction.locks) {
    const rest = (target.holders ?? []).filter((holder) => holder.transaction !== transaction);
    target.holders = rest.length === 0 ? undefined : rest;
  }
  transaction.locks.length = 0;
}

export const deadlockVictim = (sessionId: number): SqlError =>
  new SqlError(
    1205,
    `Transaction (Process ID ${sessionId}) was deadlocked on lock resources with another process and has been chosen as the deadlock victim. Rerun the transaction.`,
    13,
    51,
  );

interface Waiter {
  readonly blockers: ReadonlySet<Transaction>;
  readonly proceed: () => void;
  readonly fail: (error: unknown) => void;
}

/** Who waits for whom: wakes waiters when a transaction ends, times them out, breaks cycles. */
export class WaitGraph {
  readonly #waiting = new Map<Transaction, Waiter>();

  /** @returns a cycle through `start`, if its new edges close one */
  #cycle(start: Transaction): readonly Transaction[] | undefined {
    const visit = (transaction: Transaction, path: readonly Transaction[]): readonly Transaction[] | undefined => {
      for (const next of this.#waiting.get(transaction)?.blockers ?? []) {
        if (next === start) return path;
        if (path.includes(next)) continue;
        const found = visit(next, [...path, next]);
        if (found !== undefined) return found;
      }
      return undefined;
    };
    return visit(start, [start]);
  }

  /**
   * Waits until one of the blockers ends.
   *
   * @param timeoutMs -1 waits for ever, 0 not at all (SET LOCK_TIMEOUT)
   * @throws SqlError 1222 after the timeout, 1205 when this transaction is a deadlock's victim; the signal's reason on abort
   */
  async wait(
    transaction: Transaction,
    blockers: ReadonlySet<Transaction>,
    timeoutMs: number,
    signal: AbortSignal,
  ): Promise<void> {
    const timedOut = (): SqlError => new SqlError(1222, 'Lock request time out period exceeded.', 16, 51);
    if (timeoutMs === 0) throw timedOut();
    signal.throwIfAborted();
    let timer: NodeJS.Timeout | undefined;
    let abort: (() => void) | undefined;
    try {
      await new Promise<void>((proceed, fail) => {
        this.#waiting.set(transaction, { blockers, proceed, fail });
        if (timeoutMs > 0) timer = setTimeout(() => fail(timedOut()), timeoutMs);
        abort = () => fail(signal.reason as Error);
        signal.addEventListener('abort', abort, { once: true });
        this.#breakDeadlock(transaction);
      });
    } finally {
      clearTimeout(timer);
      if (abort !== undefined) signal.removeEventListener('abort', abort);
      this.#waiting.delete(transaction);
    }
  }

  /** The victim has the lowest DEADLOCK_PRIORITY; among equals it is the one that closed the cycle. */
  #breakDeadlock(latest: Transaction): void {
    const cycle = this.#cycle(latest);
    if (cycle === undefined) return;
    const victim = cycle.reduce((lowest, next) => (next.priority() < lowest.priority() ? next : lowest), latest);
    this.#waiting.get(victim)?.fail(deadlockVictim(victim.sessionId));
  }

  /** Wakes all who wait for this transaction. */
  ended(transaction: Transaction): void {
    for (const waiter of [...this.#waiting.values()]) if (waiter.blockers.has(transaction)) waiter.proceed();
  }

  list(): readonly { readonly sessionId: number; readonly waitsFor: readonly number[] }[] {
    return [...this.#waiting].map(([transaction, waiter]) => ({
      sessionId: transaction.sessionId,
      waitsFor: [...waiter.blockers].map((blocker) => blocker.sessionId),
    }));
  }
}
