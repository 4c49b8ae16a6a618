import type { Statement } from '../client/statement.ts';
import type { DetailName, OutboxDefinition, PollingDefinition } from '../definition/schema.ts';
import { requestFields } from '../definition/schema.ts';
import { quoteIdentifier, quoteTable } from '../identifiers.ts';
import { claimNames, rowStatus } from './claim.ts';
import { detailOrder } from './details.ts';
import { columnOf, requestColumns } from './request-columns.ts';

/** Reads no row, but names a table, column or right that is missing, and says the columns' types. */
export function readProbes(definition: PollingDefinition): readonly { table: string; statement: Statement }[] {
  const probe = (name: string, table: string, columns: readonly string[]) => ({
    table,
    statement: {
      name: `probe-${name}`,
      sql: `SELECT TOP (0) ${[...new Set(columns)].map(quoteIdentifier).join(', ')} FROM ${quoteTable(table)}`,
      parameters: {},
    },
  });
  const mapped = requestFields.flatMap((field) => columnOf(definition, field) ?? []);
  const details = detailOrder.flatMap((name: DetailName) => {
    const { table, columns, sql } = definition.details[name];
    return sql === undefined ? [probe(name, table, Object.values(columns))] : [];
  });
  return [...requestProbes(definition, mapped, probe), ...details];
}

type Probe = (name: string, table: string, columns: readonly string[]) => { table: string; statement: Statement };

function requestProbes(definition: PollingDefinition, mapped: readonly string[], probe: Probe): ReturnType<Probe>[] {
  switch (definition.mode) {
    case 'outbox':
      return [probe('request', definition.table, [...Object.values(definition.columns), ...mapped])];
    case 'rowversion':
      return [probe('request', definition.table, [definition.rowVersion, ...mapped])];
    case 'changeTracking':
      return [probe('request', definition.table, [definition.key, ...mapped])];
    case 'query':
      return [];
  }
}

/**
 * Changes no row, but needs the right to write each of the claim's columns, and gives rows back as the claim does: a table
 * with an enabled trigger refuses that (error 334) before it looks at any row.
 */
export function writeProbe(definition: OutboxDefinition): Statement {
  const written = Object.entries(definition.columns).filter(([name]) => name !== 'id' && name !== 'createdAt');
  const assignments = written.map(([, column]) => `${quoteIdentifier(column)} = ${quoteIdentifier(column)}`);
  return {
    name: 'probe-write',
    sql: `UPDATE ${quoteTable(definition.table)} SET ${assignments.join(', ')} OUTPUT inserted.${quoteIdentifier(definition.columns.id)} WHERE 1 = 0`,
    parameters: {},
  };
}

/** Rows that are not published yet, and what the claim would make of each now. */
export function explainStatement(definition: OutboxDefinition): Statement {
  const c = claimNames(definition);
  return {
    name: 'explain',
    sql: `SELECT TOP (@limit) ${c.id} AS [requestId], ${c.status} AS [status], ${c.attempts} AS [attempts], ${c.lastError} AS [lastError], ${c.leaseOwner} AS [leaseOwner],
  CONVERT(varchar(33), ${c.notBefore}, 126) AS [notBefore], CONVERT(varchar(33), ${c.lockedUntil}, 126) AS [lockedUntil],
  CASE WHEN ${c.notBefore} > SYSUTCDATETIME() THEN 1 ELSE 0 END AS [waits],
  CASE WHEN ${c.lockedUntil} > SYSUTCDATETIME() THEN 1 ELSE 0 END AS [leased],
  ${requestColumns(definition)}
FROM ${quoteTable(definition.table)} WHERE ${c.status} <> ${rowStatus.published} ORDER BY ${c.id}`,
    parameters: { limit: 'int' },
  };
}
