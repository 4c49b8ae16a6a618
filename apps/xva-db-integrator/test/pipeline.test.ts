import { spawn, type ChildProcess } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { EventHubConsumerClient } from '@azure/event-hubs';
import { BlobAccount } from '@xva/azure-storage';
import { frozenRequestSchema, runEventSchema, sha256Hex, type RunEvent } from '@xva/contracts';
import { crashPoints } from '@xva/flow-detect';
import {
  sqlSimulatorLogin,
  startAzurite,
  startEventHubsEmulatorProcess,
  startSqlSimulatorProcess,
  type Azurite,
  type EventHubsEmulatorProcess,
  type SqlSimulatorProcess,
} from '@xva/testkit';
import { Connection, Request } from 'tedious';

const main = fileURLToPath(new URL('../src/main.ts', import.meta.url));
const schema = fileURLToPath(new URL('../../../tools/lab/sql/01-schema.sql', import.meta.url));
const trace = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01';

let azurite: Azurite;
let hub: EventHubsEmulatorProcess;
let simulator: SqlSimulatorProcess;
let sql: Connection;
let consumer: EventHubConsumerClient;
let folder: string;
const received: RunEvent[] = [];
const children = new Set<ChildProcess>();

function query(text: string): Promise<readonly Readonly<Record<string, unknown>>[]> {
  return new Promise((resolve, reject) => {
    const rows: Record<string, unknown>[] = [];
    const request = new Request(text, (error) => (error ? reject(error) : resolve(rows)));
    request.on('row', (cells: { value: unknown; metadata: { colName: string } }[]) => {
      rows.push(Object.fromEntries(cells.map(({ value, metadata }) => [metadata.colName, value])));
    });
    sql.execSqlBatch(request);
  });
}

async function insertRow(revision: number, change: Readonly<Record<string, string>> = {}): Promise<string> {
  const values = {
    Book: `N'RATES'`,
    AsOf: `'2026-09-30'`,
    Cut: `N'EOD'`,
    Scenario: `N'BASE'`,
    Revision: String(revision),
    BaseCurrency: `N'EUR'`,
    Samples: '50',
    Seed: '42',
    Quantile: '0.95',
    DvaName: `N'LAB_BANK'`,
    Traceparent: `N'${trace}'`,
    ...change,
  };
  const [row] = await query(
    `INSERT INTO xva.RunRequest (${Object.keys(values).join(', ')}) OUTPUT inserted.RequestId VALUES (${Object.values(values).join(', ')})`,
  );
  return String(row?.['RequestId']);
}

function start(verb: readonly string[], env: Readonly<Record<string, string>> = {}) {
  const flags = ['--conditions=@xva/source', '--disable-warning=ExperimentalWarning'];
  const child = spawn(process.execPath, [...flags, main, '--json', ...verb], {
    stdio: ['pipe', 'pipe', 'pipe'],
    env: {
      NODE_OPTIONS: '',
      XVA_EXIT_WITH_PARENT: 'true',
      XVA_DEFINITIONS_FILE: join(folder, 'polling.yaml'),
      XVA_SQL_SERVER: simulator.host,
      XVA_SQL_PORT: String(simulator.port),
      XVA_SQL_DATABASE: sqlSimulatorLogin.database,
      XVA_SQL_USER: sqlSimulatorLogin.user,
      XVA_SQL_PASSWORD: sqlSimulatorLogin.password,
      XVA_SQL_ENCRYPT: 'false',
      XVA_WORK_CONNECTION_STRING: azurite.connectionString,
      XVA_HUB_CONNECTION_STRING: hub.connectionString,
      XVA_HUB_NAME: 'runs',
      XVA_OPS_PORT: '0',
      XVA_SHUTDOWN_GRACE_TIME_MS: '5000',
      ...env,
    },
  });
  children.add(child);
  child.once('exit', () => children.delete(child));
  child.stdin.on('error', () => undefined);
  return child;
}

interface Ended {
  readonly code: number | null;
  readonly signal: string | null;
  readonly out: string;
  readonly log: string;
}

function ended(child: ChildProcess): Promise<Ended> {
  const said = { out: '', log: '' };
  child.stdout?.on('data', (chunk: Buffer) => (said.out += chunk.toString()));
  child.stderr?.on('data', (chunk: Buffer) => (said.log += chunk.toString()));
  return new Promise((resolve) => child.once('close', (code, signal) => resolve({ code, signal, ...said })));
}

const once = (env?: Readonly<Record<string, string>>): Promise<Ended> => ended(start(['once'], env));

async function until<T>(
  what: string,
  probe: () => Promise<T | undefined> | T | undefined,
  withinMs = 20_000,
): Promise<T> {
  const deadline = performance.now() + withinMs;
  for (;;) {
    const value = await probe();
    if (value !== undefined) return value;
    if (performance.now() > deadline) throw new Error(`not within ${withinMs} ms: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

const ofRevision = (revision: number): readonly RunEvent[] =>
  received.filter((event) => event.data.requestKey.revision === revision);

const rowOf = async (requestId: string) =>
  (await query(`SELECT Status, EventId, LastError, Attempts FROM xva.RunRequest WHERE RequestId = ${requestId}`))[0]!;

/** From the first event on; what was received before comes again. */
function listen(): void {
  consumer = new EventHubConsumerClient('test', hub.connectionString, 'runs');
  consumer.subscribe(
    {
      processEvents: (events) => {
        // The client has read the JSON already.
        for (const { body } of events) received.push(runEventSchema.parse(body));
        return Promise.resolve();
      },
      processError: () => Promise.resolve(),
    },
    { startPosition: { offset: '-1' }, maxWaitTimeInSeconds: 1 },
  );
}

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'xva-integrator-'));
  const definitions = (settings: string): string =>
    `version: 1\ndefinitions:\n  - { name: run-requests, mode: outbox, maxAttempts: 3, ${settings} }\n`;
  const window = 'window: { lengthMs: 60000, minDelayMs: 20, maxDelayMs: 50 }';
  writeFileSync(join(folder, 'polling.yaml'), definitions(window));
  writeFileSync(join(folder, 'one-by-one.yaml'), definitions(`${window}, batchSize: 1`));
  writeFileSync(
    join(folder, 'read-only.yaml'),
    `version: 1\ndefinitions:\n  - { name: watched, mode: rowversion, start: beginning, leaseSeconds: 2, mapping: { cut: { value: WATCHED } }, ${window} }\n`,
  );
  [azurite, hub, simulator] = await Promise.all([
    startAzurite(),
    startEventHubsEmulatorProcess([{ name: 'runs', partitions: 2, consumerGroups: ['test'] }]),
    startSqlSimulatorProcess(),
  ]);
  const { user, password, database } = sqlSimulatorLogin;
  sql = new Connection({
    server: simulator.host,
    authentication: { type: 'default', options: { userName: user, password } },
    options: { port: simulator.port, database, encrypt: false, trustServerCertificate: true },
  });
  await new Promise<void>((resolve, reject) => {
    sql.connect((error) => (error ? reject(error) : resolve()));
  });
  for (const batch of readFileSync(schema, 'utf8').split(/^GO\s*$/m)) if (batch.trim() !== '') await query(batch);
  await query(`INSERT INTO xva.NettingSet (Book, NettingSetId, Counterparty) VALUES (N'RATES', N'NS_A', N'ALDER')`);
  await query(
    `INSERT INTO xva.Trade (Book, TradeId, NettingSetId, TradeType, Terms) VALUES (N'RATES', N'T1', N'NS_A', N'FxForward', N'{"boughtAmount":"1000000"}')`,
  );
  await query(
    `INSERT INTO xva.Quote (AsOf, Cut, Scenario, QuoteKey, QuoteValue) VALUES ('2026-09-30', N'EOD', N'BASE', N'FX/RATE/EUR/USD', 1.1)`,
  );
  listen();
}, 60_000);

afterAll(async () => {
  for (const child of children) child.kill('SIGKILL');
  await consumer.close();
  sql.close();
  await Promise.all([azurite.stop(), hub.stop(), simulator.stop()]);
  rmSync(folder, { recursive: true, force: true });
});

describe('the integrator as a process', () => {
  it('has all that it needs', async () => {
    const { code, out } = await ended(start(['check']));
    const { checks } = JSON.parse(out) as { checks: { name: string; ok: boolean; detail: string }[] };
    expect(checks.filter(({ ok }) => !ok)).toEqual([]);
    expect(checks.map(({ name }) => name)).toContain('run-requests: claim');
    expect(code).toBe(0);
  });

  it('turns a row into a frozen request and an event, fast while hot, and stops when told to', async () => {
    const child = start(['run']);
    const end = ended(child);
    const ready = await new Promise<{ endpoints: { ops: string } }>((resolve) => {
      createInterface({ input: child.stdout }).once('line', (line) =>
        resolve(JSON.parse(line) as { endpoints: { ops: string } }),
      );
    });
    await until('ready', async () => ((await fetch(`${ready.endpoints.ops}/readyz`)).ok ? true : undefined));
    const first = await insertRow(1);
    const [event] = await until('the first event', () => (ofRevision(1).length > 0 ? ofRevision(1) : undefined));
    const [container, blob] = event!.data.requestBlob.split('/');
    const stored = await new BlobAccount({ connectionString: azurite.connectionString })
      .container(container!)
      .get(blob!);
    expect(sha256Hex(stored!.bytes)).toBe(event!.data.requestSha256);
    const request = frozenRequestSchema.parse(JSON.parse(stored!.bytes.toString('utf8')));
    expect(request).toMatchObject({
      eventId: event!.id,
      settings: { samples: 50, quantile: '0.95', strict: false },
      trades: [{ tradeId: 'T1', terms: { boughtAmount: '1000000' } }],
      quotes: [{ key: 'FX/RATE/EUR/USD', value: '1.1' }],
    });
    expect(stored!.metadata).toMatchObject({
      xva_class: 'request',
      xva_event_id: event!.id,
      xva_run_id: event!.data.runId,
    });
    expect(event!.traceparent.slice(3, 35)).toBe(trace.slice(3, 35));
    const published = async (requestId: string) => ((await rowOf(requestId))['Status'] === 2 ? true : undefined);
    await until('the row is published', () => published(first));
    expect((await rowOf(first))['EventId']).toBe(event!.id);

    const bad = await insertRow(2, { Samples: '0', BaseCurrency: `N'euro'` });
    await until('the bad row is put aside', async () => ((await rowOf(bad))['Status'] === 9 ? true : undefined));
    expect((await rowOf(bad))['LastError']).toMatch(/BaseCurrency \(baseCurrency\).*Samples \(samples\)/);

    const times: number[] = [];
    for (let revision = 10; revision < 20; revision += 1) {
      const started = performance.now();
      await insertRow(revision);
      await until(`revision ${revision}`, () => (ofRevision(revision).length > 0 ? true : undefined));
      times.push(performance.now() - started);
    }
    // Generous for a busy machine; the benchmark has the figures.
    expect(times.sort((a, b) => a - b)[5]).toBeLessThan(1_000);
    const metrics = await (await fetch(`${ready.endpoints.ops}/metrics`)).text();
    expect(metrics).toMatch(/xva_integrator_rows_total\{definition="run-requests",outcome="published"\} 11/);
    child.kill('SIGTERM');
    const { code, log } = await end;
    expect({ code, log: log.includes('grace time is over') }).toEqual({ code: 0, log: false });
  });

  it('explains without effect', async () => {
    const requestId = await insertRow(30, { NotBefore: 'DATEADD(hour, 1, SYSUTCDATETIME())' });
    const { out, code } = await ended(start(['explain']));
    const lines = out
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as { requestId: string; fires: boolean; state: string });
    expect(lines.find((line) => line.requestId === requestId)).toMatchObject({ fires: false, state: 'waits' });
    expect(lines.map((line) => line.state)).toContain('poison');
    expect(code).toBe(0);
    expect((await rowOf(requestId))['Attempts']).toBe(0);
    await query(`UPDATE xva.RunRequest SET Status = 9 WHERE RequestId = ${requestId}`);
  });

  it('killed at every point, loses nothing and doubles nothing in effect', async () => {
    for (const index of crashPoints.keys()) await insertRow(100 + index);
    // One row per claim: each process has one of its own when it dies.
    const one = { XVA_DEFINITIONS_FILE: join(folder, 'one-by-one.yaml') };
    const crashes = crashPoints.map((point) => once({ ...one, XVA_CRASH_AT: point, XVA_WORKER_NAME: point }));
    for (const crash of await Promise.all(crashes)) expect(crash).toMatchObject({ signal: 'SIGKILL' });
    const left = await query(
      'SELECT Revision, Status, LeaseOwner FROM xva.RunRequest WHERE Revision BETWEEN 100 AND 104',
    );
    expect(new Set(left.map((row) => row['LeaseOwner']))).toEqual(new Set(crashPoints));
    for (const { Status, LeaseOwner } of left) expect(Status).toBe(LeaseOwner === 'completed' ? 2 : 1);
    await query('UPDATE xva.RunRequest SET LockedUntil = SYSUTCDATETIME() WHERE Status = 1');
    // The tables change meanwhile: what was frozen before counts.
    await query('UPDATE xva.Quote SET QuoteValue = 2');
    expect(await once()).toMatchObject({ code: 0 });
    for (const { LeaseOwner: point, Revision } of left) {
      const sent = (): readonly RunEvent[] => ofRevision(Number(Revision));
      const events = await until(String(point), () => (sent().length > 0 ? sent() : undefined));
      const [row] = await query(`SELECT Status, EventId FROM xva.RunRequest WHERE Revision = ${Number(Revision)}`);
      expect({ point, ...row }).toEqual({ point, Status: 2, EventId: events[0]!.id });
      expect(new Set(events.map(({ id, data }) => `${id} ${data.requestSha256} ${data.runId}`)).size).toBe(1);
    }
  });

  it('only reads, with its cursor in the ledger: killed on the way, it goes on where it stood', async () => {
    const env = {
      XVA_DEFINITIONS_FILE: join(folder, 'read-only.yaml'),
      XVA_LEDGER_CONNECTION_STRING: azurite.connectionString,
    };
    const none = await once({ XVA_DEFINITIONS_FILE: join(folder, 'read-only.yaml') });
    expect(none).toMatchObject({ code: 3, log: expect.stringContaining('watched keep their cursor in the ledger') });
    const before = await query('SELECT RequestId, Status FROM xva.RunRequest');
    for (const point of ['rows-begun', 'published', 'cursor-moved']) {
      expect(await once({ ...env, XVA_CRASH_AT: point })).toMatchObject({ signal: 'SIGKILL' });
    }
    expect(await once(env)).toMatchObject({ code: 0 });
    const watched = () => received.filter(({ data }) => data.requestKey.cut === 'WATCHED');
    // Rows that are poison in the other mode ask for nothing here either.
    const valid = before.length - 1;
    await until('all rows', () => (new Set(watched().map(({ id }) => id)).size >= valid ? true : undefined));
    expect(new Set(watched().map(({ id }) => id)).size).toBe(valid);
    expect(new Set(watched().map(({ data }) => data.requestKey.revision)).size).toBe(valid);
    // The table was not written to.
    expect(await query('SELECT RequestId, Status FROM xva.RunRequest')).toEqual(before);
    const status = await ended(start(['status'], env));
    expect(status.out).toContain('"state":"follow, led by nobody"');
    // What is new would fire; asking changes nothing, neither in the table nor in the ledger.
    const fresh = await insertRow(40);
    const explain = async () =>
      (await ended(start(['explain'], env))).out
        .trim()
        .split('\n')
        .map(
          (line) => JSON.parse(line) as { requestId: string; fires: boolean; state: string; eventId: string | null },
        );
    const explained = await explain();
    const firing = explained.filter(({ fires }) => fires);
    expect(firing).toMatchObject([{ state: 'due', requestId: expect.stringContaining('"WATCHED","BASE","40"') }]);
    expect(explained.filter(({ state }) => state === 'known')).toHaveLength(valid);
    const ids = new Set(watched().map(({ id }) => id));
    for (const one of explained.filter(({ state }) => state === 'known')) expect(ids).toContain(one.eventId);
    expect(await explain()).toEqual(explained);
    expect(ids).not.toContain(firing[0]?.eventId);
    expect(await once(env)).toMatchObject({ code: 0 });
    await until('the new row', () => watched().find(({ id }) => id === firing[0]?.eventId));
    await query(`UPDATE xva.RunRequest SET Status = 2 WHERE RequestId = ${fresh}`);
    // Replaying publishes the same events again, under the same ids.
    const replay = ['replay', '--from', '2026-09-30', '--to', '2026-09-30'];
    const dry = await ended(start(replay, env));
    expect(dry.out.trim().split('\n')).toHaveLength(valid + 1);
    const count = watched().length;
    expect(await ended(start([...replay, '--execute'], env))).toMatchObject({ code: 0 });
    await until('the events again', () => (watched().length >= count + valid + 1 ? true : undefined));
    expect(new Set(watched().map(({ id }) => id)).size).toBe(valid + 1);
    expect(await ended(start(['replay', '--from', '2026-13-01', '--to', '2026-09-30'], env))).toMatchObject({
      code: 2,
    });
  });

  it('gives rows back while the hub is down, without counting, and sends them once it is up', async () => {
    const requestId = await insertRow(200);
    await hub.kill();
    const down = await once({ XVA_HUB_TRY_TIMEOUT_MS: '500' });
    expect(down.code).toBe(4);
    expect(await rowOf(requestId)).toMatchObject({ Status: 0, Attempts: 0 });
    expect((await rowOf(requestId))['LastError']).toContain('Event Hubs');
    await hub.restart();
    // The test's own client would take its time to find out.
    void consumer.close();
    listen();
    await query('UPDATE xva.RunRequest SET NotBefore = SYSUTCDATETIME() WHERE Status = 0');
    expect(await once()).toMatchObject({ code: 0 });
    expect(await rowOf(requestId)).toMatchObject({ Status: 2 });
    await until('the event', () => (ofRevision(200).length > 0 ? true : undefined));
  });
});
