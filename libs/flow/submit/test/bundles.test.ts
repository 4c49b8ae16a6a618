import { Readable } from 'node:stream';
import { samplePackage, shardBundle, tarOf, untar } from '@xva/testkit';
import fc from 'fast-check';
import { readBundle } from '../src/bundles.ts';
import { BundleError } from '../src/index.ts';

const { manifest } = samplePackage({ name: 'bundle', nettingSets: 2 });
const task = {
  runId: 'xva-20260930-bundle-1',
  eventId: manifest.eventId,
  attempt: 1,
  taskId: 'shard-0001',
  packageId: 'a'.repeat(64),
  sharedInputHash: manifest.sharedInputHash,
  nettingSets: ['NS-001', 'NS-002'],
};
const good = shardBundle(task, '00000000-0000-4000-8000-000000000001');
const read = (archive: Buffer) => readBundle('bundle.tar', Readable.from([archive]));
const changed = (change: (files: Map<string, Buffer>) => Map<string, Buffer>): Buffer => tarOf(change(untar(good)));

describe('reading a bundle', () => {
  it('gives its description, hash and size', async () => {
    const { bundle, size } = await read(good);
    expect(bundle).toMatchObject({ taskId: 'shard-0001', nettingSets: ['NS-001', 'NS-002'] });
    expect(size).toBe(good.length);
  });

  it('is the same in chunks of any size', async () => {
    const { sha256 } = await read(good);
    await fc.assert(
      fc.asyncProperty(fc.integer({ min: 1, max: 3000 }), async (width) => {
        const chunks = Array.from({ length: Math.ceil(good.length / width) }, (_chunk, index) =>
          good.subarray(index * width, (index + 1) * width),
        );
        expect((await readBundle('bundle.tar', Readable.from(chunks))).sha256).toBe(sha256);
      }),
      { numRuns: 40 },
    );
  });

  it('hands over files whole when they are small and as streams when they are large', async () => {
    const large = Buffer.alloc(5 * 1024 * 1024, 7);
    const { createHash } = await import('node:crypto');
    const description = JSON.parse(untar(good).get('bundle.json')!.toString()) as { files: unknown[] };
    const sha256 = createHash('sha256').update(large).digest('hex');
    description.files.push({ path: 'large.bin', size: large.length, sha256, rows: null });
    const archive = changed((files) => {
      files.set('bundle.json', Buffer.from(JSON.stringify(description)));
      return files.set('large.bin', large);
    });
    const seen: string[] = [];
    await readBundle('bundle.tar', Readable.from([archive]), {
      whole: async (path) => void seen.push(`whole ${path}`),
      streamed: async (path, stream) => {
        let size = 0;
        for await (const chunk of stream) size += (chunk as Buffer).length;
        seen.push(`streamed ${path} ${size}`);
      },
    });
    expect(seen).toEqual(['whole cells.json', `streamed large.bin ${large.length}`]);
  });

  const json = (text: string) => Buffer.from(text);
  const first = (files: Map<string, Buffer>, name: string): Map<string, Buffer> =>
    new Map([[name, json('x')], ...files]);
  const hostile: Readonly<Record<string, () => Buffer>> = {
    'an empty file': () => Buffer.alloc(0),
    'no tar at all': () => Buffer.from('{"not":"a tar"}'.repeat(100)),
    'another first entry': () => changed((files) => first(files, 'a.txt')),
    'bundle.json that is no JSON': () => changed((files) => files.set('bundle.json', json('{'))),
    'bundle.json of another schema': () => changed((files) => files.set('bundle.json', json('{"schemaVersion":"9"}'))),
    'a file that is not listed': () => changed((files) => files.set('extra.bin', json('x'))),
    'a file that is missing': () => changed((files) => new Map([['bundle.json', files.get('bundle.json')!]])),
    'a file with other bytes': () => changed((files) => files.set('cells.json', json('[]'))),
    'a file twice': () =>
      Buffer.concat([
        good.subarray(0, good.length - 1024),
        tarOf(new Map([['cells.json', untar(good).get('cells.json')!]])),
      ]),
    'an end cut off': () => good.subarray(0, good.length - 1700),
    'a symbolic link': () => {
      const archive = Buffer.from(tarOf(new Map([['bundle.json', Buffer.alloc(0)]])));
      archive.write('2', 156);
      archive.write('        ', 148);
      const sum = archive.subarray(0, 512).reduce((total, byte) => total + byte, 0);
      archive.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148);
      return archive;
    },
  };
  it.each(Object.keys(hostile))('refuses %s', async (name) => {
    await expect(read(hostile[name]!())).rejects.toThrow(BundleError);
  });

  it('refuses or reads, and never hangs, whatever byte is changed', async () => {
    await fc.assert(
      fc.asyncProperty(fc.nat(good.length - 1), fc.integer({ min: 1, max: 255 }), async (at, flip) => {
        const archive = Buffer.from(good);
        archive[at] = (archive[at] ?? 0) ^ flip;
        try {
          const { bundle } = await read(archive);
          expect(bundle.taskId).toBeDefined();
        } catch (error) {
          expect(error).toBeInstanceOf(BundleError);
        }
      }),
      { numRuns: 300 },
    );
  });
});
