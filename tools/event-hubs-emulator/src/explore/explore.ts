import {
  EventHubConsumerClient,
  EventHubProducerClient,
  earliestEventPosition,
  latestEventPosition,
  type EventPosition,
  type ReceivedEventData,
} from '@azure/event-hubs';
import type { Command, Target } from '../arguments.ts';

type ExploreCommand = Extract<Command, { readonly verb: 'peek' | 'tail' | 'send' }>;
type Print = (line: string) => void;

function eventLine(partition: string, event: ReceivedEventData): string {
  const body: unknown = event.body;
  return JSON.stringify({
    partition,
    sequenceNumber: event.sequenceNumber,
    offset: event.offset,
    enqueuedTime: event.enqueuedTimeUtc,
    partitionKey: event.partitionKey ?? undefined,
    messageId: event.messageId,
    contentType: event.contentType,
    properties: event.properties,
    body: Buffer.isBuffer(body) ? body.toString('utf8') : body,
  });
}

async function send(command: Extract<Command, { readonly verb: 'send' }>, print: Print): Promise<void> {
  const { target, body, partitionKey } = command;
  const producer = new EventHubProducerClient(target.connectionString, target.hub);
  try {
    let parsed: unknown = body;
    try {
      parsed = JSON.parse(body);
    } catch {
      // Text that is not JSON is sent as text.
    }
    const place = {
      ...(target.partition === undefined ? {} : { partitionId: target.partition }),
      ...(partitionKey === undefined ? {} : { partitionKey }),
    };
    await producer.sendBatch([{ body: parsed }], place);
    print(JSON.stringify({ sent: 1, hub: target.hub }));
  } finally {
    await producer.close();
  }
}

/** How many events of a partition there are from `from` on, at most `count`. */
async function available(
  consumer: EventHubConsumerClient,
  partition: string,
  from: number | undefined,
  count: number,
): Promise<number> {
  const { beginningSequenceNumber, lastEnqueuedSequenceNumber, isEmpty } =
    await consumer.getPartitionProperties(partition);
  const first = Math.max(from ?? beginningSequenceNumber, beginningSequenceNumber);
  return isEmpty ? 0 : Math.max(0, Math.min(count, lastEnqueuedSequenceNumber - first + 1));
}

/** Reads one partition until `wanted` events were printed or the signal says stop. */
async function read(
  consumer: EventHubConsumerClient,
  partition: string,
  startPosition: EventPosition,
  wanted: number,
  print: Print,
  signal: AbortSignal,
): Promise<void> {
  let left = wanted;
  if (left <= 0 || signal.aborted) return;
  const { promise, resolve, reject } = Promise.withResolvers<undefined>();
  const subscription = consumer.subscribe(
    partition,
    {
      processEvents: (events) => {
        for (const event of events.slice(0, left)) print(eventLine(partition, event));
        left -= events.length;
        if (left <= 0) resolve(undefined);
        return Promise.resolve();
      },
      processError: (error) => {
        reject(error);
        return Promise.resolve();
      },
    },
    { startPosition },
  );
  signal.addEventListener('abort', () => resolve(undefined), { once: true });
  try {
    await promise;
  } finally {
    await subscription.close();
  }
}

async function look(
  command: Extract<Command, { readonly verb: 'peek' | 'tail' }>,
  print: Print,
  signal: AbortSignal,
): Promise<void> {
  const { target } = command;
  const consumer = new EventHubConsumerClient(target.consumerGroup, target.connectionString, target.hub);
  try {
    const partitions = await partitionsOf(consumer, target);
    const readers = partitions.map(async (partition) => {
      if (command.verb === 'tail') return read(consumer, partition, latestEventPosition, Infinity, print, signal);
      const { from, count } = command;
      const wanted = await available(consumer, partition, from, count);
      const start = from === undefined ? earliestEventPosition : { sequenceNumber: from, isInclusive: true };
      return read(consumer, partition, start, wanted, print, signal);
    });
    await Promise.all(readers);
  } finally {
    await consumer.close();
  }
}

async function partitionsOf(consumer: EventHubConsumerClient, target: Target): Promise<readonly string[]> {
  return target.partition === undefined ? consumer.getPartitionIds() : [target.partition];
}

/** The explorer's verbs, through the official client: they work on any event hub, emulated or not. */
export async function explore(command: ExploreCommand, print: Print, signal: AbortSignal): Promise<void> {
  if (command.verb === 'send') await send(command, print);
  else await look(command, print, signal);
}
