import type { SqlRunner } from './client/statement.ts';
import type { OutboxDefinition } from './definition/schema.ts';
import { sourceRow } from './outbox/rows.ts';
import { pastStatement, reviveStatement } from './statements/past.ts';
import { cellText, integerText } from './values.ts';
import { requestKeyOf } from './watch/change.ts';
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
  readonly state: 'published' | 'poison' | 'baseline';
  readonly eventId: string | null;
  readonly reason: string | null;
}

export function isInRange(requestKey: string, { from, to }: AsOfRange): boolean {
  const [, asOf] = JSON.parse(requestKey) as (string | null)[];
  return typeof asOf === 'string' && asOf >= from && asOf <= to;
}

export function pastOfKnown({ key, requestKey, state, eventId, reason }: KnownRow): PastRow | undefined {
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
      const requestKey = requestKeyOf(sourceRow(definition, row));
      if (!isInRange(requestKey, range)) continue;
      const eventId = cellText('eventId', row['eventId']);
      yield { requestId, requestKey, state, eventId, reason: cellText('lastError', row['lastError']) };
    }
    if (rows.length < pageRows) return;
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
