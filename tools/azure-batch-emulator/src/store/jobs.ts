import type { Condition } from '../odata/compile.ts';
import type { Micros } from '../time.ts';
import type { Database } from './database.ts';
import type { JobRow, JobState } from './rows.ts';

export interface JobColumns {
  readonly spec: string;
  readonly poolKey: string;
  readonly priority: number;
  readonly maxParallel: number;
  readonly onAll: string;
  readonly onFailure: string;
  /** When the job ends by its wall clock. */
  readonly deadline: Micros | undefined;
}

/** Jobs with their transitions. Call inside a transaction. */
export class Jobs {
  readonly #db: Database;

  constructor(db: Database) {
    this.#db = db;
  }

  /** @param schedule the number of the job schedule that the job belongs to */
  add(account: string, id: string, job: JobColumns, now: Micros, schedule?: number): void {
    this.#db.run(
      `INSERT INTO jobs (account, id, id_key, pool_key, spec, priority, max_parallel, on_all, on_failure, deadline,
       state, state_time, created, modified, start_time, schedule)
       VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 'active', ?, ?, ?, ?, ?)`,
      account,
      id,
      id.toLowerCase(),
      job.poolKey,
      job.spec,
      job.priority,
      job.maxParallel,
      job.onAll,
      job.onFailure,
      job.deadline ?? null,
      now,
      now,
      now,
      now,
      schedule ?? null,
    );
  }

  find(account: string, id: string): JobRow | undefined {
    return this.#db.one('SELECT * FROM jobs WHERE account = ? AND id_key = ?', account, id.toLowerCase()) as
      JobRow | undefined;
  }

  get(seq: number): JobRow | undefined {
    return this.#db.one('SELECT * FROM jobs WHERE seq = ?', seq) as JobRow | undefined;
  }

  list(account: string, after: number, limit: number, condition: Condition | undefined): JobRow[] {
    const where = condition === undefined ? '' : `AND ${condition.sql}`;
    const sql = `SELECT * FROM jobs WHERE account = ? AND seq > ? ${where} ORDER BY seq LIMIT ?`;
    return this.#db.all(sql, account, after, ...(condition?.values ?? []), limit) as JobRow[];
  }

  /** Jobs whose tasks a pool may take now, in the order in which it takes them. */
  dispatchable(account: string, poolKey: string): JobRow[] {
    const sql = `SELECT * FROM jobs WHERE account = ? AND pool_key = ? AND state = 'active' AND n_active > 0
       ORDER BY priority DESC, seq`;
    return this.#db.all(sql, account, poolKey) as JobRow[];
  }

  inStates(...states: JobState[]): JobRow[] {
    const marks = states.map(() => '?').join(', ');
    return this.#db.all(`SELECT * FROM jobs WHERE state IN (${marks}) ORDER BY seq`, ...states) as JobRow[];
  }

  countLive(account: string): number {
    const sql = `SELECT count(*) AS live FROM jobs WHERE account = ? AND state NOT IN ('completed', 'deleting')`;
    return (this.#db.one(sql, account) as { live: number }).live;
  }

  update(job: JobRow, columns: JobColumns, now: Micros): void {
    this.#db.run(
      `UPDATE jobs SET spec = ?, pool_key = ?, priority = ?, max_parallel = ?, on_all = ?, on_failure = ?, deadline = ?,
       modified = ? WHERE seq = ?`,
      columns.spec,
      columns.poolKey,
      columns.priority,
      columns.maxParallel,
      columns.onAll,
      columns.onFailure,
      columns.deadline ?? null,
      now,
      job.seq,
    );
  }

  move(job: JobRow, state: JobState, now: Micros, disableTasks: string | null = null): void {
    this.#db.run(
      `UPDATE jobs SET state = ?, state_time = ?, previous_state = ?, previous_time = ?, disable_tasks = ?, modified = ?
       WHERE seq = ?`,
      state,
      now,
      job.state,
      job.state_time,
      disableTasks,
      now,
      job.seq,
    );
  }

  terminating(job: JobRow, reason: string, now: Micros): void {
    this.move(job, 'terminating', now);
    this.#db.run('UPDATE jobs SET terminate_reason = ?, deadline = NULL WHERE seq = ?', reason, job.seq);
  }

  completed(job: JobRow, now: Micros): void {
    this.move(job, 'completed', now);
    this.#db.run('UPDATE jobs SET end_time = ?, deadline = NULL WHERE seq = ?', now, job.seq);
  }

  /** A run of one of the job's tasks ended: what it took, and how long the task had waited for its first one. */
  took(seq: number, wall: Micros, cpu: Micros, waited: Micros): void {
    this.#db.run(
      'UPDATE jobs SET wall_time = wall_time + ?, cpu_time = cpu_time + ?, wait_time = wait_time + ? WHERE seq = ?',
      wall,
      cpu,
      waited,
      seq,
    );
  }

  /** Sums over the jobs of one pool: what autoscale samples. `active` counts tasks whose dependencies are satisfied. */
  poolCounts(account: string, poolKey: string): { active: number; running: number; succeeded: number; failed: number } {
    return this.#db.one(
      `SELECT total(CASE WHEN state IN ('active', 'enabling') THEN
           (SELECT count(*) FROM tasks WHERE job = jobs.seq AND state = 'active' AND waiting = 0) ELSE 0 END) AS active,
         total(n_running) AS running, total(n_succeeded) AS succeeded, total(n_failed) AS failed
       FROM jobs WHERE account = ? AND pool_key = ?`,
      account,
      poolKey,
    ) as { active: number; running: number; succeeded: number; failed: number };
  }

  remove(seq: number): void {
    this.#db.run('DELETE FROM satisfied_numbers WHERE job = ?', seq);
    this.#db.run('DELETE FROM jobs WHERE seq = ?', seq);
  }

  /** A job that is going away has no deadline any more. */
  pastDeadline(now: Micros): JobRow[] {
    return this.#db.all(`SELECT * FROM jobs WHERE deadline <= ? AND state <> 'deleting'`, now) as JobRow[];
  }

  nextDeadline(): Micros | undefined {
    const row = this.#db.one(`SELECT min(deadline) AS at FROM jobs WHERE deadline IS NOT NULL AND state <> 'deleting'`);
    return (row as { at: number | null }).at ?? undefined;
  }
}
