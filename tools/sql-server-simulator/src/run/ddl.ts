import { createHash } from 'node:crypto';
import type { ColumnDefinition, ObjectName, Statement, StatementOf, TableConstraint } from '../sql/ast.ts';
import { acquire } from '../engine/locks.ts';
import { type CheckSpec, type Column, type ForeignSpec, Index, type IndexSpec, Table } from '../engine/table.ts';
import type { Transaction } from '../engine/transaction.ts';
import { checkKeys, deleteRow, updateRow } from '../engine/write.ts';
import { dateText, splitTicks, timeText } from '../types/datetime.ts';
import { outsideSubset, SqlError } from '../types/sql-error.ts';
import { family, types, type Value } from '../types/sql-type.ts';
import { checkParents, compileChecks } from './constraints.ts';
import { type Context, emptyEnv } from './context.ts';
import { compileExpression, compilePredicate } from './expression.ts';
import { compileFilter } from './filter.ts';
import { columnsOf, nameText, requireTable } from './from.ts';
import { as } from './function-kit.ts';
import { Scope } from './scope.ts';

/** Name that the server would make up: stable here, so that two runs of a script agree. */
function generatedName(prefix: string, table: string, part: string): string {
  const hash = createHash('sha256').update(`${table}.${part}`).digest('hex').slice(0, 8).toUpperCase();
  return `${prefix}__${table.replace(/[^\w]/g, '').slice(0, 9)}__${hash}`;
}

function stampNow(context: Context): string {
  const { day, time } = splitTicks(context.now);
  return `${dateText(day)}T${timeText(time, 3)}`;
}

interface Parts {
  readonly columns: Column[];
  readonly indexes: IndexSpec[];
  readonly checks: CheckSpec[];
  readonly foreign: Extract<TableConstraint, { kind: 'foreign' }>[];
}

function findColumn(columns: readonly Column[], name: string): number {
  const at = columns.findIndex((column) => column.name.toLowerCase() === name.toLowerCase());
  if (at === -1) throw new SqlError(1911, `Column name '${name}' does not exist in the target table or view.`);
  return at;
}

/** Sorts definitions into columns, indexes, checks and foreign keys, on top of what the table has. */
function assemble(
  tableName: string,
  definitions: readonly ColumnDefinition[],
  constraints: readonly TableConstraint[],
  present: readonly Column[],
): Parts {
  const columns: Column[] = [...present];
  for (const definition of definitions) {
    const { name, type, identity } = definition;
    if (columns.some((column) => column.name.toLowerCase() === name.toLowerCase())) {
      throw new SqlError(
        2705,
        `Column names in each table must be unique. Column name '${name}' in table '${tableName}' is specified more than once.`,
      );
    }
    if (identity !== undefined && family(type) !== 'integer' && !(type.name === 'decimal' && type.scale === 0)) {
      throw new SqlError(
        2749,
        `Identity column '${name}' must be of data type int, bigint, smallint, tinyint, or decimal or numeric with a scale of 0, unencrypted, and constrained to be nonnullable.`,
      );
    }
    columns.push({
      name,
      type,
      nullable: definition.nullable ?? (identity === undefined && type.name !== 'rowversion'),
      identity:
        identity === undefined ? undefined : { seed: BigInt(identity.seed), increment: BigInt(identity.increment) },
      default:
        definition.default === undefined
          ? undefined
          : { ...definition.default, name: definition.default.name ?? generatedName('DF', tableName, name) },
    });
  }
  const parts: Parts = { columns, indexes: [], checks: [], foreign: [] };
  for (const constraint of constraints) addConstraint(tableName, constraint, parts);
  return parts;
}

function addConstraint(tableName: string, constraint: TableConstraint, parts: Parts): void {
  const { columns } = parts;
  switch (constraint.kind) {
    case 'key': {
      const label = constraint.columns.map(({ name }) => name).join(',');
      for (const { name } of constraint.columns) {
        const at = findColumn(columns, name);
        const column = columns[at];
        if (constraint.primary && column !== undefined) columns[at] = { ...column, nullable: false };
      }
      parts.indexes.push({
        name: constraint.name ?? generatedName(constraint.primary ? 'PK' : 'UQ', tableName, label),
        kind: constraint.primary ? 'primary' : 'unique',
        unique: true,
        columns: constraint.columns,
        include: [],
        filter: undefined,
      });
      return;
    }
    case 'index':
      parts.indexes.push(indexSpec(constraint.index, columns));
      return;
    case 'check':
      parts.checks.push({
        name: constraint.name ?? generatedName('CK', tableName, constraint.text),
        text: constraint.text,
        expression: constraint.expression,
        column: constraint.column,
      });
      return;
    case 'foreign':
      parts.foreign.push({
        ...constraint,
        name: constraint.name ?? generatedName('FK', tableName, constraint.columns.join(',')),
      });
      return;
    case 'default': {
      const at = findColumn(columns, constraint.column);
      const column = columns[at];
      if (column !== undefined)
        columns[at] = {
          ...column,
          default: {
            name: constraint.name ?? generatedName('DF', tableName, constraint.column),
            text: constraint.text,
            expression: constraint.expression,
          },
        };
    }
  }
}

function indexSpec(index: StatementOf<'createIndex'>['index'], columns: readonly Column[]): IndexSpec {
  for (const { name } of index.columns) findColumn(columns, name);
  for (const name of index.include) findColumn(columns, name);
  return {
    name: index.name,
    kind: 'index',
    unique: index.unique,
    columns: index.columns,
    include: index.include,
    filter: index.where,
  };
}

function resolveForeign(foreign: Parts['foreign'][number], table: Table, context: Context): ForeignSpec {
  const target =
    foreign.target.name.toLowerCase() === table.name.toLowerCase() &&
    (foreign.target.schema ?? 'dbo').toLowerCase() === table.schema.toLowerCase()
      ? table
      : requireTable(foreign.target, context);
  const targetColumns =
    foreign.targetColumns.length > 0
      ? foreign.targetColumns
      : (target.primary?.spec.columns.map(({ name }) => name) ?? []);
  const wanted = targetColumns
    .map((name) => name.toLowerCase())
    .sort()
    .join();
  const unique = target.indexes.some(
    ({ spec }) =>
      spec.unique &&
      spec.columns
        .map(({ name }) => name.toLowerCase())
        .sort()
        .join() === wanted,
  );
  if (!unique || targetColumns.length !== foreign.columns.length) {
    throw new SqlError(
      1776,
      `There are no primary or candidate keys in the referenced table '${nameText(foreign.target)}' that match the referencing column list in the foreign key '${foreign.name ?? ''}'.`,
    );
  }
  for (const name of foreign.columns) findColumn(table.columns, name);
  return { name: foreign.name ?? '', columns: foreign.columns, targetId: target.id, targetColumns };
}

/** Compiles defaults and checks once, so that a bad one fails where it is declared. */
function validate(table: Table, context: Context): void {
  const scope = new Scope(context);
  scope.sources.push({ alias: table.name, columns: columnsOf(table) });
  for (const check of table.checks) compilePredicate(check.expression, scope);
  for (const column of table.columns)
    if (column.default !== undefined) compileExpression(column.default.expression, new Scope(context));
  const names = new Set<string>();
  for (const { spec } of table.indexes) {
    const lower = spec.name.toLowerCase();
    if (names.has(lower))
      throw new SqlError(
        1913,
        `The operation failed because an index or statistics with name '${spec.name}' already exists on table '${table.qualifiedName}'.`,
      );
    names.add(lower);
  }
  if (table.indexes.filter(({ spec }) => spec.kind === 'primary').length > 1)
    throw new SqlError(8110, `Cannot add multiple PRIMARY KEY constraints to table '${table.qualifiedName}'.`);
  if (table.columns.filter(({ type }) => type.name === 'rowversion').length > 1) {
    throw new SqlError(
      2738,
      `A table can only have one timestamp column. Because table '${table.name}' already has one, the second cannot be added.`,
    );
  }
}

/** Builds a table that is not in the catalog: a table variable, a #temp table or one that createTable will register. */
export function buildTable(
  id: number,
  schema: string,
  name: string,
  definitions: readonly ColumnDefinition[],
  constraints: readonly TableConstraint[],
  durable: boolean,
  context: Context,
): Table {
  if (definitions.length === 0) throw new SqlError(102, `Incorrect syntax near ')'.`, 15);
  const parts = assemble(name, definitions, constraints, []);
  const table = new Table({ id, schema, name, columns: parts.columns, durable }, stampNow(context));
  table.indexes = parts.indexes.map((spec) => new Index(spec, table.columns, compileFilter(table, spec)));
  table.checks = parts.checks;
  table.foreignKeys = parts.foreign.map((foreign) => resolveForeign(foreign, table, context));
  validate(table, context);
  return table;
}

/** Registers a new table; a rollback takes it out again. */
export function register(table: Table, context: Context, tempTables: Map<string, Table>): void {
  const { transaction, database } = context;
  const temporary = table.name.startsWith('#');
  const registry = temporary ? tempTables : database.tables;
  const key = temporary ? table.name.toLowerCase() : table.qualifiedName.toLowerCase();
  if (registry.has(key))
    throw new SqlError(2714, `There is already an object named '${table.name}' in the database.`, 16, 6);
  registry.set(key, table);
  transaction.changedSchema(() => registry.delete(key), !temporary);
  acquire(table, transaction, 'X');
}

export function nextObjectId(context: Context): number {
  return context.database.nextObjectId++;
}

export function createTable(
  statement: StatementOf<'createTable'>,
  context: Context,
  tempTables: Map<string, Table>,
): void {
  const { name } = statement;
  const temporary = name.name.startsWith('#');
  const schema = context.database.schemas.get((name.schema ?? 'dbo').toLowerCase());
  if (schema === undefined)
    throw new SqlError(
      2760,
      `The specified schema name "${name.schema ?? ''}" either does not exist or you do not have permission to use it.`,
    );
  if (!temporary && context.database.table(schema.name, name.name) !== undefined)
    throw new SqlError(2714, `There is already an object named '${name.name}' in the database.`, 16, 6);
  register(
    buildTable(
      nextObjectId(context),
      schema.name,
      name.name,
      statement.columns,
      statement.constraints,
      !temporary,
      context,
    ),
    context,
    tempTables,
  );
}

export function createSchema(name: string, context: Context): void {
  const { database, transaction } = context;
  const key = name.toLowerCase();
  if (database.schemas.has(key))
    throw new SqlError(2714, `There is already an object named '${name}' in the database.`, 16, 6);
  database.schemas.set(key, { id: 4 + Math.max(0, ...[...database.schemas.values()].map(({ id }) => id)), name });
  transaction.changedSchema(() => database.schemas.delete(key), true);
}

function addIndex(table: Table, spec: IndexSpec, context: Context): void {
  const index = new Index(spec, table.columns, compileFilter(table, spec));
  const before = table.indexes;
  table.indexes = [...before, index];
  context.transaction.changedSchema(() => {
    table.indexes = before;
  }, table.durable);
  table.fill(index);
  if (spec.unique) for (const row of table.rows.values()) checkKeys(table, row, context.transaction);
}

export function createIndex(statement: StatementOf<'createIndex'>, context: Context): void {
  const table = requireTable(statement.table, context);
  acquire(table, context.transaction, 'X');
  if (table.indexes.some(({ spec }) => spec.name.toLowerCase() === statement.index.name.toLowerCase())) {
    throw new SqlError(
      1913,
      `The operation failed because an index or statistics with name '${statement.index.name}' already exists on table '${table.qualifiedName}'.`,
    );
  }
  addIndex(table, indexSpec(statement.index, table.columns), context);
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

export function dropTable(
  names: readonly ObjectName[],
  ifExists: boolean,
  context: Context,
  tempTables: Map<string, Table>,
): void {
  for (const name of names) {
    const temporary = name.name.startsWith('#');
    const table = temporary
      ? tempTables.get(name.name.toLowerCase())
      : context.database.table(name.schema ?? 'dbo', name.name);
    if (table === undefined) {
      if (ifExists) continue;
      throw new SqlError(
        3701,
        `Cannot drop the table '${nameText(name)}', because it does not exist or you do not have permission.`,
        11,
        5,
      );
    }
    acquire(table, context.transaction, 'X');
    for (const other of context.database.tables.values()) {
      if (other !== table && other.foreignKeys.some(({ targetId }) => targetId === table.id)) {
        throw new SqlError(
          3726,
          `Could not drop object '${nameText(name)}' because it is referenced by a FOREIGN KEY constraint.`,
        );
      }
    }
    const registry = temporary ? tempTables : context.database.tables;
    const key = temporary ? name.name.toLowerCase() : table.qualifiedName.toLowerCase();
    registry.delete(key);
    context.transaction.changedSchema(() => registry.set(key, table), table.durable);
  }
}

/** The schema statements without special needs; gives false for every other statement. */
export function runDdl(statement: Statement, context: Context, tempTables: Map<string, Table>): boolean {
  const { database, transaction } = context;
  switch (statement.kind) {
    case 'createSchema':
      createSchema(statement.name, context);
      return true;
    case 'createTable':
      createTable(statement, context, tempTables);
      return true;
    case 'createIndex':
      createIndex(statement, context);
      return true;
    case 'alterTable':
      alterTable(statement, context);
      return true;
    case 'dropTable':
      dropTable(statement.names, statement.ifExists, context, tempTables);
      return true;
    case 'dropIndex': {
      const table = requireTable(statement.table, context);
      acquire(table, transaction, 'X');
      const before = table.indexes;
      table.indexes = before.filter(
        ({ spec }) => spec.kind !== 'index' || spec.name.toLowerCase() !== statement.index.toLowerCase(),
      );
      if (table.indexes.length === before.length && !statement.ifExists) {
        throw new SqlError(
          3701,
          `Cannot drop the index '${nameText(statement.table)}.${statement.index}', because it does not exist or you do not have permission.`,
          11,
          7,
        );
      }
      transaction.changedSchema(() => {
        table.indexes = before;
        for (const index of before) table.fill(index);
      }, table.durable);
      return true;
    }
    case 'dropSchema': {
      const key = statement.name.toLowerCase();
      const schema = database.schemas.get(key);
      if (schema === undefined) {
        if (statement.ifExists) return true;
        throw new SqlError(
          15151,
          `Cannot drop the schema '${statement.name}', because it does not exist or you do not have permission.`,
        );
      }
      if ([...database.tables.values()].some((table) => table.schema.toLowerCase() === key))
        throw new SqlError(
          3729,
          `Cannot DROP SCHEMA '${statement.name}' because it is being referenced by another object.`,
        );
      database.schemas.delete(key);
      transaction.changedSchema(() => database.schemas.set(key, schema), true);
      return true;
    }
    case 'truncate':
      truncate(statement, context);
      return true;
    default:
      return false;
  }
}

function truncate(statement: StatementOf<'truncate'>, context: Context): void {
  const table = requireTable(statement.table, context);
  acquire(table, context.transaction, 'X');
  for (const other of context.database.tables.values()) {
    if (other !== table && other.foreignKeys.some(({ targetId }) => targetId === table.id)) {
      throw new SqlError(
        4712,
        `Cannot truncate table '${nameText(statement.table)}' because it is being referenced by a FOREIGN KEY constraint.`,
      );
    }
  }
  for (const row of [...table.rows.values()]) {
    acquire(row, context.transaction, 'X');
    if (row.current !== null) deleteRow(table, row, context.transaction);
  }
  const last = table.lastIdentity;
  table.lastIdentity = undefined;
  context.transaction.changedSchema(() => {
    table.lastIdentity = last;
  }, table.durable);
}

export { types };
