import { maxFormulaLength } from '../autoscale/parser.ts';
import { durationTicks, formatDuration, isoTime, parseTime } from '../time.ts';
import { refusal } from './errors.ts';
import {
  anything,
  boolean,
  duration,
  identifier,
  integer,
  invalid,
  lacking,
  list,
  object,
  oneOf,
  required,
  text,
  type Check,
} from './shape.ts';

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

const nameValues = list(object({ name: required(text({ min: 1 })), value: text() }));
const identityReference = object({ resourceId: text({ min: 1 }) });
const retries = integer(-1, 2 ** 31 - 1);

const resourceFileFields = object({
  autoStorageContainerName: lacking('resource files from auto-storage'),
  storageContainerUrl: text({ min: 1 }),
  httpUrl: text({ min: 1 }),
  blobPrefix: text(),
  filePath: text(),
  fileMode: text(),
  identityReference,
});

const resourceFile: Check = (value, path) => {
  const file = resourceFileFields(value, path) as ResourceFile;
  if ((file.httpUrl === undefined) === (file.storageContainerUrl === undefined)) {
    throw invalid(path, value, 'exactly one of httpUrl and storageContainerUrl must be given');
  }
  if (file.httpUrl !== undefined && (file.filePath ?? '') === '') {
    throw refusal('MissingRequiredProperty', { PropertyName: `${path}.filePath` });
  }
  if (file.blobPrefix !== undefined && file.storageContainerUrl === undefined) {
    throw invalid(`${path}.blobPrefix`, file.blobPrefix, 'it goes with storageContainerUrl only');
  }
  if (file.fileMode !== undefined && !/^0?[0-7]{1,4}$/.test(file.fileMode)) {
    throw invalid(`${path}.fileMode`, file.fileMode, 'it must be octal digits');
  }
  return file;
};

const outputFile = object({
  filePattern: required(text({ min: 1 })),
  destination: required(
    object({
      container: required(
        object({
          containerUrl: required(text({ min: 1 })),
          path: text(),
          identityReference,
          uploadHeaders: nameValues,
        }),
      ),
    }),
  ),
  uploadOptions: required(object({ uploadCondition: required(oneOf('tasksuccess', 'taskfailure', 'taskcompletion')) })),
});

const exitOptions = object({
  jobAction: oneOf('none', 'disable', 'terminate'),
  dependencyAction: oneOf('satisfy', 'block'),
});
const exitCode = integer(-(2 ** 31), 2 ** 31 - 1);
const exitConditions = object({
  exitCodes: list(object({ code: required(exitCode), exitOptions: required(exitOptions) })),
  exitCodeRanges: list(
    object({ start: required(exitCode), end: required(exitCode), exitOptions: required(exitOptions) }),
  ),
  preProcessingError: exitOptions,
  fileUploadError: exitOptions,
  default: exitOptions,
});

const containerSettings: Check = object({
  imageName: required(text({ min: 1 })),
  containerRunOptions: text(),
  registry: anything,
  workingDirectory: oneOf('taskworkingdirectory', 'containerimagedefault'),
  containerHostBatchBindMounts: lacking('containerSettings.containerHostBatchBindMounts'),
});

const dependsOn: Check = (value, path) => {
  const given = object({
    taskIds: list(identifier),
    taskIdRanges: list(object({ start: required(integer(0, 2 ** 31 - 1)), end: required(integer(0, 2 ** 31 - 1)) })),
  })(value, path) as NonNullable<TaskSpec['dependsOn']>;
  if ((given.taskIds ?? []).reduce((sum, id) => sum + id.length, 0) > 64_000)
    throw refusal('TaskDependencyListTooLong');
  for (const range of given.taskIdRanges ?? []) {
    if (range.end < range.start) throw invalid(`${path}.taskIdRanges`, range, 'end is before start');
  }
  return given;
};

const taskConstraints: Check = object({
  maxWallClockTime: duration,
  retentionTime: duration,
  maxTaskRetryCount: retries,
});

export const taskPutShape: Check = object({ constraints: taskConstraints });

const runnableFields = {
  commandLine: required(text({ min: 1 })),
  containerSettings,
  resourceFiles: list(resourceFile),
  environmentSettings: nameValues,
  userIdentity: object({
    username: lacking('tasks as a named user (userIdentity.username)'),
    autoUser: object({ scope: oneOf('task', 'pool'), elevationLevel: oneOf('nonadmin', 'admin') }),
  }),
};

export const taskShape: Check = object({
  id: required(identifier),
  displayName: text({ max: 1024 }),
  ...runnableFields,
  exitConditions,
  outputFiles: list(outputFile),
  affinityInfo: object({ affinityId: required(text({ min: 1 })) }),
  constraints: taskConstraints,
  requiredSlots: integer(1, 256),
  multiInstanceSettings: lacking('multi-instance tasks (multiInstanceSettings)'),
  dependsOn,
  applicationPackageReferences: lacking('application packages'),
  authenticationTokenSettings: lacking('authentication tokens in tasks'),
});

const startTask = object({ ...runnableFields, maxTaskRetryCount: retries, waitForSuccess: boolean });

const preparationTask = object({
  id: identifier,
  ...runnableFields,
  constraints: taskConstraints,
  waitForSuccess: boolean,
  rerunOnNodeRebootAfterSuccess: boolean,
});

const releaseWallClock: Check = (value, path) => {
  const given = duration(value, path) as string;
  if ((durationTicks(given) ?? 0n) > 15n * 60n * 10_000_000n)
    throw invalid(path, value, 'it must not exceed 15 minutes');
  return given;
};
const releaseTask = object({
  id: identifier,
  ...runnableFields,
  maxWallClockTime: releaseWallClock,
  retentionTime: duration,
});

const managerTask = object({
  id: required(identifier),
  displayName: text({ max: 1024 }),
  ...runnableFields,
  outputFiles: list(outputFile),
  constraints: taskConstraints,
  requiredSlots: integer(1, 256),
  killJobOnCompletion: boolean,
  runExclusive: boolean,
  allowLowPriorityNode: boolean,
  applicationPackageReferences: lacking('application packages'),
  authenticationTokenSettings: lacking('authentication tokens in tasks'),
});

const priority: Check = (value, path) => {
  const number = integer(-(2 ** 31), 2 ** 31 - 1)(value, path) as number;
  if (number < -1000 || number > 1000) throw refusal('OutOfRangePriority', { PropertyValue: String(number) });
  return number;
};
const maxParallelTasks: Check = (value, path) => {
  const number = integer(-1, 2 ** 31 - 1)(value, path);
  if (number === 0) throw invalid(path, value, 'it must be -1 or greater than 0');
  return number;
};
const jobConstraints = object({ maxWallClockTime: duration, maxTaskRetryCount: retries });
const poolInfo = object({ poolId: required(identifier), autoPoolSpecification: lacking('auto-pools') });
const onAllTasksComplete = oneOf('noaction', 'terminatejob');

const changeableJobFields = {
  priority,
  maxParallelTasks,
  allowTaskPreemption: lacking('task preemption (allowTaskPreemption)'),
  constraints: jobConstraints,
  onAllTasksComplete,
  metadata: nameValues,
  networkConfiguration: anything,
};

const addedJobFields = {
  displayName: text({ max: 1024 }),
  ...changeableJobFields,
  poolInfo: required(poolInfo),
  jobManagerTask: managerTask,
  jobPreparationTask: preparationTask,
  jobReleaseTask: releaseTask,
  commonEnvironmentSettings: nameValues,
  onTaskFailure: oneOf('noaction', 'performexitoptionsjobaction'),
  usesTaskDependencies: boolean,
};

export const preparationId = 'jobpreparation';
export const releaseId = 'jobrelease';

/** What the parts of a job ask of each other. */
function coherent(check: Check): Check {
  return (value, path) => {
    const spec = check(value, path) as JobSpec;
    const at = (name: string): string => (path === '' ? name : `${path}.${name}`);
    if (spec.jobReleaseTask !== undefined && spec.jobPreparationTask === undefined) {
      throw invalid(at('jobReleaseTask'), 'jobReleaseTask', 'a job release task needs a job preparation task');
    }
    const prep = spec.jobPreparationTask?.id ?? preparationId;
    const release = spec.jobReleaseTask?.id ?? releaseId;
    if (spec.jobReleaseTask !== undefined && prep.toLowerCase() === release.toLowerCase()) {
      throw invalid(at('jobReleaseTask.id'), release, 'the job preparation task has the same id');
    }
    const manager = spec.jobManagerTask?.id.toLowerCase();
    if (spec.jobPreparationTask !== undefined && manager === prep.toLowerCase())
      throw refusal('TaskIdSameAsJobPreparationTask');
    if (spec.jobReleaseTask !== undefined && manager === release.toLowerCase())
      throw refusal('TaskIdSameAsJobReleaseTask');
    return spec;
  };
}

export const jobShape: Check = coherent(object({ id: required(identifier), ...addedJobFields }));

const dateTime: Check = (value, path) => {
  const at = typeof value === 'string' ? parseTime(value) : undefined;
  if (at === undefined) throw invalid(path, value, 'it is not an ISO 8601 date and time');
  return isoTime(at);
};

/** At least this many seconds. */
const atLeast =
  (seconds: number): Check =>
  (value, path) => {
    const given = duration(value, path) as string;
    const least = BigInt(Math.round(seconds * 10_000_000));
    if ((durationTicks(given) ?? 0n) < least)
      throw invalid(path, value, `it must be at least ${formatDuration(least)}`);
    return given;
  };

const between =
  (least: number, most: number): Check =>
  (value, path) => {
    const given = atLeast(least)(value, path) as string;
    const ticks = BigInt(most) * 10_000_000n;
    if ((durationTicks(given) ?? 0n) > ticks) throw invalid(path, value, `it must not exceed ${formatDuration(ticks)}`);
    return given;
  };

/** The shortest times that Azure takes, which a configuration may shorten. */
export interface Shortest {
  readonly scheduleSeconds: number;
  readonly autoscaleSeconds: number;
}

function scheduleFields(shortest: Shortest) {
  const times = object({
    doNotRunUntil: dateTime,
    doNotRunAfter: dateTime,
    startWindow: atLeast(shortest.scheduleSeconds),
    recurrenceInterval: atLeast(shortest.scheduleSeconds),
  });
  const schedule: Check = (value, path) => {
    const given = times(value, path) as ScheduleTimes;
    const until = parseTime(given.doNotRunUntil ?? '');
    const after = parseTime(given.doNotRunAfter ?? '');
    if (until !== undefined && after !== undefined && after <= until) {
      throw invalid(`${path}.doNotRunAfter`, given.doNotRunAfter, 'it must be later than doNotRunUntil');
    }
    return given;
  };
  return { schedule, jobSpecification: coherent(object(addedJobFields)), metadata: nameValues };
}
export const scheduleShape = (shortest: Shortest): Check => {
  const { jobSpecification, ...fields } = scheduleFields(shortest);
  return object({
    id: required(identifier),
    displayName: text({ max: 1024 }),
    ...fields,
    jobSpecification: required(jobSpecification),
  });
};
export const schedulePatchShape = (shortest: Shortest): Check => object(scheduleFields(shortest));
export const schedulePutShape = (shortest: Shortest): Check => {
  const { jobSpecification, ...fields } = scheduleFields(shortest);
  return object({ ...fields, jobSpecification: required(jobSpecification) });
};
export const jobPatchShape: Check = object({ ...changeableJobFields, poolInfo });
export const jobPutShape: Check = object({ ...changeableJobFields, poolInfo: required(poolInfo) });
export const jobDisableShape: Check = object({ disableTasks: required(oneOf('requeue', 'terminate', 'wait')) });
export const jobTerminateShape: Check = object({ terminateReason: text() });

const nodeCount = integer(0, 10_000);
const nodeDeallocationOption = oneOf('requeue', 'terminate', 'taskcompletion', 'retaineddata');

const changeablePoolFields = {
  displayName: text({ max: 1024 }),
  metadata: nameValues,
  startTask,
  applicationPackageReferences: lacking('application packages'),
  certificateReferences: lacking('certificates'),
  targetNodeCommunicationMode: oneOf('default', 'classic', 'simplified'),
};
const evaluationInterval = (shortest: Shortest): Check => between(shortest.autoscaleSeconds, 168 * 3600);
const formula = text({ max: maxFormulaLength });
const resizeTimeout = between(300, 168 * 3600);

const poolFields = (shortest: Shortest): Check =>
  object({
    ...changeablePoolFields,
    id: required(identifier),
    vmSize: required(text({ min: 1 })),
    virtualMachineConfiguration: anything,
    cloudServiceConfiguration: lacking('cloud service pools'),
    networkConfiguration: anything,
    targetDedicatedNodes: nodeCount,
    targetLowPriorityNodes: nodeCount,
    enableAutoScale: boolean,
    autoScaleFormula: formula,
    autoScaleEvaluationInterval: evaluationInterval(shortest),
    enableInterNodeCommunication: boolean,
    resizeTimeout,
    taskSlotsPerNode: integer(1, 256),
    taskSchedulingPolicy: object({ nodeFillType: required(oneOf('spread', 'pack')) }),
    userAccounts: anything,
    applicationLicenses: lacking('application licenses'),
    mountConfiguration: lacking('mounts (mountConfiguration)'),
    upgradePolicy: anything,
    resourceTags: anything,
  });

export const poolShape =
  (shortest: Shortest): Check =>
  (value, path) => {
    const spec = poolFields(shortest)(value, path) as PoolSpec;
    const unset = (names: readonly (keyof PoolSpec)[], reason: string): void => {
      const name = names.find((candidate) => spec[candidate] !== undefined);
      if (name !== undefined) throw refusal('InvalidAutoScalingSettings', { PropertyName: name, Reason: reason });
    };
    if (spec.enableAutoScale !== true) {
      unset(['autoScaleFormula', 'autoScaleEvaluationInterval'], 'enableAutoScale is not true');
      return spec;
    }
    unset(['targetDedicatedNodes', 'targetLowPriorityNodes', 'resizeTimeout'], 'enableAutoScale is true');
    if (spec.autoScaleFormula === undefined) {
      throw refusal('MissingRequiredProperty', { PropertyName: 'autoScaleFormula' });
    }
    return spec;
  };
export const enableAutoScaleShape = (shortest: Shortest): Check =>
  object({ autoScaleFormula: formula, autoScaleEvaluationInterval: evaluationInterval(shortest) });
export const evaluateAutoScaleShape: Check = object({ autoScaleFormula: required(formula) });
/** `updateproperties` replaces all of these: what a body leaves out is gone. */
export const poolPropertiesShape: Check = object({
  ...changeablePoolFields,
  applicationPackageReferences: required(changeablePoolFields.applicationPackageReferences),
  metadata: required(nameValues),
});
export const poolPatchShape: Check = object(changeablePoolFields);
export const poolResizeShape: Check = object({
  targetDedicatedNodes: nodeCount,
  targetLowPriorityNodes: nodeCount,
  resizeTimeout,
  nodeDeallocationOption,
});
export const removeNodesShape: Check = object({
  nodeList: required(list(text({ min: 1 }), 100)),
  resizeTimeout,
  nodeDeallocationOption,
});
export const nodeReimageShape: Check = object({ nodeReimageOption: nodeDeallocationOption });
export const nodeDeallocateShape: Check = object({ nodeDeallocateOption: nodeDeallocationOption });
const userFields = { password: text({ min: 1 }), sshPublicKey: text({ min: 1 }), expiryTime: dateTime };
export const nodeUserShape: Check = object({
  name: required(text({ min: 1, max: 20 })),
  isAdmin: boolean,
  ...userFields,
});
export const nodeUserPutShape: Check = object(userFields);
export const nodeRebootShape: Check = object({ nodeRebootOption: nodeDeallocationOption });
export const nodeDisableShape: Check = object({
  nodeDisableSchedulingOption: oneOf('requeue', 'terminate', 'taskcompletion'),
});
