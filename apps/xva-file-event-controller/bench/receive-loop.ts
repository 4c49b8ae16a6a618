import { EventHubConsumerClient, earliestEventPosition, type ReceivedEventData } from '@azure/event-hubs';
import { parseEvent, PartitionWork } from '@xva/flow-package';
import { systemClock } from '@xva/runtime';

const batchSize = 64;

export interface Received {
  readonly events: number;
  readonly ms: number;
  /** Distinct events by id, as far as the side looks at ids. */
  readonly distinct: number;
  readonly checkpoints: number;
  /** Heap after a collection at a tenth of the events and at the end, in MiB. */
  readonly heap: readonly [number, number];
}

type Session = (partitionId: string) => (events: ReceivedEventData[]) => Promise<void>;

/** Reads `count` events from the start of the hub with the SDK's own subscription, and hands each batch to the session. */
async function receive(connectionString: string, hub: string, count: number, heap: () => number, open: Session) {
  const client = new EventHubConsumerClient('$Default', connectionString, hub);
  const sessions = new Map<string, ReturnType<Session>>();
  let received = 0;
  let tenth = 0;
  const started = performance.now();
  await new Promise<void>((resolve, reject) => {
    client.subscribe(
      {
        processEvents: async (events, { partitionId }) => {
          const session = sessions.get(partitionId) ?? open(partitionId);
          sessions.set(partitionId, session);
          await session(events);
          received += events.length;
          if (tenth === 0 && received >= count / 10) tenth = heap();
          if (received >= count) resolve();
        },
        processError: (error) => Promise.resolve(reject(error)),
      },
      {
        startPosition: earliestEventPosition,
        maxBatchSize: batchSize,
        prefetchCount: batchSize * 3,
        maxWaitTimeInSeconds: 5,
        skipParsingBodyAsJson: true,
      },
    );
  });
  return { received, started, tenth, client };
}

/** The SDK's loop and nothing else. */
export async function rawSide(
  connectionString: string,
  hub: string,
  count: number,
  heap: () => number,
): Promise<Received> {
  let bytes = 0;
  const { received, started, tenth, client } = await receive(connectionString, hub, count, heap, () => (events) => {
    for (const { body } of events) bytes += (body as Buffer).length;
    return Promise.resolve();
  });
  const ms = performance.now() - started;
  const heapAfter = heap();
  await client.close();
  if (bytes === 0) throw new Error('no bytes');
  return { events: received, ms, distinct: 0, checkpoints: 0, heap: [tenth, heapAfter] };
}

/** The same loop, and on every event what the controller does before and after its calls: decode, window, dedupe, checkpoint. */
export async function flowSide(
  connectionString: string,
  hub: string,
  count: number,
  heap: () => number,
): Promise<Received> {
  const runs = new Set<string>();
  let checkpoints = 0;
  const works: PartitionWork<{ sequenceNumber: number; body: Uint8Array }>[] = [];
  const { received, started, tenth, client } = await receive(connectionString, hub, count, heap, () => {
    const work = new PartitionWork<{ sequenceNumber: number; body: Uint8Array }>({
      window: { maxParallel: 16, maxSpan: 128 },
      orderOf: () => undefined,
      handle: ({ body }) => {
        // The job API in memory: it knows a run by its event and says so the second time.
        runs.add(parseEvent(body).id);
        return Promise.resolve();
      },
      checkpoint: () => {
        checkpoints += 1;
        return Promise.resolve();
      },
      checkpointIntervalMs: 500,
      onCheckpointError: () => undefined,
      onUndecided: (_event, error) => {
        throw error;
      },
      clock: systemClock,
      stopWorking: new AbortController().signal,
    });
    works.push(work);
    return (events) =>
      work.receive(events.map(({ sequenceNumber, body }) => ({ sequenceNumber, body: body as Uint8Array })));
  });
  while (works.some((work) => work.size > 0)) await new Promise((resolve) => setImmediate(resolve));
  const ms = performance.now() - started;
  await Promise.all(works.map((work) => work.release('stop')));
  const heapAfter = heap();
  await client.close();
  return { events: received, ms, distinct: runs.size, checkpoints, heap: [tenth, heapAfter] };
}
