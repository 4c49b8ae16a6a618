import { BlobAccount } from '@xva/azure-storage';
import {
  mark,
  sweep,
  sweepPolicySchema,
  type SweepBatch,
  type SweepDeps,
  type SweepPolicy,
  type SweepRunStore,
} from '@xva/flow-sweep';
import { silentLogger, systemClock } from '@xva/runtime';
import { createSweepLedger } from '../src/ledger-port.ts';
import { createSweepStorage } from '../src/storage-port.ts';

async function* nothing(): AsyncGenerator<never> {
  /* no records, pins, jobs */
}

/** The collector over one Storage account that has only what the benchmark put there. */
export function storageDeps(connectionString: string, batch?: SweepBatch): SweepDeps {
  const account = new BlobAccount({ connectionString });
  const runs: SweepRunStore = {
    list: nothing,
    get: () => Promise.resolve(undefined),
    replace: () => Promise.resolve(false),
  };
  return {
    runs,
    pins: {
      list: nothing,
      has: () => Promise.resolve(false),
      put: () => Promise.resolve(),
      remove: () => Promise.resolve(),
    },
    batch: batch ?? ({ listJobs: nothing, listPools: nothing } as unknown as SweepBatch),
    storage: createSweepStorage(account, account, { parallelism: 16, batches: true }),
    ledger: createSweepLedger(account, systemClock),
    clock: systemClock,
    logger: silentLogger,
    actor: 'bench',
  };
}

export function benchPolicy(
  quarantine: 'copy' | 'off',
  rules: object = {},
  blobs: readonly object[] = [],
): SweepPolicy {
  return sweepPolicySchema.parse({
    schemaVersion: '1.0',
    name: 'bench',
    minimumAgeSeconds: 0,
    settleSeconds: 0,
    ceiling: { items: Number.MAX_SAFE_INTEGER, bytes: Number.MAX_SAFE_INTEGER, percent: 100 },
    quarantine: { mode: quarantine },
    rules,
    blobs,
  });
}

export const scratchRule = {
  name: 'scratch',
  account: 'work',
  container: 'uploads',
  prefix: 'scratch/',
  retainSeconds: 0,
} as const;

export interface CycleTook {
  readonly looked: number;
  readonly marked: number;
  readonly markMs: number;
  readonly sweepMs: number;
  readonly swept: number;
}

/** One mark and its sweep, timed apart. */
export async function timedCycle(deps: SweepDeps, policy: SweepPolicy): Promise<CycleTook> {
  const started = performance.now();
  const report = await mark(deps, policy, `sweep-bench-${Date.now()}`);
  const marked = performance.now();
  const outcome = await sweep(deps, policy, report, { signal: new AbortController().signal });
  if (outcome.outcome !== 'done') throw new Error(`the sweep was ${outcome.outcome}: ${outcome.reason}`);
  const swept = Object.entries(outcome.counts).reduce(
    (sum, [name, count]) => sum + (name.startsWith('swept ') ? count : 0),
    0,
  );
  return {
    looked: report.looked,
    marked: report.totals.items,
    markMs: marked - started,
    sweepMs: performance.now() - marked,
    swept,
  };
}
