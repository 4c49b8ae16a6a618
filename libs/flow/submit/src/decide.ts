import { exitClassOf, type Attempt, type ExitClass, type PoolClass, type RunRecord } from '@xva/contracts';
import type { SubmitPolicy } from './policy.ts';
import type { JobFacts, TaskFacts } from './ports.ts';

export interface TaskFailure {
  readonly taskId: string;
  readonly exitClass: ExitClass | 'nothingRan';
  readonly exitCode: number | undefined;
  /** What Batch says of it. */
  readonly message: string;
  /** When it failed; together with the task it names this one failure. Absent when Batch did not say. */
  readonly at: Date | undefined;
  readonly task: TaskFacts;
}

/** What follows from a failure: it will fail again in the same way, or may succeed here, or in a pool of another class. */
export type Verdict = 'final' | 'again' | Exclude<PoolClass, 'spot'>;

const finalClasses: ReadonlySet<TaskFailure['exitClass']> = new Set(['badInput', 'modelFailure', 'usage']);

/** Code of the reason that tells of a failure that was counted against a task's budget. */
export const taskRetried = 'task-retried';
/** Code of the reason that tells why a task went to another pool. */
export const taskMoved = 'task-moved';

export const defaultMaxSpotAttempts = 2;

export function failureSubject(attempt: Pick<Attempt, 'attempt'>, taskId: string): string {
  return `a${attempt.attempt}/${taskId}`;
}

export function isFailure(task: TaskFacts): boolean {
  return task.state === 'completed' && (task.result === 'failure' || task.failure !== undefined || task.exitCode !== 0);
}

export function describeFailure(task: TaskFacts): TaskFailure {
  const { exitCode, failure } = task;
  // Exit code 0 with a failure: the process was well, its files could not be stored.
  const exitClass = exitCode === undefined ? 'nothingRan' : exitCode === 0 ? 'infrastructure' : exitClassOf(exitCode);
  const told = failure === undefined ? 'no failure information' : `${failure.code}: ${failure.message}`;
  return { taskId: task.id, exitClass, exitCode, message: told, at: task.endTime, task };
}

export type DecisionPolicy = Pick<
  SubmitPolicy,
  'maxTaskRetries' | 'taskRetryDelayMs' | 'maxSpotAttempts' | 'largePoolId'
>;

/**
 * By the class of a task's exit: input and model errors are final; lack of memory asks for more of it; anything on a spot
 * node may be the node's fault until that was tried often enough; the rest may go better another time.
 *
 * @param before failures of the task that were counted before this one
 */
export function judgeFailure(
  failure: TaskFailure,
  attempt: Pick<Attempt, 'poolClass'>,
  before: number,
  policy: DecisionPolicy,
): Verdict {
  if (finalClasses.has(failure.exitClass) || before >= policy.maxTaskRetries) return 'final';
  const outOfMemory = failure.exitClass === 'outOfMemory';
  if (outOfMemory && attempt.poolClass !== 'large' && policy.largePoolId !== undefined) return 'large';
  if (attempt.poolClass !== 'spot') return 'again';
  const used = before + 1 + (failure.task.requeueCount ?? 0);
  return used >= (policy.maxSpotAttempts ?? defaultMaxSpotAttempts) ? 'dedicated' : 'again';
}

export interface AttemptDecision {
  readonly attempt: Attempt;
  /** Tasks that succeeded and whose bundle is to be looked at. */
  readonly look: readonly string[];
  /** Failures that may be tried again here and now; `counted` when the record has them already (a crash came between). */
  readonly retry: readonly { readonly failure: TaskFailure; readonly counted: boolean }[];
  /** Earliest time at which a failure that must wait may be tried again. */
  readonly retryAt: Date | undefined;
  /** Tasks that go to a pool of another class: after a failure, or because spot nodes were taken away too often. */
  readonly move: readonly {
    readonly taskId: string;
    readonly to: Exclude<PoolClass, 'spot'>;
    readonly failure: TaskFailure | undefined;
    readonly task: TaskFacts;
  }[];
  /** Failures that end the run. */
  readonly fail: readonly TaskFailure[];
  /** Tasks that should be in the job and are not. */
  readonly missing: readonly string[];
  /** Tasks in the job that belong to another attempt by now, and still wait or run. */
  readonly strays: readonly string[];
  /** Tasks of the job that wait or run. */
  readonly outstanding: number;
  /** Some task of this attempt is waiting or running. */
  readonly busy: boolean;
  /** The job can do no more for this reason. */
  readonly lost: string | undefined;
  /** It ended by itself when its last task did, as it was told to: no accident. */
  readonly ended: boolean;
  /** The job used up its wall-clock time: the kill switch, final. */
  readonly expired: boolean;
}

const closedStates: ReadonlySet<string> = new Set(['terminating', 'completed', 'deleting']);

/** A job that ends, or has ended. */
export function isClosed(job: JobFacts): boolean {
  return closedStates.has(job.state);
}

/** Wait before reactivation number `count + 1`. */
export function retryDelayMs(policy: Pick<SubmitPolicy, 'taskRetryDelayMs'>, count: number): number {
  return policy.taskRetryDelayMs * 2 ** Math.min(count, 10);
}

/** Whether these facts tell of a failure that is older than one of the same task that the record has counted. */
export function isBehind(record: RunRecord, tasks: readonly TaskFacts[] | undefined): boolean {
  return (tasks ?? []).some((task) => {
    const counted = record.lastFailures[task.id.toLowerCase()];
    if (counted === undefined || task.state !== 'completed' || task.endTime === undefined) return false;
    return isFailure(task) && task.endTime.toISOString() < counted;
  });
}

/**
 * What follows from what Batch shows of one attempt.
 *
 * @param wanted the attempt's tasks that the run still needs
 * @param tasks undefined when the job is gone
 * @param job undefined when nobody looked
 */
export function decideAttempt(
  record: RunRecord,
  attempt: Attempt,
  wanted: readonly string[],
  tasks: readonly TaskFacts[] | undefined,
  job: JobFacts | undefined,
  policy: DecisionPolicy,
  now: Date,
): AttemptDecision {
  const found = new Map((tasks ?? []).map((task) => [task.id.toLowerCase(), task]));
  const look: string[] = [];
  const retry: { failure: TaskFailure; counted: boolean }[] = [];
  const move: { taskId: string; to: 'dedicated' | 'large'; failure: TaskFailure | undefined; task: TaskFacts }[] = [];
  const fail: TaskFailure[] = [];
  const missing: string[] = [];
  let retryAt: Date | undefined;
  let busy = false;
  for (const taskId of wanted) {
    const task = found.get(taskId);
    if (task === undefined) missing.push(taskId);
    else if (task.state !== 'completed') {
      const taken = (record.retries[taskId] ?? 0) + (task.requeueCount ?? 0);
      const spent = attempt.poolClass === 'spot' && taken >= (policy.maxSpotAttempts ?? defaultMaxSpotAttempts);
      if (spent && (task.requeueCount ?? 0) > 0) move.push({ taskId, to: 'dedicated', failure: undefined, task });
      else busy = true;
    } else if (!isFailure(task)) look.push(taskId);
    else {
      const failure = describeFailure(task);
      const count = record.retries[taskId] ?? 0;
      const counted = failure.at !== undefined && record.lastFailures[taskId] === failure.at.toISOString();
      const verdict = counted ? 'again' : judgeFailure(failure, attempt, count, policy);
      const since = failure.at ?? now;
      const due = new Date(since.getTime() + retryDelayMs(policy, counted ? count - 1 : count));
      if (verdict === 'final') fail.push(failure);
      else if (verdict !== 'again') move.push({ taskId, to: verdict, failure, task });
      else if (due <= now || due.getTime() - now.getTime() > 10 * retryDelayMs(policy, count))
        retry.push({ failure, counted });
      else if (retryAt === undefined || due < retryAt) retryAt = due;
    }
  }
  const mine = new Set(wanted);
  const alive = [...found].filter(([, task]) => task.state !== 'completed');
  const strays = alive.filter(([id]) => !mine.has(id) && belongsElsewhere(record, attempt, id)).map(([id]) => id);
  const closed = job !== undefined && isClosed(job);
  const unfinished = busy || missing.length > 0 || retry.length > 0 || retryAt !== undefined;
  const lost =
    wanted.length === 0
      ? undefined
      : tasks === undefined
        ? 'the job is gone'
        : closed && unfinished
          ? `the job was ended by ${job.terminateReason ?? 'somebody'}`
          : undefined;
  const ended = lost !== undefined && job?.terminateReason === 'AllTasksComplete';
  const expired = lost !== undefined && job?.terminateReason === 'MaxWallClockTimeExpiry';
  return {
    ...{ attempt, look, retry, retryAt, move, fail, missing, strays, busy, lost, ended, expired },
    outstanding: alive.length - strays.length,
  };
}

function belongsElsewhere(record: RunRecord, attempt: Attempt, taskId: string): boolean {
  return record.attempts.some((other) => other.attempt > attempt.attempt && other.tasks.includes(taskId));
}
