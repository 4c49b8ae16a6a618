import { isAccounted, withExecutions } from './cost.ts';
import { swap, type StepResult, type SubmitDeps } from './deps.ts';
import type { StoredRun } from './ports.ts';
import { change } from './record.ts';
import { jobSpecOf } from './task-specs.ts';
import { recordUsage } from './usage.ts';

/**
 * Ends the jobs of a failed or cancelled run, then says so. A job that is not there yet is made and ended: a reconciler
 * that is just about to add it finds it closed, so that no job is left active whatever the order.
 */
export async function stepEnding(deps: SubmitDeps, run: StoredRun): Promise<StepResult> {
  const { record } = run;
  const { batch, clock, policy } = deps;
  const why = record.state === 'cancelled' ? 'cancelled' : 'run failed';
  const listed = await Promise.all(
    // Those that were ended before too: a late reconciler may have made one anew that somebody had deleted.
    record.attempts.map(async (attempt) => {
      const outcome = await batch.terminateJob(attempt.jobId, why);
      if (outcome === 'absent' && attempt.submittedAt === null) {
        const job = jobSpecOf(record, attempt, policy);
        const added = await batch.addJob(job);
        if (added.outcome === 'quota') return undefined;
        if (added.outcome === 'created' || added.outcome === 'exists') await batch.terminateJob(job.id, why);
      }
      if (outcome === 'absent' || attempt.endedAt !== null) return { attempt, tasks: [] };
      return { attempt, tasks: (await batch.listTasks(attempt.jobId)) ?? [] };
    }),
  );
  if (listed.includes(undefined)) return { kind: 'waiting', run, on: 'quota' };
  const now = clock.now();
  const endedAt = now.toISOString();
  let { cost } = record;
  for (const { attempt, tasks } of listed.flatMap((one) => one ?? [])) {
    const left = tasks.filter((task) => !isAccounted(record, task));
    cost = withExecutions(cost, attempt, left, now, policy.prices?.currency);
  }
  const attempts = record.attempts.map((attempt) => ({ ...attempt, endedAt: attempt.endedAt ?? endedAt }));
  const next = change(record, now, { attempts, cost, paused: null, held: false, waiting: null, finishedAt: endedAt });
  await recordUsage(deps, next, now);
  const written = await swap(deps, run, next);
  if (written.kind !== 'moved') return written;
  if (record.state === 'failed') {
    const message = record.reasons.at(-1)?.message ?? 'no reason was given';
    deps.alert?.({
      runId: record.runId,
      desk: record.desk,
      code: 'run-failed',
      message: `${record.runId}: ${message}`,
    });
  }
  return { kind: 'over', run: written.run };
}
