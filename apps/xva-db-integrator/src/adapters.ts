import { Readable } from 'node:stream';
import { HubError, type EventPublisher } from '@xva/azure-event-hubs';
import { StorageError, type BlobContainer } from '@xva/azure-storage';
import { requestBlobOf, traceLabel, type RetentionLabels } from '@xva/contracts';
import { TableError } from '@xva/azure-tables';
import type { Blame, EventPublisherPort, FrozenLabels, RequestStore } from '@xva/flow-detect';
import { LeadLostError, SqlError } from '@xva/sql-polling';

/** Above this a request goes up in blocks. */
const onePutBytes = 16 * 1024 * 1024;

/** Frozen requests in the container `requests`, which is made when the first one finds it missing. */
export function createRequestStore(container: BlobContainer): RequestStore {
  const put = async (eventId: string, bytes: Uint8Array, labels: FrozenLabels): Promise<'created' | 'exists'> => {
    const retention: RetentionLabels = { xva_class: 'request', xva_run_id: labels.runId, xva_event_id: eventId };
    const metadata = { ...retention, [traceLabel]: labels.traceparent } as Readonly<Record<string, string>>;
    const options = { contentType: 'application/json', metadata };
    const blob = requestBlobOf(eventId);
    const { outcome } =
      bytes.length <= onePutBytes
        ? await container.putIfAbsent(blob, bytes, options)
        : await container.putStreamIfAbsent(blob, Readable.from(blocksOf(bytes)), options);
    return outcome;
  };
  return {
    putIfAbsent: async (eventId, bytes, labels) => {
      try {
        return await put(eventId, bytes, labels);
      } catch (error) {
        if (!(error instanceof StorageError) || error.code !== 'ContainerNotFound') throw error;
        await container.ensure();
        return put(eventId, bytes, labels);
      }
    },
    get: async (eventId) => (await container.get(requestBlobOf(eventId)))?.bytes,
  };
}

function* blocksOf(bytes: Uint8Array): Generator<Uint8Array> {
  const size = 4 * 1024 * 1024;
  for (let offset = 0; offset < bytes.length; offset += size) yield bytes.subarray(offset, offset + size);
}

export function createPublisherPort(publisher: EventPublisher): EventPublisherPort {
  return {
    publish: (events, partitionKey) =>
      publisher.publish(events.map((event) => ({ id: event.id, body: JSON.stringify(event), partitionKey }))),
  };
}

/** Where the hub is busy and does not say for how long. */
const usualBusyMs = 4_000;
const shortestBusyMs = 100;

/** How long a hub that is busy (its throughput, or the namespace's quota, is used up) is to be left alone, in ms. */
export function busyMs(error: unknown): number | undefined {
  if (!(error instanceof HubError)) return undefined;
  const isBusy = error.code === 'ServerBusyError' || error.code === 'QuotaExceededError';
  const waitMs = error.retryAfterMs ?? (isBusy ? usualBusyMs : undefined);
  return waitMs === undefined ? undefined : Math.max(shortestBusyMs, waitMs);
}

/**
 * Whose fault an adapter's error is. A statement that the server refuses may be one row's data (a conversion that
 * overflows); an event or blob that is too large is the row's for sure; an error that no adapter knows is a bug.
 */
export function blame(error: unknown): Blame {
  if (error instanceof SqlError) {
    if (error.retryable) return 'passes';
    return error.kind === 'statement' ? 'row' : 'operator';
  }
  if (error instanceof LeadLostError) return 'passes';
  if (error instanceof TableError) return error.retryable ? 'passes' : 'operator';
  if (error instanceof StorageError) {
    if (error.retryable) return 'passes';
    return error.status === 413 ? 'row' : 'operator';
  }
  if (error instanceof HubError) {
    if (error.retryable || error.kind === 'unknown') return 'passes';
    return error.kind === 'rejected' ? 'row' : 'operator';
  }
  const name = error instanceof Error ? error.name : '';
  return /Credential|Authentication/.test(name) ? 'operator' : 'row';
}

/** Whether requests can be frozen there; writes nothing. @throws StorageError 403 for who may not write */
export async function probeRequests(container: BlobContainer): Promise<string> {
  if (!(await container.exists())) return 'not there yet: made with the first request';
  // Over a version that never was: who may write hears that there is none (412), who may not is refused before.
  await container.put('check-write', '', { ifMatch: '"0x8D0000000000000"' });
  return 'there, and can be written';
}
