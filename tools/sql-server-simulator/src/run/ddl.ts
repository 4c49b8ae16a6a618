import { addIndex, alterTable } from './alter-table.ts';
import { buildTable, indexSpec } from './table-builder.ts';
import type { ObjectName, Statement, StatementOf } from '../sql/ast.ts';
import { acquire } from '../engine/locks.ts';
import type { Table } from '../engine/table.ts';
import { deleteRow } from '../engine/write.ts';
import { SqlError } from '../types/sql-error.ts';
import { type Context } from './context.ts';
import { requireTable, nameText } from './bind.ts';

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
  context.transaction.truncated(table);
  const last = table.lastIdentity;
  table.lastIdentity = undefined;
  context.transaction.changedSchema(() => {
    table.lastIdentity = last;
  }, table.durable);
}
