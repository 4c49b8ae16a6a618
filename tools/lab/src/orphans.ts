import { BatchAdapter } from '@xva/azure-batch';
import { RunTable } from '@xva/azure-tables';
import { runContainerOf, runRecordSchema, sha256Hex, type RunRecord } from '@xva/contracts';
import { batchAccountName, poolId, storageConnectionString } from './layout.ts';
import type { Session } from './session.ts';

/** What the lab left lying about for the collector, as `<kind> <id>`. */
export type Seeded = readonly string[];

const expired = 'xva-20060102-old-bbbbbbbbbbbbbb';
const lost = 'xva-20060102-lost-cccccccccccccc';
const long = '2006-01-02T00:00:00.000Z';

function expiredRecord(packageId: string): RunRecord {
  return runRecordSchema.parse({
    schemaVersion: '1.0',
    runId: expired,
    eventId: sha256Hex(expired).slice(0, 32),
    requestKey: { book: 'OLD', asOf: '2006-01-02', cut: 'EOD', scenario: 'BASE', revision: 1 },
    packageId,
    strict: false,
    priority: 0,
    deadline: null,
    traceparent: null,
    submittedBy: 'lab',
    state: 'cancelled',
    outcome: 'cancelled',
    attempt: 1,
    plan: {
      schemaVersion: '1.0',
      sharedInputHash: sha256Hex('old'),
      shards: [{ taskId: 'shard-0001', nettingSets: ['NS'], costSeconds: 1 }],
    },
    attempts: [{ attempt: 1, jobId: `${expired}-a1`, poolId, tasks: ['shard-0001'], reason: 'first', startedAt: long }],
    accepted: [],
    merged: null,
    retries: {},
    reasons: [],
    container: runContainerOf(expired),
    createdAt: long,
    updatedAt: long,
    startedAt: long,
    finishedAt: long,
    version: 1,
  });
}

/**
 * Leaves behind what real life leaves: a run long over, a container and a job that no record knows, an object and a
 * request that nothing needs, an old dead letter; and a stranger's blob, which must stay.
 */
export async function seedOrphans(session: Session, packageId: string): Promise<Seeded> {
  const { work, ledger, layout } = session;
  const runs = new RunTable({ connectionString: storageConnectionString(layout, 'ledger') });
  await runs.ensure();
  const endpoint = `http://127.0.0.1:${layout.ports.batch}`;
  const batch = new BatchAdapter({ endpoint, accountName: batchAccountName, accountKey: layout.secrets.batchKey });
  const objectName = sha256Hex('nobody needs this');
  const request = `${sha256Hex('never ran').slice(0, 32)}.json`;
  await runs.insert(expiredRecord(packageId));
  for (const runId of [expired, lost]) {
    await work.container(runContainerOf(runId)).ensure();
    await work.container(runContainerOf(runId)).putIfAbsent('a1/shard-0001/task.json', '{}');
    await batch.addJob({ id: `${runId}-a1`, poolId, priority: 0, metadata: { xva_run_id: runId } });
    await batch.terminateJob(`${runId}-a1`, 'seeded by the lab');
  }
  await work.container('objects').putIfAbsent(objectName, 'nobody needs this');
  await work.container('objects').putIfAbsent('not-ours.txt', 'a stranger’s file');
  await work.container('requests').putIfAbsent(request, '{}');
  await ledger.container('deadletters').putIfAbsent('lab-old-letter.json', '{}');
  return [
    `run ${expired}`,
    `run-container ${runContainerOf(lost)}`,
    `job ${lost}-a1`,
    `object ${objectName}`,
    `request ${request}`,
    'dead-letter lab-old-letter.json',
  ];
}
