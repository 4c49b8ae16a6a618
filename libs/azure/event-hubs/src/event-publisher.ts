import { EventHubProducerClient, type EventData, type EventDataBatch } from '@azure/event-hubs';
import { retry, systemClock, type Clock, type Random, type RetryPolicy } from '@xva/runtime';
import { clientOptionsOf, hubAddressOf, type HubConnectionOptions } from './connection.ts';
import { HubError, translateHubError } from './errors.ts';

/** An event to send: a structured CloudEvent as it stands on the wire. */
export interface OutgoingEvent {
  /** The event's own id; travels as the AMQP message id. */
  readonly id: string;
  readonly body: Uint8Array | string;
  /** Events of one key arrive in one partition, in the order sent. */
  readonly partitionKey: string;
  /** Default `application/cloudevents+json`. */
  readonly contentType?: string;
  readonly properties?: Readonly<Record<string, string | number | boolean>>;
}

export interface EventPublisherOptions extends HubConnectionOptions {
  readonly retryPolicy?: Partial<RetryPolicy> | undefined;
  readonly clock?: Clock;
  readonly random?: Random;
}

/** Thrown when some events are not acknowledged; those in `acknowledgedIds` are in the hub for good. */
export class PublishError extends HubError {
  readonly acknowledgedIds: readonly string[];

  constructor(cause: HubError, acknowledgedIds: readonly string[]) {
    super(cause.code, cause.kind, cause.message.replace(/^Event Hubs: [^:]*: /, ''), cause, cause.retryAfterMs);
    this.acknowledgedIds = acknowledgedIds;
  }
}

const standardPolicy: RetryPolicy = { maxAttempts: 5, baseDelayMs: 100, maxDelayMs: 5_000, deadlineMs: 60_000 };
const keysAtOnce = 8;

/** Sends events to one hub. A send that was cut off before its acknowledgement may be stored twice: ids make that harmless. */
export class EventPublisher {
  readonly #client: EventHubProducerClient;
  readonly #policy: RetryPolicy;
  readonly #clock: Clock;
  readonly #random: Random;

  /** @throws HubError for options that do not fit together. Connects at the first use. */
  constructor(options: EventPublisherOptions) {
    const address = hubAddressOf(options);
    const client = clientOptionsOf(options);
    this.#client =
      address.by === 'connectionString'
        ? new EventHubProducerClient(address.connectionString, options.hub, client)
        : new EventHubProducerClient(address.namespace, options.hub, address.credential, client);
    this.#policy = { ...standardPolicy, ...options.retryPolicy };
    this.#clock = options.clock ?? systemClock;
    this.#random = options.random ?? Math.random;
  }

  /**
   * Returns when the hub has acknowledged every event. Events of one partition key keep their order; different keys go
   * side by side.
   *
   * @throws PublishError with the ids that were acknowledged before the failure.
   */
  async publish(events: readonly OutgoingEvent[], signal?: AbortSignal): Promise<void> {
    const byKey = Map.groupBy(events, (event) => event.partitionKey);
    const queue = [...byKey.entries()];
    const acknowledged: string[] = [];
    const failures: unknown[] = [];
    const work = async (): Promise<void> => {
      for (let next = queue.shift(); next !== undefined && failures.length === 0; next = queue.shift()) {
        try {
          await this.#publishKey(next[0], next[1], acknowledged, signal);
        } catch (error) {
          failures.push(error);
        }
      }
    };
    await Promise.all(Array.from({ length: Math.min(keysAtOnce, byKey.size) }, work));
    if (failures.length === 0) return;
    const first = translateHubError(failures[0]);
    throw first instanceof HubError ? new PublishError(first, acknowledged) : first;
  }

  /** Opens connection and link ahead of the first event. */
  async warm(): Promise<void> {
    await this.#retrying(() => this.#client.createBatch(), undefined);
  }

  /** Number of partitions, by one authenticated request. @throws HubError */
  async check(signal?: AbortSignal): Promise<number> {
    try {
      const ids = await this.#client.getPartitionIds(signal === undefined ? {} : { abortSignal: signal });
      return ids.length;
    } catch (error) {
      throw translateHubError(error);
    }
  }

  async close(): Promise<void> {
    await this.#client.close();
  }

  async #publishKey(
    partitionKey: string,
    events: readonly OutgoingEvent[],
    acknowledged: string[],
    signal: AbortSignal | undefined,
  ): Promise<void> {
    let position = 0;
    while (position < events.length) {
      const sent = await this.#retrying(async () => {
        const batch = await this.#client.createBatch({ partitionKey });
        const fitting = fill(batch, events.slice(position));
        await this.#client.sendBatch(batch, signal === undefined ? {} : { abortSignal: signal });
        return fitting;
      }, signal);
      for (const event of events.slice(position, position + sent)) acknowledged.push(event.id);
      position += sent;
    }
  }

  #retrying<T>(operation: () => Promise<T>, signal: AbortSignal | undefined): Promise<T> {
    return retry(
      async () => {
        try {
          return await operation();
        } catch (error) {
          throw translateHubError(error);
        }
      },
      {
        policy: this.#policy,
        clock: this.#clock,
        random: this.#random,
        judge: (error) =>
          error instanceof HubError && error.retryable
            ? { retry: true, retryAfterMs: error.retryAfterMs }
            : { retry: false },
        signal,
      },
    );
  }
}

/** How many of the events went in. @throws HubError when not even the first one fits. */
function fill(batch: EventDataBatch, events: readonly OutgoingEvent[]): number {
  let count = 0;
  for (const event of events) {
    if (!batch.tryAdd(toEventData(event))) break;
    count += 1;
  }
  const first = events[0];
  if (count === 0 && first !== undefined) {
    throw new HubError(
      'MessageTooLargeError',
      'rejected',
      `event ${first.id} has ${Buffer.byteLength(first.body)} bytes, the hub takes ${batch.maxSizeInBytes} in all`,
    );
  }
  return count;
}

function toEventData(event: OutgoingEvent): EventData {
  return {
    body: Buffer.from(event.body as Uint8Array),
    contentType: event.contentType ?? 'application/cloudevents+json',
    messageId: event.id,
    properties: { ...event.properties },
  };
}
