import type { TableHint } from '../sql/ast.ts';
import { acquire, conflicts, type LockMode, LockWait } from '../engine/locks.ts';
import type { Row, Values } from '../engine/row.ts';
import type { Table } from '../engine/table.ts';
import { outsideSubset, SqlError } from '../types/sql-error.ts';
import type { Context } from './context.ts';

/** How one table reference of a statement reads: which version of a row, and which lock its rows get. */
export interface ReadMode {
  /** Before the first row: what the table's own lock demands. */
  readonly enter: () => void;
  /** The row's values for this reader; null when there are none or the row is skipped. Throws LockWait. */
  readonly view: (row: Row) => Values | null;
  /** Lock that the rows of the result get, if any. */
  readonly lock: Exclude<LockMode, 'IX'> | undefined;
  readonly skipLocked: boolean;
}

function checkHints(hints: ReadonlySet<TableHint>, context: Context): void {
  const { isolation } = context.transaction;
  if (hints.has('READPAST')) {
    const fits = isolation === 'READ COMMITTED' || isolation === 'REPEATABLE READ';
    if (!fits || hints.has('SERIALIZABLE') || hints.has('HOLDLOCK')) {
      throw new SqlError(
        650,
        'You can only specify the READPAST lock in the READ COMMITTED or REPEATABLE READ isolation levels.',
      );
    }
  }
  if (hints.has('SNAPSHOT')) throw outsideSubset('table hint SNAPSHOT (memory-optimized tables)');
}

/**
 * @param isTarget true for the table that UPDATE, DELETE or MERGE changes: its rows are read for update
 * @throws SqlError 650 for READPAST outside READ COMMITTED and REPEATABLE READ
 */
export function readMode(table: Table, hintList: readonly TableHint[], context: Context, isTarget: boolean): ReadMode {
  const hints = new Set(hintList);
  const { transaction, database } = context;
  checkHints(hints, context);
  const { isolation } = transaction;
  const serializable = hints.has('HOLDLOCK') || hints.has('SERIALIZABLE') || isolation === 'SERIALIZABLE';
  const repeatable = serializable || hints.has('REPEATABLEREAD') || isolation === 'REPEATABLE READ';
  const update = hints.has('UPDLOCK') || isTarget;
  const lock: ReadMode['lock'] = hints.has('XLOCK') ? 'X' : update ? 'U' : repeatable ? 'S' : undefined;
  const skipLocked = hints.has('READPAST');
  const dirty =
    !isTarget &&
    lock === undefined &&
    (hints.has('NOLOCK') || hints.has('READUNCOMMITTED') || isolation === 'READ UNCOMMITTED');
  const versioned =
    lock === undefined &&
    !hints.has('READCOMMITTEDLOCK') &&
    isolation === 'READ COMMITTED' &&
    database.readCommittedSnapshot;

  const enter = (): void => {
    // The snapshot begins with the first access to data, even if that finds no row.
    if (isolation === 'SNAPSHOT') database.snapshotOf(transaction);
    if (hints.has('TABLOCKX')) acquire(table, transaction, 'X');
    else if (serializable && !dirty) acquire(table, transaction, lock === 'X' ? 'X' : update ? 'U' : 'S');
    else if (hints.has('TABLOCK')) acquire(table, transaction, isTarget ? 'X' : 'S');
    else if (!dirty && !versioned && isolation !== 'SNAPSHOT') {
      // Only a whole-table X (DDL, TABLOCKX) stops a reader here: row writers hold IX.
      const blockers = (table.holders ?? []).filter(
        (holder) => holder.mode === 'X' && holder.transaction !== transaction,
      );
      if (blockers.length > 0) throw new LockWait(new Set(blockers.map((holder) => holder.transaction)));
    }
  };
  const mode = { enter, lock, skipLocked };
  if (dirty) return { ...mode, view: (row) => row.current };
  if (isolation === 'SNAPSHOT') return { ...mode, view: (row) => database.snapshotView(row, transaction) };
  if (versioned)
    return { ...mode, view: (row) => (row.writer === transaction ? row.current : (row.head?.values ?? null)) };
  const wanted = lock ?? 'S';
  return {
    ...mode,
    view: (row) => {
      if (row.holders === undefined) return row.current;
      const blockers = conflicts(row, transaction, wanted);
      if (blockers === undefined) return row.current;
      if (skipLocked) return null;
      throw new LockWait(blockers);
    },
  };
}
