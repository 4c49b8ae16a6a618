export { type CheckpointOptions } from './checkpoint-store.ts';
export { type HubConnectionOptions } from './connection.ts';
export { HubBusyError, HubError, translateHubError, type HubErrorClass } from './errors.ts';
export { EventConsumer, type EventConsumerOptions } from './event-consumer.ts';
export { EventPublisher, PublishError, type EventPublisherOptions, type OutgoingEvent } from './event-publisher.ts';
export {
  type HubEvent,
  type HubPosition,
  type PartitionHandle,
  type PartitionSession,
  type ReleaseReason,
  type Subscription,
  type SubscriptionHooks,
} from './sessions.ts';
