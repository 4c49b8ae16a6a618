import { EventConsumer } from '@xva/azure-event-hubs';
import { BlobAccount } from '@xva/azure-storage';
import { ledgerContainers, workContainers } from '@xva/contracts';
import { Packager, type CrashPoint, type Outcome, type Patience, type ReceivedEvent } from '@xva/flow-package';
import { systemClock, type Check, type Logger } from '@xva/runtime';
import { Registry } from 'prom-client';
import { InputApiClient } from './clients/input-api-client.ts';
import { JobApiClient } from './clients/job-api-client.ts';
import type { ControllerConfig } from './config.ts';
import { createMetrics, type ControllerMetrics } from './metrics.ts';
import { BlobDeadLetters, BlobWorkObjects } from './stores.ts';
import { Troubles } from './troubles.ts';

export interface Composition {
  readonly consumer: EventConsumer;
  readonly objects: BlobWorkObjects;
  readonly deadLetters: BlobDeadLetters;
  readonly handle: (received: ReceivedEvent, signal: AbortSignal) => Promise<Outcome>;
  readonly metrics: ControllerMetrics;
  readonly registry: Registry;
  readonly troubles: Troubles;
  /** Cheap ones, for readiness. */
  readonly readiness: readonly Check[];
  /** All dependencies and rights, for `check`. */
  readonly checks: readonly Check[];
  /** For metrics: the partitions read now. */
  readonly watchPartitions: (owned: () => readonly string[]) => void;
  readonly close: () => Promise<void>;
}

/** `patient` waits for a person who must change something; `impatient` fails at once, for verbs that someone watches. */
export type Manner = 'patient' | 'impatient';

/** Wires the package flow to the adapters; the compiler proves here that they fit. Connects to nothing until it is used. */
export function compose(config: ControllerConfig, logger: Logger, manner: Manner): Composition {
  const account = (accountUrl: string | undefined, connectionString: string | undefined): BlobAccount =>
    new BlobAccount({ accountUrl, connectionString, maxTries: 2, tryTimeoutMs: 15_000 });
  const work = account(config.workAccountUrl, config.workConnectionString);
  const ledger = account(config.ledgerAccountUrl, config.ledgerConnectionString);
  const objects = new BlobWorkObjects(work.container(workContainers.requests), work.container(workContainers.objects));
  const deadLetters = new BlobDeadLetters(ledger.container(ledgerContainers.deadLetters));
  const inputApi = new InputApiClient({
    url: config.inputApiUrl,
    apiKey: config.inputApiKey,
    packageDeadlineMs: config.inputApiDeadlineMs,
    partDeadlineMs: config.partDeadlineMs,
    maxManifestBytes: config.maxManifestBytes,
  });
  const jobApi = new JobApiClient({
    url: config.controllerUrl,
    apiKey: config.controllerApiKey,
    deadlineMs: config.controllerDeadlineMs,
  });
  const consumer = createConsumer(config);
  const registry = new Registry();
  let owned: () => readonly string[] = () => [];
  const metrics = createMetrics(registry, () => ({
    ...packager.load,
    partitions: owned().length,
  }));
  const troubles = new Troubles(logger, () => systemClock.now().getTime());
  const packager = new Packager(
    {
      objects,
      inputApi,
      jobApi,
      deadLetters,
      clock: systemClock,
      random: Math.random,
      notice: (ids, happening) => {
        metrics.happened(ids, happening);
        troubles.note(ids, happening);
      },
      crashPoint: (name) => {
        crashPoint(config, name);
      },
    },
    {
      patience: patienceOf(config, manner),
      breaker: { failures: config.circuitFailures, coolDownMs: config.circuitCoolDownMs },
      packagesAtOnce: config.packagesAtOnce,
      transfersAtOnce: config.transfersAtOnce,
      largePartsAtOnce: config.largePartsAtOnce,
      smallPartBytes: 1024 * 1024,
      maxRequestBytes: config.maxRequestBytes,
      maxPartBytes: config.maxPartBytes,
      maxPackageBytes: config.maxPackageBytes,
    },
  );
  const readiness: readonly Check[] = [
    { name: 'event-hub', run: async (signal) => `${config.hubName}: ${await consumer.check(signal)} partitions` },
    { name: 'work-storage', run: () => work.check() },
    { name: 'ledger-storage', run: () => ledger.check() },
    { name: 'operator', run: () => tell(troubles.operator, 'nothing waits for a person') },
    { name: 'outages', run: () => tell(troubles.outages, 'no outage that events wait for') },
  ];
  return {
    consumer,
    objects,
    deadLetters,
    handle: packager.handle.bind(packager),
    metrics,
    registry,
    troubles,
    readiness,
    checks: [
      ...readiness.slice(0, 3),
      { name: 'checkpoints', run: async () => `${(await consumer.checkpoints()).size} partitions have one` },
      { name: 'input-api', run: (signal) => inputApi.check(signal) },
      { name: 'controller', run: (signal) => jobApi.check(signal) },
    ],
    watchPartitions: (read) => {
      owned = read;
    },
    close: () => consumer.close(),
  };
}

function createConsumer(config: ControllerConfig): EventConsumer {
  return new EventConsumer({
    namespace: config.hubNamespace,
    connectionString: config.hubConnectionString,
    hub: config.hubName,
    consumerGroup: config.hubConsumerGroup,
    transport: config.hubTransport,
    proxyUrl: config.hubProxyUrl,
    tryTimeoutMs: config.hubTryTimeoutMs,
    loopIntervalMs: config.balanceIntervalMs,
    ownershipExpiryMs: config.ownershipExpiryMs,
    maxBatchSize: Math.min(config.eventsAhead, 64),
    checkpoints: {
      accountUrl: config.ledgerAccountUrl,
      connectionString: config.ledgerConnectionString,
      container: config.checkpointContainer,
    },
  });
}

export function patienceOf(config: ControllerConfig, manner: Manner): Patience {
  return {
    budgetMs: manner === 'patient' ? config.eventBudgetMs : Math.min(config.eventBudgetMs, 30_000),
    outageMs: manner === 'patient' ? undefined : 30_000,
    baseDelayMs: config.retryBaseMs,
    maxDelayMs: config.retryMaxMs,
    operatorDelayMs: manner === 'patient' ? config.operatorRetryMs : undefined,
  };
}

function tell(troubles: readonly string[], none: string): Promise<string> {
  return troubles.length === 0 ? Promise.resolve(none) : Promise.reject(new Error(troubles.join('; ')));
}

/** Test switch: the process ends with SIGKILL at the point of that name. */
export function crashPoint({ crashAt }: ControllerConfig, name: CrashPoint): void {
  if (name === crashAt) process.kill(process.pid, 'SIGKILL');
}
