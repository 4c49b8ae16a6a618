import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { numberOf, textOf } from '../faults.ts';
import { nodeRootOf } from '../run/environment.ts';
import type { NodeRow, PoolRow } from '../store/rows.ts';
import type { JobSpec, PoolSpec } from '../wire/specs.ts';
import type { Core, Seat } from './core.ts';
import { nodeId, resizeError, verdictOf } from './node-rules.ts';
import type { NodeWork, WorkResult } from './node-work.ts';
import { roomFor } from './quotas.ts';

/** How a node comes back: what of the job preparations on it is done again. */
type Comeback = 'reboot' | 'reimage';

/** Pools' nodes: allocation within quotas, resizing, removal, start tasks, reboot, reimage, preemption. */
export class Fleet {
  readonly #core: Core;
  readonly #work: NodeWork;

  constructor(core: Core, work: NodeWork) {
    this.#core = core;
    this.#work = work;
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
    for (const seat of added) this.#boot(seq, seat);
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

  /** The node is up: its start task comes first, if the pool has one. */
  #boot(poolSeq: number, seat: Seat): void {
    const { store, stamps } = this.#core;
    const pool = store.pools.get(poolSeq);
    if (pool === undefined) return;
    const { startTask } = JSON.parse(pool.spec) as PoolSpec;
    const wait = startTask !== undefined && (startTask.waitForSuccess ?? true);
    store.transaction(() => {
      store.pools.nodeBooted(seat.seq, wait ? 'starting' : 'idle', stamps.next());
      if (wait) store.pools.nodeState(seat.seq, 'waitingforstarttask', stamps.next());
    });
    seat.up = !wait;
    this.#core.onKick(poolSeq);
    if (startTask === undefined) return;
    void this.#work.start(pool, seat, startTask).then((result) => {
      this.#core.guard(() => this.#startEnded(poolSeq, seat, wait, result));
    });
  }

  #startEnded(poolSeq: number, seat: Seat, wait: boolean, result: WorkResult): void {
    const { store, stamps } = this.#core;
    const gone = this.#core.seatsOf(poolSeq).get(seat.id) !== seat;
    if (result === 'interrupted' || seat.leaving || gone || this.#core.stopping) return;
    store.transaction(() => {
      if (result === 'failure') {
        const error = { code: 'StartTaskFailed', message: 'The start task failed on the compute node' };
        store.pools.nodeErrors(seat.seq, JSON.stringify([error]));
      }
      if (wait) store.pools.nodeState(seat.seq, result === 'success' ? 'idle' : 'starttaskfailed', stamps.next());
    });
    if (!wait || result === 'failure') return;
    seat.up = true;
    this.#core.onKick(poolSeq);
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

  /** Reboots a node; what it ran is requeued, ended or waited for. */
  reboot(pool: PoolRow, seat: Seat, option: string): void {
    this.#down(pool.seq, seat, 'rebooting', option, this.#core.options.nodeBootMs, 'reboot');
  }

  /** Sets a node up from its image again: nothing that was on it stays. */
  reimage(pool: PoolRow, seat: Seat, option: string): void {
    this.#down(pool.seq, seat, 'reimaging', option, this.#core.options.nodeBootMs, 'reimage');
  }

  /** The node is taken away, as a spot node is: its tasks are requeued, and it comes back after `downMs`, from nothing. */
  preempt(pool: number, node: string, downMs: number): boolean {
    return this.#lose(pool, node, 'preempted', downMs, 'reimage');
  }

  /** The node stops answering or becomes unusable: its tasks are requeued, and it comes back after `downMs`. */
  lose(pool: number, node: string, state: 'unknown' | 'unusable' | 'offline', downMs: number): boolean {
    return this.#lose(pool, node, state, downMs, 'reboot');
  }

  #lose(pool: number, node: string, state: string, downMs: number, comeback: Comeback): boolean {
    const seat = this.#core.seatsOf(pool).get(node);
    if (seat === undefined || seat.leaving) return false;
    this.#down(pool, seat, state, 'requeue', downMs, comeback);
    return true;
  }

  deallocate(pool: PoolRow, seat: Seat, option: string): void {
    this.#down(pool.seq, seat, 'deallocating', option, this.#core.options.nodeBootMs, undefined);
  }

  /** Brings a deallocated node up again. */
  start(pool: PoolRow, seat: Seat): void {
    this.#core.store.transaction(() =>
      this.#core.store.pools.nodeState(seat.seq, 'starting', this.#core.stamps.next()),
    );
    this.#core.after(this.#core.options.nodeBootMs, () => this.#return(pool.seq, seat, 'starting', 'reboot'));
  }

  /** @param comeback undefined: the node stays away, deallocated */
  #down(pool: number, seat: Seat, state: string, option: string, downMs: number, comeback: Comeback | undefined): void {
    const { store, stamps } = this.#core;
    seat.up = false;
    store.transaction(() => store.pools.nodeState(seat.seq, state, stamps.next()));
    const verdict = verdictOf(option);
    const runs = [...seat.runs];
    if (verdict !== undefined) for (const task of runs) this.#core.interrupt(task, verdict);
    const sides = this.#core.interruptSide({ seat }).map((side) => side.ended);
    const ended = runs.map((task) => this.#core.live.get(task)?.ended ?? Promise.resolve());
    void Promise.all([...ended, ...sides]).then(() =>
      this.#core.after(downMs, () => {
        if (comeback !== undefined) return this.#return(pool, seat, state, comeback);
        if (store.pools.findNode(pool, seat.id)?.state !== state || seat.leaving) return;
        store.transaction(() => store.pools.nodeState(seat.seq, 'deallocated', stamps.next()));
      }),
    );
  }

  /** @param from the state that the node is in, unless something else has happened to it since */
  #return(poolSeq: number, seat: Seat, from: string, comeback: Comeback): void {
    const { store, options } = this.#core;
    const pool = store.pools.get(poolSeq);
    if (pool === undefined || seat.leaving || store.pools.findNode(poolSeq, seat.id)?.state !== from) return;
    store.transaction(() => this.#forgetPreparations(seat, comeback));
    const root = nodeRootOf(options.dataDirectory, pool.account, pool.id, seat.id);
    const wiped = comeback === 'reimage' ? rm(root, { recursive: true, force: true }) : Promise.resolve();
    void wiped.catch(() => undefined).then(() => this.#core.guard(() => this.#boot(poolSeq, seat)));
  }

  /** After a reimage every preparation is done again; after a reboot those that failed or that the job wants rerun. */
  #forgetPreparations(seat: Seat, comeback: Comeback): void {
    const { store } = this.#core;
    for (const row of store.nodeTasks.preparationsOn(seat.id)) {
      const job = store.jobs.get(row.job);
      const spec = job === undefined ? undefined : (JSON.parse(job.spec) as JobSpec);
      const rerun = spec?.jobPreparationTask?.rerunOnNodeRebootAfterSuccess ?? true;
      const over = job === undefined || job.state === 'completed' || job.state === 'deleting';
      if (!over && (comeback === 'reimage' || rerun || row.result !== 'success')) store.nodeTasks.forget(row.seq);
    }
  }

  /** Takes a node up again that an earlier life of this state left in this state. */
  resume(pool: PoolRow, node: NodeRow): void {
    const { store, stamps } = this.#core;
    const { startTask } = JSON.parse(pool.spec) as PoolSpec;
    const started = store.nodeTasks.find(0, 'start', node.id);
    const down = node.state === 'deallocated' || node.state === 'starttaskfailed';
    const waits = startTask !== undefined && started?.state !== 'completed';
    if (!down && !waits) store.pools.nodeState(node.seq, 'idle', stamps.next());
    const seat = this.#core.addSeat(pool, { ...node, state: down || waits ? 'starting' : 'idle' });
    if (waits && !down) this.#core.after(0, () => this.#boot(pool.seq, seat));
  }

  scheduling(pool: PoolRow, seat: Seat, enabled: boolean, option = 'requeue'): void {
    this.#core.store.pools.nodeScheduling(seat.seq, enabled ? 'enabled' : 'disabled');
    seat.enabled = enabled;
    const verdict = enabled ? undefined : verdictOf(option);
    if (verdict !== undefined) for (const task of seat.runs) this.#core.interrupt(task, verdict);
    if (enabled) this.#core.onKick(pool.seq);
  }
}
