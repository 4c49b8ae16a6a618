import { EventHubConsumerClient } from '@azure/event-hubs';
import { systemClock, type Clock } from '@xva/runtime';
import { BalancedSubscription } from './balanced-subscription.ts';
import { checkpointContainer, ForwardOnlyCheckpointStore, type CheckpointOptions } from './checkpoint-store.ts';
import { clientOptionsOf, hubAddressOf, type HubConnectionOptions } from './connection.ts';
import { translateHubError } from './errors.ts';
import type { Subscription, SubscriptionHooks } from './sessions.ts';

export interface EventConsumerOptions extends HubConnectionOptions {
  readonly consumerGroup: string;
  readonly checkpoints: CheckpointOptions;
  /** How often partitions are balanced and ownership renewed. */
  readonly loopIntervalMs: number;
  /** After this time without renewal another process takes a partition over. Several times the interval. */
  readonly ownershipExpiryMs: number;
  /** Most events per call of `receive`. */
  readonly maxBatchSize?: number | undefined;
  /** Unused link credit after which a quiet partition is opened anew (see `idleWaitSeconds`). */
  readonly maxIdleCredit?: number | undefined;
  readonly clock?: Clock;
}

/** Reads one hub as one member of a consumer group, with checkpoints in blobs. */
export class EventConsumer {
  readonly #client: EventHubConsumerClient;
  readonly #store: ForwardOnlyCheckpointStore;
  readonly #options: EventConsumerOptions;
  readonly #clock: Clock;

  /** @throws HubError for options that do not fit together. Connects at the first use. */
  constructor(options: EventConsumerOptions) {
    const address = hubAddressOf(options);
    this.#options = options;
    this.#clock = options.clock ?? systemClock;
    this.#store = new ForwardOnlyCheckpointStore(checkpointContainer(options.checkpoints));
    const client = {
      ...clientOptionsOf(options),
      loadBalancingOptions: {
        strategy: 'greedy' as const,
        updateIntervalInMs: options.loopIntervalMs,
        partitionOwnershipExpirationIntervalInMs: options.ownershipExpiryMs,
      },
    };
    const { consumerGroup, hub } = options;
    this.#client =
      address.by === 'connectionString'
        ? new EventHubConsumerClient(consumerGroup, address.connectionString, hub, this.#store, client)
        : new EventHubConsumerClient(consumerGroup, address.namespace, hub, address.credential, this.#store, client);
  }

  /**
   * Shares the hub's partitions with the group's other members and opens a session per partition. Without a checkpoint
   * a partition is read from its first event. Creates the checkpoint container when it is missing.
   *
   * @throws HubError when the checkpoint container can neither be found nor created.
   */
  async subscribe(hooks: SubscriptionHooks): Promise<Subscription> {
    await this.#translated(() => this.#store.ensure());
    return new BalancedSubscription(this.#client, this.#store, this.#options, hooks, this.#clock);
  }

  /**
   * Sequence number of each partition's last event, as of now; empty partitions are left out. @throws HubError
   */
  async presentEnd(): Promise<ReadonlyMap<string, number>> {
    return this.#translated(async () => {
      const ids = await this.#client.getPartitionIds();
      const all = await Promise.all(ids.map((id) => this.#client.getPartitionProperties(id)));
      const filled = all.filter((partition) => !partition.isEmpty);
      return new Map(filled.map((partition) => [partition.partitionId, partition.lastEnqueuedSequenceNumber]));
    });
  }

  /** Stored checkpoint per partition, whoever wrote it. @throws HubError */
  async checkpoints(): Promise<ReadonlyMap<string, number>> {
    return this.#translated(async () => {
      const { fullyQualifiedNamespace, eventHubName } = this.#client;
      const list = await this.#store.listCheckpoints(
        fullyQualifiedNamespace,
        eventHubName,
        this.#options.consumerGroup,
      );
      return new Map(list.map((checkpoint) => [checkpoint.partitionId, checkpoint.sequenceNumber]));
    });
  }

  /**
   * Reads up to the present end: subscribes like any member (a running process keeps its partitions and does its share)
   * and returns when every partition's checkpoint has reached the last event that was there at the start.
   *
   * @returns how many partitions hold events, 0 when all of them had been read before.
   * @throws HubError, or the signal's reason.
   */
  async drain(hooks: SubscriptionHooks, signal: AbortSignal): Promise<{ partitions: number }> {
    const ends = await this.presentEnd();
    if (reached(ends, await this.checkpoints())) return { partitions: 0 };
    const subscription = await this.subscribe(hooks);
    try {
      do {
        await this.#clock.sleep(Math.min(100, this.#options.loopIntervalMs), signal);
        signal.throwIfAborted();
      } while (!reached(ends, await this.checkpoints()));
    } finally {
      await subscription.close();
    }
    return { partitions: ends.size };
  }

  /** Number of partitions, by one authenticated request. @throws HubError */
  async check(signal?: AbortSignal): Promise<number> {
    return this.#translated(async () => {
      const ids = await this.#client.getPartitionIds(signal === undefined ? {} : { abortSignal: signal });
      return ids.length;
    });
  }

  async close(): Promise<void> {
    await this.#client.close();
  }

  async #translated<T>(operation: () => Promise<T>): Promise<T> {
    try {
      return await operation();
    } catch (error) {
      throw translateHubError(error);
    }
  }
}

function reached(ends: ReadonlyMap<string, number>, checkpoints: ReadonlyMap<string, number>): boolean {
  return [...ends].every(([partition, end]) => (checkpoints.get(partition) ?? -1) >= end);
}
