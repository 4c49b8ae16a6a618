import type { Call } from '../http/call.ts';
import { taskRootOf } from '../run/environment.ts';
import type { PreparationRow } from '../store/node-tasks.ts';
import type { FailureInfo, JobRow, NodeRow, NodeTaskRow, PoolRow, ScheduleRow, TaskRow } from '../store/rows.ts';
import { etagOf, isoTime, unlimited } from '../time.ts';
import {
  preparationId,
  releaseId,
  type JobSpec,
  type PoolSpec,
  type ScheduleSpec,
  type TaskSpec,
} from '../wire/specs.ts';
import { renderJobStats, span, usageStats, type JobTotals } from './render-stats.ts';

type Entity = Record<string, unknown>;

const time = (name: string, at: number | null): Entity => (at === null ? {} : { [name]: isoTime(at) });

function failureOf(call: Call, text: string | null): Entity {
  if (text === null) return {};
  const failure = JSON.parse(text) as FailureInfo;
  const category = call.lowerCase ? failure.category.toLowerCase() : failure.category;
  return { failureInfo: { ...failure, category } };
}

export function nodeUrl(call: Call, poolId: string, nodeId: string): string {
  return `${call.base}/pools/${poolId}/nodes/${nodeId}`;
}

/** Properties of a task that stand in columns of their own: a list that selects only these never reads its spec. */
const taskColumns = new Set([
  'id',
  'url',
  'eTag',
  'lastModified',
  'creationTime',
  'state',
  'stateTransitionTime',
  'previousState',
  'previousStateTransitionTime',
  'executionInfo',
  'nodeInfo',
  'requiredSlots',
]);

export function renderTask(
  call: Call,
  jobId: string,
  row: TaskRow,
  select: ReadonlySet<string> | undefined,
  stats: boolean,
): Entity {
  const flat = select !== undefined && [...select].every((name) => taskColumns.has(name));
  const spec: Partial<TaskSpec> = flat ? {} : (JSON.parse(row.spec) as TaskSpec);
  const ran = row.node_id !== null && row.pool_id !== null && row.start_time !== null;
  const taskRoot = taskRootOf(jobId, row.id);
  const url = `${call.base}/jobs/${jobId}/tasks/${row.id}`;
  return {
    ...spec,
    id: row.id,
    url,
    eTag: etagOf(row.modified),
    lastModified: isoTime(row.modified),
    creationTime: isoTime(row.created),
    state: row.state,
    stateTransitionTime: isoTime(row.state_time),
    ...(row.previous_state === null ? {} : { previousState: row.previous_state }),
    ...time('previousStateTransitionTime', row.previous_time),
    requiredSlots: row.slots,
    ...(flat ? {} : { userIdentity: spec.userIdentity ?? { autoUser: { scope: 'pool', elevationLevel: 'nonadmin' } } }),
    executionInfo: {
      ...(row.state === 'active' ? {} : time('startTime', row.start_time)),
      ...(row.state === 'completed' ? time('endTime', row.end_time) : {}),
      ...(row.exit_code === null ? {} : { exitCode: row.exit_code }),
      ...(row.result === null ? {} : { result: row.result }),
      ...failureOf(call, row.failure),
      retryCount: row.retry_count,
      ...time('lastRetryTime', row.last_retry),
      requeueCount: row.requeue_count,
      ...time('lastRequeueTime', row.last_requeue),
    },
    ...(ran && row.state !== 'active'
      ? {
          nodeInfo: {
            affinityId: `TVM:${row.node_id}`,
            nodeUrl: nodeUrl(call, row.pool_id, row.node_id),
            poolId: row.pool_id,
            nodeId: row.node_id,
            taskRootDirectory: taskRoot,
            taskRootDirectoryUrl: `${nodeUrl(call, row.pool_id, row.node_id)}/files/${taskRoot}`,
          },
        }
      : {}),
    ...(stats
      ? {
          stats: {
            ...usageStats(url, row),
            waitTime: span(Math.max(0, (row.start_time ?? row.created) - row.created)),
          },
        }
      : {}),
  };
}

export function renderJob(call: Call, row: JobRow, stats: boolean): Entity {
  const spec = JSON.parse(row.spec) as JobSpec;
  const url = `${call.base}/jobs/${row.id}`;
  return {
    ...spec,
    id: row.id,
    url,
    eTag: etagOf(row.modified),
    lastModified: isoTime(row.modified),
    creationTime: isoTime(row.created),
    state: row.state,
    stateTransitionTime: isoTime(row.state_time),
    ...(row.previous_state === null ? {} : { previousState: row.previous_state }),
    ...time('previousStateTransitionTime', row.previous_time),
    priority: row.priority,
    maxParallelTasks: row.max_parallel,
    allowTaskPreemption: false,
    usesTaskDependencies: spec.usesTaskDependencies ?? false,
    onAllTasksComplete: row.on_all,
    onTaskFailure: row.on_failure,
    executionInfo: {
      startTime: isoTime(row.start_time),
      ...time('endTime', row.end_time),
      poolId: spec.poolInfo.poolId,
      ...(row.terminate_reason === null ? {} : { terminateReason: row.terminate_reason }),
    },
    ...(stats ? { stats: renderJobStats(url, row) } : {}),
  };
}

export function renderSchedule(call: Call, row: ScheduleRow, totals: JobTotals | undefined): Entity {
  const spec = JSON.parse(row.spec) as ScheduleSpec;
  const url = `${call.base}/jobschedules/${row.id}`;
  const { recent_job: recent } = row;
  return {
    ...spec,
    id: row.id,
    url,
    eTag: etagOf(row.modified),
    lastModified: isoTime(row.modified),
    creationTime: isoTime(row.created),
    state: row.state,
    stateTransitionTime: isoTime(row.state_time),
    ...(row.previous_state === null ? {} : { previousState: row.previous_state }),
    ...time('previousStateTransitionTime', row.previous_time),
    schedule: { startWindow: unlimited, recurrenceInterval: unlimited, ...spec.schedule },
    executionInfo: {
      ...time('nextRunTime', row.next_run),
      ...(recent === null ? {} : { recentJob: { id: recent, url: `${call.base}/jobs/${recent}` } }),
      ...time('endTime', row.end_time),
    },
    ...(totals === undefined ? {} : { stats: renderJobStats(url, totals) }),
  };
}

/** What a start, preparation or release task came to. */
function nodeTaskInfo(call: Call, row: NodeTaskRow): Entity {
  return {
    state: row.state,
    startTime: isoTime(row.start_time),
    ...time('endTime', row.end_time),
    ...(row.exit_code === null ? {} : { exitCode: row.exit_code }),
    ...(row.result === null ? {} : { result: row.result }),
    ...failureOf(call, row.failure),
  };
}

const retriesOf = (row: NodeTaskRow): Entity => ({
  retryCount: row.retry_count,
  ...time('lastRetryTime', row.last_retry),
});

export function renderPreparation(call: Call, job: JobRow, row: PreparationRow): Entity {
  const spec = JSON.parse(job.spec) as JobSpec;
  const node = nodeUrl(call, row.pool_id, row.node_id);
  const directory = (id: string): Entity => {
    const taskRootDirectory = taskRootOf(job.id, id);
    return { taskRootDirectory, taskRootDirectoryUrl: `${node}/files/${taskRootDirectory}` };
  };
  const { release } = row;
  return {
    poolId: row.pool_id,
    nodeId: row.node_id,
    nodeUrl: node,
    jobPreparationTaskExecutionInfo: {
      ...nodeTaskInfo(call, row),
      ...retriesOf(row),
      ...directory(spec.jobPreparationTask?.id ?? preparationId),
    },
    ...(release === undefined
      ? {}
      : {
          jobReleaseTaskExecutionInfo: {
            ...nodeTaskInfo(call, release),
            ...directory(spec.jobReleaseTask?.id ?? releaseId),
          },
        }),
  };
}

export function renderPool(call: Call, row: PoolRow, nodes: readonly NodeRow[]): Entity {
  const spec = JSON.parse(row.spec) as PoolSpec;
  const current = (dedicated: number): number => nodes.filter((node) => node.dedicated === dedicated).length;
  const timeout = row.formula === null ? { resizeTimeout: span(row.resize_timeout ?? 15 * 60 * 1_000_000) } : {};
  return {
    enableInterNodeCommunication: false,
    taskSlotsPerNode: 1,
    taskSchedulingPolicy: { nodeFillType: 'spread' },
    ...spec,
    id: row.id,
    url: `${call.base}/pools/${row.id}`,
    eTag: etagOf(row.modified),
    lastModified: isoTime(row.modified),
    creationTime: isoTime(row.created),
    state: row.state,
    stateTransitionTime: isoTime(row.state_time),
    allocationState: row.allocation_state,
    allocationStateTransitionTime: isoTime(row.allocation_time),
    currentDedicatedNodes: current(1),
    currentLowPriorityNodes: current(0),
    targetDedicatedNodes: row.target_dedicated,
    targetLowPriorityNodes: row.target_low,
    ...timeout,
    ...(row.resize_errors === null ? {} : { resizeErrors: JSON.parse(row.resize_errors) as unknown }),
    enableAutoScale: row.formula !== null,
    ...(row.formula === null
      ? {}
      : {
          autoScaleFormula: row.formula,
          autoScaleEvaluationInterval: span(row.scale_interval ?? 0),
          ...(row.scale_run === null ? {} : { autoScaleRun: JSON.parse(row.scale_run) as unknown }),
        }),
  };
}

export function renderNode(
  call: Call,
  pool: PoolRow,
  row: NodeRow,
  start: NodeTaskRow | undefined,
  running: number,
  slots: number,
): Entity {
  const { startTask } = JSON.parse(pool.spec) as PoolSpec;
  return {
    id: row.id,
    url: nodeUrl(call, pool.id, row.id),
    state: row.state,
    schedulingState: row.scheduling,
    stateTransitionTime: isoTime(row.state_time),
    ...time('lastBootTime', row.last_boot),
    allocationTime: isoTime(row.allocated),
    ipAddress: '127.0.0.1',
    affinityId: `TVM:${row.id}`,
    vmSize: pool.vm_size,
    totalTasksRun: row.total_run,
    runningTasksCount: running,
    runningTaskSlotsCount: slots,
    totalTasksSucceeded: row.total_succeeded,
    isDedicated: row.dedicated === 1,
    ...(startTask === undefined ? {} : { startTask }),
    ...(start === undefined ? {} : { startTaskInfo: { ...nodeTaskInfo(call, start), ...retriesOf(start) } }),
    ...(row.errors === null ? {} : { errors: JSON.parse(row.errors) as unknown }),
  };
}
