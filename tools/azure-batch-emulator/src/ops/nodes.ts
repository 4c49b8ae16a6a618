import { jsonBody, metadata, param, type Backend, type Call, type Operation } from '../http/call.ts';
import { conditionOf, listReply, pageOf, pick, selectOf } from '../http/lists.ts';
import { filterTables } from '../odata/properties.ts';
import type { Seat } from '../schedule/core.ts';
import type { NodeRow, PoolRow } from '../store/rows.ts';
import { refusal } from '../wire/errors.ts';
import { nodeDisableShape, nodeRebootShape, removeNodesShape } from '../wire/specs.ts';
import { poolOf } from './pools.ts';
import { renderNode } from './render.ts';

function nodeOf(backend: Backend, call: Call): { pool: PoolRow; node: NodeRow; seat: Seat } {
  const pool = poolOf(backend, call);
  const node = backend.store.pools.findNode(pool.seq, param(call, 'node'));
  const seat = backend.core.seatsOf(pool.seq).get(param(call, 'node'));
  if (node === undefined || seat === undefined) throw refusal('NodeNotFound');
  return { pool, node, seat };
}

function render(backend: Backend, call: Call, pool: PoolRow, node: NodeRow): Record<string, unknown> {
  const seat = backend.core.seatsOf(pool.seq).get(node.id);
  return renderNode(call, pool, node, seat?.runs.size ?? 0, seat?.used ?? 0);
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

const reboot: Operation = (backend, call) => {
  const given = nodeRebootShape(jsonBody(call), '') as { nodeRebootOption?: string };
  const { pool, node, seat } = nodeOf(backend, call);
  if (node.state !== 'idle' && node.state !== 'running') throw refusal('NodeNotReady');
  backend.fleet.reboot(pool, seat, given.nodeRebootOption ?? 'requeue');
  return { status: 202 };
};

const disableScheduling: Operation = (backend, call) => {
  const given = nodeDisableShape(jsonBody(call), '') as { nodeDisableSchedulingOption?: string };
  const { pool, node, seat } = nodeOf(backend, call);
  if (node.scheduling === 'disabled') throw refusal('NodeAlreadyInTargetSchedulingState');
  backend.fleet.scheduling(pool, seat, false, given.nodeDisableSchedulingOption);
  return { status: 200 };
};

const enableScheduling: Operation = (backend, call) => {
  const { pool, node, seat } = nodeOf(backend, call);
  if (node.scheduling === 'enabled') throw refusal('NodeAlreadyInTargetSchedulingState');
  backend.fleet.scheduling(pool, seat, true);
  return { status: 200 };
};

const removeNodes: Operation = (backend, call) => {
  const given = removeNodesShape(jsonBody(call), '') as { nodeList: string[]; nodeDeallocationOption?: string };
  return backend.store.transaction(() => {
    const pool = poolOf(backend, call);
    if (pool.state === 'deleting') throw refusal('PoolBeingDeleted');
    if (pool.allocation_state !== 'steady') throw refusal('PoolBeingResized');
    const seats = [...new Set(given.nodeList)].map((id) => {
      const seat = backend.core.seatsOf(pool.seq).get(id);
      if (seat === undefined) throw refusal('NodeNotFound', { NodeId: id });
      return seat;
    });
    const option = given.nodeDeallocationOption ?? 'requeue';
    const dedicated = pool.target_dedicated - seats.filter((seat) => seat.dedicated).length;
    const low = pool.target_low - seats.filter((seat) => !seat.dedicated).length;
    backend.store.pools.resize(pool, dedicated, low, option, backend.stamps.next());
    for (const seat of seats) backend.fleet.leave(pool, seat, option);
    backend.fleet.allocate(pool.seq, 0);
    return { status: 202 };
  });
};

const nodeStates = [
  'creating', 'idle', 'offline', 'preempted', 'rebooting', 'reimaging', 'running', 'starting', 'startTaskFailed',
  'leavingPool', 'unknown', 'unusable', 'waitingForStartTask',
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

export const nodeOperations = { list, get, reboot, disableScheduling, enableScheduling, removeNodes, counts };
