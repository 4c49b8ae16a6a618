import type { Condition } from '../odata/compile.ts';
import type { Micros } from '../time.ts';
import type { Database } from './database.ts';
import type { NodeRow, PoolRow } from './rows.ts';

export interface NewPool {
  readonly id: string;
  readonly spec: string;
  readonly vmSize: string;
  readonly interNode: boolean;
  readonly targetDedicated: number;
  readonly targetLow: number;
  readonly resizeTimeout: Micros | undefined;
}

export interface Scaling {
  readonly formula: string;
  readonly interval: Micros;
  /** When the formula is evaluated next. */
  readonly at: Micros;
}

export interface NewNode {
  readonly id: string;
  readonly dedicated: boolean;
  readonly state: 'idle' | 'starting';
}

/** Pools and their nodes. Call inside a transaction. */
export class Pools {
  readonly #db: Database;

  constructor(db: Database) {
    this.#db = db;
  }

  add(account: string, pool: NewPool, now: Micros): void {
    this.#db.run(
      `INSERT INTO pools (account, id, id_key, spec, vm_size, inter_node, state, state_time, allocation_state,
       allocation_time, target_dedicated, target_low, deallocation, created, modified, resize_timeout)
       VALUES (?, ?, ?, ?, ?, ?, 'active', ?, 'resizing', ?, ?, ?, 'requeue', ?, ?, ?)`,
      account,
      pool.id,
      pool.id.toLowerCase(),
      pool.spec,
      pool.vmSize,
      Number(pool.interNode),
      now,
      now,
      pool.targetDedicated,
      pool.targetLow,
      now,
      now,
      pool.resizeTimeout ?? null,
    );
  }

  find(account: string, id: string): PoolRow | undefined {
    return this.#db.one('SELECT * FROM pools WHERE account = ? AND id_key = ?', account, id.toLowerCase()) as
      PoolRow | undefined;
  }

  get(seq: number): PoolRow | undefined {
    return this.#db.one('SELECT * FROM pools WHERE seq = ?', seq) as PoolRow | undefined;
  }

  all(): PoolRow[] {
    return this.#db.all('SELECT * FROM pools ORDER BY seq') as PoolRow[];
  }

  list(account: string, after: number, limit: number, condition: Condition | undefined): PoolRow[] {
    const where = condition === undefined ? '' : `AND ${condition.sql}`;
    const sql = `SELECT * FROM pools WHERE account = ? AND seq > ? ${where} ORDER BY seq LIMIT ?`;
    return this.#db.all(sql, account, after, ...(condition?.values ?? []), limit) as PoolRow[];
  }

  respec(pool: PoolRow, spec: string, now: Micros): void {
    this.#db.run('UPDATE pools SET spec = ?, modified = ? WHERE seq = ?', spec, now, pool.seq);
  }

  /** @param timeout how long the nodes may take to come */
  resize(
    pool: PoolRow,
    dedicated: number,
    low: number,
    deallocation: string,
    timeout: Micros | null,
    now: Micros,
  ): void {
    this.#db.run(
      `UPDATE pools SET target_dedicated = ?, target_low = ?, deallocation = ?, allocation_state = 'resizing',
       resize_timeout = ?, resize_errors = NULL, allocation_time = ?, modified = ? WHERE seq = ?`,
      dedicated,
      low,
      deallocation,
      timeout,
      now,
      now,
      pool.seq,
    );
  }

  allocation(seq: number, state: PoolRow['allocation_state'], now: Micros): void {
    const sql = 'UPDATE pools SET allocation_state = ?, allocation_time = ?, modified = ? WHERE seq = ?';
    this.#db.run(sql, state, now, now, seq);
  }

  resizeErrors(seq: number, errors: string | null): void {
    this.#db.run('UPDATE pools SET resize_errors = ? WHERE seq = ?', errors, seq);
  }

  /** Turns autoscale on with a formula, or off. */
  scaling(seq: number, scaling: Scaling | undefined, now: Micros): void {
    this.#db.run(
      `UPDATE pools SET formula = ?, scale_interval = ?, scale_at = ?, scale_set = ?,
       scale_run = CASE WHEN ? THEN scale_run END, modified = ? WHERE seq = ?`,
      scaling?.formula ?? null,
      scaling?.interval ?? null,
      scaling?.at ?? null,
      now,
      Number(scaling !== undefined),
      now,
      seq,
    );
  }

  /** Keeps what an evaluation came to, and when the next one is due. */
  scaled(seq: number, run: string, nextAt: Micros): void {
    this.#db.run('UPDATE pools SET scale_run = ?, scale_at = ? WHERE seq = ?', run, nextAt, seq);
  }

  toScale(now: Micros): PoolRow[] {
    return this.#db.all(`SELECT * FROM pools WHERE scale_at <= ? AND state = 'active'`, now) as PoolRow[];
  }

  nextScaling(): Micros | undefined {
    const row = this.#db.one(`SELECT min(scale_at) AS at FROM pools WHERE scale_at IS NOT NULL AND state = 'active'`);
    return (row as { at: number | null }).at ?? undefined;
  }

  count(account: string): number {
    return (this.#db.one('SELECT count(*) AS pools FROM pools WHERE account = ?', account) as { pools: number }).pools;
  }

  deleting(seq: number, now: Micros): void {
    this.#db.run(`UPDATE pools SET state = 'deleting', state_time = ?, modified = ? WHERE seq = ?`, now, now, seq);
  }

  remove(seq: number): void {
    this.#db.run('DELETE FROM node_users WHERE node IN (SELECT seq FROM nodes WHERE pool = ?)', seq);
    this.#db.run('DELETE FROM nodes WHERE pool = ?', seq);
    this.#db.run('DELETE FROM pools WHERE seq = ?', seq);
  }

  addNode(pool: number, node: NewNode, now: Micros): NodeRow {
    this.#db.run(
      `INSERT INTO nodes (pool, id, dedicated, state, state_time, scheduling, last_boot, allocated)
       VALUES (?, ?, ?, ?, ?, 'enabled', ?, ?)`,
      pool,
      node.id,
      Number(node.dedicated),
      node.state,
      now,
      now,
      now,
    );
    return this.findNode(pool, node.id) as NodeRow;
  }

  findNode(pool: number, id: string): NodeRow | undefined {
    return this.#db.one('SELECT * FROM nodes WHERE pool = ? AND id = ?', pool, id) as NodeRow | undefined;
  }

  nodes(pool: number): NodeRow[] {
    return this.#db.all('SELECT * FROM nodes WHERE pool = ? ORDER BY seq', pool) as NodeRow[];
  }

  listNodes(pool: number, after: number, limit: number, condition: Condition | undefined): NodeRow[] {
    const where = condition === undefined ? '' : `AND ${condition.sql}`;
    const sql = `SELECT * FROM nodes WHERE pool = ? AND seq > ? ${where} ORDER BY seq LIMIT ?`;
    return this.#db.all(sql, pool, after, ...(condition?.values ?? []), limit) as NodeRow[];
  }

  nodeState(seq: number, state: string, now: Micros): void {
    this.#db.run('UPDATE nodes SET state = ?, state_time = ? WHERE seq = ? AND state <> ?', state, now, seq, state);
  }

  nodeScheduling(seq: number, scheduling: NodeRow['scheduling']): void {
    this.#db.run('UPDATE nodes SET scheduling = ? WHERE seq = ?', scheduling, seq);
  }

  /** The node comes up: what was wrong with it is past. */
  nodeBooted(seq: number, state: 'idle' | 'starting', now: Micros): void {
    this.nodeState(seq, state, now);
    this.#db.run('UPDATE nodes SET last_boot = ?, errors = NULL WHERE seq = ?', now, seq);
  }

  nodeErrors(seq: number, errors: string): void {
    this.#db.run('UPDATE nodes SET errors = ? WHERE seq = ?', errors, seq);
  }

  nodeRan(seq: number, succeeded: boolean): void {
    const sql = 'UPDATE nodes SET total_run = total_run + 1, total_succeeded = total_succeeded + ? WHERE seq = ?';
    this.#db.run(sql, Number(succeeded), seq);
  }

  removeNode(seq: number): void {
    this.#db.run('DELETE FROM node_users WHERE node = ?', seq);
    this.#db.run('DELETE FROM nodes WHERE seq = ?', seq);
  }

  /** Adds a user to a node; false when it has one of this name. */
  addUser(node: number, name: string, spec: string): boolean {
    const sql = 'INSERT INTO node_users (node, name, spec) VALUES (?, ?, ?) ON CONFLICT DO NOTHING';
    return this.#db.run(sql, node, name, spec) > 0;
  }

  /** False when the node has no such user. */
  updateUser(node: number, name: string, spec: string): boolean {
    return this.#db.run('UPDATE node_users SET spec = ? WHERE node = ? AND name = ?', spec, node, name) > 0;
  }

  removeUser(node: number, name: string): boolean {
    return this.#db.run('DELETE FROM node_users WHERE node = ? AND name = ?', node, name) > 0;
  }

  /** Nodes of every pool of an account, by kind: what the core quota counts. */
  nodesByPool(account: string): { seq: number; vm_size: string; dedicated: number; nodes: number }[] {
    const sql = `SELECT p.seq, p.vm_size, n.dedicated, count(*) AS nodes FROM nodes n JOIN pools p ON p.seq = n.pool
      WHERE p.account = ? GROUP BY p.seq, n.dedicated`;
    return this.#db.all(sql, account) as { seq: number; vm_size: string; dedicated: number; nodes: number }[];
  }
}
