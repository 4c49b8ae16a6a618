import type { DmlTarget, OutputClause } from '../sql/ast.ts';
import type { Row, Values } from '../engine/row.ts';
import type { Table } from '../engine/table.ts';
import { SqlError } from '../types/sql-error.ts';
import { nvarchar, type Value } from '../types/sql-type.ts';
import type { Compiled, Context } from './context.ts';
import { compileExpression } from './expression.ts';
import { columnsOf, requireTable } from './bind.ts';
import { type ColumnInfo, Scope, type ScopeSource } from './scope.ts';
import { expandItems } from './select.ts';

/** Columns that `inserted` and `deleted` show: of a table, or of the CTE through which it is changed. */
export interface Visible {
  readonly columns: readonly ColumnInfo[];
  /** Ordinal in the table's row, per column. */
  readonly ordinals: readonly number[];
}

export function visibleColumns(table: Table): Visible {
  return { columns: columnsOf(table), ordinals: table.columns.map((_, ordinal) => ordinal) };
}

export interface OutputRow {
  readonly inserted: Values | null;
  readonly deleted: Values | null;
  readonly sources: readonly Values[];
  readonly action?: string;
}

export interface CompiledOutput {
  readonly columns: readonly ColumnInfo[];
  readonly into: { readonly target: DmlTarget; readonly columns: readonly string[] | undefined } | undefined;
  readonly compiled: readonly Compiled[];
  readonly project: (row: OutputRow) => Value[];
}

/** Compiles OUTPUT; `sources` are the statement's FROM, readable beside inserted and deleted. */
export function compileOutput(
  clause: OutputClause | undefined,
  visible: Visible,
  sources: readonly ScopeSource[],
  context: Context,
): CompiledOutput | undefined {
  if (clause === undefined) return undefined;
  const scope = new Scope(context);
  scope.sources.push(
    { alias: 'inserted', columns: visible.columns },
    { alias: 'deleted', columns: visible.columns },
    ...sources,
    { alias: '', columns: [{ name: '$action', type: nvarchar(10) }] },
  );
  const items = expandItems(clause.items, scope);
  const compiled = items.map(({ expression }) => compileExpression(expression, scope));
  const columns = items.map(({ name }, position) => ({ name, type: compiled[position]?.type ?? nvarchar(1) }));
  const shown = (values: Values | null): Value[] => visible.ordinals.map((ordinal) => values?.[ordinal] ?? null);
  return {
    columns,
    into: clause.into === undefined ? undefined : { target: clause.into.target, columns: clause.into.columns },
    compiled,
    project: ({ inserted, deleted, sources: rows, action }) => {
      const env = {
        rows: [shown(inserted), shown(deleted), ...rows.map((row) => row as Value[]), [action ?? null]],
        refs: [],
        parent: undefined,
        slots: [],
      };
      return compiled.map(({ run }) => run(env));
    },
  };
}

/** The table that a statement changes. @throws SqlError 208 or 1087 */
export function targetTable(target: DmlTarget, context: Context): Table {
  if (target.kind === 'object') return requireTable(target.name, context);
  const table = context.tableVariables.get(target.name.toLowerCase());
  if (table === undefined) throw new SqlError(1087, `Must declare the table variable "${target.name}".`, 15, 2);
  return table;
}

export type { Row };
