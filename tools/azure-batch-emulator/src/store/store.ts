import { randomUUID } from 'node:crypto';
import type { Micros } from '../time.ts';
import { Accounting } from './accounting.ts';
import { Database } from './database.ts';
import { Jobs } from './jobs.ts';
import { NodeTasks } from './node-tasks.ts';
import { Pools } from './pools.ts';
import { Schedules } from './schedules.ts';
import { Tasks } from './tasks.ts';

/** The emulator's whole durable state. What was acknowledged in a transaction survives a kill -9. */
export class Store {
  readonly #db: Database;
  readonly pools: Pools;
  readonly jobs: Jobs;
  readonly tasks: Tasks;
  readonly schedules: Schedules;
  readonly nodeTasks: NodeTasks;
  readonly accounting: Accounting;
  /** Marks the processes of this state, through every life of the emulator that serves it. */
  readonly instance: string;

  /** @throws DataInUseError */
  constructor(file: string) {
    this.#db = new Database(file);
    this.pools = new Pools(this.#db);
    this.jobs = new Jobs(this.#db);
    this.tasks = new Tasks(this.#db);
    this.schedules = new Schedules(this.#db);
    this.nodeTasks = new NodeTasks(this.#db);
    this.accounting = new Accounting(this.#db);
    this.#db.run(`INSERT INTO meta (key, value) VALUES ('instance', ?) ON CONFLICT DO NOTHING`, randomUUID());
    this.instance = (this.#db.one(`SELECT value FROM meta WHERE key = 'instance'`) as { value: string }).value;
  }

  transaction<T>(work: () => T): T {
    return this.#db.transaction(work);
  }

  /** The latest time that was ever given out as a version, so that a clock set back cannot repeat an ETag. */
  lastStamp(): Micros {
    const row = this.#db.one(
      `SELECT max(at) AS at FROM (SELECT max(modified) AS at FROM pools UNION ALL SELECT max(modified) FROM jobs
       UNION ALL SELECT max(modified) FROM tasks UNION ALL SELECT max(modified) FROM schedules)`,
    );
    return (row as { at: number | null }).at ?? 0;
  }

  close(): void {
    this.#db.close();
  }
}
