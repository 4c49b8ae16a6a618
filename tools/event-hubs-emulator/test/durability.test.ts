import { execFile } from 'node:child_process';
import { appendFileSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { CorruptLogError, DataDirectoryError, startEventHubsEmulator } from '../src/index.ts';
import { containing, hub, mainFile, nodeFlags, once, receive, spawnEmulator, Stack } from './support.ts';

const run = promisify(execFile);

describe('what was acknowledged stays', () => {
  const stack = new Stack();
  afterEach(() => stack.close());

  const segmentsOf = (data: string, partition: string): string[] => {
    const folder = join(data, 'emulatorNs1', hub, partition);
    return readdirSync(folder)
      .sort()
      .map((name) => join(folder, name));
  };

  it('through kill -9 in the middle of sending; numbering goes on', async () => {
    const data = stack.directory();
    const first = await spawnEmulator(stack, ['--data', data, '--port', '0', '--control-port', '0']);
    const acknowledged = new Set<number>();
    let sent = 0;
    const sender = async (): Promise<void> => {
      const producer = stack.producer(first.connectionString);
      while (first.child.exitCode === null && first.child.signalCode === null) {
        const number = sent++;
        await producer.sendBatch([{ body: number }], { partitionId: '0' });
        acknowledged.add(number);
        if (acknowledged.size === 200) first.child.kill('SIGKILL');
      }
    };
    await Promise.allSettled([sender(), sender(), sender()]);
    await first.exited;

    const second = await spawnEmulator(stack, ['--data', data, '--port', '0', '--control-port', '0']);
    const producer = stack.producer(second.connectionString);
    const { lastEnqueuedSequenceNumber, lastEnqueuedOffset } = await producer.getPartitionProperties('0');
    const consumer = stack.consumer(second.connectionString);
    const events = await receive(consumer, lastEnqueuedSequenceNumber + 1, undefined, '0');
    const bodies = new Set(events.map((event) => Number(event.body)));
    expect([...acknowledged].filter((number) => !bodies.has(number))).toEqual([]);
    expect(events.map((event) => event.sequenceNumber)).toEqual(events.map((_, index) => index));
    expect(acknowledged.size).toBeGreaterThanOrEqual(200);

    await producer.sendBatch([{ body: 'after' }], { partitionId: '0' });
    const position = { startPosition: { offset: lastEnqueuedOffset } };
    const [after] = await receive(consumer, 1, position, '0');
    expect(after).toMatchObject({ body: 'after', sequenceNumber: lastEnqueuedSequenceNumber + 1 });
    expect(Number(after!.offset)).toBeGreaterThan(Number(lastEnqueuedOffset));
    second.child.kill('SIGTERM');
    expect(await second.exited).toBe(0);
  });

  it('when the tail is torn; damage before it is refused, not cut', async () => {
    const data = stack.directory();
    const emulator = await stack.emulator({ dataDirectory: data });
    const producer = stack.producer(emulator.connectionString);
    for (const body of ['a', 'b', 'c']) await producer.sendBatch([{ body }], { partitionId: '0' });
    await producer.close();
    await emulator.stop();
    const [segment] = segmentsOf(data, '0');
    const intact = readFileSync(segment!);

    appendFileSync(segment!, intact.subarray(48, 48 + 60));
    const repaired = await startEventHubsEmulator({ dataDirectory: data });
    expect(repaired.registry.hub(hub).partition('0').log.recoveredBytes).toBe(60);
    expect(statSync(segment!).size).toBe(intact.length);
    const events = await receive(stack.consumer(repaired.connectionString), 3, undefined, '0');
    expect(events.map((event): unknown => event.body)).toEqual(['a', 'b', 'c']);
    await repaired.stop();

    const damaged = Buffer.from(intact);
    damaged.writeUInt8(damaged.readUInt8(120) ^ 0xff, 120);
    writeFileSync(segment!, damaged);
    await expect(startEventHubsEmulator({ dataDirectory: data })).rejects.toThrow(CorruptLogError);
    writeFileSync(segment!, intact);
    await (await startEventHubsEmulator({ dataDirectory: data })).stop();
  });

  it('across segments, and retention deletes whole old ones without renumbering', async () => {
    const data = stack.directory();
    let nowMs = Date.now();
    const options = { dataDirectory: data, segmentBytes: 2000, retentionMs: 60_000, now: () => nowMs };
    const emulator = await stack.emulator(options);
    const producer = stack.producer(emulator.connectionString);
    for (let index = 0; index < 20; index += 1) {
      await producer.sendBatch([{ body: `${index}-${'x'.repeat(300)}` }], { partitionId: '0' });
      nowMs += 1000;
    }
    expect(segmentsOf(data, '0').length).toBeGreaterThan(2);
    const all = await receive(stack.consumer(emulator.connectionString), 20, undefined, '0');
    expect(all.map((event) => event.sequenceNumber)).toEqual(all.map((_, index) => index));
    nowMs += 48_000;
    const { log } = emulator.registry.hub(hub).partition('0');
    await log.trim();
    const { beginSequence, lastSequence } = log.info;
    expect(beginSequence).toBeGreaterThan(0);
    expect(lastSequence).toBe(19);
    const left = await receive(stack.consumer(emulator.connectionString), 20 - beginSequence, undefined, '0');
    expect(left[0]!.sequenceNumber).toBe(beginSequence);
    nowMs += 600_000;
    await log.trim();
    expect(log.info).toMatchObject({ beginSequence: 20, lastSequence: 19, isEmpty: true });
    const kept = { lastOffset: log.info.lastOffset, lastEnqueuedMs: log.info.lastEnqueuedMs };
    await emulator.stop();

    const again = await stack.emulator(options);
    expect(again.registry.hub(hub).partition('0').log.info).toMatchObject({ lastSequence: 19, isEmpty: true, ...kept });
    await stack.producer(again.connectionString, once).sendBatch([{ body: 'next' }], { partitionId: '0' });
    const [next] = await receive(stack.consumer(again.connectionString), 1, undefined, '0');
    expect(next!.sequenceNumber).toBe(20);
  });

  it('and two emulators never share a data directory, nor may a hub lose partitions', async () => {
    const data = stack.directory();
    const emulator = await stack.emulator({ dataDirectory: data });
    const command = [...nodeFlags, mainFile, '--data', data, '--port', '0', '--control-port', '0'];
    await expect(run(process.execPath, command)).rejects.toMatchObject({
      code: 1,
      stderr: containing('in use by another event-hubs-emulator'),
    });
    await emulator.stop();
    const namespaces = [{ name: 'emulatorNs1', hubs: [{ name: hub, partitionCount: 2, consumerGroups: [] }] }];
    await expect(startEventHubsEmulator({ dataDirectory: data, namespaces })).rejects.toThrow(DataDirectoryError);
  });
});
