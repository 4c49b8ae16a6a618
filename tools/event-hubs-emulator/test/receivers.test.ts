import { earliestEventPosition, latestEventPosition, type EventPosition } from '@azure/event-hubs';
import type { StartedEventHubsEmulator } from '../src/index.ts';
import { containing, firstError, group, hub, receive, Stack, until } from './support.ts';

describe('receivers', () => {
  const stack = new Stack();
  let emulator: StartedEventHubsEmulator;
  let nowMs = 1_750_000_000_000;

  beforeEach(async () => {
    nowMs = Date.now();
    emulator = await stack.emulator({ now: () => nowMs });
  });
  afterEach(() => stack.close());

  async function fill(count: number, partitionId = '0'): Promise<number> {
    const producer = stack.producer(emulator.connectionString);
    const start = nowMs;
    for (let index = 0; index < count; index += 1) {
      nowMs = start + index * 1000;
      await producer.sendBatch([{ body: index }], { partitionId });
    }
    return start;
  }

  const partitionLog = () => emulator.registry.hub(hub).partition('0');

  it('start where they were asked to', async () => {
    const start = await fill(6);
    const consumer = stack.consumer(emulator.connectionString);
    const [, , third] = await receive(consumer, 6, undefined, '0');
    const cases: readonly (readonly [EventPosition, number])[] = [
      [earliestEventPosition, 0],
      [{ offset: third!.offset }, 3],
      [{ offset: third!.offset, isInclusive: true }, 2],
      [{ sequenceNumber: 3 }, 4],
      [{ sequenceNumber: 3, isInclusive: true }, 3],
      [{ enqueuedOn: start + 3000 }, 4],
      [{ enqueuedOn: new Date(start + 2500) }, 3],
    ];
    for (const [startPosition, first] of cases) {
      const events = await receive(consumer, 6 - first, { startPosition }, '0');
      expect(events.map((event): unknown => event.body)).toEqual([0, 1, 2, 3, 4, 5].slice(first));
    }
  });

  it('at the latest position see only what comes after', async () => {
    await fill(2);
    const consumer = stack.consumer(emulator.connectionString);
    const receiving = receive(consumer, 1, { startPosition: latestEventPosition }, '0');
    await until(() => partitionLog().readers.count('$Default') === 1);
    await stack.producer(emulator.connectionString).sendBatch([{ body: 'new' }], { partitionId: '0' });
    const events = await receiving;
    expect(events.map((event): unknown => event.body)).toEqual(['new']);
  });

  it('hear at once that their position lies past the end', async () => {
    await fill(2);
    for (const [startPosition, text] of [
      [
        { sequenceNumber: 7 },
        "The supplied sequence number '7' is invalid. The last sequence number in the system is '1'",
      ],
      [{ offset: '9999' }, "The supplied offset '9999' is invalid."],
    ] as const) {
      const consumer = stack.consumer(emulator.connectionString);
      const { error, close } = firstError(consumer, '0', { startPosition });
      expect(await error).toMatchObject({ code: 'ArgumentError', message: containing(text) });
      await close();
    }
  });

  it('get the state of the partition with each event when they ask for it', async () => {
    await fill(3);
    const consumer = stack.consumer(emulator.connectionString);
    let seen: unknown;
    const { promise, resolve } = Promise.withResolvers<undefined>();
    const subscription = consumer.subscribe(
      '0',
      {
        processEvents: async (events, context) => {
          seen = context.lastEnqueuedEventProperties;
          if (events.length > 0) resolve(undefined);
        },
        processError: async () => undefined,
      },
      { startPosition: earliestEventPosition, trackLastEnqueuedEventProperties: true },
    );
    await promise;
    await subscription.close();
    const { lastOffset, lastEnqueuedMs } = partitionLog().log.info;
    expect(seen).toMatchObject({ sequenceNumber: 2, offset: String(lastOffset), enqueuedOn: new Date(lastEnqueuedMs) });
  });

  it('with a higher or equal epoch take over, with a lower one or none are refused', async () => {
    const [first, equal, lower, none] = Array.from({ length: 4 }, () => stack.consumer(emulator.connectionString));
    const owner = firstError(first!, '0', { ownerLevel: 5, startPosition: earliestEventPosition });
    await until(() => partitionLog().readers.count('$Default') === 1);
    const successor = firstError(equal!, '0', { ownerLevel: 5, startPosition: earliestEventPosition });
    expect(await owner.error).toMatchObject({
      code: 'ReceiverDisconnectedError',
      message: containing("with higher epoch of '5' is created hence current receiver"),
    });
    const loser = firstError(lower!, '0', { ownerLevel: 4, startPosition: earliestEventPosition });
    expect(await loser.error).toMatchObject({ code: 'ReceiverDisconnectedError' });
    const stranger = firstError(none!, '0', { startPosition: earliestEventPosition });
    expect(await stranger.error).toMatchObject({
      code: 'ReceiverDisconnectedError',
      message: containing('non-epoch receiver is not allowed'),
    });
    expect(partitionLog().readers.count('$Default')).toBe(1);
    // Another consumer group is another scope.
    await fill(1);
    expect(await receive(stack.consumer(emulator.connectionString, group), 1, undefined, '0')).toHaveLength(1);
    for (const subscription of [owner, successor, loser, stranger]) await subscription.close();
    await until(() => partitionLog().readers.count('$Default') === 0);
  });

  it('without epoch read five together; the sixth is refused', async () => {
    const open = Array.from({ length: 5 }, () => firstError(stack.consumer(emulator.connectionString), '0', {}));
    await until(() => partitionLog().readers.count('$Default') === 5);
    const sixth = firstError(stack.consumer(emulator.connectionString), '0', {});
    expect(await sixth.error).toMatchObject({ code: 'QuotaExceededError' });
    for (const subscription of [...open, sixth]) await subscription.close();
  });

  it('leave their place when their connection is cut', async () => {
    const { close } = firstError(stack.consumer(emulator.connectionString), '0', { ownerLevel: 1 });
    await until(() => partitionLog().readers.count('$Default') === 1);
    emulator.faults.arm({ point: 'receive', action: { kind: 'kill' } });
    emulator.faults.arm({ point: 'attach', match: { role: 'receiver' }, times: -1, action: { kind: 'kill' } });
    await stack
      .producer(emulator.connectionString)
      .sendBatch([{ body: 1 }], { partitionId: '0' })
      .catch(() => undefined);
    await until(() => partitionLog().readers.count('$Default') === 0 || emulator.faults.list()[0]?.fired === 0);
    await close();
    await until(() => partitionLog().readers.count('$Default') === 0);
  });

  it('share the partitions as event processors and lose none', async () => {
    const producer = stack.producer(emulator.connectionString);
    for (let index = 0; index < 40; index += 1) await producer.sendBatch([{ body: index }]);
    const seen = new Set<unknown>();
    const subscription = stack.consumer(emulator.connectionString, group).subscribe(
      {
        processEvents: async (events) => {
          for (const event of events) seen.add(event.body);
        },
        processError: async () => undefined,
      },
      { startPosition: earliestEventPosition },
    );
    await until(() => seen.size === 40);
    await subscription.close();
    expect([...seen].sort((a, b) => Number(a) - Number(b))).toEqual(Array.from({ length: 40 }, (_, index) => index));
  });
});
