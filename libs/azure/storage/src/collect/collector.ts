import { randomUUID } from 'node:crypto';
import { Readable } from 'node:stream';
import type { BlobServiceClient, ContainerClient } from '@azure/storage-blob';
import { BlobContainer } from '../blob-container.ts';
import { StorageError, translateError } from '../errors.ts';
import { deleteVersions, isHeld, type BatchDeleter, type BlobDeletion, type BlobVersion } from './batch-delete.ts';
import type { PartSigner } from './direct-batch.ts';
import type { Gate } from './gate.ts';
import { walk, type WalkedBlob, type WalkOptions } from './walk.ts';

export type CopyOutcome = 'copied' | 'absent' | 'changed';

/** The service copies a blob of at most this size while one waits (Copy Blob From URL, remarks). */
const syncCopyBytes = 256 * 1024 * 1024;

/** A lease that this process holds; all its methods are harmless when it is gone. */
export interface HeldLease {
  readonly id: string;
  /** False when it is no longer ours. */
  renew(): Promise<boolean>;
  release(): Promise<void>;
}

/** One container as a collector needs it: streams of pages, many deletions at once, copies, leases, what was deleted softly. */
export class Collected {
  readonly name: string;
  readonly #client: ContainerClient;
  readonly #gate: Gate;
  readonly #deleter: BatchDeleter;
  readonly #blobs: BlobContainer;

  constructor(service: BlobServiceClient, name: string, gate: Gate, signer: PartSigner | undefined, batches = true) {
    this.name = name;
    this.#client = service.getContainerClient(name);
    this.#gate = gate;
    // The container's own batch endpoint needs rights to this container only.
    this.#deleter = {
      client: this.#client,
      batch: batches && signer !== undefined ? this.#client.getBlobBatchClient() : undefined,
      gate,
      signer,
    };
    this.#blobs = new BlobContainer(this.#client);
  }

  get url(): string {
    return this.#client.url;
  }

  /** False once the account was seen not to take batches. */
  get takesBatches(): boolean {
    return this.#deleter.batch !== undefined;
  }

  walk(options: WalkOptions = {}): AsyncGenerator<readonly WalkedBlob[]> {
    return walk({ client: this.#client, gate: this.#gate }, options);
  }

  delete(blobs: readonly BlobVersion[], signal?: AbortSignal): Promise<readonly BlobDeletion[]> {
    return deleteVersions(this.#deleter, blobs, signal);
  }

  /**
   * Copies the version `etag` under a name of another container, with metadata of its own, unless something is there. In
   * one account the service copies; else the bytes go through here, block by block, each checked by its MD5.
   */
  async copy(
    blob: BlobVersion & { readonly size: number },
    target: Collected,
    targetName: string,
    metadata: Readonly<Record<string, string>>,
  ): Promise<CopyOutcome> {
    const sameAccount =
      new URL(this.url).origin === new URL(target.url).origin && accountOf(this.url) === accountOf(target.url);
    try {
      if (sameAccount && blob.size <= syncCopyBytes) await this.#serverCopy(blob, target, targetName, metadata);
      else await this.#gate.run(() => this.#streamCopy(blob, target, targetName, metadata));
      return 'copied';
    } catch (error) {
      if (!(error instanceof StorageError)) throw error;
      // What is there already is what an earlier try put there: its name holds the version.
      if (error.code === 'BlobAlreadyExists' || error.code === 'TargetExists') return 'copied';
      if (error.status === 404) return 'absent';
      if (error.status === 412)
        return (await this.#gate.run(() => target.#blobs.head(targetName))) === undefined ? 'changed' : 'copied';
      throw error;
    }
  }

  async #serverCopy(
    blob: BlobVersion,
    target: Collected,
    targetName: string,
    metadata: Readonly<Record<string, string>>,
  ): Promise<void> {
    const source = this.#client.getBlobClient(blob.name).url;
    await this.#call(`${this.name}/${blob.name}`, () =>
      target.#client.getBlockBlobClient(targetName).syncCopyFromURL(source, {
        metadata: { ...metadata },
        conditions: { ifNoneMatch: '*' },
        ...(blob.etag === undefined ? {} : { sourceConditions: { ifMatch: blob.etag } }),
      }),
    );
  }

  async #streamCopy(
    blob: BlobVersion,
    target: Collected,
    targetName: string,
    metadata: Readonly<Record<string, string>>,
  ): Promise<void> {
    // One place at the gate for both halves, and all of it again after a failure: a stream is read once.
    const response = await this.#client
      .getBlobClient(blob.name)
      .download(0, undefined, blob.etag === undefined ? {} : { conditions: { ifMatch: blob.etag } })
      .catch((error: unknown) => {
        throw translateError(error, `${this.name}/${blob.name}`);
      });
    if (response.readableStreamBody === undefined) throw new StorageError(this.name, 'NoBody', 0, 'no stream');
    await target.#blobs.putStreamIfAbsent(targetName, Readable.from(response.readableStreamBody), { metadata });
  }

  /** Brings back what was deleted softly; false when nothing of that name is kept. */
  async undelete(name: string): Promise<boolean> {
    try {
      await this.#call(`${this.name}/${name}`, () => this.#client.getBlobClient(name).undelete());
    } catch (error) {
      if (error instanceof StorageError && error.status === 404) return false;
      throw error;
    }
    return (await this.#gate.run(() => this.#blobs.head(name))) !== undefined;
  }

  /** Takes the lease on a blob (made when it is absent), or undefined when somebody else has it. */
  async leaseBlob(name: string, seconds: number): Promise<HeldLease | undefined> {
    await this.#gate
      .run(() => this.#blobs.putIfAbsent(name, ''))
      .catch((error: unknown) => {
        // Somebody holds a lease on it: it is there.
        if (!(error instanceof StorageError && error.status === 412)) throw error;
      });
    return this.#lease(this.#client.getBlobClient(name).getBlobLeaseClient(randomUUID()), name, seconds);
  }

  /** Takes the lease on the container, so that nobody else deletes it; undefined when somebody else has it or it is gone. */
  async leaseContainer(seconds: number): Promise<HeldLease | undefined> {
    return this.#lease(this.#client.getBlobLeaseClient(randomUUID()), '', seconds);
  }

  async #lease(
    lease: ReturnType<ContainerClient['getBlobLeaseClient']>,
    what: string,
    seconds: number,
  ): Promise<HeldLease | undefined> {
    const target = what === '' ? this.name : `${this.name}/${what}`;
    const orFalse = async (act: () => Promise<unknown>): Promise<boolean> => {
      try {
        await this.#call(target, act);
        return true;
      } catch (error) {
        if (error instanceof StorageError && [404, 409, 412].includes(error.status)) return false;
        throw error;
      }
    };
    if (!(await orFalse(() => lease.acquireLease(seconds)))) return undefined;
    return {
      id: lease.leaseId,
      renew: () => orFalse(() => lease.renewLease()),
      release: async () => {
        await orFalse(() => lease.releaseLease());
      },
    };
  }

  /** Ends whatever lease a blob has, or the container without a name: for whoever knows that its holder is gone. */
  async breakLease(name?: string): Promise<boolean> {
    const client = name === undefined ? this.#client : this.#client.getBlobClient(name);
    try {
      await this.#call(`${this.name}/${name ?? ''}`, () => client.getBlobLeaseClient().breakLease(0));
      return true;
    } catch (error) {
      if (error instanceof StorageError && [404, 409].includes(error.status)) return false;
      throw error;
    }
  }

  /** Deletes the container with all in it. `held` = a lease, legal hold or immutability keeps it. */
  async deleteContainer(leaseId?: string): Promise<'deleted' | 'absent' | 'held'> {
    try {
      await this.#call(this.name, () => this.#client.delete(leaseId === undefined ? {} : { conditions: { leaseId } }));
      return 'deleted';
    } catch (error) {
      if (!(error instanceof StorageError)) throw error;
      if (error.code === 'ContainerBeingDeleted') return 'deleted';
      if (error.status === 404) return 'absent';
      if (isHeld(error) || error.status === 412) return 'held';
      throw error;
    }
  }

  /** Appends lines to an append blob, made when it is absent; at most 4 MiB at a time (Append Block, remarks). */
  async append(name: string, text: string): Promise<void> {
    const client = this.#client.getAppendBlobClient(name);
    const body = Buffer.from(text, 'utf8');
    await this.#call(`${this.name}/${name}`, async () => {
      try {
        await client.appendBlock(body, body.length);
      } catch (error) {
        const translated = translateError(error, name);
        if (!(translated instanceof StorageError && translated.code === 'BlobNotFound')) throw error;
        await client.createIfNotExists({ blobHTTPHeaders: { blobContentType: 'application/x-ndjson' } });
        await client.appendBlock(body, body.length);
      }
    });
  }

  async #call<T>(target: string, operation: () => Promise<T>): Promise<T> {
    return this.#gate.run(async () => {
      try {
        return await operation();
      } catch (error) {
        throw translateError(error, target);
      }
    });
  }
}

/** First path segment of a path-style address (Azurite), else nothing: the host names the account. */
function accountOf(url: string): string {
  const segments = new URL(url).pathname.split('/').filter((segment) => segment !== '');
  return segments.length > 1 ? (segments[0] ?? '') : '';
}
