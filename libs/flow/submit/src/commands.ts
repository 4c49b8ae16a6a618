import type { RunRecord } from '@xva/contracts';
import type { Clock } from '@xva/runtime';
import type { RunStore, StoredRun } from './ports.ts';
import { change, isOpen, openTasks, reason, retryAsked, withReasons } from './record.ts';

export type CommandOutcome =
  | { readonly outcome: 'done' | 'already'; readonly run: StoredRun }
  | { readonly outcome: 'absent' }
  /** The run's state does not allow it. */
  | { readonly outcome: 'refused'; readonly run: StoredRun; readonly message: string };

interface CommandDeps {
  readonly runs: RunStore;
  readonly clock: Clock;
}

/** What a command makes of a record: the next version, or why there is none. */
type Verdict = { readonly next: RunRecord } | { readonly already: true } | { readonly refused: string };

async function command(
  runId: string,
  deps: CommandDeps,
  judge: (record: RunRecord, now: Date) => Verdict,
): Promise<CommandOutcome> {
  for (;;) {
    const run = await deps.runs.get(runId);
    if (run === undefined) return { outcome: 'absent' };
    const verdict = judge(run.record, deps.clock.now());
    if ('already' in verdict) return { outcome: 'already', run };
    if ('refused' in verdict) return { outcome: 'refused', run, message: verdict.refused };
    const etag = await deps.runs.swap(verdict.next, run.etag);
    if (etag !== undefined) return { outcome: 'done', run: { record: verdict.next, etag } };
  }
}

/** Asks for the end of a run that is not publishing yet. Its jobs are ended by the reconciler. */
export function cancelRun(runId: string, by: string, deps: CommandDeps): Promise<CommandOutcome> {
  return command(runId, deps, (record, now) => {
    if (record.state === 'cancelled') return { already: true };
    if (!beforePublishing.includes(record.state)) {
      return { refused: `run ${runId} is ${record.state}: it can no longer be cancelled` };
    }
    const asked = reason(now, 'cancelled', runId, `asked for by ${by}`);
    return {
      next: change(record, now, {
        state: 'cancelled',
        outcome: 'cancelled',
        finishedAt: null,
        reasons: withReasons(record, [asked]),
        waiting: null,
      }),
    };
  });
}

/** Runs again what a failed run has not got: accepted shards stay, the others go into the next attempt's job. */
export function retryRun(runId: string, by: string, deps: CommandDeps): Promise<CommandOutcome> {
  return command(runId, deps, (record, now) => {
    if (record.state !== 'failed') {
      if (isOpen(record) && record.reasons.some((item) => item.code === retryAsked)) return { already: true };
      return { refused: `run ${runId} is ${record.state}: only a failed run can be tried again` };
    }
    if (record.finishedAt === null) return { refused: `run ${runId} is still ending its jobs: try again shortly` };
    const mixed = record.reasons.at(-1)?.code === 'engine-mismatch';
    const kept = { ...record, merged: null, accepted: mixed ? [] : record.accepted };
    const open = openTasks(kept);
    const what = open[0] === 'merge' ? 'the merge' : open.join(', ');
    return {
      next: change(kept, now, {
        state: 'queued',
        outcome: null,
        attempt: record.attempts.length === 0 ? record.attempt : record.attempt + 1,
        retries: {},
        lastFailures: {},
        lostAttempts: 0,
        finishedAt: null,
        reasons: withReasons(record, [reason(now, retryAsked, runId, `asked for by ${by}: ${what}`)]),
      }),
    };
  });
}

const beforePublishing: readonly RunRecord['state'][] = ['queued', 'submitting', 'running'];

/** Starts nothing new of a run: tasks that run go on, their bundles are accepted, the rest waits for `resumeRun`. */
export function pauseRun(runId: string, by: string, deps: CommandDeps): Promise<CommandOutcome> {
  return command(runId, deps, (record, now) => {
    if (record.paused !== null) return { already: true };
    if (!beforePublishing.includes(record.state))
      return { refused: `run ${runId} is ${record.state}: there is nothing left to pause` };
    return {
      next: change(record, now, {
        paused: { by, at: now.toISOString() },
        held: record.held || record.state !== 'queued',
        reasons: withReasons(record, [reason(now, 'paused', runId, `asked for by ${by}`)]),
      }),
    };
  });
}

/** Lets a paused run go on. */
export function resumeRun(runId: string, by: string, deps: CommandDeps): Promise<CommandOutcome> {
  return command(runId, deps, (record, now) => {
    if (record.paused === null) {
      if (isOpen(record)) return { already: true };
      return { refused: `run ${runId} is ${record.state}: it is not paused` };
    }
    return {
      next: change(record, now, {
        paused: null,
        reasons: withReasons(record, [reason(now, 'resumed', runId, `asked for by ${by}`)]),
      }),
    };
  });
}

/** Batch's range, and the job request's. */
const highestPriority = 1000;

/** Changes a run's place in the queue, and the priority of its jobs in Batch. @param priority -1000 to 1000 */
export function setRunPriority(
  runId: string,
  priority: number,
  by: string,
  deps: CommandDeps,
): Promise<CommandOutcome> {
  return command(runId, deps, (record, now) => {
    if (!Number.isInteger(priority) || Math.abs(priority) > highestPriority)
      return { refused: `priority ${priority} is not a whole number from -${highestPriority} to ${highestPriority}` };
    if (record.priority === priority) return { already: true };
    if (!beforePublishing.includes(record.state))
      return { refused: `run ${runId} is ${record.state}: its priority makes no difference any more` };
    const told = reason(now, 'priority', runId, `${record.priority} → ${priority}, asked for by ${by}`);
    return { next: change(record, now, { priority, reasons: withReasons(record, [told]) }) };
  });
}
