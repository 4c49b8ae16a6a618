import type { CommonTable, ObjectName, TableSource } from '../sql/ast.ts';
import type { Row, Values } from '../engine/row.ts';
import type { Table } from '../engine/table.ts';
import { outsideSubset, SqlError } from '../types/sql-error.ts';
import { valueText } from '../types/sql-type.ts';
import { type WantedOrder } from './access-path.ts';
import { type Context, type Env, emptyEnv } from './context.ts';
import { compileExpression } from './expression.ts';
import { as } from './function-kit.ts';
import { changeTable } from './change-table.ts';
import { openJson } from './open-json.ts';
import { compileQuery } from './query.ts';
import { type ReadMode, readMode } from './read-mode.ts';
import { type ColumnInfo, Scope } from './scope.ts';
import { systemView } from './system-views.ts';
import { converter } from '../types/convert.ts';
import { commonType } from '../types/sql-type.ts';

export type Lister = (env: Env, take: (values: Values, ref: Row | undefined) => boolean) => boolean;

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

export interface FromOptions {
  /** Asked for once the sources are bound. */
  readonly order: () => readonly WantedOrder[];
  readonly wantsFirst: boolean;
  /** AST node of the table that the statement changes. */
  readonly target?: TableSource;
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

/** Binds the table references of a FROM clause, from left to right, as sources of a scope. */
export class Binder {
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
      case 'changes': {
        const { columns, list } = changeTable(node, compileExpression(node.since, this.scope), context);
        this.add(node, node.alias, columns, { lateral: false, list });
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
      return value !== null && value.split(valueText(separator.run(env))).some((part) => take([part], undefined));
    };
    this.add(
      node,
      node.alias ?? 'STRING_SPLIT',
      [{ name: 'value', type: { name: 'nvarchar', length: -1, precision: 0, scale: 0 } }],
      { lateral: true, list },
    );
  }
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
