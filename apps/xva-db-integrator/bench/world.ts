import { spawn, type ChildProcess } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { EventHubConsumerClient } from '@azure/event-hubs';
import { sqlSimulatorLogin, startAzurite, startEventHubsEmulatorProcess, startSqlSimulatorProcess } from '@xva/testkit';
import { Connection, Request } from 'tedious';

const main = fileURLToPath(new URL('../src/main.ts', import.meta.url));
const schema = fileURLToPath(new URL('../../../tools/lab/sql/', import.meta.url));
const trades = 60;

/** Everything that an integrator needs, as processes of this machine. */
export type World = Awaited<ReturnType<typeof startWorld>>;

/** A running integrator. */
export interface Running {
  readonly pid: number;
  readonly stop: () => Promise<void>;
}

export async function startWorld() {
  const folder = mkdtempSync(join(tmpdir(), 'xva-bench-detect-'));
  const [azurite, hub, simulator] = await Promise.all([
    startAzurite(),
    startEventHubsEmulatorProcess([{ name: 'runs', partitions: 4, consumerGroups: ['bench'] }]),
    startSqlSimulatorProcess(),
  ]);
  const { user, password, database } = sqlSimulatorLogin;
  const connect = async (): Promise<Connection> => {
    const connection = new Connection({
      server: simulator.host,
      authentication: { type: 'default', options: { userName: user, password } },
      options: { port: simulator.port, database, encrypt: false, trustServerCertificate: true },
    });
    await new Promise<void>((resolve, reject) => {
      connection.connect((error) => (error ? reject(error) : resolve()));
    });
    connection.on('error', () => undefined);
    return connection;
  };
  let sql = await connect();
  const query = (text: string): Promise<readonly Readonly<Record<string, unknown>>[]> =>
    new Promise((resolve, reject) => {
      const rows: Record<string, unknown>[] = [];
      const request = new Request(text, (error) => (error ? reject(error) : resolve(rows)));
      request.on('row', (cells: { value: unknown; metadata: { colName: string } }[]) => {
        rows.push(Object.fromEntries(cells.map(({ value, metadata }) => [metadata.colName, value])));
      });
      sql.execSqlBatch(request);
    });
  for (const file of [
    '01-schema.sql',
    '02-snapshot.sql',
    '04-rights-rowversion.sql',
    '05-rights-change-tracking.sql',
  ]) {
    for (const batch of readFileSync(`${schema}${file}`, 'utf8').split(/^GO\s*$/m)) {
      // The simulator has one login and no roles.
      const useful = batch.replace(/^.*(ROLE|GRANT|DATABASE_PRINCIPAL_ID).*$/gm, '').replace(/^--.*$/gm, '');
      if (useful.trim() !== '') await query(useful);
    }
  }
  await query(`INSERT INTO xva.NettingSet (Book, NettingSetId, Counterparty) VALUES (N'RATES', N'NS_A', N'ALDER')`);
  const tradeRows = Array.from(
    { length: trades },
    (_, index) => `(N'RATES', N'T${index}', N'NS_A', N'FxForward', N'{"boughtAmount":"${1_000_000 + index}"}')`,
  );
  await query(`INSERT INTO xva.Trade (Book, TradeId, NettingSetId, TradeType, Terms) VALUES ${tradeRows.join(', ')}`);
  const quoteRows = Array.from(
    { length: 120 },
    (_, index) => `('2026-09-30', N'EOD', N'BASE', N'FX/RATE/EUR/${String(index).padStart(3, '0')}', 1.${index})`,
  );
  await query(`INSERT INTO xva.Quote (AsOf, Cut, Scenario, QuoteKey, QuoteValue) VALUES ${quoteRows.join(', ')}`);

  /** When each revision's event was accepted by the hub, ms; the first one counts. */
  const publishedAt = new Map<number, number>();
  /** The different events of each revision. */
  const idsOf = new Map<number, Set<string>>();
  const consumer = new EventHubConsumerClient('bench', hub.connectionString, 'runs');
  consumer.subscribe(
    {
      processEvents: (events) => {
        for (const { body, enqueuedTimeUtc } of events) {
          const { id, data } = body as { id: string; data: { requestKey: { revision: number } } };
          const { revision } = data.requestKey;
          idsOf.set(revision, (idsOf.get(revision) ?? new Set()).add(id));
          if (!publishedAt.has(revision)) publishedAt.set(revision, enqueuedTimeUtc.getTime());
        }
        return Promise.resolve();
      },
      processError: () => Promise.resolve(),
    },
    { startPosition: { offset: '-1' }, maxWaitTimeInSeconds: 1, maxBatchSize: 500 },
  );

  let revision = 0;
  const values = (one: number): string =>
    `(N'RATES', '2026-09-30', N'EOD', N'BASE', ${one}, N'EUR', 50, 42, 0.95, N'LAB_BANK')`;
  const columns = 'Book, AsOf, Cut, Scenario, Revision, BaseCurrency, Samples, Seed, Quantile, DvaName';
  /** Commits rows that ask for runs; their revisions. */
  const insert = async (count: number): Promise<readonly number[]> => {
    const revisions = Array.from({ length: count }, () => (revision += 1));
    for (let start = 0; start < count; start += 500) {
      const some = revisions.slice(start, start + 500).map(values);
      await query(`INSERT INTO xva.RunRequest (${columns}) VALUES ${some.join(', ')}`);
    }
    return revisions;
  };

  const startIntegrator = async (definition: string): Promise<Running> => {
    const file = join(folder, 'polling.yaml');
    writeFileSync(file, `version: 1\ndefinitions:\n  - ${definition}\n`);
    const flags = ['--conditions=@xva/source', '--disable-warning=ExperimentalWarning'];
    const child: ChildProcess = spawn(process.execPath, [...flags, main, '--json', 'run'], {
      stdio: ['pipe', 'pipe', 'ignore'],
      env: {
        ...process.env,
        NODE_OPTIONS: '',
        XVA_EXIT_WITH_PARENT: 'true',
        XVA_DEFINITIONS_FILE: file,
        XVA_SQL_SERVER: simulator.host,
        XVA_SQL_PORT: String(simulator.port),
        XVA_SQL_DATABASE: database,
        XVA_SQL_USER: user,
        XVA_SQL_PASSWORD: password,
        XVA_SQL_ENCRYPT: 'false',
        XVA_WORK_CONNECTION_STRING: azurite.connectionString,
        XVA_LEDGER_CONNECTION_STRING: azurite.connectionString,
        XVA_HUB_CONNECTION_STRING: hub.connectionString,
        XVA_HUB_NAME: 'runs',
        XVA_OPS_PORT: '0',
        XVA_SHUTDOWN_GRACE_TIME_MS: '5000',
      },
    });
    const over = new Promise<void>((resolve) => child.once('exit', () => resolve()));
    if (child.stdout === null) throw new Error('no output');
    const lines = createInterface({ input: child.stdout });
    await new Promise<void>((resolve, reject) => {
      lines.once('line', () => resolve());
      child.once('exit', (code) => reject(new Error(`the integrator ended with ${code}`)));
    });
    return {
      pid: child.pid ?? 0,
      stop: async () => {
        child.kill('SIGTERM');
        await over;
      },
    };
  };

  return {
    azurite,
    hub,
    simulator,
    query,
    insert,
    publishedAt,
    idsOf,
    startIntegrator,
    /** After the database was killed. */
    reconnect: async (): Promise<void> => {
      sql.close();
      sql = await connect();
    },
    /** Statements that reached the server since the last call, those of this bench's own connection left out. */
    statements: async (): Promise<number> => {
      const url = `${simulator.controlUrl}/control/transcript`;
      const entries = (await (await fetch(url)).json()) as readonly { text?: string }[];
      await fetch(url, { method: 'DELETE' });
      return entries.filter(({ text }) => text?.startsWith('/* ') === true).length;
    },
    stop: async () => {
      await consumer.close();
      sql.close();
      await Promise.all([azurite.stop(), hub.stop(), simulator.stop()]);
      rmSync(folder, { recursive: true, force: true });
    },
  };
}
