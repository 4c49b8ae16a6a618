import type { Condition } from '../odata/compile.ts';
import type { Micros } from '../time.ts';
import type { Database } from './database.ts';
import type { FailureInfo, NodeTaskKind, NodeTaskRow } from './rows.ts';

export interface NodeTaskPlace {
  /** Number of the job; 0 for a start task. */
  readonly job: number;
  readonly pool: number;
  readonly poolId: string;
  readonly nodeId: string;
}

export interface NodeTaskEnding {
  readonly exitCode: number | undefined;
  readonly result: 'success' | 'failure';
  readonly failure: FailureInfo | undefined;
}

/** A job's preparation on one node with its release there, if there was one. */
export interface PreparationRow extends NodeTaskRow {
  readonly release: NodeTaskRow | undefined;
}

/** Start, preparation and release tasks: one row per job, kind and node. Call inside a transaction. */
export class NodeTasks {
  readonly #db: Database;

  constructor(db: Database) {
    this.#db = db;
  }

  find(job: number, kind: NodeTaskKind, nodeId: string): NodeTaskRow | undefined {
    const sql = 'SELECT * FROM node_tasks WHERE job = ? AND kind = ? AND node_id = ?';
    return this.#db.one(sql, job, kind, nodeId) as NodeTaskRow | undefined;
  }

  /** A new first try; what an earlier boot of the node left is forgotten. */
  begin(kind: NodeTaskKind, place: NodeTaskPlace, now: Micros): NodeTaskRow {
    this.#db.run('DELETE FROM node_tasks WHERE job = ? AND kind = ? AND node_id = ?', place.job, kind, place.nodeId);
    this.#db.run(
      `INSERT INTO node_tasks (kind, job, pool, pool_id, node_id, state, start_time) VALUES (?, ?, ?, ?, ?, 'running', ?)`,
      kind,
      place.job,
      place.pool,
      place.poolId,
      place.nodeId,
      now,
    );
    return this.find(place.job, kind, place.nodeId) as NodeTaskRow;
  }

  started(seq: number, pgid: number, pgidStart: string): void {
    this.#db.run('UPDATE node_tasks SET pgid = ?, pgid_start = ? WHERE seq = ?', pgid, pgidStart, seq);
  }

  retried(seq: number, now: Micros): void {
    this.#db.run('UPDATE node_tasks SET retry_count = retry_count + 1, last_retry = ? WHERE seq = ?', now, seq);
  }

  complete(seq: number, ending: NodeTaskEnding, now: Micros): void {
    this.#db.run(
      `UPDATE node_tasks SET state = 'completed', end_time = ?, exit_code = ?, result = ?, failure = ?, pgid = NULL
       WHERE seq = ?`,
      now,
      ending.exitCode ?? null,
      ending.result,
      ending.failure === undefined ? null : JSON.stringify(ending.failure),
      seq,
    );
  }

  /** What an interrupted try leaves: nothing, so that it starts over. */
  forget(seq: number): void {
    this.#db.run('DELETE FROM node_tasks WHERE seq = ?', seq);
  }

  forgetNode(nodeId: string): void {
    this.#db.run(`DELETE FROM node_tasks WHERE node_id = ? AND kind = 'start'`, nodeId);
  }

  forgetJob(job: number): void {
    this.#db.run('DELETE FROM node_tasks WHERE job = ?', job);
  }

  running(): NodeTaskRow[] {
    return this.#db.all(`SELECT * FROM node_tasks WHERE state = 'running' ORDER BY seq`) as NodeTaskRow[];
  }

  preparationsOn(nodeId: string): NodeTaskRow[] {
    const sql = `SELECT * FROM node_tasks WHERE node_id = ? AND kind = 'preparation' ORDER BY seq`;
    return this.#db.all(sql, nodeId) as NodeTaskRow[];
  }

  ofJob(job: number, kind: NodeTaskKind): NodeTaskRow[] {
    return this.#db.all('SELECT * FROM node_tasks WHERE job = ? AND kind = ? ORDER BY seq', job, kind) as NodeTaskRow[];
  }

  /** Preparations of a job after the one with number `after`; columns are `p` (preparation) and `r` (release). */
  list(job: number, after: number, limit: number, condition: Condition | undefined): PreparationRow[] {
    const where = condition === undefined ? '' : `AND ${condition.sql}`;
    const sql = `SELECT p.* FROM node_tasks p
      LEFT JOIN node_tasks r ON r.job = p.job AND r.kind = 'release' AND r.node_id = p.node_id
      WHERE p.job = ? AND p.kind = 'preparation' AND p.seq > ? ${where} ORDER BY p.seq LIMIT ?`;
    const rows = this.#db.all(sql, job, after, ...(condition?.values ?? []), limit) as NodeTaskRow[];
    return rows.map((row) => ({ ...row, release: this.find(job, 'release', row.node_id) }));
  }
}
