import {
  deriveRunId,
  jobRequestSchema,
  planViewSchema,
  runPageSchema,
  runProgressSchema,
  runStates,
  scalars,
} from '@xva/contracts';
import { z } from 'zod';
import type { RunService, Verb } from '../../service/runs.ts';
import { namesEtag } from '../conditions.ts';
import { jobRequestExample, planExample, progressExample, runViewExample } from '../examples.ts';
import { route, type Route } from '../route.ts';
import {
  etagOf,
  markOf,
  noSuchRun,
  nothing,
  queryInteger,
  queryWords,
  runAnswer,
  runDoc,
  runParams,
} from './shared.ts';

const listQuery = z.strictObject({
  state: queryWords(runStates).optional(),
  book: scalars.idToken.optional(),
  cut: scalars.idToken.optional(),
  scenario: scalars.idToken.optional(),
  desk: scalars.idToken.optional(),
  asOf: scalars.isoDate.optional(),
  from: scalars.isoDate.optional(),
  to: scalars.isoDate.optional(),
  limit: queryInteger(1, 200).optional(),
  page: z
    .string()
    .regex(/^[A-Za-z0-9_-]{1,400}$/, 'must be a page that was given before')
    .optional(),
});

const defaultPageSize = 50;
const ifMatch = { 'if-match': 'the version that was read: the call is refused with 412 when there is another by now' };
const refusals = {
  409: { description: 'its state does not allow it' },
  412: { description: 'it has changed since it was read', headers: { etag: 'the version that it has' } },
};

const verbs: Readonly<Record<Verb, { readonly summary: string; readonly done: string; readonly already: string }>> = {
  cancel: {
    summary: 'Cancel a run that is not publishing yet.',
    done: 'its jobs are being ended',
    already: 'it was cancelled before',
  },
  pause: {
    summary: 'Start nothing new of a run; tasks that run go on.',
    done: 'nothing new starts',
    already: 'it was paused before',
  },
  resume: { summary: 'Let a paused run go on.', done: 'it goes on', already: 'it was not paused' },
  retry: {
    summary: 'Run again what a failed run has not got: accepted shards stay.',
    done: 'it goes on with its next attempt',
    already: 'that was asked for before',
  },
};

function commandRoute(verb: Verb, runs: RunService): Route {
  const { summary, done, already } = verbs[verb];
  return route({
    operationId: `${verb}Run`,
    method: 'post',
    changes: true,
    path: `/v1/runs/{runId}/${verb}`,
    tag: 'runs',
    role: 'operator',
    summary,
    params: runParams,
    query: nothing,
    headers: ifMatch,
    responses: {
      202: { ...runDoc, description: done },
      200: { ...runDoc, description: already },
      ...noSuchRun,
      ...refusals,
    },
    subject: ({ runId }) => `run ${runId}`,
    handle: async ({ params: { runId }, principal, header }) => {
      const result = await runs.command(verb, runId, principal, header('if-match'));
      const change = { subject: `run ${runId}`, before: markOf(result.before), after: markOf(result.run.record) };
      return { ...runAnswer(result.outcome === 'done' ? 202 : 200, result.run), change };
    },
  });
}

/** Submitting, reading and steering runs. */
export function runRoutes(runs: RunService): readonly Route[] {
  return [
    route({
      operationId: 'submitRun',
      method: 'post',
      changes: true,
      path: '/v1/runs',
      tag: 'runs',
      role: 'submitter',
      summary: 'Submit a run. The same request again is the same run.',
      description:
        "The run's id follows from the event. Its desk, whose share of the pool it uses, is that of the caller's credential.",
      params: nothing,
      query: nothing,
      headers: { traceparent: 'W3C trace context, carried on to job, tasks and result' },
      body: { name: 'JobRequest', schema: jobRequestSchema, example: jobRequestExample },
      responses: {
        201: { ...runDoc, description: 'the run was taken', headers: { etag: 'its version', location: 'its address' } },
        200: { ...runDoc, description: 'the run was there already' },
        409: { description: 'the event has a run with another package or request; `errors` says what differs' },
        422: { description: 'the package is missing or not what it should be' },
        429: { description: 'too many runs wait, or too many requests', headers: { 'retry-after': 'seconds to wait' } },
      },
      subject: (_params, { eventId, requestKey }) => `run ${deriveRunId(eventId, requestKey)}`,
      handle: async ({ body, principal, header }) => {
        const { outcome, run: found } = await runs.submit(body, principal, header('traceparent'));
        const { runId } = found.record;
        const before = outcome === 'created' ? null : markOf(found.record);
        const change = { subject: `run ${runId}`, before, after: markOf(found.record) };
        const location = { location: `/v1/runs/${runId}` };
        return { ...runAnswer(outcome === 'created' ? 201 : 200, found, location), change };
      },
    }),
    route({
      operationId: 'planRun',
      method: 'post',
      changes: false,
      path: '/v1/plans',
      tag: 'runs',
      role: 'submitter',
      summary: 'What a submission would be: shards, cost and end. Nothing is submitted.',
      params: nothing,
      query: nothing,
      body: { name: 'JobRequest', schema: jobRequestSchema, example: jobRequestExample },
      responses: {
        200: {
          description: 'the plan; `refusals` says why it would not be taken',
          schema: { name: 'PlanView', schema: planViewSchema, example: planExample },
        },
        409: { description: 'the event has a run of another desk' },
        422: { description: 'the package is not what it should be' },
      },
      handle: async ({ body, principal }) => ({ status: 200, body: await runs.plan(body, principal) }),
    }),
    route({
      operationId: 'listRuns',
      method: 'get',
      path: '/v1/runs',
      tag: 'runs',
      role: 'reader',
      summary: 'Runs by state (comma-separated), book, cut, scenario, desk and as-of date, in key order, page by page.',
      params: nothing,
      query: listQuery,
      responses: {
        200: {
          description: 'a page of runs',
          schema: { name: 'RunPage', schema: runPageSchema, example: { items: [runViewExample] } },
        },
        422: { description: '`page` is not one that was given before for this filter' },
      },
      handle: async ({ query: { limit = defaultPageSize, page, state, ...filter }, principal }) => ({
        status: 200,
        body: await runs.list({ ...filter, states: state }, limit, page, principal),
      }),
    }),
    route({
      operationId: 'getRun',
      method: 'get',
      path: '/v1/runs/{runId}',
      tag: 'runs',
      role: 'reader',
      summary: 'One run. With If-None-Match: 304 while it has not changed.',
      params: runParams,
      query: nothing,
      headers: { 'if-none-match': 'the version that is known' },
      responses: { 200: runDoc, 304: { description: 'not changed' }, ...noSuchRun },
      handle: async ({ params, principal, header }) => {
        const found = await runs.get(params.runId, principal);
        const etag = etagOf(found);
        if (namesEtag(header('if-none-match'), etag))
          return { status: 304, headers: { etag, 'cache-control': 'no-cache' } };
        return runAnswer(200, found);
      },
    }),
    route({
      operationId: 'getProgress',
      method: 'get',
      path: '/v1/runs/{runId}/progress',
      tag: 'runs',
      role: 'reader',
      summary: "Tasks by state, the engine's own percentage of those that run, and when the run is likely to be done.",
      params: runParams,
      query: nothing,
      responses: {
        200: {
          description: 'progress',
          schema: { name: 'RunProgress', schema: runProgressSchema, example: progressExample },
        },
        ...noSuchRun,
      },
      handle: async ({ params, principal }) => ({ status: 200, body: await runs.progress(params.runId, principal) }),
    }),
    ...(['cancel', 'pause', 'resume', 'retry'] as const).map((verb) => commandRoute(verb, runs)),
    route({
      operationId: 'setPriority',
      method: 'put',
      changes: true,
      path: '/v1/runs/{runId}/priority',
      tag: 'runs',
      role: 'operator',
      summary: 'Change the place of a run in the queue, and the priority of its jobs in Batch.',
      params: runParams,
      query: nothing,
      headers: ifMatch,
      body: {
        name: 'Priority',
        schema: z.strictObject({ priority: z.int().min(-1000).max(1000) }),
        example: { priority: 100 },
      },
      responses: { 200: { ...runDoc, description: 'the run with its priority' }, ...noSuchRun, ...refusals },
      subject: ({ runId }, { priority }) => `run ${runId} priority ${priority}`,
      handle: async ({ params: { runId }, body, principal, header }) => {
        const expected = header('if-match');
        const { before, run } = await runs.priority(runId, body.priority, principal, expected);
        const told = (record: typeof before): string => `priority ${record.priority} v${record.version}`;
        const change = { subject: `run ${runId}`, before: told(before), after: told(run.record) };
        return { ...runAnswer(200, run), change };
      },
    }),
  ];
}
