import type { BlobBatchClient, ContainerClient } from '@azure/storage-blob';
import { StorageError, translateError } from '../errors.ts';
import { DirectBatch, type PartSigner } from './direct-batch.ts';
import type { Gate } from './gate.ts';

/** A version of a blob; without `etag` whatever version is there. */
export interface BlobVersion {
  readonly name: string;
  readonly etag?: string | undefined;
}

/**
 * What became of a blob that was to be deleted. `held` = a lease, legal hold or immutability policy keeps it (`detail` is
 * Storage's code); `failed` = it may be tried again later.
 */
export interface BlobDeletion {
  readonly outcome: 'deleted' | 'absent' | 'changed' | 'held' | 'failed';
  readonly detail: string;
}

/** Storage takes at most so many in one batch (Blob Batch, remarks). */
export const mostInBatch = 256;

const holds = new Set([
  'LeaseIdMissing',
  'LeaseIdMismatchWithBlobOperation',
  'LeaseIdMismatchWithContainerOperation',
  'BlobImmutableDueToPolicy',
  'BlobImmutableDueToLegalHold',
  'ContainerImmutableDueToPolicy',
  'ContainerImmutableDueToLegalHold',
  'SnapshotsPresent',
]);

/** Lease, legal hold or immutability: Storage itself says at the moment of the deletion that this must stay. */
export function isHeld(error: StorageError): boolean {
  return holds.has(error.code) || /Immutab|LegalHold/i.test(error.code);
}

function outcomeOf(status: number, code: string): BlobDeletion | undefined {
  if (status === 202 || status === 200) return { outcome: 'deleted', detail: '' };
  if (status === 404) return { outcome: 'absent', detail: code };
  const error = new StorageError('', code, status, '');
  if (isHeld(error)) return { outcome: 'held', detail: code };
  if (status === 412) return { outcome: 'changed', detail: code };
  return error.retryable ? undefined : { outcome: 'failed', detail: `${code} (${status})` };
}

export interface BatchDeleter {
  readonly client: ContainerClient;
  /** Undefined once the account was seen not to take batches: then one by one. */
  batch: BlobBatchClient | undefined;
  readonly gate: Gate;
  /** Undefined = no batches. */
  readonly signer: PartSigner | undefined;
}

async function deleteOne(deleter: BatchDeleter, blob: BlobVersion, signal?: AbortSignal): Promise<BlobDeletion> {
  const { client, gate } = deleter;
  const conditions = blob.etag === undefined ? {} : { ifMatch: blob.etag };
  try {
    await gate.run(async () => {
      try {
        await client.getBlobClient(blob.name).delete({ conditions, deleteSnapshots: 'include' });
      } catch (error) {
        throw translateError(error, `${client.containerName}/${blob.name}`);
      }
    }, signal);
    return { outcome: 'deleted', detail: '' };
  } catch (error) {
    if (!(error instanceof StorageError)) throw error;
    return outcomeOf(error.status, error.code) ?? { outcome: 'failed', detail: error.message };
  }
}

/** Refusals of a batch as such, after which the account is asked one by one: no such operation, or no right to it. */
function refusesBatches(error: StorageError): boolean {
  return [400, 403, 404, 405, 415, 501].includes(error.status) && error.code !== 'ContainerNotFound';
}

async function submit(
  deleter: BatchDeleter,
  batches: BlobBatchClient,
  signer: PartSigner,
  blobs: readonly BlobVersion[],
): Promise<readonly (BlobDeletion | undefined)[]> {
  const { client, gate } = deleter;
  const batch = await DirectBatch.of(new URL(client.url).pathname, blobs, signer, new Date());
  try {
    const { subResponses } = await batches.submitBatch(batch);
    if (subResponses.length !== blobs.length) {
      const one = subResponses[0];
      const [code, status] = [one?.errorCode ?? 'InvalidInput', one?.status ?? 400];
      throw new StorageError(client.containerName, code, status, `${subResponses.length} answers for ${blobs.length}`);
    }
    const outcomes = subResponses.map(({ status, errorCode }) => outcomeOf(status, errorCode ?? 'Unknown'));
    if (subResponses.some(({ status }) => status === 429 || status === 503)) gate.slowDown();
    return outcomes;
  } catch (error) {
    throw translateError(error, client.containerName);
  }
}

/** Whether requests reach the blob of exactly this name: URLs resolve `.` and `..`, so that they would reach another one. */
export function isAddressable(name: string): boolean {
  return !/(^|\/)\.{1,2}(\/|$)/.test(name);
}

/** With a condition some services answer for an absent blob as for a changed one. */
async function orAbsent({ client, gate }: BatchDeleter, blob: BlobVersion): Promise<BlobDeletion> {
  const there = await gate.run(async () => {
    try {
      return await client.getBlobClient(blob.name).exists();
    } catch (error) {
      throw translateError(error, `${client.containerName}/${blob.name}`);
    }
  });
  return there ? { outcome: 'changed', detail: 'ConditionNotMet' } : { outcome: 'absent', detail: 'BlobNotFound' };
}

/**
 * Deletes versions of blobs, up to 256 with one request, each under its own condition. Not atomic: each has its outcome,
 * in the order given. Parts that Storage throttled are tried again one by one; so are all when it takes no batches.
 */
export async function deleteVersions(
  deleter: BatchDeleter,
  blobs: readonly BlobVersion[],
  signal?: AbortSignal,
): Promise<readonly BlobDeletion[]> {
  if (blobs.length > mostInBatch) {
    const done: BlobDeletion[] = [];
    for (let at = 0; at < blobs.length; at += mostInBatch)
      done.push(...(await deleteVersions(deleter, blobs.slice(at, at + mostInBatch), signal)));
    return done;
  }
  const lost = blobs.filter(({ name }) => !isAddressable(name));
  if (lost.length > 0) {
    const refused: BlobDeletion = { outcome: 'failed', detail: 'NameNotAddressable' };
    const good = blobs.filter((blob) => !lost.includes(blob));
    const rest = good.length === 0 ? [] : await deleteVersions(deleter, good, signal);
    return blobs.map((blob) => rest[good.indexOf(blob)] ?? refused);
  }
  const { batch: batches, signer } = deleter;
  let outcomes: readonly (BlobDeletion | undefined)[] = blobs.map(() => undefined);
  if (batches !== undefined && signer !== undefined && blobs.length > 1) {
    try {
      outcomes = await deleter.gate.run(() => submit(deleter, batches, signer, blobs), signal);
    } catch (error) {
      if (!(error instanceof StorageError)) throw error;
      if (error.code === 'ContainerNotFound') return blobs.map(() => ({ outcome: 'absent', detail: error.code }));
      if (!refusesBatches(error)) return blobs.map(() => ({ outcome: 'failed', detail: error.message }));
      deleter.batch = undefined;
    }
  }
  return Promise.all(
    blobs.map(async (blob, index) => {
      const outcome = outcomes[index] ?? (await deleteOne(deleter, blob, signal));
      return outcome.outcome === 'changed' ? orAbsent(deleter, blob) : outcome;
    }),
  );
}
