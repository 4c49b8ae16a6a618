import { checkConditions } from '../http/conditions.ts';
import { jsonBody, metadata, param, type Backend, type Call, type Operation, type Reply } from '../http/call.ts';
import { conditionOf, expandsStats, listReply, pageOf, pick, selectOf } from '../http/lists.ts';
import { filterTables } from '../odata/properties.ts';
import type { JobRow } from '../store/rows.ts';
import { etagOf, httpDate } from '../time.ts';
import { refusal } from '../wire/errors.ts';
import {
  jobDisableShape,
  jobPatchShape,
  jobPutShape,
  jobShape,
  jobTerminateShape,
  type JobSpec,
} from '../wire/specs.ts';
import { checkNewId, columnsOf, createJob, withDefaults } from './create-job.ts';
import { renderJob, renderPreparation } from './render.ts';

export function jobOf(backend: Backend, call: Call): JobRow {
  const row = backend.store.jobs.find(call.account, param(call, 'job'));
  if (row === undefined) throw refusal('JobNotFound');
  return row;
}

function entityHeaders(call: Call, row: JobRow): Record<string, string> {
  return {
    etag: etagOf(row.modified),
    'last-modified': httpDate(row.modified),
    dataserviceid: `${call.base}/jobs/${row.id}`,
  };
}

function changed(backend: Backend, call: Call, row: JobRow, status: number): Reply {
  return { status, headers: entityHeaders(call, backend.store.jobs.get(row.seq) ?? row) };
}

const add: Operation = (backend, call) => {
  const spec = jobShape(jsonBody(call), '') as JobSpec;
  const row = backend.store.transaction(() => {
    checkNewId(backend, call.account, spec.id, 'job');
    return createJob(backend, call.account, spec);
  });
  return { status: 201, headers: { ...entityHeaders(call, row), location: `${call.base}/jobs/${row.id}` } };
};

const list: Operation = (backend, call) => {
  const stats = expandsStats(call);
  const page = pageOf(call);
  const select = selectOf(call);
  const rows = backend.store.jobs.list(call.account, page.after, page.size + 1, conditionOf(call, filterTables.jobs));
  return listReply(
    call,
    '/jobs',
    'jobs',
    page,
    rows,
    (row) => row.seq,
    (row) => pick(renderJob(call, row, stats), select),
  );
};

const get: Operation = (backend, call) => {
  const stats = expandsStats(call);
  const row = jobOf(backend, call);
  checkConditions(call, row.modified, 'read');
  const headers = { etag: etagOf(row.modified), 'last-modified': httpDate(row.modified) };
  const entity = pick(renderJob(call, row, stats), selectOf(call));
  return { status: 200, headers, json: { ...metadata(call, 'jobs/@Element'), ...entity } };
};

function refuseEnded(row: JobRow): void {
  if (row.state === 'completed') throw refusal('JobCompleted');
  if (row.state === 'terminating') throw refusal('JobBeingTerminated');
  if (row.state === 'deleting') throw refusal('JobBeingDeleted');
}

/** Stores a changed job and lets the change work: another pool, priority, limit, or "terminate when all is done". */
function respec(backend: Backend, call: Call, row: JobRow, spec: JobSpec): Reply {
  const columns = columnsOf(spec, row.created);
  if (columns.poolKey !== row.pool_key && row.state !== 'disabled') throw refusal('OperationInvalidForCurrentState');
  backend.store.jobs.update(row, columns, backend.stamps.next());
  if (columns.deadline !== undefined) backend.core.onWake(columns.deadline);
  backend.core.kick(row.account, columns.poolKey);
  backend.jobs.settle(row.seq);
  return changed(backend, call, row, 200);
}

const patch: Operation = (backend, call) => {
  const given = jobPatchShape(jsonBody(call), '') as Partial<JobSpec>;
  return backend.store.transaction(() => {
    const row = jobOf(backend, call);
    checkConditions(call, row.modified, 'write');
    refuseEnded(row);
    return respec(backend, call, row, withDefaults({ ...(JSON.parse(row.spec) as JobSpec), ...given }));
  });
};

const put: Operation = (backend, call) => {
  const given = jobPutShape(jsonBody(call), '') as Omit<JobSpec, 'id'>;
  return backend.store.transaction(() => {
    const row = jobOf(backend, call);
    checkConditions(call, row.modified, 'write');
    refuseEnded(row);
    const old = JSON.parse(row.spec) as Record<string, unknown>;
    for (const name of Object.keys(old)) {
      if (['priority', 'maxParallelTasks', 'constraints', 'metadata', 'onAllTasksComplete'].includes(name)) {
        Reflect.deleteProperty(old, name);
      }
    }
    return respec(backend, call, row, withDefaults({ ...(old as unknown as JobSpec), ...given }));
  });
};

function transition(act: (backend: Backend, call: Call, row: JobRow) => void): Operation {
  return (backend, call) =>
    backend.store.transaction(() => {
      const row = jobOf(backend, call);
      checkConditions(call, row.modified, 'write');
      act(backend, call, row);
      return changed(backend, call, row, 202);
    });
}

const disable = transition((backend, call, row) => {
  const { disableTasks } = jobDisableShape(jsonBody(call), '') as { disableTasks: string };
  backend.jobs.disable(row, disableTasks);
});
const enable = transition((backend, _call, row) => backend.jobs.enable(row));
const terminate = transition((backend, call, row) => {
  const { terminateReason } = jobTerminateShape(jsonBody(call), '') as { terminateReason?: string };
  backend.jobs.terminate(row, terminateReason ?? 'UserTerminate');
});
const remove: Operation = (backend, call) =>
  backend.store.transaction(() => {
    const row = jobOf(backend, call);
    checkConditions(call, row.modified, 'write');
    backend.jobs.remove(row);
    return { status: 202 };
  });

const taskCounts: Operation = (backend, call) => {
  const row = jobOf(backend, call);
  return {
    status: 200,
    json: {
      ...metadata(call, 'taskcountsresult/@Element'),
      taskCounts: {
        active: row.n_active,
        running: row.n_running,
        completed: row.n_completed,
        succeeded: row.n_succeeded,
        failed: row.n_failed,
      },
      taskSlotCounts: {
        active: row.s_active,
        running: row.s_running,
        completed: row.s_completed,
        succeeded: row.s_succeeded,
        failed: row.s_failed,
      },
    },
  };
};

const preparationStatus: Operation = (backend, call) => {
  const row = jobOf(backend, call);
  if ((JSON.parse(row.spec) as JobSpec).jobPreparationTask === undefined) {
    throw refusal('JobPreparationTaskOrReleaseTaskNotSpecified');
  }
  const page = pageOf(call);
  const select = selectOf(call);
  const condition = conditionOf(call, filterTables.preparation);
  return listReply(
    call,
    `/jobs/${row.id}/jobpreparationandreleasetaskstatus`,
    'jobpreparationandreleasetaskstatuslist',
    page,
    backend.store.nodeTasks.list(row.seq, page.after, page.size + 1, condition),
    ({ seq }) => seq,
    (status) => pick(renderPreparation(call, row, status), select),
  );
};

export const jobOperations = {
  add, list, get, patch, put, disable, enable, terminate, remove, taskCounts, preparationStatus,
}; // prettier-ignore
