import { checkConditions } from '../http/conditions.ts';
import { jsonBody, metadata, param, type Backend, type Call, type Operation, type Reply } from '../http/call.ts';
import { conditionOf, expandsStats, listReply, pageOf, pick, selectOf } from '../http/lists.ts';
import { filterTables } from '../odata/properties.ts';
import type { PoolRow } from '../store/rows.ts';
import { durationMicros, etagOf, httpDate, isoTime } from '../time.ts';
import { refusal } from '../wire/errors.ts';
import { poolPatchShape, poolPropertiesShape, poolResizeShape, poolShape } from '../wire/pool-specs.ts';
import type { PoolSpec } from '../wire/specs.ts';
import { checkFormula, defaultInterval } from './formula.ts';
import { renderPool } from './render.ts';
import { renderResourceStats, renderUsageStats } from './render-stats.ts';

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

export function changed(backend: Backend, call: Call, status: number): Reply {
  return { status, headers: entityHeaders(call, poolOf(backend, call)) };
}

/**
 * Creates a pool; its nodes come after the time that a node needs to boot.
 *
 * @throws BatchError PoolExists, PoolQuotaReached, AutoScalingFormulaSyntaxError
 */
export function createPool(backend: Backend, account: string, spec: PoolSpec): PoolRow {
  const { store, stamps, fleet, faults } = backend;
  const { autoScaleFormula: formula, autoScaleEvaluationInterval, resizeTimeout, enableAutoScale: _, ...kept } = spec;
  if (formula !== undefined) checkFormula(formula);
  const row = store.transaction(() => {
    const existing = store.pools.find(account, spec.id);
    if (existing !== undefined) throw refusal(existing.state === 'deleting' ? 'PoolBeingDeleted' : 'PoolExists');
    const full = store.pools.count(account) >= backend.quotas(account).pools;
    if (full || faults.take('quota', { account, pool: spec.id }) !== undefined) throw refusal('PoolQuotaReached');
    const pool = {
      id: spec.id,
      spec: JSON.stringify(kept),
      vmSize: spec.vmSize,
      interNode: (spec as { enableInterNodeCommunication?: boolean }).enableInterNodeCommunication ?? false,
      targetDedicated: spec.targetDedicatedNodes ?? 0,
      targetLow: spec.targetLowPriorityNodes ?? 0,
      resizeTimeout: durationMicros(resizeTimeout ?? ''),
    };
    const now = stamps.next();
    store.pools.add(account, pool, now);
    const added = store.pools.find(account, spec.id) as PoolRow;
    if (formula !== undefined) {
      const interval = durationMicros(autoScaleEvaluationInterval ?? '') ?? defaultInterval;
      store.pools.scaling(added.seq, { formula, interval, at: now }, now);
      backend.core.onWake(now);
    }
    return store.pools.find(account, spec.id) as PoolRow;
  });
  fleet.allocate(row.seq);
  return row;
}

const add: Operation = (backend, call) => {
  const spec = poolShape(backend.shortest)(jsonBody(call), '') as PoolSpec;
  const row = createPool(backend, call.account, spec);
  const url = `${call.base}/pools/${row.id}`;
  return { status: 201, headers: { ...entityHeaders(call, row), location: url } };
};

/** A pool as it is shown, with its stats if they are asked for. */
function shown(backend: Backend, call: Call, row: PoolRow, stats: boolean): Record<string, unknown> {
  const nodes = backend.store.pools.nodes(row.seq);
  const entity = renderPool(call, row, nodes);
  if (!stats) return entity;
  const now = backend.stamps.next();
  const cores = backend.core.options.coresOf(row.vm_size);
  const used = nodes.reduce((sum, node) => sum + cores * (now - node.allocated), 0);
  const statistics = {
    url: `${call.base}/pools/${row.id}`,
    startTime: isoTime(row.created),
    lastUpdateTime: isoTime(now),
    usageStats: renderUsageStats(row.created, now, used),
    resourceStats: renderResourceStats(row.created, now, backend.store.accounting.samples(row.seq)),
  };
  return { ...entity, stats: statistics };
}

const list: Operation = (backend, call) => {
  const stats = expandsStats(call);
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
    (row) => pick(shown(backend, call, row, stats), select),
  );
};

const get: Operation = (backend, call) => {
  const stats = expandsStats(call);
  const row = poolOf(backend, call);
  checkConditions(call, row.modified, 'read');
  const entity = shown(backend, call, row, stats);
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

/** Replaces the properties that can change; what the body leaves out is gone. */
const updateProperties: Operation = (backend, call) => {
  const given = poolPropertiesShape(jsonBody(call), '') as Partial<PoolSpec>;
  return backend.store.transaction(() => {
    const row = poolOf(backend, call);
    if (row.state === 'deleting') throw refusal('PoolBeingDeleted');
    const { startTask: _start, metadata: _metadata, ...kept } = JSON.parse(row.spec) as PoolSpec;
    backend.store.pools.respec(row, JSON.stringify({ ...kept, ...given }), backend.stamps.next());
    return changed(backend, call, 204);
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
    if (row.formula !== null) throw refusal('PoolAutoScaleEnabled');
    if (row.allocation_state !== 'steady') throw refusal('PoolBeingResized');
    const timeout = durationMicros(String(given['resizeTimeout'] ?? '')) ?? null;
    const dedicated = Number(given['targetDedicatedNodes'] ?? row.target_dedicated);
    const low = Number(given['targetLowPriorityNodes'] ?? row.target_low);
    const option = String(given['nodeDeallocationOption'] ?? 'requeue');
    backend.store.pools.resize(row, dedicated, low, option, timeout, backend.stamps.next());
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

export const poolOperations = { add, list, get, exists, patch, updateProperties, remove, resize, stopResize };
