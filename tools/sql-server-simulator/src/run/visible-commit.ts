import type { Context } from './context.ts';

/** The commit up to which the reader sees: of a SNAPSHOT transaction its snapshot. */
export function visibleCommit(context: Context): number | undefined {
  const { transaction, database } = context;
  return transaction.isolation === 'SNAPSHOT' ? database.snapshotOf(transaction) : undefined;
}
