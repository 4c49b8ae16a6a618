import { randomUUID } from 'node:crypto';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { partitionOfKey } from '../src/hubs/partition-key.ts';
import type { StartedEventHubsEmulator } from '../src/index.ts';
import { containing, firstError, group, hub, matching, once, receive, Stack } from './support.ts';

describe('sending and receiving with @azure/event-hubs', () => {
  const stack = new Stack();
  let emulator: StartedEventHubsEmulator;

  beforeEach(async () => {
    emulator = await stack.emulator();
  });
  afterEach(() => stack.close());

  it('tells hub and partition properties', async () => {
    const producer = stack.producer(emulator.connectionString);
    const properties = await producer.getEventHubProperties();
    expect(properties).toMatchObject({ name: hub, partitionIds: ['0', '1', '2', '3'], isGeoDrEnabled: false });
    expect(Math.abs(properties.createdOn.getTime() - Date.now())).toBeLessThan(60_000);
    expect(await producer.getPartitionProperties('2')).toMatchObject({
      partitionId: '2',
      isEmpty: true,
      beginningSequenceNumber: 0,
      lastEnqueuedSequenceNumber: -1,
      lastEnqueuedOffset: '-1',
    });
    await producer.sendBatch([{ body: 1 }, { body: 2 }], { partitionId: '2' });
    expect(await producer.getPartitionProperties('2')).toMatchObject({ isEmpty: false, lastEnqueuedSequenceNumber: 1 });
  });

  it('keeps bodies, properties, annotations and ids through both consumer groups', async () => {
    const producer = stack.producer(emulator.connectionString);
    const messageId = randomUUID();
    const binary = Buffer.from([0, 1, 2, 255]);
    await producer.sendBatch(
      [
        {
          body: { text: 'São Paulo', list: [1, 2.5, null] },
          messageId,
          correlationId: 'c-1',
          contentType: 'application/json',
          properties: { traceparent: '00-ab', big: 2 ** 40, yes: true },
        },
        { body: binary },
      ],
      { partitionId: '1' },
    );
    for (const consumerGroup of ['$Default', group.toUpperCase()]) {
      const consumer = stack.consumer(emulator.connectionString, consumerGroup);
      const [first, second] = await receive(consumer, 2, undefined, '1');
      expect(first).toMatchObject({
        body: { text: 'São Paulo', list: [1, 2.5, null] },
        messageId,
        correlationId: 'c-1',
        contentType: 'application/json',
        properties: { traceparent: '00-ab', big: 2 ** 40, yes: true },
        sequenceNumber: 0,
        offset: '0',
      });
      expect(second!.body).toEqual(binary);
      expect(second!.sequenceNumber).toBe(1);
      expect(Math.abs(second!.enqueuedTimeUtc.getTime() - Date.now())).toBeLessThan(60_000);
    }
  });

  it("keeps a producer's own message annotations and drops those that are the service's", async () => {
    const producer = stack.producer(emulator.connectionString);
    await producer.sendBatch(
      [
        {
          bodyType: 'data',
          body: Buffer.from('x'),
          messageAnnotations: { 'x-opt-mine': 'kept', 'x-opt-sequence-number': 999 },
        },
      ],
      { partitionId: '0' },
    );
    const [event] = await receive(stack.consumer(emulator.connectionString), 1, undefined, '0');
    expect(event!.systemProperties).toMatchObject({ 'x-opt-mine': 'kept' });
    expect(event!.sequenceNumber).toBe(0);
  });

  it("puts keys where the client's own hash does, and shows them to receivers", async () => {
    const producer = stack.producer(emulator.connectionString);
    const mapper = join(
      import.meta.dirname,
      '../../../node_modules/@azure/event-hubs/dist/esm/impl/partitionKeyToIdMapper.js',
    );
    const client = (await import(pathToFileURL(mapper).href)) as {
      mapPartitionKeyToId(key: string, count: number): number;
    };
    // From the other official client (Python azure-eventhub 5.15.1), which hashes characters, not UTF-8: ASCII only.
    const witnesses = {
      a: 28,
      k1: 8,
      exactly12byt: 1,
      'thirteen byte': 1,
      ['x'.repeat(24)]: 29,
      ['x'.repeat(25)]: 21,
    };
    for (const [key, partition] of Object.entries(witnesses)) expect(partitionOfKey(key, 32)).toBe(partition);
    const keys = Array.from({ length: 24 }, (_, index) => `book-${index}-${'x'.repeat(index)}-ção`);
    for (const key of keys) {
      for (const count of [1, 3, 4, 32])
        expect(partitionOfKey(key, count)).toBe(client.mapPartitionKeyToId(key, count));
    }
    await Promise.all(keys.map((key) => producer.sendBatch([{ body: key }], { partitionKey: key })));
    const received = new Map<string, number>();
    for (const { id, log } of emulator.registry.hub(hub).partitions) {
      const count = log.info.lastSequence + 1;
      if (count === 0) continue;
      const events = await receive(stack.consumer(emulator.connectionString), count, undefined, id);
      for (const event of events) {
        expect(event.partitionKey).toBe(event.body);
        received.set(String(event.body), Number(id));
      }
    }
    expect(received).toEqual(new Map(keys.map((key) => [key, client.mapPartitionKeyToId(key, 4)])));
  });

  it('spreads batches without a key over all partitions', async () => {
    const producer = stack.producer(emulator.connectionString);
    for (let index = 0; index < 8; index += 1) await producer.sendBatch([{ body: index }]);
    const counts = emulator.registry.hub(hub).partitions.map(({ log }) => log.info.lastSequence + 1);
    expect(counts).toEqual([2, 2, 2, 2]);
  });

  it('delivers many events in order, within credit, while they are being sent', async () => {
    const producer = stack.producer(emulator.connectionString);
    const consumer = stack.consumer(emulator.connectionString);
    const total = 6000;
    const receiving = receive(consumer, total, { startPosition: { offset: '-1' }, maxBatchSize: 500 }, '3');
    for (let sent = 0; sent < total; sent += 500) {
      const batch = await producer.createBatch({ partitionId: '3' });
      for (let index = 0; index < 500; index += 1) expect(batch.tryAdd({ body: sent + index })).toBe(true);
      await producer.sendBatch(batch);
    }
    const events = await receiving;
    expect(events.map((event): unknown => event.body)).toEqual(Array.from({ length: total }, (_, index) => index));
    expect(events.map((event) => event.sequenceNumber)).toEqual(Array.from({ length: total }, (_, index) => index));
  });

  it('refuses an oversize publication by disposition, at once, and the link goes on', async () => {
    const producer = stack.producer(emulator.connectionString);
    const batch = await producer.createBatch();
    expect(batch.maxSizeInBytes).toBe(1024 * 1024);
    await expect(producer.sendBatch([{ body: Buffer.alloc(1_100_000) }], { partitionId: '0' })).rejects.toMatchObject({
      code: 'MessageTooLargeError',
      message: matching(/size:11000\d\d bytes\) exceeds the limit \(1048576 bytes\)/),
    });
    await producer.sendBatch([{ body: 'small' }], { partitionId: '0' });
    expect(emulator.registry.hub(hub).partition('0').log.info.lastSequence).toBe(0);
  });

  it('names the known hubs, partitions and groups when something is not there', async () => {
    const lost = stack.producer(emulator.connectionString, once, 'emulatorNs1');
    await expect(lost.sendBatch([{ body: 1 }])).rejects.toMatchObject({
      code: 'MessagingEntityNotFoundError',
      message: matching(/Known event hubs: xva-runs\. That is the name of the namespace/),
    });
    await expect(lost.getEventHubProperties()).rejects.toMatchObject({ code: 'MessagingEntityNotFoundError' });
    const producer = stack.producer(emulator.connectionString);
    await expect(producer.sendBatch([{ body: 1 }], { partitionId: '9' })).rejects.toThrow(/partitions 0 to 3/);
    const consumer = stack.consumer(emulator.connectionString, 'nobody');
    const { error, close } = firstError(consumer, '0', {});
    expect((await error).message).toMatch(/consumer groups \$Default, xva-file-event-controller/);
    await close();
  });

  it('refuses a wrong key, an expired or foreign token, and a policy without the claim', async () => {
    const wrong = stack.producer(emulator.connectionString.replace('SAS_KEY_VALUE', 'guess'));
    await expect(wrong.sendBatch([{ body: 1 }])).rejects.toMatchObject({
      code: 'UnauthorizedError',
      message: containing("the signature of policy 'RootManageSharedAccessKey' is wrong"),
    });
    const strict = await stack.emulator({ policies: [{ name: 'listen', key: 'k', claims: ['Listen'], hub }] });
    await expect(stack.producer(strict.connectionString).sendBatch([{ body: 1 }])).rejects.toMatchObject({
      code: 'UnauthorizedError',
      message: containing("lacks the claim 'Send'"),
    });
    expect((await stack.producer(strict.connectionString).getPartitionIds()).length).toBe(4);
    const late = await stack.emulator({ now: () => Date.now() + 2 * 60 * 60 * 1000 });
    await expect(stack.producer(late.connectionString).getPartitionIds()).rejects.toMatchObject({
      message: containing('expired'),
    });
  });
});
