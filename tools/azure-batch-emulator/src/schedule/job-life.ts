import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { jobRootOf, nodeRootOf } from '../run/environment.ts';
import type { JobRow } from '../store/rows.ts';
import { refusal } from '../wire/errors.ts';
import type { JobSpec } from '../wire/specs.ts';
import type { Core } from './core.ts';
import { taskEnded } from './decide.ts';
import type { NodeWork } from './node-work.ts';

const removedPerStep = 5000;

/** The life of jobs: disable, enable, terminate, delete, and what follows when their tasks end. */
export class JobLife {
  readonly #core: Core;
  readonly #work: NodeWork;
  readonly #settling = new Set<number>();

  constructor(core: Core, work: NodeWork) {
    this.#core = core;
    this.#work = work;
  }

  /** @throws BatchError when the state forbids it */
  disable(job: JobRow, disableTasks: string): void {
    if (job.state === 'completed') throw refusal('JobCompleted');
    if (job.state === 'terminating') throw refusal('JobBeingTerminated');
    if (job.state === 'deleting') throw refusal('JobBeingDeleted');
    if (job.state === 'disabled' || job.state === 'disabling') return;
    this.#core.store.jobs.move(job, 'disabling', this.#core.stamps.next(), disableTasks);
    if (disableTasks === 'requeue') this.#core.interruptJob(job.seq, { kind: 'requeue' });
    if (disableTasks === 'terminate') this.#core.interruptJob(job.seq, { kind: 'end', failure: taskEnded });
    this.settle(job.seq);
  }

  /** @throws BatchError when the job is not disabled */
  enable(job: JobRow): void {
    if (job.state === 'completed') throw refusal('JobCompleted');
    if (job.state === 'terminating') throw refusal('JobBeingTerminated');
    if (job.state === 'deleting') throw refusal('JobBeingDeleted');
    if (job.state !== 'disabled' && job.state !== 'disabling') throw refusal('OperationInvalidForCurrentState');
    this.#core.store.jobs.move(job, 'enabling', this.#core.stamps.next());
    this.settle(job.seq);
  }

  /** @throws BatchError when the job is completed or being deleted */
  terminate(job: JobRow, reason: string): void {
    if (job.state === 'completed') throw refusal('JobCompleted');
    if (job.state === 'deleting') throw refusal('JobBeingDeleted');
    if (job.state === 'terminating') return;
    this.#core.store.jobs.terminating(job, reason, this.#core.stamps.next());
    this.#core.interruptJob(job.seq, { kind: 'end', failure: taskEnded });
    this.#core.interruptSide({ job: job.seq });
    this.settle(job.seq);
  }

  remove(job: JobRow): void {
    if (job.state === 'deleting') throw refusal('JobBeingDeleted');
    this.#core.store.jobs.move(job, 'deleting', this.#core.stamps.next());
    this.#core.interruptJob(job.seq, { kind: 'drop' });
    // A release task that runs already goes on: it is what the deletion waits for.
    if (job.state !== 'terminating') this.#core.interruptSide({ job: job.seq });
    this.settle(job.seq);
  }

  /** Looks soon whether the job may leave a passing state; at least one turn later, so that clients can see it. */
  settle(seq: number): void {
    if (this.#settling.has(seq)) return;
    this.#settling.add(seq);
    setImmediate(() => {
      this.#settling.delete(seq);
      if (!this.#core.stopping) this.#core.guard(() => this.#settleNow(seq));
    });
  }

  #settleNow(seq: number): void {
    const { store, stamps } = this.#core;
    const job = store.jobs.get(seq);
    if (job === undefined) return;
    if (job.state === 'enabling') {
      store.transaction(() => store.jobs.move(job, 'active', stamps.next()));
      this.#core.kick(job.account, job.pool_key);
      return this.settle(seq);
    }
    if (job.state === 'active') {
      if (job.on_all !== 'terminatejob' || job.n_active + job.n_running > 0) return;
      return store.transaction(() => this.terminate(job, 'AllTasksComplete'));
    }
    if (job.state === 'deleting') {
      for (const live of this.#core.live.values()) if (live.job === seq) return;
      return this.#released(job) ? this.#purge(job) : undefined;
    }
    if (job.n_running > 0) return;
    if (job.state === 'disabling') store.transaction(() => store.jobs.move(job, 'disabled', stamps.next()));
    if (job.state !== 'terminating' || !this.#released(job)) return;
    store.transaction(() => store.jobs.completed(job, stamps.next()));
    if (job.schedule !== null) this.#core.onJobOver(job.schedule);
  }

  /**
   * Runs the job's release task on every node where its preparation ran, as far as those nodes are up; true when there is
   * nothing left to wait for.
   */
  #released(job: JobRow): boolean {
    if ((JSON.parse(job.spec) as JobSpec).jobReleaseTask === undefined) return true;
    const { store } = this.#core;
    let over = true;
    for (const preparation of store.nodeTasks.ofJob(job.seq, 'preparation')) {
      if (store.nodeTasks.find(job.seq, 'release', preparation.node_id)?.state === 'completed') continue;
      const pool = store.pools.get(preparation.pool);
      const seat = this.#core.seatsOf(preparation.pool).get(preparation.node_id);
      if (pool === undefined || seat === undefined || !seat.up || seat.leaving) continue;
      over = false;
      void this.#work.release(pool, job, seat).then(() => {
        if (!this.#core.stopping) this.settle(job.seq);
      });
    }
    return over;
  }

  /** Removes a job's tasks in steps, so that a job of a million tasks does not hold up other requests. */
  #purge(job: JobRow): void {
    const { store } = this.#core;
    const more = store.transaction(() => {
      if (store.tasks.removeSome(job.seq, removedPerStep)) return true;
      store.accounting.jobGone(job);
      store.nodeTasks.forgetJob(job.seq);
      store.jobs.remove(job.seq);
      return false;
    });
    if (more) return this.settle(job.seq);
    if (job.schedule !== null) this.#core.onJobOver(job.schedule);
    void this.#removeFiles(job);
  }

  async #removeFiles(job: JobRow): Promise<void> {
    const { store, options } = this.#core;
    // The same id may have been taken again by now: its files are new and must stay.
    const still = (): boolean => store.jobs.find(job.account, job.id) === undefined;
    for (const pool of store.pools.all().filter(({ account }) => account === job.account)) {
      for (const node of store.pools.nodes(pool.seq)) {
        const root = join(nodeRootOf(options.dataDirectory, job.account, pool.id, node.id), jobRootOf(job.id));
        if (still()) await rm(root, { recursive: true, force: true }).catch(() => undefined);
      }
      if (this.#core.stopping) return;
    }
  }
}
