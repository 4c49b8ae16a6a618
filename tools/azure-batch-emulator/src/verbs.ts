import type { ControlVerb } from '@xva/emulator-kit';
import { z } from 'zod';
import type { Backend } from './http/call.ts';
import type { PoolRow } from './store/rows.ts';

const downMs = z.number().min(0).default(0);
const target = { account: z.string().optional(), pool: z.string().min(1), node: z.string().optional() };
const preempt = z.strictObject({ ...target, downMs });
const lose = z.strictObject({
  ...target,
  state: z.enum(['unknown', 'unusable', 'offline']).default('unknown'),
  downMs,
});
const resize = z.strictObject({
  account: z.string().optional(),
  pool: z.string().min(1),
  fail: z.string().min(1).default('AllocationFailed'),
  times: z.int().min(-1).default(1),
});
const deny = z.strictObject({
  identity: z.string().optional(),
  account: z.string().optional(),
  times: z.int().min(-1).default(-1),
});
const throttle = z.strictObject({
  op: z.string().optional(),
  account: z.string().optional(),
  status: z.union([z.literal(429), z.literal(503)]).default(429),
  retryAfter: z.union([z.string(), z.number()]).default(1),
  times: z.int().min(-1).default(1),
  probability: z.number().min(0).max(1).optional(),
  seed: z.int().optional(),
});

/** Only what was given: a rule has no undefined fields. */
function given<T extends object>(fields: T): { [K in keyof T]: Exclude<T[K], undefined> } {
  const entries = Object.entries(fields).filter(([, value]) => value !== undefined);
  return Object.fromEntries(entries) as { [K in keyof T]: Exclude<T[K], undefined> };
}

/** The verbs of the control port. A body that does not fit is refused with what is wrong in it. */
export function controlVerbs(backend: Backend): Readonly<Record<string, ControlVerb>> {
  const { store, core, nodes, faults, config } = backend;
  const poolOf = (account: string | undefined, pool: string): PoolRow | undefined =>
    store.pools.find(account ?? config.accounts[0]?.name ?? '', pool);
  /** The node that is named, or any that runs something. */
  const nodeOf = (pool: PoolRow, node: string | undefined): string =>
    node ?? [...core.seatsOf(pool.seq).values()].find((seat) => seat.runs.size > 0)?.id ?? '';
  return {
    'preempt-node': (body) => {
      const { account, pool, node, downMs } = preempt.parse(body ?? {});
      const row = poolOf(account, pool);
      return { preempted: row !== undefined && nodes.preempt(row.seq, nodeOf(row, node), downMs) };
    },
    'lose-node': (body) => {
      const { account, pool, node, state, downMs } = lose.parse(body ?? {});
      const row = poolOf(account, pool);
      return { lost: row !== undefined && nodes.lose(row.seq, nodeOf(row, node), state, downMs) };
    },
    'fail-resize': (body) => {
      const { account, pool, fail, times } = resize.parse(body ?? {});
      const match = given({ account, pool });
      return { id: faults.arm({ point: 'allocate', match, times, action: { kind: 'fail', code: fail } }) };
    },
    'deny-identity': (body) => {
      const { identity, account, times } = deny.parse(body ?? {});
      return {
        id: faults.arm({ point: 'identity', match: given({ identity, account }), times, action: { kind: 'deny' } }),
      };
    },
    throttle: (body) => {
      const { op, account, status, retryAfter, times, probability, seed } = throttle.parse(body ?? {});
      const action = { kind: 'status', status, retryAfter };
      return {
        id: faults.arm({
          point: 'request',
          match: given({ op, account }),
          times,
          ...given({ probability, seed }),
          action,
        }),
      };
    },
    state: () => ({
      runningTasks: core.live.size,
      nodeTasks: core.side.size,
      pools: store.pools.all().length,
      schedules: store.schedules.all().length,
    }),
  };
}
