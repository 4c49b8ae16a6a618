import { existsSync, readFileSync } from 'node:fs';
import { connect } from 'node:net';
import { seededRandom } from '@xva/emulator-kit';
import { campaign, type Outcome } from './hostile/campaign.ts';
import { mutations } from './hostile/mutations.ts';
import { recordClients } from './hostile/recording.ts';
import { hub, letLongTimersGo, receive, spawnEmulator, Stack, until } from './support.ts';

letLongTimersGo();

const megabyte = 1024 * 1024;

/** Resident memory of a process; undefined where the system does not tell. */
function residentBytes(pid: number): number | undefined {
  const file = `/proc/${pid}/statm`;
  return existsSync(file) ? Number(readFileSync(file, 'utf8').split(' ')[1]) * 4096 : undefined;
}

/** What a peer gets that says this and then waits. */
function answerTo(port: number, bytes: Buffer): Promise<string> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1');
    const chunks: Buffer[] = [];
    socket.on('data', (chunk) => chunks.push(chunk));
    socket.on('error', () => undefined);
    socket.on('close', () => resolve(Buffer.concat(chunks).toString('latin1')));
    socket.write(bytes);
  });
}

describe('a hostile peer', () => {
  const stack = new Stack();
  afterEach(() => stack.close());

  it('costs neither the process nor its memory, and is told by name what it did (1,000 spoilt clients)', async () => {
    const seed = Number(process.env['XVA_SEED'] ?? Date.now() % 1_000_000);
    const emulator = await spawnEmulator(stack, ['--data', stack.directory(), '--port', '0', '--control-port', '0']);
    const recordings = await recordClients(emulator.connectionString, hub);
    expect(recordings.length).toBeGreaterThanOrEqual(3);
    const outcomes: Outcome[] = [];
    let warm: number | undefined;
    await campaign(emulator.port, recordings, 1000, seededRandom(seed), (outcome, done) => {
      outcomes.push(outcome);
      if (done === 500) warm = residentBytes(emulator.child.pid!);
    });
    const tally = { seed, hung: [] as string[], unnamed: [] as string[], named: 0 };
    for (const { mutation, end } of outcomes) {
      if (end === 'hung' || end === 'unnamed') tally[end].push(mutation);
      if (end === 'named') tally.named += 1;
    }
    expect(tally).toEqual({ seed, hung: [], unnamed: [], named: tally.named });
    expect(tally.named).toBeGreaterThan(300);
    expect(new Set(outcomes.map(({ mutation }) => mutation)).size).toBe(Object.keys(mutations).length);
    const after = residentBytes(emulator.child.pid!);
    if (warm !== undefined && after !== undefined) expect((after - warm) / megabyte).toBeLessThan(64);

    const producer = stack.producer(emulator.connectionString);
    await producer.sendBatch([{ body: 'still here' }], { partitionId: '3' });
    const { lastEnqueuedSequenceNumber } = await producer.getPartitionProperties('3');
    const position = { startPosition: { sequenceNumber: lastEnqueuedSequenceNumber, isInclusive: true } };
    const [event] = await receive(stack.consumer(emulator.connectionString), 1, position, '3');
    expect(event!.body).toBe('still here');
    expect((await fetch(`${emulator.controlUrl}/health`)).status).toBe(200);
  });

  it('that is no AMQP client at all is answered with the header that would be right, and named in the transcript', async () => {
    const emulator = await stack.emulator();
    const spoken = {
      http: Buffer.from('GET /$servicebus/websocket HTTP/1.1\r\nUpgrade: websocket\r\n\r\n'),
      tls: Buffer.from('160301020001000001fc0303', 'hex'),
      older: Buffer.from('414d515000000901', 'hex'),
    };
    const header = 'AMQP\u0003\u0001\u0000\u0000';
    expect(await answerTo(emulator.port, spoken.http)).toMatch(/^HTTP\/1\.1 501 .*AMQP over WebSockets is not served/s);
    expect(await answerTo(emulator.port, spoken.tls)).toBe(header);
    expect(await answerTo(emulator.port, spoken.older)).toBe(header);
    const violations = (): unknown[] =>
      emulator.transcript
        .entries()
        .filter(({ kind }) => kind === 'violation')
        .map((entry) => entry['description']);
    await until(() => violations().length === 3);
    expect(violations()).toEqual([
      expect.stringContaining('AMQP over WebSockets is not served'),
      expect.stringContaining('use UseDevelopmentEmulator=true'),
      expect.stringContaining('not an AMQP 1.0 header: 414d515000000901'),
    ]);
  });
});
