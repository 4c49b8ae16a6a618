import { Connection, Request, type ConnectionConfiguration } from 'tedious';

export interface Answer {
  /** Rows of every result set, one after another. */
  readonly rows: readonly Readonly<Record<string, unknown>>[];
  readonly sets: readonly (readonly Readonly<Record<string, unknown>>[])[];
  readonly count: number;
  readonly messages: readonly string[];
  readonly outputs: Readonly<Record<string, unknown>>;
}

export interface Address {
  readonly host?: string;
  readonly port: number;
  readonly database?: string;
  readonly login: string;
  readonly password: string;
}

/** Error of a failed request, with the server's number. */
export interface ServerError extends Error {
  readonly number?: number;
  readonly code?: string;
}

/** tedious behind promises: the tests speak to the simulator through nothing else. */
export class Client {
  readonly connection: Connection;
  #ended = false;

  private constructor(connection: Connection) {
    this.connection = connection;
    connection.on('end', () => {
      this.#ended = true;
    });
    connection.on('error', () => undefined);
  }

  static async open(
    address: Address,
    options: Partial<ConnectionConfiguration['options']> = {},
    login: Partial<{ login: string; password: string }> = {},
  ): Promise<Client> {
    const connection = new Connection({
      server: address.host ?? '127.0.0.1',
      authentication: {
        type: 'default',
        options: { userName: login.login ?? address.login, password: login.password ?? address.password },
      },
      options: {
        port: address.port,
        database: address.database ?? 'xva',
        encrypt: address.host !== undefined && address.host !== '127.0.0.1',
        trustServerCertificate: true,
        requestTimeout: 15_000,
        connectTimeout: 5_000,
        cancelTimeout: 1_500,
        useUTC: true,
        ...options,
      },
    });
    const client = new Client(connection);
    await new Promise<void>((resolve, reject) =>
      connection.connect((error) => (error instanceof Error ? reject(error) : resolve())),
    );
    return client;
  }

  /** Runs a batch (`SQLBatch`), or with `configure` an RPC to sp_executesql. */
  async query(sql: string, configure?: (request: Request) => void): Promise<Answer> {
    const sets: Record<string, unknown>[][] = [];
    const messages: string[] = [];
    const outputs: Record<string, unknown> = {};
    const onInfo = ({ message }: { message: string }): void => void messages.push(message);
    this.connection.on('infoMessage', onInfo);
    try {
      return await new Promise<Answer>((resolve, reject) => {
        const request = new Request(sql, (error, count) => {
          if (error !== null && error !== undefined) reject(error);
          else resolve({ rows: sets.flat(), sets, count: count ?? 0, messages, outputs });
        });
        request.on('columnMetadata', () => void sets.push([]));
        request.on('row', (columns: { metadata: { colName: string }; value: unknown }[]) => {
          sets.at(-1)?.push(Object.fromEntries(columns.map(({ metadata, value }) => [metadata.colName, value])));
        });
        request.on('returnValue', (name: string, value: unknown) => {
          outputs[name] = value;
        });
        configure?.(request);
        if (configure === undefined) this.connection.execSqlBatch(request);
        else this.connection.execSql(request);
      });
    } finally {
      this.connection.off('infoMessage', onInfo);
    }
  }

  /** The one value of a one-row, one-column result. */
  async value(sql: string, configure?: (request: Request) => void): Promise<unknown> {
    const { rows } = await this.query(sql, configure);
    return Object.values(rows[0] ?? {})[0];
  }

  /** Error number of a statement that must fail. */
  async errorNumber(sql: string, configure?: (request: Request) => void): Promise<number | undefined> {
    try {
      await this.query(sql, configure);
    } catch (error) {
      const first = error instanceof AggregateError ? (error.errors[0] as ServerError) : (error as ServerError);
      return first.number;
    }
    throw new Error(`expected an error from: ${sql}`);
  }

  async close(): Promise<void> {
    if (this.#ended) return;
    await new Promise<void>((resolve) => {
      this.connection.once('end', () => resolve());
      this.connection.close();
    });
  }
}
