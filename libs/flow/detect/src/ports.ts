import type { RunEvent } from '@xva/contracts';

/** What a request row says, by the contract's names. */
export const requestFields = [
  'book',
  'asOf',
  'cut',
  'scenario',
  'revision',
  'baseCurrency',
  'samples',
  'seed',
  'quantile',
  'dvaName',
  'grid',
  'strict',
  'priority',
  'traceparent',
  'errorBars',
  'marketSnapshot',
  'creditProxies',
  'whatIf',
] as const;
export type RequestField = (typeof requestFields)[number];

export interface SourceRow {
  /** Dates as `yyyy-mm-dd`, decimals as text to the last digit. */
  readonly fields: Readonly<Record<RequestField, string | number | boolean | null>>;
  /** Where each field comes from, for messages. */
  readonly columns: Readonly<Record<RequestField, string>>;
}

/** A row that this worker holds until its lease ends. */
export interface ClaimedRow {
  readonly requestId: string;
  readonly leaseToken: string;
  /** Claims so far, this one included. */
  readonly attempts: number;
  readonly row: SourceRow;
  /** What the event's id is derived from beside definition and key; absent where the row's revision is (`outbox`). */
  readonly version?: string;
}

export interface DetailRows {
  readonly nettingSets: readonly { nettingSetId: string; counterparty: string; csa: string | null }[];
  readonly trades: readonly { tradeId: string; nettingSetId: string; tradeType: string; terms: string }[];
  readonly quotes: readonly { key: string; value: string }[];
  readonly fixings: readonly { index: string; date: string; value: string }[];
}

export type ReadOutcome =
  | { readonly outcome: 'read'; readonly row: SourceRow; readonly details: DetailRows; readonly consistency: string }
  | { readonly outcome: 'lease-lost' }
  | { readonly outcome: 'unreadable'; readonly reason: string };

/**
 * Rows that ask for runs, as a queue with leases. Every call after `claim` is fenced by the lease's token: it does nothing
 * once the lease was given to another. Errors with a field `retryable: true` pass by themselves.
 */
export interface RequestSource {
  /**
   * Due rows, highest priority first; `poisoned` are those whose attempts were used up, put aside by this very call. Reading
   * that fires nothing (a first one, say) may take long: it ends between two pages once `stop` is aborted.
   */
  claim(
    limit: number,
    stop?: AbortSignal,
  ): Promise<{
    readonly claimed: readonly ClaimedRow[];
    readonly poisoned: readonly { readonly requestId: string; readonly reason: string }[];
  }>;
  /** The row as it is now and its details, as of one instant. */
  readDetails(claimed: ClaimedRow): Promise<ReadOutcome>;
  /** False when the lease is no longer ours. */
  renew(claimed: ClaimedRow): Promise<boolean>;
  /** False when the lease is no longer ours; repeating a success is a success. */
  complete(claimed: ClaimedRow, eventId: string): Promise<boolean>;
  /** False when the lease is no longer ours. */
  poison(claimed: ClaimedRow, reason: string): Promise<boolean>;
  release(
    claimed: ClaimedRow,
    options: {
      readonly error: string | null;
      readonly delayMs: number;
      /** The attempt was not the row's fault and does not count. */
      readonly giveBack: boolean;
    },
  ): Promise<'released' | 'poisoned' | 'lease-lost'>;
}

export interface FrozenLabels {
  readonly eventId: string;
  readonly runId: string;
  readonly traceparent: string;
}

/** Frozen requests by event id. */
export interface RequestStore {
  putIfAbsent(eventId: string, bytes: Uint8Array, labels: FrozenLabels): Promise<'created' | 'exists'>;
  get(eventId: string): Promise<Uint8Array | undefined>;
}

export interface EventPublisherPort {
  /** Resolves once every event was acknowledged. */
  publish(events: readonly RunEvent[], partitionKey: string): Promise<void>;
}
