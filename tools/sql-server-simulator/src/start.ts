import { closeSync, existsSync, mkdirSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type Server, type Socket } from 'node:net';
import { join } from 'node:path';
import { timingSafeEqual, createHash } from 'node:crypto';
import {
  closeServer,
  createControlServer,
  FaultBoard,
  listen,
  type StartedEmulator,
  trackSockets,
  Transcript,
} from '@xva/emulator-kit';
import { Database } from './engine/database.ts';
import { WaitGraph } from './engine/locks.ts';
import { SqliteStore } from './engine/store.ts';
import { compileFilter } from './run/filter.ts';
import type { Session } from './run/session.ts';
import { ParseCache } from './sql/parser.ts';
import { Connection, type ServerState } from './wire/connection.ts';
import type { Certificate } from './wire/tls.ts';

export interface SimulatorOptions {
  /** Directory of the database files; without one everything is in memory and ends with the process. */
  readonly dataDirectory?: string;
  /** Names of the databases; the first is the default. */
  readonly databases?: readonly string[];
  readonly login?: string;
  readonly password?: string;
  /** 0 (default) takes any free port. */
  readonly port?: number;
  readonly controlPort?: number;
  /** PEM texts; with them clients may encrypt (encrypt: true), without they must not. */
  readonly certificate?: Certificate;
  /** Wall clock in milliseconds, for tests. */
  readonly now?: () => number;
}

export interface SqlServerSimulator extends StartedEmulator {
  readonly port: number;
  readonly controlPort: number;
  readonly login: string;
  readonly password: string;
  readonly faults: FaultBoard;
  readonly transcript: Transcript;
}

/** Thrown when another simulator process uses the data directory. */
export class DataInUseError extends Error {
  readonly directory: string;
  constructor(directory: string, pid: number) {
    super(`${directory} is in use by process ${pid}`);
    this.name = 'DataInUseError';
    this.directory = directory;
  }
}

const databaseName = /^[A-Za-z][\w-]{0,63}$/;

function alive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

/** One process per directory: the engine holds the data in memory. @throws DataInUseError */
function claimDirectory(directory: string): () => void {
  mkdirSync(directory, { recursive: true });
  const file = join(directory, 'simulator.pid');
  for (let attempt = 0; attempt < 3; attempt += 1) {
    try {
      const handle = openSync(file, 'wx');
      writeFileSync(handle, String(process.pid));
      closeSync(handle);
      return () => rmSync(file, { force: true });
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
      const pid = Number(existsSync(file) ? readFileSync(file, 'utf8') : '0');
      if (pid > 0 && pid !== process.pid && alive(pid)) throw new DataInUseError(directory, pid);
      if (pid === process.pid) throw new DataInUseError(directory, pid);
      // Left behind by a killed process.
      rmSync(file, { force: true });
    }
  }
  throw new DataInUseError(directory, 0);
}

function digest(text: string): Buffer {
  return createHash('sha256').update(text).digest();
}

function openDatabases(options: SimulatorOptions, waits: WaitGraph): Map<string, Database> {
  const names = options.databases ?? ['xva'];
  const databases = new Map<string, Database>();
  names.forEach((name, index) => {
    if (!databaseName.test(name)) throw new RangeError(`not a database name: ${name}`);
    const file =
      options.dataDirectory === undefined ? ':memory:' : join(options.dataDirectory, `${name.toLowerCase()}.sqlite`);
    databases.set(
      name.toLowerCase(),
      new Database(index + 5, name, new SqliteStore(file), waits, compileFilter, options.now ?? Date.now),
    );
  });
  return databases;
}

function controlVerbs(state: ServerState, waits: WaitGraph) {
  return {
    /** Open sessions with their transactions, and who waits for whom. */
    sessions: () => ({
      sessions: [...state.sessions.values()].map((session) => ({
        id: session.id,
        login: session.login,
        application: session.application,
        database: session.database.name,
        transactions: session.transactionCount,
        locks: session.transaction?.locks.length ?? 0,
      })),
      waits: waits.list(),
    }),
    /** `{"database", "table"}`: forgets the table's tracked changes, as clean-up after the retention does. */
    'expire-changes': (body: unknown) => {
      const { database: name, table } = body as { database?: string; table?: string };
      const database = state.databases.get((name ?? state.defaultDatabase.name).toLowerCase());
      const found = database?.tables.get(String(table).toLowerCase());
      if (database === undefined || found === undefined || !database.tracking.tables.has(found.id))
        throw new RangeError(`no tracked table ${String(table)}`);
      database.expireTracking(found);
      return { minValidVersion: database.tracking.minValidVersion(found.id) };
    },
    /** Rows per table and the counters of each database. */
    databases: () =>
      [...state.databases.values()].map((database) => ({
        name: database.name,
        dbts: `0x${database.dbts.toString(16).padStart(16, '0')}`,
        openTransactions: database.active.size,
        tables: [...database.tables.values()].map((table) => ({ name: table.qualifiedName, rows: table.rows.size })),
      })),
  };
}

/**
 * Starts the simulator: a TDS 7.4 server for a T-SQL subset. It is no SQL Server and says so.
 *
 * @throws DataInUseError when another process uses the data directory
 */
export async function startSqlServerSimulator(options: SimulatorOptions = {}): Promise<SqlServerSimulator> {
  const release = options.dataDirectory === undefined ? () => undefined : claimDirectory(options.dataDirectory);
  const waits = new WaitGraph();
  const databases = openDatabases(options, waits);
  const [defaultDatabase] = databases.values();
  if (defaultDatabase === undefined) throw new RangeError('at least one database name is needed');
  const login = options.login ?? 'sa';
  const password = options.password ?? 'Simulator-1';
  const faults = new FaultBoard();
  const transcript = new Transcript();
  let lastSession = 50;
  const state: ServerState = {
    databases,
    defaultDatabase,
    faults,
    transcript,
    cache: new ParseCache(),
    certificate: options.certificate,
    authenticate: (user, given) =>
      user.toLowerCase() === login.toLowerCase() && timingSafeEqual(digest(given), digest(password)),
    sessions: new Map<number, Session>(),
    nextSessionId: () => {
      do lastSession = lastSession >= 32_767 ? 51 : lastSession + 1;
      while (state.sessions.has(lastSession));
      return lastSession;
    },
    now: options.now ?? Date.now,
  };
  const server: Server = createServer((socket: Socket) => new Connection(socket, state));
  const cutSockets = trackSockets(server);
  const control = createControlServer({
    name: 'sql-server-simulator',
    faults,
    transcript,
    verbs: controlVerbs(state, waits),
  });
  const cutControl = trackSockets(control);
  const port = await listen(server, options.port ?? 0);
  const controlPort = await listen(control, options.controlPort ?? 0);
  return {
    port,
    controlPort,
    login,
    password,
    faults,
    transcript,
    endpoints: { tds: `tcp://127.0.0.1:${port}`, control: `http://127.0.0.1:${controlPort}` },
    stop: async () => {
      await Promise.all([closeServer(server, cutSockets), closeServer(control, cutControl)]);
      // Sessions end with their sockets; the last of them may still be undoing.
      while (state.sessions.size > 0) await new Promise((resolve) => setImmediate(resolve));
      for (const database of databases.values()) database.close();
      release();
    },
  };
}
