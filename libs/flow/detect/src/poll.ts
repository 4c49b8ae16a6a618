import { describeError, StoppedError } from '@xva/runtime';
import { handleRow, type DetectDeps, type RowOutcome, type Turn } from './handle.ts';

/** What one poll came to. `trouble`: the database, the store or the hub did not do its part. */
export interface PollOutcome {
  readonly finding: 'rows' | 'nothing' | 'trouble';
  readonly rows: readonly RowOutcome[];
  /** The hub asks to be left alone for so long. */
  readonly busyMs?: number;
}

export interface PollOptions {
  readonly limit: number;
  readonly concurrency: number;
  /** Once aborted, rows that were claimed but not begun go back at once, their attempt given back. */
  readonly stopTaking: AbortSignal;
}

/** Claims once and handles what was claimed, `concurrency` rows side by side, in the order of the claim. */
export async function pollOnce(deps: DetectDeps, options: PollOptions): Promise<PollOutcome> {
  let claim: Awaited<ReturnType<DetectDeps['source']['claim']>>;
  try {
    claim = await deps.source.claim(options.limit, options.stopTaking);
  } catch (error) {
    deps.logger.error({ definition: deps.definition, error: describeError(error) }, 'the table could not be polled');
    return { finding: 'trouble', rows: [] };
  }
  const rows: RowOutcome[] = claim.poisoned.map(({ requestId, reason }) => {
    deps.logger.error({ definition: deps.definition, requestId, reason }, 'row put aside');
    return { outcome: 'poisoned', reason };
  });
  const turn = turns(options.concurrency, options.stopTaking);
  rows.push(...(await Promise.all(claim.claimed.map((claimed) => handleRow(deps, claimed, turn, options.stopTaking)))));
  const trouble = rows.some((row) => row.outcome === 'abandoned' || (row.outcome === 'released' && row.trouble));
  const busyMs = Math.max(0, ...rows.map((row) => (row.outcome === 'released' ? (row.busyMs ?? 0) : 0)));
  const finding = trouble ? 'trouble' : rows.length > 0 ? 'rows' : 'nothing';
  return { finding, rows, ...(busyMs === 0 ? {} : { busyMs }) };
}

/** At most `size` at a time, in the order of asking. */
function turns(size: number, stopTaking: AbortSignal): Turn {
  const waiting: (() => void)[] = [];
  let free = size;
  return async (work) => {
    if (free > 0) free -= 1;
    else await new Promise<void>((wake) => waiting.push(wake));
    try {
      if (stopTaking.aborted) throw new StoppedError();
      return await work();
    } finally {
      const next = waiting.shift();
      if (next === undefined) free += 1;
      else next();
    }
  };
}
