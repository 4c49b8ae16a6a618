import type { NextFunction, Request, RequestHandler, Response } from 'express';
import { ipKeyGenerator, rateLimit } from 'express-rate-limit';
import { ProblemError } from './problems.ts';

const windowMs = 60_000;
/** Far above what any client of ours sends, and below what it takes to make reading them costly. */
export const maxHeaders = 64;

function tooMany(limit: number): never {
  throw new ProblemError(429, 'too-many-requests', `more than ${limit} requests in a minute`, { retryAfterSeconds: 5 });
}

/** Requests per minute of one address, before anything is known of who asks: guessing of keys ends here. */
export function limitByAddress(limit: number): RequestHandler {
  return rateLimit({
    windowMs,
    limit,
    standardHeaders: false,
    legacyHeaders: false,
    keyGenerator: (request) => ipKeyGenerator(request.ip ?? 'unknown'),
    handler: () => tooMany(limit),
  });
}

/** Requests per minute of one principal. */
export function limitByPrincipal(limit: number, principalOf: (response: Response) => string): RequestHandler {
  return rateLimit({
    windowMs,
    limit,
    standardHeaders: 'draft-7',
    legacyHeaders: false,
    keyGenerator: (_request, response) => principalOf(response),
    handler: () => tooMany(limit),
  });
}

/** Node bounds the size of all headers together; this bounds their number, and asks for a host (RFC 9112, section 3.2). */
export function limitHeaders(request: Request, _response: Response, next: NextFunction): void {
  if (request.httpVersion === '1.1' && request.headers.host === undefined)
    throw new ProblemError(400, 'no-host', 'the header host is missing');
  if (request.rawHeaders.length / 2 > maxHeaders)
    throw new ProblemError(431, 'too-many-headers', `more than ${maxHeaders} headers`);
  next();
}

/**
 * Refuses a body by what is announced, instead of waiting for all of it, when it is far too large. One that is a little
 * too large is read to its end first: who is still sending when the connection closes may never see the answer.
 */
export function limitBody(limitBytes: number): RequestHandler {
  return (request, _response, next) => {
    if (Number(request.get('content-length') ?? 0) > limitBytes * 8)
      throw new ProblemError(413, 'body-too-large', `the body is larger than ${limitBytes} bytes`, {
        headers: { connection: 'close' },
      });
    next();
  };
}

/** Streams that are open: each holds a connection, so that their number is bounded, together and per principal. */
export class StreamSlots {
  readonly #most: number;
  readonly #mostEach: number;
  readonly #open = new Map<string, number>();
  #total = 0;

  constructor(most: number, mostEach: number) {
    this.#most = most;
    this.#mostEach = mostEach;
  }

  get open(): number {
    return this.#total;
  }

  /** @returns how to give the slot back; @throws ProblemError 429 when there is none */
  take(principal: string): () => void {
    const mine = this.#open.get(principal) ?? 0;
    if (this.#total >= this.#most || mine >= this.#mostEach) {
      const limit = mine >= this.#mostEach ? `${this.#mostEach} of one caller` : `${this.#most} in all`;
      throw new ProblemError(429, 'too-many-streams', `no more than ${limit} event streams are open at a time`, {
        retryAfterSeconds: 5,
      });
    }
    this.#total += 1;
    this.#open.set(principal, mine + 1);
    let isOpen = true;
    return () => {
      if (!isOpen) return;
      isOpen = false;
      this.#total -= 1;
      const left = (this.#open.get(principal) ?? 1) - 1;
      if (left === 0) this.#open.delete(principal);
      else this.#open.set(principal, left);
    };
  }
}
