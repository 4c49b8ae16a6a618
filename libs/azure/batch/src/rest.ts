import type { Authorizer } from './credentials.ts';
import { jsonOf } from './errors.ts';
import { ownUrl } from './pages.ts';
import type { Transport } from './transport.ts';

/** The api-version of the official client, so that both of the adapter's ways see one service. */
export const apiVersion = '2022-10-01.16.0';
const jsonType = 'application/json; odata=minimalmetadata; charset=utf-8';

export interface RestOptions {
  /** `http(s)://host[:port]`, no path. */
  readonly endpoint: string;
  readonly authorizer: Authorizer;
  readonly transport: Transport;
  readonly now: () => Date;
}

export interface RestRequest {
  readonly method: 'GET' | 'POST';
  /** Percent-encoded, without query. */
  readonly path: string;
  readonly query?: Readonly<Record<string, string>>;
  /** JSON text. */
  readonly body?: string;
}

/**
 * Requests of Batch's REST protocol, one try each, signed as the official client signs. Only tasks go this way (adding
 * and reading them by the hundred thousand): docs/adr/0008-own-bulk-path-to-batch.md.
 */
export class RestClient {
  readonly #options: RestOptions;
  readonly #origin: URL;

  constructor(options: RestOptions) {
    this.#options = options;
    this.#origin = new URL(options.endpoint);
  }

  /** The answer's JSON. @throws BatchError; the signal's reason when it is aborted. */
  async json(target: string, request: RestRequest, signal?: AbortSignal): Promise<unknown> {
    const query = new Map(Object.entries({ 'api-version': apiVersion, ...request.query }));
    const search = [...query].map(([name, value]) => `${name}=${encodeURIComponent(value)}`).join('&');
    return this.#exchange(target, { ...request, query, search: `?${search}` }, signal);
  }

  /** Follows `odata.nextLink`, which never leads to another host. */
  async follow(target: string, link: string, signal?: AbortSignal): Promise<unknown> {
    const url = ownUrl(target, link, this.#origin.origin);
    if (!url.searchParams.has('api-version')) url.searchParams.set('api-version', apiVersion);
    const query = new Map(url.searchParams);
    return this.#exchange(target, { method: 'GET', path: url.pathname, query, search: url.search }, signal);
  }

  async #exchange(
    target: string,
    request: Pick<RestRequest, 'method' | 'path' | 'body'> & { query: Map<string, string>; search: string },
    signal: AbortSignal | undefined,
  ): Promise<unknown> {
    const { authorizer, now } = this.#options;
    const { method, path, query, search } = request;
    const { body } = request;
    // The text itself is sent: a Buffer of each body would wait for the garbage collector outside the heap.
    const contentLength = body === undefined ? undefined : Buffer.byteLength(body);
    const contentType = body === undefined ? '' : jsonType;
    const ocpDate = now().toUTCString();
    const signed = { method, path, query, contentLength, contentType, ocpDate };
    const authorization = await authorizer.authorization(signed);
    const headers = {
      authorization,
      'ocp-date': ocpDate,
      ...(contentLength === undefined ? {} : { 'content-type': contentType, 'content-length': contentLength }),
    };
    const outgoing = { url: new URL(path + search, this.#origin), method, headers, body };
    const answer = await this.#options.transport.text(target, outgoing, signal);
    return jsonOf(answer, target, now());
  }
}
