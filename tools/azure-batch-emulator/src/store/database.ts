import type { DatabaseSync, SQLInputValue, StatementSync } from 'node:sqlite';
import { openStore } from '@xva/emulator-kit';
import { migrations } from './schema.ts';

/** Thrown when another process holds the data folder: two emulators on one state would run every task twice. */
export class DataInUseError extends Error {
  override readonly name = 'DataInUseError';
  constructor(file: string) {
    super(`${file} is in use by another emulator process`);
  }
}

type Value = SQLInputValue;

/** SQLite with its statements prepared once, and transactions that may be nested (the outermost one commits). */
export class Database {
  readonly #db: DatabaseSync;
  readonly #statements = new Map<string, StatementSync>();
  #depth = 0;

  /**
   * @param file a path, or `:memory:`. The file is locked for as long as it is open.
   * @throws DataInUseError
   */
  constructor(file: string) {
    try {
      this.#db = openStore(file, migrations);
      this.#db.exec('PRAGMA locking_mode = EXCLUSIVE; BEGIN IMMEDIATE; COMMIT; PRAGMA foreign_keys = OFF;');
    } catch (error) {
      if (error instanceof Error && /locked|busy/i.test(error.message)) throw new DataInUseError(file);
      throw error;
    }
  }

  #statement(sql: string): StatementSync {
    let statement = this.#statements.get(sql);
    if (statement === undefined) {
      // Filters and limits are bound, but each shape of a filter is another text: keep the cache bounded.
      if (this.#statements.size > 500) this.#statements.clear();
      statement = this.#db.prepare(sql);
      this.#statements.set(sql, statement);
    }
    return statement;
  }

  /** Runs a write and returns how many rows it changed. */
  run(sql: string, ...values: Value[]): number {
    return Number(this.#statement(sql).run(...values).changes);
  }

  insert(sql: string, ...values: Value[]): { readonly changes: number; readonly seq: number } {
    const result = this.#statement(sql).run(...values);
    return { changes: Number(result.changes), seq: Number(result.lastInsertRowid) };
  }

  one(sql: string, ...values: Value[]): unknown {
    return this.#statement(sql).get(...values);
  }

  all(sql: string, ...values: Value[]): unknown[] {
    return this.#statement(sql).all(...values);
  }

  transaction<T>(work: () => T): T {
    if (this.#depth > 0) return work();
    this.#depth = 1;
    this.#db.exec('BEGIN IMMEDIATE');
    try {
      const result = work();
      this.#db.exec('COMMIT');
      return result;
    } catch (error) {
      // A full disk or a failed read has rolled back already; its error is the one to tell.
      if (this.#db.isTransaction) this.#db.exec('ROLLBACK');
      throw error;
    } finally {
      this.#depth = 0;
    }
  }

  close(): void {
    this.#db.close();
  }
}
