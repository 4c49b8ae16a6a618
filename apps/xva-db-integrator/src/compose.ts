import { randomUUID } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { hostname } from 'node:os';
import { EventPublisher } from '@xva/azure-event-hubs';
import { BlobAccount } from '@xva/azure-storage';
import { TableStore } from '@xva/azure-tables';
import { ledgerTables, workContainers } from '@xva/contracts';
import type { DetectDeps } from '@xva/flow-detect';
import { cliExitCodes, CliError, systemClock, type Check, type Logger } from '@xva/runtime';
import {
  DefinitionFileError,
  type DetectionStore,
  localDate,
  openWatch,
  OutboxSource,
  parseDefinitions,
  sessionSql,
  SqlConnection,
  SqlPool,
  type PollingDefinition,
  type WatchSource,
} from '@xva/sql-polling';
import { Registry } from 'prom-client';
import { blame, busyMs, createPublisherPort, createRequestStore, probeRequests } from './adapters.ts';
import type { IntegratorConfig } from './config.ts';
import { createDetectionStore } from './detection-store.ts';
import type { TickedSource } from './polling.ts';
import { createMetrics, type IntegratorMetrics } from './metrics.ts';

/** One definition with all that works it off. */
export interface Station {
  readonly definition: PollingDefinition;
  readonly source: OutboxSource | WatchSource;
  readonly detect: DetectDeps;
  /** Of a definition that only reads: its ticks are accounted for in the ledger. */
  readonly ticked?: TickedSource;
}

export interface Composition {
  readonly stations: readonly Station[];
  readonly metrics: IntegratorMetrics;
  readonly registry: Registry;
  /** Cheap ones, for readiness. */
  readonly readiness: readonly Check[];
  /** All dependencies and rights, for `check`. */
  readonly checks: readonly Check[];
  /** Opens the way to the hub ahead of the first event. */
  readonly warm: () => Promise<void>;
  /** `force` lets go of requests under way. */
  readonly close: (force: boolean) => Promise<void>;
}

/** @throws CliError (3) naming every fault of the file with its line */
export function loadDefinitions(file: string): readonly PollingDefinition[] {
  try {
    return parseDefinitions(readFileSync(file, 'utf8'), file);
  } catch (error) {
    if (error instanceof DefinitionFileError) throw new CliError(error.message, cliExitCodes.badConfig);
    throw new CliError(`${file} cannot be read: ${(error as Error).message}`, cliExitCodes.badConfig);
  }
}

function createPool(config: IntegratorConfig): SqlPool {
  return new SqlPool(
    () =>
      SqlConnection.connect({
        host: config.sqlServer,
        port: config.sqlPort,
        database: config.sqlDatabase,
        user: config.sqlUser,
        password: config.sqlPassword,
        encrypt: config.sqlEncrypt,
        trustServerCertificate: config.sqlTrustServerCertificate,
        caFile: config.sqlCaFile,
        serverName: config.sqlCertificateName,
        connectTimeoutMs: config.sqlConnectTimeoutMs,
        requestTimeoutMs: config.sqlRequestTimeoutMs,
        deadlineMs: config.sqlDeadlineMs,
        sessionSql: sessionSql(config.sqlLockTimeoutMs),
        appName: 'xva-db-integrator',
      }),
    config.sqlPoolSize,
  );
}

/** Opens the table with the state of definitions that only read. @throws CliError (3) when one needs it and it is not set */
function detectionStoreOf(
  { ledgerConnectionString, ledgerTableUrl }: IntegratorConfig,
  definitions: readonly PollingDefinition[],
): () => DetectionStore {
  const readers = definitions.filter(({ mode }) => mode !== 'outbox').map(({ name }) => name);
  if (readers.length > 0 && (ledgerConnectionString === undefined) === (ledgerTableUrl === undefined)) {
    throw new CliError(
      `${readers.join(', ')} keep their cursor in the ledger account: set ledgerConnectionString or ledgerTableUrl (one of them)`,
      cliExitCodes.badConfig,
    );
  }
  let opened: DetectionStore | undefined;
  return () =>
    (opened ??= createDetectionStore(
      new TableStore({
        table: ledgerTables.detection,
        connectionString: ledgerConnectionString,
        accountUrl: ledgerTableUrl,
      }),
    ));
}

/** Wires the detect flow to the adapters; the compiler proves here that they fit. Connects to nothing until it is used. */
export function compose(config: IntegratorConfig, logger: Logger): Composition {
  const definitions = loadDefinitions(config.definitionsFile).filter((definition) => definition.enabled);
  const pool = createPool(config);
  const work = new BlobAccount({ connectionString: config.workConnectionString, accountUrl: config.workAccountUrl });
  const container = work.container(workContainers.requests);
  const store = createRequestStore(container);
  const publisher = new EventPublisher({
    namespace: config.hubNamespace,
    connectionString: config.hubConnectionString,
    hub: config.hubName,
    transport: config.hubTransport,
    proxyUrl: config.hubProxyUrl,
    tryTimeoutMs: config.hubTryTimeoutMs,
  });
  const registry = new Registry();
  const owner = config.workerName ?? `${hostname()}/${process.pid}`;
  const metrics = createMetrics(registry);
  const openState = detectionStoreOf(config, definitions);
  // One name per process and start: a restarted one must not take the lead of its former self for its own.
  const leaderName = `${owner} ${randomUUID()}`;
  const crashPoint = (point: string): void => {
    if (point === config.crashAt) process.kill(process.pid, 'SIGKILL');
  };
  const currentTicks = new Map<string, Date>();
  const sourceOf = (definition: PollingDefinition): Station['source'] => {
    if (definition.mode === 'outbox') {
      return new OutboxSource({ runner: pool, definition, owner, newToken: randomUUID, logger });
    }
    return openWatch({
      today: () => localDate(currentTicks.get(definition.name) ?? systemClock.now(), definition.schedule.timezone),
      runner: pool,
      definition,
      store: openState(),
      name: leaderName,
      now: () => systemClock.now(),
      monotonicMs: () => performance.now(),
      logger,
      onGap: () => metrics.gap(definition.name),
      crashPoint,
    });
  };
  const stations = definitions.map((definition): Station => {
    const source = sourceOf(definition);
    const detect: DetectDeps = {
      definition: definition.name,
      source,
      store,
      publisher: createPublisherPort(publisher),
      clock: systemClock,
      random: Math.random,
      logger,
      leaseMs: definition.leaseSeconds * 1000,
      blame,
      busyMs,
      crashPoint,
    };
    if (source instanceof OutboxSource) return { definition, source, detect };
    const ticked: TickedSource = {
      begin: (tick) => void currentTicks.set(definition.name, tick),
      last: () => source.lastTick(),
      done: (tick) => source.tickDone(tick),
    };
    return { definition, source, detect, ticked };
  });
  const readiness: readonly Check[] = [
    ...stations.slice(0, 1).map(({ source }) => ({ name: 'sql', run: () => source.ping() })),
    { name: 'storage', run: () => work.check() },
    { name: 'event-hub', run: async (signal) => `${config.hubName}: ${await publisher.check(signal)} partitions` },
  ];
  const rights = stations.flatMap(({ definition: { name }, source }): readonly Check[] => [
    { name: `${name}: read`, run: () => source.checkRead() },
    'checkWrite' in source
      ? { name: `${name}: claim`, run: () => source.checkWrite() }
      : { name: `${name}: state`, run: () => source.checkState() },
    { name: `${name}: consistency`, run: () => source.checkConsistency() },
  ]);
  const containerCheck: Check = {
    name: 'requests container',
    run: () => probeRequests(container),
  };
  return {
    stations,
    metrics,
    registry,
    readiness,
    checks: [...readiness, containerCheck, ...rights],
    warm: () => publisher.warm(),
    close: async (force) => {
      // The lead goes first, while Storage still answers: a stand-by takes over at once.
      await Promise.allSettled(stations.flatMap(({ source }) => ('close' in source ? [source.close()] : [])));
      if (force) pool.terminate();
      else pool.close();
      await publisher.close();
    },
  };
}
