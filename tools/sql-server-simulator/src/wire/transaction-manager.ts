import type { Isolation } from '../engine/transaction.ts';
import type { Session } from '../run/session.ts';
import { outsideSubset } from '../types/sql-error.ts';
import type { ByteReader } from './byte-reader.ts';
import { ProtocolError } from './byte-reader.ts';

const isolationLevels: readonly (Isolation | undefined)[] = [
  undefined,
  'READ UNCOMMITTED',
  'READ COMMITTED',
  'REPEATABLE READ',
  'SERIALIZABLE',
  'SNAPSHOT',
];

/**
 * Runs a Transaction Manager Request (MS-TDS 2.2.6.9): begin, commit, rollback, save.
 *
 * @returns its name, for the transcript
 * @throws SqlError 3902, 3903, 628, 6401 as the T-SQL statements do
 */
export function manageTransaction(reader: ByteReader, session: Session): string {
  const operation = reader.u16();
  const name = (): string | undefined => {
    const bytes = reader.u8();
    const text = reader.bytes(bytes).toString('utf16le');
    return text === '' ? undefined : text;
  };
  switch (operation) {
    case 5: {
      const isolation = isolationLevels[reader.u8()];
      if (isolation !== undefined) session.isolation = isolation;
      const label = name();
      session.begin();
      session.nameTransaction(label);
      return 'TM begin';
    }
    case 7:
      session.commit();
      return 'TM commit';
    case 8:
      session.rollback(name());
      return 'TM rollback';
    case 9: {
      const label = name();
      if (label === undefined) throw new ProtocolError('savepoint without a name');
      session.save(label);
      return 'TM save';
    }
    default:
      throw outsideSubset(`transaction manager request ${operation}`);
  }
}
