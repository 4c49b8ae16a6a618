import type { RunRecord } from '@xva/contracts';
import type { Clock, Logger } from '@xva/runtime';
import type { BlobPlace, MarkedItem, SweepReport } from './items.ts';

/** The run records, with compare-and-swap. */
export interface SweepRunStore {
  /** All of them, or those changed since. */
  list(changedSince?: Date): AsyncIterable<{ record: RunRecord; etag: string }>;
  get(runId: string): Promise<{ record: RunRecord; etag: string } | undefined>;
  /** False when the record changed since `etag`. */
  replace(record: RunRecord, etag: string): Promise<boolean>;
}

export type PinKind = 'run' | 'blob' | 'job';

/** What somebody wants kept, whatever the policy says. A blob's id is `container/name`. */
export interface SweepPins {
  list(): AsyncIterable<{ kind: PinKind; id: string }>;
  has(kind: PinKind, id: string): Promise<boolean>;
  put(kind: PinKind, id: string, by: string, reason: string): Promise<void>;
  remove(kind: PinKind, id: string): Promise<void>;
}

export interface BlobFactsLike {
  readonly name: string;
  readonly size: number;
  readonly etag: string;
  readonly lastModified: Date;
  readonly metadata: Readonly<Record<string, string>>;
  readonly tags?: Readonly<Record<string, string>>;
  readonly lastAccessed?: Date | undefined;
  readonly hold?: string | undefined;
}

export interface BlobListing {
  readonly prefix?: string;
  /** How a long listing may be parted: by the next character of hashes, by folders, or not. */
  readonly split?: 'hex' | 'folders' | 'none';
  readonly tags?: boolean;
}

/** `held` = lease, legal hold or immutability, as Storage itself said at that moment; `detail` is its code. */
export interface BlobDeletionLike {
  readonly outcome: 'deleted' | 'absent' | 'changed' | 'held' | 'failed';
  readonly detail: string;
}

export interface ContainerFacts {
  readonly name: string;
  readonly lastModified: Date;
  readonly metadata: Readonly<Record<string, string>>;
}

/** A held lease on a run's container: only its holder may delete it. */
export interface ContainerHold {
  /** `held` = legal hold or immutability keeps it. */
  delete(): Promise<'deleted' | 'absent' | 'held'>;
  release(): Promise<void>;
}

/** Storage as the collector needs it. Listings come in pages; nothing holds more than the pages under way. */
export interface SweepStorage {
  listRunContainers(): AsyncIterable<ContainerFacts>;
  headRunContainer(name: string): Promise<ContainerFacts | undefined>;
  /** `absent` when there is none, `leased` when somebody else holds it. */
  holdRunContainer(name: string): Promise<ContainerHold | 'absent' | 'leased'>;
  /** The container, empty, with its labels; false while the name is still being deleted. */
  makeRunContainer(name: string, metadata: Readonly<Record<string, string>>): Promise<boolean>;
  list(place: BlobPlace, options: BlobListing): AsyncIterable<readonly BlobFactsLike[]>;
  head(place: BlobPlace, name: string): Promise<BlobFactsLike | undefined>;
  /**
   * Makes a blob young: its version is another from now on, so that a delete which was decided before does not match (ADR 7).
   * `held` = legal hold or immutability keeps it as it is; `leased` = so does a lease, which may end before a sweep does.
   */
  touch(place: BlobPlace, name: string): Promise<'touched' | 'gone' | 'held' | 'leased'>;
  /** A small blob's text. */
  read(place: BlobPlace, name: string): Promise<string | undefined>;
  /** Deletes exactly these versions, as many with one request as Storage takes; outcomes in the order given. */
  delete(place: BlobPlace, blobs: readonly { name: string; etag: string }[]): Promise<readonly BlobDeletionLike[]>;
  /** Copies a version to another place, unless something of that name is there; `metadata` is what the copy carries. */
  copy(
    from: BlobPlace,
    blob: { name: string; etag: string; size: number },
    to: BlobPlace,
    name: string,
    metadata: Readonly<Record<string, string>>,
  ): Promise<'copied' | 'absent' | 'changed'>;
  /** Whether the account of that place keeps deleted blobs for at least so long by itself. */
  keepsDeleted(place: BlobPlace, seconds: number): Promise<boolean>;
  /** Brings back what the account kept; false when it has nothing of that name. */
  undelete(place: BlobPlace, name: string): Promise<boolean>;
  /** Names of the objects that a package consists of, its manifest included; undefined when the manifest is gone. */
  packageObjects(packageId: string): Promise<readonly string[] | undefined>;
  hasPublishedResult(runId: string): Promise<boolean>;
}

export interface SweepJob {
  readonly id: string;
  readonly state: string;
  /** When the present state began. */
  readonly since: Date;
  readonly poolId: string;
  readonly metadata: Readonly<Record<string, string>>;
  readonly terminateReason: string | undefined;
}

export interface SweepTask {
  readonly id: string;
  readonly state: 'active' | 'preparing' | 'running' | 'completed';
  readonly since: Date;
  readonly startTime: Date | undefined;
  readonly endTime: Date | undefined;
  readonly exitCode: number | undefined;
  readonly failed: boolean;
  /** Its failure lets dependents go on (exit conditions), or may: nobody is called blocked by it. */
  readonly mayBeSatisfied: boolean;
  readonly nodeId: string | undefined;
  readonly poolId: string | undefined;
  readonly dependsOn: readonly string[];
  /** Ids that are numbers, from first to last. */
  readonly dependsOnRanges: readonly { readonly start: number; readonly end: number }[];
}

export interface SweepPool {
  readonly id: string;
  readonly state: string;
  readonly allocationState: string;
  readonly nodes: number;
}

/** Batch as the collector needs it. `absent` and `ended` are answers, not errors; asking twice is harmless. */
export interface SweepBatch {
  listJobs(): AsyncIterable<SweepJob>;
  getJob(jobId: string): Promise<SweepJob | undefined>;
  taskCounts(jobId: string): Promise<{ active: number; running: number; completed: number } | undefined>;
  listTasks(jobId: string, states?: readonly SweepTask['state'][]): AsyncIterable<SweepTask>;
  getTask(jobId: string, taskId: string): Promise<SweepTask | undefined>;
  /** When the task last told of its progress; undefined when nothing can be read. */
  lastProgress(jobId: string, taskId: string): Promise<Date | undefined>;
  /** Node ids with their states and since when; undefined when there is no such pool. */
  listNodes(poolId: string): Promise<ReadonlyMap<string, { state: string; since: Date | undefined }> | undefined>;
  listPools(): AsyncIterable<SweepPool>;
  /** Undefined where the service does not offer schedules. */
  listSchedules(): Promise<readonly { id: string; state: string; since: Date }[] | undefined>;
  /** Nodes on which the job's preparation still runs, or whose release was not done; undefined where not offered. */
  preparationLeftovers(jobId: string): Promise<readonly { nodeId: string; since: Date }[] | undefined>;
  deleteJob(jobId: string): Promise<'deleted' | 'absent'>;
  terminateJob(jobId: string, reason: string): Promise<'asked' | 'ended' | 'absent'>;
  terminateTask(jobId: string, taskId: string): Promise<'terminated' | 'ended' | 'absent'>;
  reactivateTask(jobId: string, taskId: string): Promise<'reactivated' | 'not-failed' | 'job-closed' | 'absent'>;
  deleteTask(jobId: string, taskId: string): Promise<'deleted' | 'absent'>;
  deleteSchedule(id: string): Promise<'deleted' | 'absent'>;
  terminateSchedule(id: string): Promise<'terminated' | 'absent'>;
  /** To no nodes; `changed` when it is being resized. */
  emptyPool(poolId: string): Promise<'asked' | 'absent' | 'changed'>;
}

export interface SweepProgress {
  /** Pages that are done. */
  readonly pages: number;
  readonly counts: Readonly<Record<string, number>>;
}

export interface SweepLease {
  /** False when it is no longer ours: stop at once. */
  stillHeld(): Promise<boolean>;
  release(): Promise<void>;
}

export type AuditLine = Readonly<Record<string, string | number | null>>;

/** Where reports and what became of them are kept. */
export interface SweepLedger {
  savePage(reportId: string, page: number, items: readonly MarkedItem[]): Promise<void>;
  loadPage(reportId: string, page: number): Promise<readonly MarkedItem[]>;
  /** The report counts only once this is written: a mark that was killed left none. */
  saveReport(report: SweepReport): Promise<void>;
  /** The report as people read it: `csv` or `html`. */
  saveDocument(reportId: string, format: 'csv' | 'html', text: AsyncIterable<string>): Promise<void>;
  /** Its parts, one after the other; nothing when there is none. */
  loadDocument(reportId: string, format: 'csv' | 'html'): AsyncIterable<string>;
  loadReport(reportId: string): Promise<SweepReport | undefined>;
  latestReportId(): Promise<string | undefined>;
  saveProgress(reportId: string, progress: SweepProgress): Promise<void>;
  loadProgress(reportId: string): Promise<SweepProgress | undefined>;
  /** Lines kept for ever: who, what, why, outcome. */
  audit(reportId: string, page: number, lines: readonly AuditLine[]): Promise<void>;
  /** The right to sweep, which one collector has at a time; undefined when another has it. */
  lease(): Promise<SweepLease | undefined>;
}

export interface SweepDeps {
  readonly runs: SweepRunStore;
  readonly pins: SweepPins;
  readonly storage: SweepStorage;
  readonly batch: SweepBatch;
  readonly ledger: SweepLedger;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Who sweeps, for the audit. */
  readonly actor: string;
  /** Called between acts, by name; a test ends the process there. */
  readonly crashPoint?: ((name: string) => void) | undefined;
}
