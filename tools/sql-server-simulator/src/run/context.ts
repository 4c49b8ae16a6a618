import type { Database } from '../engine/database.ts';
import type { Row, Values } from '../engine/row.ts';
import type { Table } from '../engine/table.ts';
import type { Transaction } from '../engine/transaction.ts';
import type { SqlError } from '../types/sql-error.ts';
import type { SqlType, Value } from '../types/sql-type.ts';

export interface Variable {
  readonly type: SqlType;
  value: Value;
}

/** What expressions may ask of the session that runs them. */
export interface SessionFacts {
  readonly id: number;
  readonly login: string;
  readonly host: string;
  readonly application: string;
  readonly databases: ReadonlyMap<string, Database>;
  readonly isolation: string;
  readonly lockTimeoutMs: number;
  rowCount: number;
  lastError: number;
  lastIdentity: bigint | undefined;
  /** The error that the running CATCH block handles. */
  caught: SqlError | undefined;
  readonly transactionCount: number;
  readonly transactionState: -1 | 0 | 1;
  readonly nestLevel: number;
  readonly tempTables: ReadonlyMap<string, Table>;
  newId(): string;
  random(): number;
  /** 100 ns ticks since 0001-01-01, UTC; never goes back within a session. */
  now(): bigint;
}

/** The world of one running statement. */
export interface Context {
  readonly session: SessionFacts;
  readonly database: Database;
  readonly transaction: Transaction;
  readonly variables: Map<string, Variable>;
  readonly tableVariables: Map<string, Table>;
  /** Statement time: SYSUTCDATETIME() is one value within a statement, as on the server. */
  readonly now: bigint;
  /** Steps left before the statement is refused as too much for a simulator (it runs without yielding). */
  budget: number;
}

/** One combination of rows while a query runs: by source of the scope, with the outer query's behind it. */
export interface Env {
  readonly rows: Values[];
  readonly refs: (Row | undefined)[];
  readonly parent: Env | undefined;
  /** Results of aggregates, grouping expressions and window functions. */
  slots: Value[];
}

export const emptyEnv: Env = { rows: [], refs: [], parent: undefined, slots: [] };

export interface Compiled {
  readonly type: SqlType;
  readonly run: (env: Env) => Value;
}

/** Three-valued: null is unknown. */
export type Predicate = (env: Env) => boolean | null;
