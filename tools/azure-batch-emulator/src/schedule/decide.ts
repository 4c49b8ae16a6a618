import type { RunOutcome } from '../run/task-run.ts';
import type { FailureInfo } from '../store/rows.ts';
import type { ExitConditions, ExitOptions, TaskSpec } from '../wire/specs.ts';

export type EndDecision =
  | { readonly kind: 'retry' }
  | {
      readonly kind: 'complete';
      readonly exitCode: number | undefined;
      readonly failure: FailureInfo | undefined;
      /** Whether tasks that depend on this one may run. */
      readonly satisfied: boolean;
      readonly jobAction: 'none' | 'disable' | 'terminate';
    };

export const taskEnded: FailureInfo = {
  category: 'UserError',
  code: 'TaskEnded',
  message: 'Task Was Ended by User Request',
};

const wallClockEnded: FailureInfo = {
  category: 'UserError',
  code: 'TaskEnded',
  message: 'The task exceeded its maximum wall clock time and was ended',
  details: [{ name: 'Reason', value: 'MaxWallClockTimeExpiry' }],
};

const failureExitCode: FailureInfo = {
  category: 'UserError',
  code: 'FailureExitCode',
  message: 'The task exited with an exit code representing a failure',
  details: [
    { name: 'Message', value: 'The task process exited with an unexpected exit code' },
    { name: 'AdditionalErrorCode', value: 'FailureExitCode' },
  ],
};

/**
 * The exit options that apply (Batch REST reference, ExitConditions): an entry for the exit code beats an upload error;
 * `default` covers what has no entry of its own; exit code 0 needs an explicit entry.
 */
export function exitOptionsFor(
  conditions: ExitConditions | undefined,
  stage: RunOutcome['stage'],
  exitCode: number | undefined,
): ExitOptions {
  if (conditions === undefined) return {};
  if (exitCode === undefined) return conditions.preProcessingError ?? conditions.default ?? {};
  const exact = conditions.exitCodes?.find(({ code }) => code === exitCode)?.exitOptions;
  const ranged = conditions.exitCodeRanges?.find(({ start, end }) => start <= exitCode && exitCode <= end)?.exitOptions;
  const explicit = exact ?? ranged;
  if (explicit !== undefined) return explicit;
  if (stage === 'upload') return conditions.fileUploadError ?? conditions.default ?? {};
  return exitCode === 0 ? {} : (conditions.default ?? {});
}

/** What becomes of a task after a run that nobody interrupted. Pure. */
export function decideEnd(
  task: Pick<TaskSpec, 'constraints' | 'exitConditions'>,
  retryCount: number,
  outcome: RunOutcome,
): EndDecision {
  const { exitCode, stage } = outcome;
  const failed = exitCode !== 0 || outcome.failure !== undefined;
  const retries = task.constraints?.maxTaskRetryCount ?? 0;
  // Only exit codes are retried: never a missing program or file, an upload, or a run that its wall clock ended.
  const retriable = exitCode !== undefined && exitCode !== 0 && stage === 'process' && outcome.wallClock !== true;
  if (retriable && (retries === -1 || retryCount < retries)) return { kind: 'retry' };
  const options = exitOptionsFor(task.exitConditions, stage, exitCode);
  const failure = !failed
    ? undefined
    : (outcome.failure ?? (outcome.wallClock === true ? wallClockEnded : failureExitCode));
  return {
    kind: 'complete',
    exitCode,
    failure,
    satisfied: options.dependencyAction === undefined ? !failed : options.dependencyAction === 'satisfy',
    jobAction: options.jobAction ?? (failed ? 'terminate' : 'none'),
  };
}

export interface NodeChoice {
  readonly id: string;
  readonly open: boolean;
  readonly slots: number;
  readonly used: number;
}

/**
 * The node that takes a task: the one it has an affinity to if that has room, else the emptiest (`spread`) or the
 * fullest (`pack`) that has. Undefined when none has enough free slots.
 */
export function chooseNode<T extends NodeChoice>(
  nodes: Iterable<T>,
  slots: number,
  fill: string,
  affinity: string | undefined,
): T | undefined {
  let best: T | undefined;
  for (const node of nodes) {
    if (!node.open || node.slots - node.used < slots) continue;
    if (affinity === `TVM:${node.id}`) return node;
    if (best === undefined || (fill === 'pack' ? node.used > best.used : node.used < best.used)) best = node;
  }
  return best;
}
