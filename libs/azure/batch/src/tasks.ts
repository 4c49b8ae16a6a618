import { addTasksInBulk, type Added } from './bulk/add-tasks.ts';
import type { RetryingBatchClient } from './client.ts';
import { BatchError } from './errors.ts';
import { pagesOf } from './pages.ts';
import { contentSelect, toTaskFacts, type TaskFacts, type TaskSpec, type WireTask } from './shapes.ts';

interface TaskPage {
  readonly value: readonly WireTask[];
  readonly 'odata.nextLink'?: string;
}

/** The properties of a task that `toTaskFacts` reads. */
export const factsSelect = 'id,state,executionInfo,nodeInfo';

export interface AddTasksOptions {
  readonly signal?: AbortSignal;
  readonly onProgress?: (done: number, total: number | undefined) => void;
}

/** Tasks by the thousand, over our own REST path. Every method throws BatchError. */
export class Tasks {
  readonly #client: RetryingBatchClient;
  readonly #parallelism: number;
  readonly #varying: ReadonlySet<string>;

  constructor(client: RetryingBatchClient, parallelism: number, varying: ReadonlySet<string>) {
    this.#client = client;
    this.#parallelism = parallelism;
    this.#varying = varying;
  }

  async add(
    jobId: string,
    specs: Iterable<TaskSpec> | AsyncIterable<TaskSpec>,
    { signal, onProgress }: AddTasksOptions,
  ): Promise<Added> {
    const client = this.#client;
    const path = `/jobs/${encodeURIComponent(jobId)}/addtaskcollection`;
    return addTasksInBulk(specs, {
      send: (body) => client.rest.json(`tasks of ${jobId}`, { method: 'POST', path, body }, signal),
      judge: (error, startedMs) => client.judge(error, startedMs),
      onRetry: (error, attempt, delayMs) => client.tell(error, attempt, delayMs),
      reader: {
        get: (taskId) => this.get(jobId, taskId, contentSelect, signal),
        list: (filter, pageSize) => this.list(jobId, contentSelect, filter, { pageSize, signal }),
      },
      varying: this.#varying,
      parallelism: this.#parallelism,
      policy: client.policy,
      clock: client.clock,
      random: client.random,
      signal,
      onProgress,
    });
  }

  async get(jobId: string, taskId: string, select: string, signal?: AbortSignal): Promise<WireTask> {
    const path = `/jobs/${encodeURIComponent(jobId)}/tasks/${encodeURIComponent(taskId)}`;
    const request = { method: 'GET', path, query: { $select: select } } as const;
    const get = (): Promise<unknown> => this.#client.rest.json(`task ${jobId}/${taskId}`, request, signal);
    return (await this.#client.retrying(get, signal)) as WireTask;
  }

  async *list(
    jobId: string,
    select: string,
    filter?: string,
    { pageSize, signal }: { readonly pageSize?: number; readonly signal?: AbortSignal | undefined } = {},
  ): AsyncGenerator<WireTask> {
    const { rest } = this.#client;
    const target = `tasks of ${jobId}`;
    const path = `/jobs/${encodeURIComponent(jobId)}/tasks`;
    const query = {
      $select: select,
      ...(filter === undefined ? {} : { $filter: filter }),
      ...(pageSize === undefined ? {} : { maxresults: String(pageSize) }),
    };
    const read = (link: string | undefined): Promise<TaskPage> =>
      this.#client.retrying(async () => {
        const request = { method: 'GET', path, query } as const;
        const page = await (link === undefined
          ? rest.json(target, request, signal)
          : rest.follow(target, link, signal));
        if (Array.isArray((page as Partial<TaskPage> | null | undefined)?.value)) return page as TaskPage;
        throw new BatchError(target, { code: 'PARSE_ERROR', status: 200, detail: 'the answer has no list of tasks' });
      }, signal);
    for await (const page of pagesOf(target, read, (page) => page['odata.nextLink'])) yield* page.value;
  }

  /** Tasks whose state changed since `cursor`; without one, those that are no longer active. */
  async changes(
    jobId: string,
    cursor: string | undefined,
    overlapMs: number,
  ): Promise<{ readonly changed: readonly TaskFacts[]; readonly cursor: string | undefined }> {
    const begun = `state eq 'preparing' or state eq 'running' or state eq 'completed'`;
    const filter = cursor === undefined ? begun : `stateTransitionTime ge DateTime'${cursor}'`;
    const changed: TaskFacts[] = [];
    let latest = 0;
    for await (const task of this.list(jobId, `${factsSelect},stateTransitionTime`, filter)) {
      changed.push(toTaskFacts(task));
      latest = Math.max(latest, Date.parse(task.stateTransitionTime ?? '') || 0);
    }
    return { changed, cursor: latest === 0 ? cursor : new Date(latest - overlapMs).toISOString() };
  }
}
