import { finalStates, type RunProgress, type RunView } from '@xva/contracts';
import { eventually } from '../eventually.ts';
import type { Hop } from '../hops.ts';
import type { LabSql, RequestRow } from '../load-book.ts';
import { insertRequest } from '../load-book.ts';
import type { Session } from '../session.ts';
import { identityOf } from '../undeterred.ts';

/** When things happened to one run, in ms since 1970; all clocks are this machine's. */
export interface Moments {
  /** Just before the insert was sent: the row's commit lies within a round trip after it. */
  readonly asked: number;
  /** The row says published: the hub had acknowledged before. */
  readonly published: number;
  /** The run record was written. */
  readonly accepted: number;
  /** First and last of the shards' processes, as Batch tells them. */
  readonly firstTaskStart: number;
  readonly lastShardEnd: number;
  readonly mergeStart: number;
  readonly mergeEnd: number;
  /** The record says done: the pointer to the result was written before. */
  readonly done: number;
}

export interface TimedRun {
  readonly run: RunView;
  readonly progress: RunProgress;
  readonly moments: Moments;
  /** Row committed → result published. */
  readonly ms: number;
}

/** A benchmarked run that did not become a complete result: its time would mean nothing. */
export class RunNotCompleteError extends Error {
  override readonly name = 'RunNotCompleteError';

  constructor({ runId, state, outcome, reasons }: RunView) {
    const words = reasons.map((reason) => `${reason.code} ${reason.subject}: ${reason.message}`).join('; ');
    super(`run ${runId} ended ${state} (${outcome ?? 'no outcome'}): ${words}`);
  }
}

function momentOf(text: string | null | undefined, what: string): number {
  const at = Date.parse(text ?? '');
  if (Number.isNaN(at)) throw new Error(`${what} is not known`);
  return at;
}

/** The moments of a run that is over. @throws Error naming what is not known. */
export function momentsOf(asked: number, published: number, run: RunView, progress: RunProgress): Moments {
  const merge = progress.tasks.find((task) => task.taskId === 'merge');
  const shards = progress.tasks.filter((task) => task.taskId !== 'merge');
  return {
    asked,
    published,
    accepted: momentOf(run.createdAt, 'the record’s creation'),
    firstTaskStart: Math.min(...shards.map((task) => momentOf(task.startTime, `the start of ${task.taskId}`))),
    lastShardEnd: Math.max(...shards.map((task) => momentOf(task.endTime, `the end of ${task.taskId}`))),
    mergeStart: momentOf(merge?.startTime, 'the start of the merge'),
    mergeEnd: momentOf(merge?.endTime, 'the end of the merge'),
    done: momentOf(run.finishedAt, 'the end of the run'),
  };
}

/** Time per hop; they add up to the whole. */
export function hopsOfMoments(at: Moments): readonly Hop[] {
  return [
    { name: 'row → event (claim, freeze, publish)', ms: at.published - at.asked },
    { name: 'event → job request (package, upload)', ms: at.accepted - at.published },
    { name: 'job request → first task starts', ms: at.firstTaskStart - at.accepted },
    { name: 'shards, first start to last end', ms: at.lastShardEnd - at.firstTaskStart },
    { name: 'last shard ends → merge starts', ms: at.mergeStart - at.lastShardEnd },
    { name: 'merge task', ms: at.mergeEnd - at.mergeStart },
    { name: 'merged → published', ms: at.done - at.mergeEnd },
  ];
}

async function publishedAt(sql: LabSql, requestId: string): Promise<number> {
  const [row] = await sql.query(
    'SELECT CONVERT(varchar(33), PublishedAt, 126) AS PublishedAt FROM xva.RunRequest WHERE RequestId = CONVERT(bigint, @p0)',
    [requestId],
  );
  return momentOf(`${String(row?.['PublishedAt'])}Z`, 'the time of the publish');
}

/**
 * Commits a request row and waits for its published result. Looks seldom and at one thing only, so that looking costs
 * little; the moments come from the row, the run record and Batch afterwards.
 *
 * @throws RunNotCompleteError, DeadlineError
 */
export async function timeRun(
  session: Session,
  sql: LabSql,
  request: RequestRow,
  options: { readonly signal: AbortSignal; readonly timeoutMs: number },
): Promise<TimedRun> {
  const asked = Date.now();
  const requestId = await insertRequest(sql, request);
  const { runId } = identityOf(request);
  const run = await eventually(
    `run ${runId} over`,
    async () => {
      options.signal.throwIfAborted();
      const found = await session.api.findRun(runId);
      return found !== undefined && finalStates.has(found.state) ? found : undefined;
    },
    options.timeoutMs,
    200,
  );
  if (run.state !== 'done' || run.outcome !== 'complete') throw new RunNotCompleteError(run);
  const progress = await session.api.progress(runId);
  if (progress === undefined) throw new Error(`the progress of run ${runId} cannot be read`);
  const moments = momentsOf(asked, await publishedAt(sql, requestId), run, progress);
  return { run, progress, moments, ms: moments.done - asked };
}
