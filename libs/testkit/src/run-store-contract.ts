import type { z } from 'zod';
import { runRecordSchema, type RunRecord } from '@xva/contracts';

/** The shape of the submit flow's run store, said again: the flow's tests use this kit, so the kit cannot import the flow. */
export interface RunStoreLike {
  insert(record: RunRecord): Promise<{ outcome: 'created'; etag: string } | { outcome: 'exists' }>;
  get(runId: string): Promise<{ readonly record: RunRecord; readonly etag: string } | undefined>;
  swap(record: RunRecord, etag: string): Promise<string | undefined>;
  listOpen(): AsyncIterable<{ readonly record: RunRecord; readonly etag: string }>;
}

/** A record that has just been accepted; `change` makes it another. */
export function sampleRecord(runId: string, change: Partial<z.input<typeof runRecordSchema>> = {}): RunRecord {
  const at = '2026-09-30T18:00:00.000Z';
  return runRecordSchema.parse({
    schemaVersion: '1.0',
    runId,
    eventId: 'e'.repeat(32),
    requestKey: { book: 'RATES', asOf: '2026-09-30', cut: 'EOD', scenario: 'BASE', revision: 1 },
    packageId: 'a'.repeat(64),
    strict: false,
    priority: 0,
    deadline: null,
    traceparent: null,
    submittedBy: 'test',
    state: 'queued',
    outcome: null,
    attempt: 1,
    plan: {
      schemaVersion: '1.0',
      sharedInputHash: 'b'.repeat(64),
      shards: [{ taskId: 'shard-0001', nettingSets: ['NS1'], costSeconds: 1 }],
    },
    attempts: [],
    accepted: [],
    merged: null,
    retries: {},
    reasons: [],
    container: `run-${runId}`,
    createdAt: at,
    updatedAt: at,
    startedAt: null,
    finishedAt: null,
    version: 1,
    ...change,
  });
}

/** What every run store must do: the fake and the one on Table Storage run the same suite. */
export function describeRunStore(name: string, make: () => RunStoreLike | Promise<RunStoreLike>): void {
  describe(`run store: ${name}`, () => {
    it('takes a run once, whoever comes second', async () => {
      const store = await make();
      const record = sampleRecord('xva-20260930-contract-1');
      const outcomes = await Promise.all([1, 2, 3].map(() => store.insert(record)));
      expect(outcomes.map((one) => one.outcome).sort()).toEqual(['created', 'exists', 'exists']);
      expect((await store.get(record.runId))?.record).toEqual(record);
      expect(await store.get('xva-20260930-contract-none')).toBeUndefined();
    });

    it('lets one of two writers of a version win, and gives it the next ETag', async () => {
      const store = await make();
      const record = sampleRecord('xva-20260930-contract-2');
      const inserted = await store.insert(record);
      if (inserted.outcome !== 'created') throw new Error('not created');
      const next = { ...record, version: 2, state: 'submitting' as const };
      const etags = await Promise.all([store.swap(next, inserted.etag), store.swap(next, inserted.etag)]);
      const won = etags.filter((etag) => etag !== undefined);
      expect(won).toHaveLength(1);
      expect((await store.get(record.runId))?.etag).toBe(won[0]);
      expect(await store.swap({ ...next, version: 3 }, inserted.etag)).toBeUndefined();
      expect(await store.swap({ ...next, version: 3 }, won[0] ?? '')).toEqual(expect.any(String));
    });

    it('lists what is open: live runs, and ended ones that may still have a job', async () => {
      const store = await make();
      const finishedAt = '2026-09-30T19:00:00.000Z';
      const records = [
        sampleRecord('xva-20260930-open-1'),
        sampleRecord('xva-20260930-open-2', { state: 'failed' }),
        sampleRecord('xva-20260930-open-3', { state: 'failed', finishedAt }),
        sampleRecord('xva-20260930-open-4', { state: 'done', finishedAt }),
        sampleRecord('xva-20260930-open-5', { state: 'cancelled' }),
        sampleRecord('xva-20260930-open-6', { state: 'swept', finishedAt }),
      ];
      for (const record of records) await store.insert(record);
      const open: string[] = [];
      for await (const { record } of store.listOpen()) if (record.runId.includes('-open-')) open.push(record.runId);
      expect(open.sort()).toEqual(['xva-20260930-open-1', 'xva-20260930-open-2', 'xva-20260930-open-5']);
    });
  });
}
