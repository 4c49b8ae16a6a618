import type { Cell, SqlRunner } from './client/statement.ts';
import type { OutboxDefinition } from './definition/schema.ts';
import { isRowFault, sourceRow } from './outbox/rows.ts';
import { pastStatement, reviveStatement } from './statements/past.ts';
import { cellText, integerText } from './values.ts';
import { requestKeyOf } from './watch/change.ts';
import { isAskedAgain } from './watch/news.ts';
import type { KnownRow } from './watch/state.ts';

/** As-of dates (`yyyy-mm-dd`), both included. */
export interface AsOfRange {
  readonly from: string;
  readonly to: string;
}

/** A row that was handled before. */
export interface PastRow {
  readonly requestId: string;
  /** Book, as-of date, cut, scenario and revision as JSON. */
  readonly requestKey: string;
  readonly state: 'published' | 'poison' | 'baseline' | 'asked-again';
  readonly eventId: string | null;
  readonly reason: string | null;
}

export function isInRange(requestKey: string, { from, to }: AsOfRange): boolean {
  const [, asOf] = JSON.parse(requestKey) as (string | null)[];
  return typeof asOf === 'string' && asOf >= from && asOf <= to;
}

export function pastOfKnown(known: KnownRow): PastRow | undefined {
  const { key, requestKey, state, eventId, reason } = known;
  if (isAskedAgain(known)) return { requestId: key, requestKey, state: 'asked-again', eventId, reason };
  if (state !== 'published' && state !== 'poison' && state !== 'baseline') return undefined;
  return { requestId: key, requestKey, state, eventId, reason };
}

const pageRows = 1_000;

/** Rows of an outbox that were published, or put aside, page by page. @throws SqlError, ValueError */
export async function* pastOfOutbox(
  runner: SqlRunner,
  definition: OutboxDefinition,
  state: 'published' | 'poison',
  range: AsOfRange,
): AsyncGenerator<PastRow> {
  const statement = pastStatement(definition, state);
  for (let after = '-9223372036854775808'; ;) {
    const { resultSets } = await runner.query(statement, { limit: pageRows, after, ...range });
    const rows = resultSets[0]?.rows ?? [];
    for (const row of rows) {
      const requestId = integerText(definition.columns.id, row['requestId']);
      after = requestId;
      const requestKey = keyOf(definition, row);
      if (requestKey === undefined || !isInRange(requestKey, range)) continue;
      const eventId = cellText('eventId', row['eventId']);
      yield { requestId, requestKey, state, eventId, reason: cellText('lastError', row['lastError']) };
    }
    if (rows.length < pageRows) return;
  }
}

/** Undefined for a row whose as-of date nobody can tell: it lies in no range. */
function keyOf(definition: OutboxDefinition, row: Readonly<Record<string, Cell>>): string | undefined {
  try {
    return requestKeyOf(sourceRow(definition, row));
  } catch (error) {
    if (isRowFault(error)) return undefined;
    throw error;
  }
}

/** Whether the row was put aside and now is new again. @throws SqlError */
export async function revive(runner: SqlRunner, definition: OutboxDefinition, requestId: string): Promise<boolean> {
  const { rowCount } = await runner.query(reviveStatement(definition), { requestId });
  return rowCount === 1;
}

export async function collect<T>(items: AsyncIterable<T>): Promise<readonly T[]> {
  const found: T[] = [];
  for await (const item of items) found.push(item);
  return found;
}
