import { swap, type StepResult, type SubmitDeps } from './deps.ts';
import type { StoredRun } from './ports.ts';
import { change } from './record.ts';
import { jobSpecOf } from './task-specs.ts';

/**
 * Ends the jobs of a failed or cancelled run, then says so. A job that is not there yet is made and ended: a reconciler
 * that is just about to add it finds it closed, so that no job is left active whatever the order.
 */
export async function stepEnding(deps: SubmitDeps, run: StoredRun): Promise<StepResult> {
  const { record } = run;
  const why = record.state === 'cancelled' ? 'cancelled' : 'run failed';
  const ended = await Promise.all(
    record.attempts.map(async (attempt) => ({ attempt, outcome: await deps.batch.terminateJob(attempt.jobId, why) })),
  );
  const absent = ended.some(({ attempt, outcome }) => attempt.attempt === record.attempt && outcome === 'absent');
  if (absent) {
    const job = jobSpecOf(record, deps.policy);
    const { outcome } = await deps.batch.addJob(job);
    if (outcome === 'quota') return { kind: 'waiting', run, on: 'quota' };
    if (outcome === 'created' || outcome === 'exists') await deps.batch.terminateJob(job.id, why);
  }
  const now = deps.clock.now();
  const written = await swap(deps, run, change(record, now, { finishedAt: now.toISOString() }));
  return written.kind === 'moved' ? { kind: 'over', run: written.run } : written;
}
