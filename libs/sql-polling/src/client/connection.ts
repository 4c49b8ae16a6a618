import { readFileSync } from 'node:fs';
import { Connection, Request, TYPES, type ConnectionConfiguration } from 'tedious';
import { SqlError, translateSqlError } from './errors.ts';
import type { Cell, ParameterType, ParameterValue, QueryResult, ResultSet, SqlRunner, Statement } from './statement.ts';

/** `true`: TLS inside TDS; `strict`: TDS 8.0; `false` only for a server on the same machine. */
export type Encryption = 'true' | 'strict' | 'false';

export interface SqlConnectionOptions {
  readonly host: string;
  readonly port: number;
  readonly database: string;
  readonly user: string;
  readonly password: string;
  readonly encrypt: Encryption;
  /** Accepts any certificate; never with `strict`. */
  readonly trustServerCertificate: boolean;
  /** PEM file of the authority that signed the server's certificate, when the system does not know it. */
  readonly caFile?: string | undefined;
  /** Name that the certificate is checked against, when it is not the host. */
  readonly serverName?: string | undefined;
  readonly connectTimeoutMs: number;
  /** Until the first packet of an answer. */
  readonly requestTimeoutMs: number;
  /** Until its last row: the client's own timer stops at the first packet, so a stalled stream would hang for ever. */
  readonly deadlineMs: number;
  /** Sent once per connection, outside any procedure's scope, so that its SET statements stay. */
  readonly sessionSql: string;
  readonly appName: string;
}

/** Settings of tedious: dates in UTC, no retries of its own (the policy is ours), an error rolls back its transaction. */
export function tediousConfiguration(options: SqlConnectionOptions): ConnectionConfiguration {
  const ca = options.caFile === undefined ? undefined : readFileSync(options.caFile, 'utf8');
  return {
    server: options.host,
    authentication: { type: 'default', options: { userName: options.user, password: options.password } },
    options: {
      port: options.port,
      database: options.database,
      encrypt: options.encrypt === 'strict' ? 'strict' : options.encrypt === 'true',
      trustServerCertificate: options.trustServerCertificate,
      ...(options.serverName === undefined ? {} : { serverName: options.serverName }),
      ...(ca === undefined ? {} : { cryptoCredentialsDetails: { ca } }),
      connectTimeout: options.connectTimeoutMs,
      requestTimeout: options.requestTimeoutMs,
      cancelTimeout: 2_000,
      maxRetriesOnTransientErrors: 0,
      abortTransactionOnError: true,
      useUTC: true,
      appName: options.appName,
    },
  };
}

function tediousType(type: ParameterType): { type: (typeof TYPES)[keyof typeof TYPES]; length?: number } {
  if (type === 'int') return { type: TYPES.Int };
  if (type === 'bigint') return { type: TYPES.BigInt };
  if (type === 'uniqueidentifier') return { type: TYPES.UniqueIdentifier };
  const length = Number(/\((\d+)\)/.exec(type)?.[1]);
  // A declared length keeps one cached plan per statement instead of one per length of value.
  return type.startsWith('nvarchar') ? { type: TYPES.NVarChar, length } : { type: TYPES.VarChar, length };
}

interface RawColumn {
  readonly colName: string;
  readonly type: { readonly name: string };
}

interface MutableSet {
  columns: ResultSet['columns'];
  rows: Record<string, Cell>[];
}

/** One connection: one request at a time; after a timeout, a broken socket or a fatal error it is `broken` for good. */
export class SqlConnection implements SqlRunner {
  readonly #connection: Connection;
  readonly #options: SqlConnectionOptions;
  #broken = false;
  #active = false;

  private constructor(connection: Connection, options: SqlConnectionOptions) {
    this.#connection = connection;
    this.#options = options;
  }

  /** @throws SqlError of statement `connect`: `login`, `connection` or `timeout`. */
  static async connect(options: SqlConnectionOptions): Promise<SqlConnection> {
    let tedious: Connection;
    try {
      tedious = new Connection(tediousConfiguration(options));
    } catch (error) {
      throw translateSqlError('connect', error);
    }
    let loginNumber: number | undefined;
    tedious.on('errorMessage', (token: { number?: number }) => {
      loginNumber ??= token.number;
    });
    await new Promise<void>((resolve, reject) => {
      const timer = setTimeout(
        () => finish(new SqlError('connect', { code: 'EDEADLINE', message: 'no login within the deadline' })),
        options.connectTimeoutMs + 5_000,
      );
      const finish = (error?: unknown): void => {
        clearTimeout(timer);
        if (error === undefined || error === null) resolve();
        else {
          tedious.close();
          reject(translateSqlError('connect', error, loginNumber));
        }
      };
      tedious.connect((error) => finish(error));
    });
    const connection = new SqlConnection(tedious, options);
    connection.#watch();
    try {
      await connection.#execute({ name: 'session', sql: options.sessionSql, parameters: {} }, {}, Infinity, true);
    } catch (error) {
      connection.close();
      throw error;
    }
    return connection;
  }

  get broken(): boolean {
    return this.#broken;
  }

  /**
   * Ends the connection. With a request under way it is cancelled first and the socket closed at its end: closing under a
   * response that is being read makes the client throw where nobody can catch it.
   */
  close(): void {
    this.#broken = true;
    if (this.#active) this.#connection.cancel();
    else this.#connection.close();
  }

  /**
   * Runs one statement by sp_executesql.
   *
   * @throws SqlError; code `ESHAPE` when two columns have one name, `ETOOMANYROWS` above `maxRows` in one result set.
   */
  query(
    statement: Statement,
    values: Readonly<Record<string, ParameterValue>>,
    options: { readonly maxRows?: number } = {},
  ): Promise<QueryResult> {
    return this.#execute(statement, values, options.maxRows ?? 1_000_000, false);
  }

  #watch(): void {
    const breakIt = (): void => {
      this.#broken = true;
    };
    this.#connection.on('end', breakIt);
    this.#connection.on('error', breakIt);
  }

  #execute(
    statement: Statement,
    values: Readonly<Record<string, ParameterValue>>,
    maxRows: number,
    asBatch: boolean,
  ): Promise<QueryResult> {
    return new Promise((resolve, reject) => {
      const sets: MutableSet[] = [];
      let failure: SqlError | undefined;
      // What follows in the stream belongs to nobody: this connection serves no other request.
      const giveUp = (error: SqlError): void => {
        if (failure !== undefined) return;
        failure = error;
        reject(error);
        this.close();
      };
      const deadline = setTimeout(() => {
        const message = `not done in ${this.#options.deadlineMs} ms`;
        giveUp(new SqlError(statement.name, { code: 'EDEADLINE', message }));
      }, this.#options.deadlineMs);
      // The name goes first, for the DBA who finds the statement in a trace or the plan cache.
      const request = new Request(`/* xva:${statement.name} */\n${statement.sql}`, (error, rowCount) => {
        clearTimeout(deadline);
        this.#active = false;
        const known = failure ?? (error ? translateSqlError(statement.name, error) : undefined);
        if (this.#broken || known?.kind === 'connection' || known?.kind === 'timeout') this.close();
        if (known === undefined) resolve({ resultSets: sets, rowCount: rowCount ?? 0 });
        else reject(known);
      });
      request.on('columnMetadata', (received) => {
        const columns = (received as RawColumn[]).map(({ colName, type }) => ({ name: colName, type: type.name }));
        const twice = columns.find(({ name }, index) => columns.findIndex((other) => other.name === name) !== index);
        if (twice !== undefined) {
          giveUp(new SqlError(statement.name, { code: 'ESHAPE', message: `two columns are called "${twice.name}"` }));
        }
        sets.push({ columns, rows: [] });
      });
      request.on('row', (cells: { value: unknown }[]) => {
        const set = sets.at(-1);
        if (set === undefined || failure !== undefined) return;
        if (set.rows.length >= maxRows) {
          giveUp(new SqlError(statement.name, { code: 'ETOOMANYROWS', message: `more than ${maxRows} rows` }));
          return;
        }
        const row: Record<string, Cell> = {};
        set.columns.forEach(({ name }, index) => (row[name] = (cells[index]?.value ?? null) as Cell));
        set.rows.push(row);
      });
      for (const [name, type] of Object.entries(statement.parameters)) {
        const { type: dataType, length } = tediousType(type);
        request.addParameter(name, dataType, values[name], length === undefined ? {} : { length });
      }
      this.#active = true;
      if (asBatch) this.#connection.execSqlBatch(request);
      else this.#connection.execSql(request);
    });
  }
}
