import type { Backend } from '../http/call.ts';
import type { JobColumns } from '../store/jobs.ts';
import type { JobRow, ScheduleRow } from '../store/rows.ts';
import { durationMicros, unlimited, type Micros } from '../time.ts';
import { refusal } from '../wire/errors.ts';
import {
  preparationId,
  releaseId,
  type JobSpec,
  type ManagerSpec,
  type ScheduleSpec,
  type TaskSpec,
} from '../wire/specs.ts';

const taskConstraints = { maxWallClockTime: unlimited, retentionTime: 'P7D', maxTaskRetryCount: 0 };

/** Constraints of a task that is added: what its body leaves out; without any it takes the job's retry count. */
export function constraintsOf(given: TaskSpec['constraints'], job: JobSpec): NonNullable<TaskSpec['constraints']> {
  const fallback = given === undefined ? (job.constraints?.maxTaskRetryCount ?? 0) : 0;
  return { ...taskConstraints, maxTaskRetryCount: fallback, ...given };
}

/** The service echoes constraints and the job's own tasks complete: what a body leaves out has its default. */
export function withDefaults<T extends Omit<JobSpec, 'id'>>(spec: T): T {
  const { jobManagerTask: manager, jobPreparationTask: preparation, jobReleaseTask: release } = spec;
  return {
    ...spec,
    constraints: { maxWallClockTime: unlimited, maxTaskRetryCount: 0, ...spec.constraints },
    ...(manager === undefined
      ? {}
      : {
          jobManagerTask: {
            killJobOnCompletion: true, runExclusive: true, allowLowPriorityNode: true, requiredSlots: 1, ...manager,
            constraints: { ...taskConstraints, ...manager.constraints },
          },
        }),
    ...(preparation === undefined
      ? {}
      : {
          jobPreparationTask: {
            id: preparationId, waitForSuccess: true, rerunOnNodeRebootAfterSuccess: true, ...preparation,
            constraints: { ...taskConstraints, ...preparation.constraints },
          },
        }),
    ...(release === undefined
      ? {}
      : { jobReleaseTask: { id: releaseId, maxWallClockTime: 'PT15M', retentionTime: 'P7D', ...release } }),
  }; // prettier-ignore
}

export function columnsOf(spec: JobSpec, created: Micros): JobColumns {
  const limit = durationMicros(spec.constraints?.maxWallClockTime ?? '');
  return {
    spec: JSON.stringify(spec),
    poolKey: spec.poolInfo.poolId.toLowerCase(),
    priority: spec.priority ?? 0,
    maxParallel: spec.maxParallelTasks ?? -1,
    onAll: spec.onAllTasksComplete ?? 'noaction',
    onFailure: spec.onTaskFailure ?? 'noaction',
    deadline: limit === undefined ? undefined : created + limit,
  };
}

function addManager(backend: Backend, job: JobRow, manager: ManagerSpec, now: Micros): void {
  const { killJobOnCompletion, runExclusive, allowLowPriorityNode, ...task } = manager;
  backend.store.tasks.add(
    job.seq,
    {
      id: task.id,
      spec: JSON.stringify({ ...task, constraints: { ...taskConstraints, ...task.constraints } }),
      slots: task.requiredSlots ?? 1,
      kind: (runExclusive ?? true) ? 'exclusive' : 'manager',
      taskIds: [],
      ranges: [],
    },
    now,
  );
  backend.store.tasks.counted(job.seq, 1, task.requiredSlots ?? 1);
}

/** Jobs and job schedules of an account that count against its quota. */
export function liveJobsAndSchedules(backend: Backend, account: string): number {
  return backend.store.jobs.countLive(account) + backend.store.schedules.countLive(account);
}

/** Adds a job with its job manager task; call in a transaction. */
export function createJob(backend: Backend, account: string, given: JobSpec, schedule?: number): JobRow {
  const { store, stamps } = backend;
  const spec = withDefaults(given);
  const now = stamps.next();
  const columns = columnsOf(spec, now);
  store.jobs.add(account, spec.id, columns, now, schedule);
  if (columns.deadline !== undefined) backend.core.onWake(columns.deadline);
  const row = store.jobs.find(account, spec.id) as JobRow;
  if (spec.jobManagerTask !== undefined) addManager(backend, row, spec.jobManagerTask, now);
  backend.jobs.settle(row.seq);
  backend.core.kick(account, columns.poolKey);
  return row;
}

/** The next job of a schedule: `<schedule>:job-<n>`; call in a transaction. */
export function createScheduledJob(backend: Backend, row: ScheduleRow): JobRow {
  const { jobSpecification } = JSON.parse(row.spec) as ScheduleSpec;
  return createJob(backend, row.account, { ...jobSpecification, id: `${row.id}:job-${row.jobs + 1}` }, row.seq);
}

/** @throws BatchError when the id is taken by a job or a schedule, or the account's quota is reached */
export function checkNewId(backend: Backend, account: string, id: string, kind: 'job' | 'schedule'): void {
  const { store, faults } = backend;
  const job = store.jobs.find(account, id);
  const schedule = store.schedules.find(account, id);
  if (job !== undefined) {
    if (kind === 'schedule') throw refusal('JobWithSameIdExists');
    throw refusal(job.state === 'deleting' ? 'JobBeingDeleted' : 'JobExists');
  }
  if (schedule !== undefined) {
    if (kind === 'job') throw refusal('JobScheduleWithSameIdExists');
    throw refusal(schedule.state === 'deleting' ? 'JobScheduleBeingDeleted' : 'JobScheduleExists');
  }
  const full = liveJobsAndSchedules(backend, account) >= backend.quotas(account).activeJobsAndSchedules;
  if (full || faults.take('quota', { account, [kind]: id }) !== undefined) {
    throw refusal('ActiveJobAndScheduleQuotaReached');
  }
}
