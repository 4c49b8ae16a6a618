import { randomUUID } from 'node:crypto';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import type { Socket } from 'node:net';
import type { FaultAction, Transcript } from '@xva/emulator-kit';
import { numberOf, textOf } from '../faults.ts';
import { BatchError, errorBody, faultError, refusal } from '../wire/errors.ts';
import { lowerCasing, type Backend, type Call, type Reply } from './call.ts';
import { RateLimit } from './rate.ts';
import { findRoute } from './routes.ts';
import { authenticate, type AccountKeys } from './shared-key.ts';

const queryNames = new Set([
  'api-version', 'timeout', 'maxresults', '$filter', '$select', '$expand', '$skiptoken', 'recursive', 'force', 'starttime', 'endtime',
]); // prettier-ignore

const baseHeaders = {
  dataserviceversion: '3.0',
  server: 'Microsoft-HTTPAPI/2.0',
  'x-content-type-options': 'nosniff',
};

/** Splits a query: names decoded with their case kept, `+` is a blank, the first value counts. @throws URIError */
export function parseQuery(text: string): ReadonlyMap<string, string> {
  const query = new Map<string, string>();
  for (const part of text.split('&')) {
    const at = part.indexOf('=');
    const decode = (raw: string): string => decodeURIComponent(raw.replaceAll('+', ' '));
    const name = decode(at < 0 ? part : part.slice(0, at));
    if (name !== '' && !query.has(name)) query.set(name, at < 0 ? '' : decode(part.slice(at + 1)));
  }
  return query;
}

/** Query names are known by their lower case. @throws BatchError for an unknown one or a missing api-version */
function checkedQuery(query: ReadonlyMap<string, string>): ReadonlyMap<string, string> {
  const lowered = new Map([...query].map(([name, value]) => [name.toLowerCase(), value]));
  for (const name of lowered.keys()) {
    if (!queryNames.has(name)) throw refusal('UnsupportedQueryParameter', { QueryParameterName: name });
  }
  if ((lowered.get('api-version') ?? '') === '') {
    throw refusal('MissingRequiredQueryParameter', { QueryParameterName: 'api-version' });
  }
  return lowered;
}

async function readBody(request: IncomingMessage, limit: number): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    size += chunk.length;
    // Past the limit the rest is read and dropped, so that the client can read the answer.
    if (size <= limit) chunks.push(chunk);
    else if (size > 64 * limit) throw refusal('RequestBodyTooLarge');
  }
  if (size > limit) throw refusal('RequestBodyTooLarge', { MaxLimit: String(limit) });
  return chunks.length === 1 ? (chunks[0] ?? Buffer.alloc(0)) : Buffer.concat(chunks);
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

/** `http(s)://host:port` as the client addressed it. */
function baseOf(request: IncomingMessage): string {
  const scheme = 'encrypted' in request.socket ? 'https' : 'http';
  return `${scheme}://${request.headers.host ?? 'localhost'}`;
}

/** The fault's error, with Retry-After in whole seconds when asked for. */
function injected(fault: FaultAction): BatchError {
  const wait = textOf(fault, 'retryAfter', '');
  const status = fault['status'] === undefined ? undefined : numberOf(fault, 'status', 503);
  const usual = status === 429 ? 'TooManyRequests' : status === 500 ? 'InternalError' : 'ServerBusy';
  return faultError(status, textOf(fault, 'code', usual), wait === '' ? {} : { 'retry-after': wait });
}

export interface TlsFiles {
  readonly cert: string | Buffer;
  readonly key: string | Buffer;
}

/** The HTTP side of the emulator: authentication, faults, routing, answers; on one listener, or a second one with TLS. */
export class BatchServer {
  readonly #backend: Backend;
  readonly #accounts: AccountKeys;
  readonly #transcript: Transcript;
  readonly #now: () => number;
  readonly #rate: RateLimit;
  /** Sockets whose request was answered before it was read to its end: what else comes on them gets no second answer. */
  readonly #cut = new WeakSet<Socket>();

  constructor(backend: Backend, accounts: AccountKeys, transcript: Transcript, now: () => number) {
    this.#backend = backend;
    this.#accounts = accounts;
    this.#transcript = transcript;
    this.#now = now;
    this.#rate = new RateLimit(backend.config.limits.requestsPerSecond, now);
  }

  /** A listener of the service; with TLS when there are files for it. @throws Error of OpenSSL for wrong ones */
  listener(tls?: TlsFiles): Server {
    const options = { keepAliveTimeout: 120_000, requireHostHeader: false };
    const serve = (request: IncomingMessage, response: ServerResponse): void => void this.#serve(request, response);
    const server = tls === undefined ? createServer(options, serve) : createTlsServer({ ...options, ...tls }, serve);
    // Node would answer an expectation that it does not know by a bare 417.
    server.on('checkExpectation', (request: IncomingMessage, response: ServerResponse) => {
      const value = String(request.headers.expect);
      const refused = refusal('InvalidHeaderValue', { HeaderName: 'Expect', HeaderValue: value });
      const requestId = randomUUID();
      this.#answer(request, response, this.#errorReply(refused, baseOf(request), requestId), requestId, false);
      request.resume();
    });
    server.on('clientError', (_error: Error, socket: Socket) => {
      if (!socket.writable || this.#cut.has(socket)) return void socket.destroy();
      const body = JSON.stringify(
        errorBody(refusal('InvalidInput'), 'http://localhost', randomUUID(), this.#now() * 1000),
      );
      const head =
        'HTTP/1.1 400 Bad Request\r\ncontent-type: application/json;odata=minimalmetadata\r\nconnection: close\r\n';
      socket.end(`${head}content-length: ${Buffer.byteLength(body)}\r\n\r\n${body}`);
    });
    return server;
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const started = this.#now();
    const requestId = randomUUID();
    const base = baseOf(request);
    let name = 'unknown';
    let fault: FaultAction | undefined;
    let reply: Reply;
    try {
      const url = request.url ?? '/';
      const mark = url.indexOf('?');
      const rawPath = mark < 0 ? url : url.slice(0, mark);
      const method = request.method ?? 'GET';
      const body = await readBody(request, this.#backend.config.limits.maxBodyBytes);
      const query = this.#query(mark < 0 ? '' : url.slice(mark + 1));
      const account = authenticate(method, rawPath, query, request.headers, this.#accounts, this.#now());
      const found = findRoute(method, rawPath);
      name = found.route.name;
      const attributes = { op: name, method, account, path: rawPath, ...found.params };
      if (!this.#rate.admits(account)) throw refusal('TooManyRequests', {}, { 'retry-after': '1' });
      fault = this.#backend.faults.take('request', attributes);
      if (fault?.kind === 'delay' && fault['when'] !== 'after') await pause(numberOf(fault, 'ms', 1000));
      if (fault?.kind === 'reset' && fault['when'] !== 'after') return void request.socket.destroy();
      if (fault?.kind === 'status' && fault['when'] !== 'after') throw injected(fault);
      const checked = checkedQuery(query);
      const apiVersion = checked.get('api-version') ?? '';
      const call: Call = {
        account, apiVersion, lowerCase: lowerCasing(this.#backend.config.casing, apiVersion), requestId, base, body, query: checked, params: found.params, headers: request.headers,
      }; // prettier-ignore
      reply = await found.route.operation(this.#backend, call);
      if (fault?.kind === 'delay' && fault['when'] === 'after') await pause(numberOf(fault, 'ms', 1000));
      if (fault?.kind === 'reset') return void request.socket.destroy();
      if (fault?.kind === 'status') throw injected(fault);
    } catch (error) {
      // Who went away in the middle of the body reads no answer.
      if (request.readableAborted) return;
      reply = this.#errorReply(error, base, requestId);
    }
    this.#transcript.add({
      op: name,
      method: request.method,
      url: request.url,
      status: reply.status,
      ms: this.#now() - started,
      requestId,
      bytes: Number(request.headers['content-length'] ?? 0),
      ...(fault === undefined ? {} : { fault: fault.kind }),
    });
    this.#answer(request, response, reply, requestId, fault?.kind === 'truncate');
  }

  #query(text: string): ReadonlyMap<string, string> {
    try {
      return parseQuery(text);
    } catch {
      throw refusal('InvalidUri');
    }
  }

  #errorReply(error: unknown, base: string, requestId: string): Reply {
    const known = error instanceof BatchError ? error : refusal('InternalError');
    if (!(error instanceof BatchError)) this.#backend.core.options.report('request failed', error);
    const json = known.status === 304 ? undefined : errorBody(known, base, requestId, Math.floor(this.#now() * 1000));
    return { status: known.status, headers: known.headers, json };
  }

  #answer(
    request: IncomingMessage,
    response: ServerResponse,
    reply: Reply,
    requestId: string,
    truncate: boolean,
  ): void {
    const headers: Record<string, string> = { ...baseHeaders, 'request-id': requestId, ...reply.headers };
    if (!request.complete) this.#cut.add(request.socket);
    const clientId = request.headers['client-request-id'];
    if (request.headers['return-client-request-id'] === 'true' && typeof clientId === 'string') {
      headers['client-request-id'] = clientId;
    }
    if (reply.stream !== undefined) {
      response.writeHead(reply.status, headers);
      reply.stream.on('error', () => response.destroy());
      response.on('close', () => reply.stream?.destroy());
      reply.stream.pipe(response);
      return;
    }
    const body = reply.json === undefined ? undefined : Buffer.from(JSON.stringify(reply.json));
    if (body !== undefined) headers['content-type'] = 'application/json;odata=minimalmetadata';
    if (request.method === 'HEAD') return void response.writeHead(reply.status, headers).end();
    if (headers['content-length'] === undefined && reply.status !== 204 && reply.status !== 304) {
      headers['content-length'] = String(body?.length ?? 0);
    }
    response.writeHead(reply.status, headers);
    if (truncate && body !== undefined) {
      response.write(body.subarray(0, Math.floor(body.length / 2)), () => request.socket.destroy());
      return;
    }
    response.end(body);
  }
}
