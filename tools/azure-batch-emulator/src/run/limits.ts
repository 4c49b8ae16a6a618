import { accessSync, constants, readdirSync, readFileSync, statSync } from 'node:fs';
import { join, resolve } from 'node:path';

/** What one task may use; absent = as much as the emulator itself. */
export interface TaskLimits {
  /** Resident bytes of all processes of the task together. */
  readonly memoryBytes?: number | undefined;
  readonly openFiles?: number | undefined;
  readonly processes?: number | undefined;
  readonly cpuSeconds?: number | undefined;
  readonly fileBytes?: number | undefined;
}

/** The executable that a command's first word means, or undefined: a path, or a name along PATH. */
export function findProgram(program: string, path: string | undefined, directory: string): string | undefined {
  const places = program.includes('/')
    ? [resolve(directory, program)]
    : (path ?? '').split(':').map((folder) => join(resolve(directory, folder), program));
  return places.find((file) => {
    try {
      accessSync(file, constants.X_OK);
      return statSync(file).isFile();
    } catch {
      return false;
    }
  });
}

/**
 * The command with its limits set by `prlimit` (util-linux), or where that is absent by the shell's own `ulimit`; both
 * replace themselves by the command, so that the process is the task's.
 */
export function withLimits(
  argv: readonly string[],
  limits: TaskLimits,
  prlimit: string | undefined,
): readonly string[] {
  const { openFiles, processes, cpuSeconds, fileBytes } = limits;
  const rows = [
    ['--nofile', '-n', openFiles, 1],
    ['--nproc', '-u', processes, 1],
    ['--cpu', '-t', cpuSeconds, 1],
    ['--fsize', '-f', fileBytes, 512],
  ] as const;
  const wanted = rows.filter(([, , value]) => value !== undefined);
  if (wanted.length === 0) return argv;
  if (prlimit !== undefined) return [prlimit, ...wanted.map(([flag, , value]) => `${flag}=${value}`), '--', ...argv];
  const commands = wanted.map(([, flag, value = 0, unit]) => `ulimit ${flag} ${Math.ceil(value / unit)} && `);
  return ['/bin/sh', '-c', `${commands.join('')}exec "$@"`, 'sh', ...argv];
}

interface Usage {
  /** Resident bytes. */
  readonly memory: number;
  /** Microseconds of the leader and what it waited for. */
  readonly cpu: number;
}

const pageBytes = 4096;
const microsPerTick = 10_000;

/** What a process group uses now (Linux; proc(5)); nothing elsewhere. */
export function usageOf(pgid: number): Usage {
  let memory = 0;
  let cpu = 0;
  let pids: string[] = [];
  try {
    pids = readdirSync('/proc').filter((name) => /^\d+$/.test(name));
  } catch {
    return { memory, cpu };
  }
  for (const pid of pids) {
    try {
      const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
      const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
      if (Number(fields[2]) !== pgid) continue;
      memory += Number(fields[21]) * pageBytes;
      if (Number(pid) === pgid) cpu = [11, 12, 13, 14].reduce((sum, at) => sum + Number(fields[at]), 0) * microsPerTick;
    } catch {
      // It ended while we looked.
    }
  }
  return { memory, cpu };
}

/** Looks at a running group: calls `exceeded` once when it uses more memory than it may. Returns the end of the watch. */
export function watchGroup(
  pgid: number,
  limits: TaskLimits,
  exceeded: () => void,
  everyMs = limits.memoryBytes === undefined ? 1000 : 100,
): () => number {
  let cpu = 0;
  const timer = setInterval(() => {
    const usage = usageOf(pgid);
    cpu = Math.max(cpu, usage.cpu);
    if (limits.memoryBytes === undefined || usage.memory <= limits.memoryBytes) return;
    clearInterval(timer);
    exceeded();
  }, everyMs);
  timer.unref();
  return () => {
    clearInterval(timer);
    return cpu;
  };
}
