import { newTraceparent, type Clock, type Logger } from '@xva/runtime';
import { buildRunEvent } from './event.ts';
import { readFrozen } from './freeze.ts';
import type { EventPublisherPort, RequestStore } from './ports.ts';

export interface ReplayDeps {
  readonly definition: string;
  readonly store: RequestStore;
  readonly publisher: EventPublisherPort;
  readonly clock: Clock;
  readonly logger: Logger;
}

export type ReplayOutcome =
  | { readonly outcome: 'published'; readonly eventId: string; readonly runId: string }
  /** Its frozen request was swept: the run is over and its tombstone would refuse the event. */
  | { readonly outcome: 'swept'; readonly eventId: string };

/**
 * Publishes an event once more, as it was: the same id and the same frozen request, so that whatever was done for it before
 * stays done. For events that the hub lost or that nobody consumed in time.
 *
 * @throws ContractError when the stored bytes are no frozen request; what store and publisher throw
 */
export async function replayEvent(deps: ReplayDeps, eventId: string): Promise<ReplayOutcome> {
  const bytes = await deps.store.get(eventId);
  if (bytes === undefined) return { outcome: 'swept', eventId };
  const frozen = readFrozen(bytes);
  const event = buildRunEvent(deps.definition, frozen, newTraceparent(), deps.clock.now());
  await deps.publisher.publish([event], frozen.key.book);
  deps.logger.info({ definition: deps.definition, eventId, runId: frozen.runId }, 'event published once more');
  return { outcome: 'published', eventId, runId: frozen.runId };
}
