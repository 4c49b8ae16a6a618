import { readdirSync } from 'node:fs';
import type { StartedEventHubsEmulator } from '../src/index.ts';
import { containing, firstError, hub, once, receive, Stack } from './support.ts';

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

  it.each([
    ['write', 'ENOSPC', 'a full disk'],
    ['sync', 'EIO', 'a disk that cannot sync'],
    ['create', 'EMFILE', 'too many open files'],
  ])(
    'a disk whose %s fails with %s (%s) refuses the send, which the client’s retry then stores once',
    async (operation, errno) => {
      const onDisk = await stack.emulator({ dataDirectory: stack.directory(), segmentBytes: 200 });
      const log = onDisk.registry.hub(hub).partition('0').log;
      await stack.producer(onDisk.connectionString).sendBatch([{ body: 'x'.repeat(300) }], { partitionId: '0' });
      const rule = { point: 'disk', match: { operation, partition: '0' }, action: { kind: 'fail', errno } };
      onDisk.faults.arm(rule);
      await expect(
        stack.producer(onDisk.connectionString).sendBatch([{ body: 'refused' }], { partitionId: '0' }),
      ).rejects.toMatchObject({ code: 'InternalServerError', message: containing(errno) });
      expect(log.info.lastSequence).toBe(0);
      onDisk.faults.arm(rule);
      await stack.producer(onDisk.connectionString, twice).sendBatch([{ body: 'stored' }], { partitionId: '0' });
      const events = await receive(stack.consumer(onDisk.connectionString), 2, undefined, '0');
      expect(events.map((event): unknown => event.body)).toEqual(['x'.repeat(300), 'stored']);
      expect((await fetch(`${onDisk.endpoints['control']}/health`)).status).toBe(200);
    },
  );

  it('a disk that cannot even cut back makes the emulator unhealthy, and the partition refuses from then on', async () => {
    const onDisk = await stack.emulator({ dataDirectory: stack.directory() });
    onDisk.faults.arm({
      point: 'disk',
      match: { operation: 'sync', partition: '0' },
      times: 2,
      action: { kind: 'fail' },
    });
    const producer = stack.producer(onDisk.connectionString);
    for (const body of ['lost', 'later']) {
      await expect(producer.sendBatch([{ body }], { partitionId: '0' })).rejects.toMatchObject({
        message: containing("the partition's log failed"),
      });
    }
    await producer.sendBatch([{ body: 'elsewhere' }], { partitionId: '1' });
    const health = await fetch(`${onDisk.endpoints['control']}/health`);
    expect(health.status).toBe(503);
    expect(await health.json()).toMatchObject({ message: containing('emulatorNs1/xva-runs/0: the partition') });
  });

  it('runs into the limit of open files only with what it writes: a long log is read through few of them', async () => {
    if (process.platform !== 'linux') return;
    const onDisk = await stack.emulator({ dataDirectory: stack.directory(), segmentBytes: 500 });
    const open = (): number => readdirSync('/proc/self/fd').length;
    const producer = stack.producer(onDisk.connectionString);
    await producer.sendBatch([{ body: 'first' }], { partitionId: '0' });
    const before = open();
    for (let index = 0; index < 40; index += 1) {
      await producer.sendBatch([{ body: 'x'.repeat(500) }], { partitionId: '0' });
    }
    expect(open() - before).toBeLessThan(10);
    await receive(stack.consumer(onDisk.connectionString), 41, undefined, '0');
  });
});
