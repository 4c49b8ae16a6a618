import { join } from 'node:path';
import type { NameValue } from '../wire/specs.ts';

/** Where a task runs; directories are absolute. */
export interface TaskPlace {
  readonly nodeRoot: string;
  readonly taskDirectory: string;
  readonly workingDirectory: string;
}

export interface EnvironmentInput {
  readonly account: string;
  readonly accountUrl: string;
  readonly poolId: string;
  readonly nodeId: string;
  readonly dedicated: boolean;
  readonly jobId: string;
  readonly taskId: string;
  readonly place: TaskPlace;
  /** Of the node (PATH and the like), or of the container image that the task asked for. */
  readonly base: Readonly<Record<string, string>>;
  readonly job: readonly NameValue[];
  readonly task: readonly NameValue[];
  /** Marks every process of this emulator's state. */
  readonly marker: Readonly<Record<string, string>>;
}

/** The directories of a node, below the data folder. */
export function nodeRootOf(dataDirectory: string, account: string, poolId: string, nodeId: string): string {
  return join(dataDirectory, 'nodes', account, poolId, nodeId);
}

export function placeOf(nodeRoot: string, jobId: string, taskId: string): TaskPlace {
  const taskDirectory = join(nodeRoot, 'workitems', jobId, 'job-1', taskId);
  return { nodeRoot, taskDirectory, workingDirectory: join(taskDirectory, 'wd') };
}

/** A task's environment: base, then the job's common settings, then the task's, then AZ_BATCH_*, which nothing overrides. */
export function environmentOf(input: EnvironmentInput): Record<string, string> {
  const { place } = input;
  const given = (settings: readonly NameValue[]): Record<string, string> =>
    Object.fromEntries(settings.map(({ name, value }) => [name, value ?? '']));
  return {
    ...input.base,
    ...given(input.job),
    ...given(input.task),
    AZ_BATCH_ACCOUNT_NAME: input.account,
    AZ_BATCH_ACCOUNT_URL: input.accountUrl,
    AZ_BATCH_POOL_ID: input.poolId,
    AZ_BATCH_NODE_ID: input.nodeId,
    AZ_BATCH_NODE_IS_DEDICATED: String(input.dedicated),
    AZ_BATCH_JOB_ID: input.jobId,
    AZ_BATCH_TASK_ID: input.taskId,
    AZ_BATCH_NODE_ROOT_DIR: place.nodeRoot,
    AZ_BATCH_NODE_SHARED_DIR: join(place.nodeRoot, 'shared'),
    AZ_BATCH_NODE_STARTUP_DIR: join(place.nodeRoot, 'startup'),
    AZ_BATCH_NODE_MOUNTS_DIR: join(place.nodeRoot, 'fsmounts'),
    AZ_BATCH_TASK_DIR: place.taskDirectory,
    AZ_BATCH_TASK_WORKING_DIR: place.workingDirectory,
    ...input.marker,
  };
}

export interface ContainerImage {
  /** Image name, `*` matches any run of characters. */
  readonly pattern: string;
  readonly env: Readonly<Record<string, string>>;
}

/** The first configured image whose pattern matches; undefined when none does. */
export function imageFor(images: readonly ContainerImage[], name: string): ContainerImage | undefined {
  return images.find(({ pattern }) => {
    const source = pattern.split('*').map((part) => part.replace(/[.*+?^${}()|[\]\\]/g, '\\$&'));
    return new RegExp(`^${source.join('.*')}$`, 's').test(name);
  });
}
