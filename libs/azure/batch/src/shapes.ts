import type { BatchServiceModels as Models } from '@azure/batch';

/** Jobs, tasks and pools as the pipeline knows them, without the client's types. */
export interface JobSpec {
  readonly id: string;
  readonly poolId: string;
  readonly displayName?: string | undefined;
  /** -1000 to 1000, across the jobs of a pool. */
  readonly priority: number;
  readonly metadata: Readonly<Record<string, string>>;
  /** ISO 8601 duration from the job's creation, after which Batch ends it. */
  readonly maxWallClockTime?: string | undefined;
}

export interface TaskSpec {
  readonly id: string;
  readonly commandLine: string;
  /** Container image; absent = a process on the node. */
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
  /** ISO 8601 durations. */
  readonly maxWallClockTime?: string | undefined;
  readonly retentionTime?: string | undefined;
  /** Resource id of the user-assigned identity by which the node reaches Storage; absent = the URLs carry a SAS. */
  readonly identityResourceId?: string | undefined;
}

export interface JobFacts {
  readonly id: string;
  readonly state: string;
  /** When the present state began. */
  readonly since: Date;
  readonly poolId: string;
  readonly metadata: Readonly<Record<string, string>>;
  readonly terminateReason: string | undefined;
  /** `noaction` or `terminatejob`; undefined where the list did not ask for it. */
  readonly onAllTasksComplete: string | undefined;
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
  readonly requeueCount: number;
}

/** What changed in a job since an earlier look. */
export interface TaskChanges {
  readonly counts: TaskCounts;
  /** Tasks whose state changed since; one may be told again, so that none is missed. Keyed by id, the last one counts. */
  readonly changed: readonly TaskFacts[];
  /** Where the next look goes on; undefined while nothing has begun. */
  readonly cursor: string | undefined;
}

/** A task as Batch's JSON has it: the parts that are read here. */
export interface WireTask {
  readonly id?: string;
  readonly state?: string;
  readonly stateTransitionTime?: string;
  readonly commandLine?: string;
  readonly containerSettings?: { readonly imageName?: string };
  readonly resourceFiles?: readonly { readonly httpUrl?: string; readonly filePath?: string }[];
  readonly outputFiles?: readonly {
    readonly filePattern?: string;
    readonly destination?: { readonly container?: { readonly containerUrl?: string; readonly path?: string } };
    readonly uploadOptions?: { readonly uploadCondition?: string };
  }[];
  readonly environmentSettings?: readonly { readonly name?: string; readonly value?: string }[];
  readonly requiredSlots?: number;
  readonly executionInfo?: {
    readonly startTime?: string;
    readonly endTime?: string;
    readonly exitCode?: number;
    readonly result?: string;
    readonly requeueCount?: number;
    readonly failureInfo?: {
      readonly category?: string;
      readonly code?: string;
      readonly message?: string;
      readonly details?: readonly { readonly name?: string; readonly value?: string }[];
    };
  };
  readonly nodeInfo?: { readonly nodeId?: string };
}

export interface PoolFacts {
  readonly id: string;
  readonly state: string;
  readonly allocationState: string;
  readonly vmSize: string;
  readonly slotsPerNode: number;
  readonly dedicatedNodes: { readonly current: number; readonly target: number };
  readonly spotNodes: { readonly current: number; readonly target: number };
  readonly resizeErrors: readonly string[];
  /** Absent = the pool has a fixed size. */
  readonly autoScaleFormula: string | undefined;
}

export interface TaskCounts {
  readonly active: number;
  readonly running: number;
  readonly completed: number;
  readonly succeeded: number;
  readonly failed: number;
}

export function toJob(spec: JobSpec): Models.JobAddParameter {
  return {
    id: spec.id,
    ...(spec.displayName === undefined ? {} : { displayName: spec.displayName }),
    priority: spec.priority,
    poolInfo: { poolId: spec.poolId },
    constraints: {
      maxTaskRetryCount: 0,
      ...(spec.maxWallClockTime === undefined ? {} : { maxWallClockTime: spec.maxWallClockTime }),
    },
    metadata: Object.entries(spec.metadata).map(([name, value]) => ({ name, value })),
  };
}

export function toTask(spec: TaskSpec): Models.TaskAddParameter {
  const identity =
    spec.identityResourceId === undefined ? {} : { identityReference: { resourceId: spec.identityResourceId } };
  return {
    id: spec.id,
    commandLine: spec.commandLine,
    ...(spec.image === undefined
      ? {}
      : { containerSettings: { imageName: spec.image, workingDirectory: 'taskWorkingDirectory' as const } }),
    resourceFiles: spec.resourceFiles.map((file) => ({ ...file, ...identity })),
    outputFiles: spec.outputFiles.map((file) => ({
      filePattern: file.filePattern,
      destination: { container: { containerUrl: file.containerUrl, path: file.path, ...identity } },
      uploadOptions: { uploadCondition: file.condition },
    })),
    environmentSettings: Object.entries(spec.environment).map(([name, value]) => ({ name, value })),
    constraints: {
      maxTaskRetryCount: 0,
      ...(spec.maxWallClockTime === undefined ? {} : { maxWallClockTime: spec.maxWallClockTime }),
      ...(spec.retentionTime === undefined ? {} : { retentionTime: spec.retentionTime }),
    },
    requiredSlots: spec.requiredSlots,
    userIdentity: { autoUser: { scope: 'pool', elevationLevel: 'nonadmin' } },
  };
}

export function toJobFacts(job: Models.CloudJob): JobFacts {
  return {
    id: job.id ?? '',
    state: (job.state ?? '').toLowerCase(),
    since: job.stateTransitionTime ?? job.creationTime ?? new Date(0),
    poolId: job.poolInfo?.poolId ?? '',
    metadata: Object.fromEntries((job.metadata ?? []).map(({ name, value }) => [name, value])),
    terminateReason: job.executionInfo?.terminateReason,
    onAllTasksComplete: job.onAllTasksComplete?.toLowerCase(),
  };
}

/** Casing varies by api-version, so that states and results are lowered. */
export function toTaskFacts(task: WireTask): TaskFacts {
  const run = task.executionInfo;
  const failure = run?.failureInfo;
  return {
    id: task.id ?? '',
    state: (task.state ?? 'active').toLowerCase() as TaskFacts['state'],
    exitCode: run?.exitCode,
    result: run?.result?.toLowerCase() as TaskFacts['result'],
    failure:
      failure === undefined
        ? undefined
        : {
            category: (failure.category ?? '').toLowerCase(),
            code: failure.code ?? '',
            message: [
              failure.message ?? '',
              ...(failure.details ?? []).map((item) => `${item.name ?? ''}=${item.value ?? ''}`),
            ]
              .filter((text) => text !== '')
              .join('; '),
          },
    startTime: dateOf(run?.startTime),
    endTime: dateOf(run?.endTime),
    nodeId: task.nodeInfo?.nodeId,
    requeueCount: run?.requeueCount ?? 0,
  };
}

/** Batch writes seven digits of a second; a Date keeps three. */
function dateOf(text: string | undefined): Date | undefined {
  return text === undefined ? undefined : new Date(text);
}

export function toPoolFacts(pool: Models.CloudPool): PoolFacts {
  return {
    id: pool.id ?? '',
    state: (pool.state ?? '').toLowerCase(),
    allocationState: (pool.allocationState ?? '').toLowerCase(),
    vmSize: pool.vmSize ?? '',
    slotsPerNode: pool.taskSlotsPerNode ?? 1,
    dedicatedNodes: { current: pool.currentDedicatedNodes ?? 0, target: pool.targetDedicatedNodes ?? 0 },
    spotNodes: { current: pool.currentLowPriorityNodes ?? 0, target: pool.targetLowPriorityNodes ?? 0 },
    autoScaleFormula: pool.enableAutoScale === true ? (pool.autoScaleFormula ?? '') : undefined,
    resizeErrors: (pool.resizeErrors ?? []).map((error) => `${error.code ?? ''}: ${error.message ?? ''}`),
  };
}

/** What must be equal for "exists already" to be success. */
export function sameJob(spec: JobSpec, found: JobFacts, ignoredMetadata: ReadonlySet<string>): boolean {
  const relevant = (metadata: Readonly<Record<string, string>>): string =>
    JSON.stringify(
      Object.entries(metadata)
        .filter(([name]) => !ignoredMetadata.has(name))
        .sort(([a], [b]) => (a < b ? -1 : 1)),
    );
  return (
    found.poolId.toLowerCase() === spec.poolId.toLowerCase() && relevant(found.metadata) === relevant(spec.metadata)
  );
}

/** The properties of a task that `contentOf` reads. */
export const contentSelect =
  'id,commandLine,containerSettings,resourceFiles,outputFiles,environmentSettings,requiredSlots';

/**
 * What a task does, as a text that is equal for equal tasks: command, image, slots, files in and out, environment. Not
 * its limits and identity, which may be configured anew between two tries, nor what Batch fills in, reorders or spells
 * another way. A URL counts without its query (a SAS differs each time).
 */
export function contentOf(task: WireTask, ignoredEnvironment: ReadonlySet<string>): string {
  return JSON.stringify([
    task.commandLine,
    task.containerSettings?.imageName ?? null,
    task.requiredSlots ?? 1,
    (task.resourceFiles ?? []).map((file) => [plain(file.httpUrl), file.filePath]).sort(byText),
    (task.outputFiles ?? [])
      .map(({ filePattern, destination, uploadOptions }) => [
        filePattern,
        plain(destination?.container?.containerUrl),
        destination?.container?.path ?? '',
        uploadOptions?.uploadCondition?.toLowerCase(),
      ])
      .sort(byText),
    (task.environmentSettings ?? [])
      .filter((item) => !ignoredEnvironment.has(item.name ?? ''))
      .map((item) => [item.name, item.value ?? ''])
      .sort(byText),
  ]);
}

function plain(url: string | undefined): string {
  return url?.split('?')[0] ?? '';
}

function byText(a: readonly unknown[], b: readonly unknown[]): number {
  return String(a) < String(b) ? -1 : 1;
}
