import type { Micros } from '../time.ts';
import type { Database } from './database.ts';
import type { JobRow } from './rows.ts';

export interface Totals {
  readonly since: Micros;
  readonly wall_time: number;
  readonly wait_time: number;
  readonly cpu_time: number;
  readonly succeeded: number;
  readonly failed: number;
  readonly retries: number;
}

export interface UsageRow {
  readonly pool_id: string;
  readonly vm_size: string;
  readonly cores: number;
  readonly first: Micros;
  readonly last: Micros;
}

/** Metrics of a pool at one moment, by the variable's name without `$`. */
export type Metrics = Readonly<Record<string, number>>;

export interface Sample {
  readonly at: Micros;
  readonly metrics: Metrics;
}

/** What is kept about the past: autoscale samples, node hours, totals of accounts. Call inside a transaction. */
export class Accounting {
  readonly #db: Database;

  constructor(db: Database) {
    this.#db = db;
  }

  addSample(pool: number, sample: Sample, keepSince: Micros): void {
    const sql = 'INSERT INTO samples (pool, at, metrics) VALUES (?, ?, ?) ON CONFLICT DO NOTHING';
    this.#db.run(sql, pool, sample.at, JSON.stringify(sample.metrics));
    this.#db.run('DELETE FROM samples WHERE pool = ? AND at < ?', pool, keepSince);
  }

  /** Samples of a pool, the oldest first. */
  samples(pool: number): Sample[] {
    const rows = this.#db.all('SELECT at, metrics FROM samples WHERE pool = ? ORDER BY at', pool);
    return (rows as { at: number; metrics: string }[]).map(({ at, metrics }) => ({
      at,
      metrics: JSON.parse(metrics) as Metrics,
    }));
  }

  forgetPool(pool: number): void {
    this.#db.run('DELETE FROM samples WHERE pool = ?', pool);
  }

  nodeUsed(account: string, usage: UsageRow): void {
    this.#db.run(
      'INSERT INTO node_usage (account, pool_id, vm_size, cores, first, last) VALUES (?, ?, ?, ?, ?, ?)',
      account,
      usage.pool_id,
      usage.vm_size,
      usage.cores,
      usage.first,
      usage.last,
    );
  }

  /** What nodes that are gone used between two moments. */
  usage(account: string, from: Micros, to: Micros): UsageRow[] {
    const sql =
      'SELECT pool_id, vm_size, cores, first, last FROM node_usage WHERE account = ? AND last > ? AND first < ?';
    return this.#db.all(sql, account, from, to) as UsageRow[];
  }

  /** Keeps the totals of a job that is going away. */
  jobGone(job: JobRow): void {
    this.#db.run(
      `INSERT INTO lifetime (account, since, wall_time, wait_time, cpu_time, succeeded, failed, retries)
       VALUES (?, ?, ?, ?, ?, ?, ?, ?)
       ON CONFLICT (account) DO UPDATE SET since = min(since, excluded.since),
         wall_time = wall_time + excluded.wall_time, wait_time = wait_time + excluded.wait_time,
         cpu_time = cpu_time + excluded.cpu_time, succeeded = succeeded + excluded.succeeded,
         failed = failed + excluded.failed, retries = retries + excluded.retries`,
      job.account,
      job.created,
      job.wall_time,
      job.wait_time,
      job.cpu_time,
      job.n_succeeded,
      job.n_failed,
      job.retries,
    );
  }

  /** Totals of an account: jobs that are gone, and jobs that are there. */
  totals(account: string): Totals | undefined {
    return this.#db.one(
      `SELECT min(since) AS since, total(wall_time) AS wall_time, total(wait_time) AS wait_time,
         total(cpu_time) AS cpu_time, total(succeeded) AS succeeded, total(failed) AS failed, total(retries) AS retries
       FROM (SELECT since, wall_time, wait_time, cpu_time, succeeded, failed, retries FROM lifetime WHERE account = ?
             UNION ALL SELECT created, wall_time, wait_time, cpu_time, n_succeeded, n_failed, retries FROM jobs WHERE account = ?)
       HAVING count(*) > 0`,
      account,
      account,
    ) as Totals | undefined;
  }
}
