import { lowerCasing, type Call } from '../http/call.ts';
import type { FailureInfo, JobRow, NodeRow, PoolRow, TaskRow } from '../store/rows.ts';
import { etagOf, isoTime } from '../time.ts';
import type { JobSpec, PoolSpec, TaskSpec } from '../wire/specs.ts';

type Entity = Record<string, unknown>;

const time = (name: string, at: number | null): Entity => (at === null ? {} : { [name]: isoTime(at) });

function failureOf(call: Call, text: string | null): Entity {
  if (text === null) return {};
  const failure = JSON.parse(text) as FailureInfo;
  const category = lowerCasing(call.apiVersion) ? failure.category.toLowerCase() : failure.category;
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

export function renderTask(call: Call, jobId: string, row: TaskRow, select: ReadonlySet<string> | undefined): Entity {
  const flat = select !== undefined && [...select].every((name) => taskColumns.has(name));
  const spec: Partial<TaskSpec> = flat ? {} : (JSON.parse(row.spec) as TaskSpec);
  const ran = row.node_id !== null && row.pool_id !== null && row.start_time !== null;
  const taskRoot = `workitems/${jobId}/job-1/${row.id}`;
  return {
    ...spec,
    id: row.id,
    url: `${call.base}/jobs/${jobId}/tasks/${row.id}`,
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
  };
}

export function renderJob(call: Call, row: JobRow): Entity {
  const spec = JSON.parse(row.spec) as JobSpec;
  return {
    ...spec,
    id: row.id,
    url: `${call.base}/jobs/${row.id}`,
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
  };
}

export function renderPool(call: Call, row: PoolRow, nodes: readonly NodeRow[]): Entity {
  const spec = JSON.parse(row.spec) as PoolSpec;
  const current = (dedicated: number): number => nodes.filter((node) => node.dedicated === dedicated).length;
  return {
    resizeTimeout: 'PT15M',
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
    enableAutoScale: false,
  };
}

export function renderNode(call: Call, pool: PoolRow, row: NodeRow, running: number, slots: number): Entity {
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
  };
}
