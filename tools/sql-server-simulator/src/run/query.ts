import type { CommonTable, Expression, OrderItem, Query, QueryBody, SelectCore, SetQuery } from '../sql/ast.ts';
import type { Row } from '../engine/row.ts';
import type { Table } from '../engine/table.ts';
import { converter } from '../types/convert.ts';
import { compareKeys, hashText, sortKeyOf, type SortKey } from '../types/compare.ts';
import { outsideSubset, SqlError } from '../types/sql-error.ts';
import { commonType, types, type Value } from '../types/sql-type.ts';
import { type Env } from './context.ts';
import { compileExpression } from './expression.ts';
import { type ColumnInfo, Scope } from './scope.ts';
import { compileSelect } from './select.ts';

export interface ResultRow {
  readonly values: Value[];
  /** Row of the table to be changed, when the query is an UPDATE's or DELETE's target. */
  readonly ref: Row | undefined;
}

/** How a query that is changed through (UPDATE of a CTE) maps to its base table. */
export interface QueryTarget {
  readonly table: Table;
  /** Per result column: ordinal of the base column, or -1 for a computed one. */
  readonly ordinals: readonly number[];
  readonly skipLocked: boolean;
}

export interface CompiledQuery {
  readonly columns: readonly ColumnInfo[];
  /** Reads columns of an outer query: must run again for each of its rows. */
  readonly correlated: boolean;
  /** Runs the query; `limit` is how many rows the caller needs at most. */
  readonly run: (parent: Env, limit?: number) => readonly ResultRow[];
  readonly target?: QueryTarget;
}

export interface QueryOptions {
  /** The rows will be changed: they are read for update and carry their reference. */
  readonly asTarget?: boolean;
}

/** One row on its way through sorting and cutting. */
export interface Pending {
  readonly values: Value[];
  readonly keys: readonly SortKey[];
  readonly refs: readonly (Row | undefined)[];
}

export interface Cut {
  readonly skip: number;
  readonly take: number;
  readonly percent: boolean;
  readonly ties: boolean;
}

export function withCommonTables(scope: Scope, commonTables: readonly CommonTable[]): ReadonlyMap<string, CommonTable> {
  if (commonTables.length === 0) return scope.commonTables;
  const names = new Map(scope.commonTables);
  for (const common of commonTables) {
    const name = common.name.toLowerCase();
    names.delete(name);
    names.set(name, common);
  }
  return names;
}

/**
 * Compiles a query below a scope; outer columns are read through the environment given to `run`.
 *
 * @throws SqlError for unknown names and constructs outside the subset
 */
export function compileQuery(query: Query, parent: Scope, options: QueryOptions = {}): CompiledQuery {
  const outer = new Scope(parent.context, parent, withCommonTables(parent, query.with));
  return compileBody(query.body, query, outer, options);
}

/** The scope of WITH holds no sources, so that columns skip it: depth counts through it all the same. */
function compileBody(body: QueryBody, query: Query, outer: Scope, options: QueryOptions): CompiledQuery {
  const wrap = (inner: CompiledQuery): CompiledQuery => ({
    ...inner,
    run: (env, limit) => inner.run({ rows: [], refs: [], parent: env, slots: [] }, limit),
  });
  if (body.kind === 'select') return wrap(compileSelect(body, query, outer, options));
  if (options.asTarget === true) throw outsideSubset('changing rows through a UNION', body.line);
  return wrap(compileSet(body, query, outer));
}

function compileBranch(body: QueryBody, outer: Scope): CompiledQuery {
  const bare: Query = { with: [], body, orderBy: [], line: body.line };
  return body.kind === 'select' ? compileSelect(body, bare, outer, {}) : compileSet(body, bare, outer);
}

function compileSet(body: SetQuery, query: Query, outer: Scope): CompiledQuery {
  const left = compileBranch(body.left, outer);
  const right = compileBranch(body.right, outer);
  if (left.columns.length !== right.columns.length) {
    throw new SqlError(
      205,
      'All queries combined using a UNION, INTERSECT or EXCEPT operator must have an equal number of expressions in their target lists.',
    );
  }
  const columns = left.columns.map((column, position) => ({
    name: column.name,
    type: commonType(column.type, right.columns[position]?.type ?? column.type),
  }));
  const order = setOrder(query.orderBy, columns);
  const cut = compileCut(query, undefined, outer);
  const keys = columns.map(({ type }) => sortKeyOf(type));
  const hash = (values: readonly Value[]): string =>
    values.map((value, position) => hashText(keys[position]?.(value) ?? null)).join('\u0001');
  const rowsOf = (branch: CompiledQuery, env: Env): Value[][] => {
    const convert = branch.columns.map(({ type }, position) => converter(type, columns[position]?.type ?? type));
    return branch.run(env).map(({ values }) => values.map((value, position) => convert[position]?.(value) ?? null));
  };
  const combine = (first: Value[][], second: Value[][]): Value[][] => {
    if (body.operator === 'unionAll') return [...first, ...second];
    if (body.operator === 'union') return distinctRows([...first, ...second], hash);
    const others = new Set(second.map(hash));
    return distinctRows(first, hash).filter((values) => others.has(hash(values)) === (body.operator === 'intersect'));
  };
  return {
    columns,
    correlated: left.correlated || right.correlated,
    run: (env) => {
      const rows = combine(rowsOf(left, env), rowsOf(right, env)).map((values) => ({
        values,
        keys: order.map(({ position, key }) => key(values[position] ?? null)),
        refs: [],
      }));
      if (order.length > 0)
        sortPending(
          rows,
          order.map(({ descending }) => descending),
        );
      return applyCut(rows, cut(env)).map(({ values }) => ({ values, ref: undefined }));
    },
  };
}

function distinctRows(rows: readonly Value[][], hash: (values: readonly Value[]) => string): Value[][] {
  const seen = new Set<string>();
  return rows.filter((values) => {
    const text = hash(values);
    if (seen.has(text)) return false;
    seen.add(text);
    return true;
  });
}

function setOrder(
  orderBy: readonly OrderItem[],
  columns: readonly ColumnInfo[],
): { readonly position: number; readonly descending: boolean; readonly key: (value: Value) => SortKey }[] {
  return orderBy.map(({ expression, descending }) => {
    const position = positionOf(expression, columns);
    if (position === undefined)
      throw new SqlError(
        104,
        'ORDER BY items must appear in the select list if the statement contains a UNION, INTERSECT or EXCEPT operator.',
      );
    return { position, descending, key: sortKeyOf(columns[position]?.type ?? types.int) };
  });
}

/** Position of a select list column that an ORDER BY item names (by number or by name). */
export function positionOf(expression: Expression, columns: readonly { readonly name: string }[]): number | undefined {
  if (expression.kind === 'literal' && typeof expression.value === 'number') {
    if (expression.value < 1 || expression.value > columns.length) {
      throw new SqlError(
        108,
        `The ORDER BY position number ${expression.value} is out of range of the number of items in the select list.`,
        15,
      );
    }
    return expression.value - 1;
  }
  if (expression.kind !== 'column' || expression.parts.length !== 1) return undefined;
  const name = expression.parts[0]?.toLowerCase();
  const position = columns.findIndex((column) => column.name.toLowerCase() === name);
  return position === -1 ? undefined : position;
}

export function sortPending(rows: Pending[], descending: readonly boolean[]): void {
  rows.sort((left, right) => compareRows(left, right, descending));
}

function compareRows(left: Pending, right: Pending, descending: readonly boolean[]): number {
  for (let position = 0; position < descending.length; position += 1) {
    const order = compareKeys(left.keys[position] ?? null, right.keys[position] ?? null);
    if (order !== 0) return descending[position] === true ? -order : order;
  }
  return 0;
}

function countOf(expression: Expression, scope: Scope, clause: string): (env: Env) => number {
  const compiled = compileExpression(expression, scope);
  const convert = converter(compiled.type, types.bigint);
  return (env) => {
    const count = convert(compiled.run(env));
    if (count === null)
      throw new SqlError(1060, `The number of rows provided for a ${clause} clause must be an integer.`);
    const number = Number(count);
    if (number < 0) throw new SqlError(1031, `A ${clause} clause may not have a negative value.`, 15);
    return number;
  };
}

/** TOP, OFFSET and FETCH as numbers of rows. */
export function compileCut(query: Query, top: SelectCore['top'], scope: Scope): (env: Env) => Cut {
  if (top !== undefined) {
    if (query.offset !== undefined)
      throw new SqlError(10741, 'A TOP can not be used in the same query or sub-query as a OFFSET.', 15);
    const count = countOf(top.count, scope, 'TOP');
    const { percent, ties } = top;
    if (ties && query.orderBy.length === 0)
      throw new SqlError(1062, 'The TOP N WITH TIES clause is not allowed without a corresponding ORDER BY clause.');
    return (env) => ({ skip: 0, take: count(env), percent, ties });
  }
  const skip = query.offset === undefined ? () => 0 : countOf(query.offset, scope, 'OFFSET');
  const take = query.fetch === undefined ? () => Number.POSITIVE_INFINITY : countOf(query.fetch, scope, 'FETCH');
  return (env) => ({ skip: skip(env), take: take(env), percent: false, ties: false });
}

export function applyCut<T extends Pending>(rows: readonly T[], { skip, take, percent, ties }: Cut): readonly T[] {
  const count = percent ? Math.ceil((rows.length * take) / 100) : take;
  if (skip === 0 && count >= rows.length) return rows;
  let end = Math.min(skip + count, rows.length);
  if (ties && end > 0) {
    const last = rows[end - 1];
    while (
      last !== undefined &&
      end < rows.length &&
      last.keys.every((key, position) => key === rows[end]?.keys[position])
    )
      end += 1;
  }
  return rows.slice(skip, end);
}
