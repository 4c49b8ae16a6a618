import { checkConditions } from '../http/conditions.ts';
import { jsonBody, metadata, param, type Backend, type Call, type Operation } from '../http/call.ts';
import { conditionOf, listReply, pageOf, pick, selectOf } from '../http/lists.ts';
import { filterTables } from '../odata/properties.ts';
import type { Seat } from '../schedule/core.ts';
import type { NodeRow, PoolRow } from '../store/rows.ts';
import { durationMicros } from '../time.ts';
import { refusal } from '../wire/errors.ts';
import {
  nodeDeallocateShape,
  nodeDisableShape,
  nodeRebootShape,
  nodeReimageShape,
  nodeUserPutShape,
  nodeUserShape,
  removeNodesShape,
} from '../wire/pool-specs.ts';
import { poolOf } from './pools.ts';
import { nodeUrl, renderNode } from './render.ts';

function nodeOf(backend: Backend, call: Call): { pool: PoolRow; node: NodeRow; seat: Seat } {
  const pool = poolOf(backend, call);
  const node = backend.store.pools.findNode(pool.seq, param(call, 'node'));
  const seat = backend.core.seatsOf(pool.seq).get(param(call, 'node'));
  if (node === undefined || seat === undefined) throw refusal('NodeNotFound');
  return { pool, node, seat };
}

function render(backend: Backend, call: Call, pool: PoolRow, node: NodeRow): Record<string, unknown> {
  const seat = backend.core.seatsOf(pool.seq).get(node.id);
  const start = backend.store.nodeTasks.find(0, 'start', node.id);
  return renderNode(call, pool, node, start, seat?.runs.size ?? 0, seat?.used ?? 0);
}

const list: Operation = (backend, call) => {
  const pool = poolOf(backend, call);
  const page = pageOf(call);
  const select = selectOf(call);
  const condition = conditionOf(call, filterTables.nodes);
  const rows = backend.store.pools.listNodes(pool.seq, page.after, page.size + 1, condition);
  return listReply(
    call,
    `/pools/${pool.id}/nodes`,
    'nodes',
    page,
    rows,
    (row) => row.seq,
    (row) => pick(render(backend, call, pool, row), select),
  );
};

const get: Operation = (backend, call) => {
  const { pool, node } = nodeOf(backend, call);
  const entity = pick(render(backend, call, pool, node), selectOf(call));
  return { status: 200, json: { ...metadata(call, 'nodes/@Element'), ...entity } };
};

/** States in which a node can be taken down: it is up, or its start task has failed. */
const steadyStates = ['idle', 'running', 'starttaskfailed', 'unusable'];

const reboot: Operation = (backend, call) => {
  const given = nodeRebootShape(jsonBody(call), '') as { nodeRebootOption?: string };
  const { pool, node, seat } = nodeOf(backend, call);
  if (!steadyStates.includes(node.state)) throw refusal('NodeNotReady');
  backend.nodes.reboot(pool, seat, given.nodeRebootOption ?? 'requeue');
  return { status: 202 };
};

const reimage: Operation = (backend, call) => {
  const given = nodeReimageShape(jsonBody(call), '') as { nodeReimageOption?: string };
  const { pool, node, seat } = nodeOf(backend, call);
  if (!steadyStates.includes(node.state)) throw refusal('NodeNotReady');
  backend.nodes.reimage(pool, seat, given.nodeReimageOption ?? 'requeue');
  return { status: 202 };
};

const deallocate: Operation = (backend, call) => {
  const given = nodeDeallocateShape(jsonBody(call), '') as { nodeDeallocateOption?: string };
  const { pool, node, seat } = nodeOf(backend, call);
  if (!steadyStates.includes(node.state)) throw refusal('NodeNotReady');
  backend.nodes.deallocate(pool, seat, given.nodeDeallocateOption ?? 'requeue');
  return { status: 202 };
};

const start: Operation = (backend, call) => {
  const { pool, node, seat } = nodeOf(backend, call);
  if (node.state !== 'deallocated') throw refusal('OperationInvalidForCurrentState');
  backend.nodes.start(pool, seat);
  return { status: 202 };
};

const addUser: Operation = (backend, call) => {
  const { name, ...spec } = nodeUserShape(jsonBody(call), '') as { name: string };
  const { node } = nodeOf(backend, call);
  const added = backend.store.transaction(() => backend.store.pools.addUser(node.seq, name, JSON.stringify(spec)));
  if (!added) throw refusal('NodeUserExists');
  const location = `${nodeUrl(call, param(call, 'pool'), node.id)}/users/${encodeURIComponent(name)}`;
  return { status: 201, headers: { location, dataserviceid: location } };
};

const updateUser: Operation = (backend, call) => {
  const spec = JSON.stringify(nodeUserPutShape(jsonBody(call), ''));
  const { node } = nodeOf(backend, call);
  const found = backend.store.transaction(() => backend.store.pools.updateUser(node.seq, param(call, 'user'), spec));
  if (!found) throw refusal('NodeUserNotFound');
  return { status: 200 };
};

const removeUser: Operation = (backend, call) => {
  const { node } = nodeOf(backend, call);
  const found = backend.store.transaction(() => backend.store.pools.removeUser(node.seq, param(call, 'user')));
  if (!found) throw refusal('NodeUserNotFound');
  return { status: 200 };
};

/** Every node is this machine: its own ssh port, if it has one. */
const remoteLogin: Operation = (backend, call) => {
  nodeOf(backend, call);
  const settings = { remoteLoginIPAddress: '127.0.0.1', remoteLoginPort: 22 };
  return {
    status: 200,
    json: { ...metadata(call, 'Microsoft.Azure.Batch.Protocol.Entities.ComputeNodeRemoteLoginSettings'), ...settings },
  };
};

const disableScheduling: Operation = (backend, call) => {
  const given = nodeDisableShape(jsonBody(call), '') as { nodeDisableSchedulingOption?: string };
  const { pool, node, seat } = nodeOf(backend, call);
  if (node.scheduling === 'disabled') throw refusal('NodeAlreadyInTargetSchedulingState');
  backend.nodes.scheduling(pool, seat, false, given.nodeDisableSchedulingOption);
  return { status: 200 };
};

const enableScheduling: Operation = (backend, call) => {
  const { pool, node, seat } = nodeOf(backend, call);
  if (node.scheduling === 'enabled') throw refusal('NodeAlreadyInTargetSchedulingState');
  backend.nodes.scheduling(pool, seat, true);
  return { status: 200 };
};

const removeNodes: Operation = (backend, call) => {
  const given = removeNodesShape(jsonBody(call), '') as {
    nodeList: string[];
    nodeDeallocationOption?: string;
    resizeTimeout?: string;
  };
  return backend.store.transaction(() => {
    const pool = poolOf(backend, call);
    if (pool.state === 'deleting') throw refusal('PoolBeingDeleted');
    checkConditions(call, pool.modified, 'write');
    if (pool.formula !== null) throw refusal('PoolAutoScaleEnabled');
    if (pool.allocation_state !== 'steady') throw refusal('PoolBeingResized');
    const seats = [...new Set(given.nodeList)].map((id) => {
      const seat = backend.core.seatsOf(pool.seq).get(id);
      if (seat === undefined) throw refusal('NodeNotFound', { NodeId: id });
      return seat;
    });
    const option = given.nodeDeallocationOption ?? 'requeue';
    const dedicated = Math.max(0, pool.target_dedicated - seats.filter((seat) => seat.dedicated).length);
    const low = Math.max(0, pool.target_low - seats.filter((seat) => !seat.dedicated).length);
    const timeout = durationMicros(given.resizeTimeout ?? '') ?? null;
    backend.store.pools.resize(pool, dedicated, low, option, timeout, backend.stamps.next());
    for (const seat of seats) backend.fleet.leave(pool, seat, option);
    backend.fleet.allocate(pool.seq, 0);
    return { status: 202 };
  });
};

const nodeStates = [
  'creating', 'idle', 'offline', 'preempted', 'rebooting', 'reimaging', 'running', 'starting', 'startTaskFailed',
  'leavingPool', 'unknown', 'unusable', 'waitingForStartTask', 'deallocated', 'deallocating', 'upgradingOS',
]; // prettier-ignore

const counts: Operation = (backend, call) => {
  const page = pageOf(call);
  const { pools } = backend.store;
  const rows = pools.list(call.account, page.after, page.size + 1, conditionOf(call, filterTables.nodecounts));
  const countOf = (nodes: readonly NodeRow[]): Record<string, number> => ({
    ...Object.fromEntries(
      nodeStates.map((state) => [state, nodes.filter((node) => node.state === state.toLowerCase()).length]),
    ),
    total: nodes.length,
  });
  return listReply(
    call,
    '/nodecounts',
    'poolnodecounts',
    page,
    rows,
    (row) => row.seq,
    (row) => {
      const nodes = pools.nodes(row.seq);
      return {
        poolId: row.id,
        dedicated: countOf(nodes.filter((node) => node.dedicated === 1)),
        lowPriority: countOf(nodes.filter((node) => node.dedicated === 0)),
      };
    },
  );
};

export const nodeOperations = {
  list, get, reboot, reimage, deallocate, start, disableScheduling, enableScheduling, removeNodes, counts,
  addUser, updateUser, removeUser, remoteLogin,
}; // prettier-ignore
