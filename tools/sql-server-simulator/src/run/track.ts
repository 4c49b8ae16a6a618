import { acquire } from '../engine/locks.ts';
import type { StatementOf } from '../sql/ast.ts';
import { SqlError } from '../types/sql-error.ts';
import { requireTable } from './bind.ts';
import type { Context } from './context.ts';

/**
 * Switches change tracking of a database or a table on and off.
 *
 * @throws SqlError 5088, 5089, 22115 for the database; 4996, 4997, 4998 for a table
 */
export function setTracking(
  statement: StatementOf<'trackDatabase'> | StatementOf<'trackTable'>,
  context: Context,
): void {
  if (statement.kind === 'trackTable') setTableTracking(statement, context);
  else setDatabaseTracking(statement, context);
}

function setDatabaseTracking(statement: StatementOf<'trackDatabase'>, context: Context): void {
  const { database, transaction } = context;
  const { tracking } = database;
  const before = tracking.settings;
  if (!statement.on) {
    if (tracking.tables.size > 0) {
      throw new SqlError(
        22115,
        'Change tracking is enabled for one or more tables in the database. Disable change tracking on each table before disabling it for the database.',
      );
    }
    tracking.settings = undefined;
  } else {
    const isOption = statement.retention !== undefined || statement.autoCleanup !== undefined;
    if (before !== undefined && !isOption)
      throw new SqlError(5088, `Change tracking is already enabled for database '${database.name}'.`);
    tracking.settings = {
      retention: statement.retention ?? before?.retention ?? 2,
      unit: statement.unit ?? before?.unit ?? 'DAYS',
      autoCleanup: statement.autoCleanup ?? before?.autoCleanup ?? true,
    };
  }
  transaction.changedSchema(() => {
    tracking.settings = before;
  }, true);
}

function setTableTracking(statement: StatementOf<'trackTable'>, context: Context): void {
  const { database, transaction } = context;
  const { tracking } = database;
  const table = requireTable(statement.table, context);
  acquire(table, transaction, 'X');
  const before = tracking.tables.get(table.id);
  if (statement.on) {
    if (tracking.settings === undefined) {
      throw new SqlError(
        22105,
        `Change tracking is disabled for database '${database.name}'. Change tracking must be enabled on a database to enable change tracking on a table.`,
      );
    }
    if (before !== undefined)
      throw new SqlError(4996, `Change tracking is already enabled for table '${table.qualifiedName}'.`);
    if (table.primary === undefined || !table.durable) {
      throw new SqlError(
        4997,
        `Cannot enable change tracking on table '${table.qualifiedName}'. Change tracking requires a primary key on the table. Create a primary key on the table before enabling change tracking.`,
      );
    }
    tracking.enable(table);
  } else {
    if (before === undefined)
      throw new SqlError(4998, `Change tracking is not enabled on table '${table.qualifiedName}'.`);
    tracking.tables.delete(table.id);
  }
  transaction.changedSchema(() => {
    if (before === undefined) tracking.tables.delete(table.id);
    else tracking.tables.set(table.id, before);
  }, true);
}
