import { requestSourceContract, type RequestSourceHarness, type TableRow } from '@xva/testkit';
import { SqlConnection, SqlError, SqlPool, type SqlRunner } from '../src/index.ts';
import { definitionOf, emptyTables, insertRow, openPool, sourceOn } from './outbox-kit.ts';
import { openTarget, type RawSql, type Target } from './target.ts';

let target: Target;
let raw: RawSql;

beforeAll(async () => {
  target = await openTarget();
  raw = await target.connect();
}, 60_000);

afterAll(async () => {
  raw.close();
  await target.stop();
});

describe('a row that nobody can read', () => {
  it('is put aside by name and holds up none of those that were claimed with it, nor explain or backfill', async () => {
    await emptyTables(raw);
    const pool = openPool(target);
    const definition = definitionOf(', mapping: { asOf: { businessDaysBack: 1, calendars: [TARGET] } }');
    const source = sourceOn(pool, definition);
    const bad = await insertRow(pool, { revision: 1 });
    const good = await insertRow(pool, { revision: 2 });
    await raw.run(`UPDATE xva.RunRequest SET CreatedAt = '2001-01-02' WHERE RequestId = ${bad}`);
    const explained = await source.explain(10);
    expect(explained.map(({ requestId, state }) => [requestId, state])).toEqual([
      [bad, 'unreadable'],
      [good, 'due'],
    ]);
    const { claimed, poisoned } = await source.claim(10);
    expect(claimed.map(({ requestId }) => requestId)).toEqual([good]);
    expect(poisoned).toEqual([{ requestId: bad, reason: expect.stringContaining('TARGET knows the years 2010') }]);
    const [row] = await raw.run(`SELECT Status, LastError FROM xva.RunRequest WHERE RequestId = ${bad}`);
    expect(row).toMatchObject({ Status: 9, LastError: expect.stringContaining('not 2001-01-0') });
    expect((await source.explain(10)).find(({ requestId }) => requestId === bad)?.state).toBe('poison');
    expect(await source.backfill({ from: '1990-01-01', to: '2045-01-01' }, true)).toEqual([]);
    pool.close();
  });
});

const states = { 0: 'new', 1: 'claimed', 2: 'published', 9: 'poison' } as const;

async function openHarness(): Promise<RequestSourceHarness> {
  await emptyTables(raw);
  const pool = openPool(target);
  return {
    source: () => sourceOn(pool),
    insert: (fields) => insertRow(pool, fields),
    row: async (requestId): Promise<TableRow | undefined> => {
      const [row] = await raw.run(
        `SELECT Status, Attempts, LastError, EventId FROM xva.RunRequest WHERE RequestId = ${requestId}`,
      );
      if (row === undefined) return undefined;
      return {
        requestId,
        status: states[row['Status'] as keyof typeof states],
        attempts: row['Attempts'] as number,
        lastError: row['LastError'] as string | null,
        eventId: row['EventId'] as string | null,
      };
    },
    expireLeases: async () => {
      await raw.run('UPDATE xva.RunRequest SET LockedUntil = DATEADD(second, -1, SYSUTCDATETIME()) WHERE Status = 1');
    },
    endRests: async () => {
      await raw.run('UPDATE xva.RunRequest SET NotBefore = SYSUTCDATETIME() WHERE Status = 0');
    },
    close: () => Promise.resolve(pool.close()),
  };
}

requestSourceContract('the request table over tedious', openHarness);

describe('the request table', () => {
  let pool: SqlPool;
  beforeEach(async () => {
    await emptyTables(raw);
    pool = openPool(target);
  });
  afterEach(() => pool.close());

  it('carries values to the last digit, and text of any length', async () => {
    const terms = JSON.stringify({ note: 'ação €𝄞 '.repeat(3_000) });
    await raw.run(`INSERT INTO xva.Quote (AsOf, Cut, Scenario, QuoteKey, QuoteValue) VALUES
      ('2026-09-30', N'EOD', N'BASE', N'A', 1234567890123456.123456789012),
      ('2026-09-30', N'EOD', N'BASE', N'B', -0.000000000001),
      ('2026-09-30', N'EOD', N'BASE', N'C', 100),
      ('2026-09-30', N'NY', N'BASE', N'D', 1),
      ('2026-09-29', N'EOD', N'BASE', N'E', 1)`);
    await raw.run(
      `INSERT INTO xva.Fixing (IndexName, FixingDate, FixingValue) VALUES (N'X', '2026-10-01', 1), (N'X', '2025-08-01', 2)`,
    );
    await raw.run(`UPDATE xva.Trade SET Terms = N'${terms}'`);
    await raw.run(`UPDATE xva.NettingSet SET Csa = N'{"currency":"EUR"}'`);
    await insertRow(pool, { quantile: '0.999999999999999999' });
    const source = sourceOn(pool);
    const { claimed } = await source.claim(1);
    expect(claimed[0]!.row.fields.quantile).toBe('0.999999999999999999');
    const read = await source.readDetails(claimed[0]!);
    if (read.outcome !== 'read') throw new Error(read.outcome);
    expect(Object.fromEntries(read.details.quotes.map(({ key, value }) => [key, value]))).toEqual({
      'FX/RATE/EUR/USD': '1.1',
      A: '1234567890123456.123456789012',
      B: '-0.000000000001',
      C: '100',
    });
    expect(read.details.fixings).toEqual([{ index: 'EUR-ESTER', date: '2026-09-29', value: '0.0193' }]);
    expect(read.details.trades[0]!.terms).toBe(terms);
    expect(read.details.nettingSets[0]!.csa).toBe('{"currency":"EUR"}');
    expect(read.consistency).toBe('snapshot');
  });

  it('skips a row that another transaction holds, without waiting', async () => {
    const held = await insertRow(pool);
    const free = await insertRow(pool, { revision: 2 });
    const other = await target.connect();
    await other.run(`BEGIN TRANSACTION; UPDATE xva.RunRequest SET Samples = Samples WHERE RequestId = ${held}`);
    const source = sourceOn(pool);
    expect((await source.claim(10)).claimed.map((row) => row.requestId)).toEqual([free]);
    await other.run('ROLLBACK TRANSACTION');
    other.close();
    expect((await source.claim(10)).claimed.map((row) => row.requestId)).toEqual([held]);
  });

  it('reads details in one instant beside a writer that is half done', async () => {
    await insertRow(pool);
    const source = sourceOn(pool);
    const { claimed } = await source.claim(1);
    const writer = await target.connect();
    await writer.run(`BEGIN TRANSACTION; UPDATE xva.Quote SET QuoteValue = 9; DELETE FROM xva.Trade`);
    const read = await source.readDetails(claimed[0]!);
    await writer.run('ROLLBACK TRANSACTION');
    writer.close();
    expect(read).toMatchObject({
      outcome: 'read',
      details: { quotes: [{ value: '1.1' }], trades: [{ tradeId: 'T1' }] },
    });
  });

  it('reads serializable where snapshots are not allowed, and notices when that changes', async () => {
    await insertRow(pool);
    await insertRow(pool, { revision: 2 });
    const source = sourceOn(pool);
    const { claimed } = await source.claim(2);
    expect(await source.readDetails(claimed[0]!)).toMatchObject({ consistency: 'snapshot' });
    await raw.run('ALTER DATABASE CURRENT SET ALLOW_SNAPSHOT_ISOLATION OFF');
    try {
      await expect(source.readDetails(claimed[0]!)).rejects.toMatchObject({ number: 3952 });
      const read = await source.readDetails(claimed[0]!);
      expect(read).toMatchObject({
        outcome: 'read',
        consistency: 'serializable',
        details: { trades: [{ tradeId: 'T1' }] },
      });
      expect(await source.checkConsistency()).toContain('SERIALIZABLE');
      // No lock outlives the read.
      await raw.run('UPDATE xva.Quote SET QuoteValue = QuoteValue');
      expect(await source.complete(claimed[0]!, 'e'.repeat(32))).toBe(true);
    } finally {
      await raw.run('ALTER DATABASE CURRENT SET ALLOW_SNAPSHOT_ISOLATION ON');
    }
  });

  it('says what the claim would make of each row, and changes none', async () => {
    const source = sourceOn(pool);
    const ids: Record<string, string> = {};
    for (const [index, name] of ['due', 'waits', 'leased', 'expired', 'poison', 'published'].entries()) {
      ids[name] = await insertRow(pool, { revision: index + 1 });
    }
    const set = (name: string, change: string) =>
      raw.run(`UPDATE xva.RunRequest SET ${change} WHERE RequestId = ${ids[name]!}`);
    await set('waits', `NotBefore = DATEADD(hour, 1, SYSUTCDATETIME())`);
    await set('leased', `Status = 1, LockedUntil = DATEADD(hour, 1, SYSUTCDATETIME()), LeaseOwner = N'somebody'`);
    await set('expired', `Status = 1, LockedUntil = DATEADD(hour, -1, SYSUTCDATETIME())`);
    await set('poison', `Status = 9, LastError = N'Samples: too small'`);
    await set('published', `Status = 2`);
    const before = await raw.run('SELECT COUNT(*) AS n FROM xva.RunRequest WHERE Attempts = 0');
    expect((await source.explain(10)).map(({ requestId, state }) => [requestId, state])).toEqual([
      [ids['due'], 'due'],
      [ids['waits'], 'waits'],
      [ids['leased'], 'leased'],
      [ids['expired'], 'lease-expired'],
      [ids['poison'], 'poison'],
    ]);
    expect(await raw.run('SELECT COUNT(*) AS n FROM xva.RunRequest WHERE Attempts = 0')).toEqual(before);
  });

  it('checks the claim by a statement of its form, which a table with a trigger refuses', async () => {
    const texts: string[] = [];
    const runner: SqlRunner = {
      query: (statement, values) => {
        texts.push(statement.sql);
        return pool.query(statement, values);
      },
    };
    await sourceOn(runner).checkWrite();
    expect(texts).toEqual([expect.stringMatching(/^UPDATE .* OUTPUT inserted\.\[RequestId\] WHERE 1 = 0$/)]);
    // The simulator has no triggers.
    if (target.simulator !== undefined) return;
    await raw.run('CREATE TRIGGER xva.TriedByTest ON xva.RunRequest AFTER UPDATE AS SET NOCOUNT ON');
    try {
      await expect(sourceOn(pool).checkWrite()).rejects.toMatchObject({ number: 334 });
    } finally {
      await raw.run('DROP TRIGGER xva.TriedByTest');
    }
  });

  it('checks rights and shape, and names what is missing', async () => {
    const source = sourceOn(pool);
    expect(await source.checkRead()).toContain('xva.Fixing');
    expect(await source.checkWrite()).toContain('xva.RunRequest');
    expect(await source.checkConsistency()).toContain('snapshot isolation is allowed');
    const missing = sourceOn(pool, definitionOf(', columns: { leaseOwner: NoSuchColumn }'));
    await expect(missing.checkRead()).rejects.toMatchObject({ kind: 'shape', number: 207 });
    await expect(missing.claim(1)).rejects.toThrow('NoSuchColumn');
    const nowhere = sourceOn(pool, definitionOf(', table: xva.NoSuchTable'));
    await expect(nowhere.checkRead()).rejects.toMatchObject({ kind: 'shape', number: 208 });
  });

  it('refuses a value column whose text is not the stored number', async () => {
    await raw.run(
      `IF OBJECT_ID(N'xva.FloatQuote', N'U') IS NULL CREATE TABLE xva.FloatQuote (AsOf date NOT NULL, Cut nvarchar(64) NOT NULL, Scenario nvarchar(64) NOT NULL, QuoteKey nvarchar(200) NOT NULL, QuoteValue float NOT NULL)`,
    );
    const source = sourceOn(pool, definitionOf(', details: { quotes: { table: xva.FloatQuote } }'));
    await expect(source.checkRead()).rejects.toThrow(/FloatQuote\.QuoteValue is Float/);
    const own = `{ quotes: { sql: "SELECT QuoteKey AS [key], QuoteValue AS [value] FROM xva.Quote WHERE AsOf = CONVERT(date, @asOf, 23)" } }`;
    await insertRow(pool);
    const bare = sourceOn(pool, definitionOf(`, details: ${own}`));
    const { claimed } = await bare.claim(1);
    expect(await bare.readDetails(claimed[0]!)).toMatchObject({
      outcome: 'unreadable',
      reason: expect.stringContaining('convert it to text'),
    });
  });

  it.each([
    [
      'two columns of one name',
      'trades',
      'SELECT TradeId AS [tradeId], TradeId AS [tradeId] FROM xva.Trade',
      'two columns are called "tradeId"',
    ],
    [
      'a missing column',
      'trades',
      'SELECT TradeId AS [tradeId] FROM xva.Trade',
      'has no column nettingSetId, tradeType, terms',
    ],
    ['a NULL key', 'quotes', "SELECT NULL AS [key], '1' AS [value] FROM xva.Quote", 'quotes.key: is NULL'],
  ])('a detail query with %s makes the request unreadable, by name', async (_what, name, sql, message) => {
    await insertRow(pool);
    const source = sourceOn(pool, definitionOf(`, details: { ${name}: { sql: ${JSON.stringify(sql)} } }`));
    const { claimed } = await source.claim(1);
    expect(await source.readDetails(claimed[0]!)).toMatchObject({
      outcome: 'unreadable',
      reason: expect.stringContaining(message),
    });
  });

  it('stops reading at the row limit, and works on', async () => {
    await insertRow(pool);
    const values = Array.from({ length: 50 }, (_, index) => `('2026-09-30', N'EOD', N'BASE', N'Q${index}', 1)`);
    await raw.run(`INSERT INTO xva.Quote (AsOf, Cut, Scenario, QuoteKey, QuoteValue) VALUES ${values.join(', ')}`);
    const source = sourceOn(pool, definitionOf(', maxDetailRows: 20'));
    const { claimed } = await source.claim(1);
    expect(await source.readDetails(claimed[0]!)).toMatchObject({
      outcome: 'unreadable',
      reason: expect.stringContaining('more than 20 rows'),
    });
    expect(await source.poison(claimed[0]!, 'too many')).toBe(true);
  });

  it('tells a lock that is not given in time', async () => {
    await insertRow(pool);
    const source = sourceOn(pool);
    const { claimed } = await source.claim(1);
    const other = await target.connect();
    await other.run(`BEGIN TRANSACTION; UPDATE xva.RunRequest SET Samples = Samples`);
    const error = await source.renew(claimed[0]!).catch((thrown: unknown) => thrown);
    await other.run('ROLLBACK TRANSACTION');
    other.close();
    expect(error).toBeInstanceOf(SqlError);
    expect(error).toMatchObject({ number: 1222, kind: 'lock-timeout', retryable: true, statement: 'renew' });
    expect(await source.renew(claimed[0]!)).toBe(true);
  });

  it('refuses a wrong password as what it is', async () => {
    const error = await SqlConnection.connect({ ...target.options, password: 'wrong-Password-1' }).catch(
      (thrown: unknown) => thrown,
    );
    expect(error).toMatchObject({ kind: 'login', number: 18456, retryable: false });
  });

  it('comes back after the server was killed, with every claim as it was', async () => {
    if (target.simulator === undefined) return;
    const requestId = await insertRow(pool);
    const source = sourceOn(pool);
    const { claimed } = await source.claim(1);
    raw.close();
    await target.simulator.crash();
    raw = await target.connect();
    const renew = async (): Promise<boolean> => source.renew(claimed[0]!);
    const first = await renew().catch((error: unknown) => error);
    if (first !== true) expect(first).toMatchObject({ kind: 'connection', retryable: true });
    expect(await renew()).toBe(true);
    expect(await source.complete(claimed[0]!, 'c'.repeat(32))).toBe(true);
    expect(await raw.run(`SELECT Status FROM xva.RunRequest WHERE RequestId = ${requestId}`)).toEqual([{ Status: 2 }]);
  });
});

/** Only where faults can be armed. */
const withFaults = process.env['MSSQL_URL'] === undefined ? describe : describe.skip;

withFaults('in trouble', () => {
  let pool: SqlPool;
  const caught = (promise: Promise<unknown>): Promise<unknown> => promise.catch((error: unknown) => error);
  const arm = (tag: string, action: Readonly<Record<string, unknown>>): Promise<void> =>
    target.simulator!.arm({ point: 'statement', match: { tag: `xva:${tag}` }, action });

  beforeEach(async () => {
    await emptyTables(raw);
    pool = openPool(target);
  });
  afterEach(async () => {
    pool.close();
    await target.simulator!.clearFaults();
  });

  it.each([
    [1205, 'deadlock'],
    [40613, 'failover'],
    [10928, 'throttled'],
    [40501, 'throttled'],
  ])('error %i of the claim is %s, and the next claim has the row', async (number, kind) => {
    const requestId = await insertRow(pool);
    const source = sourceOn(pool);
    await arm('claim', { kind: 'error', number });
    expect(await caught(source.claim(1))).toMatchObject({ number, kind, retryable: true, statement: 'claim' });
    expect((await source.claim(1)).claimed.map((row) => row.requestId)).toEqual([requestId]);
  });

  it('a claim whose answer is lost costs the lease, nothing more', async () => {
    const requestId = await insertRow(pool);
    const source = sourceOn(pool);
    await arm('claim', { kind: 'drop', after: true });
    expect(await caught(source.claim(1))).toMatchObject({ kind: 'connection', retryable: true });
    await raw.run('UPDATE xva.RunRequest SET LockedUntil = SYSUTCDATETIME() WHERE Status = 1');
    expect((await source.claim(1)).claimed.map((row) => row.requestId)).toEqual([requestId]);
  });

  it('a completion whose answer is lost can be repeated', async () => {
    await insertRow(pool);
    const source = sourceOn(pool);
    const { claimed } = await source.claim(1);
    await arm('complete', { kind: 'drop', after: true });
    expect(await caught(source.complete(claimed[0]!, 'd'.repeat(32)))).toMatchObject({ kind: 'connection' });
    expect(await source.complete(claimed[0]!, 'd'.repeat(32))).toBe(true);
  });

  it('a connection lost in the middle of a result gives no half of it', async () => {
    const values = Array.from({ length: 900 }, (_, index) => `('2026-09-30', N'EOD', N'BASE', N'Q${index}', 1)`);
    await raw.run(`INSERT INTO xva.Quote (AsOf, Cut, Scenario, QuoteKey, QuoteValue) VALUES ${values.join(', ')}`);
    await insertRow(pool);
    const source = sourceOn(pool);
    const { claimed } = await source.claim(1);
    await arm('details-snapshot', { kind: 'dropMidResult', rows: 300 });
    expect(await caught(source.readDetails(claimed[0]!))).toMatchObject({ kind: 'connection', retryable: true });
    const again = await source.readDetails(claimed[0]!);
    expect(again).toMatchObject({ outcome: 'read' });
    expect(again.outcome === 'read' && again.details.quotes.length).toBe(901);
  });

  it.each([
    ['the request timeout', { requestTimeoutMs: 200, deadlineMs: 10_000 }, 'ETIMEOUT'],
    ['the deadline', { requestTimeoutMs: 10_000, deadlineMs: 200 }, 'EDEADLINE'],
  ])(
    'an answer that does not come is given up at %s, and the next one is asked for anew',
    async (_what, times, code) => {
      const requestId = await insertRow(pool);
      const impatient = new SqlPool(() => SqlConnection.connect({ ...target.options, ...times }), 1);
      const source = sourceOn(impatient);
      await source.ping();
      await arm('claim', { kind: 'latency', ms: 3_000 });
      const started = performance.now();
      expect(await caught(source.claim(1))).toMatchObject({ kind: 'timeout', code, retryable: true });
      expect(performance.now() - started).toBeLessThan(2_500);
      await target.simulator!.clearFaults();
      expect((await source.claim(1)).claimed.map((row) => row.requestId)).toEqual([requestId]);
      impatient.close();
    },
  );
});
