import { swap, unlimited, type Capacity, type StepResult, type SubmitDeps } from './deps.ts';
import type { StoredRun } from './ports.ts';
import { change, isOpen, reason, withReasons } from './record.ts';
import { stepEnding } from './step-ending.ts';
import { stepPublishing } from './step-publishing.ts';
import { stepRunning } from './step-running.ts';
import { stepQueued, stepSubmitting } from './step-submitting.ts';
import { TaskWatch } from './task-watch.ts';

export interface ReconcileOptions {
  /** What the caller knows already; absent = read it. */
  readonly known?: StoredRun | undefined;
  /** Also look at the job itself, not at its tasks only. */
  readonly deep: boolean;
  /** What the run may use of the pools; absent = all of them. */
  readonly capacity?: Capacity | undefined;
  /** What is known of the tasks already; absent = they are listed each time. */
  readonly watch?: TaskWatch | undefined;
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
  if (!isOpen(record)) return { kind: 'over', run };
  const late = await missedDeadline(deps, run);
  if (late !== undefined) return late;
  const capacity = options.capacity ?? unlimited(deps.batch);
  const watch = options.watch ?? new TaskWatch(deps.batch, deps.clock, { fullMs: 0 });
  const use = { deep: options.deep, capacity, watch };
  switch (record.state) {
    case 'queued':
      return stepQueued(deps, run, use);
    case 'submitting':
      return stepSubmitting(deps, run, use);
    case 'running':
      return stepRunning(deps, run, use);
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

/** A deadline that has passed is said in the record once, and told as an alert by whoever wrote that. */
async function missedDeadline(deps: SubmitDeps, run: StoredRun): Promise<StepResult | undefined> {
  const { record } = run;
  const now = deps.clock.now();
  const { deadline, runId, desk } = record;
  if (deadline === null || record.deadlineMissedAt !== null || record.finishedAt !== null) return undefined;
  if (record.state === 'failed' || record.state === 'cancelled' || new Date(deadline) >= now) return undefined;
  const message = `the numbers were needed by ${deadline}`;
  const reasons = withReasons(record, [reason(now, 'deadline-missed', runId, message)]);
  const written = await swap(deps, run, change(record, now, { deadlineMissedAt: now.toISOString(), reasons }));
  if (written.kind === 'moved') deps.alert?.({ runId, desk, code: 'deadline-missed', message: `${runId}: ${message}` });
  return written;
}
