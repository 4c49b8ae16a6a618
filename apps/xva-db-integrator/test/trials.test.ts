import { randomUUID } from 'node:crypto';
import { HubError } from '@xva/azure-event-hubs';
import { StorageError } from '@xva/azure-storage';
import { frozenRequestSchema } from '@xva/contracts';
import { crashPoints, pollOnce, type DetectDeps } from '@xva/flow-detect';
import { silentLogger, systemClock } from '@xva/runtime';
import {
  openWatch,
  OutboxSource,
  parseDefinitions,
  sessionSql,
  SqlConnection,
  SqlPool,
  watchCrashPoints,
  type PollingDefinition,
} from '@xva/sql-polling';
import {
  FakePublisher,
  FakeRequestStore,
  sqlSimulatorLogin,
  startSqlSimulatorProcess,
  trialBook,
  type SqlSimulatorProcess,
} from '@xva/testkit';
import { blame } from '../src/adapters.ts';
import { applySchema, openSql, type TestSql } from './sql.ts';
import { FakeDetectionStore } from './watch-model.ts';

const book = trialBook(
  'Trials of the integrator',
  'docs/trials/integrator.md',
  'apps/xva-db-integrator/test/trials.test.ts',
);
const modes = ['outbox', 'rowversion', 'changeTracking', 'query'] as const;
type Mode = (typeof modes)[number];
const condition = `SELECT Book, CONVERT(varchar(10), AsOf, 23) AS AsOf, Cut, Scenario, Revision, BaseCurrency, Samples, Seed, CONVERT(varchar(42), Quantile) AS Quantile, DvaName, GridTenors, Strict, Priority, Traceparent FROM xva.RunRequest`;

let simulator: SqlSimulatorProcess;
let sql: TestSql;

beforeAll(async () => {
  simulator = await startSqlSimulatorProcess();
  sql = await openSql(simulator);
  await applySchema(sql);
  await sql.run(`ALTER DATABASE CURRENT SET CHANGE_TRACKING = ON; `);
  await sql.run('ALTER TABLE xva.RunRequest ENABLE CHANGE_TRACKING');
  await sql.run(`INSERT INTO xva.NettingSet (Book, NettingSetId, Counterparty) VALUES (N'RATES', N'NS_A', N'ALDER')`);
  await sql.run(
    `INSERT INTO xva.Trade (Book, TradeId, NettingSetId, TradeType, Terms) VALUES (N'RATES', N'T1', N'NS_A', N'FxForward', N'{"boughtAmount":"1000000"}')`,
  );
  await sql.run(
    `INSERT INTO xva.Quote (AsOf, Cut, Scenario, QuoteKey, QuoteValue) VALUES ('2026-09-30', N'EOD', N'BASE', N'FX/RATE/EUR/USD', 1.1)`,
  );
}, 60_000);

afterAll(async () => {
  sql.close();
  await simulator.stop();
});

beforeEach(async () => {
  await simulator.clearFaults();
  await sql.run('DELETE FROM xva.RunRequest');
});

/** Ends a worker where a kill would: nothing after this call ever happens, and nobody gets an answer. */
class Killed extends Promise<never> {}

/** One setting of everything around the detect flow, with workers that come and go. */
class Stage {
  readonly requests = new FakeRequestStore();
  readonly publisher = new FakePublisher();
  readonly state = new FakeDetectionStore();
  readonly #mode: Mode;
  readonly #pools: SqlPool[] = [];
  nowMs = 0;

  constructor(mode: Mode) {
    this.#mode = mode;
  }

  #definition(more: string): PollingDefinition {
    const own =
      this.#mode === 'outbox' ? '' : `, start: beginning${this.#mode === 'query' ? `, sql: "${condition}"` : ''}`;
    const text = `version: 1\ndefinitions:\n  - { name: tried, mode: ${this.#mode}${own}, leaseSeconds: 2, maxAttempts: 50${more} }\n`;
    const [definition] = parseDefinitions(text, 'trial.yaml');
    if (definition === undefined) throw new Error('no definition');
    return definition;
  }

  /** A worker; `dieAt` names the point where it is killed. */
  worker(options: { dieAt?: string; more?: string; change?: (deps: DetectDeps) => DetectDeps } = {}) {
    const pool = new SqlPool(
      () =>
        SqlConnection.connect({
          ...sqlSimulatorLogin,
          host: simulator.host,
          port: simulator.port,
          encrypt: 'false',
          trustServerCertificate: false,
          connectTimeoutMs: 5_000,
          requestTimeoutMs: 500,
          deadlineMs: 2_000,
          sessionSql: sessionSql(500),
          appName: 'trial',
        }),
      3,
    );
    this.#pools.push(pool);
    let die: () => void = () => undefined;
    const death = new Promise<'dead'>((resolve) => {
      die = () => resolve('dead');
    });
    const crashPoint = (point: string): void => {
      if (point !== options.dieAt) return;
      die();
      throw Object.assign(new Error('killed'), { killed: true });
    };
    const definition = this.#definition(options.more ?? '');
    const source =
      definition.mode === 'outbox'
        ? new OutboxSource({ runner: pool, definition, owner: 'trial', newToken: randomUUID, logger: silentLogger })
        : openWatch({
            runner: pool,
            definition,
            store: this.state,
            name: randomUUID(),
            now: () => new Date('2026-09-30T18:00:00Z'),
            today: () => '2026-09-30',
            monotonicMs: () => this.nowMs,
            logger: silentLogger,
            crashPoint,
          });
    const deps: DetectDeps = {
      definition: 'tried',
      source: source,
      store: this.requests,
      publisher: this.publisher,
      clock: systemClock,
      random: () => 0,
      logger: silentLogger,
      leaseMs: 60_000,
      blame,
      crashPoint,
    };
    const used = options.change === undefined ? deps : options.change(deps);
    // What a killed worker would still do to the table, it does not: its calls after the point stay open.
    const guarded = options.dieAt === undefined ? used : silenced(used, death);
    return { deps: guarded, death };
  }

  async poll(deps: DetectDeps, death?: Promise<'dead'>): Promise<void> {
    const polling = pollOnce(deps, { limit: 10, concurrency: 1, stopTaking: new AbortController().signal });
    await (death === undefined ? polling : Promise.race([polling, death]));
  }

  /** Fresh workers until every row's event is out, with leases running out in between. */
  async settle(revisions: readonly number[]): Promise<void> {
    const { deps } = this.worker();
    for (let turn = 0; turn < 30 && !revisions.every((one) => this.idsOf(one).length > 0); turn += 1) {
      await sql.run(
        'UPDATE xva.RunRequest SET LockedUntil = SYSUTCDATETIME(), NotBefore = SYSUTCDATETIME() WHERE Status < 2',
      );
      this.nowMs += 100_000;
      await this.poll(deps);
    }
  }

  /** The different events of a row. */
  idsOf(revision: number): readonly string[] {
    const events = this.publisher.events.filter(({ event }) => event.data.requestKey.revision === revision);
    return [...new Set(events.map(({ event }) => event.id))];
  }

  /** One sentence on rows that should each have come out as one event. */
  verdict(revisions: readonly number[]): string {
    const counts = revisions.map((one) => this.idsOf(one).length);
    for (const one of revisions) {
      const [id = ''] = this.idsOf(one);
      const bytes = this.requests.blobs.get(id);
      frozenRequestSchema.parse(JSON.parse(Buffer.from(bytes ?? '{}').toString()));
    }
    if (!counts.every((count) => count === 1)) return `events per row: ${counts.join(', ')}`;
    return 'every row came out as one event';
  }

  close(): void {
    for (const pool of this.#pools) pool.terminate();
  }
}

function silenced(deps: DetectDeps, death: Promise<'dead'>): DetectDeps {
  let dead = false;
  void death.then(() => (dead = true));
  const silence = <T extends object>(target: T): T =>
    new Proxy(target, {
      get: (object, name) => {
        const member: unknown = Reflect.get(object, name);
        if (typeof member !== 'function') return member;
        return (...args: unknown[]) =>
          dead ? new Killed(() => undefined) : (Reflect.apply(member, object, args) as unknown);
      },
    });
  return { ...deps, source: silence(deps.source), store: silence(deps.store), publisher: silence(deps.publisher) };
}

let revision = 0;
async function insert(count = 1): Promise<readonly number[]> {
  const revisions = Array.from({ length: count }, () => (revision += 1));
  for (const one of revisions) {
    await sql.run(
      `INSERT INTO xva.RunRequest (Book, AsOf, Cut, Scenario, Revision, BaseCurrency, Samples, Seed, Quantile, DvaName) VALUES (N'RATES', '2026-09-30', N'EOD', N'BASE', ${one}, N'EUR', 50, 42, 0.95, N'LAB_BANK')`,
    );
  }
  return revisions;
}

describe.each(modes)('killed anywhere, mode %s', (mode) => {
  const points =
    mode === 'outbox' ? crashPoints : [...watchCrashPoints.filter((one) => one !== 'gap-noted'), ...crashPoints];
  it.each([...points])('at %s', async (point) => {
    const stage = new Stage(mode);
    const revisions = await insert(2);
    const { deps, death } = stage.worker({ dieAt: point });
    await stage.poll(deps, death);
    // Some points lie behind the first poll.
    await stage.poll(deps, death);
    await expect(Promise.race([death, Promise.resolve('alive')])).resolves.toBe('dead');
    await stage.settle(revisions);
    const observed = stage.verdict(revisions);
    stage.close();
    book.record({ section: 'crash points', name: `${mode}: killed at ${point}`, observed });
    expect(observed).toBe('every row came out as one event');
  });
});

const sqlFaults = [
  ['deadlock victim (1205)', { kind: 'error', number: 1205 }],
  ['lock timeout (1222)', { kind: 'error', number: 1222 }],
  ['database is failing over (40613)', { kind: 'error', number: 40613 }],
  ['too many requests (10928)', { kind: 'error', number: 10928 }],
  ['service busy (40501)', { kind: 'error', number: 40501 }],
  ['connection dropped', { kind: 'drop' }],
  ['connection dropped in the middle of a result', { kind: 'dropMidResult', rows: 1 }],
  ['no answer within the time', { kind: 'latency', ms: 700 }],
] as const;

describe.each(['outbox', 'rowversion'] as const)('faults of the database, mode %s', (mode) => {
  const cells = sqlFaults.flatMap(([name, action]) =>
    (['before', 'after'] as const)
      .filter((when) => when === 'before' || (action.kind === 'drop' && mode === 'outbox'))
      .map(
        (when) => [`${name}${when === 'after' ? ', when the statement had its effect' : ''}`, action, when] as const,
      ),
  );
  it.each(cells)('%s', async (name, action, when) => {
    const stage = new Stage(mode);
    const revisions = await insert(2);
    const { deps } = stage.worker();
    const kinds = mode === 'outbox' ? ['update', 'query'] : ['query'];
    for (const kind of kinds) {
      const after = when === 'after' ? { after: true } : {};
      await simulator.arm({ point: 'statement', match: { kind }, times: 2, action: { ...action, ...after } });
    }
    for (let turn = 0; turn < 3; turn += 1) await stage.poll(deps);
    await simulator.clearFaults();
    await stage.settle(revisions);
    const observed = stage.verdict(revisions);
    stage.close();
    book.record({ section: 'faults', name: `${mode}: ${name}`, observed });
    expect(observed).toBe('every row came out as one event');
    const rows = await sql.run('SELECT Status, Attempts FROM xva.RunRequest WHERE Status = 9');
    // Nothing of this was the rows' fault.
    expect(rows).toEqual([]);
  });
});

const outside: readonly (readonly [string, (deps: DetectDeps, failures: { left: number }) => DetectDeps])[] = [
  [
    'the hub is busy',
    (deps, failures) => ({
      ...deps,
      publisher: {
        publish: (events, key) => {
          if ((failures.left -= 1) >= 0)
            return Promise.reject(new HubError('ServerBusyError', 'transient', 'the server is busy'));
          return deps.publisher.publish(events, key);
        },
      },
    }),
  ],
  [
    'the hub took the event, and its answer was lost',
    (deps, failures) => ({
      ...deps,
      publisher: {
        publish: async (events, key) => {
          await deps.publisher.publish(events, key);
          if ((failures.left -= 1) >= 0) throw Object.assign(new Error('lost'), { retryable: true });
        },
      },
    }),
  ],
  [
    'Storage does not answer',
    (deps, failures) => ({
      ...deps,
      store: {
        ...deps.store,
        get: (id) => deps.store.get(id),
        putIfAbsent: (id, bytes, labels) => {
          if ((failures.left -= 1) >= 0)
            return Promise.reject(new StorageError('requests', 'NoAnswer', 0, 'no answer'));
          return deps.store.putIfAbsent(id, bytes, labels);
        },
      },
    }),
  ],
  [
    'Storage took the request, and its answer was lost',
    (deps, failures) => ({
      ...deps,
      store: {
        get: (id) => deps.store.get(id),
        putIfAbsent: async (id, bytes, labels) => {
          const put = await deps.store.putIfAbsent(id, bytes, labels);
          if ((failures.left -= 1) >= 0) throw new StorageError('requests', 'NoAnswer', 0, 'no answer');
          return put;
        },
      },
    }),
  ],
];

describe.each(modes)('faults around it, mode %s', (mode) => {
  it.each(outside.map(([name, change]) => [name, change] as const))('%s', async (name, change) => {
    const stage = new Stage(mode);
    const revisions = await insert(2);
    const failures = { left: 3 };
    const { deps } = stage.worker({ change: (one) => change(one, failures) });
    await stage.poll(deps);
    await stage.settle(revisions);
    const observed = stage.verdict(revisions);
    stage.close();
    book.record({ section: 'faults', name: `${mode}: ${name}`, observed });
    expect(observed).toBe('every row came out as one event');
  });
});

const hostile: readonly (readonly [string, string])[] = [
  ['a table named `x]; DROP TABLE xva.Trade--`', `mode: outbox, table: "x]; DROP TABLE xva.Trade--"`],
  ['a column named `A] = 1 OR 1=1--`', `mode: outbox, columns: { status: "A] = 1 OR 1=1--" }`],
  ['a condition of two statements', `mode: query, start: now, sql: "SELECT 1; DROP TABLE xva.Trade"`],
  ['a condition that is no SELECT', `mode: query, start: now, sql: "DELETE FROM xva.Trade"`],
  [
    'a condition with a parameter nobody binds',
    `mode: query, start: now, sql: "SELECT @@VERSION AS v WHERE @evil = 1"`,
  ],
  [
    'a detail query with WAITFOR behind it',
    `mode: outbox, details: { quotes: { sql: "SELECT 1;WAITFOR DELAY '00:10:00'" } }`,
  ],
  ['a condition of two statements, no semicolon', `mode: query, start: now, sql: "SELECT 1 AS a DROP TABLE xva.Trade"`],
  [
    'a condition that writes under a WITH',
    `mode: query, start: now, sql: "WITH t AS (SELECT 1 AS a) DELETE FROM xva.Trade"`,
  ],
  ['a condition that makes a table', `mode: query, start: now, sql: "SELECT 1 AS a INTO xva.Copy"`],
  ['a condition whose comment has no end', `mode: query, start: now, sql: "SELECT 1 AS a /* "`],
  [
    'a detail query with WAITFOR behind it, no semicolon',
    `mode: outbox, details: { quotes: { sql: "SELECT 1 AS [key] WAITFOR DELAY '00:10:00'" } }`,
  ],
  ['an unknown time zone', `mode: outbox, schedule: { cron: "* * * * *", timezone: "Mars/Base" }`],
  ['a cron that never comes', `mode: outbox, schedule: { cron: "0 0 31 2 *" }`],
  ['a mode nobody has', `mode: cdc`],
  ['a name that would break an id', `name: "../../x", mode: outbox`],
];

describe('hostile definitions', () => {
  it.each(hostile)('%s', (name, text) => {
    const own = text.startsWith('name:') ? text : `name: tried, ${text}`;
    let observed = 'was taken';
    try {
      parseDefinitions(`version: 1\ndefinitions:\n  - { ${own} }\n`, 'hostile.yaml');
    } catch (error) {
      observed = `refused: ${(error as { issues: readonly { path: string }[] }).issues.map(({ path }) => path).join(', ')}`;
    }
    book.record({ section: 'hostile inputs', name, observed });
    expect(observed).toMatch(/^refused: definitions\[0\]/);
  });
});

const rows: readonly (readonly [string, Readonly<Record<string, string>>])[] = [
  ['a book named with quotes, line breaks and a terminal escape', { Book: `N'R'';--' + CHAR(10) + CHAR(27) + N'[2J'` }],
  ['a scenario of 64 astral characters', { Scenario: `REPLICATE(N'😀', 32)` }],
  ['samples below one', { Samples: '0' }],
  ['a quantile of one', { Quantile: '1' }],
  ['a currency that is none', { BaseCurrency: `N'euro'` }],
  ['grid tenors of 4,000 characters', { GridTenors: `REPLICATE(N'1W,', 1333)` }],
];

describe('hostile rows', () => {
  it.each(rows)('%s', async (name, change) => {
    const stage = new Stage('outbox');
    const values: Readonly<Record<string, string>> = {
      Book: `N'RATES'`,
      AsOf: `'2026-09-30'`,
      Cut: `N'EOD'`,
      Scenario: `N'BASE'`,
      Revision: String((revision += 1)),
      BaseCurrency: `N'EUR'`,
      Samples: '50',
      Seed: '42',
      Quantile: '0.95',
      DvaName: `N'LAB_BANK'`,
      ...change,
    };
    await sql.run(
      `INSERT INTO xva.RunRequest (${Object.keys(values).join(', ')}) VALUES (${Object.values(values).join(', ')})`,
    );
    const good = await insert(1);
    await stage.poll(stage.worker().deps);
    const [row] = await sql.run(
      `SELECT Status, LastError FROM xva.RunRequest WHERE Revision = ${values['Revision'] ?? ''}`,
    );
    const status = Number(row?.['Status']);
    const observed = status === 9 ? 'put aside, the column named; the row beside it went through' : 'went through';
    expect(stage.verdict(good)).toBe('every row came out as one event');
    stage.close();
    book.record({ section: 'hostile inputs', name, observed });
    if (status === 9) expect(String(row?.['LastError'])).toMatch(/Book|Scenario|Samples|Quantile|BaseCurrency|Grid/);
    else expect(status).toBe(2);
  });
});

describe('the page', () => {
  it('says what was tried', () => book.close());
});
