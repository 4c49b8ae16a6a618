import {
  CloseReason,
  earliestEventPosition,
  EventHubConsumerClient,
  type PartitionContext as SdkContext,
  type ReceivedEventData,
  type Subscription as SdkSubscription,
} from '@azure/event-hubs';
import { systemClock, type Clock } from '@xva/runtime';
import { checkpointContainer, ForwardOnlyCheckpointStore, type CheckpointOptions } from './checkpoint-store.ts';
import { clientOptionsOf, hubAddressOf, type HubConnectionOptions } from './connection.ts';
import { HubError, translateHubError } from './errors.ts';

/** Where an event stands in the hub. Offsets are text and never reckoned with. */
export interface HubPosition {
  readonly partitionId: string;
  readonly sequenceNumber: number;
  readonly offset: string;
}

export interface HubEvent extends HubPosition {
  readonly body: Uint8Array;
  readonly contentType: string | undefined;
  readonly partitionKey: string | undefined;
  readonly enqueuedAt: Date;
}

/** Why a partition is let go: a stop of ours, another owner, or an error after which it is opened again. */
export type ReleaseReason = 'stop' | 'lost' | 'error';

/** One stay of a partition with this process, from its claim to its release. */
export interface PartitionSession {
  /** Takes events in order; resolves when there is room for more. Must not reject. */
  receive(events: readonly HubEvent[]): Promise<void>;
  /** Ends the stay: on `stop` what is under way is finished and checkpointed before the partition is released. */
  release(reason: ReleaseReason): Promise<void>;
}

export interface PartitionHandle {
  readonly partitionId: string;
  /** Durable when it resolves; never moves the stored checkpoint back. @throws HubError */
  checkpoint(position: HubPosition): Promise<void>;
}

export interface EventConsumerOptions extends HubConnectionOptions {
  readonly consumerGroup: string;
  readonly checkpoints: CheckpointOptions;
  /** How often partitions are balanced and ownership renewed. */
  readonly loopIntervalMs: number;
  /** After this time without renewal another process takes a partition over. Several times the interval. */
  readonly ownershipExpiryMs: number;
  /** Most events per call of `receive`. */
  readonly maxBatchSize?: number | undefined;
  /** Events fetched ahead per partition. */
  readonly prefetchCount?: number | undefined;
  readonly clock?: Clock;
}

export interface SubscriptionHooks {
  readonly open: (partition: PartitionHandle) => PartitionSession;
  /** Errors that the subscription survives by itself; `partitionId` is empty for the balancing loop's. */
  readonly onError: (error: HubError, partitionId: string) => void;
}

export interface Subscription {
  /** Partitions that are being read now. */
  readonly owned: () => readonly string[];
  /** Graceful: no more events, sessions finish and checkpoint, ownership is given up. */
  close(): Promise<void>;
}

const errorPauseMs = { first: 50, most: 5_000 };

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
    return new BalancedSubscription(this.#client, this.#options, hooks, this.#clock);
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

/** Turns the SDK's callbacks into sessions: one per pump, so a partition that is opened again starts a new one. */
class BalancedSubscription implements Subscription {
  readonly #sessions = new Map<SdkContext, PartitionSession>();
  readonly #failures = new Map<string, number>();
  readonly #closing = new AbortController();
  readonly #hooks: SubscriptionHooks;
  readonly #clock: Clock;
  readonly #subscription: SdkSubscription;

  constructor(client: EventHubConsumerClient, options: EventConsumerOptions, hooks: SubscriptionHooks, clock: Clock) {
    this.#hooks = hooks;
    this.#clock = clock;
    const maxBatchSize = options.maxBatchSize ?? 32;
    this.#subscription = client.subscribe(
      {
        processInitialize: (context) => {
          this.#session(context);
          return Promise.resolve();
        },
        processEvents: (events, context) => this.#receive(events, context),
        processError: (error, context) => this.#failed(error, context.partitionId),
        processClose: (reason, context) => this.#release(reason, context),
      },
      {
        startPosition: earliestEventPosition,
        maxBatchSize,
        prefetchCount: options.prefetchCount ?? maxBatchSize * 2,
        maxWaitTimeInSeconds: 10,
        skipParsingBodyAsJson: true,
      },
    );
  }

  owned(): readonly string[] {
    return [...this.#sessions.keys()].map((context) => context.partitionId).sort();
  }

  async close(): Promise<void> {
    this.#closing.abort();
    await this.#subscription.close();
  }

  #session(context: SdkContext): PartitionSession {
    const open = this.#sessions.get(context);
    if (open !== undefined) return open;
    const session = this.#hooks.open({
      partitionId: context.partitionId,
      checkpoint: async ({ sequenceNumber, offset }) => {
        try {
          await context.updateCheckpoint({ sequenceNumber, offset } as ReceivedEventData);
        } catch (error) {
          throw translateHubError(error);
        }
      },
    });
    this.#sessions.set(context, session);
    return session;
  }

  async #receive(events: readonly ReceivedEventData[], context: SdkContext): Promise<void> {
    this.#failures.delete(context.partitionId);
    if (events.length === 0) return;
    await this.#session(context).receive(events.map((event) => toHubEvent(event, context.partitionId)));
  }

  /** The pump goes on at once after an error: this wait is its only pause. */
  async #failed(error: unknown, partitionId: string): Promise<void> {
    const translated = translateHubError(error);
    if (!(translated instanceof HubError)) return;
    this.#hooks.onError(translated, partitionId);
    if (partitionId === '' || translated.kind === 'stolen') return;
    const count = this.#failures.get(partitionId) ?? 0;
    this.#failures.set(partitionId, count + 1);
    await this.#clock.sleep(Math.min(errorPauseMs.most, errorPauseMs.first * 2 ** count), this.#closing.signal);
  }

  async #release(reason: CloseReason, context: SdkContext): Promise<void> {
    const session = this.#sessions.get(context);
    this.#sessions.delete(context);
    const why = reason === CloseReason.OwnershipLost ? 'lost' : this.#closing.signal.aborted ? 'stop' : 'error';
    await session?.release(why);
  }
}

function toHubEvent(event: ReceivedEventData, partitionId: string): HubEvent {
  const body: unknown = event.body;
  return {
    partitionId,
    sequenceNumber: event.sequenceNumber,
    offset: event.offset,
    body:
      body instanceof Uint8Array ? body : Buffer.from(typeof body === 'string' ? body : (JSON.stringify(body) ?? '')),
    contentType: event.contentType,
    partitionKey: event.partitionKey ?? undefined,
    enqueuedAt: event.enqueuedTimeUtc,
  };
}
