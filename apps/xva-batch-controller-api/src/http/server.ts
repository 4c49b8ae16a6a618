import { randomUUID } from 'node:crypto';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { pipeline } from 'node:stream/promises';
import { answerOps, describeError, type Check, type Logger } from '@xva/runtime';
import express, { type Express, type NextFunction, type Request, type Response } from 'express';
import { rateLimit } from 'express-rate-limit';
import helmet from 'helmet';
import type { Registry } from 'prom-client';
import type { z } from 'zod';
import { mayAct, type Authenticator, type Principal } from './auth.ts';
import { openApiOf } from './openapi.ts';
import { problemOf, ProblemError, toProblem } from './problems.ts';
import type { Answer, Route } from './route.ts';

export interface HttpOptions {
  readonly routes: readonly Route[];
  readonly authenticator: Authenticator;
  readonly logger: Logger;
  readonly checks: readonly Check[];
  readonly registry: Registry;
  readonly stopping: AbortSignal;
  readonly bodyLimitBytes: number;
  readonly rateLimitPerMinute: number;
  readonly version: string;
  readonly onRequest?: (route: string, method: string, status: number, seconds: number) => void;
}

interface Locals {
  requestId: string;
  principal?: Principal;
}

function localsOf(response: Response): Locals {
  return response.locals as Locals;
}

function parsePart<S extends z.ZodType>(schema: S, value: unknown, where: string): z.output<S> {
  const result = schema.safeParse(value);
  if (result.success) return result.data;
  const errors = result.error.issues.map((issue) => ({
    subject: [where, ...issue.path.map(String)].join('.'),
    code: issue.code,
    message: issue.message,
  }));
  const first = errors[0];
  throw new ProblemError(400, 'request-not-valid', `${first?.subject ?? where}: ${first?.message ?? ''}`, { errors });
}

async function send(response: Response, answer: Answer): Promise<void> {
  response.status(answer.status);
  for (const [name, value] of Object.entries(answer.headers ?? {})) response.setHeader(name, value);
  if ('stream' in answer) {
    await pipeline(answer.stream, response);
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

function paramsOf(request: Request): Record<string, string> {
  return Object.fromEntries(
    Object.entries(request.params).map(([name, value]) => [name, Array.isArray(value) ? value.join('/') : value]),
  );
}

function handlerOf(row: Route, options: HttpOptions) {
  return async (request: Request, response: Response): Promise<void> => {
    const locals = localsOf(response);
    const { principal } = locals;
    if (principal === undefined) throw new Error('a request came by without authentication');
    if (!mayAct(principal, row.role)) {
      throw new ProblemError(
        403,
        'forbidden',
        `${row.operationId} needs the role ${row.role}, ${principal.name} has ${principal.role}`,
      );
    }
    if (row.body !== undefined && request.body === undefined) {
      throw new ProblemError(415, 'body-not-json', 'a body of type application/json is needed');
    }
    const call = {
      params: parsePart(row.params, paramsOf(request), 'path'),
      query: parsePart(row.query, { ...request.query }, 'query'),
      body: row.body === undefined ? undefined : parsePart(row.body.schema, request.body, 'body'),
      principal,
      header: (name: string) => request.get(name),
    };
    const answer = await row.handle(call);
    if (row.method !== 'get') {
      options.logger.info(
        {
          requestId: locals.requestId,
          operation: row.operationId,
          principal: principal.name,
          params: call.params,
          status: answer.status,
        },
        'a change was asked for',
      );
    }
    await send(response, answer);
  };
}

/** The API as an Express application; it listens nowhere yet. Everything but health and the document needs a key. */
export function buildHttp(options: HttpOptions): Express {
  const { routes, authenticator, logger } = options;
  const app = express();
  app.disable('x-powered-by').disable('etag').set('query parser', 'simple').set('case sensitive routing', true);
  app.use(helmet({ contentSecurityPolicy: { directives: { 'default-src': ["'none'"] } } }));
  app.use((request, response, next) => {
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
  });
  app.get(['/healthz', '/readyz', '/metrics'], async (request, response) => {
    const answer = await answerOps(request.path, options);
    response
      .status(answer?.status ?? 404)
      .type(answer?.contentType ?? 'text/plain')
      .send(answer?.body ?? '');
  });
  const document = openApiOf(routes, options.version);
  app.get('/openapi.json', (_request, response) => void response.json(document));
  app.use('/v1', async (request, response, next) => {
    const principal = await authenticator.authenticate((name) => request.get(name));
    if (principal === undefined) {
      throw new ProblemError(401, 'unauthenticated', 'a valid key is needed in the header x-api-key', {
        headers: { 'www-authenticate': 'ApiKey realm="xva"' },
      });
    }
    localsOf(response).principal = principal;
    next();
  });
  app.use(
    '/v1',
    rateLimit({
      windowMs: 60_000,
      limit: options.rateLimitPerMinute,
      standardHeaders: 'draft-7',
      legacyHeaders: false,
      keyGenerator: (_request, response) => localsOf(response).principal?.name ?? '',
      handler: () => {
        throw new ProblemError(
          429,
          'too-many-requests',
          `more than ${options.rateLimitPerMinute} requests in a minute`,
          {
            retryAfterSeconds: 5,
          },
        );
      },
    }),
  );
  app.use(express.json({ limit: options.bodyLimitBytes, type: 'application/json' }));
  for (const row of routes) app[row.method](expressPath(row.path), handlerOf(row, options));
  for (const path of new Set(routes.map((row) => row.path))) {
    const methods = routes.filter((row) => row.path === path).map((row) => row.method.toUpperCase());
    app.all(expressPath(path), (request) => {
      throw new ProblemError(405, 'method-not-allowed', `${request.method} is not known here`, {
        headers: { allow: methods.join(', ') },
      });
    });
  }
  app.use((request) => {
    throw new ProblemError(404, 'not-found', `there is nothing at ${request.path.slice(0, 200)}`);
  });
  app.use((error: unknown, _request: Request, response: Response, next: NextFunction) => {
    const problem = toProblem(error);
    const { requestId } = localsOf(response);
    if (problem.status >= 500) logger.error({ requestId, error: describeError(error) }, 'a request failed');
    if (response.headersSent) {
      next(error);
      return;
    }
    for (const [name, value] of Object.entries(problem.headers)) response.setHeader(name, value);
    if (problem.retryAfterSeconds !== undefined) response.setHeader('retry-after', String(problem.retryAfterSeconds));
    response
      .status(problem.status)
      .type('application/problem+json')
      .send(JSON.stringify(problemOf(problem, requestId)));
  });
  return app;
}

export interface RunningHttp {
  readonly url: string;
  /** Takes no more and waits for what is under way; connections that are still busy when `force` aborts are cut. */
  close(force: AbortSignal): Promise<void>;
}

/** Binds the application. Port 0 = any free one. */
export async function listenHttp(app: Express, host: string, port: number): Promise<RunningHttp> {
  const server: Server = createServer({ requestTimeout: 60_000, headersTimeout: 20_000 }, app);
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, host, resolve);
  });
  const address = server.address() as AddressInfo;
  return {
    url: `http://${host.includes(':') ? `[${host}]` : host}:${address.port}`,
    close: (force) =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeIdleConnections();
        const cut = (): void => server.closeAllConnections();
        if (force.aborted) cut();
        else force.addEventListener('abort', cut, { once: true });
      }),
  };
}
