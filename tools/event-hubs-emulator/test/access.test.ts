import { EventHubProducerClient } from '@azure/event-hubs';
import type { SharedAccessPolicy, StartedEventHubsEmulator } from '../src/index.ts';
import { firstError, hub, letLongTimersGo, once, receive, Stack, until } from './support.ts';

letLongTimersGo();

const quick = { retryOptions: { maxRetries: 0, timeoutInMs: 3000 } };
const send: SharedAccessPolicy = { name: 'sender', key: 'k-send', claims: ['Send'] };
const listen: SharedAccessPolicy = { name: 'listener', key: 'k-listen', claims: ['Listen'] };
const ofHub: SharedAccessPolicy = { name: 'of-hub', key: 'k-hub', claims: ['Send', 'Listen'], hub };

describe('who may do what', () => {
  const stack = new Stack();
  afterEach(() => stack.close());

  const as = (emulator: StartedEventHubsEmulator, { name, key }: SharedAccessPolicy): string =>
    emulator.connectionString.replace(
      /SharedAccessKeyName=.*?;SharedAccessKey=.*?;/,
      `SharedAccessKeyName=${name};SharedAccessKey=${key};`,
    );

  const outcomeOf = async (work: Promise<unknown>): Promise<string> =>
    work.then(
      () => 'yes',
      (error: unknown) => (error as { code?: string }).code ?? 'an error without a code',
    );

  it('is what the claims of a policy say, for the namespace or for one hub', async () => {
    const emulator = await stack.emulator({
      namespaces: [
        {
          name: 'ns',
          policies: [send, listen, ofHub, { ...listen, key: 'k-listen-2' }],
          hubs: [hub, 'other'].map((name) => ({ name, partitionCount: 1, consumerGroups: [] })),
        },
      ],
    });
    const read = async (policy: SharedAccessPolicy, name: string): Promise<string> => {
      const consumer = stack.consumer(as(emulator, policy), '$Default', name);
      const { error, close } = firstError(consumer, '0', {});
      let settled = false;
      const readers = (): number => emulator.registry.hub(name).partition('0').readers.count('$Default');
      const before = readers();
      const outcome = await Promise.race([
        error.then(({ code }) => code ?? 'error'),
        until(() => settled || readers() > before).then(() => 'yes'),
      ]);
      settled = true;
      await close();
      await until(() => readers() === before);
      return outcome;
    };
    const write = (policy: SharedAccessPolicy, name: string): Promise<string> => {
      const producer = stack.producer(as(emulator, policy), quick, name);
      return outcomeOf(producer.sendBatch([{ body: 1 }], { partitionId: '0' }));
    };
    const table: Record<string, string[]> = {};
    for (const policy of [send, listen, { ...listen, key: 'k-listen-2' }, ofHub]) {
      const answers = [await write(policy, hub), await read(policy, hub), await write(policy, 'other')];
      table[`${policy.name} ${policy.key}`] = [...answers, await read(policy, 'other')];
    }
    const no = 'UnauthorizedError';
    expect(table).toEqual({
      'sender k-send': ['yes', no, 'yes', no],
      'listener k-listen': [no, 'yes', no, 'yes'],
      'listener k-listen-2': [no, 'yes', no, 'yes'],
      'of-hub k-hub': ['yes', 'yes', no, no],
    });
  }, 60_000);

  it('ends with the token: its links are detached, and a client that puts a new one goes on', async () => {
    let nowMs = Date.now();
    const emulator = await stack.emulator({ now: () => nowMs, checkTokensEveryMs: 20 });
    const producer = stack.producer(emulator.connectionString, {
      retryOptions: { maxRetries: 2, retryDelayInMs: 10, timeoutInMs: 2000 },
    });
    await producer.sendBatch([{ body: 1 }], { partitionId: '0' });
    const { error, close } = firstError(stack.consumer(emulator.connectionString), '0', {
      startPosition: { offset: '-1' },
    });
    await until(() => emulator.registry.hub(hub).partition('0').readers.count('$Default') === 1);
    // The client's tokens live for about an hour.
    nowMs += 3_500_000;
    await producer.sendBatch([{ body: 2 }], { partitionId: '0' });
    nowMs += 300_000;
    expect(await error).toMatchObject({ code: 'UnauthorizedError' });
    expect((await error).message).toContain('ExpiredToken');
    await close();
    nowMs = Date.now();
    await producer.sendBatch([{ body: 3 }], { partitionId: '0' });
    const events = await receive(stack.consumer(emulator.connectionString), 3, undefined, '0');
    expect(events.map((event): unknown => event.body)).toEqual([1, 2, 3]);
  });

  it('puts the events of a publisher’s address into one partition and names the publisher', async () => {
    const emulator = await stack.emulator();
    const producer = new EventHubProducerClient(emulator.connectionString, `${hub}/Publishers/desk-7`, once);
    stack.add(() => producer.close());
    for (const body of ['a', 'b', 'c']) await producer.sendBatch([{ body }]);
    const filled = emulator.registry.hub(hub).partitions.filter(({ log }) => !log.info.isEmpty);
    expect(filled).toHaveLength(1);
    const events = await receive(stack.consumer(emulator.connectionString), 3, undefined, filled[0]!.id);
    expect(events.map((event): unknown[] => [event.body, event.systemProperties?.['x-opt-publisher']])).toEqual([
      ['a', 'desk-7'],
      ['b', 'desk-7'],
      ['c', 'desk-7'],
    ]);
    await expect(producer.sendBatch([{ body: 'd' }], { partitionKey: 'desk-8' })).rejects.toThrow(
      "is not the publisher 'desk-7'",
    );
  });

  it('holds per namespace, each at its own port, with hubs of the same name apart', async () => {
    const hubs = [{ name: hub, partitionCount: 1, consumerGroups: [] }];
    const emulator = await stack.emulator({
      dataDirectory: stack.directory(),
      namespaces: [
        { name: 'one', hubs },
        { name: 'two', hubs, policies: [send] },
      ],
    });
    const [one, two] = emulator.namespaces;
    await stack.producer(one!.connectionString).sendBatch([{ body: 'first' }]);
    await stack.producer(two!.connectionString).sendBatch([{ body: 'second' }]);
    await stack.producer(two!.connectionString).sendBatch([{ body: 'third' }]);
    expect([one, two].map((each) => each!.registry.hub(hub).partition('0').log.info.lastSequence)).toEqual([0, 1]);
    const foreign = one!.connectionString.replace(String(one!.port), String(two!.port));
    expect(await outcomeOf(stack.producer(foreign).sendBatch([{ body: 1 }]))).toBe('UnauthorizedError');
    expect(Object.keys(emulator.endpoints)).toEqual(['amqp', 'amqp:two', 'control']);
  });
});

describe('throughput units', () => {
  const stack = new Stack();
  afterEach(() => stack.close());

  it('refuse with "server busy" and 50002 what comes in too fast, and let it in a little later', async () => {
    let nowMs = 1_000_000;
    const emulator = await stack.emulator({ throughputUnits: 1, now: () => Date.now() + nowMs });
    const producer = stack.producer(emulator.connectionString);
    const megabyte = { body: Buffer.alloc(1_000_000) };
    await producer.sendBatch([megabyte], { partitionId: '0' });
    await producer.sendBatch([megabyte], { partitionId: '0' }).catch(() => undefined);
    await expect(producer.sendBatch([megabyte], { partitionId: '0' })).rejects.toMatchObject({
      code: 'ServerBusyError',
      message: expect.stringMatching(/takes no more than 1 throughput unit.*50002/) as string,
    });
    nowMs += 5000;
    await producer.sendBatch([megabyte], { partitionId: '0' });
  });

  it('make receivers wait, and lose nothing', async () => {
    const emulator = await stack.emulator({ throughputUnits: 1 });
    const log = emulator.registry.hub(hub).partition('0').log;
    const event = { header: Buffer.alloc(0), annotationCount: 0, annotations: Buffer.alloc(0) };
    const bare = Buffer.concat([Buffer.from([0x00, 0x53, 0x75, 0xa0, 1]), Buffer.from('x')]);
    await log.append(Array.from({ length: 6000 }, () => ({ ...event, bare })));
    const started = Date.now();
    const events = await receive(
      stack.consumer(emulator.connectionString),
      6000,
      { startPosition: { offset: '-1' }, maxBatchSize: 1000 },
      '0',
    );
    // 4,096 at once, the rest at 4,096 per second, less one burst.
    expect(Date.now() - started).toBeGreaterThan(250);
    expect(events.map((each) => each.sequenceNumber)).toEqual(events.map((_, index) => index));
  });
});
