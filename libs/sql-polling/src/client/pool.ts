import { SqlError } from './errors.ts';
import type { ParameterValue, QueryResult, SqlRunner, Statement } from './statement.ts';

export interface PooledConnection extends SqlRunner {
  readonly broken: boolean;
  close(): void;
}

/**
 * A few connections, made when first needed, one request at a time on each; a broken one is thrown away. One login is
 * under way at a time, so that a server that just came back is not stormed.
 */
export class SqlPool implements SqlRunner {
  readonly #connect: () => Promise<PooledConnection>;
  readonly #size: number;
  readonly #idle: PooledConnection[] = [];
  readonly #busy = new Set<PooledConnection>();
  readonly #waiting: (() => void)[] = [];
  #inUse = 0;
  #closed = false;
  #login: Promise<unknown> = Promise.resolve();

  constructor(connect: () => Promise<PooledConnection>, size: number) {
    this.#connect = connect;
    this.#size = size;
  }

  /** @throws SqlError as the connection does; a statement is never repeated here. */
  async query(
    statement: Statement,
    values: Readonly<Record<string, ParameterValue>>,
    options: { readonly maxRows?: number } = {},
  ): Promise<QueryResult> {
    await this.#enter();
    let connection: PooledConnection | undefined;
    try {
      connection = this.#takeIdle() ?? (await this.#open());
      this.#busy.add(connection);
      return await connection.query(statement, values, options);
    } finally {
      this.#leave(connection);
    }
  }

  /** Closes idle connections now and the others when their request ends. */
  close(): void {
    this.#closed = true;
    for (const connection of this.#idle.splice(0)) connection.close();
    for (const wake of this.#waiting.splice(0)) wake();
  }

  /** Closes those in use too: their requests fail. */
  terminate(): void {
    this.close();
    for (const connection of this.#busy) connection.close();
  }

  async #enter(): Promise<void> {
    while (!this.#closed && this.#inUse >= this.#size) await new Promise<void>((wake) => this.#waiting.push(wake));
    if (this.#closed) throw new SqlError('connect', { code: 'EPOOLCLOSED', message: 'the pool is closed' });
    this.#inUse += 1;
  }

  #leave(connection: PooledConnection | undefined): void {
    this.#inUse -= 1;
    if (connection !== undefined) {
      this.#busy.delete(connection);
      if (this.#closed || connection.broken) connection.close();
      else this.#idle.push(connection);
    }
    this.#waiting.shift()?.();
  }

  #takeIdle(): PooledConnection | undefined {
    for (;;) {
      const connection = this.#idle.pop();
      if (connection === undefined || !connection.broken) return connection;
    }
  }

  async #open(): Promise<PooledConnection> {
    const previous = this.#login;
    const login = (async () => {
      await previous.catch(() => undefined);
      return this.#connect();
    })();
    this.#login = login.catch(() => undefined);
    return login;
  }
}
