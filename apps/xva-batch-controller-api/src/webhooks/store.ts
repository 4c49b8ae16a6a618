import type { AddressRules } from './address-guard.ts';

/** What a webhook can be told of: how a run ended, and that it missed its deadline. */
export const webhookEvents = ['run.done', 'run.failed', 'run.cancelled', 'run.deadline-missed'] as const;
export type WebhookEvent = (typeof webhookEvents)[number];

export interface Webhook {
  readonly id: string;
  readonly url: string;
  readonly events: readonly WebhookEvent[];
  /** Runs of this desk only; null = of all. */
  readonly desk: string | null;
  readonly generation: number;
  /** Until then the secret before the last rotation signs too. */
  readonly previousUntil: string | null;
  readonly createdAt: string;
  readonly createdBy: string;
  /** Counts every change. */
  readonly version: number;
}

export type DeliveryState = 'pending' | 'delivered' | 'failed';

export interface Attempt {
  readonly at: string;
  /** HTTP status; 0 = no answer. */
  readonly status: number;
  readonly message: string;
}

/** One message to one webhook: at least once, its id the same each time. */
export interface Delivery {
  readonly webhookId: string;
  /** Follows from run, version of the record and event, so that noticing twice is one delivery. */
  readonly id: string;
  readonly event: WebhookEvent | 'ping';
  readonly runId: string | null;
  readonly body: string;
  readonly state: DeliveryState;
  readonly attempts: readonly Attempt[];
  readonly createdAt: string;
  /** When it may be tried (again); also the lease of whoever tries it. */
  readonly dueAt: string;
}

type Properties = Readonly<Record<string, string | number | boolean | Date>>;
interface Row {
  readonly partitionKey: string;
  readonly rowKey: string;
  readonly properties: Properties;
}
type Stored = Row & { readonly etag: string };

export interface WebhookRows {
  get(partitionKey: string, rowKey: string): Promise<Stored | undefined>;
  insert(row: Row): Promise<{ readonly outcome: 'created' | 'exists' }>;
  replace(row: Row, etag: string): Promise<{ readonly outcome: 'replaced' | 'changed' | 'absent' }>;
  delete(partitionKey: string, rowKey: string, etag?: string): Promise<'deleted' | 'changed' | 'absent'>;
  query(options: { readonly filter: string }): AsyncIterable<Stored>;
}

export type { AddressRules };

const hookPartition = 'hook';
const pendingPartition = 'pending';
const cursorPartition = 'cursor';
const deliveriesOf = (webhookId: string): string => `delivery-${webhookId}`;

export interface Versioned<T> {
  readonly value: T;
  readonly etag: string;
}

function read<T>(row: Stored): Versioned<T> {
  return { value: JSON.parse(String(row.properties['json'])) as T, etag: row.etag };
}

function row(partitionKey: string, rowKey: string, value: object): Row {
  return { partitionKey, rowKey, properties: { json: JSON.stringify(value) } };
}

/**
 * Table `webhooks`: the hooks; their deliveries (the log); a mark per delivery that is not over, so that those are found
 * without reading the log; and how far the run records were looked through.
 */
export class WebhookStore {
  readonly #rows: WebhookRows;

  constructor(rows: WebhookRows) {
    this.#rows = rows;
  }

  async add(hook: Webhook): Promise<void> {
    await this.#rows.insert(row(hookPartition, hook.id, hook));
  }

  async get(id: string): Promise<Versioned<Webhook> | undefined> {
    const found = await this.#rows.get(hookPartition, id);
    return found === undefined ? undefined : read<Webhook>(found);
  }

  async replace(hook: Webhook, etag: string): Promise<boolean> {
    return (await this.#rows.replace(row(hookPartition, hook.id, hook), etag)).outcome === 'replaced';
  }

  async remove(id: string, etag: string): Promise<boolean> {
    return (await this.#rows.delete(hookPartition, id, etag)) !== 'changed';
  }

  async list(): Promise<readonly Webhook[]> {
    const hooks: Webhook[] = [];
    for await (const found of this.#rows.query({ filter: `PartitionKey eq '${hookPartition}'` }))
      hooks.push(read<Webhook>(found).value);
    return hooks;
  }

  /** False when there is one of that id already. The mark comes first: a mark without a delivery is taken away later. */
  async enqueue(delivery: Delivery): Promise<boolean> {
    const { webhookId, id } = delivery;
    if ((await this.#rows.get(deliveriesOf(webhookId), id)) !== undefined) return false;
    await this.#rows.insert(row(pendingPartition, `${webhookId}-${id}`, { webhookId, id }));
    return (await this.#rows.insert(row(deliveriesOf(webhookId), id, delivery))).outcome === 'created';
  }

  async *pending(): AsyncGenerator<Pick<Delivery, 'webhookId' | 'id'>> {
    for await (const found of this.#rows.query({ filter: `PartitionKey eq '${pendingPartition}'` }))
      yield read<Pick<Delivery, 'webhookId' | 'id'>>(found).value;
  }

  async settled({ webhookId, id }: Pick<Delivery, 'webhookId' | 'id'>): Promise<void> {
    await this.#rows.delete(pendingPartition, `${webhookId}-${id}`);
  }

  async delivery(webhookId: string, id: string): Promise<Versioned<Delivery> | undefined> {
    const found = await this.#rows.get(deliveriesOf(webhookId), id);
    return found === undefined ? undefined : read<Delivery>(found);
  }

  async replaceDelivery(delivery: Delivery, etag: string): Promise<boolean> {
    const { webhookId, id, state } = delivery;
    if (state === 'pending') await this.#rows.insert(row(pendingPartition, `${webhookId}-${id}`, { webhookId, id }));
    return (await this.#rows.replace(row(deliveriesOf(webhookId), id, delivery), etag)).outcome === 'replaced';
  }

  /** The newest `limit` of a hook. */
  async deliveries(webhookId: string, limit: number): Promise<readonly Delivery[]> {
    const found: Delivery[] = [];
    for await (const one of this.#rows.query({ filter: `PartitionKey eq '${deliveriesOf(webhookId)}'` }))
      found.push(read<Delivery>(one).value);
    return found.sort((a, b) => (a.createdAt < b.createdAt ? 1 : -1)).slice(0, limit);
  }

  /** Up to which time of change the run records were looked through. */
  async cursor(): Promise<string | undefined> {
    const found = await this.#rows.get(cursorPartition, 'runs');
    return found === undefined ? undefined : read<{ at: string }>(found).value.at;
  }

  async advance(at: string): Promise<void> {
    const found = await this.#rows.get(cursorPartition, 'runs');
    const next = row(cursorPartition, 'runs', { at });
    if (found === undefined) await this.#rows.insert(next);
    else await this.#rows.replace(next, found.etag);
  }
}
