import { nodeRootOf, placeOf } from '../run/environment.ts';
import { TaskRun, type RunOutcome } from '../run/task-run.ts';
import type { JobRow, PoolRow, TaskRow } from '../store/rows.ts';
import { numberOf } from '../faults.ts';
import { durationMicros } from '../time.ts';
import type { JobSpec, PoolSpec, TaskSpec } from '../wire/specs.ts';
import type { Core, LiveRun, Seat } from './core.ts';
import { chooseNode, decideEnd } from './decide.ts';
import type { Fleet } from './fleet.ts';
import type { JobLife } from './job-life.ts';

/** Ready tasks of a job that a dispatch passes over before it gives up for now. */
const lookAhead = 64;

interface Start {
  readonly task: TaskRow;
  readonly job: JobRow;
  readonly seat: Seat;
}

function affinityOf(task: TaskRow): string | undefined {
  if (!task.spec.includes('"affinityInfo"')) return undefined;
  return (JSON.parse(task.spec) as TaskSpec).affinityInfo?.affinityId;
}

/** Puts ready tasks on free slots, by job priority, whenever something rang; and takes their endings in. */
export class Dispatcher {
  readonly #core: Core;
  readonly #jobs: JobLife;
  readonly #fleet: Fleet;
  readonly #rung = new Set<number>();

  constructor(core: Core, jobs: JobLife, fleet: Fleet) {
    this.#core = core;
    this.#jobs = jobs;
    this.#fleet = fleet;
    core.onKick = (pool) => this.kick(pool);
  }

  kick(pool: number): void {
    if (this.#rung.size === 0) {
      setImmediate(() => {
        const pools = [...this.#rung];
        this.#rung.clear();
        if (!this.#core.stopping) for (const seq of pools) this.#core.guard(() => this.#dispatch(seq));
      });
    }
    this.#rung.add(pool);
  }

  #dispatch(poolSeq: number): void {
    const { store } = this.#core;
    const pool = store.pools.get(poolSeq);
    if (pool === undefined || pool.state !== 'active') return;
    const seats = [...this.#core.seatsOf(poolSeq).values()];
    let free = seats.reduce((sum, seat) => sum + (seat.open ? seat.slots - seat.used : 0), 0);
    if (free === 0) return;
    const fill = (JSON.parse(pool.spec) as PoolSpec).taskSchedulingPolicy?.nodeFillType ?? 'spread';
    const starts: Start[] = [];
    store.transaction(() => {
      for (const job of store.jobs.dispatchable(pool.account, pool.id_key)) {
        if (free === 0) break;
        const allowed = job.max_parallel === -1 ? Infinity : job.max_parallel - job.n_running;
        for (const start of this.#choose(job, seats, fill, Math.min(allowed, free))) {
          const now = this.#core.stamps.next();
          store.tasks.start(start.task, pool.id, start.seat.id, now);
          if (start.seat.used === start.task.slots) store.pools.nodeState(start.seat.seq, 'running', now);
          free -= start.task.slots;
          starts.push(start);
        }
      }
    });
    for (const start of starts) this.#start(pool, start);
  }

  /**
   * Seats up to `most` ready tasks of a job (their slots are taken at once). A task that fits nowhere is passed over, so
   * that a wide one at the head does not hold up narrow ones, but only so many of them.
   */
  #choose(job: JobRow, seats: readonly Seat[], fill: string, most: number): readonly Start[] {
    const starts: Start[] = [];
    let after = 0;
    let passed = 0;
    while (starts.length < most && passed <= lookAhead) {
      const wanted = most - starts.length;
      const tasks = this.#core.store.tasks.ready(job.seq, after, wanted);
      for (const task of tasks) {
        after = task.seq;
        // A task can still be winding down here after it was requeued: two runs of one task never overlap.
        const seat = this.#core.live.has(task.seq) ? undefined : chooseNode(seats, task.slots, fill, affinityOf(task));
        if (seat === undefined) {
          passed += 1;
          continue;
        }
        seat.used += task.slots;
        starts.push({ task, job, seat });
      }
      if (tasks.length < wanted) break;
    }
    return starts;
  }

  #start(pool: PoolRow, { task, job, seat }: Start): void {
    const { options, store } = this.#core;
    const nodeRoot = nodeRootOf(options.dataDirectory, pool.account, pool.id, seat.id);
    const run = new TaskRun(options.services, {
      task: JSON.parse(task.spec) as TaskSpec,
      job: JSON.parse(job.spec) as JobSpec,
      place: placeOf(nodeRoot, job.id, task.id),
      names: {
        account: pool.account,
        accountUrl: options.accountUrl(),
        poolId: pool.id,
        nodeId: seat.id,
        dedicated: seat.dedicated,
      },
      poolIdentities: options.poolIdentities(pool.account, pool.id),
      started: (pgid, startTime) => {
        store.tasks.started(task.seq, pgid, startTime);
        const fault = options.faults.take('task.run', { job: job.id, task: task.id, pool: pool.id, node: seat.id });
        if (fault?.kind !== 'preempt') return;
        this.#core.after(numberOf(fault, 'afterMs', 0), () =>
          this.#fleet.preempt(pool.seq, seat.id, numberOf(fault, 'downMs', 0)),
        );
      },
    });
    const live: LiveRun = {
      task: task.seq,
      job: job.seq,
      pool: pool.seq,
      slots: task.slots,
      seat,
      run,
      ended: Promise.resolve(),
    };
    seat.runs.add(task.seq);
    this.#core.live.set(task.seq, live);
    live.ended = run.run().then((outcome) => this.#ended(live, outcome));
  }

  #ended(live: LiveRun, outcome: RunOutcome): void {
    this.#core.live.delete(live.task);
    live.seat.runs.delete(live.task);
    live.seat.used -= live.slots;
    if (this.#core.stopping) return;
    this.#core.guard(() => {
      this.#core.store.transaction(() => this.#record(live, outcome));
      this.#fleet.vacated(live.pool, live.seat);
      this.#jobs.settle(live.job);
      this.kick(live.pool);
    });
  }

  #record(live: LiveRun, outcome: RunOutcome): void {
    const { store, stamps } = this.#core;
    const task = store.tasks.get(live.task);
    const job = store.jobs.get(live.job);
    if (task?.state !== 'running' || job === undefined || job.state === 'deleting') return;
    const now = stamps.next();
    const spec = JSON.parse(task.spec) as TaskSpec;
    const retention = durationMicros(spec.constraints?.retentionTime ?? '');
    const filesExpire = retention === undefined ? undefined : now + retention;
    const { verdict } = live;
    if (verdict?.kind === 'requeue') return store.tasks.again(task, 'requeue', now);
    if (verdict !== undefined) {
      const failure = verdict.kind === 'end' ? verdict.failure : undefined;
      const ending = { exitCode: outcome.exitCode, result: 'failure', failure, satisfied: false, filesExpire } as const;
      return store.tasks.complete(task, ending, now);
    }
    const decision = decideEnd(spec, task.retry_count, outcome);
    if (decision.kind === 'retry') return store.tasks.again(task, 'retry', now);
    const result = decision.failure === undefined ? 'success' : 'failure';
    store.tasks.complete(task, { ...decision, result, filesExpire }, now);
    store.pools.nodeRan(live.seat.seq, result === 'success');
    if (filesExpire !== undefined) this.#core.onWake(filesExpire);
    if (job.on_failure !== 'performexitoptionsjobaction' || decision.jobAction === 'none') return;
    if (job.state !== 'active') return;
    if (decision.jobAction === 'disable') this.#jobs.disable(job, 'requeue');
    else this.#jobs.terminate(job, 'TaskFailed');
  }
}
