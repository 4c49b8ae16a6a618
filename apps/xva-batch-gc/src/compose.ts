import { BatchAdapter } from '@xva/azure-batch';
import { BlobAccount } from '@xva/azure-storage';
import { RunTable, TableStore } from '@xva/azure-tables';
import { ledgerTables } from '@xva/contracts';
import type { SweepDeps, SweepRunStore } from '@xva/flow-sweep';
import { systemClock, type Check, type Logger } from '@xva/runtime';
import { Registry } from 'prom-client';
import { createSweepBatch } from './batch-port.ts';
import type { GcConfig } from './config.ts';
import { createPins, createSweepLedger } from './ledger-port.ts';
import { createMetrics, type SweepMetrics } from './metrics.ts';
import { loadPolicy } from './policy-file.ts';
import { createSweepStorage } from './storage-port.ts';

export interface Composition {
  readonly deps: SweepDeps;
  readonly checks: readonly Check[];
  readonly registry: Registry;
  readonly metrics: SweepMetrics;
  readonly close: () => void;
}

/** Wires the sweep flow to the adapters; the compiler proves here that they fit. */
export async function compose(
  config: GcConfig,
  logger: Logger,
  crashPoint?: (name: string) => void,
): Promise<Composition> {
  const work = new BlobAccount({ connectionString: config.workConnectionString, accountUrl: config.workAccountUrl });
  const ledger = new BlobAccount({
    connectionString: config.ledgerConnectionString,
    accountUrl: config.ledgerAccountUrl,
  });
  const tables = { connectionString: config.ledgerConnectionString, accountUrl: config.ledgerTableUrl };
  const runTable = new RunTable(tables);
  const pins = new TableStore({ ...tables, table: ledgerTables.pins });
  await Promise.all([runTable.ensure(), pins.ensure()]);
  const batch = new BatchAdapter({
    endpoint: config.batchUrl,
    ...(config.batchKey === undefined ? {} : { accountName: config.batchAccount, accountKey: config.batchKey }),
    onRetry: (error, attempt, delayMs) =>
      logger.warn({ code: error.code, status: error.status, attempt, delayMs }, 'Batch will be asked again'),
  });
  const runs: SweepRunStore = runTable;
  const registry = new Registry();
  const metrics = createMetrics(registry);
  const storage = createSweepStorage(work, ledger, {
    parallelism: config.storageParallelism,
    batches: config.blobBatches,
    onThrottle: (limit) => metrics.throttled(limit),
  });
  return {
    deps: {
      runs,
      pins: createPins(pins),
      batch: createSweepBatch(batch),
      storage,
      ledger: createSweepLedger(ledger, systemClock),
      clock: systemClock,
      logger,
      actor: config.actor,
      crashPoint,
    },
    registry,
    metrics,
    close: () => batch.close(),
    checks: [
      { name: 'policy', run: () => Promise.resolve(loadPolicy(config.policyFile).name) },
      { name: 'work account', run: () => work.check() },
      { name: 'ledger account', run: () => ledger.check() },
      { name: 'run records', run: () => runTable.check() },
      {
        name: 'batch account',
        run: async () => {
          for await (const job of batch.listJobs()) return `answers (first job ${job.id})`;
          return 'answers (no jobs)';
        },
      },
    ],
  };
}
