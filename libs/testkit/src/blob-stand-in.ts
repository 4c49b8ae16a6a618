import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { azuriteAccount } from './azurite.ts';

/** What Azurite does not have and a collector must respect. */
export interface StandInBlob {
  readonly name: string;
  readonly body: Buffer;
  readonly etag: string;
  readonly lastModified: Date;
  readonly metadata: Readonly<Record<string, string>>;
  readonly tags?: Readonly<Record<string, string>>;
  readonly lastAccessed?: Date;
  readonly legalHold?: boolean;
  readonly immutableUntil?: Date;
  readonly leased?: boolean;
}

export interface StandInFault {
  /** Part of `METHOD url`, or of a batch's sub-request line. */
  readonly match: string;
  readonly status: number;
  readonly code: string;
  readonly retryAfter?: string;
  /** How often it strikes. */
  times: number;
  /** The effect happens, then the answer is lost. */
  readonly afterEffect?: boolean;
}

interface Shelf {
  readonly blobs: Map<string, StandInBlob>;
  readonly deleted: Map<string, StandInBlob>;
  names: string[] | undefined;
  lease: string | undefined;
  metadata: Record<string, string>;
  readonly lastModified: Date;
}

interface Answer {
  readonly status: number;
  readonly headers?: Record<string, string>;
  readonly body?: string | Buffer;
}

export interface BlobStandIn {
  readonly endpoint: string;
  readonly connectionString: string;
  readonly containers: Map<string, Shelf>;
  readonly faults: StandInFault[];
  /** `METHOD url` of every request. */
  readonly seen: string[];
  readonly put: (container: string, blob: Partial<StandInBlob> & { name: string }) => void;
  readonly stop: () => Promise<void>;
}

const refusal = (status: number, code: string, retryAfter?: string): Answer => ({
  status,
  headers: {
    'content-type': 'application/xml',
    'x-ms-error-code': code,
    ...(retryAfter === undefined ? {} : { 'retry-after': retryAfter }),
  },
  body: `<?xml version="1.0" encoding="utf-8"?><Error><Code>${code}</Code><Message>${code}</Message></Error>`,
});
const xml = (text: string): string =>
  text
    .replaceAll('&', '&amp;')
    .replaceAll('<', '&lt;')
    .replaceAll('>', '&gt;')
    .replaceAll('"', '&quot;')
    .replaceAll('\r', '&#13;');
const done = (status: number, headers: Record<string, string> = {}): Answer => ({ status, headers, body: '' });

/** A place in the sorted names: the first that is not before `name`. */
function placeOf(names: readonly string[], name: string): number {
  let [low, high] = [0, names.length];
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((names[middle] ?? '') < name) low = middle + 1;
    else high = middle;
  }
  return low;
}

/**
 * A small Blob service in memory: listing (flat, by `/`, paged), put, get, head, delete, batch delete, copy, append, leases,
 * and what Azurite lacks: legal hold, immutability, soft delete, last access time. Signatures are not looked at. Every
 * other request is refused by name. For tests of what Azurite cannot show, and for rates beyond what it can serve.
 */
export async function startBlobStandIn(
  options: { readonly softDeleteDays?: number; readonly batches?: boolean; readonly recordRequests?: boolean } = {},
): Promise<BlobStandIn> {
  const containers = new Map<string, Shelf>();
  const faults: StandInFault[] = [];
  const seen: string[] = [];
  let etags = 1;
  const softDays = options.softDeleteDays ?? 0;

  const shelfOf = (name: string): Shelf => {
    const found = containers.get(name);
    if (found !== undefined) return found;
    const made: Shelf = {
      blobs: new Map(),
      deleted: new Map(),
      names: undefined,
      lease: undefined,
      metadata: {},
      lastModified: new Date(),
    };
    containers.set(name, made);
    return made;
  };
  const store = (shelf: Shelf, blob: Partial<StandInBlob> & { name: string }): StandInBlob => {
    const whole: StandInBlob = {
      body: Buffer.alloc(0),
      etag: `"0x${(etags++).toString(16)}"`,
      lastModified: new Date(),
      metadata: {},
      ...blob,
    };
    if (!shelf.blobs.has(blob.name)) shelf.names = undefined;
    shelf.blobs.set(blob.name, whole);
    return whole;
  };
  const guard = (shelf: Shelf, name: string, headers: Readonly<Record<string, unknown>>): Answer | StandInBlob => {
    const blob = shelf.blobs.get(name);
    if (blob === undefined) return refusal(404, 'BlobNotFound');
    const match = headers['if-match'];
    if (typeof match === 'string' && match !== '*' && match !== blob.etag) return refusal(412, 'ConditionNotMet');
    return blob;
  };
  const deleteBlob = (shelf: Shelf, name: string, headers: Readonly<Record<string, unknown>>): Answer => {
    const found = guard(shelf, name, headers);
    if ('status' in found) return found;
    if (found.legalHold === true) return refusal(409, 'BlobImmutableDueToLegalHold');
    if (found.immutableUntil !== undefined && found.immutableUntil > new Date())
      return refusal(409, 'BlobImmutableDueToPolicy');
    if (found.leased === true) return refusal(412, 'LeaseIdMissing');
    shelf.blobs.delete(name);
    if (softDays > 0) shelf.deleted.set(name, found);
    return done(202);
  };
  const metadataOf = (headers: Readonly<Record<string, unknown>>): Record<string, string> =>
    Object.fromEntries(
      Object.entries(headers)
        .filter(([name]) => name.startsWith('x-ms-meta-'))
        .map(([name, value]) => [name.slice(10), String(value)]),
    );
  const strike = (line: string): StandInFault | undefined => {
    const fault = faults.find((one) => one.times > 0 && line.includes(one.match));
    if (fault !== undefined) fault.times -= 1;
    return fault;
  };

  const list = (shelf: Shelf, query: URLSearchParams): Answer => {
    shelf.names ??= [...shelf.blobs.keys()].sort((a, b) => (a < b ? -1 : 1));
    const { names } = shelf;
    const prefix = query.get('prefix') ?? '';
    const delimiter = query.get('delimiter') ?? '';
    const most = Number(query.get('maxresults') ?? 5000);
    const marker = query.get('marker') ?? '';
    const parts: string[] = [];
    const folders = new Set<string>();
    let at = placeOf(names, marker > prefix ? marker : prefix);
    let count = 0;
    for (; at < names.length && count < most; at += 1) {
      const name = names[at] ?? '';
      if (!name.startsWith(prefix)) {
        at = names.length;
        break;
      }
      const blob = shelf.blobs.get(name);
      if (blob === undefined) continue;
      const cut = delimiter === '' ? -1 : name.indexOf(delimiter, prefix.length);
      if (cut >= 0) {
        const folder = name.slice(0, cut + 1);
        if (folders.has(folder)) continue;
        folders.add(folder);
        parts.push(`<BlobPrefix><Name>${xml(folder)}</Name></BlobPrefix>`);
      } else parts.push(entry(blob));
      count += 1;
    }
    while (at < names.length && [...folders].some((folder) => (names[at] ?? '').startsWith(folder))) at += 1;
    const next = at < names.length && (names[at] ?? '').startsWith(prefix) ? (names[at] ?? '') : '';
    return {
      status: 200,
      headers: { 'content-type': 'application/xml' },
      body: `<?xml version="1.0" encoding="utf-8"?><EnumerationResults ServiceEndpoint="http://127.0.0.1/" ContainerName="c"><Prefix>${xml(prefix)}</Prefix><Blobs>${parts.join('')}</Blobs><NextMarker>${xml(next)}</NextMarker></EnumerationResults>`,
    };
  };

  const batch = (container: string, body: string, type: string): Answer => {
    const boundary = /boundary=([^;]+)/.exec(type)?.[1] ?? '';
    const parts = body.split(`--${boundary}`).slice(1, -1);
    const shelf = containers.get(container);
    if (shelf === undefined) return refusal(404, 'ContainerNotFound');
    const answers = parts.map((part) => {
      const id = /Content-ID: (\d+)/i.exec(part)?.[1] ?? '0';
      const line = /DELETE (\S+) HTTP/.exec(part)?.[1] ?? '';
      const match = /if-match: (.+?)\r?\n/i.exec(part)?.[1];
      const name = decodeURIComponent(line.split('?')[0]?.split('/').slice(3).join('/') ?? '');
      const fault = strike(`SUB ${name}`);
      const answer =
        fault === undefined
          ? deleteBlob(shelf, name, match === undefined ? {} : { 'if-match': match })
          : refusal(fault.status, fault.code);
      const code = answer.headers?.['x-ms-error-code'];
      const head = `--r\r\nContent-Type: application/http\r\nContent-ID: ${id}\r\n\r\nHTTP/1.1 ${answer.status} ${answer.status === 202 ? 'Accepted' : 'No'}\r\n`;
      return `${head}${code === undefined ? '' : `x-ms-error-code: ${code}\r\n`}x-ms-request-id: ${id}\r\n\r\n`;
    });
    return {
      status: 202,
      headers: { 'content-type': 'multipart/mixed; boundary=r' },
      body: `${answers.join('')}--r--`,
    };
  };

  const onContainer = (name: string, method: string, query: URLSearchParams, request: Incoming): Answer => {
    const shelf = containers.get(name);
    const { headers } = request;
    if (method === 'PUT' && query.get('comp') === null) {
      if (shelf !== undefined) return refusal(409, 'ContainerAlreadyExists');
      shelfOf(name).metadata = metadataOf(headers);
      return done(201, { etag: '"c"', 'last-modified': new Date().toUTCString() });
    }
    if (shelf === undefined) return refusal(404, 'ContainerNotFound');
    if (query.get('comp') === 'list') return list(shelf, query);
    if (query.get('comp') === 'lease') {
      const action = headers['x-ms-lease-action'];
      if (action === 'acquire' && shelf.lease !== undefined) return refusal(409, 'LeaseAlreadyPresent');
      shelf.lease = action === 'acquire' ? String(headers['x-ms-proposed-lease-id']) : undefined;
      return done(action === 'acquire' ? 201 : 200, { 'x-ms-lease-id': shelf.lease ?? '' });
    }
    if (method === 'DELETE') {
      if (shelf.lease !== undefined && headers['x-ms-lease-id'] !== shelf.lease) return refusal(412, 'LeaseIdMissing');
      if ([...shelf.blobs.values()].some((blob) => blob.legalHold === true))
        return refusal(409, 'ContainerImmutableDueToLegalHold');
      containers.delete(name);
      return done(202);
    }
    if (method === 'GET' || method === 'HEAD')
      return done(200, { etag: '"c"', 'last-modified': shelf.lastModified.toUTCString() });
    return refusal(501, 'NotImplementedByStandIn');
  };

  const onBlob = (shelf: Shelf, name: string, method: string, query: URLSearchParams, request: Incoming): Answer => {
    const { headers, body } = request;
    const shown = (blob: StandInBlob): Record<string, string> => ({
      etag: blob.etag,
      'last-modified': blob.lastModified.toUTCString(),
      'x-ms-blob-type': 'BlockBlob',
      ...Object.fromEntries(Object.entries(blob.metadata).map(([key, value]) => [`x-ms-meta-${key}`, value])),
    });
    const comp = query.get('comp');
    if (method === 'GET' || method === 'HEAD') {
      const found = guard(shelf, name, headers);
      if ('status' in found) return found;
      return {
        status: 200,
        headers: { ...shown(found), 'content-length': String(found.body.length) },
        body: found.body,
      };
    }
    if (method === 'DELETE') return deleteBlob(shelf, name, headers);
    if (comp === 'undelete') {
      const kept = shelf.deleted.get(name);
      if (kept === undefined) return refusal(404, 'BlobNotFound');
      shelf.deleted.delete(name);
      store(shelf, kept);
      return done(200);
    }
    if (comp === 'lease') {
      const blob = shelf.blobs.get(name);
      if (blob === undefined) return refusal(404, 'BlobNotFound');
      const action = headers['x-ms-lease-action'];
      if (action === 'acquire' && blob.leased === true) return refusal(409, 'LeaseAlreadyPresent');
      shelf.blobs.set(name, { ...blob, leased: action !== 'release' });
      return done(action === 'acquire' ? 201 : 200, {
        'x-ms-lease-id': String(headers['x-ms-proposed-lease-id'] ?? headers['x-ms-lease-id']),
      });
    }
    if (method !== 'PUT') return refusal(501, 'NotImplementedByStandIn');
    const there = shelf.blobs.get(name);
    if (comp === 'appendblock') {
      if (there === undefined) return refusal(404, 'BlobNotFound');
      store(shelf, { ...there, body: Buffer.concat([there.body, body]) });
      return done(201, { etag: '"a"', 'last-modified': new Date().toUTCString() });
    }
    if (headers['if-none-match'] === '*' && there !== undefined) return refusal(409, 'BlobAlreadyExists');
    if (there?.leased === true) return refusal(412, 'LeaseIdMissing');
    const source = headers['x-ms-copy-source'];
    if (typeof source === 'string') {
      const path = new URL(source).pathname.split('/');
      const from = containers.get(path[2] ?? '');
      const found =
        from === undefined
          ? undefined
          : guard(from, decodeURIComponent(path.slice(3).join('/')), { 'if-match': headers['x-ms-source-if-match'] });
      if (found === undefined || 'status' in found) return found ?? refusal(404, 'ContainerNotFound');
      return done(202, {
        ...shown(store(shelf, { name, body: found.body, metadata: metadataOf(headers) })),
        'x-ms-copy-status': 'success',
      });
    }
    return done(201, shown(store(shelf, { name, body, metadata: metadataOf(headers) })));
  };

  const answer = (request: Incoming): Answer => {
    const url = new URL(request.url, 'http://x');
    const [, , container = '', ...rest] = url.pathname.split('/');
    const { searchParams: query } = url;
    if (container === '') {
      if (query.get('comp') === 'properties') {
        const policy = softDays > 0 ? `<Enabled>true</Enabled><Days>${softDays}</Days>` : '<Enabled>false</Enabled>';
        return {
          status: 200,
          headers: { 'content-type': 'application/xml' },
          body: `<?xml version="1.0"?><StorageServiceProperties><DeleteRetentionPolicy>${policy}</DeleteRetentionPolicy></StorageServiceProperties>`,
        };
      }
      if (query.get('comp') !== 'list') return refusal(501, 'NotImplementedByStandIn');
      const prefix = query.get('prefix') ?? '';
      const found = [...containers].filter(([name]) => name.startsWith(prefix)).sort(([a], [b]) => (a < b ? -1 : 1));
      const rows = found.map(
        ([name, shelf]) =>
          `<Container><Name>${name}</Name><Properties><Last-Modified>${shelf.lastModified.toUTCString()}</Last-Modified><Etag>c</Etag></Properties>${metadataXml(shelf.metadata)}</Container>`,
      );
      return {
        status: 200,
        headers: { 'content-type': 'application/xml' },
        body: `<?xml version="1.0"?><EnumerationResults ServiceEndpoint="x"><Containers>${rows.join('')}</Containers><NextMarker/></EnumerationResults>`,
      };
    }
    if (query.get('comp') === 'batch') {
      if (options.batches === false) return refusal(400, 'InvalidInput');
      return batch(container, request.body.toString('utf8'), String(request.headers['content-type']));
    }
    if (rest.length === 0) return onContainer(container, request.method, query, request);
    const shelf = containers.get(container);
    if (shelf === undefined) return refusal(404, 'ContainerNotFound');
    return onBlob(shelf, decodeURIComponent(rest.join('/')), request.method, query, request);
  };

  const server = createServer((incoming: IncomingMessage, response: ServerResponse) => {
    const chunks: Buffer[] = [];
    incoming.on('data', (chunk: Buffer) => chunks.push(chunk));
    incoming.on('end', () => {
      const request: Incoming = {
        method: incoming.method ?? '',
        url: incoming.url ?? '',
        headers: incoming.headers,
        body: Buffer.concat(chunks),
      };
      const line = `${request.method} ${request.url}`;
      if (options.recordRequests !== false) seen.push(line);
      const fault = strike(line);
      if (fault?.afterEffect === true) answer(request);
      const given = fault === undefined ? answer(request) : refusal(fault.status, fault.code, fault.retryAfter);
      if (fault !== undefined && fault.status === 0) {
        incoming.socket.destroy();
        return;
      }
      const body = typeof given.body === 'string' ? Buffer.from(given.body) : (given.body ?? Buffer.alloc(0));
      const headers = {
        'x-ms-version': '2024-01-01',
        'x-ms-request-id': 'stand-in',
        'content-length': body.length,
        ...given.headers,
      };
      response.writeHead(given.status, headers).end(request.method === 'HEAD' ? undefined : body);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const endpoint = `http://127.0.0.1:${(server.address() as AddressInfo).port}/${azuriteAccount.account}`;
  return {
    endpoint,
    connectionString: `DefaultEndpointsProtocol=http;AccountName=${azuriteAccount.account};AccountKey=${azuriteAccount.keyBase64};BlobEndpoint=${endpoint};`,
    containers,
    faults,
    seen,
    put: (container, blob) => void store(shelfOf(container), blob),
    stop: async () => {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

interface Incoming {
  readonly method: string;
  readonly url: string;
  readonly headers: IncomingMessage['headers'];
  readonly body: Buffer;
}

function metadataXml(metadata: Readonly<Record<string, string>>): string {
  const entries = Object.entries(metadata);
  return entries.length === 0
    ? ''
    : `<Metadata>${entries.map(([name, value]) => `<${name}>${xml(value)}</${name}>`).join('')}</Metadata>`;
}

function entry(blob: StandInBlob): string {
  const { lastAccessed, legalHold, immutableUntil, leased } = blob;
  return [
    `<Blob><Name>${xml(blob.name)}</Name><Properties><Last-Modified>${blob.lastModified.toUTCString()}</Last-Modified>`,
    `<Etag>${blob.etag.replaceAll('"', '')}</Etag><Content-Length>${blob.body.length}</Content-Length><BlobType>BlockBlob</BlobType>`,
    `<LeaseState>${leased === true ? 'leased' : 'available'}</LeaseState>`,
    lastAccessed === undefined ? '' : `<LastAccessTime>${lastAccessed.toUTCString()}</LastAccessTime>`,
    immutableUntil === undefined
      ? ''
      : `<ImmutabilityPolicyUntilDate>${immutableUntil.toUTCString()}</ImmutabilityPolicyUntilDate>`,
    legalHold === true ? '<LegalHold>true</LegalHold>' : '',
    `</Properties>${metadataXml(blob.metadata)}`,
    blob.tags === undefined
      ? ''
      : `<Tags><TagSet>${Object.entries(blob.tags)
          .map(([key, value]) => `<Tag><Key>${xml(key)}</Key><Value>${xml(value)}</Value></Tag>`)
          .join('')}</TagSet></Tags>`,
    '</Blob>',
  ].join('');
}
