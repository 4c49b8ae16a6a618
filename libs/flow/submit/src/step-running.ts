import type { AcceptedBundle, Attempt, Reason, RunRecord } from '@xva/contracts';
import { firstStart, withExecutions } from './cost.ts';
import {
  decideAttempt,
  isBehind,
  isClosed,
  failureSubject,
  taskMoved,
  taskRetried,
  type AttemptDecision,
  type TaskFailure,
} from './decide.ts';
import { swap, type StepOptions, type StepResult, type SubmitDeps } from './deps.ts';
import { engineMismatch, explain, lookForBundles, told, type Found } from './look.ts';
import type { StoredRun, TaskFacts } from './ports.ts';
import {
  change,
  failed,
  moveTasks,
  nextAttempt,
  openTasksByAttempt,
  reason,
  waitingFor,
  withAccepted,
  withReasons,
} from './record.ts';
import { addTasks, movedTermsOf } from './step-placing.ts';
import { activeAttempts, tendJobs } from './tend-jobs.ts';

/** What one look at the run's jobs showed. */
interface Look {
  readonly decisions: readonly AttemptDecision[];
  readonly tasks: ReadonlyMap<number, readonly TaskFacts[]>;
}

/** One look at the run's jobs in Batch, and what follows from it. */
export async function stepRunning(deps: SubmitDeps, run: StoredRun, options: StepOptions): Promise<StepResult> {
  const tended = await tendJobs(deps, run, options);
  if ('result' in tended) return tended.result;
  const { record } = tended.run;
  const { clock, policy } = deps;
  const look = await lookAt(deps, record, options);
  const places = look.decisions.flatMap(({ attempt, look: ids }) =>
    ids.map((taskId) => ({ attempt: attempt.attempt, taskId })),
  );
  const found: Found = places.length === 0 ? { accepted: [], invalid: [] } : await lookForBundles(deps, record, places);
  const now = clock.now();
  const end = (from: RunRecord, code: string, subject: string, message: string): Promise<StepResult> =>
    swap(deps, tended.run, failed(from, now, [reason(now, code, subject, message)]));
  const mixed = engineMismatch(record, found.accepted);
  if (mixed !== undefined) return end(record, 'engine-mismatch', record.runId, mixed);
  const next = afterLook(deps, record, found, look, now);
  const current = next ?? record;
  const failures = look.decisions.flatMap((one) => one.fail.map((failure) => ({ attempt: one.attempt, failure })));
  if (failures.length > 0) return failRun(deps, tended.run, current, failures);
  const expired = look.decisions.find((one) => one.expired);
  if (expired !== undefined) {
    const { jobId } = expired.attempt;
    return end(current, 'job-out-of-time', jobId, `job ${jobId} used up its time of ${policy.jobMaxWallClockTime}`);
  }
  if (next?.state === 'publishing') return swap(deps, tended.run, next);
  if (record.paused !== null) return next === undefined ? { kind: 'waiting', run, on: 'tasks' } : swap(deps, run, next);
  const lost = lostAttempt(look, found);
  if (lost !== undefined) {
    const tasks = openTasksByAttempt(current).get(lost.attempt.attempt) ?? [];
    return swap(deps, tended.run, nextAttempt(current, lost.attempt, tasks, policy.maxAttempts, now, lost.why));
  }
  if (look.decisions.some((one) => one.move.length > 0)) return move(deps, tended.run, current, look, options);
  if (look.decisions.some((one) => one.retry.length > 0)) return retryTasks(deps, tended.run, current, look, options);
  if (next !== undefined) return swap(deps, tended.run, next);
  return addMissing(deps, tended.run, look, options, tended.quota);
}

async function lookAt(deps: SubmitDeps, record: RunRecord, { deep, capacity, watch }: StepOptions): Promise<Look> {
  const { batch, clock, policy } = deps;
  const open = openTasksByAttempt(record);
  const tasks = new Map<number, readonly TaskFacts[]>();
  const attempts = activeAttempts(record).filter((attempt) => open.has(attempt.attempt));
  const decisions = await Promise.all(
    attempts.map(async (attempt) => {
      const { jobId, poolId } = attempt;
      const wanted = open.get(attempt.attempt) ?? [];
      // The job first: of one that is seen closed the tasks are then seen as they will stay.
      const job = deep ? await batch.getJob(jobId) : undefined;
      const told = await watch.look(jobId, job !== undefined && isClosed(job));
      // Older than what was counted: what is remembered of the job is behind, and would be counted once more.
      const listed = isBehind(record, told) ? await watch.look(jobId, true) : told;
      tasks.set(attempt.attempt, listed ?? []);
      const decision = decideAttempt(record, attempt, wanted, listed, job, policy, clock.now());
      capacity.outstanding(record.runId, jobId, poolId, decision.outstanding);
      await Promise.all(decision.strays.map((taskId) => batch.terminateTask(jobId, taskId)));
      const merging = wanted.includes('merge') && !decision.missing.includes('merge');
      if (merging && job?.state === 'active' && job.onAllTasksComplete === 'noaction')
        await batch.patchJob(jobId, { onAllTasksComplete: 'terminatejob' });
      return decision;
    }),
  );
  return { decisions, tasks };
}

/** An attempt that can do no more, not one whose job ended as it was told to while its last task is to be tried again. */
function lostAttempt(look: Look, found: Found): { readonly attempt: Attempt; readonly why: string } | undefined {
  for (const decision of look.decisions) {
    const { attempt, lost } = decision;
    const again = decision.retry.length > 0 || decision.retryAt !== undefined || decision.move.length > 0;
    if (lost !== undefined && !(decision.ended && again)) return { attempt, why: lost };
    const useless = found.invalid.find((one) => one.attempt === attempt.attempt);
    const idle = !decision.busy && !again && decision.missing.length === 0;
    if (useless !== undefined && idle)
      return { attempt, why: `task ${useless.taskId} succeeded, but ${useless.problem}` };
  }
  return undefined;
}

function executionsOf(look: Look, bundles: readonly AcceptedBundle[], attempt: number): readonly TaskFacts[] {
  const ids = new Set(bundles.filter((bundle) => bundle.attempt === attempt).map((bundle) => bundle.taskId));
  return (look.tasks.get(attempt) ?? []).filter((task) => ids.has(task.id.toLowerCase()));
}

/** The record with what was accepted in it; undefined when there is nothing new. */
function afterLook(deps: SubmitDeps, record: RunRecord, found: Found, look: Look, now: Date): RunRecord | undefined {
  const firstTaskAt = firstStart(record, [...look.tasks.values()].flat());
  if (found.accepted.length === 0 && firstTaskAt === record.firstTaskAt) return undefined;
  let { cost } = record;
  for (const attempt of record.attempts) {
    const tasks = executionsOf(look, found.accepted, attempt.attempt);
    cost = withExecutions(cost, attempt, tasks, now, deps.policy.prices?.currency);
  }
  const merged = found.accepted.find((bundle) => bundle.taskId === 'merge');
  if (merged !== undefined)
    return change(record, now, { merged, cost, firstTaskAt, state: 'publishing', waiting: null });
  return change(record, now, { accepted: withAccepted(record, found.accepted), cost, firstTaskAt });
}

/** Adds what should be in a job and is not, as far as there is room: the rest of the shards, the merge, what was deleted. */
async function addMissing(
  deps: SubmitDeps,
  run: StoredRun,
  look: Look,
  { capacity, watch }: StepOptions,
  quota: boolean,
): Promise<StepResult> {
  const { record } = run;
  const { clock, policy } = deps;
  const retryAt = look.decisions.flatMap((one) => one.retryAt ?? []).sort((a, b) => a.getTime() - b.getTime())[0];
  let waits: string | undefined;
  for (const { attempt, missing, outstanding } of look.decisions) {
    if (missing.length === 0) continue;
    const room = missing.includes('merge') ? 1 : await capacity.room(run, attempt.poolId);
    const now = missing.slice(0, Math.max(0, room));
    if (now.length < missing.length) waits = attempt.poolId;
    if (now.length === 0) continue;
    const placed = await addTasks(deps, record, attempt, now);
    const at = clock.now();
    if (placed.outcome === 'end')
      return swap(deps, run, failed(record, at, [reason(at, placed.code, placed.subject, placed.message)]));
    if (placed.outcome === 'closed') {
      const tasks = openTasksByAttempt(record).get(attempt.attempt) ?? [];
      const why = `job ${attempt.jobId} was ended by somebody`;
      return swap(deps, run, nextAttempt(record, attempt, tasks, policy.maxAttempts, at, why));
    }
    watch.added(attempt.jobId, now);
    capacity.outstanding(record.runId, attempt.jobId, attempt.poolId, outstanding + now.length);
  }
  const waiting: StepResult = {
    kind: 'waiting',
    run,
    on: retryAt === undefined ? 'tasks' : 'retry',
    notBefore: retryAt,
  };
  const at = clock.now();
  let next: RunRecord | undefined;
  if (waits !== undefined) {
    const { code, message } = capacity.shortage(waits);
    next = waitingFor(record, at, code, message);
  } else if (!quota && record.waiting !== null) next = change(record, at, { waiting: null });
  if (next === undefined) return waiting;
  const written = await swap(deps, run, next);
  return written.kind === 'moved' ? { ...waiting, run: written.run } : written;
}

interface AttemptFailure {
  readonly attempt: Attempt;
  readonly failure: TaskFailure;
}

async function failRun(
  deps: SubmitDeps,
  run: StoredRun,
  record: RunRecord,
  failures: readonly AttemptFailure[],
): Promise<StepResult> {
  const now = deps.clock.now();
  const reasons = await Promise.all(
    failures.map(async ({ attempt, failure }) => {
      const words = told(failure, await explain(deps, record, attempt.attempt, failure));
      return reason(now, 'task-failed', failureSubject(attempt, failure.taskId), words);
    }),
  );
  return swap(deps, run, failed(record, now, reasons));
}

/** The record with these failures counted, each once: it is named by its end time. */
async function countFailures(
  deps: SubmitDeps,
  record: RunRecord,
  code: string,
  failures: readonly AttemptFailure[],
  now: Date,
): Promise<RunRecord> {
  const reasons: Reason[] = await Promise.all(
    failures.map(async ({ attempt, failure }) => {
      const words = told(failure, await explain(deps, record, attempt.attempt, failure));
      return reason(now, code, failureSubject(attempt, failure.taskId), words);
    }),
  );
  const retries = { ...record.retries };
  const lastFailures = { ...record.lastFailures };
  let { cost } = record;
  for (const { attempt, failure } of failures) {
    retries[failure.taskId] = (retries[failure.taskId] ?? 0) + 1;
    if (failure.at !== undefined) lastFailures[failure.taskId] = failure.at.toISOString();
    cost = withExecutions(cost, attempt, [failure.task], now, deps.policy.prices?.currency);
  }
  return { ...record, retries, lastFailures, cost, reasons: withReasons(record, reasons) };
}

/** Gives tasks to an attempt in a pool of another class, and says why. */
async function move(
  deps: SubmitDeps,
  run: StoredRun,
  record: RunRecord,
  look: Look,
  { capacity }: StepOptions,
): Promise<StepResult> {
  const now = deps.clock.now();
  let next = record;
  for (const { attempt, move: moves } of look.decisions) {
    for (const to of ['dedicated', 'large'] as const) {
      const mine = moves.filter((one) => one.to === to);
      if (mine.length === 0) continue;
      const failures = mine.flatMap(({ failure }) => (failure === undefined ? [] : [{ attempt, failure }]));
      next = await countFailures(deps, next, taskMoved, failures, now);
      const taken = mine.filter((one) => one.failure === undefined);
      const words = (task: TaskFacts): string =>
        `spot nodes were taken away from it ${task.requeueCount ?? 0} times: it goes to ${to} nodes`;
      const reasons = taken.map((one) => reason(now, taskMoved, failureSubject(attempt, one.taskId), words(one.task)));
      const cost = withExecutions(
        next.cost,
        attempt,
        taken.map((one) => one.task),
        now,
        deps.policy.prices?.currency,
      );
      next = { ...next, cost, reasons: withReasons(next, reasons) };
      const terms = await movedTermsOf(deps, capacity, attempt, to);
      const why = to === 'large' ? 'ran out of memory' : 'spot nodes failed or were taken away';
      next = moveTasks(
        next,
        mine.map((one) => one.taskId),
        terms,
        now,
        why,
      );
    }
  }
  return swap(deps, run, change(next, now, {}));
}

/**
 * Counts each failure once against its task's budget, then makes the tasks active again. A crash between the two is not
 * counted twice, and neither do two reconcilers.
 */
async function retryTasks(
  deps: SubmitDeps,
  run: StoredRun,
  record: RunRecord,
  look: Look,
  { watch }: StepOptions,
): Promise<StepResult> {
  const now = deps.clock.now();
  const all = look.decisions.flatMap(({ attempt, retry }) => retry.map((item) => ({ ...item, attempt })));
  const fresh = all.filter((item) => !item.counted);
  const ended = look.decisions.filter((one) => one.ended && one.retry.length > 0);
  let current = run;
  if (fresh.length > 0 || ended.length > 0 || record !== run.record) {
    let counted = await countFailures(deps, record, taskRetried, fresh, now);
    for (const { attempt, retry } of ended)
      counted = reopened(
        counted,
        attempt,
        retry.map((one) => one.failure.taskId),
        now,
      );
    const written = await swap(deps, run, change(counted, now, {}));
    if (written.kind !== 'moved' || ended.length > 0) return written;
    current = written.run;
  }
  for (const { attempt } of look.decisions) {
    const ids = all.filter((item) => item.attempt === attempt).map((item) => item.failure.taskId);
    const outcomes = await Promise.all(ids.map((taskId) => deps.batch.reactivateTask(attempt.jobId, taskId)));
    watch.added(
      attempt.jobId,
      ids.filter((_id, index) => outcomes[index] === 'reactivated'),
    );
    if (!outcomes.includes('job-closed')) continue;
    const job = await deps.batch.getJob(attempt.jobId);
    const at = deps.clock.now();
    const tasks = openTasksByAttempt(current.record).get(attempt.attempt) ?? [];
    if (job?.terminateReason === 'AllTasksComplete')
      return swap(deps, current, change(reopened(current.record, attempt, tasks, at), at, {}));
    const why = `job ${attempt.jobId} was ended before a failed task could be tried again`;
    return swap(deps, current, nextAttempt(current.record, attempt, tasks, deps.policy.maxAttempts, at, why));
  }
  return { kind: 'waiting', run: current, on: 'tasks' };
}

/** The job ended by itself after its last task, as it was told to: the task is tried again in another of the same kind. */
function reopened(record: RunRecord, attempt: Attempt, tasks: readonly string[], now: Date): RunRecord {
  const endedAt = now.toISOString();
  const attempts = record.attempts.map((one) => (one.attempt === attempt.attempt ? { ...one, endedAt } : one));
  const { poolId, poolClass, image, slotsPerNode, pricePerNodeHour } = attempt;
  const terms = { poolId, poolClass, image, slotsPerNode, pricePerNodeHour };
  return moveTasks({ ...record, attempts }, tasks, terms, now, 'its task failed after all others were done');
}
