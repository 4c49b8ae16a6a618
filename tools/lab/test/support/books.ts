import type { BookRows, RequestRow } from '../../src/load-book.ts';
import { loadBook } from '../../src/load-book.ts';
import type { Session } from '../../src/session.ts';

type Writable<T> = { -readonly [K in keyof T]: T[K] };
/** A book that a test spoils. */
export interface DraftBook {
  requests: Writable<RequestRow>[];
  nettingSets: Writable<BookRows['nettingSets'][number]>[];
  trades: Writable<BookRows['trades'][number]>[];
  quotes: Writable<BookRows['quotes'][number]>[];
  fixings: Writable<BookRows['fixings'][number]>[];
}

/** A book like another one under a name of its own, changed in one place. */
export function bookLike(
  rows: BookRows,
  book: string,
  change: (draft: DraftBook) => void = () => undefined,
): DraftBook {
  const draft = structuredClone(rows) as unknown as DraftBook;
  for (const row of [...draft.requests, ...draft.nettingSets, ...draft.trades]) row.book = book;
  change(draft);
  return draft;
}

/** Quotes belong to a day, cut and scenario, fixings to an index, and not to a book: loaded only when asked for. */
export async function loadDraft(session: Session, draft: DraftBook, withMarket = false): Promise<RequestRow> {
  const sql = await session.connectSql();
  try {
    await loadBook(sql, withMarket ? draft : { ...draft, quotes: [], fixings: [] });
  } finally {
    sql.close();
  }
  const [request] = draft.requests;
  if (request === undefined) throw new Error('the book has no request');
  return request;
}

export function tradeOf(draft: DraftBook, tradeId: string): DraftBook['trades'][number] {
  const trade = draft.trades.find((one) => one.tradeId === tradeId);
  if (trade === undefined) throw new Error(`no trade ${tradeId}`);
  return trade;
}

export function withSettings(draft: DraftBook, settings: Partial<RequestRow>): void {
  Object.assign(draft.requests[0] ?? {}, settings);
}
