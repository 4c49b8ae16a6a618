import { parseRetryAfterMs } from '@xva/runtime';

/** What Batch answered, in our words. `retryable` = the same call may succeed later. Thrown by every method here. */
export class BatchError extends Error {
  override readonly name = 'BatchError';
  /** Batch's error code, such as `JobNotFound`; Node's, such as `ECONNRESET`, or `RequestTimeout` when there was no answer. */
  readonly code: string;
  /** HTTP status, 0 when there was no answer. */
  readonly status: number;
  readonly requestId: string | undefined;
  readonly retryable: boolean;
  /** Milliseconds that Batch asked to wait (Retry-After). */
  readonly retryAfterMs: number | undefined;
  /** Batch's own sentence, without request id and time. */
  readonly detail: string;

  constructor(
    target: string,
    facts: {
      code: string;
      status: number;
      detail: string;
      requestId?: string | undefined;
      retryAfterMs?: number | undefined;
    },
    cause?: unknown,
  ) {
    const { code, status, detail } = facts;
    super(`Batch ${target}: ${code} (${status === 0 ? 'no answer' : status}): ${detail}`, { cause });
    this.code = code;
    this.status = status;
    this.detail = detail;
    this.requestId = facts.requestId;
    this.retryAfterMs = facts.retryAfterMs;
    this.retryable = isRetryable(status, code);
  }
}

/**
 * 429 and 503 are how Batch throttles, 500 and 408 are transient, status 0 is a connection that failed. Answers that are
 * not JSON come from a proxy in between or were cut short: PARSE_ERROR is the official client's word for them, and ours.
 */
function isRetryable(status: number, code: string): boolean {
  return status === 0 || [408, 429, 500, 502, 503, 504].includes(status) || code === 'PARSE_ERROR';
}

/** Batch's error body. */
interface ErrorBody {
  readonly code?: unknown;
  readonly message?: { readonly value?: unknown };
  readonly values?: readonly { readonly key?: string; readonly value?: string }[];
}

/** The sentence of an error body without request id and time, and its values; a signature's details stay out. */
function detailOf(body: ErrorBody | undefined, fallback: string): string {
  const sentence = typeof body?.message?.value === 'string' ? body.message.value : fallback;
  const given: NonNullable<ErrorBody['values']> = Array.isArray(body?.values) ? body.values : [];
  const values = given
    .filter((item) => item.key !== undefined && item.key !== 'AuthenticationErrorDetail')
    .map((item) => `${item.key ?? ''}=${item.value ?? ''}`);
  return [sentence.split(/\r?\nRequestId:/)[0] ?? sentence, ...values].join('; ');
}

/** An answer as our own path reads it. */
export interface Answer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly body: string;
}

/** The JSON of a 2xx answer (undefined when it has no body). @throws BatchError for any other, and for a body that is not JSON. */
export function jsonOf(answer: Answer, target: string, now: Date): unknown {
  const { status, headers, body: text } = answer;
  const requestId = first(headers['request-id']);
  let json: unknown;
  let broken = false;
  try {
    json = text === '' ? undefined : JSON.parse(text);
  } catch {
    broken = true;
  }
  if (status >= 200 && status < 300) {
    if (!broken) return json;
    const detail = `the answer is not JSON: ${text.slice(0, 100)}`;
    throw new BatchError(target, { code: 'PARSE_ERROR', status, detail, requestId });
  }
  const error = typeof json === 'object' && json !== null ? (json as ErrorBody) : undefined;
  throw new BatchError(target, {
    code: typeof error?.code === 'string' ? error.code : `Http${status}`,
    status,
    detail: detailOf(error, text === '' ? 'no message' : text.slice(0, 200)),
    requestId,
    retryAfterMs: parseRetryAfterMs(first(headers['retry-after']), now),
  });
}

function first(value: string | string[] | undefined): string | undefined {
  return Array.isArray(value) ? value[0] : value;
}

interface ClientError {
  readonly code?: unknown;
  readonly statusCode?: unknown;
  readonly message?: unknown;
  readonly response?: { readonly headers?: { get(name: string): string | undefined } };
  readonly body?: ErrorBody;
}

/**
 * Translates what the official client throws of an answer; what there was no answer to is a BatchError already, by the
 * transport. Its `message` is an object when Batch answered, so the text is taken from `body.message.value` (reference:
 * @azure/batch 10.2.0, errors). An abort or a bug goes on as it is.
 */
export function translateError(error: unknown, target: string, now: Date): unknown {
  if (!(error instanceof Error) || error instanceof BatchError) return error;
  const { body, response, statusCode, code } = error as ClientError;
  const status = typeof statusCode === 'number' ? statusCode : 0;
  if (status === 0 && code !== 'PARSE_ERROR') return error;
  return new BatchError(
    target,
    {
      code: typeof body?.code === 'string' ? body.code : typeof code === 'string' ? code : `Http${status}`,
      status,
      detail: detailOf(body, textOf(error.message)),
      requestId: response?.headers?.get('request-id'),
      retryAfterMs: parseRetryAfterMs(response?.headers?.get('retry-after'), now),
    },
    error,
  );
}

function textOf(message: unknown): string {
  return typeof message === 'string' ? message : 'no message';
}
