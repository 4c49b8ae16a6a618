import type { RetryingBatchClient } from './client.ts';
import { BatchError } from './errors.ts';
import type { WireTask } from './shapes.ts';
import type { Tasks } from './tasks.ts';

/** A task as a collector looks at it. */
export interface CollectedTask {
  readonly id: string;
  readonly state: 'active' | 'preparing' | 'running' | 'completed';
  /** When the present state began. */
  readonly since: Date;
  readonly startTime: Date | undefined;
  readonly endTime: Date | undefined;
  readonly exitCode: number | undefined;
  readonly failed: boolean;
  /** Some exit condition lets dependents go on. */
  readonly mayBeSatisfied: boolean;
  readonly nodeId: string | undefined;
  readonly poolId: string | undefined;
  readonly dependsOn: readonly string[];
  readonly dependsOnRanges: readonly { readonly start: number; readonly end: number }[];
}

interface FullTask extends WireTask {
  readonly nodeInfo?: { readonly nodeId?: string; readonly poolId?: string };
  readonly dependsOn?: {
    readonly taskIds?: readonly string[];
    readonly taskIdRanges?: readonly { readonly start: number; readonly end: number }[];
  };
  readonly exitConditions?: object;
}

const select = 'id,state,stateTransitionTime,executionInfo,nodeInfo,dependsOn,exitConditions';
const dateOf = (text: string | undefined): Date | undefined => (text === undefined ? undefined : new Date(text));

function toCollected(task: FullTask): CollectedTask {
  const run = task.executionInfo;
  return {
    id: task.id ?? '',
    state: (task.state ?? 'active').toLowerCase() as CollectedTask['state'],
    since: new Date(task.stateTransitionTime ?? 0),
    startTime: dateOf(run?.startTime),
    endTime: dateOf(run?.endTime),
    exitCode: run?.exitCode,
    failed: run?.failureInfo !== undefined || run?.result?.toLowerCase() === 'failure',
    mayBeSatisfied: /"dependencyAction":"satisfy"/i.test(JSON.stringify(task.exitConditions ?? {})),
    nodeId: task.nodeInfo?.nodeId,
    poolId: task.nodeInfo?.poolId,
    dependsOn: task.dependsOn?.taskIds ?? [],
    dependsOnRanges: task.dependsOn?.taskIdRanges ?? [],
  };
}

/** The operation is not there: an emulator that refuses it by name, or an older service. */
function isNotOffered(error: unknown): boolean {
  return error instanceof BatchError && error.status === 501;
}

function isAbsent(error: unknown): boolean {
  return error instanceof BatchError && error.status === 404;
}

/** What a collector asks of Batch beyond what submitting needs. Streams hold a page at a time. Every method throws BatchError. */
export class BatchCollector {
  readonly #client: RetryingBatchClient;
  readonly #tasks: Tasks;

  constructor(client: RetryingBatchClient, tasks: Tasks) {
    this.#client = client;
    this.#tasks = tasks;
  }

  /** The job's tasks in these states (all, without); none when there is no such job. */
  async *tasks(jobId: string, states: readonly CollectedTask['state'][] = []): AsyncGenerator<CollectedTask> {
    const filter = states.length === 0 ? undefined : states.map((state) => `state eq '${state}'`).join(' or ');
    try {
      for await (const task of this.#tasks.list(jobId, select, filter)) yield toCollected(task);
    } catch (error) {
      if (!isAbsent(error)) throw error;
    }
  }

  async task(jobId: string, taskId: string): Promise<CollectedTask | undefined> {
    try {
      return toCollected(await this.#tasks.get(jobId, taskId, select));
    } catch (error) {
      if (isAbsent(error)) return undefined;
      throw error;
    }
  }

  async deleteTask(jobId: string, taskId: string): Promise<'deleted' | 'absent'> {
    return this.#gone(`task ${jobId}/${taskId}`, (client, options) => client.task.deleteMethod(jobId, taskId, options));
  }

  /** Nodes of a pool with their states (lower case) and since when; undefined when there is no such pool. */
  async nodes(poolId: string): Promise<ReadonlyMap<string, { state: string; since: Date | undefined }> | undefined> {
    const found = new Map<string, { state: string; since: Date | undefined }>();
    try {
      const pages = this.#client.list(
        `nodes of ${poolId}`,
        (client, options) => client.computeNode.list(poolId, options),
        (client, link, options) => client.computeNode.listNext(link, options),
      );
      for await (const page of pages)
        for (const { id, state, stateTransitionTime } of page)
          if (id !== undefined) found.set(id, { state: (state ?? '').toLowerCase(), since: stateTransitionTime });
      return found;
    } catch (error) {
      if (isAbsent(error)) return undefined;
      throw error;
    }
  }

  /** Job schedules with their states (lower case); undefined where the service does not offer them. */
  async schedules(): Promise<readonly { id: string; state: string; since: Date }[] | undefined> {
    const found: { id: string; state: string; since: Date }[] = [];
    try {
      const pages = this.#client.list(
        'schedules',
        (client, options) => client.jobSchedule.list(options),
        (client, link, options) => client.jobSchedule.listNext(link, options),
      );
      for await (const page of pages)
        for (const { id, state, stateTransitionTime, creationTime } of page) {
          const since = stateTransitionTime ?? creationTime ?? new Date(0);
          if (id !== undefined) found.push({ id, state: (state ?? '').toLowerCase(), since });
        }
      return found;
    } catch (error) {
      if (isNotOffered(error)) return undefined;
      throw error;
    }
  }

  async deleteSchedule(id: string): Promise<'deleted' | 'absent'> {
    return this.#gone(`schedule ${id}`, (client, options) => client.jobSchedule.deleteMethod(id, options));
  }

  async terminateSchedule(id: string): Promise<'terminated' | 'absent'> {
    const outcome = await this.#gone(`schedule ${id}`, (client, options) => client.jobSchedule.terminate(id, options));
    return outcome === 'deleted' ? 'terminated' : 'absent';
  }

  /**
   * Nodes on which the job's preparation task still runs, or where its release was never done though it was prepared.
   * None for a job without a preparation task; undefined where the service does not offer it.
   */
  async preparationLeftovers(jobId: string): Promise<readonly { nodeId: string; since: Date }[] | undefined> {
    try {
      const left: { nodeId: string; since: Date }[] = [];
      const pages = this.#client.list(
        `job ${jobId}`,
        (client, options) => client.job.listPreparationAndReleaseTaskStatus(jobId, options),
        (client, link, options) => client.job.listPreparationAndReleaseTaskStatusNext(link, options),
      );
      for await (const page of pages)
        for (const {
          nodeId,
          jobPreparationTaskExecutionInfo: prepared,
          jobReleaseTaskExecutionInfo: released,
        } of page) {
          if (nodeId === undefined || prepared === undefined) continue;
          const open = (prepared.state as string).toLowerCase() === 'running';
          const notReleased = released !== undefined && (released.state as string).toLowerCase() === 'running';
          if (open || notReleased) left.push({ nodeId, since: prepared.startTime });
        }
      return left;
    } catch (error) {
      if (isNotOffered(error)) return undefined;
      if (isAbsent(error) || (error instanceof BatchError && error.status === 409)) return [];
      throw error;
    }
  }

  async #gone(target: string, operation: Parameters<RetryingBatchClient['call']>[1]): Promise<'deleted' | 'absent'> {
    try {
      await this.#client.call(target, operation);
      return 'deleted';
    } catch (error) {
      if (isAbsent(error)) return 'absent';
      if (error instanceof BatchError && /Being(Deleted|Terminated)$|Completed$/.test(error.code)) return 'deleted';
      throw error;
    }
  }
}
