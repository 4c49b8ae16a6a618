import { releaseAll, type Lockable } from './locks.ts';
import type { Database } from './database.ts';
import type { Row, Values } from './row.ts';
import type { Table } from './table.ts';

export type Isolation = 'READ UNCOMMITTED' | 'READ COMMITTED' | 'REPEATABLE READ' | 'SNAPSHOT' | 'SERIALIZABLE';

type UndoEntry =
  | {
      readonly kind: 'row';
      readonly table: Table;
      readonly row: Row;
      readonly before: Values | null;
      readonly after: Values | null;
      readonly firstWrite: boolean;
    }
  | { readonly kind: 'schema'; readonly undo: () => void; readonly durable: boolean };

/** A unit of work: its locks, its undo log, its snapshot. Made by a session, ended once. */
export class Transaction {
  readonly sessionId: number;
  readonly database: Database;
  /** Changed by SET TRANSACTION ISOLATION LEVEL in the middle of the transaction. */
  isolation: Isolation;
  readonly priority: () => number;
  readonly locks: Lockable[] = [];
  #log: UndoEntry[] = [];
  readonly #truncated = new Set<Table>();
  /** Commit number up to which a SNAPSHOT transaction sees others' work; set by its first read. */
  snapshot: number | undefined;
  /** First rowversion stamped: MIN_ACTIVE_ROWVERSION() stays below it. */
  firstRowversion: bigint | undefined;
  /** Set when an error has doomed the transaction (XACT_STATE() = -1). */
  doomed = false;
  ended = false;

  constructor(sessionId: number, database: Database, isolation: Isolation, priority: () => number) {
    this.sessionId = sessionId;
    this.database = database;
    this.isolation = isolation;
    this.priority = priority;
  }

  /** A place in the undo log to come back to: a savepoint, or the start of a statement. */
  mark(): number {
    return this.#log.length;
  }

  /** Notes a change that was just made to a row. */
  wrote(table: Table, row: Row, before: Values | null, after: Values | null, firstWrite: boolean): void {
    this.#log.push({ kind: 'row', table, row, before, after, firstWrite });
  }

  /** The table was truncated: at the commit its change tracking begins anew. */
  truncated(table: Table): void {
    this.#truncated.add(table);
  }

  changedSchema(undo: () => void, durable: boolean): void {
    this.#log.push({ kind: 'schema', undo, durable });
  }

  /**
   * Undoes back to a mark; locks stay. With `keepTransient`, what was done to table variables stays too: they do not take
   * part in transactions (a failed statement undoes them all the same).
   */
  rollbackTo(mark: number, keepTransient: boolean): void {
    const undone = this.#log.splice(mark);
    const kept: UndoEntry[] = [];
    for (const entry of undone.reverse()) {
      if (entry.kind === 'schema') {
        entry.undo();
      } else if (keepTransient && !entry.table.durable && entry.table.name.startsWith('@')) {
        kept.unshift(entry);
      } else {
        entry.row.current = entry.before;
        if (entry.firstWrite) entry.row.writer = undefined;
        if (entry.after !== null) entry.table.retire(entry.row, [entry.after]);
        else if (entry.row.current === null) entry.table.retire(entry.row, []);
      }
    }
    this.#log.push(...kept);
  }

  /** Makes all changes durable and visible at once, then lets the locks go. */
  commit(): void {
    const changed = new Map<Row, { readonly table: Table; readonly discarded: Values[] }>();
    let schemaChanged = false;
    for (const entry of this.#log) {
      if (entry.kind === 'schema') {
        schemaChanged ||= entry.durable;
        continue;
      }
      const seen = changed.get(entry.row);
      if (seen === undefined) changed.set(entry.row, { table: entry.table, discarded: [] });
      else if (entry.before !== null) seen.discarded.push(entry.before);
    }
    this.database.commit(changed, schemaChanged, this.#truncated);
    this.#end();
  }

  rollback(): void {
    const kept = this.#log.length;
    if (kept > 0) this.rollbackTo(0, true);
    // What table variables keep is theirs at once: nobody else can see them.
    const changed = new Map<Row, { readonly table: Table; readonly discarded: Values[] }>();
    for (const entry of this.#log)
      if (entry.kind === 'row') changed.set(entry.row, { table: entry.table, discarded: [] });
    if (changed.size > 0) this.database.publish(changed);
    this.#end();
  }

  #end(): void {
    this.#log = [];
    this.ended = true;
    releaseAll(this);
    this.database.transactionEnded(this);
  }
}
