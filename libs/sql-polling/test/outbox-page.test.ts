import type { Claimed, OutboxSource, SqlError, SqlPool, SqlRunner } from '../src/index.ts';
import { definitionOf, emptyTables, insertRow, openPool, sourceOn } from './outbox-kit.ts';
import { openTarget, type RawSql, type Target } from './target.ts';

let target: Target;
let raw: RawSql;
let pool: SqlPool;
/** Names of the statements that the source sent, in order. */
let sent: string[] = [];

beforeAll(async () => {
  target = await openTarget();
  raw = await target.connect();
}, 60_000);
afterAll(async () => {
  raw.close();
  await target.stop();
});
beforeEach(async () => {
  await emptyTables(raw);
  pool = openPool(target, 8);
  sent = [];
});
afterEach(async () => {
  pool.close();
  await target.simulator?.clearFaults();
});

const runner: SqlRunner = {
  query: (statement, values, options) => {
    sent.push(statement.name);
    return pool.query(statement, values, options);
  },
};

/** So many claimed rows of one book, each with samples of its own. */
async function claimedRows(count: number, yaml = ''): Promise<{ source: OutboxSource; claimed: readonly Claimed[] }> {
  for (let revision = 1; revision <= count; revision += 1) await insertRow(pool, { revision, samples: 100 + revision });
  const source = sourceOn(runner, definitionOf(yaml));
  const { claimed } = await source.claim(count);
  expect(claimed).toHaveLength(count);
  sent = [];
  return { source, claimed };
}

const eventOf = (claimed: Claimed): string => claimed.requestId.padStart(32, '0');
const completeAll = (source: OutboxSource, claimed: readonly Claimed[]) =>
  Promise.allSettled(claimed.map((one) => source.complete(one, eventOf(one))));
const valuesOf = <T>(outcomes: readonly PromiseSettledResult<T>[]) =>
  outcomes.map((outcome) => (outcome.status === 'fulfilled' ? outcome.value : (outcome.reason as SqlError).kind));

describe('rows that are worked on at the same time', () => {
  it('share the reading of their details, each with its own row', async () => {
    const { source, claimed } = await claimedRows(20);
    const read = await Promise.all(claimed.map((one) => source.readDetails(one)));
    expect(sent).toEqual(['snapshot-state', 'details-snapshot-64']);
    expect(read.map((one) => one.outcome === 'read' && one.row.fields.samples)).toEqual(
      claimed.map((_one, index) => 101 + index),
    );
    const alone = await source.readDetails(claimed[0]!);
    expect(sent.at(-1)).toBe('details-snapshot');
    expect(alone).toEqual(read[0]);
  });

  it('are completed by one statement, and again when its answer was lost', async () => {
    const { source, claimed } = await claimedRows(20);
    for (const expected of [['complete-64'], ['complete-64', 'complete-64']]) {
      expect(valuesOf(await completeAll(source, claimed))).toEqual(claimed.map(() => true));
      expect(sent).toEqual(expected);
    }
    const rows = await raw.run('SELECT RequestId, Status, EventId FROM xva.RunRequest ORDER BY RequestId');
    expect(rows.map(({ Status, EventId }) => [Status, EventId])).toEqual(claimed.map((one) => [2, eventOf(one)]));
  });

  it('wait for no one when they come alone, and for the statement before when they come later', async () => {
    const { source, claimed } = await claimedRows(7);
    const [first, ...others] = claimed;
    const done = source.complete(first!, eventOf(first!));
    await new Promise((resolve) => setImmediate(resolve));
    expect(sent).toEqual(['complete']);
    expect(valuesOf(await completeAll(source, others))).toEqual(others.map(() => true));
    expect(await done).toBe(true);
    expect(sent).toEqual(['complete', 'complete-16']);
  });

  it('each lose their own lease only', async () => {
    const { source, claimed } = await claimedRows(6);
    const lost = claimed[2]!;
    await raw.run(`UPDATE xva.RunRequest SET LeaseToken = NEWID() WHERE RequestId = ${lost.requestId}`);
    const read = await Promise.all(claimed.map((one) => source.readDetails(one)));
    expect(read.map(({ outcome }) => outcome)).toEqual(claimed.map((one) => (one === lost ? 'lease-lost' : 'read')));
    expect(valuesOf(await completeAll(source, claimed))).toEqual(claimed.map((one) => one !== lost));
    const [row] = await raw.run(`SELECT Status, EventId FROM xva.RunRequest WHERE RequestId = ${lost.requestId}`);
    expect(row).toEqual({ Status: 1, EventId: null });
  });

  it('are each held up by their own lock only, and not again by that of another', async () => {
    const { source, claimed } = await claimedRows(5);
    const locked = claimed[1]!;
    const other = await target.connect();
    await other.run(
      `BEGIN TRANSACTION; UPDATE xva.RunRequest SET LastError = N'held' WHERE RequestId = ${locked.requestId}`,
    );
    expect(valuesOf(await completeAll(source, claimed))).toEqual(
      claimed.map((one) => (one === locked ? 'lock-timeout' : true)),
    );
    sent = [];
    const again = completeAll(source, claimed);
    await new Promise((resolve) => setImmediate(resolve));
    await other.run('ROLLBACK TRANSACTION');
    other.close();
    expect(valuesOf(await again)).toEqual(claimed.map(() => true));
    expect([...sent].sort()).toEqual(['complete', 'complete-4']);
  });

  it('are put aside alone when nobody can read them', async () => {
    const { source, claimed } = await claimedRows(
      4,
      ', mapping: { asOf: { businessDaysBack: 1, calendars: [TARGET] } }',
    );
    const bad = claimed[3]!;
    await raw.run(`UPDATE xva.RunRequest SET CreatedAt = '2001-01-02' WHERE RequestId = ${bad.requestId}`);
    const read = await Promise.all(claimed.map((one) => source.readDetails(one)));
    expect(read.map(({ outcome }) => outcome)).toEqual(['read', 'read', 'read', 'unreadable']);
  });

  it('share nothing when they ask for other books, or their queries for what is theirs alone', async () => {
    const { source, claimed } = await claimedRows(2);
    const [one, two] = claimed;
    const elsewhere: Claimed = { ...two!, row: { ...two!.row, fields: { ...two!.row.fields, book: 'OTHER' } } };
    const [, other] = await Promise.all([source.readDetails(one!), source.readDetails(elsewhere)]);
    expect(other.outcome === 'read' && other.details.trades).toEqual([]);
    expect(sent.filter((name) => name.startsWith('details'))).toEqual(['details-snapshot', 'details-snapshot']);
    await emptyTables(raw);
    const sql = `SELECT N'T' + CONVERT(varchar(9), @revision) AS tradeId, N'NS' AS nettingSetId, N'Swap' AS tradeType, N'{}' AS terms`;
    const own = await claimedRows(2, `, details: { trades: { sql: "${sql}" } }`);
    const read = await Promise.all(own.claimed.map((claim) => own.source.readDetails(claim)));
    expect(read.map((row) => row.outcome === 'read' && row.details.trades.map(({ tradeId }) => tradeId))).toEqual([
      ['T1'],
      ['T2'],
    ]);
  });
});

/** Only where faults can be armed. */
const withFaults = process.env['MSSQL_URL'] === undefined ? describe : describe.skip;

withFaults('a statement for many rows in trouble', () => {
  const arm = (tag: string, action: Readonly<Record<string, unknown>>): Promise<void> =>
    target.simulator!.arm({ point: 'statement', match: { tag: `xva:${tag}` }, action });

  it.each([
    ['a deadlock', { kind: 'error', number: 1205 }],
    ['an error that does not pass', { kind: 'error', number: 8115 }],
  ])('after %s is made of statements for one row each', async (_what, action) => {
    const { source, claimed } = await claimedRows(5);
    await arm('details-snapshot-16', action);
    await arm('complete-16', action);
    const read = await Promise.all(claimed.map((one) => source.readDetails(one)));
    expect(read.map(({ outcome }) => outcome)).toEqual(claimed.map(() => 'read'));
    expect(valuesOf(await completeAll(source, claimed))).toEqual(claimed.map(() => true));
    expect(sent.filter((name) => name === 'complete')).toHaveLength(5);
  });

  it('that lost its connection after the effect can be repeated for each', async () => {
    const { source, claimed } = await claimedRows(5);
    await arm('complete-16', { kind: 'drop', after: true });
    expect(valuesOf(await completeAll(source, claimed))).toEqual(claimed.map(() => 'connection'));
    expect(valuesOf(await completeAll(source, claimed))).toEqual(claimed.map(() => true));
  });

  it('that lost its connection in the middle of the details gives no half of them', async () => {
    const values = Array.from({ length: 900 }, (_, index) => `('2026-09-30', N'EOD', N'BASE', N'Q${index}', 1)`);
    await raw.run(`INSERT INTO xva.Quote (AsOf, Cut, Scenario, QuoteKey, QuoteValue) VALUES ${values.join(', ')}`);
    const { source, claimed } = await claimedRows(5);
    await arm('details-snapshot-16', { kind: 'dropMidResult', rows: 300 });
    const broken = await Promise.allSettled(claimed.map((one) => source.readDetails(one)));
    expect(valuesOf(broken)).toEqual(claimed.map(() => 'connection'));
    const again = await Promise.all(claimed.map((one) => source.readDetails(one)));
    expect(again.map((one) => one.outcome === 'read' && one.details.quotes.length)).toEqual(claimed.map(() => 901));
  });
});
