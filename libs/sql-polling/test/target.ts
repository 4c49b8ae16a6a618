import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { sqlSimulatorLogin, startSqlSimulatorProcess, type SqlSimulatorProcess } from '@xva/testkit';
import { Connection, Request } from 'tedious';
import { sessionSql, type SqlConnectionOptions } from '../src/index.ts';

/** The database that a suite runs on: the simulator, or a real server where `MSSQL_URL` names one. */
export interface Target {
  readonly name: string;
  readonly options: SqlConnectionOptions;
  /** Only of the simulator. */
  readonly simulator?: SqlSimulatorProcess;
  /** Runs batches outside any pool, on a connection that the caller closes. */
  connect(): Promise<RawSql>;
  stop(): Promise<void>;
}

export interface RawSql {
  run(batch: string): Promise<readonly Readonly<Record<string, unknown>>[]>;
  close(): void;
}

const common = {
  connectTimeoutMs: 15_000,
  requestTimeoutMs: 15_000,
  deadlineMs: 20_000,
  sessionSql: sessionSql(1_000),
  appName: 'xva-tests',
};

/** `mssql://user:password@host:1433/database_test?encrypt=true&trustServerCertificate=true` */
function realServer(text: string): SqlConnectionOptions {
  const url = new URL(text);
  const database = url.pathname.slice(1);
  // The suites empty the tables: nobody's real ones.
  if (!database.includes('test'))
    throw new Error(`MSSQL_URL: the database must have "test" in its name, not ${database}`);
  return {
    ...common,
    host: url.hostname,
    port: url.port === '' ? 1433 : Number(url.port),
    database,
    user: decodeURIComponent(url.username),
    password: decodeURIComponent(url.password),
    encrypt: url.searchParams.get('encrypt') === 'false' ? 'false' : 'true',
    trustServerCertificate: url.searchParams.get('trustServerCertificate') === 'true',
  };
}

async function connectRaw(options: SqlConnectionOptions): Promise<RawSql> {
  const connection = new Connection({
    server: options.host,
    authentication: { type: 'default', options: { userName: options.user, password: options.password } },
    options: {
      port: options.port,
      database: options.database,
      encrypt: options.encrypt !== 'false',
      trustServerCertificate: options.trustServerCertificate,
    },
  });
  await new Promise<void>((resolve, reject) => {
    connection.connect((error) => (error ? reject(error) : resolve()));
  });
  return {
    run: (batch) =>
      new Promise((resolve, reject) => {
        const rows: Record<string, unknown>[] = [];
        const request = new Request(batch, (error) => (error ? reject(error) : resolve(rows)));
        request.on('row', (cells: { value: unknown; metadata: { colName: string } }[]) => {
          rows.push(Object.fromEntries(cells.map(({ value, metadata }) => [metadata.colName, value])));
        });
        connection.execSqlBatch(request);
      }),
    close: () => connection.close(),
  };
}

/** Connects to a server that may still be starting (a service container), and makes the database where it is missing. */
async function connectReal(options: SqlConnectionOptions): Promise<RawSql> {
  if (!/^\w+$/.test(options.database)) throw new Error(`MSSQL_URL: not a plain database name: ${options.database}`);
  const deadline = Date.now() + 50_000;
  for (;;) {
    try {
      return await connectRaw(options);
    } catch (error) {
      if (Date.now() > deadline) throw error;
    }
    const master = await connectRaw({ ...options, database: 'master' }).catch(() => undefined);
    if (master === undefined) await new Promise((resolve) => setTimeout(resolve, 1_000));
    else await master.run(`IF DB_ID(N'${options.database}') IS NULL CREATE DATABASE [${options.database}];`);
    master?.close();
  }
}

const schema = fileURLToPath(new URL('../../../tools/lab/sql/', import.meta.url));

/** Starts the simulator (or takes the real server) and applies the schema. */
export async function openTarget(): Promise<Target> {
  const url = process.env['MSSQL_URL'];
  const simulator = url === undefined ? await startSqlSimulatorProcess() : undefined;
  const options: SqlConnectionOptions =
    simulator === undefined
      ? realServer(url ?? '')
      : {
          ...common,
          ...sqlSimulatorLogin,
          host: simulator.host,
          port: simulator.port,
          encrypt: 'false',
          trustServerCertificate: false,
        };
  const sql = await (simulator === undefined ? connectReal(options) : connectRaw(options));
  for (const file of ['01-schema.sql', '02-snapshot.sql']) {
    for (const batch of readFileSync(`${schema}${file}`, 'utf8').split(/^GO\s*$/m)) {
      if (batch.trim() !== '') await sql.run(batch);
    }
  }
  sql.close();
  return {
    name: simulator === undefined ? 'SQL Server' : 'the simulator',
    options,
    ...(simulator === undefined ? {} : { simulator }),
    connect: () => connectRaw(options),
    stop: async () => simulator?.stop(),
  };
}
