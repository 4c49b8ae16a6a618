import { isLive, runContainerOf, runRecordSchema, type RunRecord } from '@xva/contracts';
import { silentLogger, type Clock } from '@xva/runtime';
import type {
  BlobFactsLike,
  SweepBatch,
  SweepBlobs,
  SweepDeps,
  SweepLedger,
  SweepReport,
  SweepRunStore,
  SweepStorage,
} from '../src/index.ts';

/** Called before every call that changes something; a test throws here to kill the sweep between two acts. */
export type Interrupt = (call: string) => void;

export class World {
  now = Date.parse('2026-09-30T12:00:00Z');
  readonly records = new Map<string, { record: RunRecord; etag: string }>();
  readonly pinned = new Set<string>();
  readonly published = new Set<string>();
  readonly containers = new Map<string, Date>();
  readonly jobs = new Map<string, { state: string; since: Date }>();
  readonly blobs = {
    object: new Map<string, BlobFactsLike>(),
    request: new Map<string, BlobFactsLike>(),
    'dead-letter': new Map<string, BlobFactsLike>(),
  };
  readonly packages = new Map<string, readonly string[]>();
  readonly reports = new Map<string, SweepReport>();
  readonly audit: Readonly<Record<string, string | number | null>>[] = [];
  interrupt: Interrupt = () => undefined;
  #etag = 1;

  get date(): Date {
    return new Date(this.now);
  }

  addRun(runId: string, state: RunRecord['state'], packageId: string, finishedAt: string | null = null): RunRecord {
    const at = this.date.toISOString();
    const record: RunRecord = runRecordSchema.parse({
      schemaVersion: '1.0',
      runId,
      eventId: Buffer.from(runId).toString('hex').padStart(32, '0').slice(-32),
      requestKey: { book: 'RATES', asOf: '2026-09-30', cut: 'EOD', scenario: 'BASE', revision: 1 },
      packageId,
      strict: false,
      priority: 0,
      deadline: null,
      traceparent: null,
      submittedBy: 'test',
      state,
      outcome: state === 'done' ? 'complete' : null,
      attempt: 1,
      plan: {
        schemaVersion: '1.0',
        sharedInputHash: 'a'.repeat(64),
        shards: [{ taskId: 'shard-0001', nettingSets: ['NS'], costSeconds: 1 }],
      },
      attempts: [
        { attempt: 1, jobId: `${runId}-a1`, poolId: 'p', tasks: ['shard-0001'], reason: 'first', startedAt: at },
      ],
      accepted: [],
      merged: null,
      retries: {},
      reasons: [],
      container: runContainerOf(runId),
      createdAt: at,
      updatedAt: at,
      startedAt: at,
      finishedAt,
      version: 1,
    });
    this.records.set(runId, { record, etag: String(this.#etag++) });
    this.containers.set(runContainerOf(runId), this.date);
    this.jobs.set(`${runId}-a1`, { state: isLive(state) ? 'active' : 'completed', since: this.date });
    return record;
  }

  setState(runId: string, state: RunRecord['state']): void {
    const found = this.records.get(runId);
    if (found === undefined) return;
    const over = !isLive(state);
    const record = {
      ...found.record,
      state,
      finishedAt: over ? this.date.toISOString() : null,
      version: found.record.version + 1,
    };
    this.records.set(runId, { record, etag: String(this.#etag++) });
  }

  /** Writes a blob as an uploader does: also over the same name, which makes it young and changes its ETag. */
  putBlob(kind: 'object' | 'request' | 'dead-letter', name: string, size = 10): void {
    this.blobs[kind].set(name, { name, size, etag: String(this.#etag++), lastModified: this.date });
  }

  deps(): SweepDeps {
    const clock: Clock = { now: () => this.date, sleep: () => Promise.resolve() };
    return {
      runs: this.#runs(),
      storage: this.#storage(),
      batch: this.#batch(),
      ledger: this.#ledger(),
      clock,
      logger: silentLogger,
    };
  }

  #runs(): SweepRunStore {
    const { records, pinned } = this;
    return {
      list: async function* () {
        yield* [...records.values()];
      },
      get: async (runId) => records.get(runId),
      replace: async (record, etag) => {
        this.interrupt('replace');
        if (records.get(record.runId)?.etag !== etag) return false;
        records.set(record.runId, { record, etag: String(this.#etag++) });
        return true;
      },
      isPinned: async (runId) => pinned.has(runId),
    };
  }

  #storage(): SweepStorage {
    const { blobs, containers, packages, published } = this;
    const classOf = (kind: keyof World['blobs']): SweepBlobs => ({
      list: async function* () {
        yield* [...blobs[kind].values()];
      },
      head: async (name) => blobs[kind].get(name),
      delete: async (name, etag) => {
        this.interrupt(`delete-${kind}`);
        const found = blobs[kind].get(name);
        if (found === undefined) return 'absent';
        if (found.etag !== etag) return 'changed';
        blobs[kind].delete(name);
        return 'deleted';
      },
    });
    return {
      listRunContainers: async function* () {
        for (const [name, lastModified] of [...containers]) yield { name, lastModified };
      },
      headRunContainer: async (name) => {
        const lastModified = containers.get(name);
        return lastModified === undefined ? undefined : { lastModified };
      },
      deleteRunContainer: async (name) => {
        this.interrupt('delete-container');
        return containers.delete(name);
      },
      blobs: { object: classOf('object'), request: classOf('request'), 'dead-letter': classOf('dead-letter') },
      packageObjects: async (packageId) => packages.get(packageId),
      hasPublishedResult: async (runId) => published.has(runId),
    };
  }

  #batch(): SweepBatch {
    const { jobs } = this;
    return {
      listJobs: async function* () {
        for (const [id, facts] of [...jobs]) yield { id, ...facts };
      },
      getJob: async (jobId) => jobs.get(jobId),
      deleteJob: async (jobId) => {
        this.interrupt('delete-job');
        return jobs.delete(jobId) ? 'deleted' : 'absent';
      },
    };
  }

  #ledger(): SweepLedger {
    return {
      saveReport: async (report) => void this.reports.set(report.reportId, report),
      loadReport: async (reportId) => this.reports.get(reportId),
      latestReportId: async () => [...this.reports.keys()].at(-1),
      audit: async (entry) => {
        this.interrupt('audit');
        this.audit.push(entry);
      },
    };
  }
}
