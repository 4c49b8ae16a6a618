import { connect, type Socket } from 'node:net';
import rhea from 'rhea';
import { Stack, until } from './support.ts';

interface SeenFrame {
  readonly code: number;
  readonly fields: number;
  readonly bytes: Buffer;
}

/** Item count of the list that starts at `at` (list0, list8, list32). */
function listCount(bytes: Buffer, at: number): number {
  const constructor = bytes.readUInt8(at);
  if (constructor === 0x45) return 0;
  return constructor === 0xc0 ? bytes.readUInt8(at + 2) : bytes.readUInt32BE(at + 5);
}

/** The AMQP frames (not SASL's, not empty ones) in what a server sent. */
function framesOf(stream: Buffer): SeenFrame[] {
  const frames: SeenFrame[] = [];
  let at = 0;
  while (at + 8 <= stream.length) {
    if (stream.toString('ascii', at, at + 4) === 'AMQP') {
      at += 8;
      continue;
    }
    const bytes = stream.subarray(at, at + stream.readUInt32BE(at));
    at += bytes.length;
    if (bytes.readUInt8(5) === 0 && bytes.length > 8) {
      frames.push({ code: bytes.readUInt8(10), fields: listCount(bytes, 11), bytes });
    }
  }
  return frames;
}

/** Python's client reads fields by position and fails on lists that end early, as AMQP allows them to. */
describe('frames', () => {
  const stack = new Stack();
  afterEach(() => stack.close());

  it('carry every field of their performative, and errors all three of theirs', async () => {
    const emulator = await stack.emulator();
    const chunks: Buffer[] = [];
    const container = rhea.create_container();
    const connection = container.connect({
      port: emulator.port,
      reconnect: false,
      connect: (port: number, host: string, _options: unknown, connected: () => void): Socket => {
        const socket = connect(port, '127.0.0.1', connected);
        socket.on('data', (chunk) => chunks.push(chunk));
        return socket;
      },
    } as never);
    const closed = { link: false, connection: false, replied: false };
    container.on('receiver_error', () => (closed.link = true));
    container.on('connection_close', () => (closed.connection = true));
    container.on('disconnected', () => undefined);
    container.on('message', () => (closed.replied = true));

    connection.open_receiver('$cbs');
    const requests = connection.open_sender('$cbs');
    container.once('sendable', () => {
      requests.send({
        message_id: 'm',
        application_properties: { operation: 'put-token', name: 'x' },
        body: 'no token',
      });
    });
    connection.open_receiver('xva-runs/ConsumerGroups/$Default/Partitions/0');
    await until(() => closed.link && closed.replied);
    connection.close();
    await until(() => closed.connection);

    const frames = framesOf(Buffer.concat(chunks));
    const seen = new Map(frames.map(({ code, fields }): [number, number] => [code, fields]));
    // OASIS AMQP 1.0, part 2, section 2.7: open, begin, attach, flow, transfer, disposition, detach, close.
    expect([...seen].sort(([a], [b]) => a - b)).toEqual([
      [0x10, 10],
      [0x11, 8],
      [0x12, 14],
      [0x13, 11],
      [0x14, 11],
      [0x15, 6],
      [0x16, 3],
      [0x18, 1],
    ]);
    const detach = frames.find(({ code }) => code === 0x16)!.bytes;
    const error = detach.indexOf(Buffer.from([0x00, 0x53, 0x1d]));
    expect(error).toBeGreaterThan(0);
    expect(listCount(detach, error + 3)).toBe(3);
    expect(detach.toString('latin1')).toContain('amqp:unauthorized-access');
  });
});
