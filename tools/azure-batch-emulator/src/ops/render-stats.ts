import type { Sample } from '../store/accounting.ts';
import { formatDuration, isoTime } from '../time.ts';

type Entity = Record<string, unknown>;

/** Microseconds as an ISO 8601 duration. */
export const span = (micros: number): string => formatDuration(BigInt(Math.round(micros)) * 10n);

/** What `$expand=stats` shows of time and transfers; this machine does not tell tasks' transfers apart. */
export function usageStats(
  url: string,
  row: { created: number; modified: number; wall_time: number; cpu_time: number },
): Entity {
  return {
    url,
    startTime: isoTime(row.created),
    lastUpdateTime: isoTime(row.modified),
    userCPUTime: span(row.cpu_time),
    kernelCPUTime: 'PT0S',
    wallClockTime: span(row.wall_time),
    readIOps: '0',
    writeIOps: '0',
    readIOGiB: 0,
    writeIOGiB: 0,
  };
}

export interface JobTotals {
  readonly created: number;
  readonly modified: number;
  readonly wall_time: number;
  readonly cpu_time: number;
  readonly wait_time: number;
  readonly n_succeeded: number;
  readonly n_failed: number;
  readonly retries: number;
}

export function renderJobStats(url: string, totals: JobTotals): Entity {
  return {
    ...usageStats(url, totals),
    numSucceededTasks: String(totals.n_succeeded),
    numFailedTasks: String(totals.n_failed),
    numTaskRetries: String(totals.retries),
    waitTime: span(totals.wait_time),
  };
}

/** @param coreMicros core time of all nodes together */
export function renderUsageStats(since: number, now: number, coreMicros: number): Entity {
  return { startTime: isoTime(since), lastUpdateTime: isoTime(now), dedicatedCoreTime: span(coreMicros) };
}

/** Averages and sums over a pool's samples, which are this machine's. */
export function renderResourceStats(since: number, now: number, samples: readonly Sample[]): Entity {
  const values = (name: string): number[] => samples.map(({ metrics }) => metrics[name] ?? 0);
  const sum = (name: string): number => values(name).reduce((total, value) => total + value, 0);
  const mean = (name: string): number => (samples.length === 0 ? 0 : sum(name) / samples.length);
  const peak = (name: string): number => values(name).reduce((most, value) => Math.max(most, value), 0);
  return {
    startTime: isoTime(since),
    lastUpdateTime: isoTime(now),
    avgCPUPercentage: mean('CPUPercent') * 100,
    avgMemoryGiB: mean('MemoryBytes') / 1024,
    peakMemoryGiB: peak('MemoryBytes') / 1024,
    avgDiskGiB: mean('DiskBytes'),
    peakDiskGiB: peak('DiskBytes'),
    diskReadIOps: String(sum('DiskReadOps')),
    diskWriteIOps: String(sum('DiskWriteOps')),
    diskReadGiB: sum('DiskReadBytes') / 1024 ** 3,
    diskWriteGiB: sum('DiskWriteBytes') / 1024 ** 3,
    networkReadGiB: sum('NetworkInBytes') / 1024 ** 3,
    networkWriteGiB: sum('NetworkOutBytes') / 1024 ** 3,
  };
}
