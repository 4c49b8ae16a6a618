import { existsSync, mkdirSync, readFileSync, rmdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

/** Thrown when the configured folder is no writable cgroup v2. */
export class CgroupError extends Error {
  override readonly name = 'CgroupError';
}

/** One task's control group (cgroup v2): holds what leaves the process group too, and knows its processor time. */
export interface TaskGroup {
  /** The command, entering the group before it replaces itself. */
  enter(argv: readonly string[]): readonly string[];
  kill(): void;
  /** Microseconds; -1 when unknown. */
  cpu(): number;
  /** Whether the kernel holds the memory limit here. */
  readonly limitsMemory: boolean;
  remove(): void;
}

/** @throws CgroupError */
export function checkCgroup(root: string): void {
  try {
    // Never with `recursive`: in /proc Node would try for ever.
    if (!existsSync(root)) mkdirSync(root);
    const probe = join(root, 'probe');
    if (!existsSync(probe)) mkdirSync(probe);
    const usable = existsSync(join(probe, 'cgroup.procs')) && existsSync(join(probe, 'cgroup.kill'));
    rmdirSync(probe);
    if (!usable) throw new Error('it has no cgroup.procs and cgroup.kill');
  } catch (error) {
    throw new CgroupError(`taskLimits.cgroup ${root} is no writable cgroup v2: ${(error as Error).message}`);
  }
}

/** Makes the group of one run. @throws Error of the file system */
export function createGroup(root: string, name: string, memoryBytes: number | undefined): TaskGroup {
  const folder = join(root, name);
  if (!existsSync(folder)) mkdirSync(folder);
  const limit = join(folder, 'memory.max');
  const limitsMemory = memoryBytes !== undefined && existsSync(limit);
  if (limitsMemory) {
    writeFileSync(limit, String(memoryBytes));
    if (existsSync(join(folder, 'memory.swap.max'))) writeFileSync(join(folder, 'memory.swap.max'), '0');
  }
  return {
    limitsMemory,
    enter: (argv) => ['/bin/sh', '-c', 'echo 0 > "$0" && exec "$@"', join(folder, 'cgroup.procs'), ...argv],
    kill: () => {
      if (existsSync(join(folder, 'cgroup.kill'))) writeFileSync(join(folder, 'cgroup.kill'), '1');
    },
    cpu: () => {
      try {
        const found = /^usage_usec (\d+)$/m.exec(readFileSync(join(folder, 'cpu.stat'), 'utf8'));
        return found === null ? -1 : Number(found[1]);
      } catch {
        return -1;
      }
    },
    remove: () => removeSoon(folder, 40),
  };
}

/** Dying processes hold a group for a moment. One that stays is taken over by the next run of its task. */
function removeSoon(folder: string, tries: number): void {
  try {
    rmdirSync(folder);
  } catch {
    if (tries > 0) setTimeout(() => removeSoon(folder, tries - 1), 50).unref();
  }
}
