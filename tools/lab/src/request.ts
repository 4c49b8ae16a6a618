import { deriveRunId, type RunProgress, type RunView } from '@xva/contracts';
import { followRun } from './follow.ts';
import { hopsOf, type Hop, type RowTimes } from './hops.ts';
import { insertRequest, requestState, type LabSql, type RequestRow } from './load-book.ts';
import type { LabAccess } from './access.ts';

/** A request that the integrator refused; the row says why. */
export class RequestRefusedError extends Error {
  override readonly name = 'RequestRefusedError';
}

export interface FollowedRun {
  readonly requestId: string;
  readonly runId: string;
  readonly run: RunView;
  readonly hops: readonly Hop[];
}

async function waitPublished(
  sql: LabSql,
  requestId: string,
  committedAt: number,
  timeoutMs: number,
): Promise<{ eventId: string; times: RowTimes }> {
  for (;;) {
    const state = await requestState(sql, requestId);
    if (state?.state === 'poison')
      throw new RequestRefusedError(`request row ${requestId}: ${state.lastError ?? 'no reason'}`);
    if (state?.state === 'published' && state.eventId !== null) {
      return { eventId: state.eventId, times: { committedAt, publishedAt: Date.now() } };
    }
    if (Date.now() - committedAt > timeoutMs) {
      throw new Error(
        `request row ${requestId} is still ${state?.state ?? 'absent'}: ${state?.lastError ?? 'no error'}`,
      );
    }
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

/** Commits a request row and follows it to the end of its run. */
export async function requestRun(
  session: LabAccess,
  request: RequestRow,
  options: { readonly print: (line: string) => void; readonly signal: AbortSignal; readonly timeoutMs: number },
): Promise<FollowedRun> {
  const { print } = options;
  const sql = await session.connectSql();
  try {
    const requestId = await insertRequest(sql, request);
    const committedAt = Date.now();
    print(
      `row ${requestId} committed: ${request.book} as of ${request.asOf}, ${request.cut}, ${request.scenario}, revision ${request.revision}`,
    );
    const { eventId, times } = await waitPublished(sql, requestId, committedAt, 60_000);
    const runId = deriveRunId(eventId, request);
    print(`event ${eventId} published → run ${runId}`);
    let progress: RunProgress | undefined;
    const run = await followRun({
      ...options,
      runId,
      api: session.api,
      pollMs: 200,
      onProgress: (seen) => (progress = seen),
    });
    progress = (await session.api.progress(runId)) ?? progress;
    return { requestId, runId, run, hops: hopsOf(times, run, progress) };
  } finally {
    sql.close();
  }
}

/** Delivers a request again, as a restored or repeated publisher would: the row is new once more, under the same key. */
export async function deliverAgain(session: LabAccess, requestId: string): Promise<void> {
  const sql = await session.connectSql();
  try {
    await sql.query(
      'UPDATE xva.RunRequest SET Status = 0, LeaseToken = NULL, LockedUntil = NULL WHERE RequestId = CONVERT(bigint, @p0)',
      [requestId],
    );
    await waitPublished(sql, requestId, Date.now(), 60_000);
  } finally {
    sql.close();
  }
}
