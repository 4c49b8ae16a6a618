import {
  deriveEventId,
  deriveRunId,
  finalStates,
  formatRequestKey,
  type RequestKey,
  type RunView,
} from '@xva/contracts';
import type { LabAccess } from './access.ts';
import { eventually } from './eventually.ts';
import { insertRequest, requestState, type LabSql, type RequestRow } from './load-book.ts';
import { RequestRefusedError } from './request.ts';

/** Name of the lab's polling definition: part of every event's id. */
export const labDefinition = 'run-requests';

export interface Identity {
  readonly eventId: string;
  readonly runId: string;
}

/** Ids that a request row leads to; known before anything happened. */
export function identityOf(request: RequestRow): Identity {
  const eventId = deriveEventId(labDefinition, request, String(request.revision));
  return { eventId, runId: deriveRunId(eventId, request) };
}

export function keyOf({ book, asOf, cut, scenario, revision }: RequestRow): RequestKey {
  return { book, asOf, cut, scenario, revision };
}

/** Does something repeatable in SQL, on a new connection each time, until the server is there and lets it. */
export async function withSql<T>(lab: LabAccess, work: (sql: LabSql) => Promise<T>, timeoutMs = 60_000): Promise<T> {
  let last = 'nothing was tried';
  const found = await eventually(
    'an answer of the SQL side',
    async () => {
      let sql: LabSql | undefined;
      try {
        sql = await lab.connectSql();
        return { answer: await work(sql) };
      } catch (error) {
        // A numbered error is the server's own answer and final; anything else is a connection that broke.
        if (typeof (error as { number?: unknown }).number === 'number') throw error;
        last = String(error);
        return undefined;
      } finally {
        sql?.close();
      }
    },
    timeoutMs,
    100,
  ).catch((error: unknown) => {
    throw error instanceof Error && error.name === 'DeadlineError'
      ? new Error(`${error.message}; last: ${last}`)
      : error;
  });
  return found.answer;
}

/** Commits a request row though the server may be killed meanwhile; a row that is there already is the same row. */
export async function commitRequest(lab: LabAccess, request: RequestRow): Promise<string> {
  return withSql(lab, async (sql) => {
    try {
      return await insertRequest(sql, request);
    } catch (error) {
      if ((error as { number?: number }).number !== 2627) throw error;
      const [row] = await sql.query(
        'SELECT RequestId FROM xva.RunRequest WHERE Book = @p0 AND AsOf = @p1 AND Cut = @p2 AND Scenario = @p3 AND Revision = @p4',
        [request.book, request.asOf, request.cut, request.scenario, request.revision],
      );
      return String(row?.['RequestId']);
    }
  });
}

/** Waits for a row to be published. @throws RequestRefusedError when it was put aside. */
export async function untilPublished(lab: LabAccess, requestId: string, timeoutMs = 60_000): Promise<void> {
  await eventually(
    `request row ${requestId} published`,
    async () => {
      const state = await withSql(lab, (sql) => requestState(sql, requestId));
      if (state?.state === 'poison') {
        throw new RequestRefusedError(`request row ${requestId}: ${state.lastError ?? 'no reason'}`);
      }
      return state?.state === 'published' ? true : undefined;
    },
    timeoutMs,
  );
}

/** Follows a run to its end, whoever is away meanwhile. */
export async function untilOver(lab: LabAccess, request: RequestRow, timeoutMs = 120_000): Promise<RunView> {
  const { runId } = identityOf(request);
  let last = 'unknown to the controller';
  return eventually(
    `run ${runId} of ${formatRequestKey(keyOf(request))} over`,
    async () => {
      const run = await lab.api.findRun(runId);
      if (run !== undefined) last = run.state;
      return run !== undefined && finalStates.has(run.state) && run.finishedAt !== null ? run : undefined;
    },
    timeoutMs,
  ).catch((error: unknown) => {
    throw error instanceof Error ? new Error(`${error.message}; it is ${last}`, { cause: error }) : error;
  });
}
