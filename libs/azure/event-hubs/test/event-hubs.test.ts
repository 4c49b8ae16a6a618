import {
  letLongTimersGo,
  startAzurite,
  startEventHubsEmulatorProcess,
  type Azurite,
  type EventHubsEmulatorProcess,
} from '@xva/testkit';
import {
  EventConsumer,
  EventPublisher,
  HubBusyError,
  HubError,
  PublishError,
  type EventConsumerOptions,
} from '../src/index.ts';
import { numbered, RecordingSession, until } from './helpers.ts';

let emulator: EventHubsEmulatorProcess;
let azurite: Azurite;
const openThings: { close(): Promise<void> }[] = [];
let containers = 0;

letLongTimersGo();

beforeAll(async () => {
  [emulator, azurite] = await Promise.all([
    startEventHubsEmulatorProcess(
      ['send', 'order', 'share', 'stop', 'drain', 'outage', 'steal', 'back'].map((name) => ({
        name,
        partitions: 4,
        consumerGroups: ['group'],
      })),
    ),
    startAzurite(),
  ]);
});

afterEach(async () => {
  for (const thing of openThings.splice(0).reverse()) await thing.close();
  await emulator.clearFaults();
});

afterAll(async () => {
  await emulator.stop();
  await azurite.stop();
});

function publisher(hub: string, options: { connectionString?: string; tryTimeoutMs?: number } = {}): EventPublisher {
  const made = new EventPublisher({
    connectionString: emulator.connectionString,
    hub,
    tryTimeoutMs: 2_000,
    retryPolicy: { maxAttempts: 8, baseDelayMs: 20, maxDelayMs: 500, deadlineMs: 10_000 },
    ...options,
  });
  openThings.push(made);
  return made;
}

function consumer(hub: string, container: string, options: Partial<EventConsumerOptions> = {}): EventConsumer {
  const made = new EventConsumer({
    connectionString: emulator.connectionString,
    hub,
    consumerGroup: 'group',
    checkpoints: { connectionString: azurite.connectionString, container },
    loopIntervalMs: 200,
    ownershipExpiryMs: 2_000,
    tryTimeoutMs: 3_000,
    ...options,
  });
  openThings.push(made);
  return made;
}

const newContainer = (): string => `checkpoints-${++containers}`;

describe('EventPublisher', () => {
  it('returns after the hub has acknowledged, and keeps the order within a key', async () => {
    await publisher('order').publish(numbered(0, 500));
    const log: RecordingSession['log'] = [];
    const reader = consumer('order', newContainer());
    const stop = new AbortController();
    await reader.drain({ open: (handle) => new RecordingSession(handle, log), onError: () => undefined }, stop.signal);
    expect(log).toHaveLength(500);
    for (let key = 0; key < 7; key += 1) {
      const numbers = log.map(({ id }) => Number(id.slice(6))).filter((number) => number % 7 === key);
      expect(numbers).toEqual([...numbers].sort((a, b) => a - b));
    }
  });

  it('rides out busy answers and lost connections', async () => {
    const sender = publisher('send');
    await emulator.arm({ point: 'send', times: 2, action: { kind: 'reject', condition: 'com.microsoft:server-busy' } });
    await sender.publish(numbered(0, 1));
    await emulator.arm({ point: 'send', times: 1, action: { kind: 'killAfterWrite' } });
    await sender.publish(numbered(1, 1));
    const ends = await consumer('send', newContainer()).presentEnd();
    const stored = [...ends.values()].reduce((sum, last) => sum + last + 1, 0);
    // The second event is there twice: its acknowledgement was lost. Ids make that harmless.
    expect(stored).toBe(3);
  });

  it('waits as long as a busy hub asks for, and says so by type when that is too long', async () => {
    const sender = publisher('send');
    const busy = (description: string, times = 1) => ({
      point: 'send',
      times,
      action: { kind: 'reject', condition: 'com.microsoft:server-busy', description },
    });
    await emulator.arm(busy('The namespace is being throttled. Error code : 50002. Try again in 400 ms.'));
    const started = Date.now();
    await sender.publish(numbered(0, 1));
    expect(Date.now() - started).toBeGreaterThanOrEqual(400);
    await emulator.arm(busy('Error code : 50002. Please wait 60 seconds and try again.'));
    const failure = await sender.publish(numbered(1, 1)).catch((error: unknown) => error);
    expect(failure).toMatchObject({ code: 'ServerBusyError', retryable: true, retryAfterMs: 60_000 });
    expect((failure as PublishError).cause).toBeInstanceOf(HubBusyError);
  });

  it('refuses an event that the hub cannot take, by its id', async () => {
    const huge = { id: 'huge', body: 'x'.repeat(1_100_000), partitionKey: 'book' };
    const failure = await publisher('send')
      .publish([huge])
      .catch((error: unknown) => error);
    expect(failure).toBeInstanceOf(PublishError);
    expect(failure).toMatchObject({ code: 'MessageTooLargeError', retryable: false, acknowledgedIds: [] });
    expect(String(failure)).toContain('huge');
  });

  it('tells a wrong key from an absent hub from a dead host, without trying for long', async () => {
    const badKey = emulator.connectionString.replace('SAS_KEY_VALUE', 'wrong');
    const noHost = emulator.connectionString.replace(/127\.0\.0\.1:\d+/, '127.0.0.1:1');
    const unauthorized = await publisher('send', { connectionString: badKey })
      .check()
      .catch((error: unknown) => error);
    const absent = await publisher('no-such-hub')
      .check()
      .catch((error: unknown) => error);
    const dead = await publisher('send', { connectionString: noHost })
      .check()
      .catch((error: unknown) => error);
    expect(unauthorized).toMatchObject({ kind: 'operator', retryable: false });
    expect(absent).toMatchObject({ kind: 'operator', code: 'MessagingEntityNotFoundError' });
    expect(dead).toMatchObject({ kind: 'transient', retryable: true });
    expect(dead).toBeInstanceOf(HubError);
  });
});

describe('EventConsumer', () => {
  it('shares partitions, hands them over at a stop and goes on behind the checkpoint', async () => {
    const container = newContainer();
    const logs: [RecordingSession['log'], RecordingSession['log']] = [[], []];
    const sessions: RecordingSession[] = [];
    const hooks = (index: 0 | 1) => ({
      open: (handle: ConstructorParameters<typeof RecordingSession>[0]) => {
        const session = new RecordingSession(handle, logs[index]);
        sessions.push(session);
        return session;
      },
      onError: () => undefined,
    });
    const first = await consumer('share', container).subscribe(hooks(0));
    await until(() => first.owned().length === 4, 'the first member owns everything');
    const second = await consumer('share', container).subscribe(hooks(1));
    await until(() => second.owned().length === 2 && first.owned().length === 2, 'a fair share');
    const sender = publisher('share');
    await sender.publish(numbered(0, 100));
    await until(() => logs[0].length + logs[1].length >= 100, 'all arrive');
    await first.close();
    await until(() => second.owned().length === 4, 'the second takes over what was released');
    await sender.publish(numbered(100, 50));
    await until(() => logs[1].filter(({ id }) => Number(id.slice(6)) >= 100).length >= 50, 'the rest arrives');
    await second.close();
    const ids = [...logs[0], ...logs[1]].map(({ id }) => id);
    expect(new Set(ids).size).toBe(150);
    expect(sessions.flatMap((session) => session.releases)).toContain('stop');
  }, 40_000);

  it('finishes what is under way at a stop and checkpoints it', async () => {
    const container = newContainer();
    const log: RecordingSession['log'] = [];
    await publisher('stop').publish(numbered(0, 20));
    const reader = consumer('stop', container);
    const subscription = await reader.subscribe({
      open: (handle) => new RecordingSession(handle, log, false),
      onError: () => undefined,
    });
    await until(() => log.length === 20, 'all received');
    expect(await reader.checkpoints()).toEqual(new Map());
    await subscription.close();
    expect(await reader.checkpoints()).toEqual(await reader.presentEnd());
  });

  it('drains to the present end and ends at once when there is nothing left', async () => {
    const container = newContainer();
    await publisher('drain').publish(numbered(0, 30));
    const log: RecordingSession['log'] = [];
    const hooks = {
      open: (handle: ConstructorParameters<typeof RecordingSession>[0]) => new RecordingSession(handle, log),
      onError: () => undefined,
    };
    const reader = consumer('drain', container);
    const { signal } = new AbortController();
    expect((await reader.drain(hooks, signal)).partitions).toBeGreaterThan(0);
    expect(log).toHaveLength(30);
    expect(await reader.drain(hooks, signal)).toEqual({ partitions: 0 });
    expect(log).toHaveLength(30);
  });

  it('goes on behind the last event, not the checkpoint, after the hub was away', async () => {
    const log: RecordingSession['log'] = [];
    const sender = publisher('outage');
    const subscription = await consumer('outage', newContainer()).subscribe({
      open: (handle) => new RecordingSession(handle, log, false),
      onError: () => undefined,
    });
    await sender.publish(numbered(0, 40));
    await until(() => log.length === 40, 'events before the outage');
    await emulator.kill();
    await emulator.restart();
    await sender.publish(numbered(40, 40));
    await until(() => new Set(log.map(({ id }) => id)).size === 80, 'events after the outage', 30_000);
    expect(log).toHaveLength(80);
    await subscription.close();
  }, 60_000);

  it('opens a quiet partition anew from its checkpoint, losing and repeating nothing', async () => {
    const log: RecordingSession['log'] = [];
    const sessions: RecordingSession[] = [];
    const sender = publisher('steal');
    await sender.publish(numbered(0, 20));
    const subscription = await consumer('steal', newContainer(), { maxIdleCredit: 0 }).subscribe({
      open: (handle) => {
        const session = new RecordingSession(handle, log);
        sessions.push(session);
        return session;
      },
      onError: () => undefined,
    });
    await until(() => log.length === 20, 'the first events');
    await until(() => sessions.length > 4, 'a partition is opened again');
    await sender.publish(numbered(20, 20));
    await until(() => log.length >= 40, 'the next events');
    expect(new Set(log.map(({ id }) => id)).size).toBe(40);
    expect(log).toHaveLength(40);
    await subscription.close();
  }, 40_000);

  it('never moves a checkpoint back, whoever writes it', async () => {
    const container = newContainer();
    await publisher('back').publish(numbered(0, 40, 1));
    const log: RecordingSession['log'] = [];
    const handles: RecordingSession[] = [];
    const read = async (reader: EventConsumer): Promise<void> => {
      const before = log.length;
      const subscription = await reader.subscribe({
        open: (handle) => {
          const session = new RecordingSession(handle, log, false);
          handles.push(session);
          return session;
        },
        onError: () => undefined,
      });
      await until(() => log.length >= before + 40, 'all received');
      openThings.push(subscription);
    };
    const stale = consumer('back', container);
    await read(stale);
    const { partitionId } = log[0]!;
    const staleHandle = handles.find((session) => session.handle.partitionId === partitionId)!;
    const at = (sequenceNumber: number) => ({ partitionId, sequenceNumber, offset: String(sequenceNumber) });
    await staleHandle.handle.checkpoint(at(10));
    const fresh = consumer('back', container);
    const subscription = await fresh.subscribe({
      open: (handle) => {
        const session = new RecordingSession(handle, [], false);
        if (handle.partitionId === partitionId) handles.push(session);
        return session;
      },
      onError: () => undefined,
    });
    openThings.push(subscription);
    await staleHandle.handle.checkpoint(at(30));
    await staleHandle.handle.checkpoint(at(20));
    expect((await fresh.checkpoints()).get(partitionId)).toBe(30);
  });
});
