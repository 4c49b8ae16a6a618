import { execFile } from 'node:child_process';
import type { ContainerSettings } from '../wire/specs.ts';
import { splitCommandLine } from './argv.ts';
import type { TaskPlace } from './environment.ts';
import { TaskFailureError } from './failure.ts';
import { findProgram, type TaskLimits } from './limits.ts';

/** Label of every container of one emulator's state, so that a next life finds what this one left behind. */
const label = 'azure-batch-emulator.instance';

/** A command that does the same as `docker` (docker, podman), known to answer. */
export interface ContainerRuntime {
  readonly program: string;
}

function succeeds(program: string, args: readonly string[]): Promise<boolean> {
  return new Promise((resolve) => {
    execFile(program, args, { timeout: 20_000 }, (error) => resolve(error === null));
  });
}

/** The first of docker and podman that is present and answers; or the configured program. Undefined when none does. */
export async function findRuntime(wanted: string, path: string): Promise<ContainerRuntime | undefined> {
  if (wanted === 'none') return undefined;
  for (const name of wanted === 'auto' ? ['docker', 'podman'] : [wanted]) {
    const program = findProgram(name, path, '/');
    if (program !== undefined && (await succeeds(program, ['info']))) return { program };
  }
  return undefined;
}

/** What Batch shows when a task's container cannot be made. */
export function invalidContainer(image: string, reason: string): TaskFailureError {
  const message = 'At least one value of specified task container settings is invalid';
  return new TaskFailureError('UserError', 'ContainerInvalidSettings', message, { Message: reason, ImageName: image });
}

/** A task's limits as the runtime holds them inside the container. */
function limitFlags({ memoryBytes, openFiles, processes, cpuSeconds, fileBytes }: TaskLimits): readonly string[] {
  return [
    ...(memoryBytes === undefined ? [] : ['--memory', `${memoryBytes}b`]),
    ...(processes === undefined ? [] : ['--pids-limit', String(processes)]),
    ...(openFiles === undefined ? [] : ['--ulimit', `nofile=${openFiles}`]),
    ...(cpuSeconds === undefined ? [] : ['--ulimit', `cpu=${cpuSeconds}`]),
    ...(fileBytes === undefined ? [] : ['--ulimit', `fsize=${fileBytes}`]),
  ];
}

/**
 * The command that runs a task's command in a container: the node's directories at their own paths, the environment by
 * name (so that no value shows in a process list), removed when it ends.
 */
export function containerArgv(
  runtime: ContainerRuntime,
  settings: ContainerSettings,
  argv: readonly string[],
  place: TaskPlace,
  environment: Readonly<Record<string, string>>,
  name: string,
  instance: string,
  limits: TaskLimits = {},
): readonly string[] {
  const inImage = settings.workingDirectory === 'containerimagedefault';
  return [
    runtime.program, 'run', '--rm', '--name', name, '--label', `${label}=${instance}`,
    '--volume', `${place.nodeRoot}:${place.nodeRoot}`,
    ...(inImage ? [] : ['--workdir', place.workingDirectory]),
    ...Object.keys(environment).filter((key) => key !== 'PATH').flatMap((key) => ['--env', key]),
    ...limitFlags(limits),
    ...splitCommandLine(settings.containerRunOptions ?? ''),
    settings.imageName, ...argv,
  ]; // prettier-ignore
}

/** Ends a container; one that is gone is no error. */
export async function removeContainer(runtime: ContainerRuntime, name: string): Promise<void> {
  await succeeds(runtime.program, ['rm', '--force', name]);
}

/** Ends every container of this state. */
export async function removeContainers(runtime: ContainerRuntime, instance: string): Promise<void> {
  const ids = await new Promise<string[]>((resolve) => {
    const args = ['ps', '--all', '--quiet', '--filter', `label=${label}=${instance}`];
    execFile(runtime.program, args, { timeout: 20_000 }, (error, stdout) => {
      resolve(error === null ? stdout.split(/\s+/).filter((id) => id !== '') : []);
    });
  });
  if (ids.length > 0) await succeeds(runtime.program, ['rm', '--force', ...ids]);
}
