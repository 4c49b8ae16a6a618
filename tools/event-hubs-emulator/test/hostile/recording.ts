import { connect, createServer, type AddressInfo, type Socket } from 'node:net';
import { EventHubConsumerClient, EventHubProducerClient, type Subscription } from '@azure/event-hubs';

/** One piece of what a client sends: a protocol header or a frame. */
export type Piece = Buffer;

const closeCode = 0x18;

/** What clients send when they do what clients do, cut into headers and frames: one list per connection. */
export async function recordClients(connectionString: string, hub: string): Promise<readonly (readonly Piece[])[]> {
  const port = Number(/:(\d+);/.exec(connectionString)?.[1]);
  const recordings: Buffer[][] = [];
  const sockets = new Set<Socket>();
  const proxy = createServer((client) => {
    const chunks: Buffer[] = [];
    recordings.push(chunks);
    const onward = connect(port, '127.0.0.1');
    for (const socket of [client, onward]) {
      sockets.add(socket);
      socket.on('error', () => undefined);
    }
    client.on('data', (chunk) => chunks.push(chunk));
    client.pipe(onward).pipe(client);
  });
  await new Promise<void>((resolve) => proxy.listen(0, '127.0.0.1', resolve));
  const through = connectionString.replace(`:${port};`, `:${(proxy.address() as AddressInfo).port};`);
  const producer = new EventHubProducerClient(through, hub);
  const idempotent = new EventHubProducerClient(through, hub);
  Reflect.set(idempotent, '_enableIdempotentRetries', true);
  const consumer = new EventHubConsumerClient('$Default', through, hub);
  try {
    await producer.getEventHubProperties();
    await producer.getPartitionProperties('1');
    await producer.sendBatch([{ body: { a: 1 }, messageId: 'm', properties: { k: 'v' } }], { partitionKey: 'key' });
    await producer.sendBatch([{ body: 'b' }, { body: Buffer.from('c') }], { partitionId: '0' });
    await idempotent.sendBatch([{ body: 'd' }], { partitionId: '0' });
    await new Promise<void>((resolve, reject) => {
      const subscription: Subscription = consumer.subscribe(
        '0',
        {
          processEvents: (): Promise<void> => subscription.close().then(resolve, reject),
          processError: (error) => Promise.reject(error),
        },
        { startPosition: { offset: '-1' }, ownerLevel: 3, trackLastEnqueuedEventProperties: true },
      );
    });
  } finally {
    await Promise.all([producer.close(), idempotent.close(), consumer.close()]);
    for (const socket of sockets) socket.destroy();
    await new Promise((resolve) => proxy.close(resolve));
  }
  // Without their farewell: then it is the emulator that ends a connection, or nobody.
  return recordings.map((chunks) => cut(Buffer.concat(chunks)).filter((piece) => piece[10] !== closeCode));
}

function cut(bytes: Buffer): readonly Piece[] {
  const pieces: Buffer[] = [];
  let at = 0;
  while (at + 8 <= bytes.length) {
    const length = bytes.toString('latin1', at, at + 4) === 'AMQP' ? 8 : bytes.readUInt32BE(at);
    pieces.push(bytes.subarray(at, at + length));
    at += length;
  }
  return pieces;
}
