/** Bodies of requests after they were checked: what the rest of the emulator reads. */

export interface NameValue {
  readonly name: string;
  readonly value?: string;
}
export interface IdentityReference {
  readonly resourceId?: string;
}
export interface ResourceFile {
  readonly httpUrl?: string;
  readonly storageContainerUrl?: string;
  readonly blobPrefix?: string;
  readonly filePath?: string;
  readonly fileMode?: string;
  readonly identityReference?: IdentityReference;
}
export interface OutputFile {
  readonly filePattern: string;
  readonly destination: {
    readonly container: {
      readonly containerUrl: string;
      readonly path?: string;
      readonly identityReference?: IdentityReference;
      readonly uploadHeaders?: readonly NameValue[];
    };
  };
  readonly uploadOptions: { readonly uploadCondition: 'tasksuccess' | 'taskfailure' | 'taskcompletion' };
}
export interface ExitOptions {
  readonly jobAction?: 'none' | 'disable' | 'terminate';
  readonly dependencyAction?: 'satisfy' | 'block';
}
export interface ExitConditions {
  readonly exitCodes?: readonly { readonly code: number; readonly exitOptions: ExitOptions }[];
  readonly exitCodeRanges?: readonly {
    readonly start: number;
    readonly end: number;
    readonly exitOptions: ExitOptions;
  }[];
  readonly preProcessingError?: ExitOptions;
  readonly fileUploadError?: ExitOptions;
  readonly default?: ExitOptions;
}
export interface TaskConstraints {
  readonly maxWallClockTime?: string;
  readonly retentionTime?: string;
  readonly maxTaskRetryCount?: number;
}
export interface ContainerSettings {
  readonly imageName: string;
  readonly containerRunOptions?: string;
  readonly workingDirectory?: string;
}
/** What all kinds of tasks have: tasks of jobs, start tasks, preparation and release tasks. */
export interface RunnableSpec {
  readonly commandLine: string;
  readonly containerSettings?: ContainerSettings;
  readonly resourceFiles?: readonly ResourceFile[];
  readonly outputFiles?: readonly OutputFile[];
  readonly environmentSettings?: readonly NameValue[];
  readonly constraints?: TaskConstraints;
}
export interface TaskSpec extends RunnableSpec {
  readonly id: string;
  readonly exitConditions?: ExitConditions;
  readonly affinityInfo?: { readonly affinityId: string };
  readonly requiredSlots?: number;
  readonly userIdentity?: unknown;
  readonly dependsOn?: {
    readonly taskIds?: readonly string[];
    readonly taskIdRanges?: readonly { readonly start: number; readonly end: number }[];
  };
}
export interface JobConstraints {
  readonly maxWallClockTime?: string;
  readonly maxTaskRetryCount?: number;
}
export interface StartTaskSpec extends Omit<RunnableSpec, 'constraints'> {
  readonly maxTaskRetryCount?: number;
  readonly waitForSuccess?: boolean;
}
export interface PreparationSpec extends RunnableSpec {
  readonly id?: string;
  readonly waitForSuccess?: boolean;
  readonly rerunOnNodeRebootAfterSuccess?: boolean;
}
export interface ReleaseSpec extends RunnableSpec {
  readonly id?: string;
  readonly maxWallClockTime?: string;
  readonly retentionTime?: string;
}
export interface ManagerSpec extends RunnableSpec {
  readonly id: string;
  readonly killJobOnCompletion?: boolean;
  readonly runExclusive?: boolean;
  readonly allowLowPriorityNode?: boolean;
  readonly requiredSlots?: number;
}
export interface JobSpec {
  readonly id: string;
  readonly poolInfo: { readonly poolId: string };
  readonly jobManagerTask?: ManagerSpec;
  readonly jobPreparationTask?: PreparationSpec;
  readonly jobReleaseTask?: ReleaseSpec;
  readonly priority?: number;
  readonly maxParallelTasks?: number;
  readonly constraints?: JobConstraints;
  readonly commonEnvironmentSettings?: readonly NameValue[];
  readonly onAllTasksComplete?: string;
  readonly onTaskFailure?: string;
  readonly usesTaskDependencies?: boolean;
  readonly metadata?: readonly NameValue[];
}
export interface PoolSpec {
  readonly id: string;
  readonly vmSize: string;
  readonly targetDedicatedNodes?: number;
  readonly targetLowPriorityNodes?: number;
  readonly taskSlotsPerNode?: number;
  readonly taskSchedulingPolicy?: { readonly nodeFillType: string };
  readonly startTask?: StartTaskSpec;
  readonly enableAutoScale?: boolean;
  readonly autoScaleFormula?: string;
  readonly autoScaleEvaluationInterval?: string;
  readonly resizeTimeout?: string;
  readonly metadata?: readonly NameValue[];
}
export interface ScheduleTimes {
  readonly doNotRunUntil?: string;
  readonly doNotRunAfter?: string;
  readonly startWindow?: string;
  readonly recurrenceInterval?: string;
}
export interface ScheduleSpec {
  readonly id: string;
  readonly displayName?: string;
  readonly schedule?: ScheduleTimes;
  readonly jobSpecification: Omit<JobSpec, 'id'> & { readonly displayName?: string };
  readonly metadata?: readonly NameValue[];
}
