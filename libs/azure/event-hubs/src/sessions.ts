import type { HubError } from './errors.ts';

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
