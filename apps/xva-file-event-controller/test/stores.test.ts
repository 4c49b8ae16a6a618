import { createHash } from 'node:crypto';
import { BlobAccount, type BlobContainer } from '@xva/azure-storage';
import { deadLetterSchema, type DeadLetter, type Part } from '@xva/contracts';
import { bury, checkPart, StepFailure } from '@xva/flow-package';
import { deadLettersContract, sampleEvent, startAzurite, workObjectsContract, type Azurite } from '@xva/testkit';
import { BlobDeadLetters, BlobWorkObjects } from '../src/stores.ts';

let azurite: Azurite;
let count = 0;

beforeAll(async () => {
  azurite = await startAzurite();
});
afterAll(() => azurite.stop());

function account(): BlobAccount {
  return new BlobAccount({ connectionString: azurite.connectionString, maxTries: 1 });
}

async function container(name: string): Promise<BlobContainer> {
  const made = account().container(`${name}-${++count}`);
  await made.ensure();
  return made;
}

workObjectsContract('blobs', async () => {
  const [requests, objects] = [await container('requests'), await container('objects')];
  return {
    objects: new BlobWorkObjects(requests, objects),
    putRequest: async (name, bytes) => {
      await requests.put(name, bytes);
    },
    readObject: async (name) => (await objects.get(name))?.bytes,
    deleteObject: async (name) => {
      await objects.delete(name);
    },
  };
});

const { event, eventBytes } = sampleEvent();
const letter = (id: string, message: string): DeadLetter =>
  deadLetterSchema.parse({
    schemaVersion: '1.0',
    id,
    state: 'waiting',
    eventId: id,
    runId: event.data.runId,
    requestKey: event.data.requestKey,
    traceId: null,
    event: { encoding: 'utf8', data: eventBytes.toString() },
    contentSha256: '0'.repeat(64),
    source: null,
    reason: 'test',
    message,
    defects: [],
    attempts: 1,
    firstSeen: '2026-09-30T18:00:00Z',
    lastSeen: '2026-09-30T18:00:00Z',
    history: [],
  });

deadLettersContract('blobs', async () => new BlobDeadLetters(await container('letters')), letter);

describe('blob stores', () => {
  it('call a missing container a matter for a person, not a missing request', async () => {
    const absent = account().container('never-made');
    const objects = new BlobWorkObjects(absent, absent);
    await expect(objects.readRequest('a.json', 10)).rejects.toMatchObject({ kind: 'operator' });
    await expect(objects.putObject('a', Buffer.from('x'))).rejects.toMatchObject({ kind: 'operator' });
  });

  it('call a wrong key a matter for a person and a dead account an outage', async () => {
    const wrongKey = azurite.connectionString.replace(
      /AccountKey=[^;]+/,
      `AccountKey=${Buffer.from('wrong').toString('base64')}`,
    );
    const deadHost = azurite.connectionString.replaceAll(/127\.0\.0\.1:\d+/g, '127.0.0.1:1');
    const kindOf = async (connectionString: string): Promise<string> => {
      const letters = new BlobDeadLetters(new BlobAccount({ connectionString, maxTries: 1 }).container('letters-x'));
      const error = await letters.get('a').catch((reason: unknown) => reason);
      return error instanceof StepFailure ? error.kind : String(error);
    };
    expect(await kindOf(wrongKey)).toBe('operator');
    expect(await kindOf(deadHost)).toBe('outage');
  });

  it('send a part of 128 MiB through its checks and into Storage in bounded memory', async () => {
    const objects = await container('objects');
    const store = new BlobWorkObjects(objects, objects);
    const block = Buffer.alloc(256 * 1024, '20260930 FX/RATE/EUR/USD 1.1\n');
    const blocks = 512;
    const hash = createHash('sha256');
    for (let count = 0; count < blocks; count += 1) hash.update(block);
    const part: Part = {
      path: 'Input/market.txt',
      role: 'market',
      size: block.length * blocks,
      sha256: hash.digest('hex'),
    };
    let most = 0;
    async function* chunks(): AsyncGenerator<Uint8Array> {
      for (let count = 0; count < blocks; count += 1) {
        most = Math.max(most, process.memoryUsage().arrayBuffers);
        yield await Promise.resolve(block);
      }
    }
    const before = process.memoryUsage().arrayBuffers;
    const { signal } = new AbortController();
    expect(await store.putObjectStream(part.sha256, checkPart(part, chunks()), signal)).toBe('created');
    expect((await store.findObject(part.sha256))?.size).toBe(part.size);
    expect((most - before) / 2 ** 20).toBeLessThan(96);
  }, 60_000);

  it('count every attempt when many bury the same event at once', async () => {
    const letters = new BlobDeadLetters(await container('letters'));
    const failure = new StepFailure('poison', 'package-refused', 'no');
    const rejected = { received: { bytes: eventBytes, source: null }, event, failure, now: new Date() };
    await Promise.all(Array.from({ length: 6 }, () => bury(rejected, letters)));
    expect((await letters.get(event.id))?.letter.attempts).toBe(6);
  });
});
