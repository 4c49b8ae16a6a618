import { describeError } from '@xva/runtime';
import type { Request, Response } from 'express';
import type { z } from 'zod';
import type { AuditEntry } from '../audit/line.ts';
import { mayAct, type Principal } from '../auth/principal.ts';
import { ProblemError, toProblem } from './problems.ts';
import type { Call, Change, ChangeAnswer, Route } from './route.ts';
import { localsOf, send, type HttpOptions } from './server.ts';
import { parseStrictJson } from './strict-json.ts';

const maxIssues = 20;

function parsePart<S extends z.ZodType>(schema: S, value: unknown, where: string): z.output<S> {
  const result = schema.safeParse(value);
  if (result.success) return result.data;
  const errors = result.error.issues.slice(0, maxIssues).map((issue) => ({
    subject: [where, ...issue.path.map(String)].join('.').slice(0, 200),
    code: issue.code,
    message: issue.message.slice(0, 500),
  }));
  const first = errors[0];
  throw new ProblemError(400, 'request-not-valid', `${first?.subject ?? where}: ${first?.message ?? ''}`, { errors });
}

function paramsOf(request: Request): Record<string, string> {
  return Object.fromEntries(
    Object.entries(request.params).map(([name, value]) => [name, Array.isArray(value) ? value.join('/') : value]),
  );
}

function bodyOf(row: Route, request: Request): unknown {
  const bytes: unknown = request.body;
  const sent = Buffer.isBuffer(bytes) ? bytes : Buffer.alloc(0);
  if (row.body === undefined) {
    if (sent.length > 0) throw new ProblemError(400, 'body-not-expected', `${row.operationId} takes no body`);
    return undefined;
  }
  const [mediaType = '', ...parameters] = (request.get('content-type') ?? '').toLowerCase().split(';');
  const charset = parameters.map((text) => text.trim()).find((text) => text.startsWith('charset='));
  const isUtf8 = charset === undefined || /^charset="?utf-?8"?$/.test(charset);
  if (mediaType.trim() !== 'application/json' || !isUtf8) {
    throw new ProblemError(415, 'body-not-json', 'a body of type application/json in UTF-8 is needed');
  }
  return parsePart(row.body.schema, parseStrictJson(sent), 'body');
}

function callOf(row: Route, request: Request, response: Response, principal: Principal) {
  const closed = new AbortController();
  response.once('close', () => closed.abort());
  const call: Call<unknown, unknown, unknown> = {
    params: parsePart(row.params, paramsOf(request), 'path'),
    query: parsePart(row.query, { ...request.query }, 'query'),
    body: bodyOf(row, request),
    principal,
    requestId: localsOf(response).requestId,
    header: (name) => request.get(name),
    closed: closed.signal,
  };
  return call;
}

type LineStart = Omit<AuditEntry, 'at' | 'result' | 'before' | 'after' | 'status' | 'code'>;
const unchanged: Pick<Change, 'before' | 'after'> = { before: null, after: null };

/**
 * A change, with a line of the audit before it and one after: nothing is changed that nobody can be asked about. When the
 * line after it cannot be written, the caller is told to repeat, which does the same act and writes the line.
 */
async function audited(
  start: LineStart,
  options: HttpOptions,
  act: () => Promise<ChangeAnswer>,
): Promise<ChangeAnswer> {
  const { audit } = options;
  await audit.append({ ...start, ...unchanged, result: 'asked', status: 0, code: '' });
  try {
    const answer = await act();
    const { subject, before, after } = answer.change;
    await audit.append({ ...start, subject, before, after, result: 'done', status: answer.status, code: '' });
    return answer;
  } catch (error) {
    const { status, code } = toProblem(error);
    const result = status >= 500 ? 'failed' : 'refused';
    await audit.append({ ...start, ...unchanged, result, status, code }).catch((failure: unknown) => {
      const { requestId } = start;
      options.logger.error({ requestId, error: describeError(failure) }, 'the end of a change is not in the audit');
    });
    throw error;
  }
}

export function handlerOf(row: Route, options: HttpOptions) {
  return async (request: Request, response: Response): Promise<void> => {
    const { requestId, principal } = localsOf(response);
    if (principal === undefined) throw new Error('a request came by without authentication');
    const { id, name, role, desk } = principal;
    const start = { requestId, principal: id, name, role, desk, operation: row.operationId };
    if (!mayAct(principal, row.role)) {
      const detail = `${row.operationId} needs the role ${row.role}, ${name} has ${role}`;
      if (row.method !== 'get' && row.changes) {
        const line = { ...start, ...unchanged, subject: request.path.slice(0, 200) };
        await options.audit.append({ ...line, result: 'refused', status: 403, code: 'forbidden' });
      }
      throw new ProblemError(403, 'forbidden', detail);
    }
    const call = callOf(row, request, response, principal);
    if (row.method === 'get' || !row.changes) {
      await send(response, await row.handle(call));
      return;
    }
    const subject = row.subject(call.params, call.body);
    const answer = await audited({ ...start, subject }, options, () => row.handle(call));
    const change = { ...answer.change, status: answer.status };
    options.logger.info({ ...start, ...change }, 'a change was asked for');
    await send(response, answer);
  };
}
