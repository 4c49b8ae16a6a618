import { nodeRootOf, placeOf, startPlaceOf, type TaskPlace } from '../run/environment.ts';
import { TaskRun } from '../run/task-run.ts';
import type { JobRow, NodeTaskKind, PoolRow } from '../store/rows.ts';
import { preparationId, releaseId, type JobSpec, type RunnableSpec, type StartTaskSpec } from '../wire/specs.ts';
import type { Core, Seat, SideRun } from './core.ts';
import { decideEnd } from './decide.ts';

export type WorkResult = 'success' | 'failure' | 'interrupted';

interface Work {
  readonly kind: NodeTaskKind;
  readonly pool: PoolRow;
  readonly seat: Seat;
  /** Absent for a start task. */
  readonly job: { readonly row: JobRow; readonly spec: JobSpec } | undefined;
  readonly id: string | undefined;
  readonly spec: RunnableSpec;
  readonly place: TaskPlace;
}

/** Start, preparation and release tasks: at most one of a kind per job and node at a time, tried as often as they may be. */
export class NodeWork {
  readonly #core: Core;
  readonly #running = new Map<string, Promise<WorkResult>>();

  constructor(core: Core) {
    this.#core = core;
  }

  #root(pool: PoolRow, seat: Seat): string {
    return nodeRootOf(this.#core.options.dataDirectory, pool.account, pool.id, seat.id);
  }

  start(pool: PoolRow, seat: Seat, task: StartTaskSpec): Promise<WorkResult> {
    const spec = { ...task, constraints: { maxTaskRetryCount: task.maxTaskRetryCount ?? 0 } };
    const place = startPlaceOf(this.#root(pool, seat));
    return this.#once({ kind: 'start', pool, seat, job: undefined, id: undefined, spec, place });
  }

  /** Runs a job's preparation task on a node, unless it has run there already. */
  prepare(pool: PoolRow, job: JobRow, seat: Seat): Promise<WorkResult> {
    const spec = JSON.parse(job.spec) as JobSpec;
    const task = spec.jobPreparationTask;
    const row = this.#core.store.nodeTasks.find(job.seq, 'preparation', seat.id);
    if (task === undefined || row?.state === 'completed') {
      return Promise.resolve(row === undefined || row.result === 'success' ? 'success' : 'failure');
    }
    const id = task.id ?? preparationId;
    const place = placeOf(this.#root(pool, seat), job.id, id);
    return this.#once({ kind: 'preparation', pool, seat, job: { row: job, spec }, id, spec: task, place });
  }

  release(pool: PoolRow, job: JobRow, seat: Seat): Promise<WorkResult> {
    const spec = JSON.parse(job.spec) as JobSpec;
    const task = spec.jobReleaseTask;
    if (task === undefined) return Promise.resolve('success');
    const id = task.id ?? releaseId;
    const place = placeOf(this.#root(pool, seat), job.id, id);
    const limited = { ...task, constraints: { maxWallClockTime: task.maxWallClockTime ?? 'PT15M' } };
    return this.#once({ kind: 'release', pool, seat, job: { row: job, spec }, id, spec: limited, place });
  }

  #once(work: Work): Promise<WorkResult> {
    const key = `${work.job?.row.seq ?? 0}/${work.kind}/${work.seat.id}`;
    let running = this.#running.get(key);
    if (running === undefined) {
      running = this.#run(work)
        .catch((error: unknown): WorkResult => {
          this.#core.options.report(`the ${work.kind} task of a node failed`, error);
          return 'interrupted';
        })
        .finally(() => this.#running.delete(key));
      this.#running.set(key, running);
    }
    return running;
  }

  async #run(work: Work): Promise<WorkResult> {
    const { kind, pool, seat, job } = work;
    const { store, stamps } = this.#core;
    const place = { job: job?.row.seq ?? 0, pool: pool.seq, poolId: pool.id, nodeId: seat.id };
    const { seq } = store.transaction(() => store.nodeTasks.begin(kind, place, stamps.next()));
    for (let retries = 0; ; retries += 1) {
      const run = this.#taskRun(work, seq);
      const ended = run.run();
      const side: SideRun = { seat, job: place.job, run, interrupted: false, ended };
      this.#core.side.add(side);
      const outcome = await ended;
      this.#core.side.delete(side);
      // The row stays as running: the next life starts the task over.
      if (this.#core.stopping) return 'interrupted';
      if (side.interrupted) {
        store.transaction(() => store.nodeTasks.forget(seq));
        return 'interrupted';
      }
      const decision = decideEnd(work.spec, retries, outcome);
      if (decision.kind === 'retry') {
        store.transaction(() => store.nodeTasks.retried(seq, stamps.next()));
        continue;
      }
      const { exitCode, failure } = decision;
      const result = failure === undefined ? 'success' : 'failure';
      store.transaction(() => store.nodeTasks.complete(seq, { exitCode, result, failure }, stamps.next()));
      return result;
    }
  }

  #taskRun({ pool, seat, job, id, spec, place }: Work, seq: number): TaskRun {
    const { options, store } = this.#core;
    const preparation = job?.spec.jobPreparationTask;
    return new TaskRun(options.services, {
      task: spec,
      place,
      common: job?.spec.commonEnvironmentSettings ?? [],
      names: {
        account: pool.account,
        accountUrl: options.accountUrl(),
        poolId: pool.id,
        nodeId: seat.id,
        dedicated: seat.dedicated,
        jobId: job?.row.id,
        taskId: id,
        preparation:
          job === undefined || preparation === undefined
            ? undefined
            : placeOf(place.nodeRoot, job.row.id, preparation.id ?? preparationId),
      },
      poolIdentities: options.poolIdentities(pool.account, pool.id),
      started: (pgid, startTime) => store.nodeTasks.started(seq, pgid, startTime),
    });
  }
}
