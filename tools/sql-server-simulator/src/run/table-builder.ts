import { createHash } from 'node:crypto';
import type { ColumnDefinition, StatementOf, TableConstraint } from '../sql/ast.ts';
import { type CheckSpec, type Column, type ForeignSpec, Index, type IndexSpec, Table } from '../engine/table.ts';
import { dateText, splitTicks, timeText } from '../types/datetime.ts';
import { SqlError } from '../types/sql-error.ts';
import { family } from '../types/sql-type.ts';
import { type Context } from './context.ts';
import { compileExpression, compilePredicate } from './expression.ts';
import { compileFilter } from './filter.ts';
import { columnsOf, requireTable, nameText } from './bind.ts';
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

export function findColumn(columns: readonly Column[], name: string): number {
  const at = columns.findIndex((column) => column.name.toLowerCase() === name.toLowerCase());
  if (at === -1) throw new SqlError(1911, `Column name '${name}' does not exist in the target table or view.`);
  return at;
}

/** Sorts definitions into columns, indexes, checks and foreign keys, on top of what the table has. */
export function assemble(
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

export function indexSpec(index: StatementOf<'createIndex'>['index'], columns: readonly Column[]): IndexSpec {
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

export function resolveForeign(foreign: Parts['foreign'][number], table: Table, context: Context): ForeignSpec {
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
export function validate(table: Table, context: Context): void {
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
