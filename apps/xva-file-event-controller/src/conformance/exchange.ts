import { request as httpRequest, type IncomingHttpHeaders } from 'node:http';
import { request as httpsRequest } from 'node:https';

/** An answer as it came. */
export interface Answer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: Buffer;
}

export interface Call {
  readonly method?: string;
  /** As it is sent, not normalised: a path may climb. */
  readonly path: string;
  readonly headers?: Readonly<Record<string, string>>;
  /** Chunks are sent without a length announced. */
  readonly body?: Buffer | Iterable<Buffer>;
}

const mostAnswerBytes = 256 * 1024 * 1024;

/**
 * One exchange on a connection of its own. An answer that comes while the body is still being sent counts, as a refusal
 * of a body that is too large does; redirects are not followed.
 *
 * @throws Error when there is no full answer within `deadlineMs`.
 */
export function exchange(base: string, call: Call, deadlineMs: number): Promise<Answer> {
  const url = new URL(base);
  const send = url.protocol === 'https:' ? httpsRequest : httpRequest;
  const prefix = url.pathname.replace(/\/+$/, '');
  return new Promise((resolve, reject) => {
    const outgoing = send(
      {
        protocol: url.protocol,
        hostname: url.hostname.replace(/^\[|\]$/g, ''),
        port: url.port,
        method: call.method ?? 'GET',
        path: `${prefix}${call.path}`,
        agent: false,
        headers: {
          ...call.headers,
          ...(Buffer.isBuffer(call.body) ? { 'content-length': String(call.body.length) } : {}),
        },
      },
      (response) => {
        const chunks: Buffer[] = [];
        let size = 0;
        response.on('data', (chunk: Buffer) => {
          size += chunk.length;
          if (size > mostAnswerBytes) outgoing.destroy(new Error(`the answer is longer than ${mostAnswerBytes} bytes`));
          else chunks.push(chunk);
        });
        response.on('end', () => {
          finish(() =>
            resolve({ status: response.statusCode ?? 0, headers: response.headers, body: Buffer.concat(chunks) }),
          );
        });
        response.on('error', (error) => finish(() => reject(error)));
        response.on('aborted', () => finish(() => reject(new Error('the answer was cut'))));
      },
    );
    const finish = (end: () => void): void => {
      clearTimeout(timer);
      end();
      outgoing.destroy();
    };
    const timer = setTimeout(() => {
      finish(() => reject(new Error(`no full answer to ${call.method ?? 'GET'} ${call.path} in ${deadlineMs} ms`)));
    }, deadlineMs);
    outgoing.on('error', (error) => finish(() => reject(error)));
    if (call.body === undefined || Buffer.isBuffer(call.body)) {
      outgoing.end(call.body);
      return;
    }
    // A refusal by the headers alone may come at once: who closes on an unread body resets the connection, answer and all.
    const chunks = call.body[Symbol.iterator]();
    outgoing.flushHeaders();
    setTimeout(() => pour(chunks, outgoing), 300).unref();
  });
}

/** Writes as fast as the other side takes, and stops when the exchange is over. */
function pour(chunks: Iterator<Buffer>, into: ReturnType<typeof httpRequest>): void {
  for (;;) {
    if (into.destroyed) return;
    const next = chunks.next();
    if (next.done === true) {
      into.end();
      return;
    }
    if (!into.write(next.value)) break;
  }
  into.once('drain', () => pour(chunks, into));
}
