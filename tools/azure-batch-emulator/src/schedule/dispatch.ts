import { nodeRootOf, placeOf } from '../run/environment.ts';
import { TaskRun, type RunOutcome } from '../run/task-run.ts';
import type { JobRow, PoolRow, TaskRow } from '../store/rows.ts';
import { numberOf } from '../faults.ts';
import { durationMicros } from '../time.ts';
import { preparationId, type JobSpec, type PoolSpec, type TaskSpec } from '../wire/specs.ts';
import type { Core, LiveRun, Seat } from './core.ts';
import { chooseNode, decideEnd } from './decide.ts';
import type { Fleet } from './fleet.ts';
import type { NodeLife } from './node-life.ts';
import type { JobLife } from './job-life.ts';
import type { NodeWork } from './node-work.ts';

/** Ready tasks of a job that a dispatch passes over before it gives up for now. */
const lookAhead = 64;

interface Start {
  readonly task: TaskRow;
  readonly job: JobRow;
  readonly seat: Seat;
  /** Slots that it holds: all of the node's when it wants the node for itself. */
  readonly slots: number;
  /** Whether it waits on the node for the job's preparation task. */
  readonly waits: boolean;
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
  readonly #nodes: NodeLife;
  readonly #work: NodeWork;
  readonly #rung = new Set<number>();

  constructor(core: Core, jobs: JobLife, fleet: Fleet, nodes: NodeLife, work: NodeWork) {
    this.#core = core;
    this.#work = work;
    this.#jobs = jobs;
    this.#fleet = fleet;
    this.#nodes = nodes;
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
          store.tasks.start(start.task, start.waits ? 'preparing' : 'running', pool.id, start.seat.id, now);
          if (start.seat.used === start.slots) store.pools.nodeState(start.seat.seq, 'running', now);
          free -= start.slots;
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
    const spec = JSON.parse(job.spec) as JobSpec;
    const usable = seats.filter((seat) => this.#preparation(spec, job, seat) !== 'failed');
    let after = 0;
    let passed = 0;
    while (starts.length < most && passed <= lookAhead) {
      const wanted = most - starts.length;
      const tasks = this.#core.store.tasks.ready(job.seq, after, wanted);
      for (const task of tasks) {
        after = task.seq;
        // A task can still be winding down here after it was requeued: two runs of one task never overlap.
        const seat = this.#core.live.has(task.seq) ? undefined : this.#seatFor(task, spec, usable, fill);
        if (seat === undefined) {
          passed += 1;
          continue;
        }
        const slots = task.kind === 'exclusive' ? seat.slots : task.slots;
        seat.used += slots;
        starts.push({ task, job, seat, slots, waits: this.#preparation(spec, job, seat) === 'awaited' });
      }
      if (tasks.length < wanted) break;
    }
    return starts;
  }

  /** A job manager may want a node for itself, or no spot node. */
  #seatFor(task: TaskRow, spec: JobSpec, seats: readonly Seat[], fill: string): Seat | undefined {
    if (task.kind === 'plain') return chooseNode(seats, task.slots, fill, affinityOf(task));
    const spotToo = spec.jobManagerTask?.allowLowPriorityNode ?? true;
    const allowed = seats.filter(
      (seat) => (spotToo || seat.dedicated) && (task.kind !== 'exclusive' || seat.used === 0),
    );
    return chooseNode(allowed, task.slots, fill, undefined);
  }

  /** What the job's preparation task means for its tasks on a node. */
  #preparation(spec: JobSpec, job: JobRow, seat: Seat): 'none' | 'awaited' | 'beside' | 'done' | 'failed' {
    if (spec.jobPreparationTask === undefined) return 'none';
    const row = this.#core.store.nodeTasks.find(job.seq, 'preparation', seat.id);
    const wait = spec.jobPreparationTask.waitForSuccess ?? true;
    if (row?.state === 'completed') return wait && row.result === 'failure' ? 'failed' : 'done';
    return wait ? 'awaited' : 'beside';
  }

  #start(pool: PoolRow, start: Start): void {
    const { task, job, seat } = start;
    const { options, store } = this.#core;
    const jobSpec = JSON.parse(job.spec) as JobSpec;
    const preparation = jobSpec.jobPreparationTask;
    const nodeRoot = nodeRootOf(options.dataDirectory, pool.account, pool.id, seat.id);
    const run = new TaskRun(options.services, {
      task: JSON.parse(task.spec) as TaskSpec,
      common: jobSpec.commonEnvironmentSettings ?? [],
      place: placeOf(nodeRoot, job.id, task.id),
      names: {
        account: pool.account,
        accountUrl: options.accountUrl(),
        poolId: pool.id,
        nodeId: seat.id,
        dedicated: seat.dedicated,
        jobId: job.id,
        taskId: task.id,
        preparation: preparation === undefined ? undefined : placeOf(nodeRoot, job.id, preparation.id ?? preparationId),
      },
      poolIdentities: options.poolIdentities(pool.account, pool.id),
      started: (pgid, startTime) => {
        store.tasks.started(task.seq, pgid, startTime);
        const fault = options.faults.take('task.run', { job: job.id, task: task.id, pool: pool.id, node: seat.id });
        if (fault?.kind !== 'preempt') return;
        this.#core.after(numberOf(fault, 'afterMs', 0), () =>
          this.#nodes.preempt(pool.seq, seat.id, numberOf(fault, 'downMs', 0)),
        );
      },
    });
    const live: LiveRun = {
      task: task.seq,
      job: job.seq,
      pool: pool.seq,
      slots: start.slots,
      seat,
      run,
      ended: Promise.resolve(),
    };
    seat.runs.add(task.seq);
    this.#core.live.set(task.seq, live);
    // A run that fails here is the emulator's own fault: it is reported, and the task goes back to the queue.
    live.ended = this.#prepareAndRun(pool, start, live).then(
      (outcome) => this.#ended(live, outcome),
      (error: unknown) => {
        options.report('a run failed', error);
        live.verdict ??= { kind: 'requeue' };
        this.#ended(live, { stage: 'preProcessing' });
      },
    );
  }

  async #prepareAndRun(pool: PoolRow, { task, job, seat, waits }: Start, live: LiveRun): Promise<RunOutcome> {
    const preparing = this.#work.prepare(pool, job, seat);
    if (!waits) return live.run.run();
    const result = await Promise.race([preparing, live.run.stopped]);
    if (live.verdict !== undefined || this.#core.stopping) return { stage: 'preProcessing' };
    if (result !== 'success') {
      live.verdict = { kind: 'unprepared' };
      return { stage: 'preProcessing' };
    }
    const { store, stamps } = this.#core;
    store.transaction(() => {
      const row = store.tasks.get(task.seq);
      if (row?.state === 'preparing') store.tasks.prepared(row, stamps.next());
    });
    return live.run.run();
  }

  #ended(live: LiveRun, outcome: RunOutcome): void {
    this.#core.live.delete(live.task);
    live.seat.runs.delete(live.task);
    live.seat.used -= live.slots;
    if (!this.#core.stopping) this.#takeIn(live, outcome);
  }

  /** Keeps what a run came to; where the disk does not take it now (it is full, say), again a second later. */
  #takeIn(live: LiveRun, outcome: RunOutcome): void {
    try {
      this.#core.store.transaction(() => this.#record(live, outcome));
    } catch (error) {
      this.#core.options.report('the end of a task could not be kept yet', error);
      return this.#core.after(1000, () => this.#takeIn(live, outcome));
    }
    this.#core.guard(() => {
      this.#fleet.vacated(live.pool, live.seat);
      this.#jobs.settle(live.job);
      this.kick(live.pool);
    });
  }

  #record(live: LiveRun, outcome: RunOutcome): void {
    const { store, stamps } = this.#core;
    const task = store.tasks.get(live.task);
    const job = store.jobs.get(live.job);
    const ran = task?.state === 'running';
    if ((!ran && task?.state !== 'preparing') || job === undefined || job.state === 'deleting') return;
    const now = stamps.next();
    if (ran) {
      const wall = now - (task.start_time ?? now);
      const cpu = outcome.cpu ?? 0;
      const first = task.retry_count === 0 && task.requeue_count === 0;
      store.tasks.took(task, wall, cpu);
      store.jobs.took(job.seq, wall, cpu, first ? Math.max(0, (task.start_time ?? now) - task.created) : 0);
    }
    const spec = JSON.parse(task.spec) as TaskSpec;
    const retention = durationMicros(spec.constraints?.retentionTime ?? '');
    const filesExpire = retention === undefined ? undefined : now + retention;
    const { verdict } = live;
    if (verdict?.kind === 'requeue' || verdict?.kind === 'unprepared')
      return store.tasks.again(task, verdict.kind, now);
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
    if (task.kind !== 'plain' && job.state !== 'terminating') {
      const { jobManagerTask } = JSON.parse(job.spec) as JobSpec;
      if (jobManagerTask?.killJobOnCompletion ?? true) return this.#jobs.terminate(job, 'JMComplete');
    }
    if (job.on_failure !== 'performexitoptionsjobaction' || decision.jobAction === 'none') return;
    if (job.state !== 'active') return;
    if (decision.jobAction === 'disable') this.#jobs.disable(job, 'requeue');
    else this.#jobs.terminate(job, 'TaskFailed');
  }
}
