import type { JobRow, ScheduleRow } from '../store/rows.ts';
import { durationMicros } from '../time.ts';
import { refusal } from '../wire/errors.ts';
import type { ScheduleSpec } from '../wire/specs.ts';
import type { Core } from './core.ts';
import type { JobLife } from './job-life.ts';
import { decideSchedule, type ScheduleDecision } from './recurrence.ts';

/** Job schedules: create jobs when they are due, one at a time; disable, enable, terminate, delete. */
export class ScheduleLife {
  readonly #core: Core;
  readonly #jobs: JobLife;
  readonly #settling = new Set<number>();
  /** Creates the job of a schedule's slot and gives its id; call in a transaction. */
  #createJob: (schedule: ScheduleRow) => JobRow = () => {
    throw new Error('no creator of jobs is set');
  };

  constructor(core: Core, jobs: JobLife) {
    this.#core = core;
    this.#jobs = jobs;
    core.onJobOver = (schedule) => this.settle(schedule);
  }

  set createJob(create: (schedule: ScheduleRow) => JobRow) {
    this.#createJob = create;
  }

  #refuseEnded(row: ScheduleRow): void {
    if (row.state === 'completed') throw refusal('JobScheduleCompleted');
    if (row.state === 'terminating') throw refusal('JobScheduleBeingTerminated');
    if (row.state === 'deleting') throw refusal('JobScheduleBeingDeleted');
  }

  /** @throws BatchError when the state forbids it */
  disable(row: ScheduleRow): void {
    this.#refuseEnded(row);
    if (row.state === 'disabled') return;
    this.#core.store.schedules.move(row, 'disabled', this.#core.stamps.next());
    this.settle(row.seq);
  }

  /** @throws BatchError when the schedule is not disabled */
  enable(row: ScheduleRow): void {
    this.#refuseEnded(row);
    if (row.state === 'active') return;
    this.#core.store.schedules.move(row, 'active', this.#core.stamps.next());
    this.settle(row.seq);
  }

  /** Ends the schedule and its active job. @throws BatchError when it is over or being deleted */
  terminate(row: ScheduleRow): void {
    if (row.state === 'completed') throw refusal('JobScheduleCompleted');
    if (row.state === 'deleting') throw refusal('JobScheduleBeingDeleted');
    if (row.state === 'terminating') return;
    this.#core.store.schedules.move(row, 'terminating', this.#core.stamps.next());
    const job = this.#core.store.schedules.activeJob(row.seq);
    if (job !== undefined) this.#jobs.terminate(job, 'TerminateJobSchedule');
    this.settle(row.seq);
  }

  /** Deletes the schedule with all its jobs. @throws BatchError when that is under way */
  remove(row: ScheduleRow): void {
    if (row.state === 'deleting') throw refusal('JobScheduleBeingDeleted');
    this.#core.store.schedules.move(row, 'deleting', this.#core.stamps.next());
    this.settle(row.seq);
  }

  /** Looks soon what the schedule has to do; at least one turn later, so that clients can see a passing state. */
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
    store.transaction(() => {
      const row = store.schedules.get(seq);
      if (row === undefined) return;
      if (row.state === 'deleting') return this.#removeJobs(row);
      const active = store.schedules.activeJob(seq);
      if (row.state === 'terminating' && active === undefined) {
        store.schedules.move(row, 'completed', stamps.next());
      }
      if (row.state !== 'active') return store.schedules.plan(seq, undefined, undefined);
      this.#follow(row, this.decide(row, active !== undefined));
    });
  }

  #removeJobs(row: ScheduleRow): void {
    const { store } = this.#core;
    store.schedules.plan(row.seq, undefined, undefined);
    let left = false;
    for (let after = 0; ;) {
      const jobs = store.schedules.jobsOf(row.seq, after, 500, undefined);
      for (const job of jobs) if (job.state !== 'deleting') this.#jobs.remove(job);
      left ||= jobs.length > 0;
      after = jobs.at(-1)?.seq ?? 0;
      if (jobs.length < 500) break;
    }
    // The last job that goes rings again.
    if (!left) store.schedules.remove(row.seq);
  }

  decide(row: ScheduleRow, jobActive: boolean): ScheduleDecision {
    const { schedule: times } = JSON.parse(row.spec) as ScheduleSpec;
    const lengthOf = (text: string | undefined): number | undefined => durationMicros(text ?? '');
    return decideSchedule(
      {
        anchor: row.anchor,
        interval: lengthOf(times?.recurrenceInterval),
        startWindow: lengthOf(times?.startWindow),
        notAfter: row.not_after ?? undefined,
        lastSlot: row.last_slot ?? undefined,
        jobActive,
      },
      this.#core.stamps.next(),
    );
  }

  #follow(row: ScheduleRow, decision: ScheduleDecision): void {
    const { store, stamps } = this.#core;
    if (decision.kind === 'complete') {
      store.schedules.plan(row.seq, undefined, undefined);
      return store.schedules.move(row, 'completed', stamps.next());
    }
    if (decision.kind === 'create') {
      const job = this.#createJob(row);
      store.schedules.ran(row.seq, decision.slot, job.id, stamps.next());
      return this.settle(row.seq);
    }
    store.schedules.plan(row.seq, decision.nextRun, decision.until);
    if (decision.until !== undefined) this.#core.onWake(decision.until);
  }

  /** Schedules whose moment has come. */
  due(now: number): void {
    for (const row of this.#core.store.schedules.due(now)) {
      this.#core.store.schedules.plan(row.seq, row.next_run ?? undefined, undefined);
      this.settle(row.seq);
    }
  }
}
