import type { Statement } from '../client/statement.ts';
import type { OutboxDefinition } from '../definition/schema.ts';
import { quoteIdentifier, quoteTable } from '../identifiers.ts';
import { columnOf, requestColumns } from './request-columns.ts';

/** Values of the status column. */
export const rowStatus = { new: 0, claimed: 1, published: 2, poison: 9 } as const;

/**
 * Claims rows in one batch with two result sets: first rows whose lease ran out, then new ones, both in order. A row that
 * was claimed `@maxAttempts` times already becomes poison in the same act, visible with its last error, instead of being
 * handed out again.
 *
 * The CTE gives the order (UPDATE TOP has none). READPAST skips what another worker holds, so that workers share; ROWLOCK
 * and a small batch keep clear of lock escalation; READCOMMITTEDLOCK is what READPAST asks for when the database reads
 * committed snapshots. The server's clock decides about leases, so that no worker's clock can shorten one.
 */
export function claimStatement(definition: OutboxDefinition): Statement {
  const c = claimNames(definition);
  const priority = columnOf(definition, 'priority');
  const order = `${priority === undefined ? '' : `${quoteIdentifier(priority)} DESC, `}${c.id}`;
  const usedUp = `${c.attempts} >= @maxAttempts`;
  const claim = (condition: string): string => `WITH due AS (
  SELECT TOP (@batchSize) * FROM ${quoteTable(definition.table)} WITH (ROWLOCK, READPAST, UPDLOCK, READCOMMITTEDLOCK)
  WHERE ${condition}
  ORDER BY ${order}
)
UPDATE due SET
  ${c.status} = CASE WHEN ${usedUp} THEN ${rowStatus.poison} ELSE ${rowStatus.claimed} END,
  ${c.lastError} = CASE WHEN ${usedUp} THEN LEFT(N'attempts used up; ' + ISNULL(${c.lastError}, N'no worker lived to say why'), @errorLength) ELSE ${c.lastError} END,
  ${c.lockedUntil} = CASE WHEN ${usedUp} THEN NULL ELSE DATEADD(second, @leaseSeconds, SYSUTCDATETIME()) END,
  ${c.attempts} = CASE WHEN ${usedUp} THEN ${c.attempts} ELSE ${c.attempts} + 1 END,
  ${c.leaseToken} = @leaseToken,
  ${c.leaseOwner} = @leaseOwner
OUTPUT inserted.${c.id} AS [requestId], inserted.${c.status} AS [status], inserted.${c.attempts} AS [attempts], inserted.${c.lastError} AS [lastError], ${requestColumns(definition, 'inserted.')};`;
  return {
    name: 'claim',
    sql: [
      claim(
        `${c.status} = ${rowStatus.claimed} AND (${c.lockedUntil} IS NULL OR ${c.lockedUntil} <= SYSUTCDATETIME())`,
      ),
      claim(`${c.status} = ${rowStatus.new} AND ${c.notBefore} <= SYSUTCDATETIME()`),
    ].join('\n'),
    parameters: {
      batchSize: 'int',
      leaseSeconds: 'int',
      maxAttempts: 'int',
      errorLength: 'int',
      leaseToken: 'uniqueidentifier',
      leaseOwner: 'nvarchar(200)',
    },
  };
}

/** The claim's own columns, quoted. */
export function claimNames(definition: OutboxDefinition): Record<keyof OutboxDefinition['columns'], string> {
  const entries = Object.entries(definition.columns).map(([name, column]) => [name, quoteIdentifier(column)]);
  return Object.fromEntries(entries) as Record<keyof OutboxDefinition['columns'], string>;
}
