import { checkConditions } from '../http/conditions.ts';
import { jsonBody, metadata, param, type Backend, type Call, type Operation, type Reply } from '../http/call.ts';
import { checkExpand, conditionOf, listReply, pageOf, pick, selectOf } from '../http/lists.ts';
import { filterTables } from '../odata/properties.ts';
import type { PoolRow } from '../store/rows.ts';
import { etagOf, httpDate } from '../time.ts';
import { refusal } from '../wire/errors.ts';
import { poolPatchShape, poolResizeShape, poolShape, type PoolSpec } from '../wire/specs.ts';
import { renderPool } from './render.ts';

export function poolOf(backend: Backend, call: Call): PoolRow {
  const row = backend.store.pools.find(call.account, param(call, 'pool'));
  if (row === undefined) throw refusal('PoolNotFound');
  return row;
}

function entityHeaders(call: Call, row: PoolRow): Record<string, string> {
  return {
    etag: etagOf(row.modified),
    'last-modified': httpDate(row.modified),
    dataserviceid: `${call.base}/pools/${row.id}`,
  };
}

function changed(backend: Backend, call: Call, status: number): Reply {
  return { status, headers: entityHeaders(call, poolOf(backend, call)) };
}

/** Creates a pool; its nodes come after the time that a node needs to boot. @throws BatchError PoolExists, PoolQuotaReached */
export function createPool(backend: Backend, account: string, spec: PoolSpec): void {
  const { store, stamps, fleet, config } = backend;
  store.transaction(() => {
    const existing = store.pools.find(account, spec.id);
    if (existing !== undefined) throw refusal(existing.state === 'deleting' ? 'PoolBeingDeleted' : 'PoolExists');
    if (store.pools.list(account, 0, config.limits.pools + 1, undefined).length >= config.limits.pools) {
      throw refusal('PoolQuotaReached');
    }
    const pool = {
      id: spec.id,
      spec: JSON.stringify(spec),
      vmSize: spec.vmSize,
      interNode: (spec as { enableInterNodeCommunication?: boolean }).enableInterNodeCommunication ?? false,
      targetDedicated: spec.targetDedicatedNodes ?? 0,
      targetLow: spec.targetLowPriorityNodes ?? 0,
    };
    store.pools.add(account, pool, stamps.next());
  });
  const row = store.pools.find(account, spec.id);
  if (row !== undefined) fleet.allocate(row.seq);
}

const add: Operation = (backend, call) => {
  const spec = poolShape(jsonBody(call), '') as PoolSpec;
  createPool(backend, call.account, spec);
  const row = backend.store.pools.find(call.account, spec.id) as PoolRow;
  const url = `${call.base}/pools/${row.id}`;
  return { status: 201, headers: { ...entityHeaders(call, row), location: url } };
};

const list: Operation = (backend, call) => {
  checkExpand(call);
  const page = pageOf(call);
  const select = selectOf(call);
  const { pools } = backend.store;
  const rows = pools.list(call.account, page.after, page.size + 1, conditionOf(call, filterTables.pools));
  return listReply(
    call,
    '/pools',
    'pools',
    page,
    rows,
    (row) => row.seq,
    (row) => pick(renderPool(call, row, pools.nodes(row.seq)), select),
  );
};

const get: Operation = (backend, call) => {
  checkExpand(call);
  const row = poolOf(backend, call);
  checkConditions(call, row.modified, 'read');
  const entity = renderPool(call, row, backend.store.pools.nodes(row.seq));
  const headers = { etag: etagOf(row.modified), 'last-modified': httpDate(row.modified) };
  return { status: 200, headers, json: { ...metadata(call, 'pools/@Element'), ...pick(entity, selectOf(call)) } };
};

const exists: Operation = (backend, call) => {
  const row = poolOf(backend, call);
  checkConditions(call, row.modified, 'read');
  return { status: 200, headers: { etag: etagOf(row.modified), 'last-modified': httpDate(row.modified) } };
};

const patch: Operation = (backend, call) => {
  const given = poolPatchShape(jsonBody(call), '') as Partial<PoolSpec>;
  return backend.store.transaction(() => {
    const row = poolOf(backend, call);
    checkConditions(call, row.modified, 'write');
    if (row.state === 'deleting') throw refusal('PoolBeingDeleted');
    const spec = { ...(JSON.parse(row.spec) as PoolSpec), ...given };
    backend.store.pools.respec(row, JSON.stringify(spec), backend.stamps.next());
    return changed(backend, call, 200);
  });
};

const remove: Operation = (backend, call) =>
  backend.store.transaction(() => {
    const row = poolOf(backend, call);
    checkConditions(call, row.modified, 'write');
    if (row.state === 'deleting') throw refusal('PoolBeingDeleted');
    backend.fleet.remove(row);
    return { status: 202 };
  });

const resize: Operation = (backend, call) => {
  const given = poolResizeShape(jsonBody(call), '') as Record<string, number | string | undefined>;
  if (given['targetDedicatedNodes'] === undefined && given['targetLowPriorityNodes'] === undefined) {
    throw refusal('MissingRequiredProperty', { PropertyName: 'targetDedicatedNodes' });
  }
  return backend.store.transaction(() => {
    const row = poolOf(backend, call);
    checkConditions(call, row.modified, 'write');
    if (row.state === 'deleting') throw refusal('PoolBeingDeleted');
    if (row.allocation_state !== 'steady') throw refusal('PoolBeingResized');
    const dedicated = Number(given['targetDedicatedNodes'] ?? row.target_dedicated);
    const low = Number(given['targetLowPriorityNodes'] ?? row.target_low);
    const option = String(given['nodeDeallocationOption'] ?? 'requeue');
    backend.store.pools.resize(row, dedicated, low, option, backend.stamps.next());
    backend.fleet.allocate(row.seq);
    return changed(backend, call, 202);
  });
};

const stopResize: Operation = (backend, call) =>
  backend.store.transaction(() => {
    const row = poolOf(backend, call);
    checkConditions(call, row.modified, 'write');
    if (row.allocation_state !== 'resizing') throw refusal('OperationInvalidForCurrentState');
    backend.store.pools.allocation(row.seq, 'stopping', backend.stamps.next());
    backend.fleet.allocate(row.seq, 0);
    return changed(backend, call, 202);
  });

export const poolOperations = { add, list, get, exists, patch, remove, resize, stopResize };
