import type { RunRecord } from '@xva/contracts';
import { openShards } from './record.ts';

/** Tasks that a run has in Batch, or is about to have. */
export function outstandingTasks(record: RunRecord): number {
  return record.state === 'submitting' || record.state === 'running' ? Math.max(1, openShards(record).length) : 0;
}

/**
 * Which queued runs may start: by priority, then by age, as long as no more than `maxTasks` are outstanding. The first in
 * line waits rather than be passed by a smaller one; with nothing outstanding it always starts, whatever its size.
 */
export function admitRuns(records: readonly RunRecord[], maxTasks: number): ReadonlySet<string> {
  let outstanding = records.reduce((sum, record) => sum + outstandingTasks(record), 0);
  const queue = records
    .filter((record) => record.state === 'queued')
    .sort(
      (a, b) =>
        b.priority - a.priority ||
        (a.createdAt < b.createdAt ? -1 : a.createdAt > b.createdAt ? 1 : a.runId < b.runId ? -1 : 1),
    );
  const admitted = new Set<string>();
  for (const record of queue) {
    const tasks = Math.max(1, openShards(record).length);
    if (outstanding > 0 && outstanding + tasks > maxTasks) break;
    outstanding += tasks;
    admitted.add(record.runId);
  }
  return admitted;
}
