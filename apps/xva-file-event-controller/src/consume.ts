import type { HubError, HubEvent, PartitionHandle, PartitionSession, SubscriptionHooks } from '@xva/azure-event-hubs';
import { PartitionWork, type Outcome } from '@xva/flow-package';
import { describeError, systemClock, type Logger } from '@xva/runtime';
import { crashPoint, type Composition } from './compose.ts';
import type { ControllerConfig } from './config.ts';

export interface ConsumeOptions {
  readonly config: ControllerConfig;
  readonly logger: Logger;
  readonly composition: Composition;
  readonly stopWorking: AbortSignal;
  /** In place of the configured one. */
  readonly checkpointIntervalMs?: number;
  readonly onOutcome?: (outcome: Outcome) => void;
  /** Nothing can be decided about an event, or about the hub, until a person has changed something. */
  readonly onStuck?: (error: unknown) => void;
}

/** How a subscription's partitions are worked on: a window each, over the one packager. */
export function consumeHooks(options: ConsumeOptions): SubscriptionHooks {
  const { logger, composition } = options;
  return {
    open: (partition) => openSession(partition, options),
    onError: (error, partitionId) => {
      composition.metrics.hubError(error.code);
      const fields = { partition: partitionId, error: describeError(error) };
      if (error.kind === 'stolen') logger.info(fields, 'another process has taken the partition');
      else if (error.retryable) logger.warn(fields, 'the hub does not answer as it should; trying again');
      else logger.error({ ...fields, hint: hintFor(error) }, 'the hub refuses us; trying again');
      if (error.kind === 'operator') options.onStuck?.(error);
    },
  };
}

function hintFor(error: HubError): string {
  if (error.kind === 'operator') return 'connection string, identity, hub name or consumer group';
  return 'if the hub was made anew, its checkpoints point past its end: remove them from the checkpoint container';
}

function openSession(partition: PartitionHandle, options: ConsumeOptions): PartitionSession {
  const { config, composition, stopWorking } = options;
  const logger = options.logger;
  const { partitionId } = partition;
  logger.info({ partition: partitionId }, 'partition opened');
  const work = new PartitionWork<HubEvent>({
    window: { maxParallel: config.eventsAtOnce, maxSpan: config.eventsAhead },
    orderOf: (event) => (config.orderByBook ? (event.partitionKey ?? '') : undefined),
    handle: (event, signal) => handleEvent(event, signal, options),
    checkpoint: async (event) => {
      crashPoint(config, 'beforeCheckpoint');
      await partition.checkpoint(event);
      crashPoint(config, 'afterCheckpoint');
      composition.metrics.checkpoint(true);
      logger.debug({ partition: partitionId, sequence: event.sequenceNumber }, 'checkpoint written');
    },
    checkpointIntervalMs: options.checkpointIntervalMs ?? config.checkpointIntervalMs,
    onCheckpointError: (error) => {
      composition.metrics.checkpoint(false);
      logger.warn(
        { partition: partitionId, error: describeError(error) },
        'the checkpoint could not be written; trying again',
      );
    },
    onUndecided: (event, error) => {
      const at = { partition: partitionId, sequence: event.sequenceNumber };
      logger.error({ ...at, error: describeError(error) }, 'nothing decided about this event');
      options.onStuck?.(error);
    },
    clock: systemClock,
    stopWorking,
  });
  return {
    receive: (events) => work.receive(events),
    release: async (reason) => {
      crashPoint(config, 'atRelease');
      await work.release(reason);
      logger.info({ partition: partitionId, reason }, 'partition released');
    },
  };
}

async function handleEvent(event: HubEvent, signal: AbortSignal, options: ConsumeOptions): Promise<void> {
  const { composition, logger } = options;
  const { metrics } = composition;
  const started = systemClock.now().getTime();
  const { partitionId, sequenceNumber, offset, enqueuedAt } = event;
  const source = { partitionId, sequenceNumber, offset, enqueuedAt: enqueuedAt.toISOString() };
  metrics.inWork.inc();
  try {
    const outcome = await composition.handle({ bytes: event.body, source }, signal);
    const now = systemClock.now().getTime();
    metrics.ended(outcome, now - started, now - enqueuedAt.getTime());
    logOutcome(logger, outcome, { tookMs: now - started });
    options.onOutcome?.(outcome);
  } finally {
    metrics.inWork.dec();
  }
}

/** One line per event, with all its ids. */
export function logOutcome(logger: Logger, outcome: Outcome, fields: object): void {
  const { ids } = outcome;
  if (outcome.outcome === 'submitted') {
    const { packageId, existed, stored } = outcome;
    logger.info({ ...fields, ...ids, packageId, existed, ...stored }, 'job requested');
    return;
  }
  const { letterId, failure } = outcome;
  const { reason, message, defects } = failure;
  const why = { letterId, reason, detail: message, defects: defects.slice(0, 20) };
  logger.warn({ ...fields, ...ids, ...why }, 'event became a dead letter');
}
