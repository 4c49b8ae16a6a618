import { BatchAdapter } from '@xva/azure-batch';
import { BlobAccount } from '@xva/azure-storage';
import { RunTable, TableStore } from '@xva/azure-tables';
import { ledgerTables } from '@xva/contracts';
import type { SweepAct, SweepBatch, SweepDeps, SweepReport, SweepRunStore } from '@xva/flow-sweep';
import { systemClock, type Check, type Logger } from '@xva/runtime';
import { Counter, Gauge, Registry } from 'prom-client';
import type { GcConfig } from './config.ts';
import { loadPolicy } from './policy-file.ts';
import { createSweepLedger, createSweepStorage } from './storage-port.ts';

export interface SweepMetrics {
  marked(report: SweepReport): void;
  swept(acts: readonly SweepAct[]): void;
}

export interface Composition {
  readonly deps: SweepDeps;
  readonly runTable: RunTable;
  readonly checks: readonly Check[];
  readonly registry: Registry;
  readonly metrics: SweepMetrics;
}

function createMetrics(registry: Registry): SweepMetrics {
  const registers = [registry];
  const marked = new Gauge({
    name: 'xva_gc_marked_items',
    help: 'items that the last mark would take',
    labelNames: ['kind'],
    registers,
  });
  const bytes = new Gauge({
    name: 'xva_gc_marked_bytes',
    help: 'bytes of the blobs that the last mark would take',
    registers,
  });
  const acts = new Counter({
    name: 'xva_gc_acts_total',
    help: 'sweep acts',
    labelNames: ['kind', 'outcome', 'reason'],
    registers,
  });
  return {
    marked: (report) => {
      marked.reset();
      for (const item of report.items) marked.inc({ kind: item.kind });
      bytes.set(report.totals.bytes);
    },
    swept: (done) => {
      for (const { kind, outcome, reason } of done) acts.inc({ kind, outcome, reason });
    },
  };
}

/** Wires the sweep flow to the adapters; the compiler proves here that they fit. Opens nothing until it is used. */
export async function compose(config: GcConfig, logger: Logger): Promise<Composition> {
  const work = new BlobAccount({ connectionString: config.workConnectionString, accountUrl: config.workAccountUrl });
  const ledger = new BlobAccount({
    connectionString: config.ledgerConnectionString,
    accountUrl: config.ledgerAccountUrl,
  });
  const tables = { connectionString: config.ledgerConnectionString, accountUrl: config.ledgerTableUrl };
  const runTable = new RunTable(tables);
  const audit = new TableStore({ ...tables, table: ledgerTables.audit });
  await Promise.all([runTable.ensure(), audit.ensure()]);
  const batch = new BatchAdapter({
    endpoint: config.batchUrl,
    ...(config.batchKey === undefined ? {} : { accountName: config.batchAccount, accountKey: config.batchKey }),
  });
  const runs: SweepRunStore = runTable;
  const jobs: SweepBatch = batch;
  const registry = new Registry();
  return {
    deps: {
      runs,
      batch: jobs,
      storage: createSweepStorage(work, ledger),
      ledger: createSweepLedger(ledger, audit),
      clock: systemClock,
      logger,
    },
    runTable,
    registry,
    metrics: createMetrics(registry),
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
