import type { NextFunction, Request, RequestHandler, Response } from 'express';

const methods = 'GET, POST, PUT, DELETE';
const headers =
  'authorization, content-type, if-match, if-none-match, last-event-id, range, traceparent, x-api-key, x-request-id';
const exposed = 'content-range, etag, location, retry-after, x-log-source, x-request-id';

/** Lets pages of the named origins call (Fetch, section 3.2); with none, as by default, no page of another origin can. */
export function cors(origins: readonly string[]): RequestHandler {
  return (request: Request, response: Response, next: NextFunction) => {
    response.vary('origin');
    const origin = request.get('origin');
    if (origin === undefined || !origins.includes(origin)) return next();
    response.setHeader('access-control-allow-origin', origin);
    response.setHeader('access-control-expose-headers', exposed);
    if (request.method !== 'OPTIONS' || request.get('access-control-request-method') === undefined) return next();
    response.setHeader('access-control-allow-methods', methods);
    response.setHeader('access-control-allow-headers', headers);
    response.setHeader('access-control-max-age', '600');
    response.status(204).end();
  };
}
