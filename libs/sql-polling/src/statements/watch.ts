import type { Statement } from '../client/statement.ts';
import type { ChangeTrackingDefinition, QueryDefinition, RowversionDefinition } from '../definition/schema.ts';
import { quoteIdentifier, quoteTable } from '../identifiers.ts';
import type { ReadConsistency } from './details.ts';
import { requestColumns } from './request-columns.ts';

/** A rowversion as text and back: 0x and 16 hex digits, which order as the versions do. */
const asText = (expression: string): string => `CONVERT(varchar(18), ${expression}, 1)`;
const asVersion = (parameter: string): string => `CONVERT(binary(8), ${parameter}, 1)`;

/** Names the database's life; a restore gives another. Every login may see it that VIEW ANY DATABASE was not taken from. */
const life = `(SELECT CONVERT(varchar(36), recovery_fork_guid) FROM sys.database_recovery_status WHERE database_id = DB_ID()) AS [life]`;

function isolated(consistency: ReadConsistency, body: string): string {
  if (consistency !== 'snapshot') return body;
  return `SET TRANSACTION ISOLATION LEVEL SNAPSHOT;
BEGIN TRANSACTION;
${body}
COMMIT TRANSACTION;
SET TRANSACTION ISOLATION LEVEL READ COMMITTED;`;
}

/**
 * Rows whose rowversion lies in [`@from`, MIN_ACTIVE_ROWVERSION()), oldest first; the bound is the first result set.
 *
 * The bound is read in a statement of its own, before the rows: a transaction that has stamped a row and is not yet
 * committed keeps it below that row, so that nothing commits behind the cursor (MIN_ACTIVE_ROWVERSION, Transact-SQL
 * reference). Without snapshot isolation a locked row in the range makes the read wait, up to the lock timeout.
 */
export function rowversionPage(definition: RowversionDefinition, consistency: ReadConsistency): Statement {
  const version = quoteIdentifier(definition.rowVersion);
  const rows = `SELECT TOP (@limit) ${asText(version)} AS [version], ${requestColumns(definition)}
FROM ${quoteTable(definition.table)}
WHERE ${version} >= ${asVersion('@from')} AND ${version} < @bound
ORDER BY ${version};`;
  return {
    name: 'rowversion-page',
    sql: `DECLARE @bound binary(8) = MIN_ACTIVE_ROWVERSION();
SELECT ${asText('@bound')} AS [bound], ${life};
${isolated(consistency, rows)}`,
    parameters: { limit: 'int', from: 'varchar(18)' },
  };
}

/** The row while it still is at that version. */
export function rowversionOwn(definition: RowversionDefinition): string {
  return `SELECT ${requestColumns(definition)} FROM ${quoteTable(definition.table)} WHERE ${quoteIdentifier(definition.rowVersion)} = ${asVersion('@version')}`;
}

/** What change tracking knows: NULL where it is off or the right is missing, which compares false with everything. */
export function changeTrackingState({ table }: ChangeTrackingDefinition): Statement {
  const id = `OBJECT_ID(N'${quoteTable(table)}')`;
  return {
    name: 'change-tracking-state',
    sql: `SELECT CONVERT(varchar(20), CHANGE_TRACKING_MIN_VALID_VERSION(${id})) AS [oldest], CONVERT(varchar(20), CHANGE_TRACKING_CURRENT_VERSION()) AS [current], ${life};`,
    parameters: {},
  };
}

/**
 * Changes after `@since`, by version and key, with the rows as they are now (none for a deleted one), and what change
 * tracking knows, all in one snapshot: without it clean-up or writes between the calls give wrong sets (Work with Change
 * Tracking, "Use snapshot isolation"). A page goes on behind (`@afterVersion`, `@afterKey`), since one transaction gives
 * all its changes one version; with NULL for `@afterKey` all of that version is done.
 */
export function changeTrackingPage(definition: ChangeTrackingDefinition): Statement {
  const key = quoteIdentifier(definition.key);
  const table = quoteTable(definition.table);
  const state = changeTrackingState(definition).sql;
  const changes = `SELECT TOP (@limit) CONVERT(varchar(20), ct.SYS_CHANGE_VERSION) AS [version], ct.SYS_CHANGE_OPERATION AS [operation], CONVERT(nvarchar(400), ct.${key}) AS [rowKey], ${requestColumns(definition, 't.')}
FROM CHANGETABLE(CHANGES ${table}, @since) AS ct LEFT JOIN ${table} AS t ON t.${key} = ct.${key}
WHERE ct.SYS_CHANGE_VERSION > @afterVersion OR (@afterKey IS NOT NULL AND ct.SYS_CHANGE_VERSION = @afterVersion AND ct.${key} > @afterKey)
ORDER BY ct.SYS_CHANGE_VERSION, ct.${key};`;
  return {
    name: 'change-tracking-page',
    sql: isolated('snapshot', `${state}\n${changes}`),
    parameters: { limit: 'int', since: 'bigint', afterVersion: 'bigint', afterKey: 'nvarchar(400)' },
  };
}

/**
 * The table itself in the order of its key, for the first reading and after a gap; `isUntil` leaves out rows that changed
 * after `@since`, in one snapshot with what change tracking knows. The first page has a text of its own: with an OR on a
 * parameter that may be NULL the plan cannot seek, and every page would read the table from its beginning.
 */
export function tablePage(
  definition: ChangeTrackingDefinition,
  { isFirst, isUntil }: { readonly isFirst: boolean; readonly isUntil: boolean },
): Statement {
  const key = quoteIdentifier(definition.key);
  const table = quoteTable(definition.table);
  const conditions = [
    ...(isFirst ? [] : [`t.${key} > @afterKey`]),
    ...(isUntil
      ? [`NOT EXISTS (SELECT 1 FROM CHANGETABLE(CHANGES ${table}, @since) AS ct WHERE ct.${key} = t.${key})`]
      : []),
  ];
  const rows = `SELECT TOP (@limit) CONVERT(nvarchar(400), t.${key}) AS [rowKey], ${requestColumns(definition, 't.')}
FROM ${table} AS t${conditions.length === 0 ? '' : ` WHERE ${conditions.join(' AND ')}`} ORDER BY t.${key};`;
  return {
    name: 'table-page',
    sql: `SELECT ${life};\n${isUntil ? isolated('snapshot', rows) : rows}`,
    parameters: {
      limit: 'int',
      ...(isFirst ? {} : { afterKey: 'nvarchar(400)' }),
      ...(isUntil ? { since: 'bigint' } : {}),
    },
  };
}

export function changeTrackingOwn(definition: ChangeTrackingDefinition): string {
  return `SELECT ${requestColumns(definition)} FROM ${quoteTable(definition.table)} WHERE ${quoteIdentifier(definition.key)} = @rowKey`;
}

/** The condition as the definition says it. */
export function conditionStatement({ sql }: QueryDefinition, consistency: ReadConsistency): Statement {
  return { name: 'condition', sql: isolated(consistency, `${sql}\n;`), parameters: conditionParameters };
}

export const conditionParameters = { today: 'varchar(10)', asOf: 'varchar(10)' } as const;
