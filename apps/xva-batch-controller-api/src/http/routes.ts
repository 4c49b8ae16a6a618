import {
  jobRequestSchema,
  publishedSchema,
  resultSummarySchema,
  runPageSchema,
  runProgressSchema,
  runStates,
  runViewSchema,
  scalars,
} from '@xva/contracts';
import type { StoredRun } from '@xva/flow-submit';
import { viewOf } from '@xva/flow-submit';
import { z } from 'zod';
import type { ControllerService } from '../service.ts';
import { route, type Answer, type ResponseDoc, type Route } from './route.ts';

const runParams = z.strictObject({ runId: scalars.runId });
const nothing = z.strictObject({});

export const poolSchema = z.strictObject({
  id: z.string(),
  state: z.string(),
  allocationState: z.string(),
  vmSize: z.string(),
  slotsPerNode: z.int(),
  dedicatedNodes: z.strictObject({ current: z.int(), target: z.int() }),
  spotNodes: z.strictObject({ current: z.int(), target: z.int() }),
  resizeErrors: z.array(z.string()),
});

const listQuery = z.strictObject({
  state: z
    .string()
    .transform((text) => text.split(','))
    .pipe(z.array(z.enum(runStates)).min(1))
    .optional(),
  book: scalars.idToken.optional(),
  asOf: scalars.isoDate.optional(),
  limit: z.coerce.number().pipe(z.int().min(1).max(200)).default(50),
  page: z.string().max(2_000).optional(),
});

const logQuery = z.strictObject({
  attempt: z.coerce.number().pipe(z.int().min(1).max(9999)).optional(),
  offset: z.coerce.number().pipe(z.int().min(0)).default(0),
  limit: z.coerce
    .number()
    .pipe(
      z
        .int()
        .min(1)
        .max(4 * 1024 * 1024),
    )
    .default(1024 * 1024),
});

const run: ResponseDoc = { description: 'the run', schema: { name: 'RunView', schema: runViewSchema } };
const problem = (description: string): ResponseDoc => ({ description, contentType: 'application/problem+json' });

export function etagOf({ record }: StoredRun): string {
  return `"${record.version}"`;
}

function runAnswer(status: number, found: StoredRun, headers: Readonly<Record<string, string>> = {}): Answer {
  return {
    status,
    body: viewOf(found.record),
    headers: { etag: etagOf(found), 'cache-control': 'no-cache', ...headers },
  };
}

function matches(header: string | undefined, etag: string): boolean {
  return header !== undefined && header.split(',').some((one) => ['*', etag, `W/${etag}`].includes(one.trim()));
}

/** Every row of the API. */
export function routesOf(service: ControllerService): readonly Route[] {
  return [
    route({
      operationId: 'submitRun',
      method: 'post',
      path: '/v1/runs',
      role: 'submitter',
      summary: 'Submit a run. The same request again is the same run.',
      params: nothing,
      query: nothing,
      body: { name: 'JobRequest', schema: jobRequestSchema },
      responses: {
        201: { ...run, description: 'the run was taken' },
        200: { ...run, description: 'the run was there already' },
        409: problem('the event has a run with another package or request'),
        422: problem('the package is missing or not what it should be'),
        429: problem('too many runs wait; try again after Retry-After'),
      },
      handle: async (call) => {
        const { outcome, run: found } = await service.submit(
          call.body,
          call.principal.name,
          call.header('traceparent'),
        );
        return runAnswer(outcome === 'created' ? 201 : 200, found, { location: `/v1/runs/${found.record.runId}` });
      },
    }),
    route({
      operationId: 'listRuns',
      method: 'get',
      path: '/v1/runs',
      role: 'reader',
      summary: 'Runs by state (comma-separated), book and as-of date, in key order, page by page.',
      params: nothing,
      query: listQuery,
      responses: { 200: { description: 'a page of runs', schema: { name: 'RunPage', schema: runPageSchema } } },
      handle: async ({ query }) => {
        const { limit, page, state, book, asOf } = query;
        const found = await service.list({ states: state, book, asOf }, limit, page);
        return { status: 200, body: found };
      },
    }),
    route({
      operationId: 'getRun',
      method: 'get',
      path: '/v1/runs/{runId}',
      role: 'reader',
      summary: 'One run. With If-None-Match: 304 while it has not changed.',
      params: runParams,
      query: nothing,
      responses: { 200: run, 304: { description: 'not changed' }, 404: problem('no such run') },
      handle: async ({ params, header }) => {
        const found = await service.get(params.runId);
        const etag = etagOf(found);
        if (matches(header('if-none-match'), etag))
          return { status: 304, headers: { etag, 'cache-control': 'no-cache' } };
        return runAnswer(200, found);
      },
    }),
    route({
      operationId: 'getProgress',
      method: 'get',
      path: '/v1/runs/{runId}/progress',
      role: 'reader',
      summary: "Tasks by state, with the engine's own progress.",
      params: runParams,
      query: nothing,
      responses: {
        200: { description: 'progress', schema: { name: 'RunProgress', schema: runProgressSchema } },
        404: problem('no such run'),
      },
      handle: async ({ params }) => ({ status: 200, body: await service.progress(params.runId) }),
    }),
    route({
      operationId: 'cancelRun',
      method: 'post',
      path: '/v1/runs/{runId}/cancel',
      role: 'operator',
      summary: 'Cancel a run that is not publishing yet.',
      params: runParams,
      query: nothing,
      responses: {
        202: { ...run, description: 'its jobs are being ended' },
        200: { ...run, description: 'it was cancelled before' },
        404: problem('no such run'),
        409: problem('its state does not allow it'),
      },
      handle: async ({ params, principal }) => {
        const { outcome, run: found } = await service.cancel(params.runId, principal.name);
        return runAnswer(outcome === 'done' ? 202 : 200, found);
      },
    }),
    route({
      operationId: 'retryRun',
      method: 'post',
      path: '/v1/runs/{runId}/retry',
      role: 'operator',
      summary: 'Run again what a failed run has not got: accepted shards stay.',
      params: runParams,
      query: nothing,
      responses: {
        202: { ...run, description: 'it goes on with its next attempt' },
        200: { ...run, description: 'that was asked for before' },
        404: problem('no such run'),
        409: problem('its state does not allow it'),
      },
      handle: async ({ params, principal }) => {
        const { outcome, run: found } = await service.retry(params.runId, principal.name);
        return runAnswer(outcome === 'done' ? 202 : 200, found);
      },
    }),
    route({
      operationId: 'getResults',
      method: 'get',
      path: '/v1/runs/{runId}/results',
      role: 'reader',
      summary: 'The published result: its files and its summary.',
      params: runParams,
      query: nothing,
      responses: {
        200: {
          description: 'pointer and summary',
          schema: {
            name: 'Results',
            schema: z.strictObject({ published: publishedSchema, summary: resultSummarySchema }),
          },
        },
        404: problem('no such run, or nothing is published yet'),
      },
      handle: async ({ params }) => ({ status: 200, body: await service.results(params.runId) }),
    }),
    route({
      operationId: 'getResultFile',
      method: 'get',
      path: '/v1/runs/{runId}/results/files/{name*}',
      role: 'reader',
      summary: 'One file of the published result, such as summary.json or a Parquet table.',
      params: runParams.extend({ name: scalars.relativePath }),
      query: nothing,
      responses: {
        200: { description: 'the file', contentType: 'application/octet-stream' },
        304: { description: 'not changed' },
        404: problem('no such run or file'),
      },
      handle: async ({ params, header }) => {
        const file = await service.resultFile(params.runId, params.name);
        const etag = `"${file.sha256}"`;
        const headers = { etag, 'cache-control': 'private, max-age=31536000, immutable' };
        if (matches(header('if-none-match'), etag)) return { status: 304, headers };
        const stream = await file.open();
        return {
          status: 200,
          stream,
          headers: { ...headers, 'content-type': file.contentType, 'content-length': String(file.size) },
        };
      },
    }),
    route({
      operationId: 'getTaskLog',
      method: 'get',
      path: '/v1/runs/{runId}/tasks/{taskId}/logs/{log}',
      role: 'reader',
      summary: 'A log of a task: from its node while that is there, else from Storage.',
      params: runParams.extend({ taskId: scalars.taskId, log: z.enum(['stdout', 'stderr', 'engine']) }),
      query: logQuery,
      responses: {
        200: { description: 'the text', contentType: 'text/plain' },
        404: problem('no such run, task or log'),
      },
      handle: async ({ params, query }) => {
        const found = await service.log(params.runId, params.taskId, params.log, query);
        return {
          status: 200,
          body: found.bytes,
          headers: {
            'content-type': 'text/plain; charset=utf-8',
            'x-log-source': found.source,
            'cache-control': 'no-store',
          },
        };
      },
    }),
    route({
      operationId: 'listPools',
      method: 'get',
      path: '/v1/pools',
      role: 'reader',
      summary: 'The pools of the Batch account.',
      params: nothing,
      query: nothing,
      responses: {
        200: {
          description: 'pools',
          schema: { name: 'Pools', schema: z.strictObject({ items: z.array(poolSchema) }) },
        },
      },
      handle: async () => ({ status: 200, body: { items: await service.pools() } }),
    }),
  ];
}
