import type { Condition } from '../odata/compile.ts';
import type { Micros } from '../time.ts';
import type { Database } from './database.ts';
import type { FailureInfo, TaskRow, TaskState } from './rows.ts';

export interface NewTask {
  readonly id: string;
  readonly spec: string;
  readonly slots: number;
  readonly kind?: TaskRow['kind'];
  readonly taskIds: readonly string[];
  readonly ranges: readonly { readonly start: number; readonly end: number }[];
}

export interface Ending {
  readonly exitCode: number | undefined;
  readonly result: 'success' | 'failure';
  readonly failure: FailureInfo | undefined;
  readonly satisfied: boolean;
  readonly filesExpire: Micros | undefined;
}

/** The integer that an all-digit id stands for in ranges (`004` is task 4), or undefined. */
export function taskNumber(idKey: string): number | undefined {
  if (!/^\d+$/.test(idKey)) return undefined;
  const number = Number(idKey);
  return number < 2 ** 31 ? number : undefined;
}

/** The count that a state belongs to. */
function countedAs(state: TaskState): string {
  return state === 'preparing' ? 'running' : state;
}

/** Tasks with their transitions; each keeps the job's counts in step. Call inside a transaction. */
export class Tasks {
  readonly #db: Database;

  constructor(db: Database) {
    this.#db = db;
  }

  #count(job: number, slots: number, from: string[], to: string[]): void {
    const changes = [
      ...from.flatMap((name) => [`n_${name} = n_${name} - 1`, `s_${name} = s_${name} - ?`]),
      ...to.flatMap((name) => [`n_${name} = n_${name} + 1`, `s_${name} = s_${name} + ?`]),
    ];
    const slotValues = [...from, ...to].map(() => slots);
    this.#db.run(`UPDATE jobs SET ${changes.join(', ')} WHERE seq = ?`, ...slotValues, job);
  }

  /**
   * Adds one task and gives its number; undefined when the job has one of this id. The job's counts are for the caller to
   * bring in step (`counted`), once for all that it adds in one transaction.
   */
  add(job: number, task: NewTask, now: Micros): number | undefined {
    const key = task.id.toLowerCase();
    const { changes, seq } = this.#db.insert(
      `INSERT INTO tasks (job, id, id_key, spec, slots, kind, waiting, state, state_time, created, modified)
       VALUES (?, ?, ?, ?, ?, ?, 0, 'active', ?, ?, ?) ON CONFLICT DO NOTHING`,
      job,
      task.id,
      key,
      task.spec,
      task.slots,
      task.kind ?? 'plain',
      now,
      now,
      now,
    );
    if (changes === 0) return undefined;
    if (task.taskIds.length > 0 || task.ranges.length > 0) this.#depend(job, seq, task);
    return seq;
  }

  /** Counts tasks that were added. */
  counted(job: number, tasks: number, slots: number): void {
    this.#db.run('UPDATE jobs SET n_active = n_active + ?, s_active = s_active + ? WHERE seq = ?', tasks, slots, job);
  }

  #depend(job: number, seq: number, task: NewTask): void {
    let waiting = 0;
    for (const needs of new Set(task.taskIds.map((id) => id.toLowerCase()))) {
      const done = this.#db.one('SELECT 1 FROM tasks WHERE job = ? AND id_key = ? AND satisfied = 1', job, needs);
      if (done !== undefined) continue;
      this.#db.run('INSERT INTO dependencies (job, needs, task) VALUES (?, ?, ?)', job, needs, seq);
      waiting += 1;
    }
    for (const { start, end } of task.ranges) {
      this.#db.run('INSERT INTO dependency_ranges (job, first, last, task) VALUES (?, ?, ?, ?)', job, start, end, seq);
      const { done } = this.#db.one(
        'SELECT count(*) AS done FROM satisfied_numbers WHERE job = ? AND number BETWEEN ? AND ?',
        job,
        start,
        end,
      ) as { done: number };
      waiting += end - start + 1 - done;
    }
    this.#db.run('UPDATE tasks SET waiting = ? WHERE seq = ?', waiting, seq);
  }

  find(job: number, id: string): TaskRow | undefined {
    return this.#db.one('SELECT * FROM tasks WHERE job = ? AND id_key = ?', job, id.toLowerCase()) as
      TaskRow | undefined;
  }

  get(seq: number): TaskRow | undefined {
    return this.#db.one('SELECT * FROM tasks WHERE seq = ?', seq) as TaskRow | undefined;
  }

  /** Up to `limit` tasks after the one with number `after`, in the order in which they were added. */
  list(job: number, after: number, limit: number, condition: Condition | undefined): TaskRow[] {
    const where = condition === undefined ? '' : `AND ${condition.sql}`;
    const sql = `SELECT * FROM tasks WHERE job = ? AND seq > ? ${where} ORDER BY seq LIMIT ?`;
    return this.#db.all(sql, job, after, ...(condition?.values ?? []), limit) as TaskRow[];
  }

  /** Tasks that may be dispatched, after the one with number `after`, in the order in which they were added. */
  ready(job: number, after: number, limit: number): TaskRow[] {
    const sql = `SELECT * FROM tasks WHERE job = ? AND state = 'active' AND waiting = 0 AND seq > ? ORDER BY seq LIMIT ?`;
    return this.#db.all(sql, job, after, limit) as TaskRow[];
  }

  /** Every task that a process of the last life of this state was running. */
  running(): TaskRow[] {
    return this.#db.all(`SELECT * FROM tasks WHERE state IN ('preparing', 'running') ORDER BY seq`) as TaskRow[];
  }

  #transition(task: TaskRow, state: TaskState, now: Micros): void {
    this.#db.run(
      `UPDATE tasks SET state = ?, state_time = ?, previous_state = ?, previous_time = ?, modified = ? WHERE seq = ?`,
      state,
      now,
      task.state,
      task.state_time,
      now,
      task.seq,
    );
  }

  /** A node has the task: it runs, or waits there for its job's preparation task. */
  start(task: TaskRow, state: 'preparing' | 'running', poolId: string, nodeId: string, now: Micros): void {
    this.#transition(task, state, now);
    this.#db.run(
      `UPDATE tasks SET start_time = ?, pool_id = ?, node_id = ?, pgid = NULL, files_expire = NULL, files_gone = 0
       WHERE seq = ?`,
      now,
      poolId,
      nodeId,
      task.seq,
    );
    this.#count(task.job, task.slots, ['active'], ['running']);
  }

  /** The node is prepared: the task runs. */
  prepared(task: TaskRow, now: Micros): void {
    this.#transition(task, 'running', now);
    this.#db.run('UPDATE tasks SET start_time = ? WHERE seq = ?', now, task.seq);
  }

  /** Adds what a run took. */
  took(task: TaskRow, wall: Micros, cpu: Micros): void {
    this.#db.run(
      'UPDATE tasks SET wall_time = wall_time + ?, cpu_time = cpu_time + ? WHERE seq = ?',
      wall,
      cpu,
      task.seq,
    );
  }

  /** Remembers the process group, so that a next life can end what this one left behind. */
  started(seq: number, pgid: number, pgidStart: string): void {
    this.#db.run('UPDATE tasks SET pgid = ?, pgid_start = ? WHERE seq = ?', pgid, pgidStart, seq);
  }

  complete(task: TaskRow, ending: Ending, now: Micros): void {
    this.#transition(task, 'completed', now);
    this.#db.run(
      `UPDATE tasks SET end_time = ?, exit_code = ?, result = ?, failure = ?, satisfied = max(satisfied, ?),
       files_expire = ?, pgid = NULL WHERE seq = ?`,
      now,
      ending.exitCode ?? null,
      ending.result,
      ending.failure === undefined ? null : JSON.stringify(ending.failure),
      Number(ending.satisfied),
      ending.filesExpire ?? null,
      task.seq,
    );
    this.#count(
      task.job,
      task.slots,
      [countedAs(task.state)],
      ['completed', ending.result === 'success' ? 'succeeded' : 'failed'],
    );
    if (ending.satisfied && task.satisfied === 0) this.#satisfy(task);
  }

  #satisfy(task: TaskRow): void {
    this.#db.run(
      `UPDATE tasks SET waiting = waiting - 1
       WHERE seq IN (SELECT task FROM dependencies WHERE job = ? AND needs = ?)`,
      task.job,
      task.id_key,
    );
    this.#db.run('DELETE FROM dependencies WHERE job = ? AND needs = ?', task.job, task.id_key);
    const number = taskNumber(task.id_key);
    if (number === undefined) return;
    const sql = 'INSERT INTO satisfied_numbers (job, number) VALUES (?, ?) ON CONFLICT DO NOTHING';
    if (this.#db.run(sql, task.job, number) === 0) return;
    const ranges = this.#db.all(
      'SELECT task FROM dependency_ranges WHERE job = ? AND first <= ? AND last >= ?',
      task.job,
      number,
      number,
    ) as { task: number }[];
    for (const range of ranges) this.#db.run('UPDATE tasks SET waiting = waiting - 1 WHERE seq = ?', range.task);
  }

  /** Back to the queue: after an exit code that is retried, because its node went away, or because that was not prepared. */
  again(task: TaskRow, why: 'retry' | 'requeue' | 'unprepared', now: Micros): void {
    this.#transition(task, 'active', now);
    if (why === 'retry') {
      this.#db.run('UPDATE tasks SET retry_count = retry_count + 1, last_retry = ? WHERE seq = ?', now, task.seq);
      this.#db.run('UPDATE jobs SET retries = retries + 1 WHERE seq = ?', task.job);
    }
    if (why === 'requeue') {
      this.#db.run('UPDATE tasks SET requeue_count = requeue_count + 1, last_requeue = ? WHERE seq = ?', now, task.seq);
    }
    this.#db.run('UPDATE tasks SET pgid = NULL WHERE seq = ?', task.seq);
    this.#count(task.job, task.slots, ['running'], ['active']);
  }

  reactivate(task: TaskRow, now: Micros): void {
    this.#transition(task, 'active', now);
    this.#db.run(
      `UPDATE tasks SET retry_count = 0, last_retry = NULL, exit_code = NULL, result = NULL, failure = NULL,
       end_time = NULL, files_expire = NULL WHERE seq = ?`,
      task.seq,
    );
    this.#count(task.job, task.slots, ['completed', 'failed'], ['active']);
  }

  respec(task: TaskRow, spec: string, now: Micros): void {
    this.#db.run('UPDATE tasks SET spec = ?, modified = ? WHERE seq = ?', spec, now, task.seq);
  }

  remove(task: TaskRow): void {
    const outcome = task.result === 'success' ? 'succeeded' : 'failed';
    this.#count(
      task.job,
      task.slots,
      task.state === 'completed' ? ['completed', outcome] : [countedAs(task.state)],
      [],
    );
    this.#db.run('DELETE FROM dependencies WHERE task = ?', task.seq);
    this.#db.run('DELETE FROM dependency_ranges WHERE task = ?', task.seq);
    this.#db.run('DELETE FROM tasks WHERE seq = ?', task.seq);
  }

  /** Removes up to `limit` tasks of a job that is going away; false when none was left. */
  removeSome(job: number, limit: number): boolean {
    const batch = 'SELECT seq FROM tasks WHERE job = ? ORDER BY seq LIMIT ?';
    this.#db.run(`DELETE FROM dependencies WHERE task IN (${batch})`, job, limit);
    this.#db.run(`DELETE FROM dependency_ranges WHERE task IN (${batch})`, job, limit);
    return this.#db.run(`DELETE FROM tasks WHERE seq IN (${batch})`, job, limit) > 0;
  }

  expired(now: Micros, limit: number): TaskRow[] {
    const sql = 'SELECT * FROM tasks WHERE files_expire <= ? ORDER BY files_expire LIMIT ?';
    return this.#db.all(sql, now, limit) as TaskRow[];
  }

  nextExpiry(): Micros | undefined {
    const row = this.#db.one('SELECT min(files_expire) AS at FROM tasks WHERE files_expire IS NOT NULL');
    return (row as { at: number | null }).at ?? undefined;
  }

  /** When the last files that tasks keep on a node expire; undefined when there are none. */
  retainedUntil(poolId: string, nodeId: string): Micros | undefined {
    const sql =
      'SELECT max(files_expire) AS at FROM tasks WHERE files_expire IS NOT NULL AND node_id = ? AND pool_id = ?';
    return (this.#db.one(sql, nodeId, poolId) as { at: number | null }).at ?? undefined;
  }

  filesGone(seq: number): void {
    this.#db.run('UPDATE tasks SET files_expire = NULL, files_gone = 1 WHERE seq = ?', seq);
  }
}
