import { EventHubBufferedProducerClient, type EventHubProducerClient } from '@azure/event-hubs';
import type { StartedEventHubsEmulator } from '../src/index.ts';
import { containing, hub, letLongTimersGo, once, receive, Stack } from './support.ts';

letLongTimersGo();

const twice = { retryOptions: { maxRetries: 3, retryDelayInMs: 10, timeoutInMs: 800 } };

interface PublishingOptions {
  readonly ownerLevel?: number;
  readonly producerGroupId?: number;
  readonly startingSequenceNumber?: number;
}

describe('idempotent producers', () => {
  const stack = new Stack();
  afterEach(() => stack.close());

  /** The client has the feature but, in this version, no public switch for it on its plain producer. */
  const producer = (
    emulator: StartedEventHubsEmulator,
    options: object = twice,
    publishing?: PublishingOptions,
  ): EventHubProducerClient => {
    const client = stack.producer(emulator.connectionString, options);
    Reflect.set(client, '_enableIdempotentRetries', true);
    if (publishing !== undefined) Reflect.set(client, '_partitionOptions', { 0: publishing });
    return client;
  };
  const stored = async (emulator: StartedEventHubsEmulator): Promise<unknown[]> => {
    const count = emulator.registry.hub(hub).partition('0').log.info.lastSequence + 1;
    if (count === 0) return [];
    const events = await receive(stack.consumer(emulator.connectionString), count, undefined, '0');
    return events.map((event): unknown => event.body);
  };

  it.each(['dropAck', 'killAfterWrite'])('store a batch once when %s makes the client send it again', async (kind) => {
    const emulator = await stack.emulator();
    const client = producer(emulator);
    await client.sendBatch([{ body: 'a' }, { body: 'b' }], { partitionId: '0' });
    emulator.faults.arm({ point: 'send', action: { kind } });
    await client.sendBatch([{ body: 'c' }, { body: 'd' }], { partitionId: '0' });
    await client.sendBatch([{ body: 'e' }], { partitionId: '0' });
    expect(await stored(emulator)).toEqual(['a', 'b', 'c', 'd', 'e']);
    expect(emulator.transcript.entries().filter((entry) => entry['kind'] === 'duplicate')).toHaveLength(1);
    // The same without the feature: two copies.
    emulator.faults.arm({ point: 'send', action: { kind } });
    await stack.producer(emulator.connectionString, twice).sendBatch([{ body: 'plain' }], { partitionId: '0' });
    expect((await stored(emulator)).slice(-2)).toEqual(['plain', 'plain']);
  });

  it('are still known after a restart', async () => {
    const data = stack.directory();
    const first = await stack.emulator({ dataDirectory: data });
    const group = { producerGroupId: 77, ownerLevel: 2, startingSequenceNumber: 0 };
    await producer(first, once, group).sendBatch([{ body: 1 }, { body: 2 }], { partitionId: '0' });
    await first.stop();
    const second = await stack.emulator({ dataDirectory: data });
    // It says that it knows of none: what it sends is what is stored already, then what is next.
    const again = producer(second, once, group);
    await again.sendBatch([{ body: 1 }, { body: 2 }], { partitionId: '0' });
    await again.sendBatch([{ body: 3 }], { partitionId: '0' });
    expect(await stored(second)).toEqual([1, 2, 3]);
    await expect(
      producer(second, once, { ...group, ownerLevel: 1 }).sendBatch([{ body: 'low' }], { partitionId: '0' }),
    ).rejects.toThrow("with the higher epoch '2' exists");
  });

  it('are shut out by a higher epoch, and told of a gap', async () => {
    const emulator = await stack.emulator();
    const low = producer(emulator, once, { producerGroupId: 5, ownerLevel: 1, startingSequenceNumber: 0 });
    await low.sendBatch([{ body: 'low' }], { partitionId: '0' });
    const high = producer(emulator, once, { producerGroupId: 5, ownerLevel: 4, startingSequenceNumber: 9 });
    await high.sendBatch([{ body: 'high' }], { partitionId: '0' });
    await expect(low.sendBatch([{ body: 'late' }], { partitionId: '0' })).rejects.toMatchObject({
      message: containing("with the higher epoch '4' exists"),
    });
    // As after a producer has lost count.
    const [sender] = (Reflect.get(high, '_sendersMap') as Map<string, object>).values();
    const numbers = Reflect.get(sender!, '_localPublishingProperties') as { lastPublishedSequenceNumber: number };
    numbers.lastPublishedSequenceNumber += 3;
    await expect(high.sendBatch([{ body: 'gap' }], { partitionId: '0' })).rejects.toMatchObject({
      code: 'SequenceOutOfOrderError',
      message: containing("from sequence number '14' where '11' is next"),
    });
    numbers.lastPublishedSequenceNumber -= 3;
    emulator.registry.hub(hub).partition('0').producers.attach({ producerId: 5, epoch: 6, sequence: 20 }, 0, 1);
    await expect(high.sendBatch([{ body: 'gone' }], { partitionId: '0' })).rejects.toThrow("higher epoch '6'");
    expect(await stored(emulator)).toEqual(['low', 'high']);
  });

  it('send through the buffered client, whose batches are stored once each although answers get lost', async () => {
    const emulator = await stack.emulator();
    emulator.faults.arm({ point: 'send', times: -1, probability: 0.3, seed: 11, action: { kind: 'dropAck' } });
    const failures: unknown[] = [];
    const client = new EventHubBufferedProducerClient(emulator.connectionString, hub, {
      enableIdempotentRetries: true,
      maxWaitTimeInMs: 10,
      onSendEventsErrorHandler: ({ error }) => void failures.push(error),
      retryOptions: { maxRetries: 20, retryDelayInMs: 10, timeoutInMs: 1100 },
    });
    const bodies = Array.from({ length: 60 }, (_, index) => index);
    for (const body of bodies) {
      await client.enqueueEvent({ body }, { partitionId: '0' });
      if (body % 6 === 5) await client.flush();
    }
    await client.close();
    emulator.faults.clear();
    expect(failures).toEqual([]);
    expect(await stored(emulator)).toEqual(bodies);
  });

  it('send to a partition only', async () => {
    const emulator = await stack.emulator();
    await expect(producer(emulator, once).sendBatch([{ body: 1 }])).rejects.toThrow();
  });
});
