import { request } from 'node:http';

/** A generator of random numbers that a seed repeats (mulberry32). */
export function seeded(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
}

interface Operation {
  readonly method: string;
  readonly path: string;
  readonly example: unknown;
}

interface Document {
  readonly paths: Readonly<
    Record<
      string,
      Readonly<
        Record<string, { readonly requestBody?: { readonly content: Readonly<Record<string, { example?: unknown }>> } }>
      >
    >
  >;
}

export function operationsOf(document: Document): readonly Operation[] {
  return Object.entries(document.paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, row]) => ({
      method: method.toUpperCase(),
      path,
      example: row.requestBody?.content['application/json']?.example,
    })),
  );
}

/** What breaks parsers, queries, file names, regular expressions and terminals. */
const nasty: readonly string[] = [
  ...['', '0', '-1', 'null', 'NaN', '1e999', '../../etc/passwd', '..%2f..%2f', '%00', '%ff%fe', '%2e%2e%2f', '%252e'],
  ...[
    "' or '1'='1",
    "')) or (PartitionKey ne '",
    '; DROP TABLE runs',
    '$(id)',
    '`id`',
    '|id',
    '\\..\\..',
    'CON',
    'nul.txt',
  ],
  ...[
    '<script>alert(1)</script>',
    '=1+1',
    '{{7*7}}',
    '${7*7}',
    '%0d%0aset-cookie:a=b',
    'é',
    '𝒳',
    '\u202e',
    '%ef%bb%bf',
  ],
  ...[
    'a'.repeat(1_025),
    'xva-20260930-rates-abcdefghijklmn',
    'xva-99999999-x',
    'XVA-20260930-RATES-X',
    'shard-0000',
    'merge',
  ],
  ...[
    '__proto__',
    'constructor',
    'toString',
    'hasOwnProperty',
    '[object Object]',
    'true',
    '[]',
    '{}',
    '*',
    '"7"',
    'W/"7"',
  ],
];
const methods = ['GET', 'GET', 'GET', 'POST', 'POST', 'PUT', 'DELETE', 'PATCH', 'OPTIONS', 'HEAD'];
const headerNames = [
  'accept',
  'range',
  'if-match',
  'if-none-match',
  'last-event-id',
  'traceparent',
  'x-request-id',
  'origin',
];
const contentTypes = ['application/json', 'text/plain', 'application/xml', 'application/json; charset=utf-16', '', 'x'];

/** One value in another's place, somewhere in a document. */
function mutated(value: unknown, pick: <T>(from: readonly T[]) => T, random: () => number): unknown {
  const strange: readonly unknown[] = [null, true, -0, 1e308, 9_007_199_254_740_993, [], {}, [[[]]], ...nasty];
  if (random() < 0.15 || typeof value !== 'object' || value === null) return pick(strange);
  if (Array.isArray(value)) return value.map((item: unknown) => (random() < 0.5 ? mutated(item, pick, random) : item));
  const entries = Object.entries(value).map(
    ([key, item]) =>
      [random() < 0.05 ? pick(nasty) : key, random() < 0.3 ? mutated(item, pick, random) : item] as const,
  );
  return Object.fromEntries(entries.filter(() => random() > 0.05));
}

export interface FuzzedRequest {
  readonly method: string;
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
}

export function fuzzedRequest(operations: readonly Operation[], random: () => number): FuzzedRequest {
  const pick = <T>(from: readonly T[]): T => from[Math.floor(random() * from.length)] as T;
  const operation = pick(operations);
  const text = (): string => (random() < 0.5 ? encodeURIComponent(pick(nasty)) : pick(nasty));
  const filled = operation.path.replaceAll(/\{(\w+)\}/g, (_all, name: string) =>
    name === 'runId' && random() < 0.6 ? 'xva-20260930-rates-abcdefghijklmn' : text(),
  );
  const names = ['state', 'book', 'limit', 'page', 'format', 'nettingSet', 'attempt', 'asOf', 'desk', pick(nasty)];
  const query = random() < 0.4 ? `?${pick(names)}=${text()}&${pick(names)}=${text()}` : '';
  const headers: Record<string, string> = {};
  if (random() < 0.5) headers[pick(headerNames)] = pick(nasty).replaceAll(/[^\x20-\x7e]/g, '?');
  const method = random() < 0.8 ? operation.method : pick(methods);
  let body = '';
  if (method !== 'GET' && method !== 'HEAD' && random() < 0.9) {
    headers['content-type'] = random() < 0.9 ? 'application/json' : pick(contentTypes);
    body = JSON.stringify(mutated(operation.example ?? {}, pick, random));
    if (random() < 0.15) body = body.slice(0, Math.floor(random() * body.length)) + pick(nasty);
  }
  // What Node itself refuses to send is no trial of the other side.
  const path = `${filled}${query}`.replaceAll(/[^\x21-\x7e]/gu, (character) => encodeURIComponent(character));
  return { method, path, headers, body };
}

export interface FuzzedAnswer {
  readonly status: number;
  readonly contentType: string;
  readonly text: string;
}

/** Sends it; streams are cut after their first bytes. */
export function sendFuzzed(url: string, key: string, fuzzed: FuzzedRequest): Promise<FuzzedAnswer> {
  const { hostname, port } = new URL(url);
  return new Promise((resolve, reject) => {
    const sent = request(
      {
        ...{ hostname, port, method: fuzzed.method, path: fuzzed.path },
        headers: { ...fuzzed.headers, 'x-api-key': key, 'content-length': Buffer.byteLength(fuzzed.body) },
      },
      (response) => {
        const { statusCode: status = 0 } = response;
        const contentType = response.headers['content-type'] ?? '';
        let text = '';
        const done = (): void => resolve({ status, contentType, text });
        response.on('data', (chunk: Buffer) => {
          text += chunk.toString('latin1');
          if (!contentType.startsWith('text/event-stream')) return;
          response.destroy();
          done();
        });
        response.once('end', done);
        response.once('error', done);
      },
    );
    sent.once('error', reject);
    sent.end(fuzzed.body);
  });
}

/** Sends `count` requests, a few at a time; @returns how often each status came. @throws Error with the request that broke it */
export async function fuzz(
  url: string,
  key: string,
  document: Document,
  options: { readonly count: number; readonly seed: number },
): Promise<ReadonlyMap<number, number>> {
  const random = seeded(options.seed);
  const operations = operationsOf(document);
  const statuses = new Map<number, number>();
  let left = options.count;
  const work = async (): Promise<void> => {
    while (left > 0) {
      left -= 1;
      const fuzzed = fuzzedRequest(operations, random);
      const answer = await sendFuzzed(url, key, fuzzed);
      const { status, contentType, text } = answer;
      statuses.set(status, (statuses.get(status) ?? 0) + 1);
      const isProblem = status >= 400 && fuzzed.method !== 'HEAD';
      if (status >= 500 || (isProblem && !contentType.startsWith('application/problem+json')))
        throw new Error(`seed ${options.seed}: ${JSON.stringify(fuzzed)} was answered ${status} ${text.slice(0, 500)}`);
    }
  };
  await Promise.all(Array.from({ length: 8 }, work));
  return statuses;
}
