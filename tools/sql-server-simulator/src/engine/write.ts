import { SqlError } from '../types/sql-error.ts';
import { converter } from '../types/convert.ts';
import { nvarchar, type Value, valueText } from '../types/sql-type.ts';
import type { Database } from './database.ts';
import { acquire, conflicts, LockWait } from './locks.ts';
import { Row, type Values } from './row.ts';
import type { Index, Table } from './table.ts';
import type { Transaction } from './transaction.ts';

function keyText(index: Index, table: Table, values: Values): string {
  const shown = index.ordinals.map((ordinal) => {
    const type = table.columns[ordinal]?.type;
    const value: Value = values[ordinal] ?? null;
    return value === null || type === undefined ? '<NULL>' : valueText(converter(type, nvarchar(-1))(value));
  });
  return `(${shown.join(', ')})`;
}

function duplicate(table: Table, index: Index, values: Values): SqlError {
  const { name, kind } = index.spec;
  const key = keyText(index, table, values);
  if (kind === 'index') {
    return new SqlError(
      2601,
      `Cannot insert duplicate key row in object '${table.qualifiedName}' with unique index '${name}'. The duplicate key value is ${key}.`,
      14,
    );
  }
  const constraint = kind === 'primary' ? 'PRIMARY KEY' : 'UNIQUE KEY';
  return new SqlError(
    2627,
    `Violation of ${constraint} constraint '${name}'. Cannot insert duplicate key in object '${table.qualifiedName}'. The duplicate key value is ${key}.`,
    14,
  );
}

/**
 * Refuses a second row with the same unique key. A row that another transaction is writing may yet come or go, so that
 * one is waited for.
 */
function checkUnique(table: Table, row: Row, values: Values, transaction: Transaction): void {
  for (const index of table.indexes) {
    if (!index.spec.unique || !index.accepts(values)) continue;
    const key = index.keyOf(values);
    index.tree.scan({ prefix: key }, false, ({ row: other }) => {
      if (other === row) return false;
      if (other.writer !== undefined && other.writer !== transaction) throw new LockWait(new Set([other.writer]));
      const live = other.current;
      if (live === null || !index.accepts(live)) return false;
      if (index.keyOf(live).every((part, position) => part === key[position])) throw duplicate(table, index, values);
      return false;
    });
  }
}

function stamp(database: Database, table: Table, values: Value[], transaction: Transaction): void {
  table.columns.forEach(({ type }, ordinal) => {
    if (type.name === 'rowversion') values[ordinal] = database.nextRowversion(transaction);
  });
}

/** Adds a row. @throws SqlError 2627 or 2601 on a duplicate key, LockWait */
export function insertRow(table: Table, values: Value[], transaction: Transaction): Row {
  acquire(table, transaction, 'IX');
  stamp(transaction.database, table, values, transaction);
  const row = new Row(table.nextRowId++, values);
  checkUnique(table, row, values, transaction);
  acquire(row, transaction, 'X');
  row.writer = transaction;
  table.rows.set(row.id, row);
  table.addToIndexes(row, values);
  transaction.wrote(table, row, null, values, true);
  return row;
}

/** Locks a row for writing. @returns false when `skip` (READPAST) and another transaction holds it */
export function lockForWrite(table: Table, row: Row, transaction: Transaction, skip: boolean): boolean {
  acquire(table, transaction, 'IX');
  if (skip && conflicts(row, transaction, 'X') !== undefined) return false;
  acquire(row, transaction, 'X');
  const head = row.head;
  if (
    transaction.isolation === 'SNAPSHOT' &&
    row.writer !== transaction &&
    head !== undefined &&
    head.seq > transaction.database.snapshotOf(transaction)
  ) {
    throw new SqlError(
      3960,
      `Snapshot isolation transaction aborted due to update conflict. You cannot use snapshot isolation to access table '${table.qualifiedName}' directly or indirectly in database '${transaction.database.name}' to update, delete, or insert the row that has been modified or deleted by another transaction. Retry the transaction or change the isolation level for the update/delete statement.`,
    );
  }
  return true;
}

function replace(table: Table, row: Row, values: Values | null, transaction: Transaction): void {
  const before = row.current;
  const firstWrite = row.writer === undefined;
  row.current = values;
  row.writer = transaction;
  transaction.wrote(table, row, before, values, firstWrite);
}

/** Changes a row that this transaction has locked for writing. */
export function updateRow(table: Table, row: Row, values: Value[], transaction: Transaction): void {
  stamp(transaction.database, table, values, transaction);
  replace(table, row, values, transaction);
  table.addToIndexes(row, values);
}

/**
 * Checks keys after all rows of an UPDATE have changed: `SET Id = Id + 1` may pass through duplicates.
 *
 * @throws SqlError 2627 or 2601
 */
export function checkKeys(table: Table, row: Row, transaction: Transaction): void {
  if (row.current !== null) checkUnique(table, row, row.current, transaction);
}

/** Deletes a row that this transaction has locked for writing. */
export function deleteRow(table: Table, row: Row, transaction: Transaction): void {
  replace(table, row, null, transaction);
}
