import { BatchAdapter } from '@xva/azure-batch';
import { BlobAccount } from '@xva/azure-storage';
import { RunTable, TableStore } from '@xva/azure-tables';
import { ledgerContainers, workContainers } from '@xva/contracts';
import {
  ManifestCache,
  RunLoop,
  varyingNames,
  withCrashPoints,
  type BatchPort,
  type CrashPoint,
  type Ledger,
  type RunStore,
  type SubmitDeps,
  type SubmitPolicy,
  type WorkStorage,
} from '@xva/flow-submit';
import { systemClock, type Check, type Logger } from '@xva/runtime';
import type { Registry } from 'prom-client';
import type { ControllerConfig } from './config.ts';
import { ApiKeyAuthenticator, keyTable, type Authenticator } from './http/auth.ts';
import { routesOf } from './http/routes.ts';
import type { Route } from './http/route.ts';
import { createMetrics, type Metrics } from './metrics.ts';
import { ControllerService } from './service.ts';

export interface Composition {
  readonly deps: SubmitDeps;
  readonly loop: RunLoop;
  readonly routes: readonly Route[];
  readonly authenticator: Authenticator;
  readonly keys: TableStore;
  readonly checks: readonly Check[];
  readonly registry: Registry;
  readonly metrics: Metrics;
  /** Creates the tables and containers that are not there yet. */
  readonly prepare: () => Promise<void>;
  readonly close: () => void;
}

function policyOf(config: ControllerConfig): SubmitPolicy {
  return {
    poolId: config.poolId,
    image: config.engineImage,
    engineCommand: config.engineCommand,
    identityResourceId: config.taskIdentityResourceId,
    targetShardSeconds: config.targetShardSeconds,
    maxShards: config.maxShards,
    maxTaskRetries: config.maxTaskRetries,
    maxAttempts: config.maxAttempts,
    taskRetryDelayMs: config.taskRetryDelayMs,
    jobMaxWallClockTime: config.jobMaxWallClockTime,
    taskRetentionTime: config.taskRetentionTime,
  };
}

/** Wires the flow to the adapters; the compiler proves here that they fit. Opens nothing until it is used. */
export function compose(config: ControllerConfig, logger: Logger, crash?: CrashPoint): Composition {
  const workAccount = new BlobAccount({
    connectionString: config.workConnectionString,
    accountUrl: config.workAccountUrl,
  });
  const ledgerAccount = new BlobAccount({
    connectionString: config.ledgerConnectionString,
    accountUrl: config.ledgerAccountUrl,
  });
  const tables = { connectionString: config.ledgerConnectionString, accountUrl: config.ledgerTableUrl };
  const runTable = new RunTable(tables);
  const keys = new TableStore({ ...tables, table: keyTable });
  const adapter = new BatchAdapter({
    endpoint: config.batchUrl,
    varyingNames,
    ...(config.batchKey === undefined ? {} : { accountName: config.batchAccount, accountKey: config.batchKey }),
    onRetry: (error, attempt, delayMs) =>
      logger.warn({ code: error.code, status: error.status, attempt, delayMs }, 'Batch will be asked again'),
  });
  const pointed = <T extends object>(port: T, name: string): T =>
    crash === undefined ? port : withCrashPoints(port, name, crash);
  const objects = workAccount.container(workContainers.objects);
  const results = ledgerAccount.container(ledgerContainers.results);
  const runs: RunStore = pointed<RunStore>(runTable, 'runs');
  const batch: BatchPort = pointed<BatchPort>(adapter, 'batch');
  const work: WorkStorage = pointed<WorkStorage>(
    {
      objects,
      ensureRunContainer: (name, labels) => workAccount.container(name).ensure(labels),
      runContainer: (name) => pointed(workAccount.container(name), 'container'),
    },
    'work',
  );
  const ledger: Ledger = { results: pointed(results, 'results') };
  const deps: SubmitDeps = {
    runs,
    batch,
    work,
    ledger,
    manifests: new ManifestCache(objects),
    clock: systemClock,
    policy: policyOf(config),
    logger,
  };
  const metrics = createMetrics(() => loop.records());
  const loop = new RunLoop(
    deps,
    {
      pollMs: config.pollMs,
      pollMaxMs: Math.max(config.pollMs, config.pollMaxMs),
      discoverMs: config.discoverMs,
      deepMs: config.deepMs,
      quotaRetryMs: config.quotaRetryMs,
      concurrency: config.concurrency,
      maxOutstandingTasks: config.maxOutstandingTasks,
    },
    { onPass: metrics.reconciled },
  );
  const service = new ControllerService({
    ...deps,
    pages: runTable,
    listPools: () => adapter.listPools(),
    loop,
    maxQueuedRuns: config.maxQueuedRuns,
  });
  return {
    deps,
    loop,
    routes: routesOf(service),
    authenticator: new ApiKeyAuthenticator(config.apiKeys, keys, systemClock),
    keys,
    registry: metrics.registry,
    metrics,
    checks: [
      { name: 'work account', run: () => workAccount.check() },
      { name: 'ledger account', run: () => ledgerAccount.check() },
      { name: 'run records', run: () => runTable.check() },
      { name: 'batch pool', run: () => adapter.check(config.poolId) },
    ],
    prepare: async () => {
      const parts = [runTable.ensure(), keys.ensure(), objects.ensure(), results.ensure()];
      await Promise.all(parts);
    },
    close: () => adapter.close(),
  };
}
