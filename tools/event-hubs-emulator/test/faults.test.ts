import type { StartedEventHubsEmulator } from '../src/index.ts';
import { firstError, hub, once, receive, Stack } from './support.ts';

const twice = { retryOptions: { maxRetries: 2, retryDelayInMs: 10, timeoutInMs: 800 } };

describe('fault rules', () => {
  const stack = new Stack();
  let emulator: StartedEventHubsEmulator;

  beforeEach(async () => {
    emulator = await stack.emulator();
  });
  afterEach(() => stack.close());

  const stored = (): number => emulator.registry.hub(hub).partition('0').log.info.lastSequence + 1;

  it.each([
    ['com.microsoft:server-busy', 'ServerBusyError'],
    ['amqp:internal-error', 'InternalServerError'],
    ['com.microsoft:argument-error', 'ArgumentError'],
    ['amqp:resource-limit-exceeded', 'QuotaExceededError'],
  ])('send is rejected with %s, which the client calls %s', async (condition, code) => {
    emulator.faults.arm({ point: 'send', match: { partition: '0' }, action: { kind: 'reject', condition } });
    const producer = stack.producer(emulator.connectionString);
    await expect(producer.sendBatch([{ body: 1 }], { partitionId: '0' })).rejects.toMatchObject({ code });
    await producer.sendBatch([{ body: 2 }], { partitionId: '0' });
    expect(stored()).toBe(1);
  });

  it('a busy hub is overcome by the client’s retries', async () => {
    emulator.faults.arm({ point: 'send', times: 2, action: { kind: 'reject' } });
    const producer = stack.producer(emulator.connectionString, twice);
    await producer.sendBatch([{ body: 1 }], { partitionId: '0' });
    expect(emulator.faults.list()).toMatchObject([{ fired: 2, left: 0 }]);
    expect(stored()).toBe(1);
  });

  it('a lost acknowledgement makes the client send a second copy', async () => {
    emulator.faults.arm({ point: 'send', action: { kind: 'dropAck' } });
    const producer = stack.producer(emulator.connectionString, twice);
    await producer.sendBatch([{ body: 'same', messageId: 'm-1' }], { partitionId: '0' });
    const events = await receive(stack.consumer(emulator.connectionString), 2, undefined, '0');
    expect(events.map((event) => [event.messageId, event.sequenceNumber])).toEqual([
      ['m-1', 0],
      ['m-1', 1],
    ]);
  });

  it.each([
    ['killBeforeWrite', 1],
    ['killAfterWrite', 2],
  ])('a connection cut by %s leaves %i stored after the retry', async (kind, copies) => {
    emulator.faults.arm({ point: 'send', action: { kind } });
    const producer = stack.producer(emulator.connectionString, twice);
    await producer.sendBatch([{ body: 1 }], { partitionId: '0' });
    expect(stored()).toBe(copies);
  });

  it('an attach can be refused, a receiver detached, a token and a management read rejected', async () => {
    emulator.faults.arm({
      point: 'attach',
      match: { role: 'sender', address: hub },
      action: { kind: 'detach', condition: 'amqp:not-found', description: 'gone for a test' },
    });
    await expect(stack.producer(emulator.connectionString).sendBatch([{ body: 1 }])).rejects.toThrow('gone for a test');

    emulator.faults.arm({
      point: 'cbs',
      action: { kind: 'reject', status: 401, condition: 'amqp:unauthorized-access' },
    });
    await expect(stack.producer(emulator.connectionString).getPartitionIds()).rejects.toMatchObject({
      code: 'UnauthorizedError',
    });

    emulator.faults.arm({ point: 'management', action: { kind: 'reject', status: 503 } });
    await expect(stack.producer(emulator.connectionString).getPartitionIds()).rejects.toMatchObject({
      code: 'ServerBusyError',
    });

    await stack.producer(emulator.connectionString, once).sendBatch([{ body: 1 }, { body: 2 }], { partitionId: '0' });
    emulator.faults.arm({
      point: 'receive',
      match: { sequence: 1 },
      action: { kind: 'detach', condition: 'amqp:resource-limit-exceeded', description: 'detached for a test' },
    });
    const { error, close } = firstError(stack.consumer(emulator.connectionString), '0', {
      startPosition: { offset: '-1' },
    });
    expect((await error).message).toContain('detached for a test');
    await close();
  });
});
