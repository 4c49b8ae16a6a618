import type { Isolation } from '../engine/transaction.ts';
import type { StatementOf } from '../sql/ast.ts';
import { SqlError } from '../types/sql-error.ts';
import { findTable } from './bind.ts';
import type { Context } from './context.ts';
import type { Frame, Session } from './session.ts';

/**
 * Applies a SET option; the parser has let through only values that the subset knows.
 *
 * @throws SqlError 1088 for an unknown table of IDENTITY_INSERT, 3951
 */
export function applyOption(statement: StatementOf<'setOption'>, session: Session, frame: Frame): void {
  const { option, value, target } = statement;
  switch (option) {
    case 'ISOLATION':
      session.setIsolation(value as Isolation);
      return;
    case 'NOCOUNT':
      session.noCount = value === 'ON';
      return;
    case 'XACT_ABORT':
      session.xactAbort = value === 'ON';
      return;
    case 'LOCK_TIMEOUT':
      session.lockTimeoutMs = Number(value);
      return;
    case 'DEADLOCK_PRIORITY':
      session.priority = value === 'LOW' ? -5 : value === 'NORMAL' ? 0 : value === 'HIGH' ? 5 : Number(value);
      return;
    case 'IDENTITY_INSERT': {
      if (target === undefined) return;
      const table = findTable(target, { session, database: session.database, ...frame } as unknown as Context);
      if (table === undefined)
        throw new SqlError(
          1088,
          `Cannot find the object "${target.name}" because it does not exist or you do not have permissions.`,
        );
      session.identityInsert = value === 'ON' ? table : undefined;
      return;
    }
    default:
    // The parser has let through only values under which the option changes nothing here.
  }
}
