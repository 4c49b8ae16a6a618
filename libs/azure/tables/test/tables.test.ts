import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { CostModel } from '@xva/contracts';
import { describeRunStore, sampleRecord, startAzurite, type Azurite } from '@xva/testkit';
import { joinLongText, maxTextLength, splitLongText } from '../src/long-text.ts';
import { CostModelTable, RunTable, TableError, TableStore, UsageTable } from '../src/index.ts';
import { runToRow } from '../src/run-table.ts';

let azurite: Azurite;
let store: TableStore;
let runs: RunTable;

beforeAll(async () => {
  azurite = await startAzurite();
  const { connectionString } = azurite;
  store = new TableStore({ connectionString, table: 'things' });
  runs = new RunTable({ connectionString });
  await Promise.all([store.ensure(), runs.ensure()]);
});
afterAll(() => azurite.stop());

describe('long text', () => {
  it('is cut between characters and comes back whole', () => {
    const text = `${'x'.repeat(maxTextLength - 1)}${'😀'.repeat(40_000)}`;
    const split = splitLongText({ text, n: 1 });
    const pieces = Object.values(split).filter((value) => typeof value === 'string');
    expect(pieces.every((piece) => piece.length <= maxTextLength && piece.isWellFormed())).toBe(true);
    expect(joinLongText(split)['text'] === text).toBe(true);
    expect(() => splitLongText({ text__1: 'x' })).toThrow(RangeError);
  });
});

describe('TableStore on Azurite', () => {
  it('inserts once', async () => {
    const row = { partitionKey: 'p', rowKey: 'once', properties: { a: 1, b: true, c: 'x' } };
    expect(await store.insert(row)).toMatchObject({ outcome: 'created' });
    expect(await store.insert(row)).toEqual({ outcome: 'exists' });
    expect((await store.get('p', 'once'))?.properties).toEqual({ a: 1, b: true, c: 'x' });
  });

  it('lets one of two writers of the same version win', async () => {
    await store.insert({ partitionKey: 'p', rowKey: 'cas', properties: { n: 0 } });
    const before = await store.get('p', 'cas');
    const write = (n: number) => store.replace({ partitionKey: 'p', rowKey: 'cas', properties: { n } }, before!.etag);
    const outcomes = (await Promise.all([write(1), write(2)])).map((result) => result.outcome).sort();
    expect(outcomes).toEqual(['changed', 'replaced']);
  });

  it('names absence', async () => {
    expect(await store.get('p', 'none')).toBeUndefined();
    const row = { partitionKey: 'p', rowKey: 'none', properties: {} };
    expect(await store.replace(row, '*')).toEqual({ outcome: 'absent' });
    expect(await store.delete('p', 'none')).toBe('absent');
  });

  it('deletes only the version that was seen', async () => {
    await store.insert({ partitionKey: 'p', rowKey: 'gone', properties: { n: 0 } });
    const seen = await store.get('p', 'gone');
    await store.put({ partitionKey: 'p', rowKey: 'gone', properties: { n: 1 } });
    expect(await store.delete('p', 'gone', seen!.etag)).toBe('changed');
    expect(await store.delete('p', 'gone')).toBe('deleted');
  });

  it('appends rows together with their guard, or nothing', async () => {
    const partitionKey = 'chain';
    const row = (rowKey: string, n: number) => ({ partitionKey, rowKey, properties: { n } });
    expect(await store.appendTogether([row('1', 1), row('2', 2)], { row: row('head', 2), etag: undefined })).toEqual({
      outcome: 'done',
    });
    const head = await store.get(partitionKey, 'head');
    const next = (n: number) => store.appendTogether([row('3', n)], { row: row('head', 3), etag: head!.etag });
    const outcomes = (await Promise.all([next(10), next(20)])).map(({ outcome }) => outcome).sort();
    expect(outcomes).toEqual(['changed', 'done']);
    expect(await next(30)).toEqual({ outcome: 'changed' });
    const again = await store.get(partitionKey, 'head');
    const clash = await store.appendTogether([row('4', 4), row('2', 9)], { row: row('head', 4), etag: again!.etag });
    expect([clash, await store.get(partitionKey, '4')]).toEqual([{ outcome: 'changed' }, undefined]);
    expect((await store.get(partitionKey, 'head'))?.properties).toEqual({ n: 3 });
  });

  it.each([
    ['empty', () => ''],
    ['cut after half of its parts', (body: string) => body.slice(0, body.indexOf('HTTP/1.1', body.length / 2))],
    ['cut within a status', (body: string) => body.replace(/HTTP\/1\.1 204/, 'HTT')],
  ])('leaves open whether a transaction was done when its answer is %s', async (_what, damage) => {
    const server = createServer((incoming, outgoing) => {
      const chunks: Buffer[] = [];
      incoming.on('data', (chunk: Buffer) => chunks.push(chunk));
      incoming.on('end', () => {
        const { connection: _c, host: _h, 'content-length': _l, ...headers } = incoming.headers;
        const url = `${new URL(azurite.tableEndpoint).origin}${incoming.url}`;
        const request = { method: 'POST', headers: headers as Record<string, string>, body: Buffer.concat(chunks) };
        void fetch(url, request).then(async (answer) => {
          const type = answer.headers.get('content-type') ?? '';
          outgoing.writeHead(answer.status, { 'content-type': type }).end(damage(await answer.text()));
        });
      });
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const { port } = server.address() as AddressInfo;
    const through = azurite.connectionString.replace(
      /TableEndpoint=http:\/\/127\.0\.0\.1:\d+/,
      `TableEndpoint=http://127.0.0.1:${port}`,
    );
    const partitionKey = `damaged-${port}`;
    const row = (rowKey: string) => ({ partitionKey, rowKey, properties: { n: 1 } });
    const append = new TableStore({ connectionString: through, table: 'things' }).appendTogether(
      ['1', '2', '3'].map(row),
      { row: row('head'), etag: undefined },
    );
    await expect(append).rejects.toMatchObject({ code: 'IncompleteAnswer', status: 0, retryable: true });
    // It was done all the same, which its caller finds out by reading.
    expect(await store.get(partitionKey, '3')).toBeDefined();
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  });

  it('keeps text that is longer than a property may be', async () => {
    const text = 'x'.repeat(100_000);
    await store.insert({ partitionKey: 'p', rowKey: 'long', properties: { text, n: 1 } });
    expect((await store.get('p', 'long'))?.properties).toEqual({ text, n: 1 });
  });

  it('pages through a partition in key order', async () => {
    for (let n = 0; n < 7; n += 1)
      await store.insert({ partitionKey: 'pages', rowKey: `r${n}`, properties: { even: n % 2 === 0 } });
    const found: string[] = [];
    let continuation: string | undefined;
    let pages = 0;
    do {
      const page = await store.queryPage({ filter: `PartitionKey eq 'pages'`, pageSize: 3 }, continuation);
      found.push(...page.rows.map((row) => row.rowKey));
      continuation = page.continuation;
      pages += 1;
    } while (continuation !== undefined);
    expect(found).toEqual(['r0', 'r1', 'r2', 'r3', 'r4', 'r5', 'r6']);
    expect(pages).toBeGreaterThan(2);
    const even: string[] = [];
    for await (const row of store.query({ filter: `PartitionKey eq 'pages' and even eq true` })) even.push(row.rowKey);
    expect(even).toEqual(['r0', 'r2', 'r4', 'r6']);
  });

  it('says what went wrong, and whether trying again can help', async () => {
    const { connectionString } = azurite;
    const missing = new TableStore({ connectionString, table: 'nosuchtable' });
    await expect(missing.get('p', 'r')).rejects.toMatchObject({
      name: 'TableError',
      code: 'TableNotFound',
      status: 404,
      retryable: false,
    });
    const nobody = connectionString.replaceAll(/127\.0\.0\.1:\d+/g, '127.0.0.1:1');
    const away = new TableStore({ connectionString: nobody, table: 'things', maxRetries: 0 });
    await expect(away.get('p', 'r')).rejects.toMatchObject({ name: 'TableError', status: 0, retryable: true });
    expect(() => new TableStore({ table: 'things' })).toThrow(TableError);
  });
});

describe('RunTable on Azurite', () => {
  it('keeps a record, changes it by compare-and-swap, and knows which are open', async () => {
    const reasons = [{ at: '2026-09-30T10:00:00.000Z', code: 'c', subject: 's', message: 'não – 😀' }];
    const first = sampleRecord('xva-20260930-a-1', { reasons });
    expect(await runs.insert(first)).toMatchObject({ outcome: 'created' });
    expect(await runs.insert(first)).toEqual({ outcome: 'exists' });
    const stored = await runs.get('xva-20260930-a-1');
    expect(stored?.record).toEqual(first);
    expect(await runs.swap({ ...first, version: 2, state: 'failed' }, stored!.etag)).toEqual(expect.any(String));
    expect(await runs.swap({ ...first, version: 2 }, stored!.etag)).toBeUndefined();
    await runs.insert(sampleRecord('xva-20260930-a-2', { state: 'done', finishedAt: '2026-09-30T11:00:00.000Z' }));
    const open: string[] = [];
    for await (const { record: found } of runs.listOpen()) open.push(found.runId);
    expect(open.filter((id) => id.includes('-a-'))).toEqual(['xva-20260930-a-1']);
  });

  it('finds open runs by their index, also those that were there before it, and again after a retry', async () => {
    const openOf = async (table: RunTable, skip?: (runId: string) => boolean): Promise<readonly string[]> => {
      const found: string[] = [];
      for await (const { record } of table.listOpen(skip)) found.push(record.runId);
      return found.filter((id) => id.includes('-idx-')).sort();
    };
    const older = new TableStore({ connectionString: azurite.connectionString, table: 'runs' });
    await older.insert(runToRow(sampleRecord('xva-20260927-idx-1')));
    const record = sampleRecord('xva-20260927-idx-2');
    const inserted = await runs.insert(record);
    if (inserted.outcome !== 'created') throw new Error('not created');
    const fresh = new RunTable({ connectionString: azurite.connectionString });
    expect(await openOf(fresh)).toEqual(['xva-20260927-idx-1', 'xva-20260927-idx-2']);
    expect(await openOf(fresh)).toEqual(['xva-20260927-idx-1', 'xva-20260927-idx-2']);
    expect(await openOf(fresh, (runId) => runId.endsWith('-1'))).toEqual(['xva-20260927-idx-2']);
    const over = { ...record, version: 2, state: 'failed' as const, finishedAt: record.createdAt };
    const etag = await fresh.swap(over, inserted.etag);
    expect(await openOf(fresh)).toEqual(['xva-20260927-idx-1']);
    await fresh.swap({ ...record, version: 3 }, etag ?? '');
    expect(await openOf(fresh)).toEqual(['xva-20260927-idx-1', 'xva-20260927-idx-2']);
  });

  it('goes on past a row that holds no valid record, and tells of it', async () => {
    const rows = new TableStore({ connectionString: azurite.connectionString, table: 'runs' });
    const { partitionKey, rowKey, properties } = runToRow(sampleRecord('xva-20260926-bad-1'));
    await rows.insert({ partitionKey, rowKey, properties: { ...properties, record: '{"schemaVersion":"9.9"}' } });
    const told: string[] = [];
    const options = {
      connectionString: azurite.connectionString,
      onUnreadable: (runId: string) => void told.push(runId),
    };
    const table = new RunTable(options);
    await table.insert(sampleRecord('xva-20260926-good-1'));
    const open: string[] = [];
    for await (const { record } of table.listOpen()) open.push(record.runId);
    expect(open).toContain('xva-20260926-good-1');
    const page = await table.after({ asOf: '2026-09-26' }, undefined, 10);
    expect(page.runs.map(({ record }) => record.runId)).toEqual(['xva-20260926-good-1']);
    expect(new Set(told)).toEqual(new Set(['xva-20260926-bad-1']));
    await rows.delete(partitionKey, rowKey);
  });

  it('stores a plan of thousands of shards', async () => {
    const shards = Array.from({ length: 9999 }, (_unused, index) => ({
      taskId: `shard-${String(index + 1).padStart(4, '0')}`,
      nettingSets: [`NETTING-SET-${index}`],
      costSeconds: index / 7,
    }));
    const big = sampleRecord('xva-20260929-big-1', {
      plan: { schemaVersion: '1.0', sharedInputHash: 'b'.repeat(64), shards },
    });
    await runs.insert(big);
    expect((await runs.get('xva-20260929-big-1'))?.record).toEqual(big);
  });

  it('filters by state, book and as-of date', async () => {
    await runs.insert(sampleRecord('xva-20260928-f-1', { state: 'running' }));
    const filter = { asOf: '2026-09-28', states: ['running', 'queued'], book: 'RATES' } as const;
    const page = await runs.after(filter, undefined, 10);
    expect(page.runs.map(({ record }) => record.state)).toEqual(['running']);
    expect((await runs.after({ asOf: '2026-09-28', states: ['done'] }, undefined, 10)).runs).toEqual([]);
    const all = await runs.after({}, undefined, 1000);
    expect(all.more).toBe(false);
    const found: string[] = [];
    for (let after: string | undefined, more = true; more;) {
      const next = await runs.after({ from: '2026-01-01', to: '2026-12-31' }, after, 1);
      found.push(...next.runs.map(({ record }) => record.runId));
      ({ more } = next);
      after = found.at(-1);
    }
    expect(found).toEqual(all.runs.map(({ record }) => record.runId));
    expect(await runs.after({ desk: 'nobody' }, undefined, 10)).toEqual({ runs: [], more: false });
  });

  it('pins', async () => {
    expect(await runs.isPinned('xva-20260930-a-1')).toBe(false);
    await runs.pin('xva-20260930-a-1', 'somebody', 'audit');
    expect(await runs.isPinned('xva-20260930-a-1')).toBe(true);
    await runs.unpin('xva-20260930-a-1');
    expect(await runs.isPinned('xva-20260930-a-1')).toBe(false);
  });
});

describeRunStore('Table Storage', () => runs);

async function collected<T>(items: AsyncIterable<T>): Promise<readonly T[]> {
  const all: T[] = [];
  for await (const item of items) all.push(item);
  return all;
}

describe('usage and cost model', () => {
  it('keeps what runs used, the latest of a day, and finds what is not older than asked', async () => {
    const usage = new UsageTable({ connectionString: azurite.connectionString });
    await usage.ensure();
    const entry = { runId: 'xva-20260930-u-1', desk: 'rates', amount: null, currency: null } as const;
    await usage.put({ ...entry, at: new Date('2026-09-30T10:00:00Z'), slotSeconds: 10 });
    await usage.put({
      ...entry,
      at: new Date('2026-09-30T11:00:00Z'),
      slotSeconds: 12.5,
      amount: 0.1,
      currency: 'EUR',
    });
    await usage.put({ ...entry, at: new Date('2026-10-01T09:00:00Z'), slotSeconds: 7 });
    const since = async (at: string) => collected(usage.since(new Date(at)));
    expect((await since('2026-09-30T10:30:00Z')).map((one) => [one.slotSeconds, one.amount, one.currency])).toEqual([
      [12.5, 0.1, 'EUR'],
      [7, null, null],
    ]);
    expect(await since('2026-09-30T11:30:00Z')).toMatchObject([{ at: new Date('2026-10-01T09:00:00Z') }]);
  });

  it('lets one of two who learnt the model anew win', async () => {
    const table = new CostModelTable({ connectionString: azurite.connectionString });
    await table.ensure();
    const model: CostModel = {
      schemaVersion: '1.0',
      fixedSeconds: 1,
      scenarioNanos: 2,
      tradeSeconds: 3,
      factors: { RateSwap: 0.5 },
      otherFactor: 1,
      shards: 1,
      learntAt: null,
    };
    expect(await table.read()).toBeUndefined();
    expect([await table.write(model, undefined), await table.write(model, undefined)]).toEqual([true, false]);
    const found = await table.read();
    expect(found?.model).toEqual(model);
    const written = [2, 3].map((shards) => table.write({ ...model, shards }, found?.etag));
    expect((await Promise.all(written)).sort()).toEqual([false, true]);
    const usage = new UsageTable({ connectionString: azurite.connectionString });
    expect((await collected(usage.since(new Date(0)))).every((one) => one.runId.startsWith('xva-'))).toBe(true);
  });
});
