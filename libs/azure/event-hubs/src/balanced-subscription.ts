import { inspect } from 'node:util';
import {
  CloseReason,
  earliestEventPosition,
  type EventHubConsumerClient,
  type PartitionContext as SdkContext,
  type ReceivedEventData,
  type Subscription as SdkSubscription,
} from '@azure/event-hubs';
import type { Clock } from '@xva/runtime';
import type { ForwardOnlyCheckpointStore } from './checkpoint-store.ts';
import { HubError, translateHubError } from './errors.ts';
import type { EventConsumerOptions } from './event-consumer.ts';
import type { HubEvent, PartitionSession, ReleaseReason, Subscription, SubscriptionHooks } from './sessions.ts';

const errorPauseMs = { first: 50, most: 5_000 };

/**
 * A receiver whose connection dies silently is noticed only when its wait for events ends, so the wait is short. But
 * each wait that ends empty adds link credit that is never taken back (partitionReceiver `addCredits`), and a later flood
 * would be pushed into memory up to that credit: a quiet partition is opened anew, from its checkpoint, before it is much.
 */
const idleWaitSeconds = 5;
const standardIdleCredit = 50_000;

class QuietPartitionError extends Error {
  override readonly name = 'QuietPartitionError';
}

/** Turns the SDK's callbacks into sessions: one per pump, so a partition that is opened again starts a new one. */
export class BalancedSubscription implements Subscription {
  readonly #sessions = new Map<SdkContext, PartitionSession>();
  readonly #failures = new Map<string, number>();
  readonly #idleCredit = new Map<SdkContext, number>();
  readonly #batchSize: number;
  readonly #maxIdleCredit: number;
  readonly #closing = new AbortController();
  readonly #client: EventHubConsumerClient;
  readonly #store: ForwardOnlyCheckpointStore;
  readonly #hooks: SubscriptionHooks;
  readonly #clock: Clock;
  readonly #subscription: SdkSubscription;

  constructor(
    client: EventHubConsumerClient,
    store: ForwardOnlyCheckpointStore,
    options: EventConsumerOptions,
    hooks: SubscriptionHooks,
    clock: Clock,
  ) {
    this.#client = client;
    this.#store = store;
    this.#hooks = hooks;
    this.#clock = clock;
    this.#batchSize = options.maxBatchSize ?? 32;
    this.#maxIdleCredit = options.maxIdleCredit ?? standardIdleCredit;
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
        maxBatchSize: this.#batchSize,
        prefetchCount: this.#batchSize,
        maxWaitTimeInSeconds: idleWaitSeconds,
        skipParsingBodyAsJson: true,
      },
    );
  }

  readonly owned = (): readonly string[] => [...this.#sessions.keys()].map((context) => context.partitionId).sort();

  async close(): Promise<void> {
    this.#closing.abort();
    await this.#subscription.close();
    await Promise.all([...this.#sessions.keys()].map((context) => this.#end(context, 'stop')));
  }

  #session(context: SdkContext): PartitionSession {
    const open = this.#sessions.get(context);
    if (open !== undefined) return open;
    // A pump whose link could not be closed goes without telling: its stay ends here.
    for (const other of this.#sessions.keys()) {
      if (other.partitionId === context.partitionId) void this.#end(other, 'error');
    }
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
    if (events.length === 0) {
      const credit = (this.#idleCredit.get(context) ?? 0) + this.#batchSize;
      this.#idleCredit.set(context, credit);
      if (credit > this.#maxIdleCredit) throw new QuietPartitionError();
      return;
    }
    await this.#session(context).receive(events.map((event) => toHubEvent(event, context.partitionId)));
  }

  /** The pump goes on at once after an error: this wait is its only pause. */
  async #failed(error: unknown, partitionId: string): Promise<void> {
    if (error instanceof QuietPartitionError) return;
    const translated = translateHubError(error);
    if (!(translated instanceof HubError)) return;
    this.#hooks.onError(translated, partitionId);
    if (partitionId === '' || translated.kind === 'stolen') return;
    const count = this.#failures.get(partitionId) ?? 0;
    this.#failures.set(partitionId, count + 1);
    await this.#clock.sleep(Math.min(errorPauseMs.most, errorPauseMs.first * 2 ** count), this.#closing.signal);
  }

  async #release(reason: CloseReason, context: SdkContext): Promise<void> {
    const why = reason === CloseReason.OwnershipLost ? 'lost' : this.#closing.signal.aborted ? 'stop' : 'error';
    await this.#end(context, why);
    if (why !== 'error') return;
    const { fullyQualifiedNamespace, eventHubName, consumerGroup, partitionId } = context;
    const place = { fullyQualifiedNamespace, eventHubName, consumerGroup, partitionId };
    try {
      await this.#store.abandon({ ...place, ownerId: this.#client.identifier });
    } catch (error) {
      await this.#failed(error, '');
    }
  }

  async #end(context: SdkContext, reason: ReleaseReason): Promise<void> {
    const session = this.#sessions.get(context);
    this.#sessions.delete(context);
    this.#idleCredit.delete(context);
    await session?.release(reason);
  }
}

function toHubEvent(event: ReceivedEventData, partitionId: string): HubEvent {
  return {
    partitionId,
    sequenceNumber: event.sequenceNumber,
    offset: event.offset,
    body: bytesOf(event.body),
    contentType: event.contentType,
    partitionKey: event.partitionKey ?? undefined,
    enqueuedAt: event.enqueuedTimeUtc,
  };
}

/** The body's bytes; a body that is no data section is not ours, but must not stop the partition: it goes on as text. */
function bytesOf(body: unknown): Uint8Array {
  if (body instanceof Uint8Array) return body;
  return Buffer.from(typeof body === 'string' ? body : inspect(body, { depth: 4, maxArrayLength: 100 }));
}
