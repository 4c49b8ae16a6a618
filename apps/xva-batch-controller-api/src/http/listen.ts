import { randomUUID } from 'node:crypto';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Duplex } from 'node:stream';
import type { Express } from 'express';
import { problemOf, ProblemError } from './problems.ts';

export interface ListenOptions {
  readonly host: string;
  /** 0 = any free one. */
  readonly port: number;
  /** Until all headers are there, in ms: who sends them drop by drop is cut off. */
  readonly headersTimeoutMs: number;
  /** Until the whole request is there, in ms. */
  readonly requestTimeoutMs: number;
  readonly maxConnections: number;
}

export interface RunningHttp {
  readonly url: string;
  /** Takes no more and waits for what is under way; connections that are still busy when `force` aborts are cut. */
  close(force: AbortSignal): Promise<void>;
}

const maxHeaderBytes = 16 * 1024;

/** What the parser refuses never reaches the application: it is answered here, in the same form. */
function problemOfParser(code: string | undefined): ProblemError {
  if (code === 'HPE_HEADER_OVERFLOW')
    return new ProblemError(431, 'headers-too-large', `the headers are larger than ${maxHeaderBytes} bytes`);
  if (code === 'ERR_HTTP_REQUEST_TIMEOUT')
    return new ProblemError(408, 'request-too-slow', 'the request did not arrive in time');
  return new ProblemError(400, 'not-http', 'this is no HTTP request that is taken here');
}

function answerRaw(socket: Duplex, problem: ProblemError): void {
  if (!socket.writable) {
    socket.destroy();
    return;
  }
  const requestId = randomUUID();
  const body = JSON.stringify(problemOf(problem, requestId));
  const reasons: Readonly<Record<number, string>> = {
    400: 'Bad Request',
    408: 'Request Timeout',
    431: 'Request Header Fields Too Large',
  };
  const head = [
    `HTTP/1.1 ${problem.status} ${reasons[problem.status] ?? 'Bad Request'}`,
    'content-type: application/problem+json; charset=utf-8',
    `content-length: ${Buffer.byteLength(body)}`,
    `x-request-id: ${requestId}`,
    'connection: close',
  ].join('\r\n');
  socket.end(`${head}\r\n\r\n${body}`, () => socket.destroy());
}

/** Binds the application. */
export async function listenHttp(app: Express, options: ListenOptions): Promise<RunningHttp> {
  const { host } = options;
  const server: Server = createServer(
    {
      requestTimeout: options.requestTimeoutMs,
      headersTimeout: options.headersTimeoutMs,
      connectionsCheckingInterval: Math.min(1_000, options.headersTimeoutMs),
      keepAliveTimeout: 5_000,
      maxHeaderSize: maxHeaderBytes,
      insecureHTTPParser: false,
      // The application refuses a request without a host, as a problem like any other.
      requireHostHeader: false,
    },
    app,
  );
  // Dropping headers silently would hide what a proxy in front may have counted on: they are counted and refused.
  server.maxHeadersCount = 0;
  server.maxConnections = options.maxConnections;
  server.on('clientError', (error: NodeJS.ErrnoException, socket) => {
    if (error.code === 'ECONNRESET') socket.destroy();
    else answerRaw(socket, problemOfParser(error.code));
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(options.port, host, resolve);
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
