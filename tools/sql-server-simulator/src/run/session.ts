import type { BulkTarget } from './bulk.ts';
import { randomBytes, randomUUID } from 'node:crypto';
import type { Database } from '../engine/database.ts';
import { LockWait } from '../engine/locks.ts';
import type { Table } from '../engine/table.ts';
import { type Isolation, Transaction } from '../engine/transaction.ts';
import { ticksOfUnixNanoseconds } from '../types/datetime.ts';
import { SqlError } from '../types/sql-error.ts';
import type { Value } from '../types/sql-type.ts';
import type { Context, SessionFacts, Variable } from './context.ts';

export interface SessionInit {
  readonly id: number;
  readonly login: string;
  readonly host: string;
  readonly application: string;
  readonly databases: ReadonlyMap<string, Database>;
  readonly database: Database;
  /** Wall clock in milliseconds. */
  readonly now: () => number;
}

/** Told when @@TRANCOUNT leaves or reaches 0 (the protocol announces both). */
export type TransactionEvent = 'begin' | 'commit' | 'rollback';

export interface Frame {
  readonly variables: Map<string, Variable>;
  readonly tableVariables: Map<string, Table>;
}

export function newFrame(): Frame {
  return { variables: new Map(), tableVariables: new Map() };
}

const defaults = {
  isolation: 'READ COMMITTED' as Isolation,
  lockTimeoutMs: -1,
  priority: 0,
  xactAbort: false,
  noCount: false,
};

/** A connection's state: settings, open transaction, temp tables; runs single statements against the engine. */
export class Session implements SessionFacts {
  readonly id: number;
  readonly login: string;
  readonly host: string;
  readonly application: string;
  readonly databases: ReadonlyMap<string, Database>;
  readonly tempTables = new Map<string, Table>();
  database: Database;
  isolation: Isolation = defaults.isolation;
  lockTimeoutMs = defaults.lockTimeoutMs;
  priority = defaults.priority;
  xactAbort = defaults.xactAbort;
  noCount = defaults.noCount;
  identityInsert: Table | undefined;
  rowCount = 0;
  lastError = 0;
  lastIdentity: bigint | undefined;
  caught: SqlError | undefined;
  nestLevel = 0;
  transactionCount = 0;
  readonly #now: () => number;
  #lastNow = 0n;
  #transaction: Transaction | undefined;
  #savepoints = new Map<string, number>();
  #descriptor = Buffer.alloc(8);
  onTransaction: (event: TransactionEvent, descriptor: Buffer) => void = () => undefined;

  constructor(init: SessionInit) {
    this.id = init.id;
    this.login = init.login;
    this.host = init.host;
    this.application = init.application;
    this.databases = init.databases;
    this.database = init.database;
    this.#now = init.now;
  }

  get transactionState(): -1 | 0 | 1 {
    if (this.#transaction === undefined) return 0;
    return this.#transaction.doomed ? -1 : 1;
  }

  get transaction(): Transaction | undefined {
    return this.#transaction;
  }

  newId(): string {
    return randomUUID().toUpperCase();
  }

  random(): number {
    return randomBytes(4).readUInt32BE() / 2 ** 32;
  }

  /** What the next bulk load's rows are for. */
  bulk: BulkTarget | undefined;

  /** Wall clock with the process's high-resolution fraction below the millisecond; strictly rising. */
  now(): bigint {
    const fraction = process.hrtime.bigint() % 1_000_000n;
    const ticks = ticksOfUnixNanoseconds(BigInt(Math.trunc(this.#now())) * 1_000_000n + fraction);
    this.#lastNow = ticks > this.#lastNow ? ticks : this.#lastNow + 1n;
    return this.#lastNow;
  }

  /** @throws SqlError 3951 when an open transaction would become a SNAPSHOT one */
  setIsolation(isolation: Isolation): void {
    if (this.#transaction !== undefined) {
      if (isolation === 'SNAPSHOT' && this.#transaction.isolation !== 'SNAPSHOT') {
        throw new SqlError(
          3951,
          `Transaction failed in database '${this.database.name}' because the statement was run under snapshot isolation but the transaction did not start in snapshot isolation. You cannot change the isolation level of the transaction to snapshot after the transaction has started unless the transaction was originally started under snapshot isolation level.`,
        );
      }
      this.#transaction.isolation = isolation;
    }
    this.isolation = isolation;
  }

  /**
   * Enters a procedure or dynamic SQL: what SET changes and #temp tables made inside end with it.
   *
   * @returns what leaves it again
   */
  enterScope(): () => void {
    const { isolation, lockTimeoutMs, priority, xactAbort, noCount, identityInsert } = this;
    const temporary = new Set(this.tempTables.keys());
    return () => {
      Object.assign(this, { isolation, lockTimeoutMs, priority, xactAbort, noCount, identityInsert });
      if (this.#transaction !== undefined && !(isolation === 'SNAPSHOT' && this.#transaction.isolation !== 'SNAPSHOT'))
        this.#transaction.isolation = isolation;
      for (const name of this.tempTables.keys()) if (!temporary.has(name)) this.tempTables.delete(name);
    };
  }

  begin(isolation: Isolation = this.isolation): void {
    if (this.#transaction === undefined) {
      this.#transaction = this.#newTransaction(isolation);
      this.#savepoints.clear();
      this.#descriptor = randomBytes(8);
      this.transactionCount = 1;
      this.onTransaction('begin', this.#descriptor);
    } else this.transactionCount += 1;
  }

  #newTransaction(isolation: Isolation): Transaction {
    const transaction = new Transaction(this.id, this.database, isolation, () => this.priority);
    this.database.active.add(transaction);
    return transaction;
  }

  /** @throws SqlError 3902 without a transaction, 3930 when it is doomed */
  commit(): void {
    const transaction = this.#transaction;
    if (transaction === undefined)
      throw new SqlError(3902, 'The COMMIT TRANSACTION request has no corresponding BEGIN TRANSACTION.');
    if (transaction.doomed)
      throw new SqlError(
        3930,
        'The current transaction cannot be committed and cannot support operations that write to the log file. Roll back the transaction.',
      );
    if (this.transactionCount > 1) {
      this.transactionCount -= 1;
      return;
    }
    transaction.commit();
    this.#close('commit');
  }

  /** Rolls back all of the transaction, or to a savepoint. @throws SqlError 3903, 6401 */
  rollback(name?: string): void {
    const transaction = this.#transaction;
    if (transaction === undefined)
      throw new SqlError(3903, 'The ROLLBACK TRANSACTION request has no corresponding BEGIN TRANSACTION.');
    const mark = name === undefined ? undefined : this.#savepoints.get(name.toLowerCase());
    if (mark !== undefined) {
      if (transaction.doomed)
        throw new SqlError(
          3931,
          'The current transaction cannot be committed and cannot be rolled back to a savepoint. Roll back the entire transaction.',
        );
      transaction.rollbackTo(mark, true);
      return;
    }
    if (name !== undefined && name !== this.#name)
      throw new SqlError(6401, `Cannot roll back ${name}. No transaction or savepoint of that name was found.`);
    transaction.rollback();
    this.#close('rollback');
  }

  #name: string | undefined;

  /** Names the outermost transaction, so that ROLLBACK TRAN name finds it. */
  nameTransaction(name: string | undefined): void {
    if (this.transactionCount === 1) this.#name = name;
  }

  save(name: string): void {
    if (this.#transaction === undefined)
      throw new SqlError(628, 'Cannot issue SAVE TRANSACTION when there is no active transaction.');
    this.#savepoints.set(name.toLowerCase(), this.#transaction.mark());
  }

  #close(event: TransactionEvent): void {
    this.#transaction = undefined;
    this.transactionCount = 0;
    this.#name = undefined;
    this.onTransaction(event, this.#descriptor);
  }

  rollbackIfOpen(): void {
    if (this.#transaction !== undefined) this.rollback();
  }

  /** sp_reset_connection: settings as after login, no transaction, no temp tables. */
  reset(): void {
    this.rollbackIfOpen();
    Object.assign(this, defaults);
    this.identityInsert = undefined;
    this.lastIdentity = undefined;
    this.lastError = 0;
    this.rowCount = 0;
    this.tempTables.clear();
  }

  end(): void {
    this.rollbackIfOpen();
    this.tempTables.clear();
  }

  context(frame: Frame, transaction: Transaction): Context {
    return {
      session: this,
      database: this.database,
      transaction,
      variables: frame.variables,
      tableVariables: frame.tableVariables,
      now: this.now(),
      budget: 50_000_000,
    };
  }

  /**
   * Runs one statement's work: in the open transaction, or in one of its own. When a row is locked by others, what the
   * statement did is undone, the session waits (keeping its locks, so that deadlocks show) and the work starts again.
   *
   * @throws SqlError 1222, 1205, or what the work throws; then the statement has left nothing behind
   */
  async atomically<T>(frame: Frame, signal: AbortSignal, work: (context: Context) => T): Promise<T> {
    const open = this.#transaction;
    const transaction = open ?? this.#newTransaction(this.isolation);
    const mark = transaction.mark();
    const saved = new Map<Variable, Value>([...frame.variables.values()].map((variable) => [variable, variable.value]));
    try {
      for (;;) {
        signal.throwIfAborted();
        try {
          const result = work(this.context(frame, transaction));
          if (open === undefined) transaction.commit();
          return result;
        } catch (error) {
          transaction.rollbackTo(mark, false);
          for (const [variable, value] of saved) variable.value = value;
          if (!(error instanceof LockWait)) throw error;
          await this.database.waits.wait(transaction, error.blockers, this.lockTimeoutMs, signal);
        }
      }
    } catch (error) {
      if (open === undefined && !transaction.ended) transaction.rollback();
      throw error instanceof RangeError
        ? new SqlError(
            8631,
            'Internal error: Server stack limit has been reached. Please look for potentially deep nesting in your query, and try to simplify it.',
            17,
          )
        : error;
    }
  }
}
