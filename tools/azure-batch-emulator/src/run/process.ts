import { spawn } from 'node:child_process';
import { closeSync, openSync, readFileSync } from 'node:fs';
import { constants } from 'node:os';
import { join } from 'node:path';
import { TaskFailureError } from './failure.ts';

/** Start time of a process in clock ticks since boot (proc(5), field 22), or '' when it is gone or there is no /proc. */
export function startTimeOf(pid: number): string {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    return stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19] ?? '';
  } catch {
    return '';
  }
}

/** Kills a process group; one that is gone is no error. */
export function killGroup(pgid: number, signal: NodeJS.Signals = 'SIGKILL'): void {
  try {
    process.kill(-pgid, signal);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
  }
}

export function programNotFound(program: string): TaskFailureError {
  const message = 'The specified command program is not found';
  return new TaskFailureError('UserError', 'CommandProgramNotFound', message, { Program: program });
}

export function launchFailed(program: string, reason: string): TaskFailureError {
  const details = { Program: program, Reason: reason };
  return new TaskFailureError('UserError', 'CommandLaunchFailed', 'The command could not be launched', details);
}

export interface Launched {
  readonly pgid: number;
  /** The exit code; minus the signal's number when a signal ended it. */
  readonly exited: Promise<number>;
}

/**
 * Starts a task's program without a shell, leader of a process group of its own, with its output in `stdout.txt` and
 * `stderr.txt` of the task's directory. What is left of the group when the leader ends is killed.
 *
 * @throws TaskFailureError CommandProgramNotFound or CommandLaunchFailed
 */
export async function launch(
  argv: readonly string[],
  place: { readonly taskDirectory: string; readonly workingDirectory: string },
  environment: Readonly<Record<string, string>>,
): Promise<Launched> {
  const [program = '', ...rest] = argv;
  const stdout = openSync(join(place.taskDirectory, 'stdout.txt'), 'w');
  const stderr = openSync(join(place.taskDirectory, 'stderr.txt'), 'w');
  try {
    const child = spawn(program, rest, {
      cwd: place.workingDirectory,
      env: environment,
      detached: true,
      stdio: ['ignore', stdout, stderr],
    });
    const exited = new Promise<number>((resolve) => {
      child.once('exit', (code, signal) => {
        if (child.pid !== undefined) killGroup(child.pid);
        resolve(code ?? -(signal === null ? 1 : constants.signals[signal]));
      });
    });
    await new Promise<void>((resolve, reject) => {
      child.once('spawn', resolve);
      child.once('error', (error: NodeJS.ErrnoException) => {
        reject(error.code === 'ENOENT' ? programNotFound(program) : launchFailed(program, error.message));
      });
    });
    return { pgid: child.pid ?? 0, exited };
  } finally {
    closeSync(stdout);
    closeSync(stderr);
  }
}
