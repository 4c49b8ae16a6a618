import type { Expression, StatementOf } from '../sql/ast.ts';
import type { Row } from '../engine/row.ts';
import type { Table } from '../engine/table.ts';
import { insertRow } from '../engine/write.ts';
import { type Converter, converter, storing } from '../types/convert.ts';
import { SqlError } from '../types/sql-error.ts';
import { type SqlType, types, type Value } from '../types/sql-type.ts';
import { checkNulls, checkParents, compileChecks } from './constraints.ts';
import { type Context, emptyEnv } from './context.ts';
import { compileExpression } from './expression.ts';
import { as } from './function-kit.ts';
import { type CompiledOutput, compileOutput, targetTable, visibleColumns } from './output.ts';
import { compileQuery, withCommonTables } from './query.ts';
import type { StatementResult } from './result.ts';
import { Scope } from './scope.ts';

/** A cell of a row to insert: a value of the statement, or the column's default. */
type Cell = { readonly value: Value } | 'default';

interface Incoming {
  readonly types: readonly SqlType[];
  readonly rows: readonly (readonly Cell[])[];
}

export interface IdentityState {
  /** Table for which SET IDENTITY_INSERT is ON. */
  readonly explicitFor: Table | undefined;
  readonly noted: (value: bigint) => void;
}

export function truncation(table: Table, column: string, context: Context): (shown: string) => SqlError {
  const name = table.durable ? `${context.database.name}.${table.qualifiedName}` : table.name;
  return (shown) =>
    new SqlError(
      2628,
      `String or binary data would be truncated in table '${name}', column '${column}'. Truncated value: '${shown}'.`,
    );
}

function insertColumns(table: Table, names: readonly string[] | undefined, explicitIdentity: boolean): number[] {
  if (names === undefined) {
    return table.columns.flatMap((column, ordinal) =>
      column.type.name === 'rowversion' || (column.identity !== undefined && !explicitIdentity) ? [] : [ordinal],
    );
  }
  const ordinals = names.map((name) => {
    const ordinal = table.ordinalOf(name);
    const column = table.columns[ordinal];
    if (column === undefined) throw new SqlError(207, `Invalid column name '${name}'.`);
    if (column.type.name === 'rowversion') {
      throw new SqlError(
        273,
        'Cannot insert an explicit value into a timestamp column. Use INSERT with a column list to exclude the timestamp column, or insert a DEFAULT into the timestamp column.',
      );
    }
    return ordinal;
  });
  if (new Set(ordinals).size !== ordinals.length)
    throw new SqlError(264, 'The column name is specified more than once in the column list of an INSERT.');
  return ordinals;
}

/** Turns incoming cells into rows of one table and inserts them. */
export class Inserter {
  readonly #table: Table;
  readonly #context: Context;
  readonly #ordinals: readonly number[];
  readonly #identity: IdentityState;
  readonly #defaults: readonly (() => Value)[];
  readonly #check: ReturnType<typeof compileChecks>;
  readonly inserted: Row[] = [];

  constructor(table: Table, columns: readonly string[] | undefined, context: Context, identity: IdentityState) {
    this.#table = table;
    this.#context = context;
    this.#identity = identity;
    this.#ordinals = insertColumns(table, columns, identity.explicitFor === table);
    this.#check = compileChecks(table, context);
    const scope = new Scope(context);
    this.#defaults = table.columns.map((column) => {
      if (column.default === undefined) return () => null;
      const compiled = compileExpression(column.default.expression, scope);
      const read = as(compiled, column.type);
      return () => read(emptyEnv);
    });
    const identityOrdinal = table.columns.findIndex((column) => column.identity !== undefined);
    if (identityOrdinal !== -1 && this.#ordinals.includes(identityOrdinal) && identity.explicitFor !== table) {
      throw new SqlError(
        544,
        `Cannot insert explicit value for identity column in table '${table.name}' when IDENTITY_INSERT is set to OFF.`,
      );
    }
  }

  get width(): number {
    return this.#ordinals.length;
  }

  converters(incoming: readonly SqlType[]): Converter[] {
    return this.#ordinals.map((ordinal, position) => {
      const column = this.#table.columns[ordinal];
      const type = incoming[position] ?? types.null;
      if (column === undefined) throw new SqlError(207, 'Invalid column name.');
      return storing(type, column.type, truncation(this.#table, column.name, this.#context));
    });
  }

  #nextIdentity(ordinal: number): Value {
    const column = this.#table.columns[ordinal];
    const { identity, type } = column ?? {};
    if (identity === undefined || type === undefined) return null;
    const next = this.#table.lastIdentity === undefined ? identity.seed : this.#table.lastIdentity + identity.increment;
    const value = converter(types.bigint, type)(next);
    this.#table.lastIdentity = next;
    this.#identity.noted(next);
    return value;
  }

  insert(cells: readonly Cell[], convert: readonly Converter[], verb: 'INSERT' | 'MERGE' = 'INSERT'): Row {
    const table = this.#table;
    const values: Value[] = table.columns.map(() => null);
    const given = new Set<number>();
    this.#ordinals.forEach((ordinal, position) => {
      const cell = cells[position];
      if (cell === undefined || cell === 'default') return;
      values[ordinal] = convert[position]?.(cell.value) ?? null;
      given.add(ordinal);
    });
    table.columns.forEach((column, ordinal) => {
      if (given.has(ordinal)) {
        if (column.identity !== undefined) this.#explicitIdentity(values[ordinal] ?? null, column.identity.increment);
      } else
        values[ordinal] =
          column.identity === undefined ? (this.#defaults[ordinal]?.() ?? null) : this.#nextIdentity(ordinal);
    });
    checkNulls(table, values, 'INSERT', this.#context);
    this.#check(values, verb);
    const row = insertRow(table, values, this.#context.transaction);
    this.inserted.push(row);
    return row;
  }

  #explicitIdentity(value: Value, increment: bigint): void {
    if (value === null) return;
    const given = BigInt(value as number | bigint);
    const last = this.#table.lastIdentity;
    if (last === undefined || (increment > 0n ? given > last : given < last)) this.#table.lastIdentity = given;
    this.#identity.noted(given);
  }

  /** Checks what only the whole statement can: foreign keys, which may point within it. */
  finish(verb: 'INSERT' | 'MERGE' = 'INSERT'): void {
    checkParents(this.#table, this.inserted, verb, this.#context);
  }
}

function cellsOf(rows: readonly (readonly Expression[])[], scope: Scope): Incoming {
  const compiled = rows.map((row) =>
    row.map((expression) => (expression.kind === 'default' ? undefined : compileExpression(expression, scope))),
  );
  const width = rows[0]?.length ?? 0;
  if (rows.some((row) => row.length !== width))
    throw new SqlError(10709, 'The number of columns for each row in a table value constructor must be the same.');
  // Each cell is converted from its own type to the column's: no common type across rows is forced on exact values.
  return {
    types: [],
    rows: compiled.map((row) =>
      row.map((cell): Cell => (cell === undefined ? 'default' : { value: cell.run(emptyEnv) })),
    ),
  };
}

/** Inserts the rows of VALUES, a query or DEFAULT VALUES. */
export function runInsert(
  statement: StatementOf<'insert'>,
  context: Context,
  identity: IdentityState,
): StatementResult {
  const table = targetTable(statement.target, context);
  const outer = new Scope(context);
  const scope = new Scope(context, undefined, withCommonTables(outer, statement.with));
  const inserter = new Inserter(table, statement.columns, context, identity);
  const output = compileOutput(statement.output, visibleColumns(table), [], context);
  const { source } = statement;
  const mismatch = (width: number): void => {
    if (width === inserter.width) return;
    if (statement.columns === undefined)
      throw new SqlError(213, 'Column name or number of supplied values does not match table definition.');
    throw width < inserter.width
      ? new SqlError(
          109,
          'There are more columns in the INSERT statement than values specified in the VALUES clause. The number of values in the VALUES clause must match the number of columns specified in the INSERT statement.',
          15,
        )
      : new SqlError(
          110,
          'There are fewer columns in the INSERT statement than values specified in the VALUES clause. The number of values in the VALUES clause must match the number of columns specified in the INSERT statement.',
          15,
        );
  };
  if (source.kind === 'defaults') inserter.insert([], []);
  else if (source.kind === 'values') {
    for (const row of source.rows) mismatch(row.length);
    const incoming = cellsOf(source.rows, scope);
    source.rows.forEach((row, position) => {
      const convert = inserter.converters(
        row.map((expression) =>
          expression.kind === 'default' ? types.null : compileExpression(expression, scope).type,
        ),
      );
      inserter.insert(incoming.rows[position] ?? [], convert);
    });
  } else {
    const query = compileQuery(source.query, scope);
    mismatch(query.columns.length);
    const convert = inserter.converters(query.columns.map(({ type }) => type));
    const limit =
      statement.top === undefined ? undefined : Number(compileExpression(statement.top.count, scope).run(emptyEnv));
    for (const { values } of query.run(emptyEnv, limit))
      inserter.insert(
        values.map((value) => ({ value })),
        convert,
      );
  }
  inserter.finish();
  const rows = inserter.inserted.map(({ current }) => ({ inserted: current, deleted: null, sources: [] }));
  return finishOutput(
    'insert',
    output,
    rows.map((row) => output?.project(row) ?? []),
    inserter.inserted.length,
    context,
    identity,
  );
}

/** Sends OUTPUT rows back, or into a table. */
export function finishOutput(
  kind: StatementResult['kind'],
  output: CompiledOutput | undefined,
  rows: readonly Value[][],
  count: number,
  context: Context,
  identity: IdentityState,
): StatementResult {
  if (output === undefined) return { kind, count };
  if (output.into === undefined) return { kind, columns: output.columns, rows, count };
  const target = targetTable(output.into.target, context);
  const inserter = new Inserter(target, output.into.columns, context, { ...identity, noted: () => undefined });
  if (inserter.width !== output.columns.length)
    throw new SqlError(213, 'Column name or number of supplied values does not match table definition.');
  const convert = inserter.converters(output.compiled.map(({ type }) => type));
  for (const values of rows)
    inserter.insert(
      values.map((value) => ({ value })),
      convert,
    );
  inserter.finish();
  return { kind, count };
}
