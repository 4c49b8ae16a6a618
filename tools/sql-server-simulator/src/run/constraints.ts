import { LockWait } from '../engine/locks.ts';
import type { Row, Values } from '../engine/row.ts';
import type { CheckSpec, ForeignSpec, Index, Table } from '../engine/table.ts';
import type { IndexKey } from '../engine/ordered-index.ts';
import { sortKeyOf } from '../types/compare.ts';
import { SqlError } from '../types/sql-error.ts';
import type { Context, Predicate } from './context.ts';
import { compilePredicate } from './expression.ts';
import { columnsOf } from './bind.ts';
import { Scope } from './scope.ts';

type Verb = 'INSERT' | 'UPDATE' | 'DELETE' | 'MERGE';

function where(table: Table, context: Context, column: string | undefined): string {
  return `The conflict occurred in database "${context.database.name}", table "${table.qualifiedName}"${column === undefined ? '' : `, column '${column}'`}.`;
}

/** Compiles a table's CHECK constraints for one statement. */
export function compileChecks(table: Table, context: Context): (values: Values, verb: Verb) => void {
  if (table.checks.length === 0) return () => undefined;
  const scope = new Scope(context);
  scope.sources.push({ alias: table.name, columns: columnsOf(table) });
  const checks = table.checks.map((check): { readonly check: CheckSpec; readonly test: Predicate } => ({
    check,
    test: compilePredicate(check.expression, scope),
  }));
  return (values, verb) => {
    const env = { rows: [[...values]], refs: [], parent: undefined, slots: [] };
    for (const { check, test } of checks) {
      // Unknown passes a CHECK; only false fails it.
      if (test(env) === false) {
        throw new SqlError(
          547,
          `The ${verb} statement conflicted with the CHECK constraint "${check.name}". ${where(table, context, check.column)}`,
          16,
          0,
        );
      }
    }
  };
}

/** @throws SqlError 515 for a NULL in a column that allows none */
export function checkNulls(table: Table, values: Values, verb: Verb, context: Context): void {
  for (const [ordinal, column] of table.columns.entries()) {
    if (column.nullable || values[ordinal] !== null || column.type.name === 'rowversion') continue;
    const name = table.durable ? `${context.database.name}.${table.qualifiedName}` : table.name;
    throw new SqlError(
      515,
      `Cannot insert the value NULL into column '${column.name}', table '${name}'; column does not allow nulls. ${verb} fails.`,
      16,
      2,
    );
  }
}

/** The unique index over exactly these columns, with the positions of the columns in it. */
function indexOver(
  table: Table,
  columns: readonly string[],
): { readonly index: Index; readonly order: readonly number[] } | undefined {
  const wanted = columns.map((name) => table.ordinalOf(name));
  for (const index of table.indexes) {
    if (index.spec.filter !== undefined || index.ordinals.length < wanted.length) continue;
    const order = index.ordinals.slice(0, wanted.length).map((ordinal) => wanted.indexOf(ordinal));
    if (!order.includes(-1)) return { index, order };
  }
  return undefined;
}

/** Whether a live row has the key in these columns; a row that someone else is writing is waited for. */
function exists(table: Table, columns: readonly string[], key: IndexKey, context: Context, except?: Row): boolean {
  const ordinals = columns.map((name) => table.ordinalOf(name));
  const readers = ordinals.map((ordinal) =>
    sortKeyOf(table.columns[ordinal]?.type ?? { name: 'int', length: 0, precision: 0, scale: 0 }),
  );
  let found = false;
  const test = (row: Row): boolean => {
    if (row === except) return false;
    if (row.writer !== undefined && row.writer !== context.transaction) throw new LockWait(new Set([row.writer]));
    const { current } = row;
    found =
      current !== null &&
      ordinals.every((ordinal, position) => readers[position]?.(current[ordinal] ?? null) === key[position]);
    return found;
  };
  const access = indexOver(table, columns);
  if (access === undefined) {
    for (const row of table.rows.values()) if (test(row)) return true;
    return false;
  }
  access.index.tree.scan({ prefix: access.order.map((position) => key[position] ?? null) }, false, ({ row }) =>
    test(row),
  );
  return found;
}

function keyIn(table: Table, columns: readonly string[], values: Values): IndexKey {
  return columns.map((name) => {
    const ordinal = table.ordinalOf(name);
    const column = table.columns[ordinal];
    return column === undefined ? null : sortKeyOf(column.type)(values[ordinal] ?? null);
  });
}

function tableById(context: Context, id: number): Table | undefined {
  for (const table of context.database.tables.values()) if (table.id === id) return table;
  return undefined;
}

/** After a statement has written rows: every foreign key of theirs must have its parent. @throws SqlError 547 */
export function checkParents(table: Table, rows: readonly Row[], verb: Verb, context: Context): void {
  for (const foreign of table.foreignKeys) {
    const parent = tableById(context, foreign.targetId);
    if (parent === undefined) continue;
    for (const row of rows) {
      if (row.current === null) continue;
      const key = keyIn(table, foreign.columns, row.current);
      if (key.includes(null) || exists(parent, foreign.targetColumns, key, context)) continue;
      const column = foreign.targetColumns.length === 1 ? foreign.targetColumns[0] : undefined;
      throw new SqlError(
        547,
        `The ${verb} statement conflicted with the FOREIGN KEY constraint "${foreign.name}". ${where(parent, context, column)}`,
        16,
        0,
      );
    }
  }
}

/** After rows were deleted or changed: nobody may still point at the old keys. @throws SqlError 547 */
export function checkChildren(table: Table, before: readonly Values[], verb: Verb, context: Context): void {
  if (!table.durable) return;
  const references: { readonly child: Table; readonly foreign: ForeignSpec }[] = [];
  for (const child of context.database.tables.values())
    for (const foreign of child.foreignKeys) if (foreign.targetId === table.id) references.push({ child, foreign });
  for (const { child, foreign } of references) {
    for (const values of before) {
      const key = keyIn(table, foreign.targetColumns, values);
      if (key.includes(null) || exists(table, foreign.targetColumns, key, context)) continue;
      if (!exists(child, foreign.columns, key, context)) continue;
      const column = foreign.columns.length === 1 ? foreign.columns[0] : undefined;
      throw new SqlError(
        547,
        `The ${verb} statement conflicted with the REFERENCE constraint "${foreign.name}". ${where(child, context, column)}`,
        16,
        0,
      );
    }
  }
}
