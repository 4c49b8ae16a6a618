import { createHash, randomUUID } from 'node:crypto';
import { CommandLineError, splitCommandLine } from './argv.ts';
import { createGroup, type TaskGroup } from './cgroup.ts';
import { containerArgv, invalidContainer, removeContainer } from './containers.ts';
import { imageFor } from './environment.ts';
import { findProgram, withLimits } from './limits.ts';
import { launchFailed, programNotFound } from './process.ts';
import type { RunRequest, RunServices } from './task-run.ts';

/** How a task's command becomes a process, and what ends with it. */
export interface ProcessPlan {
  readonly argv: readonly string[];
  /** Whether something else than the emulator's own watch holds the memory limit. */
  readonly limitsMemory: boolean;
  /** Ends what a signal to the process group does not reach. */
  kill(): void;
  /** Call when the process has ended. Microseconds of processor time, -1 when unknown. */
  ended(): number;
}

function wordsOf(commandLine: string): readonly string[] {
  try {
    return splitCommandLine(commandLine);
  } catch (error) {
    if (error instanceof CommandLineError) throw launchFailed(commandLine.slice(0, 200), error.message);
    throw error;
  }
}

interface Contained {
  readonly argv: readonly string[];
  readonly kill: () => void;
  /** Whether a container holds the limits. */
  readonly limited: boolean;
}

/** The container's command, or the local command that the configuration maps the image to. @throws TaskFailureError */
async function inContainer(
  services: RunServices,
  request: RunRequest,
  argv: readonly string[],
  environment: Readonly<Record<string, string>>,
): Promise<Contained> {
  const settings = request.task.containerSettings;
  if (settings === undefined) return { argv, kill: () => undefined, limited: false };
  const image = imageFor(services.images, settings.imageName);
  if (image !== undefined) {
    if (settings.workingDirectory === 'containerimagedefault') {
      const reason = 'the image is mapped to a local command, which has no working directory of its own';
      throw invalidContainer(settings.imageName, reason);
    }
    return { argv: [...image.command, ...argv], kill: () => undefined, limited: false };
  }
  const runtime = await services.runtime();
  if (runtime === undefined) {
    throw invalidContainer(
      settings.imageName,
      'no local command is configured for the image, and there is no docker or podman',
    );
  }
  const name = `azure-batch-emulator-${randomUUID()}`;
  try {
    return {
      argv: containerArgv(
        runtime,
        settings,
        argv,
        request.place,
        environment,
        name,
        services.instance,
        services.limits,
      ),
      kill: () => void removeContainer(runtime, name),
      limited: true,
    };
  } catch (error) {
    if (error instanceof CommandLineError) throw invalidContainer(settings.imageName, error.message);
    throw error;
  }
}

/** Plans the process of a run. @throws TaskFailureError CommandProgramNotFound, CommandLaunchFailed, ContainerInvalidSettings */
export async function planProcess(
  services: RunServices,
  request: RunRequest,
  environment: Readonly<Record<string, string>>,
): Promise<ProcessPlan> {
  const words = wordsOf(request.task.commandLine);
  if (words[0] === undefined || words[0] === '') throw programNotFound('');
  const contained = await inContainer(services, request, words, environment);
  const { limits, prlimit, cgroup } = services;
  let argv = contained.limited ? contained.argv : withLimits(contained.argv, limits, prlimit);
  let group: TaskGroup | undefined;
  const wrapped = argv !== contained.argv || cgroup !== undefined;
  const [program = ''] = contained.argv;
  // A wrapper would report a missing program by its own exit code.
  if (wrapped && findProgram(program, environment['PATH'], request.place.workingDirectory) === undefined) {
    throw programNotFound(program);
  }
  if (cgroup !== undefined) {
    const name = createHash('sha256').update(request.place.taskDirectory).digest('hex').slice(0, 32);
    group = createGroup(cgroup, name, limits.memoryBytes);
    argv = group.enter(argv);
  }
  return {
    argv,
    limitsMemory: contained.limited || (group?.limitsMemory ?? false),
    kill: () => {
      group?.kill();
      contained.kill();
    },
    ended: () => {
      group?.kill();
      const cpu = group?.cpu() ?? -1;
      group?.remove();
      return cpu;
    },
  };
}
