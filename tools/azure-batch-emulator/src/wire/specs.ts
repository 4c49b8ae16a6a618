import { durationTicks } from '../time.ts';
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
import type { JobSpec, ResourceFile, TaskSpec } from './spec-types.ts';

export type * from './spec-types.ts';

export const nameValues = list(object({ name: required(text({ min: 1 })), value: text() }));
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
const exitCodeRange: Check = (value, path) => {
  const given = object({ start: required(exitCode), end: required(exitCode), exitOptions: required(exitOptions) })(
    value,
    path,
  ) as { readonly start: number; readonly end: number };
  if (given.end < given.start) throw invalid(path, `${given.start} to ${given.end}`, 'end is before start');
  return given;
};
const exitConditions = object({
  exitCodes: list(object({ code: required(exitCode), exitOptions: required(exitOptions) })),
  exitCodeRanges: list(exitCodeRange),
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

export const startTask = object({ ...runnableFields, maxTaskRetryCount: retries, waitForSuccess: boolean });

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

export const addedJobFields = {
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
export function coherent(check: Check): Check {
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

export const jobPatchShape: Check = object({ ...changeableJobFields, poolInfo });
export const jobPutShape: Check = object({ ...changeableJobFields, poolInfo: required(poolInfo) });
export const jobDisableShape: Check = object({ disableTasks: required(oneOf('requeue', 'terminate', 'wait')) });
export const jobTerminateShape: Check = object({ terminateReason: text() });
