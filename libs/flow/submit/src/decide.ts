import { exitClassOf, type ExitClass, type RunRecord } from '@xva/contracts';
import type { SubmitPolicy } from './policy.ts';
import type { JobFacts, TaskFacts } from './ports.ts';
import { hasReason, openShards } from './record.ts';

/** `retry`: another execution may succeed. `final`: it will fail again in the same way. */
export type FailureKind = 'retry' | 'final';

export interface TaskFailure {
  readonly taskId: string;
  readonly exitClass: ExitClass | 'nothingRan';
  readonly exitCode: number | undefined;
  /** What Batch says of it. */
  readonly message: string;
  /** When it failed; together with the task it names this one failure. */
  readonly at: Date;
}

const finalClasses: ReadonlySet<TaskFailure['exitClass']> = new Set(['badInput', 'modelFailure', 'usage']);

/** Code of the reason that counts a failure against a task's budget. */
export const taskRetried = 'task-retried';

export function failureSubject(record: RunRecord, taskId: string): string {
  return `a${record.attempt}/${taskId}`;
}

export function isFailure(task: TaskFacts): boolean {
  return task.state === 'completed' && (task.result === 'failure' || task.failure !== undefined || task.exitCode !== 0);
}

export function describeFailure(task: TaskFacts): TaskFailure {
  const { exitCode, failure } = task;
  // Exit code 0 with a failure: the process was well, its files could not be stored.
  const exitClass = exitCode === undefined ? 'nothingRan' : exitCode === 0 ? 'infrastructure' : exitClassOf(exitCode);
  const told = failure === undefined ? 'no failure information' : `${failure.code}: ${failure.message}`;
  return { taskId: task.id, exitClass, exitCode, message: told, at: task.endTime ?? new Date(0) };
}

export function failureKind(failure: TaskFailure): FailureKind {
  return finalClasses.has(failure.exitClass) ? 'final' : 'retry';
}

export interface RunningDecision {
  /** Tasks that succeeded and whose bundle is to be looked at. */
  readonly look: readonly string[];
  /** Failures that may be tried again now; `counted` when the record has them already (a crash came between). */
  readonly retry: readonly { readonly failure: TaskFailure; readonly counted: boolean }[];
  /** Earliest time at which a failure that must wait may be tried again. */
  readonly retryAt: Date | undefined;
  /** Failures that end the run. */
  readonly fail: readonly TaskFailure[];
  /** Tasks that should be in the job and are not. */
  readonly missing: readonly string[];
  /** Some task is waiting or running. */
  readonly busy: boolean;
  /** The job can do no more for this reason. */
  readonly lost: string | undefined;
  /** The job used up its wall-clock time: the kill switch, final. */
  readonly expired: boolean;
}

const closedStates: ReadonlySet<string> = new Set(['terminating', 'completed', 'deleting']);

/** Wait before reactivation number `count + 1`. */
export function retryDelayMs(policy: Pick<SubmitPolicy, 'taskRetryDelayMs'>, count: number): number {
  return policy.taskRetryDelayMs * 2 ** Math.min(count, 10);
}

/**
 * What follows from what Batch shows of the current attempt.
 *
 * @param tasks undefined when the job is gone
 * @param job undefined when nobody looked
 */
export function decideRunning(
  record: RunRecord,
  tasks: readonly TaskFacts[] | undefined,
  job: JobFacts | undefined,
  policy: Pick<SubmitPolicy, 'maxTaskRetries' | 'taskRetryDelayMs'>,
  now: Date,
): RunningDecision {
  const shards = openShards(record).map((shard) => shard.taskId);
  const wanted = shards.length === 0 ? ['merge'] : shards;
  const found = new Map((tasks ?? []).map((task) => [task.id.toLowerCase(), task]));
  const look: string[] = [];
  const retry: { failure: TaskFailure; counted: boolean }[] = [];
  const fail: TaskFailure[] = [];
  const missing: string[] = [];
  let retryAt: Date | undefined;
  let busy = false;
  for (const taskId of wanted) {
    const task = found.get(taskId);
    if (task === undefined) missing.push(taskId);
    else if (task.state !== 'completed') busy = true;
    else if (!isFailure(task)) look.push(taskId);
    else {
      const failure = describeFailure(task);
      const count = record.retries[taskId] ?? 0;
      const counted = hasReason(record, taskRetried, failureSubject(record, taskId), failure.at.toISOString());
      const due = new Date(failure.at.getTime() + retryDelayMs(policy, counted ? count - 1 : count));
      if (failureKind(failure) === 'final' || (!counted && count >= policy.maxTaskRetries)) fail.push(failure);
      else if (due <= now || due.getTime() - now.getTime() > 10 * retryDelayMs(policy, count))
        retry.push({ failure, counted });
      else if (retryAt === undefined || due < retryAt) retryAt = due;
    }
  }
  const closed = job !== undefined && closedStates.has(job.state);
  const unfinished = busy || missing.length > 0 || retry.length > 0 || retryAt !== undefined;
  const lost =
    tasks === undefined
      ? 'the job is gone'
      : closed && unfinished
        ? `the job was ended by ${job.terminateReason ?? 'somebody'}`
        : undefined;
  const expired = closed && unfinished && job.terminateReason === 'MaxWallClockTimeExpiry';
  return { look, retry, retryAt, fail, missing, busy, lost, expired };
}
