import { createHash } from 'node:crypto';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { nodeRootOf } from '../run/environment.ts';
import type { NodeRow, PoolRow } from '../store/rows.ts';
import type { Core, Seat, Verdict } from './core.ts';
import { taskEnded } from './decide.ts';

/** A node's id, as pools of virtual machines name theirs; the time makes it new after every boot from nothing. */
function nodeId(pool: PoolRow, ordinal: number, dedicated: boolean, now: number): string {
  const hash = createHash('sha256').update(`${pool.account}/${pool.seq}/${ordinal}/${now}`).digest('hex');
  return `tvmps_${hash.slice(0, 32)}_${dedicated ? 'd' : 'p'}`;
}

function verdictOf(option: string): Verdict | undefined {
  if (option === 'terminate') return { kind: 'end', failure: taskEnded };
  return option === 'requeue' ? { kind: 'requeue' } : undefined;
}

/** Pools' nodes: allocation, resizing, removal, reboot, preemption. */
export class Fleet {
  readonly #core: Core;

  constructor(core: Core) {
    this.#core = core;
  }

  /** Brings a pool to its targets after the time that nodes need to boot. */
  allocate(pool: number, afterMs = this.#core.options.nodeBootMs): void {
    this.#core.after(afterMs, () => this.allocateNow(pool));
  }

  allocateNow(seq: number): void {
    const { store } = this.#core;
    const pool = store.pools.get(seq);
    if (pool?.state !== 'active' || pool.allocation_state === 'steady') return;
    store.transaction(() => {
      const nodes = store.pools.nodes(seq);
      if (pool.allocation_state === 'stopping') return;
      this.#reach(pool, nodes, true, pool.target_dedicated);
      this.#reach(pool, nodes, false, pool.target_low);
    });
    this.#settle(seq);
    this.#core.onKick(seq);
  }

  #reach(pool: PoolRow, nodes: readonly NodeRow[], dedicated: boolean, target: number): void {
    const mine = nodes.filter((node) => (node.dedicated === 1) === dedicated);
    for (let count = mine.length; count < target; count += 1) {
      const now = this.#core.stamps.next();
      const node = this.#core.store.pools.addNode(
        pool.seq,
        { id: nodeId(pool, count, dedicated, now), dedicated },
        now,
      );
      this.#core.addSeat(pool, node);
    }
    const seats = this.#core.seatsOf(pool.seq);
    const idleFirst = mine
      .map((node) => seats.get(node.id))
      .filter((seat) => seat !== undefined)
      .sort((left, right) => left.used - right.used);
    for (const seat of idleFirst.slice(0, Math.max(0, mine.length - target))) this.leave(pool, seat, pool.deallocation);
  }

  /** Takes a node out: at once when idle, otherwise when its tasks ended or were ended as the option says. */
  leave(pool: PoolRow, seat: Seat, option: string): void {
    seat.open = false;
    seat.leaving = true;
    this.#core.store.pools.nodeState(seat.seq, 'leavingpool', this.#core.stamps.next());
    const verdict = verdictOf(option);
    if (verdict !== undefined) for (const task of seat.runs) this.#core.interrupt(task, verdict);
    if (seat.runs.size === 0) this.#gone(pool, seat);
  }

  #gone(pool: PoolRow, seat: Seat): void {
    this.#core.seatsOf(pool.seq).delete(seat.id);
    this.#core.store.pools.removeNode(seat.seq);
    const root = nodeRootOf(this.#core.options.dataDirectory, pool.account, pool.id, seat.id);
    void rm(root, { recursive: true, force: true }).catch(() => undefined);
  }

  /** A run left this node. */
  vacated(poolSeq: number, seat: Seat): void {
    if (seat.runs.size > 0) return;
    const { store, stamps } = this.#core;
    const pool = store.pools.get(poolSeq);
    if (pool === undefined) return;
    store.transaction(() => {
      if (seat.leaving) this.#gone(pool, seat);
      else if (store.pools.findNode(poolSeq, seat.id)?.state === 'running') {
        store.pools.nodeState(seat.seq, 'idle', stamps.next());
      }
    });
    if (seat.leaving) this.#settle(poolSeq);
  }

  #settle(seq: number): void {
    const { store, stamps } = this.#core;
    const pool = store.pools.get(seq);
    if (pool === undefined) return;
    const seats = [...this.#core.seatsOf(seq).values()];
    if (pool.state === 'deleting') {
      if (seats.length > 0) return;
      store.transaction(() => store.pools.remove(seq));
      this.#core.seats.delete(seq);
      const root = join(this.#core.options.dataDirectory, 'nodes', pool.account, pool.id);
      void rm(root, { recursive: true, force: true }).catch(() => undefined);
      return;
    }
    if (pool.allocation_state === 'steady' || seats.some((seat) => seat.leaving)) return;
    store.transaction(() => store.pools.allocation(seq, 'steady', stamps.next()));
  }

  remove(pool: PoolRow): void {
    this.#core.store.pools.deleting(pool.seq, this.#core.stamps.next());
    for (const seat of [...this.#core.seatsOf(pool.seq).values()]) this.leave(pool, seat, 'requeue');
    this.#core.after(0, () => this.#settle(pool.seq));
  }

  /** Reboots a node; what it ran is requeued, ended or waited for. */
  reboot(pool: PoolRow, seat: Seat, option: string): void {
    this.#down(pool.seq, seat, 'rebooting', option, this.#core.options.nodeBootMs);
  }

  /** The node is taken away, as a spot node is: its tasks are requeued, and it comes back after `downMs`. */
  preempt(pool: number, node: string, downMs: number): boolean {
    const seat = this.#core.seatsOf(pool).get(node);
    if (seat === undefined) return false;
    this.#down(pool, seat, 'preempted', 'requeue', downMs);
    return true;
  }

  #down(pool: number, seat: Seat, state: string, option: string, downMs: number): void {
    const { store, stamps } = this.#core;
    seat.open = false;
    store.transaction(() => store.pools.nodeState(seat.seq, state, stamps.next()));
    const verdict = verdictOf(option);
    const runs = [...seat.runs];
    if (verdict !== undefined) for (const task of runs) this.#core.interrupt(task, verdict);
    const ended = runs.map((task) => this.#core.live.get(task)?.ended ?? Promise.resolve());
    void Promise.all(ended).then(() =>
      this.#core.after(downMs, () => {
        const row = store.pools.findNode(pool, seat.id);
        if (row === undefined || seat.leaving) return;
        store.transaction(() => store.pools.nodeBooted(seat.seq, stamps.next()));
        seat.open = row.scheduling === 'enabled';
        this.#core.onKick(pool);
      }),
    );
  }

  scheduling(pool: PoolRow, seat: Seat, enabled: boolean, option = 'requeue'): void {
    this.#core.store.pools.nodeScheduling(seat.seq, enabled ? 'enabled' : 'disabled');
    seat.open = enabled;
    const verdict = enabled ? undefined : verdictOf(option);
    if (verdict !== undefined) for (const task of seat.runs) this.#core.interrupt(task, verdict);
    if (enabled) this.#core.onKick(pool.seq);
  }
}
