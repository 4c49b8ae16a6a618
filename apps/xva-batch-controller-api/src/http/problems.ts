import type { Problem } from '@xva/contracts';

type Headers = Readonly<Record<string, string>>;

/** Thrown by handlers: becomes a problem document (RFC 9457). */
export class ProblemError extends Error {
  override readonly name = 'ProblemError';
  readonly status: number;
  readonly code: string;
  readonly retryAfterSeconds: number | undefined;
  readonly errors: Problem['errors'];
  readonly headers: Headers;

  constructor(
    status: number,
    code: string,
    detail: string,
    more: { readonly retryAfterSeconds?: number; readonly errors?: Problem['errors']; readonly headers?: Headers } = {},
  ) {
    super(detail);
    this.status = status;
    this.code = code;
    this.retryAfterSeconds = more.retryAfterSeconds;
    this.errors = more.errors;
    this.headers = more.headers ?? {};
  }
}

const titles: Readonly<Record<number, string>> = {
  400: 'The request is not valid',
  401: 'Who is asking is not known',
  403: 'This is not allowed',
  404: 'There is no such thing',
  405: 'This method is not known here',
  406: 'No format that is asked for can be given',
  408: 'The request took too long to arrive',
  409: 'The present state does not allow this',
  410: 'This is gone',
  412: 'It has changed since it was read',
  413: 'The request is too large',
  415: 'The content type is not known',
  416: 'This range cannot be given',
  422: 'The request cannot be carried out',
  429: 'Too many requests',
  431: 'The headers are too large or too many',
  500: 'Something is wrong on this side',
  503: 'Something needed is not available',
};

export function problemOf(error: ProblemError, requestId: string): Problem {
  return {
    type: `urn:xva-lab:problem:${error.code}`,
    title: titles[error.status] ?? 'The request failed',
    status: error.status,
    detail: error.message,
    code: error.code,
    requestId,
    ...(error.errors === undefined ? {} : { errors: error.errors }),
  };
}

interface ParserError {
  readonly type?: unknown;
  readonly status?: unknown;
}

/**
 * The problem that an error becomes. An adapter's error that says it is retryable means that a service behind us is away;
 * anything unforeseen is a 500 without details, which are in the log under the request id.
 */
export function toProblem(error: unknown): ProblemError {
  if (error instanceof ProblemError) return error;
  const { type, status } = (error ?? {}) as ParserError;
  if (type === 'entity.too.large')
    return new ProblemError(413, 'body-too-large', 'the body is larger than is taken here');
  if (type === 'encoding.unsupported')
    return new ProblemError(
      415,
      'unsupported-encoding',
      'send the body uncompressed: no content-encoding is taken here',
    );
  if (type === 'charset.unsupported')
    return new ProblemError(415, 'unsupported-encoding', 'send the body in UTF-8: no other charset is taken here');
  if (error instanceof URIError) return new ProblemError(400, 'bad-path', 'the path is not well encoded');
  if (typeof status === 'number' && status >= 400 && status < 500 && typeof type === 'string')
    return new ProblemError(400, 'bad-request', 'the request could not be read');
  if (error instanceof Error && (error as { retryable?: unknown }).retryable === true) {
    return new ProblemError(503, 'service-unavailable', 'a service that is needed does not answer; try again', {
      retryAfterSeconds: 1,
    });
  }
  return new ProblemError(500, 'internal', 'an unexpected error; its details are in the log under this request id');
}

export function notFound(what: string): ProblemError {
  return new ProblemError(404, 'not-found', `there is no ${what}`);
}
