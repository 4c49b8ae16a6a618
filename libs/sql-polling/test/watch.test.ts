import { silentLogger } from '@xva/runtime';
import {
  openWatch,
  parseDefinitions,
  SqlConnection,
  SqlError,
  SqlPool,
  type SqlRunner,
  ValueError,
  type DetectionStore,
  type KnownRow,
  type LeadRecord,
  type Stored,
  type WatchDefinition,
  type WatchSource,
} from '../src/index.ts';
import type { PastRow } from '../src/index.ts';
import { openTarget, type RawSql, type Target } from './target.ts';

/** Conditional writes in memory, shared by the integrators of one test. */
class MemoryStore implements DetectionStore {
  #etags = 0;
  lead: Stored<LeadRecord> | undefined;
  readonly rows = new Map<string, Stored<KnownRow>>();
  readLead = () => Promise.resolve(this.lead);
  writeLead = (_definition: string, value: LeadRecord, etag: string | undefined): Promise<string | undefined> => {
    if (this.lead?.etag !== etag) return Promise.resolve(undefined);
    this.lead = { value, etag: `e${(this.#etags += 1)}` };
    return Promise.resolve(this.lead.etag);
  };
  readRows = (_definition: string, keys: readonly string[]) =>
    Promise.resolve(new Map(keys.flatMap((key) => (this.rows.has(key) ? [[key, this.rows.get(key)!] as const] : []))));
  writeRow = (_definition: string, value: KnownRow, etag: string | undefined) => {
    if (this.rows.get(value.key)?.etag !== etag) return Promise.resolve(undefined);
    const stored = { value, etag: `e${(this.#etags += 1)}` };
    this.rows.set(value.key, stored);
    return Promise.resolve(stored.etag);
  };
  checkWrite = () => Promise.resolve();
  async *listRows() {
    await Promise.resolve();
    yield* [...this.rows.values()];
  }
}

const condition = `SELECT Book, CONVERT(varchar(10), AsOf, 23) AS AsOf, Cut, Scenario, Revision, BaseCurrency, Samples, Seed, CONVERT(varchar(42), Quantile) AS Quantile, DvaName, GridTenors, Strict, Priority, Traceparent FROM xva.RunRequest WHERE Status = 0`;
const modes = {
  rowversion: 'mode: rowversion',
  changeTracking: 'mode: changeTracking',
  query: `mode: query, sql: "${condition}"`,
} as const;
type Mode = keyof typeof modes;

function definitionOf(mode: Mode, more = 'start: beginning'): WatchDefinition {
  const text = `version: 1\ndefinitions:\n  - { name: watched, ${modes[mode]}, ${more}, leaseSeconds: 5 }\n`;
  const [definition] = parseDefinitions(text, 'test.yaml');
  if (definition === undefined || definition.mode === 'outbox') throw new Error('not read-only');
  return definition;
}

let target: Target;
let raw: RawSql;
let pool: SqlPool;
let store: MemoryStore;
let nowMs = 0;
let gaps: string[] = [];

beforeAll(async () => {
  target = await openTarget();
  raw = await target.connect();
  pool = new SqlPool(() => SqlConnection.connect(target.options), 4);
  await raw.run(`ALTER DATABASE CURRENT SET CHANGE_TRACKING = ON (CHANGE_RETENTION = 2 DAYS, AUTO_CLEANUP = OFF)`);
  await raw.run('ALTER TABLE xva.RunRequest ENABLE CHANGE_TRACKING');
}, 60_000);

afterAll(async () => {
  pool.close();
  raw.close();
  await target.stop();
});

beforeEach(async () => {
  await raw.run('DELETE FROM xva.RunRequest');
  store = new MemoryStore();
  nowMs = 0;
  gaps = [];
});

function open(
  mode: Mode,
  more?: string,
  name = 'one',
  crashPoint: (point: string) => void = () => undefined,
): WatchSource {
  return openWatch({
    crashPoint,
    runner: pool,
    definition: definitionOf(mode, more),
    store,
    name,
    now: () => new Date('2026-09-30T18:00:00Z'),
    today: () => '2026-09-30',
    monotonicMs: () => nowMs,
    logger: silentLogger,
    onGap: (reason) => gaps.push(reason),
  });
}

async function insert(revision: number, change: Readonly<Record<string, string>> = {}): Promise<void> {
  const values: Readonly<Record<string, string>> = {
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
    ...change,
  };
  await raw.run(
    `INSERT INTO xva.RunRequest (${Object.keys(values).join(', ')}) VALUES (${Object.values(values).join(', ')})`,
  );
}

/** Claims and completes until nothing is left; what came, as `revision:samples version`. */
async function drain(source: WatchSource, limit = 10): Promise<readonly string[]> {
  const seen: string[] = [];
  for (;;) {
    const { claimed } = await source.claim(limit);
    if (claimed.length === 0) return seen;
    for (const one of claimed) {
      const { fields } = one.row;
      seen.push(`${String(fields.revision)}:${String(fields.samples)}`);
      const read = await source.readDetails(one as Parameters<WatchSource['readDetails']>[0]);
      expect(read.outcome).toBe('read');
      expect(await source.complete(one as Parameters<WatchSource['complete']>[0], `event-${seen.length}`)).toBe(true);
    }
  }
}

describe.each(Object.keys(modes) as Mode[])('mode %s', (mode) => {
  it('fires once for each row, and again for what the definition maps', async () => {
    const source = open(mode);
    expect(await drain(source)).toEqual([]);
    await insert(1);
    await insert(2);
    expect([...(await drain(source))].sort()).toEqual(['1:50', '2:50']);
    expect(await drain(source)).toEqual([]);
    await raw.run('UPDATE xva.RunRequest SET Samples = 60 WHERE Revision = 2');
    expect(await drain(source)).toEqual(['2:60']);
    // Back to what it was before is another change …
    await raw.run('UPDATE xva.RunRequest SET Samples = 50 WHERE Revision = 2');
    expect(await drain(source)).toEqual(['2:50']);
    // … and what nobody maps is none.
    await raw.run(`UPDATE xva.RunRequest SET LastError = N'touched'`);
    expect(await drain(source)).toEqual([]);
  });

  it('goes through more rows than one page holds', async () => {
    for (let revision = 1; revision <= 23; revision += 1) await insert(revision);
    const seen = await drain(open(mode), 5);
    expect(new Set(seen).size).toBe(23);
    expect(seen).toHaveLength(23);
  });

  it('start: now fires nothing for what was there, and fires for what changes after', async () => {
    for (let revision = 1; revision <= 3; revision += 1) await insert(revision);
    const source = open(mode, 'start: now');
    expect(await drain(source)).toEqual([]);
    await insert(4);
    await raw.run('UPDATE xva.RunRequest SET Samples = 70 WHERE Revision = 1');
    expect([...(await drain(source))].sort()).toEqual(['1:70', '4:50']);
  });

  it('a stand-by reads nothing until the leader is silent for its lease, then goes on where it stood', async () => {
    const leader = open(mode, undefined, 'leader');
    const standBy = open(mode, undefined, 'stand-by');
    await insert(1);
    expect(await drain(leader)).toEqual(['1:50']);
    await insert(2);
    expect(await drain(standBy)).toEqual([]);
    nowMs += 4_999;
    expect(await drain(standBy)).toEqual([]);
    nowMs += 1;
    expect(await drain(standBy)).toEqual(['2:50']);
    // The former leader notices, and stands by.
    await insert(3);
    nowMs += 2_000;
    expect(await drain(leader)).toEqual([]);
    await standBy.close();
    expect(await drain(leader)).toEqual(['3:50']);
  });

  it('ended before anything was remembered, the next one gets the same changes under the same versions', async () => {
    await insert(1);
    const first = await open(mode, undefined, 'first').claim(10);
    nowMs += 10_000;
    const next = open(mode, undefined, 'next');
    expect((await next.claim(10)).claimed).toEqual([]);
    nowMs += 10_000;
    const second = await next.claim(10);
    const versionOf = (claim: typeof first) => claim.claimed.map((one) => (one as { version?: string }).version);
    expect(versionOf(second)).toEqual(versionOf(first));
    expect(second.claimed[0]?.attempts).toBe(2);
  });

  it('leaves a row that went on since it was claimed to the poll that sees it', async () => {
    const source = open(mode);
    await insert(1);
    const { claimed } = await source.claim(10);
    await raw.run('UPDATE xva.RunRequest SET Samples = 80');
    const [one] = claimed as Parameters<WatchSource['readDetails']>[0][];
    expect(await source.readDetails(one!)).toEqual({ outcome: 'lease-lost' });
    expect(await drain(source)).toEqual(['1:80']);
  });

  it('puts a row aside that fails too often, says why, and takes it up again when it changes', async () => {
    const source = open(mode, 'start: beginning, maxAttempts: 2');
    await insert(1);
    for (const expected of ['released', 'poisoned'] as const) {
      const { claimed } = await source.claim(10);
      const [one] = claimed as Parameters<WatchSource['release']>[0][];
      expect(await source.release(one!, { error: 'no such index', delayMs: 0, giveBack: false })).toBe(expected);
    }
    expect(await drain(source)).toEqual([]);
    const [state] = await source.explain(10);
    expect([state?.state, state?.detail]).toEqual(['poison', 'attempts used up; no such index']);
    await raw.run('UPDATE xva.RunRequest SET Samples = 90');
    expect(await drain(source)).toEqual(['1:90']);
  });

  it('an outage counts against no row', async () => {
    const source = open(mode, 'start: beginning, maxAttempts: 2');
    await insert(1);
    for (let outage = 0; outage < 5; outage += 1) {
      const { claimed } = await source.claim(10);
      const [one] = claimed as Parameters<WatchSource['release']>[0][];
      expect(one?.attempts).toBe(1);
      expect(await source.release(one!, { error: 'hub down', delayMs: 0, giveBack: true })).toBe('released');
    }
  });

  it('explains without touching anything', async () => {
    const source = open(mode);
    await insert(1);
    await drain(source);
    await insert(2);
    const states = await source.explain(10);
    const byState = Object.fromEntries(states.map(({ row, state }) => [String(row?.fields.revision), state]));
    expect(byState).toEqual({ 1: 'known', 2: 'due' });
    expect(await drain(source)).toEqual(['2:50']);
    expect(await source.checkState()).toContain('follow, led by one');
    expect(await source.checkRead()).toContain('can read');
  });

  it('backfills what was there before the start, by as-of date, after a dry run', async () => {
    await insert(1);
    await insert(2, { AsOf: `'2026-09-29'` });
    const source = open(mode, 'start: now');
    expect(await drain(source)).toEqual([]);
    const range = { from: '2026-09-30', to: '2026-10-01' };
    expect((await source.backfill(range, true)).map(({ state }) => state)).toEqual(['baseline']);
    expect(await drain(source)).toEqual([]);
    expect(await source.backfill(range, false)).toHaveLength(1);
    nowMs += 10_000;
    const seen = [...(await drain(source)), ...(await drain(source))];
    expect(seen).toEqual(['1:50']);
    const published = async (from: string, to: string) => {
      const rows: PastRow[] = [];
      for await (const row of source.published({ from, to })) rows.push(row);
      return rows;
    };
    expect((await published(range.from, range.to)).map(({ eventId }) => eventId)).toEqual(['event-1']);
    expect(await published('2026-09-01', '2026-09-29')).toEqual([]);
  });

  it('a backfill that was cut off, or ran into the leader, goes on when asked again', async () => {
    await insert(1);
    const leader = open(mode, 'start: now');
    const range = { from: '2026-09-30', to: '2026-09-30' };
    await expect(leader.backfill(range, false)).rejects.toThrow('definition watched: has not begun yet');
    expect(await drain(leader)).toEqual([]);
    const { writeLead } = store;
    store.writeLead = () => Promise.reject(new Error('cut off'));
    await expect(open(mode, 'start: now', 'cli').backfill(range, false)).rejects.toThrow('cut off');
    store.writeLead = writeLead;
    // The leader renews between every two of the other's calls.
    const { readLead } = store;
    let renewals = 3;
    store.readLead = async () => {
      const read = await readLead();
      if ((renewals -= 1) >= 0 && store.lead !== undefined) store.lead = { ...store.lead, etag: `renewed-${renewals}` };
      return read;
    };
    const asked = await open(mode, 'start: now', 'cli').backfill(range, false);
    expect(asked.map(({ requestKey }) => requestKey)).toEqual([expect.stringContaining('2026-09-30')]);
    store.readLead = readLead;
    nowMs += 10_000;
    expect([...(await drain(leader)), ...(await drain(leader))]).toEqual(['1:50']);
  });

  it('no backfill before the first reading is done: all that was there before would fire', async () => {
    await insert(1);
    const source = open(mode, 'start: now');
    await source.lastTick();
    const range = { from: '2026-09-30', to: '2026-09-30' };
    await expect(source.backfill(range, false)).rejects.toThrow('is still being read for the first time');
    expect(await drain(source)).toEqual([]);
  });

  it('in a new term of the same process nothing of the one before counts', async () => {
    await insert(1);
    const first = open(mode, undefined, 'first');
    const [one] = (await first.claim(10)).claimed as Parameters<WatchSource['renew']>[0][];
    const other = open(mode, undefined, 'other');
    await other.claim(10);
    nowMs += 10_000;
    expect((await other.claim(10)).claimed).toHaveLength(1);
    expect(await first.renew(one!)).toBe(false);
    await other.close();
    // It leads again, but what it claimed the other may have gone on with.
    expect(await first.renew(one!)).toBe(false);
  });

  it('a stop ends the waiting for the lead at once', async () => {
    await open(mode, undefined, 'leader').lastTick();
    const stop = new AbortController();
    let waits = 0;
    const wait = () => {
      waits += 1;
      if (waits > 3) nowMs += 100_000;
      stop.abort();
      return Promise.resolve();
    };
    expect(await open(mode, undefined, 'once').waitForLead(wait, stop.signal)).toBe(false);
    expect(waits).toBe(1);
  });

  it('notes ticks again once a clock that ran ahead was set right', async () => {
    const source = open(mode);
    await source.tickDone(new Date('2027-03-01T18:00:00Z'));
    await source.tickDone(new Date('2026-09-30T18:00:00Z'));
    expect(await source.lastTick()).toEqual(new Date('2026-09-30T18:00:00Z'));
  });

  it('knows the last tick that was worked off, also after another took over', async () => {
    const source = open(mode);
    expect(await source.lastTick()).toBeNull();
    await source.tickDone(new Date('2026-09-30T18:00:00Z'));
    await source.tickDone(new Date('2026-09-30T17:00:00Z'));
    await insert(1);
    await drain(source);
    await source.close();
    const next = open(mode, undefined, 'next');
    expect(await next.lastTick()).toEqual(new Date('2026-09-30T18:00:00Z'));
    expect(await source.lastTick()).toBeUndefined();
  });

  it('survives deadlocks, lost connections and answers cut in the middle', async () => {
    if (target.simulator === undefined) return;
    const source = open(mode);
    for (let revision = 1; revision <= 6; revision += 1) await insert(revision);
    const seen: string[] = [];
    let next = 10;
    for (const action of [
      { kind: 'error', number: 1205 },
      { kind: 'drop' },
      { kind: 'dropMidResult', rows: 1 },
      { kind: 'error', number: 1222 },
    ]) {
      await target.simulator.arm({ point: 'statement', match: { kind: 'query' }, times: 1, action });
      try {
        seen.push(...(await drain(source, 2)));
      } catch (error) {
        expect(error).toBeInstanceOf(SqlError);
        expect((error as SqlError).retryable).toBe(true);
      }
      await target.simulator.clearFaults();
      await insert((next += 1));
    }
    seen.push(...(await drain(source, 2)));
    const rows = await raw.run('SELECT Revision FROM xva.RunRequest');
    expect(new Set(seen).size).toBe(rows.length);
    expect(store.rows.size).toBe(rows.length);
    expect([...store.rows.values()].every(({ value }) => value.state === 'published')).toBe(true);
  });
});

describe.each(['rowversion', 'changeTracking'] as const)('mode %s', (mode) => {
  it('start: now fires for what comes while the first reading goes on', async () => {
    for (let revision = 1; revision <= 3; revision += 1) await insert(revision);
    const { writeLead } = store;
    store.writeLead = async (...args) => {
      store.writeLead = writeLead;
      const etag = await writeLead(...args);
      await insert(4);
      await raw.run('UPDATE xva.RunRequest SET Samples = 70 WHERE Revision = 2');
      return etag;
    };
    expect([...(await drain(open(mode, 'start: now')))].sort()).toEqual(['2:70', '4:50']);
  });

  it('a long first reading ends between two pages when it is told to stop, and the next leader goes on from there', async () => {
    const columns = '(Book, AsOf, Cut, Scenario, Revision, BaseCurrency, Samples, Seed, Quantile, DvaName)';
    const rows = Array.from(
      { length: 600 },
      (_, index) => `(N'RATES', '2026-09-30', N'EOD', N'BASE', ${index + 1}, N'EUR', 50, 42, 0.95, N'LAB_BANK')`,
    );
    await raw.run(`INSERT INTO xva.RunRequest ${columns} VALUES ${rows.join(', ')}`);
    const stop = new AbortController();
    const first = open(mode, 'start: now', 'first', (point) => {
      if (point === 'page-read') stop.abort();
    });
    expect(await first.claim(10, stop.signal)).toEqual({ claimed: [], poisoned: [] });
    expect(store.rows.size).toBe(500);
    await first.close();
    await insert(601);
    expect(await drain(open(mode, 'start: now', 'second'))).toEqual(['601:50']);
    expect(store.rows.size).toBe(601);
  });

  it('a process that lives for one tick moves the cursor of an idle table too', async () => {
    await insert(1);
    await drain(open(mode));
    await raw.run(`UPDATE xva.RunRequest SET LastError = N'touched'`);
    const before = store.lead!.value.cursor.position;
    store.lead = { value: { ...store.lead!.value, leader: null }, etag: 'free' };
    expect(await drain(open(mode, undefined, 'two'))).toEqual([]);
    expect(store.lead.value.cursor.position).not.toBe(before);
  });
});

describe('rowversion', () => {
  it('asks again how to read when snapshots are switched off meanwhile', async () => {
    const source = open('rowversion');
    await drain(source);
    await insert(1);
    await raw.run('ALTER DATABASE CURRENT SET ALLOW_SNAPSHOT_ISOLATION OFF');
    try {
      await expect(drain(source)).rejects.toMatchObject({ number: 3952, retryable: true });
      expect(await drain(source)).toEqual(['1:50']);
    } finally {
      await raw.run('ALTER DATABASE CURRENT SET ALLOW_SNAPSHOT_ISOLATION ON');
    }
  });

  it('waits for a transaction that stamped a row and is not committed', async () => {
    const source = open('rowversion');
    await drain(source);
    const other = await target.connect();
    await insert(1);
    await other.run('BEGIN TRANSACTION; UPDATE xva.RunRequest SET Samples = 51 WHERE Revision = 1');
    await insert(2);
    // The open transaction's version lies below that of row 2, which must not be passed over it.
    expect(await drain(source)).toEqual(['1:50']);
    await other.run('COMMIT');
    other.close();
    expect([...(await drain(source))].sort()).toEqual(['1:51', '2:50']);
  });

  it('a cursor beyond the database is a gap: everything is read again, and nothing fires twice', async () => {
    const source = open('rowversion');
    await insert(1);
    await insert(2);
    await drain(source);
    const { lead } = store;
    const ahead = { ...lead!.value.cursor, position: '0x7000000000000000' };
    store.lead = { value: { ...lead!.value, cursor: ahead, leader: null }, etag: 'moved' };
    await raw.run('UPDATE xva.RunRequest SET Samples = 61 WHERE Revision = 2');
    const next = open('rowversion', undefined, 'two');
    expect(await drain(next)).toEqual(['2:61']);
    expect(gaps).toEqual([expect.stringContaining('was restored, or failed over')]);
    expect(await next.checkState()).toContain('everything was read again at 2026-09-30T18:00:00.000Z');
  });

  it('another life of the database is a gap, though its versions are beyond the cursor', async () => {
    const source = open('rowversion');
    await insert(1);
    await drain(source);
    const { lead } = store;
    const other = { ...lead!.value.cursor, life: '00000000-0000-0000-0000-000000000000' };
    store.lead = { value: { ...lead!.value, cursor: other, leader: null }, etag: 'moved' };
    expect(await drain(open('rowversion', undefined, 'two'))).toEqual([]);
    expect(gaps).toEqual([expect.stringContaining('its recovery fork is')]);
  });

  it('a definition that cannot be read leaves the cursor where it was', async () => {
    await insert(1);
    await drain(open('rowversion'));
    store.lead = { value: { ...store.lead!.value, leader: null }, etag: store.lead!.etag };
    await raw.run('UPDATE xva.RunRequest SET Samples = 99');
    await insert(2);
    const other = open('rowversion', 'start: beginning, rowVersion: RowVer, table: RunRequest', 'two');
    // The simulator and the server both resolve the schema of the login.
    await expect(drain(other)).rejects.toBeInstanceOf(SqlError);
    expect(store.lead.value.cursor.phase).toBe('follow');
  });
});

describe('change tracking', () => {
  const cut = async (): Promise<void> => {
    await raw.run('ALTER TABLE xva.RunRequest DISABLE CHANGE_TRACKING');
    await raw.run('ALTER TABLE xva.RunRequest ENABLE CHANGE_TRACKING');
  };

  it('a retention that ran out is a gap: everything is read again, and only what changed meanwhile fires', async () => {
    const source = open('changeTracking');
    await insert(1);
    await insert(2);
    await drain(source);
    await raw.run('UPDATE xva.RunRequest SET Samples = 61 WHERE Revision = 2');
    await insert(3);
    await cut();
    expect([...(await drain(source))].sort()).toEqual(['2:61', '3:50']);
    expect(gaps).toEqual([expect.stringMatching(/goes back to version \d+ only, and the cursor is at version/)]);
    await insert(4);
    expect(await drain(source)).toEqual(['4:50']);
    expect(gaps).toHaveLength(1);
  });

  it('a truncated table is a gap, and rows that were put back as they were fire nothing', async () => {
    const source = open('changeTracking');
    await insert(1);
    await drain(source);
    await raw.run('SELECT * INTO #kept FROM xva.RunRequest; TRUNCATE TABLE xva.RunRequest');
    expect(await drain(source)).toEqual([]);
    expect(gaps).toHaveLength(1);
  });

  it('says so when tracking is off: NULL would compare false with everything', async () => {
    const source = open('changeTracking');
    await drain(source);
    await raw.run('ALTER TABLE xva.RunRequest DISABLE CHANGE_TRACKING');
    await expect(source.claim(5)).rejects.toThrow(/Change tracking is not enabled|is off, or the login lacks/);
    await expect(open('changeTracking', undefined, 'x').checkRead()).rejects.toThrow(/off|not enabled/);
    await raw.run('ALTER TABLE xva.RunRequest ENABLE CHANGE_TRACKING');
  });

  it('a row that was deleted and asked for again fires again', async () => {
    const source = open('changeTracking');
    await raw.run('SET IDENTITY_INSERT xva.RunRequest ON');
    await insert(1, { RequestId: '700001' });
    expect(await drain(source)).toEqual(['1:50']);
    await raw.run('DELETE FROM xva.RunRequest');
    expect(await drain(source)).toEqual([]);
    await insert(1, { RequestId: '700001' });
    expect(await drain(source)).toEqual(['1:50']);
    await raw.run('SET IDENTITY_INSERT xva.RunRequest OFF');
  });

  it('a transaction of more rows than a page holds is gone through once', async () => {
    const source = open('changeTracking');
    await drain(source);
    await raw.run('BEGIN TRANSACTION');
    for (let revision = 1; revision <= 17; revision += 1) await insert(revision);
    await raw.run('COMMIT');
    const seen = await drain(source, 4);
    expect(seen).toHaveLength(17);
    expect(new Set(seen).size).toBe(17);
  });
});

describe('changeTracking', () => {
  it('two rows of one transaction that ask for the same key are two events when they say different things', async () => {
    const source = open('changeTracking', 'start: beginning, mapping: { revision: { value: 1 } }');
    await drain(source);
    await raw.run('BEGIN TRANSACTION');
    await insert(1);
    await insert(2, { Samples: '60' });
    await raw.run('COMMIT');
    const { claimed } = await source.claim(10);
    expect(new Set(claimed.map((one) => (one as { version?: string }).version)).size).toBe(2);
  });

  it('is not gone on with as another mode or table: keys of one mean nothing in the other', async () => {
    await insert(1);
    await drain(open('changeTracking'));
    nowMs += 10_000;
    const other = open('rowversion', undefined, 'two');
    expect((await other.explain(10)).length).toBeGreaterThan(0);
    store.lead = { value: { ...store.lead!.value, leader: null }, etag: 'free' };
    await expect(drain(other)).rejects.toThrow(
      'it followed "changeTracking xva.RunRequest RequestId" and now is to follow "rowversion xva.RunRequest RowVer"',
    );
    expect(store.lead.value.cursor.phase).toBe('follow');
  });

  it('reads a table page by page without going through it from its beginning each time', async () => {
    const texts: string[] = [];
    const runner: SqlRunner = {
      query: (statement, values, options) => {
        if (statement.name === 'table-page') texts.push(statement.sql);
        return pool.query(statement, values, options);
      },
    };
    for (let revision = 1; revision <= 7; revision += 1) await insert(revision);
    const source = openWatch({
      runner,
      definition: definitionOf('changeTracking'),
      store,
      name: 'one',
      now: () => new Date(),
      today: () => '2026-09-30',
      monotonicMs: () => nowMs,
      logger: silentLogger,
    });
    expect(await drain(source, 3)).toHaveLength(7);
    expect(texts.map((text) => text.includes('> @afterKey'))).toEqual([false, true, true]);
    for (const text of texts) expect(text).not.toMatch(/\bOR\b|IS NULL/);
  });
});

describe('query', () => {
  it('a day that was missed, asked for after a later one, makes nothing vanish and nothing come back', async () => {
    let day = '2026-09-28';
    const text = `version: 1\ndefinitions:\n  - { name: watched, mode: query, start: beginning, sql: "${condition} AND AsOf = CONVERT(date, @today, 23)" }\n`;
    const [definition] = parseDefinitions(text, 'test.yaml');
    const source = openWatch({
      runner: pool,
      definition: definition as WatchDefinition,
      store,
      name: 'one',
      now: () => new Date(),
      today: () => day,
      monotonicMs: () => nowMs,
      logger: silentLogger,
    });
    await insert(1, { AsOf: `'2026-09-28'` });
    await insert(2, { AsOf: `'2026-09-29'` });
    expect(await drain(source)).toEqual(['1:50']);
    day = '2026-09-29';
    expect(await drain(source)).toEqual(['2:50']);
    day = '2026-09-28';
    expect(await drain(source)).toEqual([]);
    // What is new there does fire.
    await insert(3, { AsOf: `'2026-09-28'` });
    expect(await drain(source)).toEqual(['3:50']);
    day = '2026-09-29';
    expect(await drain(source)).toEqual([]);
  });

  const open1 = (sql: string, more = 'start: beginning') => {
    const text = `version: 1\ndefinitions:\n  - name: watched\n    mode: query\n    sql: >-\n      ${sql}\n    ${more}\n    mapping: { cut: { value: EOD }, scenario: { value: BASE }, revision: { value: 1 }, baseCurrency: { value: EUR }, samples: { value: 50 }, seed: { value: 42 }, quantile: { value: '0.95' }, dvaName: { value: LAB_BANK }, grid: { value: null }, strict: { value: false }, priority: { value: 0 }, traceparent: { value: null }, asOf: { businessDaysBack: 1, calendars: [TARGET] } }\n`;
    const [definition] = parseDefinitions(text, 'test.yaml');
    return openWatch({
      runner: pool,
      definition: definition as WatchDefinition,
      store,
      name: 'one',
      now: () => new Date('2026-09-28T06:00:00Z'),
      today: () => '2026-09-28',
      monotonicMs: () => nowMs,
      logger: silentLogger,
    });
  };

  it('a condition fires when it comes true, as of the business day before', async () => {
    const source = open1(
      `SELECT 'RATES' AS Book, COUNT(*) AS Ready FROM xva.RunRequest WHERE Revision < 100 AND @asOf = '2026-09-25' HAVING COUNT(*) >= 2`,
    );
    await insert(1);
    expect((await source.claim(5)).claimed).toEqual([]);
    await insert(2);
    const { claimed } = await source.claim(5);
    expect(claimed.map(({ row }) => [row.fields.book, row.fields.asOf])).toEqual([['RATES', '2026-09-25']]);
  });

  it('refuses what would lose something or cannot be told apart', async () => {
    await insert(1);
    await insert(2);
    await expect(open1(`SELECT 'A' AS Book, SYSUTCDATETIME() AS Now`).claim(5)).rejects.toThrow('convert it to text');
    await expect(open1(`SELECT 'A' AS Name`).claim(5)).rejects.toThrow('gives no column Book');
    await expect(open1(`SELECT 'A' AS Book, 'B' AS Book`).claim(5)).rejects.toThrow('two columns are called');
    await expect(open1(`SELECT 'A' AS Book, Revision FROM xva.RunRequest`).claim(5)).rejects.toThrow(ValueError);
    await expect(
      open1(`SELECT 'A' AS Book, Revision FROM xva.RunRequest`, 'start: beginning\n    maxRows: 1').claim(5),
    ).rejects.toThrow('more than 1 rows');
  });

  it('a row that vanishes and comes back fires again', async () => {
    const source = open('query');
    await insert(1);
    expect(await drain(source)).toEqual(['1:50']);
    await raw.run('UPDATE xva.RunRequest SET Status = 5');
    expect(await drain(source)).toEqual([]);
    await raw.run('UPDATE xva.RunRequest SET Status = 0');
    expect(await drain(source)).toEqual(['1:50']);
  });
});
