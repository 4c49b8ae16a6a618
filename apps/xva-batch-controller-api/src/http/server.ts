import { randomUUID } from 'node:crypto';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { answerOps, describeError, type Check, type Logger, type OpsAnswer } from '@xva/runtime';
import express, { type Express, type NextFunction, type Request, type Response } from 'express';
import helmet from 'helmet';
import type { Registry } from 'prom-client';
import type { AuditLog } from '../audit/audit-log.ts';
import type { Authenticator, Principal } from '../auth/principal.ts';
import { cors } from './cors.ts';
import { docsPage } from './docs-page.ts';
import { handlerOf } from './handler.ts';
import { limitBody, limitByAddress, limitByPrincipal, limitHeaders } from './limits.ts';
import { openApiOf } from './openapi.ts';
import type { Prepared } from './prepared.ts';
import { problemOf, ProblemError, toProblem } from './problems.ts';
import type { Answer, Route } from './route.ts';

export interface HttpOptions {
  readonly routes: readonly Route[];
  readonly authenticator: Authenticator;
  readonly audit: Pick<AuditLog, 'append'>;
  readonly logger: Logger;
  readonly checks: readonly Check[];
  readonly registry: Registry;
  readonly stopping: AbortSignal;
  /** Until it is done, requests under `/v1` wait. */
  readonly prepared: Prepared;
  readonly bodyLimitBytes: number;
  readonly rateLimitPerMinute: number;
  readonly addressLimitPerMinute: number;
  readonly corsOrigins: readonly string[];
  readonly version: string;
  readonly onRequest?: (route: string, method: string, status: number, seconds: number) => void;
}

export interface Locals {
  requestId: string;
  principal?: Principal;
}

export function localsOf(response: Response): Locals {
  return response.locals as Locals;
}

export async function send(response: Response, answer: Answer): Promise<void> {
  response.status(answer.status);
  for (const [name, value] of Object.entries(answer.headers ?? {})) response.setHeader(name, value);
  if ('stream' in answer) {
    if (response.req.method === 'HEAD') response.end();
    else await pipeline(Readable.from(answer.stream, { objectMode: false }), response);
    return;
  }
  if (answer.body === undefined) response.end();
  else if (answer.body instanceof Uint8Array) response.end(answer.body);
  else response.json(answer.body);
}

/** `/v1/runs/{runId}/files/{name*}` in Express's form. */
function expressPath(path: string): string {
  return path.replaceAll(/\{(\w+)\*\}/g, '*$1').replaceAll(/\{(\w+)\}/g, ':$1');
}

/** Names the request; an id that a caller sends is kept when it is one. */
function named(options: HttpOptions) {
  return (request: Request, response: Response, next: NextFunction): void => {
    const sent = request.get('x-request-id') ?? '';
    const requestId = /^[A-Za-z0-9._-]{1,64}$/.test(sent) ? sent : randomUUID();
    localsOf(response).requestId = requestId;
    response.setHeader('x-request-id', requestId);
    const started = performance.now();
    response.once('close', () => {
      const path = (request.route as { path?: unknown } | undefined)?.path;
      const route = typeof path === 'string' ? path : 'other';
      options.onRequest?.(route, request.method, response.statusCode, (performance.now() - started) / 1000);
    });
    next();
  };
}

/** Readiness asks every service behind us: what was found is told for a second, however often it is asked. */
function remembered(options: HttpOptions): (path: string) => Promise<OpsAnswer | undefined> {
  let ready: { readonly until: number; readonly answer: Promise<OpsAnswer | undefined> } | undefined;
  return (path) => {
    if (path !== '/readyz' || options.stopping.aborted) return answerOps(path, options);
    if (ready === undefined || ready.until < performance.now())
      ready = { until: performance.now() + 1_000, answer: answerOps(path, options) };
    return ready.answer;
  };
}

function authenticated({ authenticator }: HttpOptions) {
  return async (request: Request, response: Response, next: NextFunction): Promise<void> => {
    const verdict = await authenticator.authenticate((name) => request.get(name));
    if (verdict.outcome === 'known') {
      localsOf(response).principal = verdict.principal;
      next();
      return;
    }
    if (verdict.outcome === 'unavailable')
      throw new ProblemError(503, 'identity-provider-unavailable', verdict.detail, { retryAfterSeconds: 5 });
    const { code, detail } =
      verdict.outcome === 'refused'
        ? verdict.refusal
        : { code: 'unauthenticated', detail: 'send an API key in the header x-api-key, or a bearer token of Entra ID' };
    throw new ProblemError(401, code, detail, { headers: { 'www-authenticate': authenticator.challenge } });
  };
}

function onError(logger: Logger) {
  return (error: unknown, _request: Request, response: Response, next: NextFunction): void => {
    const problem = toProblem(error);
    const { requestId } = localsOf(response);
    if (response.headersSent) {
      // A client that went away in the middle of a stream is no failure of ours.
      if (!response.destroyed) logger.error({ requestId, error: describeError(error) }, 'an answer broke off');
      next(error);
      return;
    }
    if (problem.status >= 500) logger.error({ requestId, error: describeError(error) }, 'a request failed');
    for (const name of ['content-length', 'content-encoding', 'etag', 'content-range']) response.removeHeader(name);
    for (const [name, value] of Object.entries(problem.headers)) response.setHeader(name, value);
    if (problem.retryAfterSeconds !== undefined) response.setHeader('retry-after', String(problem.retryAfterSeconds));
    response
      .status(problem.status)
      .type('application/problem+json')
      .send(JSON.stringify(problemOf(problem, requestId)));
  };
}

/** The API as an Express application; it listens nowhere yet. Everything but health and the document needs a credential. */
export function buildHttp(options: HttpOptions): Express {
  const { routes, logger } = options;
  const app = express();
  app.disable('x-powered-by').disable('etag').set('query parser', 'simple').set('case sensitive routing', true);
  app.set('strict routing', true);
  app.use(named(options));
  app.use(helmet({ contentSecurityPolicy: { directives: { 'default-src': ["'none'"] } } }));
  app.use(limitHeaders, limitByAddress(options.addressLimitPerMinute), cors(options.corsOrigins));
  const ops = remembered(options);
  app.get(['/healthz', '/readyz', '/metrics'], async (request, response) => {
    const answer = await ops(request.path);
    response
      .status(answer?.status ?? 404)
      .type(answer?.contentType ?? 'text/plain')
      .send(answer?.body ?? '');
  });
  const document = openApiOf(routes, options.version);
  app.get('/openapi.json', (_request, response) => void response.json(document));
  app.use(docsPage());
  // Credentials are in a table too.
  app.use('/v1', options.prepared.gate());
  app.use('/v1', authenticated(options));
  app.use(
    '/v1',
    limitByPrincipal(options.rateLimitPerMinute, (response) => localsOf(response).principal?.id ?? ''),
  );
  app.use('/v1', limitBody(options.bodyLimitBytes));
  app.use('/v1', express.raw({ limit: options.bodyLimitBytes, type: () => true, inflate: false }));
  for (const row of routes) app[row.method](expressPath(row.path), handlerOf(row, options));
  for (const path of new Set(routes.map((row) => row.path))) {
    const known = routes.filter((row) => row.path === path).map((row) => row.method.toUpperCase());
    const allow = [...known, ...(known.includes('GET') ? ['HEAD'] : [])].join(', ');
    app.all(expressPath(path), (request) => {
      throw new ProblemError(405, 'method-not-allowed', `${request.method} is not known here, but ${allow}`, {
        headers: { allow },
      });
    });
  }
  for (const path of ['/healthz', '/readyz', '/metrics', '/openapi.json', '/docs']) {
    app.all(path, (request) => {
      throw new ProblemError(405, 'method-not-allowed', `${request.method} is not known here, but GET, HEAD`, {
        headers: { allow: 'GET, HEAD' },
      });
    });
  }
  app.use((request) => {
    throw new ProblemError(404, 'not-found', `there is nothing at ${request.path.slice(0, 200)}`);
  });
  app.use(onError(logger));
  return app;
}
