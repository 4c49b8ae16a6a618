import type { FaultBoard } from '@xva/emulator-kit';
import type { RunServices, TaskRun } from '../run/task-run.ts';
import type { FailureInfo, NodeRow, PoolRow } from '../store/rows.ts';
import type { Store } from '../store/store.ts';
import type { Micros, Stamps } from '../time.ts';
import type { PoolSpec } from '../wire/specs.ts';
import type { Quotas } from './quotas.ts';

/** Why a run was interrupted: its task goes back to the queue, is completed as ended, or is gone altogether. */
export type Verdict =
  | { readonly kind: 'requeue' }
  /** The node's preparation failed: the task goes elsewhere, and that is no requeue. */
  | { readonly kind: 'unprepared' }
  | { readonly kind: 'end'; readonly failure: FailureInfo }
  | { readonly kind: 'drop' };

/** A node in memory: only what dispatching needs. The row in the store stays the truth about the rest. */
export interface Seat {
  readonly seq: number;
  readonly id: string;
  readonly dedicated: boolean;
  readonly slots: number;
  /** The node is there and its start task has let it in. */
  up: boolean;
  enabled: boolean;
  leaving: boolean;
  /** It leaves when nothing that tasks keep is on it any more. */
  retains: boolean;
  /** Whether new tasks may come. */
  readonly open: boolean;
  used: number;
  readonly runs: Set<number>;
}

/** A start, preparation or release task that runs on a node. */
export interface SideRun {
  readonly seat: Seat;
  /** Number of its job; 0 for a start task. */
  readonly job: number;
  readonly run: TaskRun;
  interrupted: boolean;
  ended: Promise<unknown>;
}

export interface LiveRun {
  readonly task: number;
  readonly job: number;
  readonly pool: number;
  readonly slots: number;
  readonly seat: Seat;
  readonly run: TaskRun;
  verdict?: Verdict;
  ended: Promise<void>;
}

export interface CoreOptions {
  readonly store: Store;
  readonly stamps: Stamps;
  readonly faults: FaultBoard;
  readonly services: RunServices;
  readonly dataDirectory: string;
  /** Milliseconds that a node needs to boot (new pool, resize, reboot). */
  readonly nodeBootMs: number;
  readonly accountUrl: () => string;
  readonly quotas: (account: string) => Quotas;
  readonly coresOf: (vmSize: string) => number;
  /** Identities (lower case) that a pool carries; undefined = not restricted. */
  readonly poolIdentities: (account: string, poolId: string) => ReadonlySet<string> | undefined;
  readonly report: (message: string, error: unknown) => void;
}

/** What the parts of the scheduler share: the store, the nodes in memory and the runs that are alive. */
export class Core {
  readonly options: CoreOptions;
  readonly store: Store;
  readonly stamps: Stamps;
  readonly seats = new Map<number, Map<string, Seat>>();
  readonly live = new Map<number, LiveRun>();
  readonly side = new Set<SideRun>();
  stopping = false;
  /** Set by the dispatcher and the clock; the other parts only ring. */
  onKick: (pool: number) => void = () => undefined;
  onWake: (at: Micros) => void = () => undefined;
  /** A job is over or gone: set by the job schedules. */
  onJobOver: (schedule: number) => void = () => undefined;
  readonly #timers = new Set<NodeJS.Timeout>();

  constructor(options: CoreOptions) {
    this.options = options;
    this.store = options.store;
    this.stamps = options.stamps;
  }

  seatsOf(pool: number): Map<string, Seat> {
    let seats = this.seats.get(pool);
    if (seats === undefined) {
      seats = new Map();
      this.seats.set(pool, seats);
    }
    return seats;
  }

  addSeat(pool: PoolRow, node: NodeRow): Seat {
    const spec = JSON.parse(pool.spec) as PoolSpec;
    const seat: Seat = {
      seq: node.seq,
      id: node.id,
      dedicated: node.dedicated === 1,
      slots: spec.taskSlotsPerNode ?? 1,
      up: node.state === 'idle' || node.state === 'running',
      enabled: node.scheduling === 'enabled',
      leaving: node.leaving === 1,
      retains: false,
      get open() {
        return this.up && this.enabled && !this.leaving;
      },
      used: 0,
      runs: new Set(),
    };
    this.seatsOf(pool.seq).set(node.id, seat);
    return seat;
  }

  /** Asks for a dispatch in the pool of this id, if there is one. */
  kick(account: string, poolKey: string): void {
    const pool = this.store.pools.find(account, poolKey);
    if (pool !== undefined) this.onKick(pool.seq);
  }

  interrupt(task: number, verdict: Verdict): void {
    const live = this.live.get(task);
    if (live === undefined || live.verdict !== undefined) return;
    live.verdict = verdict;
    live.run.stop();
  }

  interruptJob(job: number, verdict: Verdict): void {
    for (const live of this.live.values()) if (live.job === job) this.interrupt(live.task, verdict);
  }

  /** Ends start, preparation and release tasks, of a node or of a job; they start over if they are wanted again. */
  interruptSide(which: { readonly seat?: Seat; readonly job?: number }): readonly SideRun[] {
    const hit = [...this.side].filter(({ seat, job }) => seat === which.seat || job === which.job);
    for (const side of hit) {
      side.interrupted = true;
      side.run.stop();
    }
    return hit;
  }

  /** A timer that a stop cancels. */
  after(ms: number, work: () => void): void {
    const timer = setTimeout(() => {
      this.#timers.delete(timer);
      if (!this.stopping) this.guard(work);
    }, ms);
    this.#timers.add(timer);
  }

  guard(work: () => void): void {
    try {
      work();
    } catch (error) {
      this.options.report('scheduling failed', error);
    }
  }

  /** Ends every run without touching the store: a next life requeues the tasks, as after a lost node. */
  async stop(): Promise<void> {
    this.stopping = true;
    for (const timer of this.#timers) clearTimeout(timer);
    const ended = [...[...this.live.values()].map((live) => live.ended), ...[...this.side].map((side) => side.ended)];
    for (const live of this.live.values()) live.run.stop(true);
    for (const side of this.side) side.run.stop(true);
    await Promise.all(ended);
  }
}
