import { randomBytes } from 'node:crypto';
import { BatchAdapter } from '@xva/azure-batch';
import { BlobAccount } from '@xva/azure-storage';
import { CostModelTable, RunTable, TableStore, UsageTable } from '@xva/azure-tables';
import { ledgerContainers, ledgerTables, workContainers } from '@xva/contracts';
import {
  ManifestCache,
  RunFeed,
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
import { describeError, systemClock, type Check, type Logger } from '@xva/runtime';
import type { Registry } from 'prom-client';
import type { ControllerConfig } from './config.ts';
import { AuditLog } from './audit/audit-log.ts';
import { ApiKeyAuthenticator } from './auth/api-keys.ts';
import { EntraAuthenticator } from './auth/entra.ts';
import { KeyRing, keyTable } from './auth/key-ring.ts';
import { AnyOf, type Authenticator } from './auth/principal.ts';
import { StreamSlots } from './http/limits.ts';
import type { Route } from './http/route.ts';
import { routesOf } from './http/routes/index.ts';
import { createMetrics, type Metrics } from './metrics.ts';
import { LogService } from './service/logs.ts';
import { PoolService } from './service/pools.ts';
import { ResultService } from './service/results.ts';
import { RunService } from './service/runs.ts';
import { WebhookService } from './service/webhooks.ts';
import { systemResolve } from './webhooks/address-guard.ts';
import { WebhookDispatcher } from './webhooks/dispatcher.ts';
import { WebhookStore } from './webhooks/store.ts';

export interface Composition {
  readonly deps: SubmitDeps;
  readonly loop: RunLoop;
  readonly routes: readonly Route[];
  readonly authenticator: Authenticator;
  readonly audit: AuditLog;
  readonly keys: KeyRing;
  /** Undefined = webhooks are switched off. */
  readonly dispatcher: WebhookDispatcher | undefined;
  readonly checks: readonly Check[];
  readonly registry: Registry;
  readonly metrics: Metrics;
  /** Creates the tables and containers that are not there yet. */
  readonly prepare: () => Promise<void>;
  /** Only what keys and audit need. */
  readonly prepareLedger: () => Promise<void>;
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
    environment: config.environment,
    spotPoolId: config.spotPoolId,
    largePoolId: config.largePoolId,
    maxSpotAttempts: config.maxSpotAttempts,
    splitSetSeconds: config.splitSetSeconds,
    prices: config.prices,
    usageHalfLifeMs: config.usageHalfLifeMs,
  };
}

/** Wires the flow to the adapters; the compiler proves here that they fit. Opens nothing until it is used. */
export function compose(
  config: ControllerConfig,
  logger: Logger,
  {
    crash,
    stopping = new AbortController().signal,
  }: { readonly crash?: CrashPoint | undefined; readonly stopping?: AbortSignal } = {},
): Composition {
  const workAccount = new BlobAccount({
    connectionString: config.workConnectionString,
    accountUrl: config.workAccountUrl,
  });
  const ledgerAccount = new BlobAccount({
    connectionString: config.ledgerConnectionString,
    accountUrl: config.ledgerAccountUrl,
  });
  const tables = { connectionString: config.ledgerConnectionString, accountUrl: config.ledgerTableUrl };
  const runTable = new RunTable({
    ...tables,
    onUnreadable: (runId, error) => {
      metrics.alerted('run-record-unreadable');
      logger.error(
        { runId, error: describeError(error) },
        'a run record cannot be read: the run stands still until a person mends its row',
      );
    },
  });
  const keys = new TableStore({ ...tables, table: keyTable });
  const auditRows = new TableStore({ ...tables, table: ledgerTables.audit });
  const usage = new UsageTable(tables);
  const costModel = new CostModelTable(tables);
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
    usage,
    costModel,
    alert: (alert) => {
      metrics.alerted(alert.code);
      logger.error({ ...alert }, 'a person should look at a run');
    },
  };
  const metrics = createMetrics(() => loop.records());
  const feed = new RunFeed(runs, systemClock, { pollMs: config.streamPollMs });
  const webhooks = composeWebhooks(
    config,
    new TableStore({ ...tables, table: ledgerTables.webhooks }),
    runTable,
    logger,
  );
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
      maxLooksPerSecond: config.maxLooksPerSecond,
      capacityRefreshMs: config.capacityRefreshMs,
      fullListMs: config.fullListMs,
    },
    {
      onPass: metrics.reconciled,
      onRecord: (run) => {
        feed.tell(run);
        webhooks.dispatcher?.tell(run);
      },
    },
  );
  const service = new RunService({ ...deps, pages: runTable, loop, maxQueuedRuns: config.maxQueuedRuns });
  const audit = new AuditLog(auditRows, systemClock);
  return {
    deps,
    loop,
    routes: routesOf({
      runs: service,
      feed,
      slots: new StreamSlots(config.maxStreams, config.maxStreamsPerPrincipal),
      stopping,
      heartbeatMs: config.streamHeartbeatMs,
      results: new ResultService(service, ledger.results),
      logs: new LogService(service, batch, work),
      pools: new PoolService(adapter, config.maxPoolNodes),
      webhooks: webhooks.service,
    }),
    authenticator: authenticatorOf(config, keys),
    audit,
    keys: new KeyRing(keys, systemClock, randomBytes),
    registry: metrics.registry,
    metrics,
    dispatcher: webhooks.dispatcher,
    checks: [
      { name: 'work account', run: () => workAccount.check() },
      { name: 'ledger account', run: () => ledgerAccount.check() },
      { name: 'run records', run: () => runTable.check() },
      { name: 'audit', run: () => auditRows.check() },
      { name: 'batch pool', run: () => adapter.check(config.poolId) },
    ],
    prepare: async () => {
      const stores = [runTable, keys, auditRows, webhooks.rows, objects, results, usage, costModel];
      await Promise.all(stores.map((store) => store.ensure()));
    },
    prepareLedger: async () => {
      await Promise.all([keys.ensure(), auditRows.ensure()]);
    },
    close: () => adapter.close(),
  };
}

function authenticatorOf(config: ControllerConfig, keys: TableStore): Authenticator {
  const { entraTenantId: tenantId } = config;
  const apiKeys = new ApiKeyAuthenticator(config.apiKeys, keys, systemClock, config.apiKeyCacheMs);
  if (tenantId === undefined) return apiKeys;
  const base = `https://login.microsoftonline.com/${tenantId}`;
  const entra = new EntraAuthenticator(
    {
      tenantId,
      audiences: config.entraAudiences,
      issuer: config.entraIssuer ?? `${base}/v2.0`,
      jwksUrl: config.entraJwksUrl ?? `${base}/discovery/v2.0/keys`,
      requireDesk: config.entraRequireDesk,
      cooldownMs: config.entraJwksCooldownMs,
    },
    systemClock,
  );
  return new AnyOf([apiKeys, entra]);
}

function composeWebhooks(config: ControllerConfig, rows: TableStore, runs: RunTable, logger: Logger) {
  const store = new WebhookStore(rows);
  const rules = { allowLoopback: config.webhookAllowLoopback, privateHosts: config.webhookPrivateHosts };
  const { webhookSigningKey: signingKey, webhookTimeoutMs: timeoutMs } = config;
  const dispatcher =
    signingKey === undefined
      ? undefined
      : new WebhookDispatcher(
          {
            store,
            changedSince: (at) => runs.list(at),
            clock: systemClock,
            logger,
            signingKey,
            post: { rules, resolve: systemResolve, timeoutMs },
          },
          { scanMs: config.webhookScanMs, retryMs: config.webhookRetryMs, maxAttempts: config.webhookMaxAttempts },
        );
  const service = new WebhookService({
    store,
    clock: systemClock,
    rules,
    resolve: systemResolve,
    signingKey,
    maxWebhooks: 200,
    wake: () => dispatcher?.wake(),
  });
  return { rows, dispatcher, service };
}
