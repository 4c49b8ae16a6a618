import type { Statement } from '../client/statement.ts';
import type { OutboxDefinition } from '../definition/schema.ts';
import { quoteIdentifier, quoteTable } from '../identifiers.ts';
import { claimNames, rowStatus } from './claim.ts';
import { columnOf, requestColumns } from './request-columns.ts';

/**
 * Rows of one status, by id, `@limit` behind `@after`; those of a range of as-of dates only where a column holds the date
 * (a constant or a rule is judged by the caller).
 */
export function pastStatement(definition: OutboxDefinition, status: 'published' | 'poison'): Statement {
  const c = claimNames(definition);
  const asOf = columnOf(definition, 'asOf');
  const inRange =
    asOf === undefined
      ? ''
      : ` AND ${quoteIdentifier(asOf)} >= CONVERT(date, @from, 23) AND ${quoteIdentifier(asOf)} < DATEADD(day, 1, CONVERT(date, @to, 23))`;
  return {
    name: `past-${status}`,
    sql: `SELECT TOP (@limit) ${c.id} AS [requestId], ${c.eventId} AS [eventId], ${c.lastError} AS [lastError], ${requestColumns(definition)}
FROM ${quoteTable(definition.table)} WHERE ${c.status} = ${rowStatus[status]} AND ${c.id} > @after${inRange} ORDER BY ${c.id}`,
    parameters: { limit: 'int', after: 'bigint', from: 'varchar(10)', to: 'varchar(10)' },
  };
}

/** A row that was put aside becomes new again. */
export function reviveStatement(definition: OutboxDefinition): Statement {
  const c = claimNames(definition);
  return {
    name: 'revive',
    sql: `UPDATE ${quoteTable(definition.table)} SET ${c.status} = ${rowStatus.new}, ${c.attempts} = 0, ${c.notBefore} = SYSUTCDATETIME()
WHERE ${c.id} = @requestId AND ${c.status} = ${rowStatus.poison}`,
    parameters: { requestId: 'bigint' },
  };
}
