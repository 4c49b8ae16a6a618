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

const pageBytes = 4096;
const microsPerTick = 10_000;

/** Fields of a process's stat after its name (proc(5)); undefined when it is gone or there is no /proc. */
function statOf(pid: number | string): readonly string[] | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    return stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  } catch {
    return undefined;
  }
}

/** Processor time of a process and what it waited for, in microseconds. */
function cpuOf(pid: number): number {
  const fields = statOf(pid);
  return fields === undefined ? 0 : [11, 12, 13, 14].reduce((sum, at) => sum + Number(fields[at]), 0) * microsPerTick;
}

/** Resident bytes per process group. */
function memoryByGroup(): ReadonlyMap<number, number> {
  const groups = new Map<number, number>();
  let pids: string[] = [];
  try {
    pids = readdirSync('/proc').filter((name) => /^\d+$/.test(name));
  } catch {
    return groups;
  }
  for (const pid of pids) {
    const fields = statOf(pid);
    if (fields === undefined) continue;
    const pgid = Number(fields[2]);
    groups.set(pgid, (groups.get(pgid) ?? 0) + Number(fields[21]) * pageBytes);
  }
  return groups;
}

interface Watched {
  readonly memoryBytes: number | undefined;
  readonly exceeded: () => void;
  cpu: number;
}

/**
 * Looks at all running process groups together: every 100 ms at the memory of those that have a limit, once a second at the
 * leaders' processor time. Linux; elsewhere it sees nothing.
 */
export class GroupWatch {
  readonly #groups = new Map<number, Watched>();
  #timer: NodeJS.Timeout | undefined;
  #turn = 0;

  /** Calls `exceeded` once when the group uses more memory than it may. Returns the end of the watch: microseconds of processor time. */
  watch(pgid: number, memoryBytes: number | undefined, exceeded: () => void): () => number {
    const group: Watched = { memoryBytes, exceeded, cpu: 0 };
    this.#groups.set(pgid, group);
    if (this.#timer === undefined) {
      this.#timer = setInterval(() => this.#look(), 100);
      this.#timer.unref();
    }
    return () => {
      if (this.#groups.get(pgid) === group) this.#groups.delete(pgid);
      if (this.#groups.size === 0) {
        clearInterval(this.#timer);
        this.#timer = undefined;
      }
      return group.cpu;
    };
  }

  #look(): void {
    this.#turn += 1;
    const limited = [...this.#groups].filter(([, { memoryBytes }]) => memoryBytes !== undefined);
    const memory = limited.length === 0 ? undefined : memoryByGroup();
    for (const [pgid, group] of limited) {
      if ((memory?.get(pgid) ?? 0) > (group.memoryBytes ?? Infinity)) group.exceeded();
    }
    if (this.#turn % 10 !== 0) return;
    for (const [pgid, group] of this.#groups) group.cpu = Math.max(group.cpu, cpuOf(pgid));
  }
}
