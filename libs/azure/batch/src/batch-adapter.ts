import type { BatchServiceClient } from '@azure/batch';
import { RetryingBatchClient, type BatchClientOptions, type CallOptions } from './client.ts';
import { BatchCollector } from './collect.ts';
import { BatchError } from './errors.ts';
import { Pools, type EvaluateOutcome, type ResizeOutcome } from './pools.ts';
import {
  sameJob,
  toJob,
  toJobFacts,
  toTaskFacts,
  type JobFacts,
  type JobSpec,
  type PoolFacts,
  type TaskChanges,
  type TaskCounts,
  type TaskFacts,
  type TaskSpec,
} from './shapes.ts';
import { factsSelect, Tasks } from './tasks.ts';

export interface BatchAdapterOptions extends BatchClientOptions {
  /** Collections in flight at a time (default 32); fewer while Batch throttles. */
  readonly bulkParallelism?: number | undefined;
  /** Names of job metadata and task environment that vary by nature and do not count when contents are compared. */
  readonly varyingNames?: readonly string[] | undefined;
}

export type Refusal = { readonly outcome: 'refused'; readonly code: string; readonly message: string };
export type AddJobOutcome = { readonly outcome: 'created' | 'exists' | 'conflict' | 'quota' } | Refusal;
export type AddTasksOutcome =
  | { readonly outcome: 'added'; readonly created: number; readonly existed: number }
  | { readonly outcome: 'conflict'; readonly taskIds: readonly string[] }
  | { readonly outcome: 'job-closed' | 'job-absent' }
  | (Refusal & { readonly taskId: string | undefined });

const jobClosed = new Set(['JobCompleted', 'JobBeingTerminated', 'JobBeingDeleted', 'JobNotActive']);
const fileGone = new Set([
  'TaskFilesUnavailable',
  'TaskFilesCleanedup',
  'NodeNotReady',
  'OperationInvalidForCurrentState',
]);

/** One Batch account. Foreseen outcomes are in the results; what cannot be helped is a BatchError. */
export class BatchAdapter {
  readonly #client: RetryingBatchClient;
  readonly #tasks: Tasks;
  readonly #pools: Pools;
  readonly #varying: ReadonlySet<string>;

  /** @throws BatchError when only one of account name and key is given. */
  constructor(options: BatchAdapterOptions) {
    this.#client = new RetryingBatchClient(options);
    this.#pools = new Pools(this.#client);
    this.#varying = new Set(options.varyingNames ?? []);
    this.#tasks = new Tasks(this.#client, options.bulkParallelism ?? 32, this.#varying);
  }

  async poolFacts(poolId: string): Promise<PoolFacts | undefined> {
    return this.#pools.get(poolId);
  }

  /** As `poolFacts`, by the name that operators' tools use. */
  async poolDetails(poolId: string): Promise<PoolFacts | undefined> {
    return this.#pools.get(poolId);
  }

  listPools(): AsyncGenerator<PoolFacts> {
    return this.#pools.list();
  }

  /** Asks for so many nodes; what is left out stays as it is. */
  async resizePool(poolId: string, target: Parameters<Pools['resize']>[1]): Promise<ResizeOutcome> {
    return this.#pools.resize(poolId, target);
  }

  /** What a formula would set now; nothing changes. */
  async evaluateAutoScale(poolId: string, formula: string): Promise<EvaluateOutcome> {
    return this.#pools.evaluate(poolId, formula);
  }

  /** Adds the job; `exists` when one of that id with the same pool and metadata is there. */
  async addJob(spec: JobSpec): Promise<AddJobOutcome> {
    try {
      await this.#client.call(`job ${spec.id}`, (client, options) => client.job.add(toJob(spec), options));
      return { outcome: 'created' };
    } catch (error) {
      if (!(error instanceof BatchError)) throw error;
      if (error.code === 'ActiveJobAndScheduleQuotaReached') return { outcome: 'quota' };
      if (error.code === 'JobExists' || error.code === 'JobBeingDeleted') {
        const found = await this.getJob(spec.id);
        return { outcome: found === undefined || sameJob(spec, found, this.#varying) ? 'exists' : 'conflict' };
      }
      if (error.status === 400) return { outcome: 'refused', code: error.code, message: error.detail };
      throw error;
    }
  }

  async getJob(jobId: string): Promise<JobFacts | undefined> {
    return this.#orAbsent(() =>
      this.#client.call(`job ${jobId}`, async (client, options) => toJobFacts(await client.job.get(jobId, options))),
    );
  }

  /** Changes the job's priority or what happens when its tasks are complete. */
  async patchJob(
    jobId: string,
    change: { readonly priority?: number; readonly onAllTasksComplete?: 'noaction' | 'terminatejob' },
  ): Promise<'patched' | 'closed' | 'absent'> {
    try {
      await this.#client.call(`job ${jobId}`, (client, options) => client.job.patch(jobId, change, options));
      return 'patched';
    } catch (error) {
      if (isCode(error, jobClosed)) return 'closed';
      if (isAbsent(error)) return 'absent';
      throw error;
    }
  }

  /** Lets running tasks go on and no other start (`disableTasks: wait`). Asking twice is the same act. */
  async disableJob(jobId: string): Promise<'asked' | 'already' | 'closed' | 'absent'> {
    return this.#switchJob(jobId, ['disabled', 'disabling'], (client, options) =>
      client.job.disable(jobId, 'wait', options),
    ).then((outcome) => (outcome === 'not-yet' ? 'asked' : outcome));
  }

  /** Lets a disabled job go on; `not-yet` while it is still being disabled. */
  async enableJob(jobId: string): Promise<'asked' | 'already' | 'not-yet' | 'closed' | 'absent'> {
    return this.#switchJob(jobId, ['active', 'enabling'], (client, options) => client.job.enable(jobId, options));
  }

  /** What Batch answers to a state that is there already differs by service version: the job itself is asked. */
  async #switchJob(
    jobId: string,
    there: readonly string[],
    operation: (client: BatchServiceClient, options: CallOptions) => Promise<unknown>,
  ): Promise<'asked' | 'already' | 'not-yet' | 'closed' | 'absent'> {
    try {
      await this.#client.call(`job ${jobId}`, operation);
      return 'asked';
    } catch (error) {
      if (isAbsent(error)) return 'absent';
      if (!(error instanceof BatchError) || error.status !== 409) throw error;
      const job = await this.getJob(jobId);
      if (job === undefined) return 'absent';
      if (['terminating', 'completed', 'deleting'].includes(job.state)) return 'closed';
      return there.includes(job.state) ? 'already' : 'not-yet';
    }
  }

  /** Asks for the job's end; its running tasks are killed. `ended` when it had ended before. */
  async terminateJob(jobId: string, reason: string): Promise<'asked' | 'ended' | 'absent'> {
    try {
      await this.#client.call(`job ${jobId}`, (client, options) =>
        client.job.terminate(jobId, { ...options, terminateReason: reason }),
      );
      return 'asked';
    } catch (error) {
      if (isCode(error, jobClosed)) return 'ended';
      if (isAbsent(error)) return 'absent';
      throw error;
    }
  }

  async deleteJob(jobId: string): Promise<'deleted' | 'absent'> {
    try {
      await this.#client.call(`job ${jobId}`, (client, options) => client.job.deleteMethod(jobId, options));
      return 'deleted';
    } catch (error) {
      if (error instanceof BatchError && error.code === 'JobBeingDeleted') return 'deleted';
      if (isAbsent(error)) return 'absent';
      throw error;
    }
  }

  /** Jobs of the account, page by page. `filter` is OData, such as `startswith(id,'xva-') and state eq 'active'`. */
  async *listJobs(filter?: string): AsyncGenerator<JobFacts> {
    const jobListOptions = {
      select: 'id,state,stateTransitionTime,creationTime,poolInfo,metadata,executionInfo',
      ...(filter === undefined ? {} : { filter }),
    };
    const pages = this.#client.list(
      'jobs',
      (client, options) => client.job.list({ ...options, jobListOptions }),
      (client, link, options) => client.job.listNext(link, options),
    );
    for await (const page of pages) yield* page.map(toJobFacts);
  }

  /**
   * Adds tasks by collections, in no order. A task that exists with the same content is success; one with other content
   * is a `conflict`, and the first thousand are named. Repeating the call after any failure is the same act. The tasks
   * may be a stream of any length: no more than what is in flight is held.
   *
   * @param options `signal` stops the call: requests in flight are dropped (their tasks may be there or not), and it
   *   rejects with the signal's reason. `onProgress` hears after each answer how many tasks are settled, of how many (undefined for a stream).
   * @throws BatchError when a request fails for good; whatever the stream throws
   */
  async addTasks(
    jobId: string,
    specs: Iterable<TaskSpec> | AsyncIterable<TaskSpec>,
    options: { signal?: AbortSignal; onProgress?: (done: number, total: number | undefined) => void } = {},
  ): Promise<AddTasksOutcome> {
    try {
      const { refused, differing, created, existed } = await this.#tasks.add(jobId, specs, options);
      if (refused !== undefined) {
        const { taskId, code, message } = refused;
        return jobClosed.has(code) ? { outcome: 'job-closed' } : { outcome: 'refused', taskId, code, message };
      }
      return differing.length > 0
        ? { outcome: 'conflict', taskIds: differing }
        : { outcome: 'added', created, existed };
    } catch (error) {
      if (isCode(error, jobClosed)) return { outcome: 'job-closed' };
      if (isAbsent(error)) return { outcome: 'job-absent' };
      if (error instanceof BatchError && error.status === 400)
        return { outcome: 'refused', taskId: undefined, code: error.code, message: error.detail };
      throw error;
    }
  }

  /** The job's tasks by as few requests as pages of 1000, or undefined when there is no such job. */
  async listTasks(jobId: string, filter?: string): Promise<readonly TaskFacts[] | undefined> {
    return this.#orAbsent(async () => {
      const found: TaskFacts[] = [];
      for await (const task of this.#tasks.list(jobId, factsSelect, filter)) found.push(toTaskFacts(task));
      return found;
    });
  }

  /**
   * Watches a job of any size for a few requests a look: one for the counts, and a page per 1000 tasks that changed state
   * since the look that gave `cursor`. The first look (no cursor) tells the tasks that have left `active`. Undefined when
   * there is no such job.
   *
   * @param overlapMs how far a look reaches back before the last change seen, since Batch's lists may lag behind
   */
  async taskChanges(jobId: string, cursor?: string, overlapMs = 5_000): Promise<TaskChanges | undefined> {
    return this.#orAbsent(async () => {
      const counts = await this.#counts(jobId);
      return { counts, ...(await this.#tasks.changes(jobId, cursor, overlapMs)) };
    });
  }

  /** As `taskChanges` without the counts: one request when little changed. */
  async changedTasks(
    jobId: string,
    cursor: string | undefined,
    overlapMs: number,
  ): Promise<Pick<TaskChanges, 'changed' | 'cursor'> | undefined> {
    return this.#orAbsent(() => this.#tasks.changes(jobId, cursor, overlapMs));
  }

  async getTask(jobId: string, taskId: string): Promise<TaskFacts | undefined> {
    return this.#orAbsent(async () => toTaskFacts(await this.#tasks.get(jobId, taskId, factsSelect)));
  }

  /**
   * Makes a failed task active again; its retry count starts anew. `not-failed` when it is under way or has succeeded,
   * which is also what the second of two callers hears.
   */
  async reactivateTask(jobId: string, taskId: string): Promise<'reactivated' | 'not-failed' | 'job-closed' | 'absent'> {
    try {
      await this.#client.call(`task ${jobId}/${taskId}`, (client, options) =>
        client.task.reactivate(jobId, taskId, options),
      );
      return 'reactivated';
    } catch (error) {
      if (isCode(error, new Set(['TaskNotCompleted', 'TaskSucceeded']))) return 'not-failed';
      if (isCode(error, jobClosed)) return 'job-closed';
      if (isAbsent(error)) return 'absent';
      throw error;
    }
  }

  async terminateTask(jobId: string, taskId: string): Promise<'terminated' | 'ended' | 'absent'> {
    try {
      await this.#client.call(`task ${jobId}/${taskId}`, (client, options) =>
        client.task.terminate(jobId, taskId, options),
      );
      return 'terminated';
    } catch (error) {
      if (isCode(error, new Set(['TaskCompleted', ...jobClosed]))) return 'ended';
      if (isAbsent(error)) return 'absent';
      throw error;
    }
  }

  /** Part of a file of a task, straight from its node; undefined when task, file or node is gone. */
  async readTaskFile(
    jobId: string,
    taskId: string,
    path: string,
    range: { readonly offset: number; readonly count: number },
  ): Promise<Buffer | undefined> {
    const ocpRange = `bytes=${range.offset}-${range.offset + range.count - 1}`;
    try {
      return await this.#client.call(`file ${jobId}/${taskId}/${path}`, async (client, options) => {
        const fileGetFromTaskOptions = { ocpRange };
        const answer = await client.file.getFromTask(jobId, taskId, path, { ...options, fileGetFromTaskOptions });
        const chunks: Buffer[] = [];
        for await (const chunk of answer.readableStreamBody ?? []) chunks.push(Buffer.from(chunk));
        return Buffer.concat(chunks).subarray(0, range.count);
      });
    } catch (error) {
      if (isAbsent(error) || isCode(error, fileGone)) return undefined;
      if (error instanceof BatchError && error.status === 416) return Buffer.alloc(0);
      throw error;
    }
  }

  async taskCounts(jobId: string): Promise<TaskCounts | undefined> {
    return this.#orAbsent(() => this.#counts(jobId));
  }

  async #counts(jobId: string): Promise<TaskCounts> {
    const { taskCounts } = await this.#client.call(`job ${jobId}`, (client, options) =>
      client.job.getTaskCounts(jobId, options),
    );
    const { active, running, completed, succeeded, failed } = taskCounts;
    return { active, running, completed, succeeded, failed };
  }

  /** What a collector asks beyond what submitting needs, over the same client. */
  collector(): BatchCollector {
    return new BatchCollector(this.#client, this.#tasks);
  }

  /** One cheap authenticated request, for health checks. */
  async check(poolId: string): Promise<string> {
    const pool = await this.poolFacts(poolId);
    if (pool === undefined)
      throw new BatchError(`pool ${poolId}`, { code: 'PoolNotFound', status: 404, detail: 'there is no such pool' });
    return `pool ${pool.id} ${pool.allocationState}, ${pool.dedicatedNodes.current + pool.spotNodes.current} nodes`;
  }

  close(): void {
    this.#client.close();
  }

  async #orAbsent<T>(operation: () => Promise<T>): Promise<T | undefined> {
    try {
      return await operation();
    } catch (error) {
      if (isAbsent(error)) return undefined;
      throw error;
    }
  }
}

function isAbsent(error: unknown): boolean {
  return error instanceof BatchError && error.status === 404;
}

function isCode(error: unknown, codes: ReadonlySet<string>): boolean {
  return error instanceof BatchError && codes.has(error.code);
}
