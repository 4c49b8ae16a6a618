import { SqlError } from './client/errors.ts';
import type { SqlRunner } from './client/statement.ts';
import type { PollingDefinition } from './definition/schema.ts';
import { lossyTypes } from './outbox/rows.ts';
import type { ReadConsistency } from './statements/details.ts';
import { readProbes } from './statements/probe.ts';
import { ping, snapshotState } from './statements/session.ts';
import { cellText } from './values.ts';

/** The database's name, when it answers. @throws SqlError */
export async function pingDatabase(runner: SqlRunner): Promise<string> {
  const { resultSets } = await runner.query(ping, {});
  return cellText('database', resultSets[0]?.rows[0]?.['database']) ?? '';
}

/** Every table and column can be read, and no value column loses digits. @throws SqlError naming what is not so */
export async function checkReadable(runner: SqlRunner, definition: PollingDefinition): Promise<string> {
  const tables: string[] = [];
  for (const { table, statement } of readProbes(definition)) {
    const { resultSets } = await runner.query(statement, {});
    const lossy = resultSets[0]?.columns.find(({ type }) => lossyTypes.test(type));
    if (lossy !== undefined) {
      throw new SqlError(statement.name, {
        code: 'ESHAPE',
        message: `${table}.${lossy.name} is ${lossy.type}: its text is not the stored number; use decimal, or a query of your own`,
      });
    }
    tables.push(table);
  }
  return `can read ${tables.join(', ')}`;
}

/** How request and details can be read as of one instant. @throws SqlError */
export async function readConsistency(runner: SqlRunner): Promise<ReadConsistency> {
  const { resultSets } = await runner.query(snapshotState, {});
  return Number(resultSets[0]?.rows[0]?.['state']) === 1 ? 'snapshot' : 'serializable';
}

export function describeConsistency(consistency: ReadConsistency): string {
  return consistency === 'snapshot'
    ? 'snapshot isolation is allowed: details are read without locks'
    : 'snapshot isolation is off: details are read SERIALIZABLE, which holds writers back meanwhile';
}
