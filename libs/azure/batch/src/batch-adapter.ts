import type { BatchServiceModels as Models } from '@azure/batch';
import { addInBulk } from './bulk.ts';
import { RetryingBatchClient, type BatchClientOptions } from './client.ts';
import { BatchError } from './errors.ts';
import {
  sameJob,
  sameTask,
  toJob,
  toJobFacts,
  toPoolFacts,
  toTask,
  toTaskFacts,
  type JobFacts,
  type JobSpec,
  type PoolFacts,
  type TaskCounts,
  type TaskFacts,
  type TaskSpec,
} from './shapes.ts';

export interface BatchAdapterOptions extends BatchClientOptions {
  /** Collections in flight at a time. */
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
const listSelect = 'id,state,executionInfo,nodeInfo';
const contentSelect = 'id,commandLine,containerSettings,resourceFiles,environmentSettings';
const fileGone = new Set([
  'TaskFilesUnavailable',
  'TaskFilesCleanedup',
  'NodeNotReady',
  'OperationInvalidForCurrentState',
]);

/** One Batch account. Foreseen outcomes are in the results; what cannot be helped is a BatchError. */
export class BatchAdapter {
  readonly #client: RetryingBatchClient;
  readonly #parallelism: number;
  readonly #varying: ReadonlySet<string>;

  /** @throws BatchError when only one of account name and key is given. */
  constructor(options: BatchAdapterOptions) {
    this.#client = new RetryingBatchClient(options);
    this.#parallelism = options.bulkParallelism ?? 8;
    this.#varying = new Set(options.varyingNames ?? []);
  }

  async poolFacts(poolId: string): Promise<PoolFacts | undefined> {
    return this.#orAbsent(() =>
      this.#client.call(`pool ${poolId}`, async (client, options) =>
        toPoolFacts(await client.pool.get(poolId, options)),
      ),
    );
  }

  async *listPools(): AsyncGenerator<PoolFacts> {
    const first = await this.#client.call('pools', (client, options) => client.pool.list(options));
    yield* first.map(toPoolFacts);
    for (let next = first.odatanextLink; next !== undefined;) {
      const link = next;
      const page = await this.#client.call('pools', (client, options) => client.pool.listNext(link, options));
      yield* page.map(toPoolFacts);
      next = page.odatanextLink;
    }
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
    const first = await this.#client.call('jobs', (client, options) => client.job.list({ ...options, jobListOptions }));
    yield* first.map(toJobFacts);
    for (let next = first.odatanextLink; next !== undefined;) {
      const link = next;
      const page = await this.#client.call('jobs', (client, options) => client.job.listNext(link, options));
      yield* page.map(toJobFacts);
      next = page.odatanextLink;
    }
  }

  /**
   * Adds tasks by collections. A task that exists with the same content is success; one with other content is a
   * `conflict`. Repeating the call after any failure is the same act.
   */
  async addTasks(
    jobId: string,
    specs: readonly TaskSpec[],
    options: { signal?: AbortSignal; onProgress?: (done: number, total: number) => void } = {},
  ): Promise<AddTasksOutcome> {
    try {
      const counts = await addInBulk(specs.map(toTask), {
        send: (tasks) =>
          this.#client.call(
            `tasks of ${jobId}`,
            (client, call) => client.task.addCollection(jobId, tasks, call),
            options.signal,
          ),
        parallelism: this.#parallelism,
        policy: this.#client.policy,
        clock: this.#client.clock,
        random: this.#client.random,
        ...options,
      });
      const [first] = counts.refused;
      if (first !== undefined)
        return jobClosed.has(first.code) ? { outcome: 'job-closed' } : { outcome: 'refused', ...first };
      const differing = await this.#differing(jobId, specs, counts.existed);
      if (differing.length > 0) return { outcome: 'conflict', taskIds: differing };
      return { outcome: 'added', created: counts.created.length, existed: counts.existed.length };
    } catch (error) {
      if (isCode(error, jobClosed)) return { outcome: 'job-closed' };
      if (isAbsent(error)) return { outcome: 'job-absent' };
      if (error instanceof BatchError && (error.status === 400 || error.status === 413))
        return { outcome: 'refused', taskId: undefined, code: error.code, message: error.detail };
      throw error;
    }
  }

  async #differing(jobId: string, specs: readonly TaskSpec[], existing: readonly string[]): Promise<readonly string[]> {
    if (existing.length === 0) return [];
    const wanted = new Map(specs.map((spec) => [spec.id.toLowerCase(), spec]));
    const ids = new Set(existing.map((id) => id.toLowerCase()));
    const differing: string[] = [];
    for await (const task of this.#tasks(jobId, contentSelect)) {
      const id = (task.id ?? '').toLowerCase();
      const spec = wanted.get(id);
      if (spec !== undefined && ids.has(id) && !sameTask(spec, task, this.#varying)) differing.push(spec.id);
    }
    return differing;
  }

  async *#tasks(jobId: string, select: string, filter?: string): AsyncGenerator<Models.CloudTask> {
    const target = `tasks of ${jobId}`;
    const taskListOptions = { select, ...(filter === undefined ? {} : { filter }) };
    const first = await this.#client.call(target, (client, options) =>
      client.task.list(jobId, { ...options, taskListOptions }),
    );
    yield* first;
    for (let next = first.odatanextLink; next !== undefined;) {
      const link = next;
      const page = await this.#client.call(target, (client, options) => client.task.listNext(link, options));
      yield* page;
      next = page.odatanextLink;
    }
  }

  /** The job's tasks by as few requests as pages of 1000, or undefined when there is no such job. */
  async listTasks(jobId: string, filter?: string): Promise<readonly TaskFacts[] | undefined> {
    return this.#orAbsent(async () => {
      const found: TaskFacts[] = [];
      for await (const task of this.#tasks(jobId, listSelect, filter)) found.push(toTaskFacts(task));
      return found;
    });
  }

  async getTask(jobId: string, taskId: string): Promise<TaskFacts | undefined> {
    return this.#orAbsent(() =>
      this.#client.call(`task ${jobId}/${taskId}`, async (client, options) =>
        toTaskFacts(await client.task.get(jobId, taskId, { ...options, taskGetOptions: { select: listSelect } })),
      ),
    );
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
    return this.#orAbsent(async () => {
      const { taskCounts } = await this.#client.call(`job ${jobId}`, (client, options) =>
        client.job.getTaskCounts(jobId, options),
      );
      const { active, running, completed, succeeded, failed } = taskCounts;
      return { active, running, completed, succeeded, failed };
    });
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
