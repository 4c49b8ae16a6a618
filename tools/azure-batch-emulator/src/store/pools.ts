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
}

export interface NewNode {
  readonly id: string;
  readonly dedicated: boolean;
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
       allocation_time, target_dedicated, target_low, deallocation, created, modified)
       VALUES (?, ?, ?, ?, ?, ?, 'active', ?, 'resizing', ?, ?, ?, 'requeue', ?, ?)`,
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

  resize(pool: PoolRow, dedicated: number, low: number, deallocation: string, now: Micros): void {
    this.#db.run(
      `UPDATE pools SET target_dedicated = ?, target_low = ?, deallocation = ?, allocation_state = 'resizing',
       allocation_time = ?, modified = ? WHERE seq = ?`,
      dedicated,
      low,
      deallocation,
      now,
      now,
      pool.seq,
    );
  }

  allocation(seq: number, state: PoolRow['allocation_state'], now: Micros): void {
    const sql = 'UPDATE pools SET allocation_state = ?, allocation_time = ?, modified = ? WHERE seq = ?';
    this.#db.run(sql, state, now, now, seq);
  }

  deleting(seq: number, now: Micros): void {
    this.#db.run(`UPDATE pools SET state = 'deleting', state_time = ?, modified = ? WHERE seq = ?`, now, now, seq);
  }

  remove(seq: number): void {
    this.#db.run('DELETE FROM nodes WHERE pool = ?', seq);
    this.#db.run('DELETE FROM pools WHERE seq = ?', seq);
  }

  addNode(pool: number, node: NewNode, now: Micros): NodeRow {
    this.#db.run(
      `INSERT INTO nodes (pool, id, dedicated, state, state_time, scheduling, last_boot, allocated)
       VALUES (?, ?, ?, 'idle', ?, 'enabled', ?, ?)`,
      pool,
      node.id,
      Number(node.dedicated),
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

  nodeBooted(seq: number, now: Micros): void {
    this.nodeState(seq, 'idle', now);
    this.#db.run('UPDATE nodes SET last_boot = ? WHERE seq = ?', now, seq);
  }

  nodeRan(seq: number, succeeded: boolean): void {
    const sql = 'UPDATE nodes SET total_run = total_run + 1, total_succeeded = total_succeeded + ? WHERE seq = ?';
    this.#db.run(sql, Number(succeeded), seq);
  }

  removeNode(seq: number): void {
    this.#db.run('DELETE FROM nodes WHERE seq = ?', seq);
  }
}
