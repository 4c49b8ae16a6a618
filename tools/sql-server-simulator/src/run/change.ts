import type { Assignment, StatementOf, TableSource } from '../sql/ast.ts';
import type { Row, Values } from '../engine/row.ts';
import type { Table } from '../engine/table.ts';
import { checkKeys, deleteRow, lockForWrite, updateRow } from '../engine/write.ts';
import { storing } from '../types/convert.ts';
import { SqlError } from '../types/sql-error.ts';
import { types, type Value } from '../types/sql-type.ts';
import { arithmetic } from './arithmetic.ts';
import { checkChildren, checkNulls, checkParents, compileChecks } from './constraints.ts';
import { type Compiled, type Context, emptyEnv, type Env, type Variable } from './context.ts';
import { compileExpression, conjuncts } from './expression.ts';
import { type Source } from './bind.ts';
import { type FromPlan, planFrom } from './from.ts';
import { as } from './function-kit.ts';
import { finishOutput, type IdentityState, truncation } from './insert.ts';
import { compileOutput, type Visible, visibleColumns } from './output.ts';
import { withCommonTables } from './query.ts';
import type { StatementResult } from './result.ts';
import { columnReader, Scope } from './scope.ts';

/** Where UPDATE and DELETE find their rows. */
interface Place {
  readonly plan: FromPlan;
  readonly scope: Scope;
  readonly source: Source;
  readonly table: Table;
  readonly visible: Visible;
  readonly skipLocked: boolean;
}

type Changing = StatementOf<'update'> | StatementOf<'delete'>;

function leavesOf(node: TableSource): TableSource[] {
  return node.kind === 'join' ? [...leavesOf(node.left), ...leavesOf(node.right)] : [node];
}

/** The FROM of the statement and the one reference in it that is changed (by alias first, then by table name). */
function targetNode(statement: Changing): { readonly from: TableSource; readonly node: TableSource } {
  const { target, line } = statement;
  const own: TableSource =
    target.kind === 'variable'
      ? { kind: 'tableVariable', name: target.name, line }
      : { kind: 'table', name: target.name, hints: target.hints, line };
  if (statement.from === undefined) return { from: own, node: own };
  const leaves = leavesOf(statement.from);
  const name = (target.kind === 'variable' ? target.name : target.name.name).toLowerCase();
  const byAlias = leaves.filter(
    (leaf) => (leaf.kind === 'table' || leaf.kind === 'tableVariable') && leaf.alias?.toLowerCase() === name,
  );
  const byName = leaves.filter(
    (leaf) =>
      (leaf.kind === 'table' && leaf.name.name.toLowerCase() === name) ||
      (leaf.kind === 'tableVariable' && leaf.name.toLowerCase() === name),
  );
  const [node] = byAlias.length > 0 ? byAlias : byName;
  if (node === undefined)
    return { from: { kind: 'join', type: 'cross', left: own, right: statement.from, line }, node: own };
  const hints = target.kind === 'object' ? target.hints : [];
  const merged = hints.length > 0 && node.kind === 'table' ? { ...node, hints: [...node.hints, ...hints] } : node;
  return { from: merged === node ? statement.from : replace(statement.from, node, merged), node: merged };
}

function replace(from: TableSource, old: TableSource, next: TableSource): TableSource {
  if (from === old) return next;
  return from.kind === 'join'
    ? { ...from, left: replace(from.left, old, next), right: replace(from.right, old, next) }
    : from;
}

function find(statement: Changing, context: Context): Place {
  const scope = new Scope(context, undefined, withCommonTables(new Scope(context), statement.with));
  const { from, node } = targetNode(statement);
  const plan = planFrom(from, conjuncts(statement.where), scope, { order: () => [], wantsFirst: false, target: node });
  const source = plan.sources.find((candidate) => candidate.node === node);
  const table = source?.table ?? source?.target?.table;
  if (source === undefined || table === undefined)
    throw new SqlError(
      4405,
      'View or function is not updatable because the modification affects multiple base tables.',
    );
  const visible = source.target === undefined ? visibleColumns(table) : through(source);
  return {
    plan,
    scope,
    source,
    table,
    visible,
    skipLocked: source.mode?.skipLocked ?? source.target?.skipLocked ?? false,
  };
}

/** Of a CTE, only the columns that are base columns can be set and output. */
function through(source: Source): Visible {
  const ordinals = source.target?.ordinals ?? [];
  const kept = source.columns
    .map((column, position) => ({ column, ordinal: ordinals[position] ?? -1 }))
    .filter(({ ordinal }) => ordinal >= 0);
  return { columns: kept.map(({ column }) => column), ordinals: kept.map(({ ordinal }) => ordinal) };
}

interface Chosen {
  readonly row: Row;
  readonly before: Values;
  readonly env: Env;
}

/** Reads the rows to change, each once, locks them for writing and remembers what the statement sees beside them. */
function choose(statement: Changing, place: Place, context: Context): Chosen[] {
  const { plan, source, table, skipLocked, scope } = place;
  const limit =
    statement.top === undefined
      ? Number.POSITIVE_INFINITY
      : Number(as(compileExpression(statement.top.count, scope), types.bigint)(emptyEnv) ?? 0);
  const found = new Map<Row, Env>();
  const env: Env = { rows: [], refs: [], parent: undefined, slots: [] };
  if (limit > 0) {
    plan.iterate(env, () => {
      const row = env.refs[source.index];
      if (row !== undefined && !found.has(row))
        found.set(row, { rows: [...env.rows], refs: [], parent: undefined, slots: [] });
      return found.size >= limit;
    });
  }
  const chosen: Chosen[] = [];
  for (const [row, seen] of found) {
    if (!lockForWrite(table, row, context.transaction, skipLocked)) continue;
    if (row.current !== null) chosen.push({ row, before: row.current, env: seen });
  }
  return chosen;
}

interface Setter {
  readonly ordinal: number;
  readonly read: (env: Env) => Value;
  readonly variable: Variable | undefined;
}

function columnOf(place: Place, assignment: Assignment): number {
  const name = assignment.column?.at(-1) ?? '';
  const position = place.visible.columns.findIndex((column) => column.name.toLowerCase() === name.toLowerCase());
  const ordinal = place.visible.ordinals[position];
  if (ordinal === undefined) {
    if (place.source.columns.some((column) => column.name.toLowerCase() === name.toLowerCase())) {
      throw new SqlError(
        4406,
        `Update or insert of view or function failed because it contains a derived or constant field.`,
      );
    }
    throw new SqlError(207, `Invalid column name '${name}'.`);
  }
  const column = place.table.columns[ordinal];
  if (column?.identity !== undefined) throw new SqlError(8102, `Cannot update identity column '${column.name}'.`);
  if (column?.type.name === 'rowversion') throw new SqlError(272, 'Cannot update a timestamp column.');
  return ordinal;
}

function current(place: Place, assignment: Assignment): Compiled {
  const name = assignment.column?.at(-1) ?? '';
  const ordinal = place.source.columns.findIndex((column) => column.name.toLowerCase() === name.toLowerCase());
  const column = place.source.columns[ordinal];
  if (column === undefined) throw new SqlError(207, `Invalid column name '${name}'.`);
  return { type: column.type, run: columnReader({ depth: 0, source: place.source.index, ordinal, column }) };
}

/** Compiles `SET column = value`, `column += value`, `@v = value`, `@v = column = value`. */
export function compileSetters(
  set: readonly Assignment[],
  place: Pick<Place, 'visible' | 'table' | 'source' | 'scope'>,
  context: Context,
): Setter[] {
  const whole = place as Place;
  const setters = set.map((assignment): Setter => {
    const variable =
      assignment.variable === undefined ? undefined : context.variables.get(assignment.variable.toLowerCase());
    if (assignment.variable !== undefined && variable === undefined)
      throw new SqlError(137, `Must declare the scalar variable "${assignment.variable}".`, 15, 2);
    let value = compileExpression(
      assignment.value.kind === 'default'
        ? { kind: 'literal', type: types.null, value: null, line: assignment.line }
        : assignment.value,
      place.scope,
    );
    if (assignment.column === undefined) {
      if (variable === undefined) throw new SqlError(102, "Incorrect syntax near '='.", 15);
      if (assignment.operator !== '=')
        value = arithmetic(assignment.operator, { type: variable.type, run: () => variable.value }, value);
      return { ordinal: -1, read: as(value, variable.type), variable };
    }
    const ordinal = columnOf(whole, assignment);
    const column = place.table.columns[ordinal];
    if (column === undefined) throw new SqlError(207, 'Invalid column name.');
    if (assignment.value.kind === 'default' && column.default !== undefined)
      value = compileExpression(column.default.expression, new Scope(context));
    if (assignment.operator !== '=') value = arithmetic(assignment.operator, current(whole, assignment), value);
    const store = storing(value.type, column.type, truncation(place.table, column.name, context));
    const { run } = value;
    return { ordinal, read: (env) => store(run(env)), variable };
  });
  const ordinals = setters.map(({ ordinal }) => ordinal).filter((ordinal) => ordinal >= 0);
  if (new Set(ordinals).size !== ordinals.length) {
    throw new SqlError(
      264,
      'The column name is specified more than once in the SET clause. A column cannot be assigned more than one value in the same SET clause.',
    );
  }
  return setters;
}

export function newValues(setters: readonly Setter[], before: Values, env: Env): Value[] {
  const values = [...before];
  for (const { ordinal, read, variable } of setters) {
    const value = read(env);
    if (ordinal >= 0) values[ordinal] = value;
    if (variable !== undefined) variable.value = value;
  }
  return values;
}

export function runUpdate(
  statement: StatementOf<'update'>,
  context: Context,
  identity: IdentityState,
): StatementResult {
  const place = find(statement, context);
  const { table } = place;
  const setters = compileSetters(statement.set, place, context);
  const output = compileOutput(statement.output, place.visible, place.scope.sources, context);
  const check = compileChecks(table, context);
  const chosen = choose(statement, place, context);
  // All new values are computed from what was there before the first row changes.
  const changes = chosen.map((one) => ({ ...one, after: newValues(setters, one.before, one.env) }));
  for (const { row, after } of changes) {
    checkNulls(table, after, 'UPDATE', context);
    check(after, 'UPDATE');
    updateRow(table, row, after, context.transaction);
  }
  for (const { row } of changes) checkKeys(table, row, context.transaction);
  checkParents(
    table,
    changes.map(({ row }) => row),
    'UPDATE',
    context,
  );
  checkChildren(
    table,
    changes.map(({ before }) => before),
    'UPDATE',
    context,
  );
  const rows =
    output === undefined
      ? []
      : changes.map(({ before, after, env }) =>
          output.project({ inserted: after, deleted: before, sources: env.rows }),
        );
  return finishOutput('update', output, rows, changes.length, context, identity);
}

export function runDelete(
  statement: StatementOf<'delete'>,
  context: Context,
  identity: IdentityState,
): StatementResult {
  const place = find(statement, context);
  const { table } = place;
  const output = compileOutput(statement.output, place.visible, place.scope.sources, context);
  const chosen = choose(statement, place, context);
  for (const { row } of chosen) deleteRow(table, row, context.transaction);
  checkChildren(
    table,
    chosen.map(({ before }) => before),
    'DELETE',
    context,
  );
  const rows =
    output === undefined
      ? []
      : chosen.map(({ before, env }) => output.project({ inserted: null, deleted: before, sources: env.rows }));
  return finishOutput('delete', output, rows, chosen.length, context, identity);
}
