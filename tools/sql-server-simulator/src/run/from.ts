import type { CommonTable, Expression, ObjectName, TableSource } from '../sql/ast.ts';
import type { Row, Values } from '../engine/row.ts';
import type { Table } from '../engine/table.ts';
import { outsideSubset, SqlError } from '../types/sql-error.ts';
import type { Value } from '../types/sql-type.ts';
import {
  chooseAccess,
  type Conjunct,
  conjunctOf,
  type Restriction,
  restrictionsOf,
  type WantedOrder,
} from './access-path.ts';
import { comparisonKeys } from './compare.ts';
import { type Compiled, type Context, emptyEnv, type Env } from './context.ts';
import { compileExpression, conjuncts } from './expression.ts';
import { as } from './function-kit.ts';
import { filteredLeaf, hashedLeaf, type HashJoin, type Iterate, scanTable } from './leaf.ts';
import { openJson } from './open-json.ts';
import { compileQuery } from './query.ts';
import { type ReadMode, readMode } from './read-mode.ts';
import { type ColumnInfo, Scope } from './scope.ts';
import { systemView } from './system-views.ts';
import { converter } from '../types/convert.ts';
import { commonType } from '../types/sql-type.ts';

type Lister = (env: Env, take: (values: Values, ref: Row | undefined) => boolean) => boolean;

/** A table reference of the FROM clause, ready to be joined. */
export interface Source {
  readonly index: number;
  readonly columns: readonly ColumnInfo[];
  readonly table?: Table;
  readonly mode?: ReadMode;
  /** Lists rows of sources that are no tables. */
  readonly list?: Lister;
  /** Set for a CTE through which rows are changed. */
  readonly target?: NonNullable<ReturnType<typeof compileQuery>['target']>;
  readonly node: TableSource;
  /** Reads other sources of the same FROM (APPLY, OPENJSON over a column). */
  readonly lateral: boolean;
}

export interface FromPlan {
  readonly iterate: Iterate;
  /** The rows come in the wanted order already. */
  readonly ordered: boolean;
  /** Sources whose result rows must be locked, with the mode. */
  readonly locks: readonly { readonly source: number; readonly mode: 'S' | 'U' | 'X' }[];
  readonly sources: readonly Source[];
}

export interface FromOptions {
  /** Asked for once the sources are bound. */
  readonly order: () => readonly WantedOrder[];
  readonly wantsFirst: boolean;
  /** AST node of the table that the statement changes. */
  readonly target?: TableSource;
}

interface Node {
  readonly iterate: Iterate;
  readonly sources: ReadonlySet<number>;
  readonly ordered: boolean;
}

/** @throws SqlError 208 for a name that is neither table nor temp table; subset refusal for other databases */
export function findTable(name: ObjectName, context: Context): Table | undefined {
  const { database, session } = context;
  if (name.name.startsWith('#')) return session.tempTables.get(name.name.toLowerCase());
  if (name.database !== undefined && name.database.toLowerCase() !== database.name.toLowerCase()) {
    throw outsideSubset(`table of another database (${name.database})`, name.line);
  }
  return database.table(name.schema ?? 'dbo', name.name);
}

export function requireTable(name: ObjectName, context: Context): Table {
  const table = findTable(name, context);
  if (table === undefined) throw new SqlError(208, `Invalid object name '${nameText(name)}'.`);
  return table;
}

export function nameText(name: ObjectName): string {
  return [name.database, name.schema, name.name].filter((part) => part !== undefined).join('.');
}

export function columnsOf(table: Table): readonly ColumnInfo[] {
  return table.columns.map(({ name, type, nullable, identity }) => ({
    name,
    type,
    nullable,
    identity: identity !== undefined,
  }));
}

class Planner {
  readonly scope: Scope;
  readonly options: FromOptions;
  readonly sources: Source[] = [];
  readonly bySource = new Map<TableSource, Source>();

  constructor(scope: Scope, options: FromOptions) {
    this.scope = scope;
    this.options = options;
  }

  add(
    node: TableSource,
    alias: string,
    columns: readonly ColumnInfo[],
    rest: Omit<Source, 'index' | 'columns' | 'node'>,
    schema?: string,
  ): void {
    const lower = alias.toLowerCase();
    if (
      alias !== '' &&
      this.scope.sources.some((source) => source.alias.toLowerCase() === lower && source.schema === schema)
    ) {
      throw new SqlError(
        1013,
        `The objects or correlation names "${alias}" and "${alias}" in the FROM clause have the same exposed names. Use correlation names to distinguish them.`,
      );
    }
    const source = { ...rest, node, index: this.scope.sources.length, columns };
    this.scope.sources.push({ alias, columns, ...(schema === undefined ? {} : { schema }) });
    this.sources.push(source);
    this.bySource.set(node, source);
  }

  /** Registers all sources from left to right, so that conditions can be bound. */
  bind(node: TableSource, lateral: boolean): void {
    const { context } = this.scope;
    switch (node.kind) {
      case 'join':
        this.bind(node.left, lateral);
        this.bind(node.right, lateral || node.type === 'crossApply' || node.type === 'outerApply');
        return;
      case 'table':
        this.bindTable(node);
        return;
      case 'tableVariable': {
        const table = context.tableVariables.get(node.name.toLowerCase());
        if (table === undefined) throw new SqlError(1087, `Must declare the table variable "${node.name}".`, 15, 2);
        const mode = readMode(table, [], context, this.options.target === node);
        this.add(node, node.alias ?? node.name, columnsOf(table), { table, mode, lateral: false });
        return;
      }
      case 'derived': {
        const inner = compileQuery(
          node.query,
          lateral ? this.scope : new Scope(context, this.scope.parent, this.scope.commonTables),
        );
        this.bindQuery(node, node.alias, inner, node.columns, lateral);
        return;
      }
      case 'values':
        this.bindValues(node);
        return;
      case 'openJson': {
        const json = compileExpression(node.json, this.scope);
        const path = node.path === undefined ? undefined : compileExpression(node.path, this.scope);
        const { columns, list } = openJson(json, path, node.columns);
        this.add(node, node.alias ?? 'OPENJSON', columns, { lateral: true, list });
        return;
      }
      case 'function':
        this.bindFunction(node);
    }
  }

  bindTable(node: Extract<TableSource, { kind: 'table' }>): void {
    const { context, commonTables } = this.scope;
    const { name, hints } = node;
    const common = name.schema === undefined ? commonTables.get(name.name.toLowerCase()) : undefined;
    if (common !== undefined) {
      this.bindQuery(
        node,
        node.alias ?? name.name,
        compileCommonTable(common, this.scope, this.options.target === node),
        common.columns,
        false,
      );
      return;
    }
    const view = findTable(name, context) === undefined ? systemView(name, context) : undefined;
    if (view !== undefined) {
      const rows = view.rows();
      this.add(
        node,
        node.alias ?? name.name,
        view.columns,
        { lateral: false, list: (_, take) => rows.some((values) => take(values, undefined)) },
        name.schema,
      );
      return;
    }
    const table = requireTable(name, context);
    const mode = readMode(table, hints, context, this.options.target === node);
    this.add(
      node,
      node.alias ?? name.name,
      columnsOf(table),
      { table, mode, lateral: false },
      node.alias === undefined ? name.schema : undefined,
    );
  }

  bindQuery(
    node: TableSource,
    alias: string,
    inner: ReturnType<typeof compileQuery>,
    names: readonly string[] | undefined,
    lateral: boolean,
  ): void {
    if (names !== undefined && names.length !== inner.columns.length)
      throw new SqlError(8158, `'${alias}' has more columns than were specified in the column list.`);
    const columns = inner.columns.map((column, position) => ({ ...column, name: names?.[position] ?? column.name }));
    const unnamed = columns.findIndex(({ name }) => name === '');
    if (unnamed !== -1)
      throw new SqlError(8155, `No column name was specified for column ${unnamed + 1} of '${alias}'.`);
    let known: ReturnType<typeof inner.run> | undefined;
    const correlated = lateral || inner.correlated;
    this.add(node, alias, columns, {
      lateral,
      ...(inner.target === undefined ? {} : { target: inner.target }),
      list: (env, take) => {
        const records = known ?? inner.run(lateral ? env : { ...emptyEnv, parent: env.parent });
        if (!correlated) known = records;
        return records.some(({ values, ref }) => take(values, ref));
      },
    });
  }

  bindValues(node: Extract<TableSource, { kind: 'values' }>): void {
    const rows = node.rows.map((row) => row.map((expression) => compileExpression(expression, this.scope)));
    if (rows.some((row) => row.length !== node.columns.length))
      throw new SqlError(10709, 'The number of columns for each row in a table value constructor must be the same.');
    const types = node.columns.map((_, position) =>
      rows
        .map((row) => row[position]?.type)
        .filter((type) => type !== undefined)
        .reduce(commonType),
    );
    const readers = rows.map((row) => row.map((cell, position) => as(cell, types[position] ?? cell.type)));
    const columns = node.columns.map((name, position) => ({
      name,
      type: types[position] ?? { name: 'int', length: 0, precision: 10, scale: 0 },
    })) satisfies readonly ColumnInfo[];
    this.add(node, node.alias, columns, {
      lateral: true,
      list: (env, take) =>
        readers.some((row) =>
          take(
            row.map((read) => read(env)),
            undefined,
          ),
        ),
    });
  }

  bindFunction(node: Extract<TableSource, { kind: 'function' }>): void {
    const [text, separator] = node.args.map((arg) => compileExpression(arg, this.scope));
    if (node.name !== 'STRING_SPLIT' || text === undefined || separator === undefined)
      throw outsideSubset(`table-valued function ${node.name}`, node.line);
    const convert = converter(text.type, { name: 'nvarchar', length: -1, precision: 0, scale: 0 });
    const list: Lister = (env, take) => {
      const value = convert(text.run(env)) as string | null;
      return value !== null && value.split(String(separator.run(env))).some((part) => take([part], undefined));
    };
    this.add(
      node,
      node.alias ?? 'STRING_SPLIT',
      [{ name: 'value', type: { name: 'nvarchar', length: -1, precision: 0, scale: 0 } }],
      { lateral: true, list },
    );
  }

  /** Conditions that can be tested once `bound` and this source are known; they are consumed here. */
  claim(usable: readonly Conjunct[], bound: ReadonlySet<number>, source: number): Conjunct[] {
    const claimed = usable.filter(
      (conjunct) =>
        !conjunct.consumed && !conjunct.late && [...conjunct.sources].every((at) => at === source || bound.has(at)),
    );
    for (const conjunct of claimed) conjunct.consumed = true;
    return claimed;
  }

  leaf(node: TableSource, usable: readonly Conjunct[], bound: ReadonlySet<number>, first: boolean): Node {
    const source = this.bySource.get(node);
    if (source === undefined) throw new Error('every source was bound');
    const { index, table, mode } = source;
    const { context } = this.scope;
    const claimed = this.claim(usable, bound, index);
    const filters = claimed.map(({ predicate }) => predicate);
    const sources = new Set([index]);
    const restrictions: Restriction[] =
      table === undefined ? [] : claimed.flatMap((conjunct) => restrictionsOf(conjunct, this.scope, index));
    const order = first && index === 0 ? this.options.order() : [];
    const path =
      table === undefined ? undefined : chooseAccess(table, claimed, restrictions, order, this.options.wantsFirst);
    const list: Lister =
      table !== undefined && mode !== undefined
        ? (env, take) => scanTable(table, mode, path, context, env, take)
        : (source.list ?? (() => false));
    const join =
      bound.size === 0 || source.lateral || (path?.fixed ?? 0) > 0 ? undefined : this.hashJoin(claimed, bound, index);
    if (join !== undefined) {
      const plain: Lister =
        table !== undefined && mode !== undefined
          ? (env, take) => scanTable(table, mode, undefined, context, env, take)
          : list;
      return { iterate: hashedLeaf(index, plain, filters, join), sources, ordered: false };
    }
    return { iterate: filteredLeaf(index, list, filters), sources, ordered: path?.ordered === true };
  }

  /** Equalities between this source and the ones bound before it, if there are any. */
  hashJoin(claimed: readonly Conjunct[], bound: ReadonlySet<number>, source: number): HashJoin | undefined {
    const inner: HashJoin['inner'][number][] = [];
    const outer: HashJoin['outer'][number][] = [];
    for (const { expression } of claimed) {
      if (expression.kind !== 'compare' || expression.operator !== '=') continue;
      const left = conjunctSources(expression.left, this.scope);
      const right = conjunctSources(expression.right, this.scope);
      const isInner = (found: ReadonlySet<number>): boolean => found.size === 1 && found.has(source);
      const isOuter = (found: ReadonlySet<number>): boolean =>
        found.size > 0 && [...found].every((at) => bound.has(at));
      const swap = isInner(right) && isOuter(left);
      if (!swap && !(isInner(left) && isOuter(right))) continue;
      const [mine, other]: [Compiled, Compiled] = [
        compileExpression(swap ? expression.right : expression.left, this.scope),
        compileExpression(swap ? expression.left : expression.right, this.scope),
      ];
      const [mineKey, otherKey] = comparisonKeys(mine, other);
      inner.push(mineKey);
      outer.push(otherKey);
    }
    if (inner.length === 0) return undefined;
    const own = claimed
      .filter(({ sources, outer: readsOuter }) => !readsOuter && sources.size === 1 && sources.has(source))
      .map(({ predicate }) => predicate);
    return { inner, outer, own };
  }

  plan(node: TableSource, usable: readonly Conjunct[], bound: ReadonlySet<number>, first: boolean): Node {
    if (node.kind !== 'join') return this.leaf(node, usable, bound, first);
    switch (node.type) {
      case 'inner':
      case 'cross':
      case 'crossApply': {
        const on = conjuncts(node.on).map((expression) => conjunctOf(expression, this.scope));
        const all = [...usable, ...on];
        const left = this.plan(node.left, all, bound, first);
        const right = this.plan(node.right, all, new Set([...bound, ...left.sources]), false);
        const residual = on.filter(({ consumed }) => !consumed).map(({ predicate }) => predicate);
        return {
          sources: new Set([...left.sources, ...right.sources]),
          ordered: left.ordered,
          iterate: (env, visit) =>
            left.iterate(env, () => right.iterate(env, () => residual.every((test) => test(env) === true) && visit())),
        };
      }
      case 'left':
      case 'outerApply':
        return this.outerJoin(node.left, node.right, node, usable, bound, first);
      case 'right':
        return this.outerJoin(node.right, node.left, node, usable, bound, false);
      case 'full':
        return this.fullJoin(node, bound);
    }
  }

  clear(env: Env, sources: ReadonlySet<number>): void {
    for (const source of sources) {
      env.rows[source] = [];
      env.refs[source] = undefined;
    }
  }

  /** The preserved side's rows all come; the other side is NULL where nothing matches. */
  outerJoin(
    preserved: TableSource,
    other: TableSource,
    node: Extract<TableSource, { kind: 'join' }>,
    usable: readonly Conjunct[],
    bound: ReadonlySet<number>,
    first: boolean,
  ): Node {
    const left = this.plan(preserved, usable, bound, first);
    const on = conjuncts(node.on).map((expression) => conjunctOf(expression, this.scope));
    const right = this.plan(other, on, new Set([...bound, ...left.sources]), false);
    const residual = on.filter(({ consumed }) => !consumed).map(({ predicate }) => predicate);
    return {
      sources: new Set([...left.sources, ...right.sources]),
      ordered: left.ordered,
      iterate: (env, visit) =>
        left.iterate(env, () => {
          let matched = false;
          const stopped = right.iterate(env, () => {
            if (!residual.every((test) => test(env) === true)) return false;
            matched = true;
            return visit();
          });
          if (matched) return stopped;
          this.clear(env, right.sources);
          return visit();
        }),
    };
  }

  fullJoin(node: Extract<TableSource, { kind: 'join' }>, bound: ReadonlySet<number>): Node {
    const left = this.plan(node.left, [], bound, false);
    const right = this.plan(node.right, [], bound, false);
    const on = conjuncts(node.on).map((expression) => conjunctOf(expression, this.scope).predicate);
    const at = [...right.sources];
    const restore = (
      env: Env,
      found: readonly { readonly values: Value[] | undefined; readonly ref: Row | undefined }[],
    ): void => {
      at.forEach((source, position) => {
        env.rows[source] = found[position]?.values ?? [];
        env.refs[source] = found[position]?.ref;
      });
    };
    const iterate: Iterate = (env, visit) => {
      const others: { readonly found: { values: Value[] | undefined; ref: Row | undefined }[]; matched: boolean }[] =
        [];
      right.iterate(env, () => {
        others.push({
          found: at.map((source) => ({ values: env.rows[source] as Value[] | undefined, ref: env.refs[source] })),
          matched: false,
        });
        return false;
      });
      const stopped = left.iterate(env, () => {
        let matched = false;
        for (const other of others) {
          restore(env, other.found);
          if (!on.every((test) => test(env) === true)) continue;
          matched = true;
          other.matched = true;
          if (visit()) return true;
        }
        if (matched) return false;
        this.clear(env, right.sources);
        return visit();
      });
      if (stopped) return true;
      this.clear(env, left.sources);
      return others.some((other) => {
        if (other.matched) return false;
        restore(env, other.found);
        return visit();
      });
    };
    return { sources: new Set([...left.sources, ...right.sources]), ordered: false, iterate };
  }
}

/** Sources whose columns an expression reads. */
function conjunctSources(expression: Expression, scope: Scope): ReadonlySet<number> {
  // IS NULL makes a condition of any value without reading more.
  return conjunctOf({ kind: 'isNull', operand: expression, negated: false, line: expression.line }, scope).sources;
}

/** A CTE sees the CTEs before it and nothing of the statement around it. */
export function compileCommonTable(
  common: CommonTable,
  scope: Scope,
  asTarget = false,
): ReturnType<typeof compileQuery> {
  const visible = new Map<string, CommonTable>();
  for (const [name, other] of scope.commonTables) {
    if (other === common) break;
    visible.set(name, other);
  }
  if (mentions(common.query, common.name))
    throw outsideSubset(`recursive common table expression ${common.name}`, common.line);
  return compileQuery(common.query, new Scope(scope.context, undefined, visible), { asTarget });
}

function mentions(query: unknown, name: string): boolean {
  const lower = name.toLowerCase();
  const visit = (node: unknown): boolean => {
    if (typeof node !== 'object' || node === null) return false;
    if (Array.isArray(node)) return node.some(visit);
    const record = node as Record<string, unknown>;
    if (record['kind'] === 'table') {
      const table = record['name'] as ObjectName;
      if (table.schema === undefined && table.name.toLowerCase() === lower) return true;
    }
    return Object.values(record).some(visit);
  };
  return visit(query);
}

/** Binds and plans a FROM clause together with the WHERE conditions, which are tested as early as their sources allow. */
export function planFrom(
  from: TableSource | undefined,
  where: ReturnType<typeof conjuncts>,
  scope: Scope,
  options: FromOptions,
): FromPlan {
  const planner = new Planner(scope, options);
  if (from !== undefined) planner.bind(from, false);
  const conditions = where.map((expression) => conjunctOf(expression, scope));
  const node: Node =
    from === undefined
      ? { iterate: (_, visit) => visit(), sources: new Set(), ordered: false }
      : planner.plan(from, conditions, new Set(), true);
  const residual = conditions.filter(({ consumed }) => !consumed).map(({ predicate }) => predicate);
  const locks = planner.sources.flatMap(({ index, mode }) =>
    mode?.lock === undefined ? [] : [{ source: index, mode: mode.lock }],
  );
  return {
    sources: planner.sources,
    ordered: node.ordered,
    locks,
    iterate:
      residual.length === 0
        ? node.iterate
        : (env, visit) => node.iterate(env, () => residual.every((test) => test(env) === true) && visit()),
  };
}
