import { Readable } from 'node:stream';
import { problemSchema } from '@xva/contracts';
import { judgeAnswer, StepFailure, type CallContext, type HttpAnswer } from '@xva/flow-package';
import { parseRetryAfterMs, systemClock } from '@xva/runtime';

export interface HttpClientOptions {
  readonly url: string;
  readonly apiKey: string;
  /** Says in failures whom we asked: `input-api` or `job-api`. */
  readonly reason: 'input-api' | 'job-api';
}

export interface HttpCall {
  readonly method: 'GET' | 'POST';
  /** With a leading slash. */
  readonly path: string;
  /** JSON. */
  readonly body?: Uint8Array | string;
  readonly deadlineMs: number;
}

/** Node's codes of a connection that never was: no request can have caused it. */
const unreachableCodes = new Set([
  'ECONNREFUSED',
  'ENOTFOUND',
  'EAI_AGAIN',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'ETIMEDOUT',
  'UND_ERR_CONNECT_TIMEOUT',
]);
const certificateCodes = /CERT|SELF_SIGNED|UNABLE_TO_VERIFY/;

const mostProblemBytes = 256 * 1024;

/**
 * Calls one service over kept-alive connections. Redirects are not followed: a request or key must not end up somewhere
 * else. Whatever goes wrong is a StepFailure; an abort throws the signal's reason.
 */
export class HttpClient {
  readonly #options: HttpClientOptions;

  constructor(options: HttpClientOptions) {
    this.#options = { ...options, url: options.url.replace(/\/+$/, '') };
  }

  /**
   * Hands an answer with status 200 or 201 to `read`, all within the deadline.
   *
   * @throws StepFailure by `judgeAnswer` for any other status.
   */
  async call<T>(
    kind: Parameters<typeof judgeAnswer>[0],
    call: HttpCall,
    context: CallContext,
    read: (response: Response) => Promise<T>,
  ): Promise<T> {
    try {
      const response = await this.#fetch(call, context);
      if (response.status === 200 || response.status === 201) return await read(response);
      throw judgeAnswer(kind, await readAnswer(response));
    } catch (error) {
      throw this.failure(error, call.deadlineMs, context.signal);
    }
  }

  /** What a request that got no usable answer means. */
  failure(error: unknown, deadlineMs: number, signal: AbortSignal): unknown {
    if (signal.aborted) return signal.reason;
    if (error instanceof StepFailure) return error;
    const { reason } = this.#options;
    const thrown = error as { name?: string; message?: string; cause?: { message?: string; code?: string } };
    if (thrown.name === 'TimeoutError') {
      const message = `${this.#target()} gave no full answer in ${deadlineMs} ms`;
      return new StepFailure('transient', `${reason}-unavailable`, message);
    }
    const why = thrown.cause?.message ?? thrown.message ?? String(error);
    const code = thrown.cause?.code ?? '';
    if (certificateCodes.test(code)) {
      return new StepFailure('operator', `${reason}-certificate`, `${this.#target()} shows a certificate: ${why}`);
    }
    const kind = unreachableCodes.has(code) ? 'outage' : 'transient';
    return new StepFailure(kind, `${reason}-unavailable`, `${this.#target()} cannot be reached: ${why}`, {
      cause: error,
    });
  }

  #target(): string {
    return `${this.#options.reason === 'input-api' ? 'input API' : 'job API'} ${this.#options.url}`;
  }

  #fetch(call: HttpCall, context: CallContext): Promise<Response> {
    return fetch(`${this.#options.url}${call.path}`, {
      method: call.method,
      redirect: 'manual',
      signal: AbortSignal.any([context.signal, AbortSignal.timeout(call.deadlineMs)]),
      headers: {
        'x-api-key': this.#options.apiKey,
        traceparent: context.traceparent,
        'x-request-id': context.eventId,
        accept: 'application/json, application/problem+json, application/octet-stream',
        ...(call.body === undefined ? {} : { 'content-type': 'application/json' }),
      },
      ...(call.body === undefined ? {} : { body: call.body as string }),
    });
  }
}

/** Whether a call shows that the service answers: it came through, or was refused. */
export async function isAnswered(call: Promise<unknown>): Promise<boolean> {
  try {
    await call;
    return true;
  } catch (error) {
    return error instanceof StepFailure && error.kind !== 'outage' && error.kind !== 'transient';
  }
}

/** The body's chunks; none when there is no body. */
export function bytesOf(response: Response): AsyncIterable<Uint8Array> {
  return response.body ?? Readable.from([]);
}

/** The whole body, or a failure once it is longer than it may be. */
export async function readBody(response: Response, maxBytes: number, tooLong: () => StepFailure): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of bytesOf(response)) {
    size += chunk.length;
    if (size > maxBytes) throw tooLong();
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}

async function readAnswer(response: Response): Promise<HttpAnswer> {
  const retryAfterMs = parseRetryAfterMs(response.headers.get('retry-after'), systemClock.now());
  const nothing = { status: response.status, retryAfterMs, code: undefined, detail: undefined, defects: [] };
  let body: Uint8Array;
  try {
    body = await readBody(
      response,
      mostProblemBytes,
      () => new StepFailure('transient', 'answer-too-long', 'too long'),
    );
  } catch {
    return nothing;
  }
  const problem = problemSchema.safeParse(parseJson(body));
  if (!problem.success) return nothing;
  const { code, detail, title, errors } = problem.data;
  return { status: response.status, retryAfterMs, code, detail: detail ?? title, defects: errors ?? [] };
}

export function parseJson(body: Uint8Array): unknown {
  try {
    return JSON.parse(Buffer.from(body).toString('utf8'));
  } catch {
    return undefined;
  }
}
