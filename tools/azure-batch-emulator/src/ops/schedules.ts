import { checkConditions } from '../http/conditions.ts';
import { jsonBody, metadata, param, type Backend, type Call, type Operation, type Reply } from '../http/call.ts';
import { conditionOf, expandsStats, listReply, pageOf, pick, selectOf } from '../http/lists.ts';
import { filterTables } from '../odata/properties.ts';
import type { ScheduleRow } from '../store/rows.ts';
import type { ScheduleColumns } from '../store/schedules.ts';
import { etagOf, httpDate, parseTime, type Micros } from '../time.ts';
import { refusal } from '../wire/errors.ts';
import { schedulePatchShape, schedulePutShape, scheduleShape } from '../wire/schedule-specs.ts';
import type { ScheduleSpec } from '../wire/specs.ts';
import { checkNewId, withDefaults } from './create-job.ts';
import { renderJob, renderSchedule } from './render.ts';
import type { JobTotals } from './render-stats.ts';

export function scheduleOf(backend: Backend, call: Call): ScheduleRow {
  const row = backend.store.schedules.find(call.account, param(call, 'schedule'));
  if (row === undefined) throw refusal('JobScheduleNotFound');
  return row;
}

function entityHeaders(call: Call, row: ScheduleRow): Record<string, string> {
  return {
    etag: etagOf(row.modified),
    'last-modified': httpDate(row.modified),
    dataserviceid: `${call.base}/jobschedules/${row.id}`,
  };
}

/** @param anchor the first moment at which a job is due when the times do not say one */
function columnsOf(given: ScheduleSpec, anchor: Micros): ScheduleColumns {
  const spec = { ...given, jobSpecification: withDefaults(given.jobSpecification) };
  const notUntil = parseTime(spec.schedule?.doNotRunUntil ?? '');
  return {
    spec: JSON.stringify(spec),
    anchor: notUntil ?? anchor,
    notUntil,
    notAfter: parseTime(spec.schedule?.doNotRunAfter ?? ''),
  };
}

const add: Operation = (backend, call) => {
  const spec = scheduleShape(backend.shortest)(jsonBody(call), '') as ScheduleSpec;
  const row = backend.store.transaction(() => {
    checkNewId(backend, call.account, spec.id, 'schedule');
    const now = backend.stamps.next();
    return backend.store.schedules.add(call.account, spec.id, columnsOf(spec, now), now);
  });
  backend.schedules.settle(row.seq);
  return { status: 201, headers: { ...entityHeaders(call, row), location: `${call.base}/jobschedules/${row.id}` } };
};

/** Sums over the schedule's jobs that are still there. */
function totalsOf(backend: Backend, row: ScheduleRow): JobTotals {
  const sums = { created: row.created, modified: row.modified, wall_time: 0, cpu_time: 0, wait_time: 0, n_succeeded: 0, n_failed: 0, retries: 0 }; // prettier-ignore
  for (let after = 0; ;) {
    const jobs = backend.store.schedules.jobsOf(row.seq, after, 500, undefined);
    for (const job of jobs) {
      sums.wall_time += job.wall_time;
      sums.cpu_time += job.cpu_time;
      sums.wait_time += job.wait_time;
      sums.n_succeeded += job.n_succeeded;
      sums.n_failed += job.n_failed;
      sums.retries += job.retries;
    }
    if (jobs.length < 500) return sums;
    after = jobs.at(-1)?.seq ?? 0;
  }
}

const list: Operation = (backend, call) => {
  const stats = expandsStats(call);
  const page = pageOf(call);
  const select = selectOf(call);
  const condition = conditionOf(call, filterTables.jobschedules);
  return listReply(
    call,
    '/jobschedules',
    'jobschedules',
    page,
    backend.store.schedules.list(call.account, page.after, page.size + 1, condition),
    (row) => row.seq,
    (row) => pick(renderSchedule(call, row, stats ? totalsOf(backend, row) : undefined), select),
  );
};

const get: Operation = (backend, call) => {
  const stats = expandsStats(call);
  const row = scheduleOf(backend, call);
  checkConditions(call, row.modified, 'read');
  const entity = pick(renderSchedule(call, row, stats ? totalsOf(backend, row) : undefined), selectOf(call));
  const headers = { etag: etagOf(row.modified), 'last-modified': httpDate(row.modified) };
  return { status: 200, headers, json: { ...metadata(call, 'jobschedules/@Element'), ...entity } };
};

const exists: Operation = (backend, call) => {
  const row = scheduleOf(backend, call);
  checkConditions(call, row.modified, 'read');
  return { status: 200, headers: { etag: etagOf(row.modified), 'last-modified': httpDate(row.modified) } };
};

/** Keeps a changed schedule; jobs that are created from now on follow it. */
function respec(backend: Backend, call: Call, change: (old: ScheduleSpec) => ScheduleSpec): Reply {
  const row = backend.store.transaction(() => {
    const row = scheduleOf(backend, call);
    checkConditions(call, row.modified, 'write');
    if (row.state === 'completed') throw refusal('JobScheduleCompleted');
    if (row.state === 'terminating') throw refusal('JobScheduleBeingTerminated');
    if (row.state === 'deleting') throw refusal('JobScheduleBeingDeleted');
    const spec = change(JSON.parse(row.spec) as ScheduleSpec);
    backend.store.schedules.update(row, columnsOf(spec, row.anchor), backend.stamps.next());
    return row;
  });
  backend.schedules.settle(row.seq);
  return { status: 200, headers: entityHeaders(call, scheduleOf(backend, call)) };
}

const patch: Operation = (backend, call) => {
  const given = schedulePatchShape(backend.shortest)(jsonBody(call), '') as Partial<ScheduleSpec>;
  return respec(backend, call, (old) => ({ ...old, ...given }));
};

const put: Operation = (backend, call) => {
  const given = schedulePutShape(backend.shortest)(jsonBody(call), '') as Omit<ScheduleSpec, 'id'>;
  return respec(backend, call, ({ id, displayName }) => ({
    id,
    ...(displayName === undefined ? {} : { displayName }),
    ...given,
  }));
};

function transition(act: (backend: Backend, row: ScheduleRow) => void, status: number): Operation {
  return (backend, call) =>
    backend.store.transaction(() => {
      const row = scheduleOf(backend, call);
      checkConditions(call, row.modified, 'write');
      act(backend, row);
      const after = backend.store.schedules.get(row.seq);
      return { status, headers: entityHeaders(call, after ?? row) };
    });
}
const disable = transition((backend, row) => backend.schedules.disable(row), 204);
const enable = transition((backend, row) => backend.schedules.enable(row), 204);
const terminate = transition((backend, row) => backend.schedules.terminate(row), 202);

const remove: Operation = (backend, call) =>
  backend.store.transaction(() => {
    const row = scheduleOf(backend, call);
    checkConditions(call, row.modified, 'write');
    backend.schedules.remove(row);
    return { status: 202 };
  });

const jobs: Operation = (backend, call) => {
  const stats = expandsStats(call);
  const row = scheduleOf(backend, call);
  const page = pageOf(call);
  const select = selectOf(call);
  const condition = conditionOf(call, filterTables.scheduleJobs);
  return listReply(
    call,
    `/jobschedules/${row.id}/jobs`,
    'jobs',
    page,
    backend.store.schedules.jobsOf(row.seq, page.after, page.size + 1, condition),
    (job) => job.seq,
    (job) => pick(renderJob(call, job, stats), select),
  );
};

export const scheduleOperations = { add, list, get, exists, patch, put, disable, enable, terminate, remove, jobs };
