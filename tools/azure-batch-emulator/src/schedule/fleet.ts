import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { numberOf, textOf } from '../faults.ts';
import { nodeRootOf } from '../run/environment.ts';
import type { NodeRow, PoolRow } from '../store/rows.ts';
import type { Core, Seat } from './core.ts';
import { nodeId, resizeError, verdictOf } from './node-rules.ts';
import type { NodeLife } from './node-life.ts';
import { roomFor } from './quotas.ts';

/** Pools' nodes: allocation within quotas, resizing, removal. */
export class Fleet {
  readonly #core: Core;
  readonly #nodes: NodeLife;

  constructor(core: Core, nodes: NodeLife) {
    this.#core = core;
    this.#nodes = nodes;
  }

  /** Brings a pool to its targets after the time that nodes need to boot. */
  allocate(seq: number, afterMs = this.#core.options.nodeBootMs): void {
    const pool = this.#core.store.pools.get(seq);
    if (pool === undefined) return;
    const fault = this.#core.options.faults.take('allocate', { account: pool.account, pool: pool.id });
    const timeoutMs = (pool.resize_timeout ?? Infinity) / 1000;
    const delayMs = afterMs + (fault?.kind === 'delay' ? numberOf(fault, 'ms', 1000) : 0);
    if (delayMs > timeoutMs) return this.#core.after(timeoutMs, () => this.#giveUp(seq, 'AllocationTimedout'));
    this.#core.after(delayMs, () => {
      if (fault?.kind === 'fail') this.#giveUp(seq, textOf(fault, 'code', 'AllocationFailed'));
      else this.allocateNow(seq);
    });
  }

  #giveUp(seq: number, code: string): void {
    const { store } = this.#core;
    const pool = store.pools.get(seq);
    if (pool?.state !== 'active' || pool.allocation_state === 'steady') return;
    store.transaction(() => store.pools.resizeErrors(seq, JSON.stringify([resizeError(code)])));
    this.#settle(seq);
  }

  allocateNow(seq: number): void {
    const { store } = this.#core;
    const pool = store.pools.get(seq);
    if (pool?.state !== 'active' || pool.allocation_state === 'steady') return;
    const added = store.transaction(() => {
      const nodes = store.pools.nodes(seq).filter((node) => node.state !== 'leavingpool');
      const of = (dedicated: boolean): NodeRow[] => nodes.filter((node) => (node.dedicated === 1) === dedicated);
      if (pool.allocation_state === 'stopping') {
        const short = of(true).length < pool.target_dedicated || of(false).length < pool.target_low;
        if (short) store.pools.resizeErrors(seq, JSON.stringify([resizeError('ResizeStopped')]));
        return [];
      }
      const dedicated = this.#reach(pool, of(true), true, pool.target_dedicated);
      const low = this.#reach(pool, of(false), false, pool.target_low);
      const codes = [
        ...(dedicated.short ? ['AccountCoreQuotaReached'] : []),
        ...(low.short ? ['AccountLowPriorityCoreQuotaReached'] : []),
      ];
      if (codes.length > 0) store.pools.resizeErrors(seq, JSON.stringify(codes.map(resizeError)));
      return [...dedicated.seats, ...low.seats];
    });
    for (const seat of added) this.#nodes.boot(seq, seat);
    this.#settle(seq);
    this.#core.onKick(seq);
  }

  /** Cores that an account may still take, in nodes of this pool. */
  #room(pool: PoolRow, dedicated: boolean): number {
    const { options, store } = this.#core;
    const quotas = options.quotas(pool.account);
    const used = store.pools
      .nodesByPool(pool.account)
      .filter((row) => (row.dedicated === 1) === dedicated)
      .reduce((sum, row) => sum + row.nodes * options.coresOf(row.vm_size), 0);
    return roomFor(dedicated ? quotas.dedicatedCores : quotas.lowPriorityCores, used, options.coresOf(pool.vm_size));
  }

  #reach(
    pool: PoolRow,
    mine: readonly NodeRow[],
    dedicated: boolean,
    target: number,
  ): { seats: Seat[]; short: boolean } {
    const added: Seat[] = [];
    const lacking = Math.max(0, target - mine.length);
    const room = lacking === 0 ? 0 : this.#room(pool, dedicated);
    for (let count = mine.length; count < mine.length + Math.min(lacking, room); count += 1) {
      const now = this.#core.stamps.next();
      const id = nodeId(pool, count, dedicated, now);
      const node = this.#core.store.pools.addNode(pool.seq, { id, dedicated, state: 'starting' }, now);
      added.push(this.#core.addSeat(pool, node));
    }
    const seats = this.#core.seatsOf(pool.seq);
    const idleFirst = mine
      .map((node) => seats.get(node.id))
      .filter((seat) => seat !== undefined)
      .sort((left, right) => left.used - right.used);
    for (const seat of idleFirst.slice(0, Math.max(0, mine.length - target))) this.leave(pool, seat, pool.deallocation);
    return { seats: added, short: lacking > room };
  }

  /** Takes a node out: at once when idle, otherwise when its tasks ended or were ended as the option says. */
  leave(pool: PoolRow, seat: Seat, option: string): void {
    seat.leaving = true;
    seat.retains = option === 'retaineddata';
    this.#core.store.pools.nodeState(seat.seq, 'leavingpool', this.#core.stamps.next());
    const verdict = verdictOf(option);
    if (verdict !== undefined) for (const task of seat.runs) this.#core.interrupt(task, verdict);
    this.#core.interruptSide({ seat });
    if (seat.runs.size === 0) this.#depart(pool, seat);
  }

  /** The node goes, or waits until the files that tasks keep on it have expired. */
  #depart(pool: PoolRow, seat: Seat): void {
    const { store, stamps } = this.#core;
    const until = seat.retains ? store.tasks.retainedUntil(pool.id, seat.id) : undefined;
    if (until === undefined) return this.#gone(pool, seat);
    const delayMs = Math.max(10, Math.min((until - stamps.next()) / 1000 + 10, 2 ** 31 - 1));
    this.#core.after(delayMs, () => {
      if (this.#core.seatsOf(pool.seq).get(seat.id) !== seat || seat.runs.size > 0) return;
      store.transaction(() => this.#depart(pool, seat));
      this.#settle(pool.seq);
    });
  }

  #gone(pool: PoolRow, seat: Seat): void {
    const node = this.#core.store.pools.findNode(pool.seq, seat.id);
    this.#core.seatsOf(pool.seq).delete(seat.id);
    if (node !== undefined) this.forget(pool, node);
  }

  /** Removes a node that runs nothing any more. */
  forget(pool: PoolRow, node: NodeRow): void {
    const { store, stamps, options } = this.#core;
    const cores = options.coresOf(pool.vm_size);
    const used = { pool_id: pool.id, vm_size: pool.vm_size, cores, first: node.allocated, last: stamps.next() };
    store.accounting.nodeUsed(pool.account, used);
    store.pools.removeNode(node.seq);
    store.nodeTasks.forgetNode(node.id);
    const root = nodeRootOf(options.dataDirectory, pool.account, pool.id, node.id);
    void rm(root, { recursive: true, force: true }).catch(() => undefined);
  }

  /** A run left this node. */
  vacated(poolSeq: number, seat: Seat): void {
    if (seat.runs.size > 0) return;
    const { store, stamps } = this.#core;
    const pool = store.pools.get(poolSeq);
    if (pool === undefined) return;
    store.transaction(() => {
      if (seat.leaving) this.#depart(pool, seat);
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
      store.transaction(() => {
        store.pools.remove(seq);
        store.accounting.forgetPool(seq);
      });
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
}
