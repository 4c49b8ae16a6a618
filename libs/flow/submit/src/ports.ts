import type { Readable } from 'node:stream';
import type { CostModel, RunRecord } from '@xva/contracts';

export interface StoredRun {
  readonly record: RunRecord;
  /** Changes with every write; what `swap` compares. */
  readonly etag: string;
}

/** The run records, with compare-and-swap. */
export interface RunStore {
  /** Writes the record unless the run has one: of two writers one wins. */
  insert(record: RunRecord): Promise<{ outcome: 'created'; etag: string } | { outcome: 'exists' }>;
  get(runId: string): Promise<StoredRun | undefined>;
  /** The new ETag, or undefined when the record is no longer the version `etag`. */
  swap(record: RunRecord, etag: string): Promise<string | undefined>;
  /**
   * Records of runs that are live, or that ended but may still have something open in Batch. One that cannot be read is
   * left out and told of elsewhere: it must not hide the others.
   *
   * @param skip runs that need not be read
   */
  listOpen(skip?: (runId: string) => boolean): AsyncIterable<StoredRun>;
}

export interface JobSpec {
  readonly id: string;
  readonly poolId: string;
  readonly displayName?: string | undefined;
  readonly priority: number;
  readonly metadata: Readonly<Record<string, string>>;
  /** ISO 8601 duration from the job's creation, after which Batch ends it: the kill switch. */
  readonly maxWallClockTime?: string | undefined;
}

export interface TaskSpec {
  readonly id: string;
  readonly commandLine: string;
  readonly image?: string | undefined;
  readonly resourceFiles: readonly { readonly httpUrl: string; readonly filePath: string }[];
  readonly outputFiles: readonly {
    readonly filePattern: string;
    readonly containerUrl: string;
    /** Prefix for a pattern with a wildcard, else the blob's name. */
    readonly path: string;
    readonly condition: 'tasksuccess' | 'taskfailure' | 'taskcompletion';
  }[];
  readonly environment: Readonly<Record<string, string>>;
  readonly requiredSlots: number;
  readonly maxWallClockTime?: string | undefined;
  readonly retentionTime?: string | undefined;
  readonly identityResourceId?: string | undefined;
}

export interface JobFacts {
  /** `active`, `disabling`, `disabled`, `enabling`, `terminating`, `completed` or `deleting`. */
  readonly state: string;
  readonly terminateReason: string | undefined;
  /** `noaction` or `terminatejob`; absent = not told. */
  readonly onAllTasksComplete?: string | undefined;
}

export interface TaskFacts {
  readonly id: string;
  readonly state: 'active' | 'preparing' | 'running' | 'completed';
  /** Absent when no process ran. */
  readonly exitCode: number | undefined;
  readonly result: 'success' | 'failure' | undefined;
  readonly failure: { readonly category: string; readonly code: string; readonly message: string } | undefined;
  readonly startTime: Date | undefined;
  readonly endTime: Date | undefined;
  readonly nodeId: string | undefined;
  /** How often Batch put it back into the queue, as after a preemption; absent = not told. */
  readonly requeueCount?: number | undefined;
}

export interface PoolFacts {
  readonly id: string;
  readonly slotsPerNode: number;
  readonly dedicatedNodes: { readonly current: number; readonly target: number };
  readonly spotNodes: { readonly current: number; readonly target: number };
  /** Why the last resize did not reach its target, `code: message`: core quota, no capacity. */
  readonly resizeErrors?: readonly string[] | undefined;
}

export type Refused = { readonly outcome: 'refused'; readonly code: string; readonly message: string };
export type AddJobOutcome = { readonly outcome: 'created' | 'exists' | 'conflict' | 'quota' } | Refused;
export type AddTasksOutcome =
  | { readonly outcome: 'added' }
  | { readonly outcome: 'conflict'; readonly taskIds: readonly string[] }
  | { readonly outcome: 'job-closed' | 'job-absent' }
  | Refused;

/** Azure Batch as the flow needs it. Every call may throw; repeating it is then the same act. */
export interface BatchPort {
  poolFacts(poolId: string): Promise<PoolFacts | undefined>;
  /** `exists` when a job of that id with the same content is there, whatever its state. */
  addJob(spec: JobSpec): Promise<AddJobOutcome>;
  getJob(jobId: string): Promise<JobFacts | undefined>;
  terminateJob(jobId: string, reason: string): Promise<'asked' | 'ended' | 'absent'>;
  /** Tasks that exist with the same content count as added. */
  addTasks(jobId: string, tasks: readonly TaskSpec[]): Promise<AddTasksOutcome>;
  /** Undefined when there is no such job. */
  listTasks(jobId: string): Promise<readonly TaskFacts[] | undefined>;
  /**
   * Tasks whose state changed since the look that gave `cursor`, and where the next one goes on; without a cursor, those
   * that have left `active`. One may be told again. Undefined when there is no such job. Absent = the port cannot tell.
   *
   * @param overlapMs how far the next look reaches back before the last change, since lists may lag behind
   */
  changedTasks?(
    jobId: string,
    cursor: string | undefined,
    overlapMs: number,
  ): Promise<{ readonly changed: readonly TaskFacts[]; readonly cursor: string | undefined } | undefined>;
  /** `disabled`: running tasks go on, no other starts. Asking twice is the same act. */
  disableJob(jobId: string): Promise<'asked' | 'already' | 'closed' | 'absent'>;
  /** `not-yet`: it is still being disabled. */
  enableJob(jobId: string): Promise<'asked' | 'already' | 'not-yet' | 'closed' | 'absent'>;
  patchJob(
    jobId: string,
    change: { readonly priority?: number; readonly onAllTasksComplete?: 'noaction' | 'terminatejob' },
  ): Promise<'patched' | 'closed' | 'absent'>;
  terminateTask(jobId: string, taskId: string): Promise<'terminated' | 'ended' | 'absent'>;
  reactivateTask(jobId: string, taskId: string): Promise<'reactivated' | 'not-failed' | 'job-closed' | 'absent'>;
  /** Part of a file from the task's node; undefined when file, task or node is gone. */
  readTaskFile(
    jobId: string,
    taskId: string,
    path: string,
    range: { readonly offset: number; readonly count: number },
  ): Promise<Uint8Array | undefined>;
}

export interface BlobPutOptions {
  readonly contentType?: string;
  readonly metadata?: Readonly<Record<string, string>>;
}

/** The blobs of one container. */
export interface Blobs {
  /** Address of a blob, or of the container itself. */
  url(blob?: string): string;
  putIfAbsent(
    blob: string,
    bytes: Uint8Array | string,
    options?: BlobPutOptions,
  ): Promise<{ readonly outcome: 'created' | 'exists' }>;
  putStreamIfAbsent(
    blob: string,
    stream: Readable,
    options?: BlobPutOptions,
  ): Promise<{ readonly outcome: 'created' | 'exists' }>;
  get(blob: string): Promise<{ readonly bytes: Uint8Array } | undefined>;
  openRead(
    blob: string,
    offset?: number,
    count?: number,
  ): Promise<{ readonly stream: NodeJS.ReadableStream; readonly size: number } | undefined>;
  list(prefix: string): AsyncIterable<{ readonly name: string; readonly size: number; readonly lastModified: Date }>;
}

/** The work account: what tasks may touch. */
export interface WorkStorage {
  /** Shared parts and manifests by content hash. */
  readonly objects: Pick<Blobs, 'url' | 'get'>;
  /** Creates the run's container with its labels unless it is there. */
  ensureRunContainer(container: string, labels: Readonly<Record<string, string>>): Promise<unknown>;
  runContainer(container: string): Blobs;
}

/** The ledger account: what tasks may not touch. */
export interface Ledger {
  readonly results: Blobs;
}

/** The pools of the account, for operators. */
export interface PoolPort {
  listPools(): AsyncIterable<PoolDetails>;
  poolDetails(poolId: string): Promise<PoolDetails | undefined>;
  /** `busy`: another resize is under way. `autoscaled`: its formula decides. */
  resizePool(
    poolId: string,
    target: { readonly dedicatedNodes?: number | undefined; readonly spotNodes?: number | undefined },
  ): Promise<{ readonly outcome: 'asked' | 'busy' | 'autoscaled' | 'absent' } | Refused>;
  /** What a formula would set now; nothing changes. `refused` also when the pool does not scale by formula. */
  evaluateAutoScale(
    poolId: string,
    formula: string,
  ): Promise<
    | { readonly outcome: 'evaluated'; readonly results: string; readonly error: string | undefined }
    | { readonly outcome: 'absent' }
    | Refused
  >;
}

export interface PoolDetails extends PoolFacts {
  readonly state: string;
  /** `steady`, `resizing` or `stopping`. */
  readonly allocationState: string;
  readonly vmSize: string;
  readonly resizeErrors: readonly string[];
  readonly autoScaleFormula: string | undefined;
}

/** What a run cost its desk. */
export interface UsageEntry {
  readonly runId: string;
  readonly desk: string;
  readonly at: Date;
  readonly slotSeconds: number;
  readonly amount: number | null;
  readonly currency: string | null;
}

/** Slot-seconds and cost per run, for fair share and for whoever asks what a desk used. */
export interface UsageStore {
  /** Writing a run again replaces what was there. */
  put(entry: UsageEntry): Promise<void>;
  /** Entries not older than `from`, in no order; a run that was tried again may come twice, the latest counts. */
  since(from: Date): AsyncIterable<UsageEntry>;
}

/** The cost model as it was learnt so far, with compare-and-swap. */
export interface CostModelStore {
  read(): Promise<{ readonly model: CostModel; readonly etag: string } | undefined>;
  /** False when another version is there. */
  write(model: CostModel, etag: string | undefined): Promise<boolean>;
}
