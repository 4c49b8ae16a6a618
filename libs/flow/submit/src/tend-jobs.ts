import type { Attempt, RunRecord } from '@xva/contracts';
import { swap, type StepOptions, type StepResult, type SubmitDeps } from './deps.ts';
import type { StoredRun } from './ports.ts';
import { change, failed, nextAttempt, openTasksByAttempt, reason, waitingFor } from './record.ts';
import { endUnwanted, placeAttempt } from './step-placing.ts';
import { quotaMessage } from './step-submitting.ts';

/** What came of tending: something to return at once, or that a job could not be added for the quota. */
export type Tended = { readonly result: StepResult } | { readonly quota: boolean; readonly run: StoredRun };

const enableAgainMs = 1_000;

function withAttempts(
  record: RunRecord,
  now: Date,
  which: readonly Attempt[],
  fields: (attempt: Attempt) => Partial<Attempt>,
): RunRecord {
  const attempts = record.attempts.map((one) => (which.includes(one) ? { ...one, ...fields(one) } : one));
  return change(record, now, { attempts });
}

/** Jobs of a run that may be active. */
export function activeAttempts(record: RunRecord): readonly Attempt[] {
  return record.attempts.filter((attempt) => attempt.endedAt === null && attempt.submittedAt !== null);
}

/**
 * Brings the jobs of a running run to what its record says, before their tasks are looked at: disabled while it is paused,
 * with its priority, ended when nothing more is to come of them, in place when an attempt was opened meanwhile.
 */
export async function tendJobs(deps: SubmitDeps, run: StoredRun, options: StepOptions): Promise<Tended> {
  const { record } = run;
  const { batch, clock } = deps;
  const active = activeAttempts(record);
  if (record.paused !== null) {
    if (options.deep) await Promise.all(active.map((attempt) => batch.disableJob(attempt.jobId)));
    return { quota: false, run };
  }
  if (record.held) {
    const outcomes = await Promise.all(active.map((attempt) => batch.enableJob(attempt.jobId)));
    if (outcomes.includes('not-yet')) {
      const notBefore = new Date(clock.now().getTime() + enableAgainMs);
      return { result: { kind: 'waiting', run, on: 'retry', notBefore } };
    }
    return { result: await swap(deps, run, change(record, clock.now(), { held: false })) };
  }
  const other = active.filter((attempt) => attempt.priority !== record.priority);
  if (other.length > 0) {
    await Promise.all(other.map((attempt) => batch.patchJob(attempt.jobId, { priority: record.priority })));
    const next = withAttempts(record, clock.now(), other, () => ({ priority: record.priority }));
    return { result: await swap(deps, run, next) };
  }
  const open = openTasksByAttempt(record);
  const last = record.attempts.at(-1);
  const idle = record.attempts.filter(
    (attempt) => attempt.endedAt === null && attempt !== last && !open.has(attempt.attempt),
  );
  if (idle.length > 0) {
    await Promise.all(
      idle.map(async (attempt) => {
        if ((await batch.terminateJob(attempt.jobId, 'its tasks are done')) !== 'absent') return;
        deps.logger.debug({ runId: record.runId, jobId: attempt.jobId }, 'a job that was done is gone already');
      }),
    );
    const endedAt = clock.now().toISOString();
    return {
      result: await swap(
        deps,
        run,
        withAttempts(record, clock.now(), idle, () => ({ endedAt })),
      ),
    };
  }
  return placeNew(deps, run, options, open);
}

/** Puts attempts in place that were opened while the run went on. */
async function placeNew(
  deps: SubmitDeps,
  run: StoredRun,
  { capacity }: StepOptions,
  open: ReadonlyMap<number, readonly string[]>,
): Promise<Tended> {
  const { record } = run;
  const { clock, policy } = deps;
  const attempt = record.attempts.find(
    (one) => one.submittedAt === null && one.endedAt === null && open.has(one.attempt),
  );
  if (attempt === undefined) return { quota: false, run };
  const tasks = open.get(attempt.attempt) ?? [];
  // Tasks that run again have waited already: at least one goes at once.
  const now = tasks.slice(0, Math.max(1, await capacity.room(run, attempt.poolId)));
  const placed = await placeAttempt(deps, record, attempt, now);
  const at = clock.now();
  switch (placed.outcome) {
    case 'placed': {
      capacity.outstanding(record.runId, attempt.jobId, attempt.poolId, now.length);
      const submittedAt = at.toISOString();
      const next = withAttempts(record, at, [attempt], () => ({ submittedAt }));
      return { result: await endUnwanted(deps, record.runId, attempt, await swap(deps, run, next)) };
    }
    case 'quota': {
      const waiting = waitingFor(record, at, 'waiting-for-quota', quotaMessage);
      if (waiting === undefined) return { quota: true, run };
      const written = await swap(deps, run, waiting);
      return written.kind === 'moved' ? { quota: true, run: written.run } : { result: written };
    }
    case 'closed': {
      const why = `job ${attempt.jobId} was ended before its tasks were added`;
      return { result: await swap(deps, run, nextAttempt(record, attempt, tasks, policy.maxAttempts, at, why)) };
    }
    case 'end': {
      const reasons = [reason(at, placed.code, placed.subject, placed.message)];
      return { result: await swap(deps, run, failed(record, at, reasons)) };
    }
  }
}
