import type { StepResult, SubmitDeps } from './deps.ts';
import { swap } from './deps.ts';
import type { StoredRun } from './ports.ts';
import { change, hasReason, isOpen, reason, withReasons } from './record.ts';
import { stepEnding } from './step-ending.ts';
import { stepPublishing } from './step-publishing.ts';
import { stepRunning } from './step-running.ts';
import { stepQueued, stepSubmitting } from './step-submitting.ts';

export interface ReconcileOptions {
  /** What the caller knows already; absent = read it. */
  readonly known?: StoredRun | undefined;
  /** Also look at the job itself, not at its tasks only. */
  readonly deep: boolean;
  /** Whether a queued run may start now. */
  readonly admit: (run: StoredRun) => boolean;
  readonly signal?: AbortSignal | undefined;
  /** Called with every version of the record that was written or read. */
  readonly onRecord?: ((run: StoredRun) => void) | undefined;
}

export type ReconcileResult = Extract<StepResult, { kind: 'waiting' | 'over' }> | { readonly kind: 'gone' };

/** More acts in a row than any run needs: a fault that turns in circles shows instead of spinning. */
const maxSteps = 100;

/** Thrown when a run moves without end. */
export class EndlessRunError extends Error {
  override readonly name = 'EndlessRunError';
  readonly runId: string;

  constructor(runId: string) {
    super(`run ${runId} moved ${maxSteps} times in a row`);
    this.runId = runId;
  }
}

/**
 * Moves a run as far as it can go now: each act is repeatable and each change of the record a compare-and-swap, so that
 * several reconcilers may work on one run and a crash between any two calls is followed by the same acts again.
 *
 * @throws whatever a port throws; the run then stays as its record says and is tried again later.
 */
export async function reconcileRun(
  runId: string,
  deps: SubmitDeps,
  options: ReconcileOptions,
): Promise<ReconcileResult> {
  let run = options.known ?? (await deps.runs.get(runId));
  for (let count = 0; count < maxSteps; count += 1) {
    if (run === undefined) return { kind: 'gone' };
    options.onRecord?.(run);
    options.signal?.throwIfAborted();
    const result = await step(run, deps, options);
    if (result.kind === 'waiting' || result.kind === 'over') {
      options.onRecord?.(result.run);
      return result;
    }
    run = result.kind === 'moved' ? result.run : await deps.runs.get(runId);
  }
  throw new EndlessRunError(runId);
}

async function step(run: StoredRun, deps: SubmitDeps, options: ReconcileOptions): Promise<StepResult> {
  const { record } = run;
  const now = deps.clock.now();
  if (!isOpen(record)) return { kind: 'over', run };
  if (record.finishedAt === null && record.deadline !== null && new Date(record.deadline) < now) {
    if (!hasReason(record, 'deadline-missed', record.runId)) {
      const missed = reason(now, 'deadline-missed', record.runId, `the numbers were needed by ${record.deadline}`);
      return swap(deps, run, change(record, now, { reasons: [...withReasons(record, [missed])] }));
    }
  }
  switch (record.state) {
    case 'queued':
      return stepQueued(deps, run, options.admit(run));
    case 'submitting':
      return stepSubmitting(deps, run);
    case 'running':
      return stepRunning(deps, run, options.deep);
    case 'publishing':
      return stepPublishing(deps, run);
    case 'failed':
    case 'cancelled':
      return stepEnding(deps, run);
    case 'done':
    case 'sweeping':
    case 'swept':
      return { kind: 'over', run };
  }
}
