import { randomUUID } from 'node:crypto';
import { createServer, request } from 'node:http';
import type { AddressInfo } from 'node:net';
import { Readable } from 'node:stream';
import { startAzurite, type Azurite } from '@xva/testkit';
import { BlobAccount, StorageError, type BlobContainer } from '../src/index.ts';

describe('BlobContainer on Azurite', () => {
  let azurite: Azurite;
  let account: BlobAccount;
  let container: BlobContainer;

  beforeAll(async () => {
    azurite = await startAzurite();
    account = new BlobAccount({ connectionString: azurite.connectionString, maxTries: 1 });
  });
  afterAll(() => azurite.stop());
  beforeEach(async () => {
    container = account.container(`t-${randomUUID()}`);
    await container.ensure({ xva_class: 'bundle' });
  });

  it('creates a container once and keeps its metadata', async () => {
    await expect(container.ensure()).resolves.toEqual({ outcome: 'exists' });
    await expect(container.metadata()).resolves.toEqual({ xva_class: 'bundle' });
    await expect(account.container('t-none').metadata()).resolves.toBeUndefined();
  });

  it('of many writers of one name exactly one wins, and its bytes stay', async () => {
    const outcomes = await Promise.all(
      Array.from({ length: 20 }, (_unused, index) => container.putIfAbsent('one', `writer ${index}`)),
    );
    const winner = outcomes.findIndex(({ outcome }) => outcome === 'created');
    expect(outcomes.filter(({ outcome }) => outcome === 'created')).toHaveLength(1);
    expect((await container.get('one'))?.bytes.toString()).toBe(`writer ${winner}`);
  });

  it('streams a blob that appears whole, and not over another', async () => {
    const bytes = Buffer.alloc(9 * 1024 * 1024, 7);
    const put = (data: Buffer) =>
      container.putStreamIfAbsent('big', Readable.from([data.subarray(0, 5), data.subarray(5)]));
    await expect(put(bytes)).resolves.toEqual({ outcome: 'created' });
    await expect(put(Buffer.from('other'))).resolves.toEqual({ outcome: 'exists' });
    expect((await container.head('big'))?.size).toBe(bytes.length);
    const slice = await container.openRead('big', 3, 4);
    const chunks: Buffer[] = [];
    for await (const chunk of slice?.stream ?? []) chunks.push(Buffer.from(chunk));
    expect(Buffer.concat(chunks)).toEqual(bytes.subarray(3, 7));
  });

  it('sends blocks that the service checks, and leaves nothing when one was garbled on the way or the stream fails', async () => {
    const bytes = Buffer.alloc(9 * 1024 * 1024, 'xva');
    await container.putStreamIfAbsent('checked', Readable.from([bytes]));
    const garbling = await garblingProxy(azurite.blobEndpoint);
    const through = new BlobAccount({
      connectionString: azurite.connectionString.replace(azurite.blobEndpoint, garbling.url),
      maxTries: 1,
    }).container(container.name);
    await expect(through.putStreamIfAbsent('garbled', Readable.from([bytes]))).rejects.toMatchObject({
      code: 'Md5Mismatch',
      retryable: true,
    });
    garbling.stop();
    expect(await container.head('garbled')).toBeUndefined();
    const failing = Readable.from(
      (function* () {
        yield bytes;
        throw new Error('cut');
      })(),
    );
    await expect(container.putStreamIfAbsent('cut', failing)).rejects.toThrow('cut');
    expect(await container.head('cut')).toBeUndefined();
  });

  it('of many writers of one stream exactly one wins, and the blob is whole', async () => {
    const bytes = Buffer.alloc(5 * 1024 * 1024, 'xva');
    const outcomes = await Promise.all(
      Array.from({ length: 6 }, () => container.putStreamIfAbsent('raced', Readable.from([bytes]))),
    );
    expect(outcomes.filter(({ outcome }) => outcome === 'created')).toHaveLength(1);
    expect((await container.get('raced'))?.bytes.equals(bytes)).toBe(true);
  });

  it('replaces only the version that was seen', async () => {
    await container.put('cas', 'a');
    const first = await container.head('cas');
    expect(await container.put('cas', 'b', { ifMatch: first?.etag ?? '' })).toBe(true);
    expect(await container.put('cas', 'c', { ifMatch: first?.etag ?? '' })).toBe(false);
    expect((await container.get('cas'))?.bytes.toString()).toBe('b');
  });

  it('deletes only the version that was seen; a touch makes another one and keeps the metadata', async () => {
    await container.putIfAbsent('old', 'x', { metadata: { xva_class: 'object' } });
    const seen = await container.head('old');
    if (seen === undefined) throw new Error('absent');
    await expect(container.touch(seen)).resolves.toBe('touched');
    await expect(container.delete('old', seen.etag)).resolves.toBe('changed');
    const now = await container.head('old');
    expect(now?.metadata).toEqual({ xva_class: 'object' });
    await expect(container.delete('old', now?.etag)).resolves.toBe('deleted');
    await expect(container.delete('old')).resolves.toBe('absent');
    await expect(container.touch(seen)).resolves.toBe('gone');
  });

  it('lists in pages with metadata, and a container that is not there is empty', async () => {
    for (const name of ['a/1', 'a/2', 'b/1']) await container.putIfAbsent(name, name, { metadata: { n: '1' } });
    const names: string[] = [];
    for await (const blob of container.list('a/', 1)) names.push(`${blob.name}:${blob.metadata['n'] ?? ''}`);
    expect(names).toEqual(['a/1:1', 'a/2:1']);
    for await (const blob of container.list()) expect(blob.etag).toBe((await container.head(blob.name))?.etag);
    for await (const blob of account.container('t-none').list()) throw new Error(`unexpected ${blob.name}`);
  });

  it('says what is wrong by name: absent is undefined, the rest a StorageError', async () => {
    expect(await container.get('none')).toBeUndefined();
    expect(await container.openRead('none')).toBeUndefined();
    const failing = account.container('t-none').put('x', 'y');
    await expect(failing).rejects.toMatchObject({
      name: 'StorageError',
      code: 'ContainerNotFound',
      status: 404,
      retryable: false,
    });
    const unreachable = new BlobAccount({
      connectionString: azurite.connectionString.replaceAll(/127\.0\.0\.1:\d+/g, '127.0.0.1:1'),
      maxTries: 1,
    });
    await expect(unreachable.check()).rejects.toMatchObject({ name: 'StorageError', retryable: true });
    expect(() => new BlobAccount({})).toThrow(StorageError);
  });
});

/** Passes requests on, but flips a bit in the body of every block. */
async function garblingProxy(target: string): Promise<{ url: string; stop: () => void }> {
  const { hostname, port, pathname } = new URL(target);
  const server = createServer((incoming, response) => {
    const { method, headers, url } = incoming;
    const isBlock = url?.includes('comp=block&') === true;
    const outgoing = request({ hostname, port, method, headers, path: url }, (answer) => {
      response.writeHead(answer.statusCode ?? 500, answer.headers);
      answer.pipe(response);
    });
    incoming.on('data', (chunk: Buffer) => {
      if (isBlock) chunk[0] = (chunk[0] ?? 0) ^ 1;
      outgoing.write(chunk);
    });
    incoming.on('end', () => outgoing.end());
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}${pathname}`,
    stop: () => {
      server.closeAllConnections();
      server.close();
    },
  };
}
