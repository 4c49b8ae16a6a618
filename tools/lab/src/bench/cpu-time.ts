import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';

/** One line of /proc/<pid>/stat, as far as it matters here. Times in clock ticks. */
export interface ProcessStat {
  readonly pid: number;
  readonly parent: number;
  readonly startTicks: number;
  /** User and system time of the process itself. */
  readonly ownTicks: number;
  /** The same of its children that have ended and were waited for, theirs included. */
  readonly childTicks: number;
}

/** proc(5): pid, (comm), state, ppid …; `comm` may hold blanks and brackets, so the last bracket ends it. */
export function parseStat(text: string): ProcessStat {
  const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
  const field = (number: number): number => Number(fields[number - 3]);
  return {
    pid: Number.parseInt(text, 10),
    parent: field(4),
    ownTicks: field(14) + field(15),
    childTicks: field(16) + field(17),
    startTicks: field(22),
  };
}

function statOf(pid: number): ProcessStat | undefined {
  try {
    return parseStat(readFileSync(`/proc/${pid}/stat`, 'utf8'));
  } catch {
    return undefined;
  }
}

/** A process that was to be measured is gone or is another one now. */
export class ProcessChangedError extends Error {
  override readonly name = 'ProcessChangedError';
}

/** A lab process to be measured. `runsTasks`: its children are engine tasks and count as engine, not as service. */
export interface MeasuredProcess {
  readonly name: string;
  readonly pid: number;
  readonly runsTasks: boolean;
}

/** CPU seconds so far. `engine` is what the processes with tasks have waited for. */
export interface CpuReading {
  readonly services: Readonly<Record<string, number>>;
  readonly engine: number;
  readonly startTicks: Readonly<Record<string, number>>;
}

let ticksPerSecond: number | undefined;

function seconds(ticks: number): number {
  ticksPerSecond ??= Number(execFileSync('getconf', ['CLK_TCK'], { encoding: 'utf8' }));
  return ticks / ticksPerSecond;
}

function allStats(): readonly ProcessStat[] {
  return readdirSync('/proc').flatMap((name) => {
    const stat = /^\d+$/.test(name) ? statOf(Number(name)) : undefined;
    return stat === undefined ? [] : [stat];
  });
}

/** Own time of a process plus that of its children, ended (waited for) and living, and of theirs. */
export function ticksOfTree(pid: number, stats: readonly ProcessStat[]): number {
  const stat = stats.find((one) => one.pid === pid);
  if (stat === undefined) return 0;
  const living = stats.filter((one) => one.parent === pid);
  return stat.ownTicks + stat.childTicks + living.reduce((sum, one) => sum + ticksOfTree(one.pid, stats), 0);
}

/**
 * CPU seconds of the lab's processes until now. For one that runs tasks, its own time is service and that of its ended
 * children engine: read it while no task runs.
 *
 * @throws ProcessChangedError for one that is not there.
 */
export function readCpu(processes: readonly MeasuredProcess[]): CpuReading {
  const stats = allStats();
  const services: Record<string, number> = {};
  const startTicks: Record<string, number> = {};
  let engine = 0;
  for (const { name, pid, runsTasks } of processes) {
    const stat = stats.find((one) => one.pid === pid);
    if (stat === undefined) throw new ProcessChangedError(`${name} (pid ${pid}) is gone`);
    startTicks[name] = stat.startTicks;
    services[name] = seconds(runsTasks ? stat.ownTicks : ticksOfTree(pid, stats));
    if (runsTasks) engine += seconds(stat.childTicks);
  }
  return { services, engine, startTicks };
}

/**
 * What was used between two readings.
 *
 * @throws ProcessChangedError when a process was started anew in between: its time before is lost.
 */
export function cpuBetween(before: CpuReading, after: CpuReading): Pick<CpuReading, 'services' | 'engine'> {
  const services = Object.fromEntries(
    Object.entries(after.services).map(([name, used]) => {
      if (before.startTicks[name] !== after.startTicks[name]) throw new ProcessChangedError(`${name} was started anew`);
      return [name, used - (before.services[name] ?? 0)];
    }),
  );
  return { services, engine: after.engine - before.engine };
}
