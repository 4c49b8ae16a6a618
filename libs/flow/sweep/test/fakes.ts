import { isLive, runContainerOf, type RunRecord } from '@xva/contracts';
import { silentLogger, type Clock } from '@xva/runtime';
import { sampleRecord } from '@xva/testkit';
import type {
  AuditLine,
  BlobFactsLike,
  BlobPlace,
  MarkedItem,
  PinKind,
  SweepBatch,
  SweepDeps,
  SweepLedger,
  SweepPins,
  SweepProgress,
  SweepReport,
  SweepRunStore,
  SweepStorage,
  SweepTask,
} from '../src/index.ts';

/** Called before every call that changes something; a test throws here to kill the sweep between two acts. */
export type Interrupt = (call: string) => void;

/** Dead is dead: thrown by an interrupt, it is no failure of an act. */
export class CrashedError extends Error {
  override readonly name = 'CrashedError';
}

type Act = (call: string) => Promise<void>;

export interface FakeBlob extends BlobFactsLike {
  readonly text: string;
}

const places = ['objects', 'requests', 'deadletters', 'results', 'quarantine', 'logs'];

export class World {
  now = Date.parse('2026-09-30T12:00:00Z');
  readonly records = new Map<string, { record: RunRecord; etag: string }>();
  readonly pinned = new Set<string>();
  readonly published = new Set<string>();
  readonly containers = new Map<string, { since: Date; metadata: Record<string, string>; held: boolean }>();
  /** `container/name`, both accounts in one. */
  readonly blobs = new Map<string, FakeBlob>();
  readonly softDeleted = new Map<string, FakeBlob>();
  softDeleteSeconds = 0;
  readonly jobs = new Map<
    string,
    {
      state: string;
      since: Date;
      poolId: string;
      metadata: Record<string, string>;
      terminateReason: string | undefined;
    }
  >();
  readonly tasks = new Map<string, SweepTask>();
  readonly progress = new Map<string, Date>();
  readonly pools = new Map<
    string,
    { state: string; allocationState: string; nodes: Map<string, { state: string; since: Date | undefined }> }
  >();
  readonly schedules = new Map<string, { state: string; since: Date }>();
  readonly preparations = new Map<string, { nodeId: string; since: Date }[]>();
  readonly packages = new Map<string, readonly string[]>();
  readonly reports = new Map<string, SweepReport>();
  readonly pages = new Map<string, readonly MarkedItem[]>();
  readonly documents = new Map<string, string>();
  readonly sweeps = new Map<string, SweepProgress>();
  readonly audit: AuditLine[] = [];
  leased = false;
  interrupt: Interrupt = () => undefined;
  point: ((name: string) => void) | undefined;
  #etag = 1;

  get date(): Date {
    return new Date(this.now);
  }

  addRun(
    runId: string,
    state: RunRecord['state'],
    packageId: string,
    finishedAt: string | null = null,
    more: Partial<RunRecord> = {},
  ): RunRecord {
    const at = this.date.toISOString();
    const record = sampleRecord(runId, {
      eventId: Buffer.from(runId).toString('hex').padStart(32, '0').slice(-32),
      packageId,
      state,
      outcome: state === 'done' ? 'complete' : null,
      attempts: [
        { attempt: 1, jobId: `${runId}-a1`, poolId: 'p', tasks: ['shard-0001'], reason: 'first', startedAt: at },
      ],
      createdAt: at,
      updatedAt: at,
      startedAt: at,
      finishedAt,
      ...more,
    });
    this.records.set(runId, { record, etag: String(this.#etag++) });
    this.addContainer(runContainerOf(runId));
    this.put(`run-${runId}/a1/shard-0001/task.json`, `task of ${runId}`);
    this.addJob(`${runId}-a1`, isLive(state) ? 'active' : 'completed');
    return record;
  }

  addContainer(name: string, metadata: Record<string, string> = {}): void {
    this.containers.set(name, { since: this.date, metadata, held: false });
  }

  addJob(
    id: string,
    state: string,
    more: { poolId?: string; metadata?: Record<string, string>; terminateReason?: string } = {},
  ): void {
    this.jobs.set(id, { state, since: this.date, poolId: 'p', metadata: {}, terminateReason: undefined, ...more });
  }

  addTask(jobId: string, id: string, more: Partial<SweepTask> = {}): void {
    this.tasks.set(`${jobId}/${id}`, {
      id,
      state: 'active',
      since: this.date,
      startTime: undefined,
      endTime: undefined,
      exitCode: undefined,
      failed: false,
      mayBeSatisfied: false,
      nodeId: undefined,
      poolId: 'p',
      dependsOn: [],
      dependsOnRanges: [],
      ...more,
    });
  }

  setState(runId: string, state: RunRecord['state'], finished = !isLive(state)): void {
    const found = this.records.get(runId);
    if (found === undefined) return;
    const finishedAt = finished ? this.date.toISOString() : null;
    const outcome = state === 'done' ? ('complete' as const) : found.record.outcome;
    const record = { ...found.record, state, outcome, finishedAt, version: found.record.version + 1 };
    this.records.set(runId, { record: { ...record, updatedAt: this.date.toISOString() }, etag: String(this.#etag++) });
  }

  /** Writes a blob as an uploader does: also over the same name, which makes it young and changes its ETag. */
  put(path: string, text = 'x', more: Partial<FakeBlob> = {}): void {
    const name = path.slice(path.indexOf('/') + 1);
    this.blobs.set(path, {
      name,
      text,
      size: text.length,
      etag: String(this.#etag++),
      lastModified: this.date,
      metadata: {},
      ...more,
    });
  }

  names(container: string): string[] {
    return [...this.blobs.keys()]
      .filter((path) => path.startsWith(`${container}/`))
      .map((path) => path.slice(container.length + 1))
      .sort();
  }

  /** `turn`: called before each act; it may wait for others, or end the process by throwing. */
  deps(actor = 'test', turn: () => Promise<void> = () => Promise.resolve()): SweepDeps {
    const clock: Clock = { now: () => this.date, sleep: turn };
    const act = async (call: string): Promise<void> => {
      await turn();
      this.interrupt(call);
    };
    return {
      runs: this.#runs(act),
      pins: this.#pins(act),
      storage: this.#storage(act),
      batch: this.#batch(act),
      ledger: this.#ledger(act),
      clock,
      logger: silentLogger,
      actor,
      crashPoint: (name) => this.point?.(name),
    };
  }

  #runs(act: Act): SweepRunStore {
    const { records } = this;
    return {
      list: async function* (since?: Date) {
        for (const one of [...records.values()])
          if (since === undefined || new Date(one.record.updatedAt) >= since) yield one;
      },
      get: async (runId) => records.get(runId),
      replace: async (record, etag) => {
        await act('replace');
        if (records.get(record.runId)?.etag !== etag) return false;
        records.set(record.runId, { record, etag: String(this.#etag++) });
        return true;
      },
    };
  }

  #pins(act: Act): SweepPins {
    const { pinned } = this;
    return {
      list: async function* () {
        for (const text of [...pinned])
          yield { kind: text.split(' ')[0] as PinKind, id: text.split(' ').slice(1).join(' ') };
      },
      has: async (kind, id) => pinned.has(`${kind} ${id}`),
      put: async (kind, id) => {
        await act('pin');
        pinned.add(`${kind} ${id}`);
      },
      remove: async (kind, id) => void pinned.delete(`${kind} ${id}`),
    };
  }

  #storage(act: Act): SweepStorage {
    const { blobs, containers, packages, published, softDeleted } = this;
    const path = (place: BlobPlace, name: string): string => `${place.container}/${name}`;
    const there = (place: BlobPlace): boolean =>
      places.includes(place.container) || !place.container.startsWith('run-') || containers.has(place.container);
    return {
      listRunContainers: async function* () {
        for (const [name, { since, metadata }] of [...containers]) yield { name, lastModified: since, metadata };
      },
      headRunContainer: async (name) => {
        const found = containers.get(name);
        return found === undefined ? undefined : { name, lastModified: found.since, metadata: found.metadata };
      },
      holdRunContainer: async (name) => {
        const found = containers.get(name);
        if (found === undefined) return 'absent';
        if (found.held) return 'leased';
        containers.set(name, { ...found, held: true });
        return {
          delete: async () => {
            await act('delete-container');
            if (!containers.delete(name)) return 'absent';
            for (const one of [...blobs.keys()]) if (one.startsWith(`${name}/`)) blobs.delete(one);
            return 'deleted';
          },
          release: async () => {
            const now = containers.get(name);
            if (now !== undefined) containers.set(name, { ...now, held: false });
          },
        };
      },
      makeRunContainer: async (name, metadata) => {
        await act('make-container');
        if (!containers.has(name)) this.addContainer(name, { ...metadata });
        return true;
      },
      list: async function* (place, { prefix = '' }) {
        const start = path(place, prefix);
        const found = [...blobs].filter(([name]) => name.startsWith(start)).map(([, blob]) => blob);
        for (let at = 0; at < found.length; at += 7) yield found.slice(at, at + 7);
      },
      head: async (place, name) => blobs.get(path(place, name)),
      touch: async (place, name) => {
        await act('touch');
        const found = blobs.get(path(place, name));
        if (found === undefined) return 'gone';
        if (found.hold !== undefined) return found.hold === 'leased' ? 'leased' : 'held';
        this.put(path(place, name), found.text, { metadata: found.metadata });
        return 'touched';
      },
      read: async (place, name) => blobs.get(path(place, name))?.text,
      delete: async (place, versions) => {
        const outcomes = [];
        for (const { name, etag } of versions) {
          await act('delete-blob');
          const found = blobs.get(path(place, name));
          if (found === undefined) outcomes.push({ outcome: 'absent', detail: '' } as const);
          else if (found.etag !== etag) outcomes.push({ outcome: 'changed', detail: '' } as const);
          else if (found.hold !== undefined) outcomes.push({ outcome: 'held', detail: found.hold } as const);
          else {
            blobs.delete(path(place, name));
            if (this.softDeleteSeconds > 0) softDeleted.set(path(place, name), found);
            outcomes.push({ outcome: 'deleted', detail: '' } as const);
          }
        }
        return outcomes;
      },
      copy: async (from, { name, etag }, to, toName, metadata) => {
        await act('copy');
        const found = blobs.get(path(from, name));
        if (found === undefined) return 'absent';
        if (found.etag !== etag) return 'changed';
        if (!there(to)) throw new Error(`container ${to.container} is not there`);
        if (!blobs.has(path(to, toName))) this.put(path(to, toName), found.text, { metadata });
        return 'copied';
      },
      keepsDeleted: async (_place, seconds) => this.softDeleteSeconds >= seconds,
      undelete: async (place, name) => {
        const found = softDeleted.get(path(place, name));
        if (found === undefined) return false;
        softDeleted.delete(path(place, name));
        blobs.set(path(place, name), found);
        return true;
      },
      packageObjects: async (packageId) => {
        const names = packages.get(packageId);
        return names !== undefined && blobs.has(`objects/${packageId}`) ? names : undefined;
      },
      hasPublishedResult: async (runId) => published.has(runId),
    };
  }

  #batch(act: Act): SweepBatch {
    const { jobs, tasks, pools, schedules, preparations, progress } = this;
    const of = (jobId: string): SweepTask[] =>
      [...tasks].filter(([id]) => id.startsWith(`${jobId}/`)).map(([, task]) => task);
    return {
      listJobs: async function* () {
        for (const [id, facts] of [...jobs]) yield { id, ...facts };
      },
      getJob: async (id) => {
        const found = jobs.get(id);
        return found === undefined ? undefined : { id, ...found };
      },
      taskCounts: async (jobId) => {
        const count = (...states: string[]): number => of(jobId).filter(({ state }) => states.includes(state)).length;
        return { active: count('active'), running: count('running', 'preparing'), completed: count('completed') };
      },
      listTasks: async function* (jobId, states) {
        for (const task of of(jobId)) if (states === undefined || states.includes(task.state)) yield task;
      },
      getTask: async (jobId, taskId) => tasks.get(`${jobId}/${taskId}`),
      lastProgress: async (jobId, taskId) => progress.get(`${jobId}/${taskId}`),
      listNodes: async (poolId) => pools.get(poolId)?.nodes,
      listPools: async function* () {
        for (const [id, pool] of pools)
          yield { id, state: pool.state, allocationState: pool.allocationState, nodes: pool.nodes.size };
      },
      listSchedules: async () => [...schedules].map(([id, facts]) => ({ id, ...facts })),
      preparationLeftovers: async (jobId) => preparations.get(jobId) ?? [],
      deleteJob: async (jobId) => {
        await act('delete-job');
        for (const task of of(jobId)) tasks.delete(`${jobId}/${task.id}`);
        return jobs.delete(jobId) ? 'deleted' : 'absent';
      },
      terminateJob: async (jobId) => {
        await act('terminate-job');
        const found = jobs.get(jobId);
        if (found === undefined) return 'absent';
        jobs.set(jobId, { ...found, state: 'completed', since: this.date });
        return 'asked';
      },
      terminateTask: async (jobId, taskId) => {
        await act('terminate-task');
        const found = tasks.get(`${jobId}/${taskId}`);
        if (found === undefined) return 'absent';
        tasks.set(`${jobId}/${taskId}`, { ...found, state: 'completed', failed: true });
        return 'terminated';
      },
      reactivateTask: async (jobId, taskId) => {
        await act('reactivate-task');
        const found = tasks.get(`${jobId}/${taskId}`);
        if (found === undefined) return 'absent';
        tasks.set(`${jobId}/${taskId}`, { ...found, state: 'active', failed: false, nodeId: undefined });
        return 'reactivated';
      },
      deleteTask: async (jobId, taskId) => {
        await act('delete-task');
        return tasks.delete(`${jobId}/${taskId}`) ? 'deleted' : 'absent';
      },
      deleteSchedule: async (id) => {
        await act('delete-schedule');
        return schedules.delete(id) ? 'deleted' : 'absent';
      },
      terminateSchedule: async (id) => (schedules.has(id) ? 'terminated' : 'absent'),
      emptyPool: async (id) => {
        await act('empty-pool');
        const pool = pools.get(id);
        if (pool === undefined) return 'absent';
        pool.nodes.clear();
        return 'asked';
      },
    };
  }

  #ledger(act: Act): SweepLedger {
    return {
      savePage: async (reportId, page, items) => void this.pages.set(`${reportId}/${page}`, items),
      loadPage: async (reportId, page) => this.pages.get(`${reportId}/${page}`) ?? [],
      saveReport: async (report) => {
        await act('save-report');
        this.reports.set(report.reportId, report);
      },
      saveDocument: async (reportId, format, text) => {
        let all = '';
        for await (const part of text) all += part;
        this.documents.set(`${reportId}.${format}`, all);
      },
      loadDocument: (reportId, format) => {
        const { documents } = this;
        return (async function* () {
          yield documents.get(`${reportId}.${format}`) ?? '';
        })();
      },
      loadReport: async (reportId) => this.reports.get(reportId),
      latestReportId: async () => [...this.reports.keys()].at(-1),
      saveProgress: async (reportId, progress) => {
        await act('save-progress');
        this.sweeps.set(reportId, progress);
      },
      loadProgress: async (reportId) => this.sweeps.get(reportId),
      audit: async (_reportId, _page, lines) => {
        await act('audit');
        this.audit.push(...lines);
      },
      lease: async () => {
        if (this.leased) return undefined;
        return { stillHeld: async () => true, release: async () => undefined };
      },
    };
  }
}

/** All items of a report that the world has stored. */
export function itemsOf(world: World, report: SweepReport): readonly MarkedItem[] {
  return Array.from(
    { length: report.pages },
    (_unused, page) => world.pages.get(`${report.reportId}/${page}`) ?? [],
  ).flat();
}
