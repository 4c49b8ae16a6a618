import type { Condition } from '../odata/compile.ts';
import type { Micros } from '../time.ts';
import type { Database } from './database.ts';
import type { JobRow, ScheduleRow, ScheduleState } from './rows.ts';

export interface ScheduleColumns {
  readonly spec: string;
  /** The first moment at which a job is due; later ones follow by the recurrence interval. */
  readonly anchor: Micros;
  readonly notUntil: Micros | undefined;
  readonly notAfter: Micros | undefined;
}

/** Job schedules with their transitions. Call inside a transaction. */
export class Schedules {
  readonly #db: Database;

  constructor(db: Database) {
    this.#db = db;
  }

  add(account: string, id: string, columns: ScheduleColumns, now: Micros): ScheduleRow {
    this.#db.run(
      `INSERT INTO schedules (account, id, id_key, spec, anchor, not_until, not_after, state, state_time, created, modified)
       VALUES (?, ?, ?, ?, ?, ?, ?, 'active', ?, ?, ?)`,
      account,
      id,
      id.toLowerCase(),
      columns.spec,
      columns.anchor,
      columns.notUntil ?? null,
      columns.notAfter ?? null,
      now,
      now,
      now,
    );
    return this.find(account, id) as ScheduleRow;
  }

  find(account: string, id: string): ScheduleRow | undefined {
    const sql = 'SELECT * FROM schedules WHERE account = ? AND id_key = ?';
    return this.#db.one(sql, account, id.toLowerCase()) as ScheduleRow | undefined;
  }

  get(seq: number): ScheduleRow | undefined {
    return this.#db.one('SELECT * FROM schedules WHERE seq = ?', seq) as ScheduleRow | undefined;
  }

  all(): ScheduleRow[] {
    return this.#db.all('SELECT * FROM schedules ORDER BY seq') as ScheduleRow[];
  }

  list(account: string, after: number, limit: number, condition: Condition | undefined): ScheduleRow[] {
    const where = condition === undefined ? '' : `AND ${condition.sql}`;
    const sql = `SELECT * FROM schedules WHERE account = ? AND seq > ? ${where} ORDER BY seq LIMIT ?`;
    return this.#db.all(sql, account, after, ...(condition?.values ?? []), limit) as ScheduleRow[];
  }

  countLive(account: string): number {
    const sql = `SELECT count(*) AS live FROM schedules WHERE account = ? AND state NOT IN ('completed', 'deleting')`;
    return (this.#db.one(sql, account) as { live: number }).live;
  }

  jobsOf(seq: number, after: number, limit: number, condition: Condition | undefined): JobRow[] {
    const where = condition === undefined ? '' : `AND ${condition.sql}`;
    const sql = `SELECT * FROM jobs WHERE schedule = ? AND seq > ? ${where} ORDER BY seq LIMIT ?`;
    return this.#db.all(sql, seq, after, ...(condition?.values ?? []), limit) as JobRow[];
  }

  /** The job of this schedule that is not over yet; there is at most one. */
  activeJob(seq: number): JobRow | undefined {
    const sql = `SELECT * FROM jobs WHERE schedule = ? AND state NOT IN ('completed', 'deleting')`;
    return this.#db.one(sql, seq) as JobRow | undefined;
  }

  update(row: ScheduleRow, columns: ScheduleColumns, now: Micros): void {
    this.#db.run(
      `UPDATE schedules SET spec = ?, anchor = ?, not_until = ?, not_after = ?,
       last_slot = CASE WHEN anchor = ? THEN last_slot ELSE NULL END, modified = ? WHERE seq = ?`,
      columns.spec,
      columns.anchor,
      columns.notUntil ?? null,
      columns.notAfter ?? null,
      columns.anchor,
      now,
      row.seq,
    );
  }

  move(row: ScheduleRow, state: ScheduleState, now: Micros): void {
    this.#db.run(
      `UPDATE schedules SET state = ?, state_time = ?, previous_state = ?, previous_time = ?, modified = ?,
       end_time = CASE WHEN ? = 'completed' THEN ? ELSE end_time END WHERE seq = ?`,
      state,
      now,
      row.state,
      row.state_time,
      now,
      state,
      now,
      row.seq,
    );
  }

  /** A job was created for this slot. */
  ran(seq: number, slot: Micros, jobId: string, now: Micros): void {
    const sql = 'UPDATE schedules SET last_slot = ?, jobs = jobs + 1, recent_job = ?, modified = ? WHERE seq = ?';
    this.#db.run(sql, slot, jobId, now, seq);
  }

  plan(seq: number, nextRun: Micros | undefined, wake: Micros | undefined): void {
    this.#db.run('UPDATE schedules SET next_run = ?, wake = ? WHERE seq = ?', nextRun ?? null, wake ?? null, seq);
  }

  due(now: Micros): ScheduleRow[] {
    return this.#db.all('SELECT * FROM schedules WHERE wake <= ? ORDER BY wake', now) as ScheduleRow[];
  }

  nextWake(): Micros | undefined {
    const row = this.#db.one('SELECT min(wake) AS at FROM schedules WHERE wake IS NOT NULL');
    return (row as { at: number | null }).at ?? undefined;
  }

  remove(seq: number): void {
    this.#db.run('DELETE FROM schedules WHERE seq = ?', seq);
  }
}
