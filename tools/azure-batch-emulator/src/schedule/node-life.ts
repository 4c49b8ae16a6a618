import { rm } from 'node:fs/promises';
import { nodeRootOf } from '../run/environment.ts';
import type { NodeRow, PoolRow } from '../store/rows.ts';
import type { JobSpec, PoolSpec } from '../wire/specs.ts';
import type { Core, Seat } from './core.ts';
import { verdictOf } from './node-rules.ts';
import type { NodeWork, WorkResult } from './node-work.ts';

/** How a node comes back: what of the job preparations on it is done again. */
type Comeback = 'reboot' | 'reimage';

/** What happens to a node while it belongs to its pool: start task, reboot, reimage, preemption, loss, scheduling. */
export class NodeLife {
  readonly #core: Core;
  readonly #work: NodeWork;

  constructor(core: Core, work: NodeWork) {
    this.#core = core;
    this.#work = work;
  }

  /** The node is up: its start task comes first, if the pool has one. */
  boot(poolSeq: number, seat: Seat): void {
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
    void wiped.catch(() => undefined).then(() => this.#core.guard(() => this.boot(poolSeq, seat)));
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
    if (waits && !down) this.#core.after(0, () => this.boot(pool.seq, seat));
  }

  scheduling(pool: PoolRow, seat: Seat, enabled: boolean, option = 'requeue'): void {
    this.#core.store.pools.nodeScheduling(seat.seq, enabled ? 'enabled' : 'disabled');
    seat.enabled = enabled;
    const verdict = enabled ? undefined : verdictOf(option);
    if (verdict !== undefined) for (const task of seat.runs) this.#core.interrupt(task, verdict);
    if (enabled) this.#core.onKick(pool.seq);
  }
}
