import type { Checkpoint, CheckpointStore, OperationOptions, PartitionOwnership } from '@azure/event-hubs';
import { BlobCheckpointStore } from '@azure/eventhubs-checkpointstore-blob';
import { DefaultAzureCredential } from '@azure/identity';
import { ContainerClient, RestError } from '@azure/storage-blob';
import { HubError } from './errors.ts';

/** Where checkpoints and ownership lie. One container per environment: the client's blob names leave out ports. */
export interface CheckpointOptions {
  readonly accountUrl?: string | undefined;
  readonly connectionString?: string | undefined;
  readonly container: string;
}

/** @throws HubError when neither or both of account URL and connection string are given. */
export function checkpointContainer(options: CheckpointOptions): ContainerClient {
  const { accountUrl, connectionString, container } = options;
  const pipeline = { retryOptions: { maxTries: 3, tryTimeoutInMs: 10_000, retryDelayInMs: 100 } };
  if (connectionString !== undefined && accountUrl === undefined) {
    return new ContainerClient(connectionString, container, pipeline);
  }
  if (accountUrl !== undefined && connectionString === undefined) {
    const url = `${accountUrl.replace(/\/$/, '')}/${container}`;
    return new ContainerClient(url, new DefaultAzureCredential(), pipeline);
  }
  throw new HubError('BadOptions', 'operator', 'checkpoints: give either an account URL or a connection string');
}

interface Written {
  readonly etag: string;
  readonly sequenceNumber: number;
}

/**
 * The SDK's blob store, but a checkpoint never moves back: the SDK writes it unconditionally, so an owner that lost its
 * partition and is slow to notice could undo the progress of the next one. Same blobs, same names, same metadata; one
 * request per checkpoint once the version is known.
 */
export class ForwardOnlyCheckpointStore implements CheckpointStore {
  readonly #container: ContainerClient;
  readonly #store: BlobCheckpointStore;
  readonly #known = new Map<string, Written>();

  constructor(container: ContainerClient) {
    this.#container = container;
    this.#store = new BlobCheckpointStore(container);
  }

  /** Creates the container unless it is there; a process without the right to create may still use an existing one. */
  async ensure(): Promise<void> {
    if (!(await this.#container.exists())) await this.#container.createIfNotExists();
  }

  listOwnership(
    namespace: string,
    hub: string,
    group: string,
    options?: OperationOptions,
  ): Promise<PartitionOwnership[]> {
    return this.#store.listOwnership(namespace, hub, group, options);
  }

  claimOwnership(ownership: PartitionOwnership[], options?: OperationOptions): Promise<PartitionOwnership[]> {
    return this.#store.claimOwnership(ownership, options);
  }

  /**
   * Gives up one partition, so that the next balancing loop opens it again: a partition whose reader ended by an error
   * is otherwise nobody's until its ownership expires, because its owner counts it as read.
   */
  async abandon(context: Omit<PartitionOwnership, 'etag' | 'lastModifiedTimeInMs'>): Promise<void> {
    const { fullyQualifiedNamespace, eventHubName, consumerGroup, partitionId, ownerId } = context;
    const all = await this.#store.listOwnership(fullyQualifiedNamespace, eventHubName, consumerGroup);
    const own = all.filter((ownership) => ownership.partitionId === partitionId && ownership.ownerId === ownerId);
    await this.#store.claimOwnership(own.map((ownership) => ({ ...ownership, ownerId: '' })));
  }

  /** Empty also while the container is missing. */
  async listCheckpoints(
    namespace: string,
    hub: string,
    group: string,
    options?: OperationOptions,
  ): Promise<Checkpoint[]> {
    try {
      return await this.#store.listCheckpoints(namespace, hub, group, options);
    } catch (error) {
      if (error instanceof RestError && error.code === 'ContainerNotFound') return [];
      throw error;
    }
  }

  async updateCheckpoint(checkpoint: Checkpoint): Promise<void> {
    const name = blobNameOf(checkpoint);
    for (let attempt = 1; ; attempt += 1) {
      const before = this.#known.get(name) ?? (await this.#read(name));
      if (before !== undefined && before.sequenceNumber >= checkpoint.sequenceNumber) return;
      try {
        this.#known.set(name, await this.#write(name, checkpoint, before));
        return;
      } catch (error) {
        this.#known.delete(name);
        if (!(error instanceof RestError && [404, 409, 412].includes(error.statusCode ?? 0)) || attempt === 5)
          throw error;
      }
    }
  }

  async #read(name: string): Promise<Written | undefined> {
    try {
      const { etag, metadata } = await this.#container.getBlockBlobClient(name).getProperties();
      return { etag: etag ?? '', sequenceNumber: Number(metadata?.['sequencenumber'] ?? -1) };
    } catch (error) {
      if (error instanceof RestError && error.statusCode === 404) return undefined;
      throw error;
    }
  }

  async #write(name: string, checkpoint: Checkpoint, before: Written | undefined): Promise<Written> {
    const { sequenceNumber, offset } = checkpoint;
    const metadata = { sequencenumber: String(sequenceNumber), offset, xva_class: 'checkpoint' };
    const blob = this.#container.getBlockBlobClient(name);
    const response =
      before === undefined
        ? await blob.upload('', 0, { metadata, conditions: { ifNoneMatch: '*' } })
        : await blob.setMetadata(metadata, { conditions: { ifMatch: before.etag } });
    return { etag: response.etag ?? '', sequenceNumber };
  }
}

/** The name that the SDKs of all languages give a checkpoint (lower case but for the partition). */
function blobNameOf(checkpoint: Checkpoint): string {
  const { fullyQualifiedNamespace, eventHubName, consumerGroup, partitionId } = checkpoint;
  const place = [fullyQualifiedNamespace, eventHubName, consumerGroup].map((step) => step.toLowerCase()).join('/');
  return `${place}/checkpoint/${partitionId}`;
}
