import { randomUUID } from 'node:crypto';
import { startAzurite, startBlobStandIn, type Azurite, type BlobStandIn } from '@xva/testkit';
import { readListing, withPage } from '../src/collect/listing-xml.ts';
import { BlobAccount, type Collected, type WalkedBlob, type WalkOptions } from '../src/index.ts';

async function all(container: Collected, options: WalkOptions = {}): Promise<WalkedBlob[]> {
  const found: WalkedBlob[] = [];
  for await (const page of container.walk(options)) found.push(...page);
  return found;
}
const names = (blobs: readonly { name: string }[]): string[] => blobs.map(({ name }) => name).sort();
const hex = (index: number): string => (index * 2654435761).toString(16).padStart(64, 'a').slice(-64);

describe.each(['Azurite', 'the stand-in'])('a collected container on %s', (where) => {
  let azurite: Azurite | undefined;
  let standIn: BlobStandIn | undefined;
  let account: BlobAccount;
  let name: string;

  beforeAll(async () => {
    if (where === 'Azurite') azurite = await startAzurite();
    else standIn = await startBlobStandIn();
    account = new BlobAccount({ connectionString: (azurite ?? standIn)?.connectionString });
  });
  beforeEach(async () => {
    name = `c-${randomUUID()}`;
    await account.container(name).ensure();
  });
  afterAll(async () => {
    await azurite?.stop();
    await standIn?.stop();
  });
  const seed = async (blobs: readonly string[]): Promise<void> => {
    const container = account.container(name);
    for (const blob of blobs) await container.putIfAbsent(blob, blob, { metadata: { kind: 'test' } });
  };

  it('walks flat, by folders and by hex digits, and finds the same', async () => {
    const blobs = [
      ...Array.from({ length: 12 }, (_unused, index) => hex(index)),
      'a/one',
      'a/two',
      'b/x/three',
      'readme &<>".txt',
      'Zeile ünï.csv',
      '%2e%2e/x',
      "it's #1?.txt",
    ];
    await seed(blobs);
    const collected = account.collector()(name);
    for (const split of ['none', 'folders', 'hex'] as const) {
      const found = await all(collected, { split, pageSize: 3, parallelism: 3 });
      expect(names(found)).toEqual([...blobs].sort());
    }
    expect(await all(collected, { prefix: 'a/' })).toMatchObject([{ metadata: { kind: 'test' } }, {}]);
    expect(await all(account.collector()('nothing-here'))).toEqual([]);
  });

  it.each([true, false])(
    'deletes only the versions given (batches: %s)',
    async (batches) => {
      const blobs = Array.from({ length: 300 }, (_unused, index) => `b/${index} ü#?%41`);
      await seed(blobs);
      const collected = account.collector({ batches })(name);
      const found = await all(collected);
      await account.container(name).put('b/7 ü#?%41', 'another version');
      const versions = [
        ...found.map(({ name: blob, etag }) => ({ name: blob, etag })),
        { name: 'b/none', etag: '"0x1"' },
      ];
      const outcomes = await collected.delete(versions);
      const by = new Map(versions.map((version, index) => [version.name, outcomes[index]?.outcome]));
      expect(by.get('b/7 ü#?%41')).toBe('changed');
      expect(by.get('b/none')).toBe('absent');
      expect(outcomes.filter(({ outcome }) => outcome === 'deleted')).toHaveLength(299);
      expect(names(await all(collected))).toEqual(['b/7 ü#?%41']);
      expect(collected.takesBatches).toBe(batches);
    },
    60_000,
  );

  it('copies a version once, holds leases, deletes a container that it leased, appends', async () => {
    await seed(['from']);
    const collected = account.collector();
    const [source, target] = [collected(name), collected(`${name}-q`)];
    await account.container(`${name}-q`).ensure();
    const [blob] = await all(source);
    if (blob === undefined) throw new Error('nothing seeded');
    expect(await source.copy(blob, target, 'to', { was: 'from' })).toBe('copied');
    expect(await source.copy(blob, target, 'to', { was: 'from' })).toBe('copied');
    expect(await source.copy({ ...blob, etag: '"0x0"' }, target, 'other', {})).toBe('changed');
    expect(await source.copy({ ...blob, name: 'none' }, target, 'third', {})).toBe('absent');
    const copied = await account.container(`${name}-q`).get('to');
    expect([copied?.bytes.toString(), copied?.metadata]).toEqual(['from', { was: 'from' }]);

    const lease = await target.leaseBlob('lock', 60);
    expect(lease).toBeDefined();
    expect(await target.leaseBlob('lock', 60)).toBeUndefined();
    expect(await lease?.renew()).toBe(true);
    await lease?.release();
    await target.append('lines', 'a\n');
    await target.append('lines', 'b\n');
    expect((await account.container(`${name}-q`).get('lines'))?.bytes.toString()).toBe('a\nb\n');

    if (where === 'Azurite') {
      await source.leaseContainer(60);
      expect(await source.breakLease()).toBe(true);
    }
    const held = await source.leaseContainer(60);
    expect(await source.deleteContainer()).toBe('held');
    expect(await source.deleteContainer(held?.id)).toBe('deleted');
    expect(await collected('nothing-here').deleteContainer()).toBe('absent');
  });
});

describe('pages of a listing', () => {
  it('are read by us, and the client is left an answer without entries', async () => {
    const standIn = await startBlobStandIn();
    try {
      for (const name of ['a', 'b']) standIn.put('c', { name });
      const account = new BlobAccount({ connectionString: standIn.connectionString });
      const service = account.collectingService;
      const { answer, page } = await withPage(() => service.getContainerClient('c').listBlobsFlat().byPage().next());
      expect(page.blobs.map(({ name }) => name)).toEqual(['a', 'b']);
      expect((answer.value as { segment: { blobItems: unknown[] } }).segment.blobItems).toEqual([]);
    } finally {
      await standIn.stop();
    }
  });

  it.each([
    ['an entry without a name', '<Blob><Properties/></Blob>', /lacks its name/],
    ['a page that is cut', '<Blob><Name>a</Name>', /cut/],
  ])('%s is refused', (_name, xml, message) => {
    expect(() => readListing(`<EnumerationResults><Blobs>${xml}`)).toThrow(message);
  });

  it('carry any name, also percent-encoded, and metadata that is called like a part of an object', () => {
    const entry = (name: string, more = ''): string =>
      `<Blob>${name}<Properties><Last-Modified>Mon, 23 Nov 2026 06:00:00 GMT</Last-Modified><Etag>0x1</Etag></Properties>${more}</Blob>`;
    const xml = `${entry('<Name>a&amp;&lt;&#13;&#x1F600;</Name>', '<Metadata><__proto__>x</__proto__><b>1 &gt; 0</b></Metadata>')}${entry('<Name Encoded="true">%01%2f</Name>')}`;
    const { blobs } = readListing(`<EnumerationResults><Blobs>${xml}</Blobs></EnumerationResults>`);
    expect(blobs.map(({ name }) => name)).toEqual(['a&<\r😀', '\u0001/']);
    expect(Object.entries(blobs[0]?.metadata ?? {})).toEqual([
      ['__proto__', 'x'],
      ['b', '1 > 0'],
    ]);
  });
});

describe('a collected container on what Azurite does not have', () => {
  it('sees holds, undeletes, goes one by one when there are no batches, slows down when told', async () => {
    const standIn = await startBlobStandIn({ softDeleteDays: 7, batches: false });
    const limits: number[] = [];
    try {
      const account = new BlobAccount({ connectionString: standIn.connectionString });
      expect(await account.softDelete()).toEqual({ blobDays: 7 });
      const collected = account.collector({ parallelism: 8, onThrottle: (limit) => limits.push(limit) })('c');
      standIn.put('c', { name: 'held', legalHold: true });
      standIn.put('c', { name: 'fixed', immutableUntil: new Date(Date.now() + 86_400_000) });
      standIn.put('c', { name: 'leased', leased: true });
      standIn.put('c', { name: 'free', lastAccessed: new Date('2026-01-02T00:00:00Z') });
      const found = await all(collected);
      expect(found.map(({ name, hold }) => [name, hold])).toEqual([
        ['fixed', 'immutable'],
        ['free', undefined],
        ['held', 'legal-hold'],
        ['leased', 'leased'],
      ]);
      expect(found[1]?.lastAccessed).toEqual(new Date('2026-01-02T00:00:00Z'));
      standIn.faults.push({ match: 'DELETE', status: 503, code: 'ServerBusy', retryAfter: '0', times: 2 });
      const outcomes = await collected.delete(found.map(({ name, etag }) => ({ name, etag })));
      expect(outcomes.map(({ outcome }) => outcome)).toEqual(['held', 'deleted', 'held', 'held']);
      expect(collected.takesBatches).toBe(false);
      expect(limits).toEqual([4, 2]);
      expect(await collected.undelete('free')).toBe(true);
      expect(await collected.undelete('never')).toBe(false);
    } finally {
      await standIn.stop();
    }
  });

  it('leaves a name that requests cannot reach, rather than taking what lies at the place they lead to', async () => {
    const standIn = await startBlobStandIn();
    try {
      for (const name of ['a\\b', 'a/b', 'x/../a/b', 'c']) standIn.put('c', { name });
      const collected = new BlobAccount({ connectionString: standIn.connectionString }).collector()('c');
      const found = await all(collected);
      const outcomes = await collected.delete(found.map(({ name }) => ({ name })));
      expect(found.map(({ name }, index) => [name, outcomes[index]?.detail])).toEqual([
        ['a/b', ''],
        ['a\\b', ''],
        ['c', ''],
        ['x/../a/b', 'NameNotAddressable'],
      ]);
      expect([...(standIn.containers.get('c')?.blobs.keys() ?? [])]).toEqual(['x/../a/b']);
    } finally {
      await standIn.stop();
    }
  });

  it('tries the throttled parts of a batch again, alone', async () => {
    const standIn = await startBlobStandIn();
    try {
      for (let index = 0; index < 20; index += 1) standIn.put('c', { name: `b${index}` });
      const collected = new BlobAccount({ connectionString: standIn.connectionString }).collector()('c');
      standIn.faults.push({ match: 'SUB b1', status: 503, code: 'ServerBusy', times: 5 });
      const versions = (await all(collected)).map(({ name, etag }) => ({ name, etag }));
      const outcomes = await collected.delete(versions);
      expect(outcomes.every(({ outcome }) => outcome === 'deleted')).toBe(true);
      expect(standIn.seen.filter((line) => line.startsWith('DELETE'))).toHaveLength(5);
    } finally {
      await standIn.stop();
    }
  });
});
