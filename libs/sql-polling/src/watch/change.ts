import { createHash } from 'node:crypto';
import type { ParameterValue, ResultSet, Statement } from '../client/statement.ts';
import type { SourceRow } from '../outbox/rows.ts';

/** A row that a read-only mode has seen. */
export interface Change {
  /** The row's identity within the definition. */
  readonly key: string;
  /**
   * Stands for one content of the row in one life of the database; null in `query` mode, where the state counts the
   * changes of a key.
   */
  readonly stamp: string | null;
  /** SHA-256 of what the definition maps (in `query` mode of the whole result row). */
  readonly hash: string;
  readonly row: SourceRow;
  /** By which the row is found again when its details are read. */
  readonly locate: Readonly<Record<string, ParameterValue>>;
}

export interface ChangePage {
  readonly outcome: 'page';
  readonly changes: readonly Change[];
  /** Keys of rows that were deleted. */
  readonly deleted: readonly string[];
  /** Where the next page begins; meaningful to the reader alone. */
  readonly position: string;
  readonly more: boolean;
  /** The database's life that the page was read in; null where it cannot be seen. */
  readonly life: string | null;
  /** The page is all there is: a key that is not on it is gone. */
  readonly whole: boolean;
  /** The local date that a condition was asked for; absent where rows do not depend on it. */
  readonly day?: string;
}

/** What was between the cursor and now cannot be told any more. */
export interface Gap {
  readonly outcome: 'gap';
  readonly reason: string;
}

/** How one mode reads. Every method throws SqlError, and ValueError for a row that cannot be told from others. */
export interface ChangeReader {
  /** Where a scan of all rows begins, and where to follow from once it is done. */
  begin(): Promise<{ readonly scan: string; readonly follow: string; readonly life: string | null }>;
  /** One page of all rows, changed or not; with `until` (a position to follow from) those that did not change since. */
  scan(position: string, limit: number, until?: string): Promise<ChangePage>;
  /** One page of changes. */
  follow(position: string, limit: number): Promise<ChangePage | Gap>;
  /** Gives the row's own result, to be run in one snapshot with its details. */
  readonly own: { readonly sql: string; readonly parameters: Statement['parameters'] };
  /** The row if it still is what the change says; undefined when it went on since. */
  ownRow(result: ResultSet | undefined, change: Change): SourceRow | undefined;
}

export function sha256(text: string): string {
  return createHash('sha256').update(text).digest('hex');
}

/** Hash of what a row says to the contract, whatever order its columns came in. */
export function hashOfFields({ fields }: SourceRow): string {
  return sha256(JSON.stringify(Object.entries(fields).sort(([a], [b]) => (a < b ? -1 : 1))));
}

/** The request's own key: two rows with one key ask for the same thing. */
export function requestKeyOf({ fields: { book, asOf, cut, scenario, revision } }: SourceRow): string {
  return JSON.stringify([book, asOf, cut, scenario, revision].map((value) => (value === null ? null : String(value))));
}
