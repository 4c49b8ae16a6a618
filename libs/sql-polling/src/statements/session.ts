import type { Statement } from '../client/statement.ts';

/**
 * Sent once per connection. A poller must lose every deadlock and wait for no lock long: the application that owns the
 * table comes first.
 *
 * @param lockTimeoutMs after which a statement that waits for a lock fails with error 1222
 */
export function sessionSql(lockTimeoutMs: number): string {
  if (!Number.isSafeInteger(lockTimeoutMs) || lockTimeoutMs < 0)
    throw new RangeError('lockTimeoutMs must be 0 or more');
  return `SET LOCK_TIMEOUT ${lockTimeoutMs};
SET DEADLOCK_PRIORITY LOW;
SET TRANSACTION ISOLATION LEVEL READ COMMITTED;`;
}

/** Whether the database allows SNAPSHOT: 1 = on (0 off, 2 and 3 in transition). Visible to any user of the database. */
export const snapshotState: Statement = {
  name: 'snapshot-state',
  sql: 'SELECT snapshot_isolation_state AS [state] FROM sys.databases WHERE database_id = DB_ID()',
  parameters: {},
};

export const ping: Statement = {
  name: 'ping',
  sql: 'SELECT DB_NAME() AS [database]',
  parameters: {},
};
