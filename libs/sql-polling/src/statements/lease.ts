import type { Statement } from '../client/statement.ts';
import type { OutboxDefinition } from '../definition/schema.ts';
import { quoteTable } from '../identifiers.ts';
import { claimNames, rowStatus } from './claim.ts';

const fenced = { requestId: 'bigint', leaseToken: 'uniqueidentifier' } as const;

/**
 * What the holder of a lease may do with its row. Each is fenced by the token: a worker that was declared dead and comes
 * back touches nothing. Completing and poisoning also accept their own earlier success, so that they can be repeated when
 * an answer was lost.
 */
export interface LeaseStatements {
  readonly renew: Statement;
  readonly complete: Statement;
  readonly release: Statement;
  readonly poison: Statement;
}

export function leaseStatements(definition: OutboxDefinition): LeaseStatements {
  const c = claimNames(definition);
  const update = (assignments: readonly string[], states: string, output = ''): string =>
    `UPDATE ${quoteTable(definition.table)} SET ${assignments.join(', ')}${output}
WHERE ${c.id} = @requestId AND ${c.leaseToken} = @leaseToken AND ${c.status} ${states}`;
  return {
    renew: {
      name: 'renew',
      sql: update([`${c.lockedUntil} = DATEADD(second, @leaseSeconds, SYSUTCDATETIME())`], `= ${rowStatus.claimed}`),
      parameters: { ...fenced, leaseSeconds: 'int' },
    },
    complete: {
      name: 'complete',
      sql: update(
        [
          `${c.status} = ${rowStatus.published}`,
          `${c.eventId} = @eventId`,
          `${c.publishedAt} = SYSUTCDATETIME()`,
          `${c.lockedUntil} = NULL`,
          `${c.lastError} = NULL`,
        ],
        `IN (${rowStatus.claimed}, ${rowStatus.published})`,
      ),
      parameters: { ...fenced, eventId: 'varchar(32)' },
    },
    release: {
      name: 'release',
      sql: update(
        [
          `${c.status} = CASE WHEN ${c.attempts} - @giveBack >= @maxAttempts THEN ${rowStatus.poison} ELSE ${rowStatus.new} END`,
          `${c.attempts} = ${c.attempts} - @giveBack`,
          `${c.notBefore} = DATEADD(millisecond, @delayMs, SYSUTCDATETIME())`,
          `${c.lockedUntil} = NULL`,
          `${c.lastError} = ISNULL(@lastError, ${c.lastError})`,
        ],
        `= ${rowStatus.claimed}`,
        ` OUTPUT inserted.${c.status} AS [status]`,
      ),
      parameters: { ...fenced, giveBack: 'int', maxAttempts: 'int', delayMs: 'int', lastError: 'nvarchar(4000)' },
    },
    poison: {
      name: 'poison',
      sql: update(
        [`${c.status} = ${rowStatus.poison}`, `${c.lockedUntil} = NULL`, `${c.lastError} = @lastError`],
        `IN (${rowStatus.claimed}, ${rowStatus.poison})`,
      ),
      parameters: { ...fenced, lastError: 'nvarchar(4000)' },
    },
  };
}
