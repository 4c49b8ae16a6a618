import { assemble, resolveForeign, validate } from './table-builder.ts';
import type { StatementOf } from '../sql/ast.ts';
import { acquire } from '../engine/locks.ts';
import type { Table } from '../engine/table.ts';
import { type Column, Index, type IndexSpec } from '../engine/table.ts';
import type { Transaction } from '../engine/transaction.ts';
import { checkKeys, updateRow } from '../engine/write.ts';
import { outsideSubset, SqlError } from '../types/sql-error.ts';
import { type Value } from '../types/sql-type.ts';
import { checkParents, compileChecks } from './constraints.ts';
import { type Context, emptyEnv } from './context.ts';
import { compileExpression, compilePredicate } from './expression.ts';
import { compileFilter } from './filter.ts';
import { columnsOf, requireTable } from './bind.ts';
import { as } from './function-kit.ts';
import { Scope } from './scope.ts';

/** Adds an index to a table with rows. @throws SqlError 2627 or 2601 when they are not unique */
export function addIndex(table: Table, spec: IndexSpec, context: Context): void {
  const index = new Index(spec, table.columns, compileFilter(table, spec));
  const before = table.indexes;
  table.indexes = [...before, index];
  context.transaction.changedSchema(() => {
    table.indexes = before;
  }, table.durable);
  table.fill(index);
  if (spec.unique) for (const row of table.rows.values()) checkKeys(table, row, context.transaction);
}

/** Rewrites all rows to a new list of columns. */
function reshape(
  table: Table,
  columns: readonly Column[],
  shape: (values: readonly Value[]) => Value[],
  context: Context,
): void {
  const before = { columns: table.columns, indexes: table.indexes };
  const rows = [...table.rows.values()]
    .filter(({ current }) => current !== null)
    .map((row) => ({ row, values: shape(row.current ?? []) }));
  context.transaction.changedSchema(() => {
    table.columns = before.columns;
    table.indexes = before.indexes;
    for (const index of table.indexes) table.fill(index);
  }, table.durable);
  table.columns = columns;
  table.indexes = before.indexes.map(({ spec }) => new Index(spec, columns, compileFilter(table, spec)));
  for (const { row, values } of rows) {
    acquire(row, context.transaction, 'X');
    updateRow(table, row, values, context.transaction);
  }
}

export function alterTable(statement: StatementOf<'alterTable'>, context: Context): void {
  const table = requireTable(statement.table, context);
  const { transaction } = context;
  acquire(table, transaction, 'X');
  for (const name of statement.dropConstraints) dropConstraint(table, name, statement.ifExists, transaction);
  for (const name of statement.dropColumns) dropColumn(table, name, statement.ifExists, context);
  if (statement.columns.length === 0 && statement.constraints.length === 0) return;
  const parts = assemble(table.name, statement.columns, statement.constraints, table.columns);
  if (statement.columns.length > 0) {
    const added = parts.columns.slice(table.columns.length);
    const populated = [...table.rows.values()].some(({ current }) => current !== null);
    const bad = added.find(
      (column) =>
        !column.nullable &&
        column.default === undefined &&
        column.type.name !== 'rowversion' &&
        column.identity === undefined,
    );
    if (bad !== undefined && populated) {
      throw new SqlError(
        4901,
        `ALTER TABLE only allows columns to be added that can contain nulls, or have a DEFAULT definition specified, or the column being added is an identity or timestamp column, or alternatively if none of the previous conditions are satisfied the table must be empty to allow addition of this column. Column '${bad.name}' cannot be added to non-empty table '${table.name}' because it does not satisfy these conditions.`,
      );
    }
    if (added.some(({ identity }) => identity !== undefined) && populated)
      throw outsideSubset('adding an identity column to a table with rows', statement.line);
    // Existing rows get the default of a NOT NULL column, and NULL in a nullable one (no WITH VALUES in the subset).
    const fill = added.map((column) =>
      column.default === undefined || column.nullable ? () => null : fillValue(column, context),
    );
    reshape(table, parts.columns, (values) => [...values, ...fill.map((value) => value())], context);
  } else {
    const before = table.columns;
    table.columns = parts.columns;
    transaction.changedSchema(() => {
      table.columns = before;
    }, table.durable);
  }
  const before = { checks: table.checks, foreignKeys: table.foreignKeys };
  transaction.changedSchema(() => {
    table.checks = before.checks;
    table.foreignKeys = before.foreignKeys;
  }, table.durable);
  for (const spec of parts.indexes) addIndex(table, spec, context);
  table.checks = [...table.checks, ...parts.checks];
  table.foreignKeys = [
    ...table.foreignKeys,
    ...parts.foreign.map((foreign) => resolveForeign(foreign, table, context)),
  ];
  validate(table, context);
  const check = compileChecks(table, context);
  const rows = [...table.rows.values()].filter(({ current }) => current !== null);
  for (const { current } of rows) check(current ?? [], 'INSERT');
  if (parts.foreign.length > 0) checkParents(table, rows, 'INSERT', context);
}

function fillValue(column: Column, context: Context): () => Value {
  if (column.default === undefined) return () => null;
  const read = as(compileExpression(column.default.expression, new Scope(context)), column.type);
  return () => read(emptyEnv);
}

function dropConstraint(table: Table, name: string, ifExists: boolean, transaction: Transaction): void {
  const lower = name.toLowerCase();
  const before = {
    indexes: table.indexes,
    checks: table.checks,
    foreignKeys: table.foreignKeys,
    columns: table.columns,
  };
  const keep = (item: { readonly name: string }): boolean => item.name.toLowerCase() !== lower;
  table.indexes = before.indexes.filter(({ spec }) => spec.kind === 'index' || keep(spec));
  table.checks = before.checks.filter(keep);
  table.foreignKeys = before.foreignKeys.filter(keep);
  table.columns = before.columns.map((column) =>
    column.default !== undefined && !keep(column.default) ? { ...column, default: undefined } : column,
  );
  const changed =
    table.indexes.length < before.indexes.length ||
    table.checks.length < before.checks.length ||
    table.foreignKeys.length < before.foreignKeys.length ||
    table.columns.some((column, at) => column !== before.columns[at]);
  if (!changed && !ifExists) throw new SqlError(3728, `'${name}' is not a constraint.`);
  transaction.changedSchema(() => Object.assign(table, before), table.durable);
}

function dropColumn(table: Table, name: string, ifExists: boolean, context: Context): void {
  const at = table.ordinalOf(name);
  if (at === -1) {
    if (ifExists) return;
    throw new SqlError(
      4924,
      `ALTER TABLE DROP COLUMN failed because column '${name}' does not exist in table '${table.name}'.`,
    );
  }
  const lower = name.toLowerCase();
  const scope = new Scope(context);
  scope.sources.push({ alias: table.name, columns: columnsOf(table).filter((_, ordinal) => ordinal !== at) });
  const inChecks = table.checks.some((check) => {
    try {
      compilePredicate(check.expression, scope);
      return false;
    } catch {
      return true;
    }
  });
  const used =
    inChecks ||
    table.columns[at]?.default !== undefined ||
    table.indexes.some(({ spec }) =>
      [...spec.columns.map((column) => column.name), ...spec.include].some((column) => column.toLowerCase() === lower),
    ) ||
    table.foreignKeys.some(({ columns }) => columns.some((column) => column.toLowerCase() === lower));
  if (used)
    throw new SqlError(5074, `ALTER TABLE DROP COLUMN ${name} failed because one or more objects access this column.`);
  reshape(
    table,
    table.columns.filter((_, ordinal) => ordinal !== at),
    (values) => values.filter((_, ordinal) => ordinal !== at),
    context,
  );
}
