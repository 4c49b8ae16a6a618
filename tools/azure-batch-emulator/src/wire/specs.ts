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
export interface TaskSpec {
  readonly id: string;
  readonly commandLine: string;
  readonly containerSettings?: { readonly imageName: string };
  readonly exitConditions?: ExitConditions;
  readonly resourceFiles?: readonly ResourceFile[];
  readonly outputFiles?: readonly OutputFile[];
  readonly environmentSettings?: readonly NameValue[];
  readonly affinityInfo?: { readonly affinityId: string };
  readonly constraints?: TaskConstraints;
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
export interface JobSpec {
  readonly id: string;
  readonly poolInfo: { readonly poolId: string };
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
  workingDirectory: (value, path) => {
    const where = oneOf('taskworkingdirectory', 'containerimagedefault')(value, path);
    if (where === 'containerimagedefault')
      lacking('containerSettings.workingDirectory containerImageDefault')(value, path);
    return value;
  },
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

export const taskShape: Check = object({
  id: required(identifier),
  displayName: text({ max: 1024 }),
  commandLine: required(text({ min: 1 })),
  containerSettings,
  exitConditions,
  resourceFiles: list(resourceFile),
  outputFiles: list(outputFile),
  environmentSettings: nameValues,
  affinityInfo: object({ affinityId: required(text({ min: 1 })) }),
  constraints: taskConstraints,
  requiredSlots: integer(1, 256),
  userIdentity: object({
    username: lacking('tasks as a named user (userIdentity.username)'),
    autoUser: object({ scope: oneOf('task', 'pool'), elevationLevel: oneOf('nonadmin', 'admin') }),
  }),
  multiInstanceSettings: lacking('multi-instance tasks (multiInstanceSettings)'),
  dependsOn,
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

export const jobShape: Check = object({
  id: required(identifier),
  displayName: text({ max: 1024 }),
  ...changeableJobFields,
  poolInfo: required(poolInfo),
  jobManagerTask: lacking('job manager tasks'),
  jobPreparationTask: lacking('job preparation tasks'),
  jobReleaseTask: lacking('job release tasks'),
  commonEnvironmentSettings: nameValues,
  onTaskFailure: oneOf('noaction', 'performexitoptionsjobaction'),
  usesTaskDependencies: boolean,
});
export const jobPatchShape: Check = object({ ...changeableJobFields, poolInfo });
export const jobPutShape: Check = object({ ...changeableJobFields, poolInfo: required(poolInfo) });
export const jobDisableShape: Check = object({ disableTasks: required(oneOf('requeue', 'terminate', 'wait')) });
export const jobTerminateShape: Check = object({ terminateReason: text() });

const nodeCount = integer(0, 10_000);
const nodeDeallocationOption = oneOf('requeue', 'terminate', 'taskcompletion', 'retaineddata');

const changeablePoolFields = {
  displayName: text({ max: 1024 }),
  metadata: nameValues,
  startTask: lacking('start tasks'),
  applicationPackageReferences: lacking('application packages'),
  certificateReferences: lacking('certificates'),
  targetNodeCommunicationMode: oneOf('default', 'classic', 'simplified'),
};
export const poolShape: Check = object({
  ...changeablePoolFields,
  id: required(identifier),
  vmSize: required(text({ min: 1 })),
  virtualMachineConfiguration: anything,
  cloudServiceConfiguration: lacking('cloud service pools'),
  networkConfiguration: anything,
  targetDedicatedNodes: nodeCount,
  targetLowPriorityNodes: nodeCount,
  enableAutoScale: lacking('autoscale'),
  autoScaleFormula: lacking('autoscale'),
  autoScaleEvaluationInterval: lacking('autoscale'),
  enableInterNodeCommunication: boolean,
  resizeTimeout: duration,
  taskSlotsPerNode: integer(1, 256),
  taskSchedulingPolicy: object({ nodeFillType: required(oneOf('spread', 'pack')) }),
  userAccounts: anything,
  applicationLicenses: lacking('application licenses'),
  mountConfiguration: lacking('mounts (mountConfiguration)'),
  upgradePolicy: anything,
  resourceTags: anything,
});
export const poolPatchShape: Check = object(changeablePoolFields);
export const poolResizeShape: Check = object({
  targetDedicatedNodes: nodeCount,
  targetLowPriorityNodes: nodeCount,
  resizeTimeout: duration,
  nodeDeallocationOption,
});
export const removeNodesShape: Check = object({
  nodeList: required(list(text({ min: 1 }), 100)),
  resizeTimeout: duration,
  nodeDeallocationOption,
});
export const nodeRebootShape: Check = object({ nodeRebootOption: nodeDeallocationOption });
export const nodeDisableShape: Check = object({
  nodeDisableSchedulingOption: oneOf('requeue', 'terminate', 'taskcompletion'),
});
