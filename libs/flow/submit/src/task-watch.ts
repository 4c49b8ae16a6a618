import type { Clock } from '@xva/runtime';
import type { BatchPort, TaskFacts } from './ports.ts';

interface Watched {
  readonly facts: Map<string, TaskFacts>;
  cursor: string | undefined;
  fullAt: number;
  changedAt: number;
}

export interface TaskWatchOptions {
  /** How often every task of a job is listed again: what was deleted, or never told as changed, is seen then. */
  readonly fullMs: number;
}

/** After a change is seen, looks reach back this far for a while, since Batch's lists may lag behind. */
const overlapMs = 5_000;
const settledMs = 10_000;

/**
 * The tasks of jobs under way for one small request a look: what changed since the last one, on top of what is known. Holds
 * nothing that cannot be listed again. A port that does not tell changes is listed in full each time.
 */
export class TaskWatch {
  readonly #batch: Pick<BatchPort, 'listTasks' | 'changedTasks'>;
  readonly #clock: Clock;
  readonly #fullMs: number;
  readonly #jobs = new Map<string, Watched>();

  constructor(batch: Pick<BatchPort, 'listTasks' | 'changedTasks'>, clock: Clock, options: TaskWatchOptions) {
    this.#batch = batch;
    this.#clock = clock;
    this.#fullMs = options.fullMs;
  }

  /** Jobs that are watched. */
  get size(): number {
    return this.#jobs.size;
  }

  /**
   * The job's tasks; undefined when it is gone.
   *
   * @param whole every task is listed: of a job that was seen closed the answer is then final
   */
  async look(jobId: string, whole: boolean): Promise<readonly TaskFacts[] | undefined> {
    const known = this.#jobs.get(jobId);
    const now = this.#clock.now().getTime();
    const { changedTasks } = this.#batch;
    if (whole || known === undefined || changedTasks === undefined || now - known.fullAt >= this.#fullMs)
      return this.#list(jobId, now);
    const overlap = now - known.changedAt < settledMs ? overlapMs : 0;
    const told = await this.#batch.changedTasks?.(jobId, known.cursor, overlap);
    if (told === undefined) {
      this.#jobs.delete(jobId);
      return undefined;
    }
    for (const task of told.changed) {
      const before = known.facts.get(task.id.toLowerCase());
      if (before?.state !== task.state || before.endTime?.getTime() !== task.endTime?.getTime()) known.changedAt = now;
      known.facts.set(task.id.toLowerCase(), task);
    }
    known.cursor = told.cursor;
    return [...known.facts.values()];
  }

  async #list(jobId: string, now: number): Promise<readonly TaskFacts[] | undefined> {
    const tasks = await this.#batch.listTasks(jobId);
    if (tasks === undefined) {
      this.#jobs.delete(jobId);
      return undefined;
    }
    const facts = new Map(tasks.map((task) => [task.id.toLowerCase(), task]));
    // Changes are told from the beginning once, so that none between the list and the first of them is missed.
    this.#jobs.set(jobId, { facts, cursor: undefined, fullAt: now, changedAt: now });
    return tasks;
  }

  /** Tasks that were added to a job, or made active again. */
  added(jobId: string, taskIds: readonly string[]): void {
    const known = this.#jobs.get(jobId);
    for (const id of known === undefined ? [] : taskIds) known?.facts.set(id, waitingTask(id));
  }

  /** Nobody looks at the job any more. */
  forget(jobId: string): void {
    this.#jobs.delete(jobId);
  }
}

function waitingTask(id: string): TaskFacts {
  const none = { exitCode: undefined, result: undefined, failure: undefined };
  return { id, state: 'active', ...none, startTime: undefined, endTime: undefined, nodeId: undefined };
}
