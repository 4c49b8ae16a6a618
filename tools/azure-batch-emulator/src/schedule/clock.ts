import { rm } from 'node:fs/promises';
import { nodeRootOf, placeOf } from '../run/environment.ts';
import type { TaskRow } from '../store/rows.ts';
import type { Micros } from '../time.ts';
import type { Core } from './core.ts';
import type { JobLife } from './job-life.ts';
import type { Scaler } from './scaler.ts';
import type { ScheduleLife } from './schedule-life.ts';

const longestDelayMs = 2 ** 31 - 1;
const filesPerStep = 500;

/**
 * One timer for all that happens by time alone: jobs past their wall clock, task files past their retention, job
 * schedules, autoscale evaluations. The moments are in the store, so that they survive a restart.
 */
export class Clock {
  readonly #core: Core;
  readonly #jobs: JobLife;
  readonly #schedules: ScheduleLife;
  readonly #scaler: Scaler;
  readonly #now: () => number;
  #timer: NodeJS.Timeout | undefined;
  #at: Micros = Infinity;

  constructor(core: Core, jobs: JobLife, schedules: ScheduleLife, scaler: Scaler, now: () => number) {
    this.#core = core;
    this.#jobs = jobs;
    this.#schedules = schedules;
    this.#scaler = scaler;
    this.#now = now;
    core.onWake = (at) => this.#wake(at);
  }

  start(): void {
    const { jobs, tasks, schedules, pools } = this.#core.store;
    const moments = [jobs.nextDeadline(), tasks.nextExpiry(), schedules.nextWake(), pools.nextScaling()];
    this.#wake(Math.min(...moments.map((at) => at ?? Infinity)));
  }

  stop(): void {
    clearTimeout(this.#timer);
    this.#at = -Infinity;
  }

  #wake(at: Micros): void {
    if (at >= this.#at) return;
    clearTimeout(this.#timer);
    this.#at = at;
    const delay = Math.min(Math.max(Math.ceil(at / 1000 - this.#now()), 0), longestDelayMs);
    this.#timer = setTimeout(() => {
      this.#at = Infinity;
      this.#core.guard(() => this.#due());
      this.start();
    }, delay);
    this.#timer.unref();
  }

  #due(): void {
    const { store } = this.#core;
    const now = this.#now() * 1000;
    store.transaction(() => {
      for (const job of store.jobs.pastDeadline(now)) this.#jobs.terminate(job, 'MaxWallClockTimeExpiry');
      for (const task of store.tasks.expired(now, filesPerStep)) {
        store.tasks.filesGone(task.seq);
        void this.removeFiles(task);
      }
      this.#schedules.due(now);
    });
    this.#scaler.due(now);
  }

  /** Removes what a task left on its node, unless another task has taken its id since: the directory is its own now. */
  async removeFiles(task: TaskRow): Promise<void> {
    const job = this.#core.store.jobs.get(task.job);
    if (job === undefined || task.pool_id === null || task.node_id === null) return;
    const heir = this.#core.store.tasks.find(task.job, task.id);
    if (heir !== undefined && heir.seq !== task.seq) return;
    const root = nodeRootOf(this.#core.options.dataDirectory, job.account, task.pool_id, task.node_id);
    await rm(placeOf(root, job.id, task.id).taskDirectory, { recursive: true, force: true }).catch(() => undefined);
  }
}
