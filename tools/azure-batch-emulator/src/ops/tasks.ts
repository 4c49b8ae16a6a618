import { checkConditions } from '../http/conditions.ts';
import { jsonBody, metadata, param, type Backend, type Call, type Operation, type Reply } from '../http/call.ts';
import { conditionOf, expandsStats, listReply, pageOf, pick, selectOf } from '../http/lists.ts';
import { filterTables } from '../odata/properties.ts';
import { taskEnded } from '../schedule/decide.ts';
import type { JobRow, TaskRow } from '../store/rows.ts';
import type { NewTask } from '../store/tasks.ts';
import { etagOf, httpDate, isoTime, type Micros } from '../time.ts';
import { textOf } from '../faults.ts';
import { BatchError, faultError, itemError, refusal } from '../wire/errors.ts';
import { invalid } from '../wire/shape.ts';
import { taskPutShape, taskShape, type JobSpec, type TaskConstraints, type TaskSpec } from '../wire/specs.ts';
import { constraintsOf } from './create-job.ts';
import { jobOf } from './jobs.ts';
import { renderTask } from './render.ts';

const maxCollection = 100;

export function taskOf(backend: Backend, call: Call): { job: JobRow; task: TaskRow } {
  const job = jobOf(backend, call);
  const task = backend.store.tasks.find(job.seq, param(call, 'task'));
  if (task === undefined) throw refusal('TaskNotFound');
  return { job, task };
}

function refuseUnlessOpen(job: JobRow): void {
  if (job.state === 'completed') throw refusal('JobCompleted');
  if (job.state === 'terminating') throw refusal('JobBeingTerminated');
  if (job.state === 'deleting') throw refusal('JobBeingDeleted');
}

/** Checks and adds one task; call in a transaction, and count what was added. @throws BatchError */
function insert(backend: Backend, job: JobRow, jobSpec: JobSpec, body: unknown, now: Micros): NewTask {
  const given = taskShape(body, '') as TaskSpec;
  if (given.dependsOn !== undefined && jobSpec.usesTaskDependencies !== true) {
    throw refusal('TaskDependenciesNotSpecifiedOnJob');
  }
  if (job.on_failure === 'noaction' && JSON.stringify(given.exitConditions ?? {}).includes('"jobAction"')) {
    throw invalid('exitConditions', 'jobAction', 'the job has onTaskFailure noaction');
  }
  const id = given.id.toLowerCase();
  if (jobSpec.jobPreparationTask?.id?.toLowerCase() === id) throw refusal('TaskIdSameAsJobPreparationTask');
  if (jobSpec.jobReleaseTask?.id?.toLowerCase() === id) throw refusal('TaskIdSameAsJobReleaseTask');
  const constraints = constraintsOf(given.constraints, jobSpec);
  const spec: TaskSpec = { ...given, constraints };
  const task = {
    id: spec.id,
    spec: JSON.stringify(spec),
    slots: spec.requiredSlots ?? 1,
    taskIds: spec.dependsOn?.taskIds ?? [],
    ranges: spec.dependsOn?.taskIdRanges ?? [],
  };
  if (backend.store.tasks.add(job.seq, task, now) === undefined) throw refusal('TaskExists');
  return task;
}

function idOf(item: unknown): string {
  const id = (item as { id?: unknown } | null)?.id;
  return typeof id === 'string' ? id : '';
}

const urlOf = (call: Call, job: JobRow, id: string): string => `${call.base}/jobs/${job.id}/tasks/${id}`;

const add: Operation = (backend, call) => {
  const body = jsonBody(call);
  const { job, task, now } = backend.store.transaction(() => {
    const job = jobOf(backend, call);
    refuseUnlessOpen(job);
    const now = backend.stamps.next();
    const task = insert(backend, job, JSON.parse(job.spec) as JobSpec, body, now);
    backend.store.tasks.counted(job.seq, 1, task.slots);
    return { job, task, now };
  });
  backend.core.kick(job.account, job.pool_key);
  const url = urlOf(call, job, task.id);
  const headers = { etag: etagOf(now), 'last-modified': httpDate(now) };
  return { status: 201, headers: { ...headers, dataserviceid: url, location: url } };
};

const addCollection: Operation = (backend, call) => {
  const body = jsonBody(call);
  if (!Array.isArray(body['value'])) {
    throw refusal('MissingRequiredProperty', { PropertyName: 'value' });
  }
  const items = body['value'] as unknown[];
  if (items.length > maxCollection)
    throw invalid('value', items.length, `it must not have more than ${maxCollection} entries`);
  const word = (status: string): string => (call.lowerCase ? status.toLowerCase() : status);
  const { job, results } = backend.store.transaction(() => {
    const job = jobOf(backend, call);
    refuseUnlessOpen(job);
    const jobSpec = JSON.parse(job.spec) as JobSpec;
    // One time for the whole collection: an ETag tells versions of one task apart, not tasks.
    const now = backend.stamps.next();
    const added = { status: word('Success'), eTag: etagOf(now), lastModified: isoTime(now) };
    let count = 0;
    let slots = 0;
    const results = items.map((item) => {
      try {
        const fault = backend.faults.take('task.add', { account: call.account, job: job.id, task: idOf(item) });
        if (fault?.kind === 'fail') throw faultError(undefined, textOf(fault, 'code', 'ServerBusy'), {});
        const task = insert(backend, job, jobSpec, item, now);
        count += 1;
        slots += task.slots;
        return { ...added, taskId: task.id, location: urlOf(call, job, task.id) };
      } catch (error) {
        if (!(error instanceof BatchError)) throw error;
        const status = word(error.status >= 500 && error.status !== 501 ? 'ServerError' : 'ClientError');
        return { status, taskId: idOf(item), error: itemError(error, call.requestId, now) };
      }
    });
    if (count > 0) backend.store.tasks.counted(job.seq, count, slots);
    return { job, results };
  });
  backend.core.kick(job.account, job.pool_key);
  return { status: 200, json: { ...metadata(call, 'taskaddresult'), value: results } };
};

const list: Operation = (backend, call) => {
  const stats = expandsStats(call);
  const job = jobOf(backend, call);
  const page = pageOf(call);
  const select = selectOf(call);
  const condition = conditionOf(call, filterTables.tasks);
  const rows = backend.store.tasks.list(job.seq, page.after, page.size + 1, condition);
  return listReply(
    call,
    `/jobs/${job.id}/tasks`,
    'tasks',
    page,
    rows,
    (row) => row.seq,
    (row) => pick(renderTask(call, job.id, row, select, stats), select),
  );
};

const get: Operation = (backend, call) => {
  const stats = expandsStats(call);
  const { job, task } = taskOf(backend, call);
  checkConditions(call, task.modified, 'read');
  const headers = { etag: etagOf(task.modified), 'last-modified': httpDate(task.modified) };
  const entity = pick(renderTask(call, job.id, task, undefined, stats), selectOf(call));
  return { status: 200, headers, json: { ...metadata(call, 'tasks/@Element'), ...entity } };
};

const put: Operation = (backend, call) => {
  const { constraints: wanted } = taskPutShape(jsonBody(call), '') as { constraints?: TaskConstraints };
  return backend.store.transaction(() => {
    const { job, task } = taskOf(backend, call);
    checkConditions(call, task.modified, 'write');
    if (task.state === 'completed') throw refusal('TaskCompleted');
    const constraints = constraintsOf(wanted ?? {}, JSON.parse(job.spec) as JobSpec);
    const spec = { ...(JSON.parse(task.spec) as TaskSpec), constraints };
    const now = backend.stamps.next();
    backend.store.tasks.respec(task, JSON.stringify(spec), now);
    const headers = { etag: etagOf(now), 'last-modified': httpDate(now), dataserviceid: urlOf(call, job, task.id) };
    return { status: 200, headers };
  });
};

const remove: Operation = (backend, call) =>
  backend.store.transaction((): Reply => {
    const { job, task } = taskOf(backend, call);
    checkConditions(call, task.modified, 'write');
    const ended = backend.core.live.get(task.seq)?.ended ?? Promise.resolve();
    backend.core.interrupt(task.seq, { kind: 'drop' });
    backend.store.tasks.remove(task);
    void ended.then(() => backend.clock.removeFiles(task));
    backend.jobs.settle(job.seq);
    return { status: 200 };
  });

const terminate: Operation = (backend, call) =>
  backend.store.transaction(() => {
    const { job, task } = taskOf(backend, call);
    checkConditions(call, task.modified, 'write');
    if (task.state === 'completed') throw refusal('TaskCompleted');
    if (task.state !== 'active') backend.core.interrupt(task.seq, { kind: 'end', failure: taskEnded });
    else {
      const ending = { exitCode: undefined, result: 'failure', failure: taskEnded, satisfied: false } as const;
      backend.store.tasks.complete(task, { ...ending, filesExpire: undefined }, backend.stamps.next());
      backend.jobs.settle(job.seq);
    }
    return { status: 204 };
  });

const reactivate: Operation = (backend, call) => {
  const job = backend.store.transaction(() => {
    const { job, task } = taskOf(backend, call);
    checkConditions(call, task.modified, 'write');
    refuseUnlessOpen(job);
    if (task.state !== 'completed') throw refusal('TaskNotCompleted');
    if (task.result === 'success') throw refusal('TaskSucceeded');
    backend.store.tasks.reactivate(task, backend.stamps.next());
    return job;
  });
  backend.core.kick(job.account, job.pool_key);
  return { status: 204 };
};

const subtasks: Operation = (backend, call) => {
  taskOf(backend, call);
  return { status: 200, json: { ...metadata(call, 'subtasks'), value: [] } };
};

export const taskOperations = { add, addCollection, list, get, put, remove, terminate, reactivate, subtasks };
