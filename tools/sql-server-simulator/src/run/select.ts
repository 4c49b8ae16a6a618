import {
  type Expression,
  type ExpressionOf,
  expressionKey,
  type Query,
  type SelectCore,
  type SelectItem,
} from '../sql/ast.ts';
import { someExpression } from '../sql/walk.ts';
import { acquire } from '../engine/locks.ts';
import type { Row } from '../engine/row.ts';
import { hashText, sortKeyOf, type SortKey } from '../types/compare.ts';
import { storing } from '../types/convert.ts';
import { outsideSubset, SqlError } from '../types/sql-error.ts';
import type { SqlType, Value } from '../types/sql-type.ts';
import type { WantedOrder } from './access-path.ts';
import { type Accumulator, type AggregateSpec, compileAggregate, isAggregate } from './aggregate.ts';
import type { Compiled, Env, Predicate } from './context.ts';
import { compileExpression, compilePredicate, conjuncts } from './expression.ts';
import { type FromPlan, planFrom } from './from.ts';
import {
  applyCut,
  compileCut,
  type CompiledQuery,
  type Pending,
  positionOf,
  type QueryOptions,
  type QueryTarget,
  type ResultRow,
  sortPending,
} from './query.ts';
import { type ColumnInfo, Scope } from './scope.ts';
import { compileWindow, type WindowFunction } from './window.ts';

interface Item {
  readonly expression: Expression;
  readonly name: string;
  readonly variable?: string;
}

function nameOf({ alias, expression }: SelectItem): string {
  return alias ?? (expression.kind === 'column' ? (expression.parts.at(-1) ?? '') : '');
}

/** Replaces `*` and `t.*` by the columns they stand for. */
export function expandItems(items: readonly SelectItem[], scope: Scope): Item[] {
  return items.flatMap((item): Item[] => {
    const { expression } = item;
    if (expression.kind !== 'star')
      return [{ expression, name: nameOf(item), ...(item.variable === undefined ? {} : { variable: item.variable }) }];
    const wanted = expression.qualifier.at(-1)?.toLowerCase();
    const sources = scope.sources.filter(({ alias }) => wanted === undefined || alias.toLowerCase() === wanted);
    if (sources.length === 0) {
      if (wanted !== undefined)
        throw new SqlError(
          107,
          `The column prefix '${expression.qualifier.join('.')}' does not match with a table name or alias name used in the query.`,
          15,
        );
      throw new SqlError(263, 'Must specify table to select from.');
    }
    return sources.flatMap(({ alias, columns }) =>
      columns.map(({ name }) => ({
        expression: { kind: 'column' as const, parts: alias === '' ? [name] : [alias, name], line: expression.line },
        name,
      })),
    );
  });
}

/** Aggregates of a grouped query and how their slots are filled. */
class Groups {
  readonly keys: { readonly compiled: Compiled; readonly slot: number }[] = [];
  readonly aggregates: { readonly spec: AggregateSpec; readonly slot: number }[] = [];
  readonly #known = new Map<string, { readonly slot: number; readonly type: SqlType }>();
  readonly #scope: Scope;
  readonly #nextSlot: () => number;

  constructor(groupBy: readonly Expression[], scope: Scope, nextSlot: () => number) {
    this.#scope = scope;
    this.#nextSlot = nextSlot;
    const keys = new Map<string, { readonly slot: number; readonly type: SqlType }>();
    for (const expression of groupBy) {
      const compiled = compileExpression(expression, scope);
      const slot = nextSlot();
      this.keys.push({ compiled, slot });
      keys.set(expressionKey(expression), { slot, type: compiled.type });
    }
    scope.grouping = { keys, aggregate: (call) => this.#aggregate(call as ExpressionOf<'call'>) };
  }

  #aggregate(call: ExpressionOf<'call'>): { readonly slot: number; readonly type: SqlType } {
    const key = expressionKey(call);
    const known = this.#known.get(key);
    if (known !== undefined) return known;
    const { grouping } = this.#scope;
    this.#scope.grouping = undefined;
    const args = call.args.filter(({ kind }) => kind !== 'star').map((arg) => compileExpression(arg, this.#scope));
    this.#scope.grouping = grouping;
    const spec = compileAggregate(call, args);
    const found = { slot: this.#nextSlot(), type: spec.type };
    this.aggregates.push({ spec, slot: found.slot });
    this.#known.set(key, found);
    return found;
  }

  /** Reads all rows and gives one environment per group; without GROUP BY there is one group even for no rows. */
  collect(plan: FromPlan, env: Env): Env[] {
    const groups = new Map<string, { readonly env: Env; readonly states: readonly Accumulator[] }>();
    const start = (): { readonly env: Env; readonly states: readonly Accumulator[] } => ({
      env: { rows: [...env.rows], refs: [], parent: env.parent, slots: [] },
      states: this.aggregates.map(({ spec }) => spec.start()),
    });
    const keyOf = this.keys.map(({ compiled }) => sortKeyOf(compiled.type));
    plan.iterate(env, () => {
      const values = this.keys.map(({ compiled }) => compiled.run(env));
      const text = values.map((value, position) => hashText(keyOf[position]?.(value) ?? null)).join('\u0001');
      let group = groups.get(text);
      if (group === undefined) {
        group = start();
        this.keys.forEach(({ slot }, position) => {
          if (group !== undefined) group.env.slots[slot] = values[position] ?? null;
        });
        groups.set(text, group);
      }
      for (const state of group.states) state.add(env);
      return false;
    });
    if (groups.size === 0 && this.keys.length === 0) groups.set('', start());
    return [...groups.values()].map(({ env: groupEnv, states }) => {
      this.aggregates.forEach(({ slot }, position) => {
        groupEnv.slots[slot] = states[position]?.result() ?? null;
      });
      return groupEnv;
    });
  }
}

/** ORDER BY as columns of the first source, when an index could serve it. */
function wantedOrder(core: SelectCore, query: Query, scope: Scope): readonly WantedOrder[] {
  const named = core.items.map((item) => ({ name: item.alias ?? '', expression: item.expression }));
  const order: WantedOrder[] = [];
  for (const { expression, descending } of query.orderBy) {
    const alias =
      expression.kind === 'column' && expression.parts.length === 1
        ? named.find(({ name }) => name.toLowerCase() === expression.parts[0]?.toLowerCase())
        : undefined;
    const meant = alias?.expression ?? expression;
    if (meant.kind !== 'column') return [];
    const found = scope.find(meant.parts);
    if (found?.depth !== 0 || found.source !== 0) return [];
    order.push({ ordinal: found.ordinal, descending });
  }
  return order;
}

function targetOf(plan: FromPlan, core: SelectCore, items: readonly Item[], scope: Scope): QueryTarget {
  const [source] = plan.sources;
  if (source?.table === undefined || plan.sources.length !== 1)
    throw outsideSubset('changing rows through a query over several tables', core.line);
  if (core.distinct || core.groupBy.length > 0)
    throw outsideSubset('changing rows through DISTINCT or GROUP BY', core.line);
  const ordinals = items.map(({ expression }) => {
    const found = expression.kind === 'column' ? scope.find(expression.parts) : undefined;
    return found?.depth === 0 ? found.ordinal : -1;
  });
  return { table: source.table, ordinals, skipLocked: source.mode?.skipLocked === true };
}

interface Assigner {
  readonly position: number;
  readonly assign: (value: Value) => void;
}

function assigners(items: readonly Item[], compiled: readonly Compiled[], scope: Scope): Assigner[] {
  const named = items.filter(({ variable }) => variable !== undefined).length;
  if (named === 0) return [];
  if (named !== items.length)
    throw new SqlError(
      141,
      'A SELECT statement that assigns a value to a variable must not be combined with data-retrieval operations.',
      15,
    );
  return items.map(({ variable = '' }, position) => {
    const target = scope.context.variables.get(variable.toLowerCase());
    if (target === undefined) throw new SqlError(137, `Must declare the scalar variable "${variable}".`, 15, 1);
    const convert = storing(
      compiled[position]?.type ?? target.type,
      { ...target.type, ...(target.type.length > 0 ? { length: -1 } : {}) },
      () => new SqlError(8152, 'String or binary data would be truncated.'),
    );
    const cut = storing(
      target.type,
      target.type,
      () => new SqlError(8152, 'String or binary data would be truncated.'),
    );
    return {
      position,
      assign: (value) => {
        target.value = cutTo(cut(convert(value)), target.type);
      },
    };
  });
}

/** Variables cut silently where columns refuse. */
function cutTo(value: Value, type: SqlType): Value {
  if (type.length <= 0) return value;
  if (typeof value === 'string' && value.length > type.length && !type.name.includes('identifier'))
    return value.slice(0, type.length);
  return value instanceof Uint8Array && value.length > type.length ? value.subarray(0, type.length) : value;
}

interface Ordering {
  readonly descending: readonly boolean[];
  readonly keys: readonly ((env: Env, values: readonly Value[]) => SortKey)[];
}

function compileOrdering(
  query: Query,
  core: SelectCore,
  items: readonly Item[],
  compiled: readonly Compiled[],
  scope: Scope,
): Ordering {
  const keys = query.orderBy.map(({ expression }) => {
    const aliases = items.map(({ name, expression: meant }, position) => ({
      name: core.items[position]?.alias !== undefined || meant.kind === 'column' ? name : '',
    }));
    const position = positionOf(expression, aliases);
    if (position !== undefined) {
      const key = sortKeyOf(compiled[position]?.type ?? { name: 'int', length: 0, precision: 10, scale: 0 });
      return (_: Env, values: readonly Value[]) => key(values[position] ?? null);
    }
    const value = compileExpression(expression, scope);
    const key = sortKeyOf(value.type);
    return (env: Env) => key(value.run(env));
  });
  return { descending: query.orderBy.map(({ descending }) => descending), keys };
}

/** Compiles SELECT … with its ORDER BY and cut. */
export function compileSelect(core: SelectCore, query: Query, outer: Scope, options: QueryOptions): CompiledQuery {
  const scope = new Scope(outer.context, outer);
  const wantsFirst = core.top !== undefined || query.fetch !== undefined;
  const aggregated = (expression: Expression): boolean =>
    someExpression(expression, (node) => node.kind === 'call' && node.over === undefined && isAggregate(node.name));
  const grouped =
    core.groupBy.length > 0 ||
    core.having !== undefined ||
    core.items.some(({ expression }) => aggregated(expression)) ||
    query.orderBy.some(({ expression }) => aggregated(expression));
  const plan = planFrom(core.from, conjuncts(core.where), scope, {
    order: () => (grouped || core.distinct ? [] : wantedOrder(core, query, scope)),
    wantsFirst,
    ...(options.asTarget === true && core.from !== undefined ? { target: core.from } : {}),
  });

  let slots = 0;
  const nextSlot = (): number => slots++;
  const windows: WindowFunction[] = [];
  const groups = grouped ? new Groups(core.groupBy, scope, nextSlot) : undefined;
  scope.window = (call) => {
    const slot = nextSlot();
    const window = compileWindow(call as ExpressionOf<'call'>, slot, scope);
    windows.push(window);
    return { slot, type: window.type };
  };
  const items = expandItems(core.items, scope);
  const compiled = items.map(({ expression }) => compileExpression(expression, scope));
  const ordering = compileOrdering(query, core, items, compiled, scope);
  scope.window = undefined;
  const having: Predicate | undefined = core.having === undefined ? undefined : compilePredicate(core.having, scope);
  const columns = describe(items, compiled, scope, grouped);
  const assign = assigners(items, compiled, scope);
  const cut = compileCut(query, core.top, outer);
  const target = options.asTarget === true ? targetOf(plan, core, items, scope) : undefined;
  const sorted = query.orderBy.length === 0 || (plan.ordered && windows.length === 0 && !grouped && !core.distinct);
  const { transaction } = scope.context;
  const keepRefs = target !== undefined || plan.locks.length > 0;
  const distinctKeys = compiled.map(({ type }) => sortKeyOf(type));

  const project = (env: Env): Pending => {
    const values: Value[] = [];
    for (const { run } of compiled) values.push(run(env));
    for (const { position, assign: set } of assign) set(values[position] ?? null);
    const refs: (Row | undefined)[] = keepRefs ? [...env.refs] : [];
    return { values, keys: ordering.keys.map((key) => key(env, values)), refs };
  };

  const collect = (env: Env, limit: number): Pending[] => {
    if (groups !== undefined || windows.length > 0) {
      let rows: Env[] = [];
      if (groups !== undefined) rows = groups.collect(plan, env);
      else {
        plan.iterate(env, () => {
          rows.push({ rows: [...env.rows], refs: [...env.refs], parent: env.parent, slots: [] });
          return false;
        });
      }
      if (having !== undefined) rows = rows.filter((row) => having(row) === true);
      for (const window of windows) window.compute(rows);
      return rows.map(project);
    }
    const found: Pending[] = [];
    if (limit <= 0) return found;
    plan.iterate(env, () => {
      found.push(project(env));
      return found.length >= limit;
    });
    return found;
  };

  const run = (parent: Env, wanted = Number.POSITIVE_INFINITY): readonly ResultRow[] => {
    const limits = cut(parent);
    const stop =
      sorted && !core.distinct && !limits.percent && !limits.ties
        ? Math.min(limits.skip + limits.take, wanted + limits.skip)
        : Number.POSITIVE_INFINITY;
    let rows = collect({ rows: [], refs: [], parent, slots: [] }, stop);
    if (core.distinct) rows = distinct(rows, distinctKeys);
    if (!sorted) sortPending(rows, [...ordering.descending]);
    const kept = applyCut(rows, limits);
    for (const { source, mode } of plan.locks) {
      for (const { refs } of kept) {
        const ref = refs[source];
        if (ref !== undefined) acquire(ref, transaction, mode);
      }
    }
    if (assign.length > 0 && (!sorted || kept.length < rows.length))
      for (const { values } of kept) for (const { position, assign: set } of assign) set(values[position] ?? null);
    return kept.map(({ values, refs }) => ({ values, ref: refs[0] }));
  };
  return { columns, correlated: scope.usesOuter, run, ...(target === undefined ? {} : { target }) };
}

function describe(items: readonly Item[], compiled: readonly Compiled[], scope: Scope, grouped: boolean): ColumnInfo[] {
  return items.map(({ name, expression }, position) => {
    const type = compiled[position]?.type ?? { name: 'int', length: 0, precision: 10, scale: 0 };
    const found = !grouped && expression.kind === 'column' ? scope.find(expression.parts) : undefined;
    const flags =
      found?.depth === 0 ? { nullable: found.column.nullable ?? true, identity: found.column.identity ?? false } : {};
    return { name, type, ...flags };
  });
}

function distinct(rows: readonly Pending[], keys: readonly ((value: Value) => SortKey)[]): Pending[] {
  const seen = new Set<string>();
  return rows.filter(({ values }) => {
    const text = values.map((value, position) => hashText(keys[position]?.(value) ?? null)).join('\u0001');
    if (seen.has(text)) return false;
    seen.add(text);
    return true;
  });
}
