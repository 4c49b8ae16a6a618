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
  /** Absent for a start task. */
  readonly jobId: string | undefined;
  readonly taskId: string | undefined;
  readonly place: TaskPlace;
  /** Where the job's preparation task ran on this node, if the job has one. */
  readonly preparation: TaskPlace | undefined;
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

/** A job's directory below a node's root: a schedule's job `nightly:job-3` has a run in that of `nightly`. */
export function jobRootOf(jobId: string): string {
  return `workitems/${jobId.replace(':', '/')}`;
}

/** A task's directory below its node's root: `workitems/<job>/job-1/<task>`, `workitems/<schedule>/job-3/<task>`. */
export function taskRootOf(jobId: string, taskId: string): string {
  return `${jobRootOf(jobId)}${jobId.includes(':') ? '' : '/job-1'}/${taskId}`;
}

function placeAt(nodeRoot: string, path: string): TaskPlace {
  const taskDirectory = join(nodeRoot, path);
  return { nodeRoot, taskDirectory, workingDirectory: join(taskDirectory, 'wd') };
}

export function placeOf(nodeRoot: string, jobId: string, taskId: string): TaskPlace {
  return placeAt(nodeRoot, taskRootOf(jobId, taskId));
}

export function startPlaceOf(nodeRoot: string): TaskPlace {
  return placeAt(nodeRoot, 'startup');
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
    ...(input.jobId === undefined ? {} : { AZ_BATCH_JOB_ID: input.jobId }),
    ...(input.taskId === undefined ? {} : { AZ_BATCH_TASK_ID: input.taskId }),
    ...(input.preparation === undefined
      ? {}
      : {
          AZ_BATCH_JOB_PREP_DIR: input.preparation.taskDirectory,
          AZ_BATCH_JOB_PREP_WORKING_DIR: input.preparation.workingDirectory,
        }),
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
  /** Words that go before the task's own command. */
  readonly command: readonly string[];
}

/** The first configured image whose pattern matches; undefined when none does. */
export function imageFor(images: readonly ContainerImage[], name: string): ContainerImage | undefined {
  return images.find(({ pattern }) => {
    const source = pattern.split('*').map((part) => part.replace(/[.*+?^${}()|[\]\\]/g, '\\$&'));
    return new RegExp(`^${source.join('.*')}$`, 's').test(name);
  });
}
