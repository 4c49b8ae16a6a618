import { Agent as HttpAgent, request as httpRequest } from 'node:http';
import { Agent as HttpsAgent, request as httpsRequest } from 'node:https';
import { Readable } from 'node:stream';
import { urlToHttpOptions } from 'node:url';
import type { BatchServiceClient } from '@azure/batch';
import { BatchError } from './errors.ts';
import { ownUrl } from './pages.ts';

/** Sockets of one adapter; more requests wait in line. */
const maxSockets = 128;

export interface Outgoing {
  readonly url: URL;
  readonly method: string;
  readonly headers: Readonly<Record<string, string | number>>;
  readonly body?: string | undefined;
}

export interface Incoming<B> {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly body: B;
}

type SdkOptions = NonNullable<ConstructorParameters<typeof BatchServiceClient>[2]>;
type SdkHttpClient = NonNullable<SdkOptions['httpClient']>;
type SdkRequest = Parameters<SdkHttpClient['sendRequest']>[0];
type SdkAnswer = Awaited<ReturnType<SdkHttpClient['sendRequest']>>;

/**
 * One try of one HTTP request on kept-alive sockets, for both of the adapter's ways to Batch. It takes the place of the
 * official client's own transport (node-fetch 2), which waits for ever for the rest of an answer that was cut.
 */
export class Transport {
  readonly #agents = [
    new HttpAgent({ keepAlive: true, maxSockets }),
    new HttpsAgent({ keepAlive: true, maxSockets }),
  ] as const;
  readonly #timeoutMs: number;

  /** @param timeoutMs for the whole exchange, from the first byte to the last */
  constructor(timeoutMs: number) {
    this.#timeoutMs = timeoutMs;
  }

  /** @throws BatchError with status 0 when there is no whole answer; the signal's reason when it is aborted */
  async text(target: string, outgoing: Outgoing, signal: AbortSignal | undefined): Promise<Incoming<string>> {
    let text = '';
    const { status, headers } = await this.#exchange(target, outgoing, signal, (response) => {
      response.setEncoding('utf8');
      response.on('data', (chunk: string) => (text += chunk));
    });
    return { status, headers, body: text };
  }

  /** The official client's way in. It follows any next link, so that what leads away from `origin` is refused here. */
  sdk(origin: string): SdkHttpClient {
    return { sendRequest: (request) => this.#sdk(request, origin) };
  }

  async #sdk(request: SdkRequest, origin: string): Promise<SdkAnswer> {
    const chunks: Buffer[] = [];
    const outgoing = {
      url: ownUrl(request.url.slice(0, 200), request.url, origin),
      method: request.method,
      headers: request.headers.rawHeaders(),
      body: typeof request.body === 'string' ? request.body : undefined,
    };
    // Node's own signal, as the adapter passed it.
    const signal = request.abortSignal as AbortSignal | undefined;
    const target = `${request.method} ${outgoing.url.pathname}`;
    const { status, headers } = await this.#exchange(target, outgoing, signal, (response) => {
      response.on('data', (chunk: Buffer) => chunks.push(chunk));
    });
    const answered = request.headers.clone();
    for (const name of answered.headerNames()) answered.remove(name);
    for (const [name, value] of Object.entries(headers)) answered.set(name, String(value));
    const body = Buffer.concat(chunks);
    const ok = status >= 200 && status < 300;
    // The client would read it as a thing without properties.
    if (ok && request.method === 'GET' && request.streamResponseBody !== true && isNothing(body))
      throw new BatchError(target, { code: 'PARSE_ERROR', status, detail: 'the answer has no body' });
    return request.streamResponseBody === true && ok
      ? { request, status, headers: answered, readableStreamBody: Readable.from(body) }
      : { request, status, headers: answered, bodyAsText: body.toString('utf8') };
  }

  #exchange(
    target: string,
    { url, method, headers, body }: Outgoing,
    signal: AbortSignal | undefined,
    read: (response: Readable) => void,
  ): Promise<Omit<Incoming<never>, 'body'>> {
    const [open, agent] = url.protocol === 'https:' ? [httpsRequest, this.#agents[1]] : [httpRequest, this.#agents[0]];
    signal?.throwIfAborted();
    return new Promise((resolve, reject) => {
      const over = (act: () => void): void => {
        clearTimeout(timer);
        signal?.removeEventListener('abort', stop);
        act();
      };
      const fail = (code: string, detail: string, cause?: unknown): void =>
        over(() => reject(new BatchError(target, { code, status: 0, detail }, cause)));
      const broken = (error: Error & { code?: string }): void => fail(error.code ?? 'ECONNRESET', error.message, error);
      const stop = (): void => {
        over(() => reject(signal?.reason as Error));
        request.destroy();
      };
      const timer = setTimeout(() => {
        fail('RequestTimeout', `no answer within ${this.#timeoutMs} ms`);
        request.destroy();
      }, this.#timeoutMs);
      signal?.addEventListener('abort', stop, { once: true });
      const request = open({ ...urlToHttpOptions(url), method, headers, agent }, (response) => {
        read(response);
        response.on('error', broken);
        response.on('end', () => over(() => resolve({ status: response.statusCode ?? 0, headers: response.headers })));
      });
      request.on('error', broken);
      request.end(body);
    });
  }

  close(): void {
    for (const agent of this.#agents) agent.destroy();
  }
}

/** No body, or JSON's word for nothing. */
function isNothing(body: Buffer): boolean {
  return body.length < 100 && ['', 'null'].includes(body.toString('utf8').trim());
}
