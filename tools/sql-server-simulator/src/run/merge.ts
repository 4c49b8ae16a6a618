import type { MergeWhen, StatementOf, TableSource } from '../sql/ast.ts';
import type { Row, Values } from '../engine/row.ts';
import { checkKeys, deleteRow, lockForWrite, updateRow } from '../engine/write.ts';
import { outsideSubset, SqlError } from '../types/sql-error.ts';
import type { Value } from '../types/sql-type.ts';
import { compileSetters, newValues } from './change.ts';
import { checkChildren, checkNulls, checkParents, compileChecks } from './constraints.ts';
import type { Context, Env } from './context.ts';
import { compileExpression, compilePredicate } from './expression.ts';
import { planFrom } from './from.ts';
import { finishOutput, type IdentityState, Inserter } from './insert.ts';
import { compileOutput, type OutputRow, visibleColumns } from './output.ts';
import { withCommonTables } from './query.ts';
import type { StatementResult } from './result.ts';
import { Scope } from './scope.ts';

type Act =
  | { readonly kind: 'update'; readonly row: Row; readonly before: Values; readonly after: Value[]; readonly env: Env }
  | { readonly kind: 'delete'; readonly row: Row; readonly before: Values; readonly env: Env }
  | { readonly kind: 'insert'; readonly values: readonly Value[]; readonly env: Env };

/** MERGE: source left-joined to the target; every action is decided before the first is done. */
export function runMerge(statement: StatementOf<'merge'>, context: Context, identity: IdentityState): StatementResult {
  const { target, line } = statement;
  if (target.kind !== 'object') throw outsideSubset('MERGE into a table variable', line);
  if (statement.whens.some(({ match }) => match === 'notMatchedBySource'))
    throw outsideSubset('MERGE … WHEN NOT MATCHED BY SOURCE', line);
  const scope = new Scope(context, undefined, withCommonTables(new Scope(context), statement.with));
  const node: TableSource = {
    kind: 'table',
    name: target.name,
    hints: target.hints,
    line,
    ...(statement.alias === undefined ? {} : { alias: statement.alias }),
  };
  const plan = planFrom(
    { kind: 'join', type: 'left', left: statement.source, right: node, on: statement.on, line },
    [],
    scope,
    { order: () => [], wantsFirst: false, target: node },
  );
  const source = plan.sources.find((candidate) => candidate.node === node);
  const table = source?.table;
  if (source === undefined || table === undefined) throw outsideSubset('MERGE into something that is no table', line);
  const visible = visibleColumns(table);
  const output = compileOutput(statement.output, visible, scope.sources, context);
  const whens = statement.whens.map((when) => compileWhen(when));
  const check = compileChecks(table, context);
  const acts: Act[] = [];
  const touched = new Set<Row>();
  const env: Env = { rows: [], refs: [], parent: undefined, slots: [] };
  plan.iterate(env, () => {
    const row = env.refs[source.index];
    const matched = row !== undefined;
    const when = whens.find(
      (candidate) =>
        candidate.matched === matched && (candidate.condition === undefined || candidate.condition(env) === true),
    );
    if (when === undefined) return false;
    const seen: Env = { rows: [...env.rows], refs: [], parent: undefined, slots: [] };
    if (row === undefined) {
      acts.push({ kind: 'insert', values: when.values?.(env) ?? [], env: seen });
      return false;
    }
    if (touched.has(row)) {
      throw new SqlError(
        8672,
        'The MERGE statement attempted to UPDATE or DELETE the same row more than once. This happens when a target row matches more than one source row.',
      );
    }
    touched.add(row);
    const before = row.current ?? [];
    if (when.setters === undefined) acts.push({ kind: 'delete', row, before, env: seen });
    else acts.push({ kind: 'update', row, before, after: newValues(when.setters, before, env), env: seen });
    return false;
  });
  const done: OutputRow[] = [];
  const inserters = new Map<MergeWhen, Inserter>();
  for (const act of acts) done.push(perform(act));
  checkParents(table, [...touched], 'MERGE', context);
  for (const inserter of inserters.values()) inserter.finish('MERGE');
  checkChildren(
    table,
    acts.flatMap((act) => (act.kind === 'insert' ? [] : [act.before])),
    'MERGE',
    context,
  );
  return finishOutput(
    'merge',
    output,
    output === undefined ? [] : done.map((row) => output.project(row)),
    acts.length,
    context,
    identity,
  );

  function compileWhen(when: MergeWhen) {
    const matched = when.match === 'matched';
    const condition = when.condition === undefined ? undefined : compilePredicate(when.condition, scope);
    const { action } = when;
    if (action.kind === 'insert') {
      const values = (action.values ?? []).map((value) => compileExpression(value, scope));
      return { matched, condition, setters: undefined, values: (row: Env) => values.map(({ run }) => run(row)) };
    }
    if (action.kind === 'delete') return { matched, condition, setters: undefined, values: undefined };
    if (source === undefined || table === undefined) throw outsideSubset('MERGE', line);
    return {
      matched,
      condition,
      setters: compileSetters(action.set, { visible, table, source, scope }, context),
      values: undefined,
    };
  }

  function perform(act: Act): OutputRow {
    if (table === undefined) throw outsideSubset('MERGE', line);
    const sources = act.env.rows;
    if (act.kind === 'insert') {
      const when = statement.whens.find(({ action }) => action.kind === 'insert');
      if (when?.action.kind !== 'insert') throw outsideSubset('MERGE', line);
      const { columns, values = [] } = when.action;
      let inserter = inserters.get(when);
      if (inserter === undefined) {
        inserter = new Inserter(table, columns.length === 0 ? undefined : columns, context, identity);
        inserters.set(when, inserter);
      }
      const convert = inserter.converters(values.map((value) => compileExpression(value, scope).type));
      const row = inserter.insert(
        act.values.map((value) => ({ value })),
        convert,
        'MERGE',
      );
      return { inserted: row.current, deleted: null, sources, action: 'INSERT' };
    }
    lockForWrite(table, act.row, context.transaction, false);
    if (act.kind === 'delete') {
      deleteRow(table, act.row, context.transaction);
      return { inserted: null, deleted: act.before, sources, action: 'DELETE' };
    }
    checkNulls(table, act.after, 'UPDATE', context);
    check(act.after, 'MERGE');
    updateRow(table, act.row, act.after, context.transaction);
    checkKeys(table, act.row, context.transaction);
    return { inserted: act.after, deleted: act.before, sources, action: 'UPDATE' };
  }
}
