import { createHmac } from 'node:crypto';
import { Agent as HttpAgent, request as httpRequest, type IncomingMessage } from 'node:http';
import { Agent as HttpsAgent, request as httpsRequest } from 'node:https';
import type { Readable } from 'node:stream';

/** Credential for one storage account's SharedKey; without one, a URL goes as it is (SAS or public). */
export interface StorageKey {
  readonly account: string;
  readonly keyBase64: string;
}

/** Thrown for an answer other than 2xx (`status`), or 0 when no answer came. */
export class StorageError extends Error {
  override readonly name = 'StorageError';
  readonly status: number;
  readonly code: string;
  constructor(status: number, code: string, message: string) {
    super(message);
    this.status = status;
    this.code = code;
  }
}

const apiVersion = '2021-12-02';

/** The value of `Authorization` for a Blob request (Storage REST reference, "Authorize with Shared Key", 2015-02-21 and later). */
export function authorizationOf(
  key: StorageKey,
  method: string,
  url: URL,
  headers: Readonly<Record<string, string>>,
): string {
  const header = (name: string): string => headers[name] ?? '';
  const length = header('content-length') === '0' ? '' : header('content-length');
  const canonicalHeaders = Object.keys(headers)
    .filter((name) => name.startsWith('x-ms-'))
    .sort()
    .map((name) => `${name}:${header(name).trim()}\n`)
    .join('');
  const query = new Map<string, string[]>();
  for (const [name, value] of url.searchParams) {
    query.set(name.toLowerCase(), [...(query.get(name.toLowerCase()) ?? []), value]);
  }
  const canonicalQuery = [...query.keys()]
    .sort()
    .map((name) => `\n${name}:${(query.get(name) ?? []).sort().join(',')}`)
    .join('');
  const toSign = [
    method,
    header('content-encoding'),
    header('content-language'),
    length,
    header('content-md5'),
    header('content-type'),
    '',
    ...['if-modified-since', 'if-match', 'if-none-match', 'if-unmodified-since', 'range'].map(header),
    `${canonicalHeaders}/${key.account}${url.pathname}${canonicalQuery}`,
  ].join('\n');
  return `SharedKey ${key.account}:${createHmac('sha256', Buffer.from(key.keyBase64, 'base64')).update(toSign, 'utf8').digest('base64')}`;
}

export interface StorageRequest {
  readonly method: 'GET' | 'PUT';
  readonly url: URL;
  readonly key: StorageKey | undefined;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: Buffer | { readonly stream: Readable; readonly length: number };
  readonly signal: AbortSignal;
}

/** A small Blob client: one request at a time over kept-alive connections. It does not retry. */
export class StorageClient {
  readonly #http = new HttpAgent({ keepAlive: true, maxSockets: 64 });
  readonly #https = new HttpsAgent({ keepAlive: true, maxSockets: 64 });

  /** @throws StorageError for an answer other than 2xx or a broken connection */
  async send(request: StorageRequest): Promise<IncomingMessage> {
    const { method, url, key, body, signal } = request;
    const headers: Record<string, string> = { ...request.headers };
    if (key !== undefined) {
      headers['x-ms-date'] = new Date().toUTCString();
      headers['x-ms-version'] = apiVersion;
    }
    if (method === 'PUT') {
      headers['content-length'] = String(body === undefined ? 0 : Buffer.isBuffer(body) ? body.length : body.length);
    }
    if (key !== undefined) headers['authorization'] = authorizationOf(key, method, url, headers);
    const secure = url.protocol === 'https:';
    const response = await new Promise<IncomingMessage>((resolve, reject) => {
      const options = { method, headers, signal, agent: secure ? this.#https : this.#http };
      const outgoing = secure ? httpsRequest(url, options, resolve) : httpRequest(url, options, resolve);
      outgoing.on('error', (error) => reject(new StorageError(0, 'ConnectionError', error.message)));
      if (body === undefined || Buffer.isBuffer(body)) outgoing.end(body);
      else body.stream.on('error', (error) => outgoing.destroy(error)).pipe(outgoing);
    });
    const status = response.statusCode ?? 0;
    if (status >= 200 && status < 300) return response;
    const answer = (await readAll(response)).toString('utf8');
    const code = /<Code>([^<]*)<\/Code>/.exec(answer)?.[1] ?? String(response.headers['x-ms-error-code'] ?? '');
    throw new StorageError(status, code, `${method} ${url.origin}${url.pathname} answered ${status} ${code}`.trim());
  }

  close(): void {
    this.#http.destroy();
    this.#https.destroy();
  }
}

export async function readAll(stream: Readable): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of stream as AsyncIterable<Buffer>) chunks.push(chunk);
  return Buffer.concat(chunks);
}

function decodeXml(text: string): string {
  const named: Readonly<Record<string, string>> = { amp: '&', lt: '<', gt: '>', quot: '"', apos: "'" };
  return text.replace(/&(#x?[0-9a-fA-F]+|\w+);/g, (whole, name: string) => {
    if (name.startsWith('#x')) return String.fromCodePoint(Number.parseInt(name.slice(2), 16));
    if (name.startsWith('#')) return String.fromCodePoint(Number(name.slice(1)));
    return named[name] ?? whole;
  });
}

/** The names of a List Blobs page and the marker of the next one ('' at the end). */
export function parseBlobList(xml: string): { readonly names: readonly string[]; readonly next: string } {
  const blobs = /<Blobs>([\s\S]*)<\/Blobs>/.exec(xml)?.[1] ?? '';
  const names = [...blobs.matchAll(/<Blob>[\s\S]*?<Name[^>]*>([\s\S]*?)<\/Name>/g)].map((found) =>
    decodeXml(found[1] ?? ''),
  );
  return { names, next: decodeXml(/<NextMarker>([\s\S]*?)<\/NextMarker>/.exec(xml)?.[1] ?? '') };
}

/** The URL of a blob in a container, keeping the container URL's query (a SAS). */
export function blobUrl(containerUrl: string, name: string): URL {
  const url = new URL(containerUrl);
  const path = name.split('/').map(encodeURIComponent).join('/');
  url.pathname = `${url.pathname.replace(/\/$/, '')}/${path}`;
  return url;
}

/** Names of all blobs of a container under a prefix. @throws StorageError */
export async function listBlobs(
  client: StorageClient,
  containerUrl: string,
  prefix: string,
  key: StorageKey | undefined,
  signal: AbortSignal,
): Promise<readonly string[]> {
  const names: string[] = [];
  let marker = '';
  do {
    const url = new URL(containerUrl);
    url.searchParams.set('restype', 'container');
    url.searchParams.set('comp', 'list');
    if (prefix !== '') url.searchParams.set('prefix', prefix);
    if (marker !== '') url.searchParams.set('marker', marker);
    const page = parseBlobList(
      (await readAll(await client.send({ method: 'GET', url, key, signal }))).toString('utf8'),
    );
    names.push(...page.names);
    marker = page.next;
  } while (marker !== '');
  return names;
}
