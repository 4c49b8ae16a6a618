import { swap, type StepOptions, type StepResult, type SubmitDeps } from './deps.ts';
import { nextPoolOf } from './pools.ts';
import type { StoredRun } from './ports.ts';
import { change, failed, nextAttempt, openTasksByAttempt, reason, startAttempt, waitingFor } from './record.ts';
import { endUnwanted, placeAttempt, termsOf } from './step-placing.ts';

/** `queued` → `submitting`, if there is room: the intent is written before Batch is touched. */
export async function stepQueued(deps: SubmitDeps, run: StoredRun, { capacity }: StepOptions): Promise<StepResult> {
  const { record } = run;
  const now = deps.clock.now();
  if (record.paused !== null) return { kind: 'waiting', run, on: 'pause' };
  const choice = nextPoolOf(record, deps.policy);
  if ((await capacity.room(run, choice.poolId)) <= 0) {
    const { code, message } = capacity.shortage(choice.poolId);
    const waiting = waitingFor(record, now, code, message);
    if (waiting === undefined) return { kind: 'waiting', run, on: 'admission' };
    const written = await swap(deps, run, waiting);
    return written.kind === 'moved' ? { kind: 'waiting', run: written.run, on: 'admission' } : written;
  }
  const { poolId, poolClass } = choice;
  const terms = await termsOf(deps, capacity, { poolId, poolClass }, deps.policy.image ?? null);
  return swap(deps, run, startAttempt(record, terms, now, record.attempts.length === 0 ? 'first' : 'retry'));
}

/** Puts the current attempt in place, as much of it as there is room for, and says so in the record. */
export async function stepSubmitting(deps: SubmitDeps, run: StoredRun, { capacity }: StepOptions): Promise<StepResult> {
  const { record } = run;
  const { clock } = deps;
  const attempt = record.attempts.at(-1);
  if (attempt === undefined) throw new Error(`run ${record.runId} is submitting and has no attempt`);
  if (record.paused !== null) return { kind: 'waiting', run, on: 'pause' };
  const tasks = openTasksByAttempt(record).get(attempt.attempt) ?? [];
  // It was let in: at least one task goes, so that it is not let in for nothing.
  const room = Math.max(1, await capacity.room(run, attempt.poolId));
  const now = tasks.slice(0, room);
  const placed = await placeAttempt(deps, record, attempt, now);
  const at = clock.now();
  switch (placed.outcome) {
    case 'placed': {
      capacity.outstanding(record.runId, attempt.jobId, attempt.poolId, now.length);
      const submittedAt = at.toISOString();
      const { code, message } = capacity.shortage(attempt.poolId);
      const next = change(record, at, {
        state: 'running',
        startedAt: record.startedAt ?? submittedAt,
        waiting: now.length < tasks.length ? { code, message, since: submittedAt } : null,
        attempts: record.attempts.map((one) => (one === attempt ? { ...one, submittedAt } : one)),
      });
      return endUnwanted(deps, record.runId, attempt, await swap(deps, run, next));
    }
    case 'quota':
      return backToQueue(deps, run);
    case 'closed': {
      const why = `job ${attempt.jobId} was ended before its tasks were added`;
      const next = nextAttempt(record, attempt, tasks, deps.policy.maxAttempts, at, why);
      return swap(deps, run, next);
    }
    case 'end':
      return swap(deps, run, failed(record, at, [reason(at, placed.code, placed.subject, placed.message)]));
  }
}

export const quotaMessage =
  'the Batch account holds as many active jobs as its quota allows; the run goes on when some have ended';

/** Batch has no room for another job: the run waits, it does not fail for that. */
async function backToQueue(deps: SubmitDeps, run: StoredRun): Promise<StepResult> {
  const { record } = run;
  const now = deps.clock.now();
  const waiting = waitingFor(record, now, 'waiting-for-quota', quotaMessage) ?? change(record, now, {});
  const written = await swap(deps, run, { ...waiting, state: 'queued' });
  return written.kind === 'moved' ? { kind: 'waiting', run: written.run, on: 'quota' } : written;
}
