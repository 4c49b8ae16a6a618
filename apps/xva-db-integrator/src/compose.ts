import { randomUUID } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { hostname } from 'node:os';
import { EventPublisher } from '@xva/azure-event-hubs';
import { BlobAccount } from '@xva/azure-storage';
import { workContainers } from '@xva/contracts';
import type { DetectDeps } from '@xva/flow-detect';
import { cliExitCodes, CliError, systemClock, type Check, type Logger } from '@xva/runtime';
import {
  DefinitionFileError,
  OutboxSource,
  parseDefinitions,
  sessionSql,
  SqlConnection,
  SqlPool,
  type PollingDefinition,
} from '@xva/sql-polling';
import { Registry } from 'prom-client';
import { blame, createPublisherPort, createRequestStore } from './adapters.ts';
import type { IntegratorConfig } from './config.ts';
import { createMetrics, type IntegratorMetrics } from './metrics.ts';

/** One definition with all that works it off. */
export interface Station {
  readonly definition: PollingDefinition;
  readonly source: OutboxSource;
  readonly detect: DetectDeps;
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
  const stations = definitions.map((definition): Station => {
    const source = new OutboxSource({ runner: pool, definition, owner, newToken: randomUUID, logger });
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
      crashPoint: (point) => {
        if (point === config.crashAt) process.kill(process.pid, 'SIGKILL');
      },
    };
    return { definition, source, detect };
  });
  const readiness: readonly Check[] = [
    ...stations.slice(0, 1).map(({ source }) => ({ name: 'sql', run: () => source.ping() })),
    { name: 'storage', run: () => work.check() },
    { name: 'event-hub', run: async (signal) => `${config.hubName}: ${await publisher.check(signal)} partitions` },
  ];
  const rights = stations.flatMap(({ definition: { name }, source }): readonly Check[] => [
    { name: `${name}: read`, run: () => source.checkRead() },
    { name: `${name}: claim`, run: () => source.checkWrite() },
    { name: `${name}: consistency`, run: () => source.checkConsistency() },
  ]);
  const containerCheck: Check = {
    name: 'requests container',
    run: async () => ((await container.exists()) ? 'there' : 'not there yet: made with the first request'),
  };
  return {
    stations,
    metrics: createMetrics(registry),
    registry,
    readiness,
    checks: [...readiness, containerCheck, ...rights],
    warm: () => publisher.warm(),
    close: async (force) => {
      if (force) pool.terminate();
      else pool.close();
      await publisher.close();
    },
  };
}
