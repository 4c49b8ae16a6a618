import { finalStates } from '@xva/contracts';
import { viewOf, type RunFeed } from '@xva/flow-submit';
import type { RunService } from '../../service/runs.ts';
import { eventStream } from '../../events/stream.ts';
import type { StreamSlots } from '../limits.ts';
import { route, type Route } from '../route.ts';
import { noSuchRun, nothing, runParams } from './shared.ts';

export interface EventRouteDeps {
  readonly runs: RunService;
  readonly feed: RunFeed;
  readonly slots: StreamSlots;
  readonly stopping: AbortSignal;
  readonly heartbeatMs: number;
}

/** An id that is none of this stream's is overlooked: the stream then begins with the present version. */
function lastSeen(header: string | undefined): number {
  return header !== undefined && /^[0-9]{1,9}$/.test(header) ? Number(header) : 0;
}

/** Following one run as it changes. */
export function eventRoutes(deps: EventRouteDeps): readonly Route[] {
  return [
    route({
      operationId: 'followRun',
      method: 'get',
      path: '/v1/runs/{runId}/events',
      tag: 'runs',
      role: 'reader',
      summary: 'The run as server-sent events, one per change.',
      description:
        "Each event `run` has the run's version as id and the run as data; a version that was overtaken may be left out. The stream ends after the last change of a run that is over; asking again then answers 204, at which browsers stop. Polling the run with If-None-Match tells the same.",
      params: runParams,
      query: nothing,
      headers: { 'last-event-id': 'the version that is known: the stream goes on behind it' },
      responses: {
        200: {
          description: 'the stream',
          content: { 'text/event-stream': { example: 'retry: 2000\n\nid: 7\nevent: run\ndata: {"runId":"…"}\n\n' } },
        },
        204: { description: 'the run is over, and that version is known' },
        ...noSuchRun,
      },
      handle: async ({ params: { runId }, principal, header, closed }) => {
        const since = lastSeen(header('last-event-id'));
        const { record } = await deps.runs.get(runId, principal);
        const isOver = finalStates.has(record.state) && record.finishedAt !== null;
        if (isOver && since >= record.version) return { status: 204 };
        const release = deps.slots.take(principal.id);
        const signal = AbortSignal.any([closed, deps.stopping]);
        signal.addEventListener('abort', release, { once: true });
        const changes = deps.feed.watch(runId, since, signal);
        return {
          status: 200,
          headers: {
            'content-type': 'text/event-stream; charset=utf-8',
            'cache-control': 'no-store',
            'x-accel-buffering': 'no',
          },
          stream: eventStream(changes, (run) => ({ id: run.record.version, event: 'run', data: viewOf(run.record) }), {
            heartbeatMs: deps.heartbeatMs,
            signal,
            release,
          }),
        };
      },
    }),
  ];
}
