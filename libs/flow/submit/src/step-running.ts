import {
  parseContractText,
  runPaths,
  taskReportSchema,
  type AcceptedBundle,
  type Reason,
  type RunRecord,
} from '@xva/contracts';
import { findBundle } from './bundles.ts';
import { decideRunning, failureSubject, taskRetried, type RunningDecision, type TaskFailure } from './decide.ts';
import { swap, type StepResult, type SubmitDeps } from './deps.ts';
import { BundleError, ContentConflictError } from './errors.ts';
import type { StoredRun } from './ports.ts';
import { change, failed, nextAttempt, openShards, reason, withAccepted, withReasons } from './record.ts';
import { specsOf, writeTasks } from './step-submitting.ts';

interface Found {
  readonly accepted: readonly AcceptedBundle[];
  /** Tasks that succeeded and left no valid bundle. */
  readonly invalid: readonly { readonly taskId: string; readonly problem: string }[];
}

const readersAtOnce = 4;

async function lookForBundles(deps: SubmitDeps, record: RunRecord, taskIds: readonly string[]): Promise<Found> {
  const container = deps.work.runContainer(record.container);
  const accepted: AcceptedBundle[] = [];
  const invalid: { taskId: string; problem: string }[] = [];
  const queue = [...taskIds];
  const work = async (): Promise<void> => {
    for (let taskId = queue.shift(); taskId !== undefined; taskId = queue.shift()) {
      try {
        const bundle = await findBundle(container, record, taskId);
        if (bundle === undefined) invalid.push({ taskId, problem: 'it left no bundle' });
        else accepted.push(bundle);
      } catch (error) {
        if (!(error instanceof BundleError)) throw error;
        invalid.push({ taskId, problem: error.message });
      }
    }
  };
  await Promise.all(Array.from({ length: Math.min(readersAtOnce, queue.length) }, work));
  return { accepted, invalid };
}

/** The runner's own words about a failure, from Storage, since the node may be gone; else what Batch says. */
async function explain(deps: SubmitDeps, record: RunRecord, failure: TaskFailure): Promise<string> {
  const container = deps.work.runContainer(record.container);
  let newest: { name: string; at: number } | undefined;
  for await (const { name, lastModified } of container.list(`${runPaths.taskOut(record.attempt, failure.taskId)}/`)) {
    const at = lastModified.getTime();
    if (/\/report-[0-9a-f-]{36}\.json$/.test(name) && (newest === undefined || at >= newest.at)) newest = { name, at };
  }
  if (newest !== undefined) {
    const text = Buffer.from((await container.get(newest.name))?.bytes ?? '').toString('utf8');
    try {
      const report = parseContractText(taskReportSchema, text, newest.name);
      if (report.exitCode === failure.exitCode) return report.message;
    } catch {
      // A report that cannot be read is no reason to lose what else is known.
    }
  }
  const errors = await container.get(`${runPaths.taskLogs(record.attempt, failure.taskId)}/stderr.txt`);
  const last =
    Buffer.from(errors?.bytes ?? '')
      .toString('utf8')
      .trim()
      .split('\n')
      .at(-1) ?? '';
  return last === '' || failure.exitCode === undefined ? failure.message : last;
}

function told(failure: TaskFailure, words: string): string {
  const code = failure.exitCode === undefined ? 'nothing ran' : `exit code ${failure.exitCode}, ${failure.exitClass}`;
  return `${code}: ${words}`;
}

/** One look at the current attempt in Batch, and what follows from it. */
export async function stepRunning(deps: SubmitDeps, run: StoredRun, deep: boolean): Promise<StepResult> {
  const { batch, clock, policy } = deps;
  const { record } = run;
  const jobId = record.attempts.at(-1)?.jobId ?? '';
  const [tasks, job] = await Promise.all([batch.listTasks(jobId), deep ? batch.getJob(jobId) : undefined]);
  const decision = decideRunning(record, tasks, job, policy, clock.now());
  const found: Found =
    decision.look.length === 0 ? { accepted: [], invalid: [] } : await lookForBundles(deps, record, decision.look);
  const now = clock.now();
  const next = afterLook(record, found, now);
  if (decision.fail.length > 0) return failRun(deps, run, next ?? record, decision.fail);
  if (decision.expired) {
    const message = `job ${jobId} used up its time of ${policy.jobMaxWallClockTime}`;
    return swap(deps, run, failed(next ?? record, now, [reason(now, 'job-out-of-time', jobId, message)]));
  }
  if (next?.state === 'publishing') return swap(deps, run, next);
  if (decision.lost !== undefined) return swap(deps, run, nextAttempt(next ?? record, policy, now, decision.lost));
  const useless = found.invalid[0];
  if (useless !== undefined && isIdle(decision)) {
    const why = `task ${useless.taskId} succeeded, but ${useless.problem}`;
    return swap(deps, run, nextAttempt(next ?? record, policy, now, why));
  }
  if (decision.retry.length > 0) return retryTasks(deps, run, next ?? record, decision);
  if (next !== undefined) {
    const written = await swap(deps, run, next);
    if (written.kind !== 'moved' || openShards(next).length > 0) return written;
    return submitMissing(deps, written.run);
  }
  if (decision.missing.length > 0) return submitMissing(deps, run);
  return {
    kind: 'waiting',
    run,
    on: decision.retryAt === undefined ? 'tasks' : 'retry',
    notBefore: decision.retryAt,
  };
}

function isIdle(decision: RunningDecision): boolean {
  return (
    !decision.busy && decision.retry.length === 0 && decision.retryAt === undefined && decision.missing.length === 0
  );
}

/** The record with what was accepted in it; undefined when nothing was. */
function afterLook(record: RunRecord, found: Found, now: Date): RunRecord | undefined {
  const [first] = found.accepted;
  if (first === undefined) return undefined;
  if (first.taskId === 'merge') return change(record, now, { merged: first, state: 'publishing' });
  return change(record, now, { accepted: [...withAccepted(record, found.accepted)] });
}

/** Adds what should be in the job and is not: the merge once every shard is accepted, or a task that somebody deleted. */
async function submitMissing(deps: SubmitDeps, run: StoredRun): Promise<StepResult> {
  const { record } = run;
  const { clock } = deps;
  const jobId = record.attempts.at(-1)?.jobId ?? '';
  const end = (code: string, subject: string, message: string): Promise<StepResult> =>
    swap(deps, run, failed(record, clock.now(), [reason(clock.now(), code, subject, message)]));
  const manifest = await deps.manifests.get(record.packageId);
  if (manifest === undefined)
    return end('package-gone', record.packageId, 'the manifest is gone from the work account');
  let tasks;
  try {
    tasks = await writeTasks(deps, record, specsOf(record, manifest));
  } catch (error) {
    if (error instanceof ContentConflictError) return end('task-spec-conflict', error.blob, error.message);
    throw error;
  }
  const added = await deps.batch.addTasks(jobId, tasks);
  switch (added.outcome) {
    case 'added':
      return { kind: 'waiting', run, on: 'tasks' };
    case 'conflict':
      return end('task-conflict', jobId, `tasks ${added.taskIds.join(', ')} exist with other content`);
    case 'refused':
      return end('tasks-refused', jobId, `${added.code}: ${added.message}`);
    case 'job-closed':
    case 'job-absent':
      return swap(deps, run, nextAttempt(record, deps.policy, clock.now(), `job ${jobId} was ended by somebody`));
  }
}

async function failRun(
  deps: SubmitDeps,
  run: StoredRun,
  record: RunRecord,
  failures: readonly TaskFailure[],
): Promise<StepResult> {
  const now = deps.clock.now();
  const reasons = await Promise.all(
    failures.map(async (failure) =>
      reason(
        now,
        'task-failed',
        failureSubject(record, failure.taskId),
        told(failure, await explain(deps, record, failure)),
      ),
    ),
  );
  return swap(deps, run, failed(record, now, reasons));
}

/**
 * Counts each failure once against its task's budget, then makes the tasks active again. The count names the failure by
 * its end time, so that a crash between the two is not counted twice, and neither do two reconcilers.
 */
async function retryTasks(
  deps: SubmitDeps,
  run: StoredRun,
  record: RunRecord,
  decision: RunningDecision,
): Promise<StepResult> {
  const now = deps.clock.now();
  const fresh = decision.retry.filter((item) => !item.counted).map((item) => item.failure);
  let current = run;
  if (fresh.length > 0 || record !== run.record) {
    const reasons: Reason[] = await Promise.all(
      fresh.map(async (failure) => ({
        ...reason(
          now,
          taskRetried,
          failureSubject(record, failure.taskId),
          told(failure, await explain(deps, record, failure)),
        ),
        at: failure.at.toISOString(),
      })),
    );
    const retries = { ...record.retries };
    for (const { taskId } of fresh) retries[taskId] = (retries[taskId] ?? 0) + 1;
    const written = await swap(
      deps,
      run,
      change(run.record, now, { accepted: record.accepted, retries, reasons: [...withReasons(record, reasons)] }),
    );
    if (written.kind !== 'moved') return written;
    current = written.run;
  }
  const jobId = current.record.attempts.at(-1)?.jobId ?? '';
  const outcomes = await Promise.all(
    decision.retry.map(({ failure }) => deps.batch.reactivateTask(jobId, failure.taskId)),
  );
  if (outcomes.some((outcome) => outcome === 'job-closed')) {
    const why = `job ${jobId} was ended before a failed task could be tried again`;
    return swap(deps, current, nextAttempt(current.record, deps.policy, deps.clock.now(), why));
  }
  return { kind: 'waiting', run: current, on: 'tasks' };
}
