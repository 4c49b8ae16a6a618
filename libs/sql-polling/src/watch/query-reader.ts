import { SqlError } from '../client/errors.ts';
import type { Cell, ResultSet, SqlRunner } from '../client/statement.ts';
import type { IsoDate } from '../calendar/dates.ts';
import { requestFields, type QueryDefinition } from '../definition/schema.ts';
import { asOfByRule, lossyTypes, sourceRow, type SourceRow } from '../outbox/rows.ts';
import type { ReadConsistency } from '../statements/details.ts';
import { columnOf } from '../statements/request-columns.ts';
import { conditionParameters, conditionStatement } from '../statements/watch.ts';
import { cellText, ValueError } from '../values.ts';
import { requestKeyOf, sha256, type Change, type ChangePage, type ChangeReader } from './change.ts';

/** Types whose value the client would shift or cut; the query must give them as text. */
const notText = /^(date|time|datetime|smalldatetime|decimal|numeric|binary|varbinary|image|timestamp)/i;

function shapeError(message: string): SqlError {
  return new SqlError('condition', { code: 'ESHAPE', message });
}

/** @throws SqlError `ESHAPE` for a column that is missing or that would lose something on its way */
function checkShape(definition: QueryDefinition, { columns }: ResultSet): void {
  const names = columns.map(({ name }) => name);
  const absent = requestFields
    .flatMap((field) => columnOf(definition, field) ?? [])
    .filter((one) => !names.includes(one));
  if (absent.length > 0) {
    throw shapeError(
      `the condition gives no column ${[...new Set(absent)].join(', ')} (it gives ${names.join(', ')}): name them, or map these fields to constants`,
    );
  }
  const lossy = columns.find(({ type }) => notText.test(type) || lossyTypes.test(type));
  if (lossy !== undefined) throw shapeError(`column ${lossy.name} is ${lossy.type}: convert it to text in the query`);
}

/** The result's columns carry the names of the mapping; rows of tables come by the contract's names. */
function byField(definition: QueryDefinition, row: Readonly<Record<string, Cell>>): Readonly<Record<string, Cell>> {
  const entries = requestFields.flatMap((field) => {
    const column = columnOf(definition, field);
    return column === undefined ? [] : [[field, row[column] ?? null] as const];
  });
  return Object.fromEntries(entries);
}

function hashOfRow(row: Readonly<Record<string, Cell>>): string {
  return sha256(JSON.stringify(Object.entries(row).sort(([a], [b]) => (a < b ? -1 : 1))));
}

/**
 * A condition: each row of its result asks for a run, whenever a row of that request key comes or changes. The whole
 * result is read each time; the state counts the changes of each key, so that A, B and A again are three events.
 */
export function queryReader(
  runner: SqlRunner,
  definition: QueryDefinition,
  consistency: () => Promise<ReadConsistency>,
  today: () => IsoDate,
): ChangeReader {
  const changesOf = (set: ResultSet | undefined, day: IsoDate): readonly Change[] => {
    if (set === undefined) throw shapeError('the condition gives no result');
    checkShape(definition, set);
    const changes = set.rows.map((row): Change => {
      const source = sourceRow(definition, byField(definition, row), day);
      const locate = { today: day, asOf: asOfByRule(definition, day) };
      return { key: requestKeyOf(source), stamp: null, hash: hashOfRow(row), row: source, locate };
    });
    const seen = new Set<string>();
    for (const { key } of changes) {
      if (seen.has(key)) throw new ValueError('request key', `two rows of the condition have the key ${key}`);
      seen.add(key);
    }
    return changes;
  };
  const read = async (): Promise<ChangePage> => {
    const day = today();
    const statement = conditionStatement(definition, await consistency());
    const values = { today: day, asOf: asOfByRule(definition, day) };
    const { resultSets } = await runner.query(statement, values, { maxRows: definition.maxRows });
    const changes = changesOf(resultSets[0], day);
    return { outcome: 'page', changes, deleted: [], position: '', more: false, life: null, whole: true, day };
  };
  return {
    begin: () => Promise.resolve({ scan: '', follow: '', life: null }),
    scan: read,
    follow: read,
    own: { sql: definition.sql, parameters: conditionParameters },
    ownRow: (result, change): SourceRow | undefined => {
      const day = cellText('today', change.locate['today']) ?? '';
      const now = changesOf(result, day).find(({ key }) => key === change.key);
      return now?.hash === change.hash ? now.row : undefined;
    },
  };
}
