import type { RunProgress, RunView } from '@xva/contracts';
import { formatDuration } from './report.ts';

/** When a request's row was committed and published, by the lab's own clock and the database's. */
export interface RowTimes {
  readonly committedAt: number;
  readonly publishedAt: number;
}

export interface Hop {
  readonly name: string;
  readonly ms: number;
}

const least = (times: readonly (string | null)[]): number =>
  Math.min(...times.flatMap((time) => (time === null ? [] : [Date.parse(time)])));
const most = (times: readonly (string | null)[]): number =>
  Math.max(...times.flatMap((time) => (time === null ? [] : [Date.parse(time)])));

/** Time per hop of one run; all clocks are this machine's. */
export function hopsOf(row: RowTimes, run: RunView, progress: RunProgress | undefined): readonly Hop[] {
  const shards = (progress?.tasks ?? []).filter((task) => task.taskId !== 'merge');
  const merge = (progress?.tasks ?? []).find((task) => task.taskId === 'merge');
  const created = Date.parse(run.createdAt);
  const finished = Date.parse(run.finishedAt ?? run.updatedAt);
  const firstStart = least(shards.map((task) => task.startTime));
  const lastEnd = most(shards.map((task) => task.endTime));
  const mergeEnd = most([merge?.endTime ?? null]);
  return [
    { name: 'row → event (claim, freeze, publish)', ms: row.publishedAt - row.committedAt },
    { name: 'event → job request (package, upload)', ms: created - row.publishedAt },
    { name: 'job request → first task starts', ms: firstStart - created },
    { name: 'shards on the engine', ms: lastEnd - firstStart },
    { name: 'last shard → merged', ms: mergeEnd - lastEnd },
    { name: 'merged → published', ms: finished - mergeEnd },
    { name: 'row committed → result published', ms: finished - row.committedAt },
  ].filter((hop) => Number.isFinite(hop.ms));
}

export function formatHops(hops: readonly Hop[]): string {
  const width = Math.max(...hops.map((hop) => hop.name.length));
  return hops.map((hop) => `  ${hop.name.padEnd(width)}  ${formatDuration(hop.ms).padStart(9)}`).join('\n');
}
