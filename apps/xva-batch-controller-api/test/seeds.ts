import { readFileSync } from 'node:fs';
import { BlobAccount } from '@xva/azure-storage';
import { RunTable } from '@xva/azure-tables';
import { resultPaths, sha256Hex, type Published, type ResultSummary, type RunRecord } from '@xva/contracts';
import { sampleRecord } from '@xva/testkit';

const bundleId = '11111111-2222-4333-8444-555555555555';
const tableNames = ['xva_netting_set', 'exposure_profile', 'rejections'] as const;

export function tableBytes(name: (typeof tableNames)[number]): Buffer {
  return readFileSync(new URL(`tables/${name}.parquet`, import.meta.url));
}

function summaryOf(record: RunRecord): ResultSummary {
  const measures = { npv: -1234567.891234567, cva: 1 / 3, dva: 0, fba: 0, fca: 0, fva: 0, colva: null };
  return {
    schemaVersion: '1.0',
    ...{ runId: record.runId, eventId: record.eventId, packageId: record.packageId, requestKey: record.requestKey },
    ...{
      asOf: '2026-09-30',
      currency: 'EUR',
      outcome: 'complete',
      samples: 1,
      seed: 1,
      quantile: '0.95',
      gridDates: 1,
    },
    totals: measures,
    nettingSets: [
      {
        ...measures,
        ...{
          id: 'NS-001',
          counterparty: 'CPTY',
          collateralised: false,
          trades: 1,
          baselEpe: 1,
          baselEepe: 1,
          peakPfe: 1,
        },
      },
    ],
    coverage: {
      nettingSets: { requested: 1, published: 1 },
      trades: { requested: 1, published: 1 },
      grossNotional: { requested: '1', published: '1' },
      absNpv: { published: 1 },
    },
    rejections: [],
    warnings: [],
    engine: { name: 'e', version: '1', runner: '1', python: '3', platform: 'p', cpuModel: 'c', imageDigest: null },
    shards: [],
  };
}

/** Puts a run of any state into the ledger, as another replica may have left it; with a result of three tables if asked. */
export async function seedRun(
  connectionString: string,
  runId: string,
  change: Parameters<typeof sampleRecord>[1] = {},
  withResult = false,
): Promise<RunRecord> {
  const runs = new RunTable({ connectionString });
  await runs.ensure();
  const record = sampleRecord(runId, { eventId: sha256Hex(runId).slice(0, 32), ...change });
  await runs.insert(record);
  if (!withResult) return record;
  const results = new BlobAccount({ connectionString }).container('results');
  await results.ensure();
  const files: (readonly [string, Buffer])[] = [
    ['summary.json', Buffer.from(JSON.stringify(summaryOf(record)))],
    ...tableNames.map((name) => [`tables/${name}.parquet`, tableBytes(name)] as const),
    ['tables/broken.parquet', Buffer.from('PAR1 this is no table PAR1')],
  ];
  const published: Published = {
    schemaVersion: '1.0',
    ...{ runId, eventId: record.eventId, packageId: record.packageId, attempt: 1, outcome: 'complete', bundleId },
    files: files.map(([name, bytes]) => ({
      ...{ name, blob: resultPaths.file(runId, bundleId, name), size: bytes.length, sha256: sha256Hex(bytes) },
    })),
  };
  for (const [name, bytes] of files) await results.putIfAbsent(resultPaths.file(runId, bundleId, name), bytes);
  await results.putIfAbsent(resultPaths.pointer(runId), JSON.stringify(published));
  return record;
}

export const over = { finishedAt: '2026-09-30T19:00:00.000Z', startedAt: '2026-09-30T18:00:00.000Z' } as const;
