import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import {
  frozenRequestSchema,
  manifestBytes,
  sha256Hex,
  sharedInputHashOf,
  type FrozenRequest,
  type Manifest,
  type Part,
} from '@xva/contracts';
import { problem } from './stubs.ts';

export const stubKey = 'stub-key-0123456789';
export const stubLimitBytes = 1024 * 1024;
const knownTypes = new Set(['RateSwap', 'FxForward', 'FxOption', 'FxNdf', 'CrossCurrencySwap', 'Swaption']);

interface Made {
  readonly bytes: Buffer;
  readonly manifest: Manifest;
  readonly parts: ReadonlyMap<string, Buffer>;
}

class RefusedError extends Error {
  readonly defects: readonly object[];
  constructor(defects: readonly object[]) {
    super('refused');
    this.defects = defects;
  }
}

/**
 * A second implementation of the input API, small and in another language than the reference, which keeps every promise
 * of the contract but, with `fault` set, the one of that name.
 */
export class ConformingStub {
  fault = '';
  url = '';
  readonly #server: Server;
  readonly #packages = new Map<string, Made>();
  #posts = 0;
  #inWork = 0;
  #bodyBytes = 0;

  constructor() {
    this.#server = createServer((request, response) => void this.#serve(request, response));
  }

  async start(): Promise<this> {
    await new Promise<void>((resolve) => this.#server.listen(0, '127.0.0.1', resolve));
    this.url = `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
    return this;
  }

  async stop(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise<void>((resolve) => this.#server.close(() => resolve()));
  }

  reset(fault: string): void {
    this.fault = fault;
    this.#posts = 0;
    this.#packages.clear();
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const path = request.url ?? '';
    if (request.headers['x-api-key'] !== stubKey && this.fault !== 'key-required') {
      refuse(response, 401, 'unauthorized');
      return;
    }
    if (path === '/v1/packages' && request.method === 'POST') {
      this.#inWork += 1;
      await this.#post(request, response).finally(() => (this.#inWork -= 1));
      return;
    }
    if (path === '/v1/packages') {
      if (this.fault === 'method-405') response.writeHead(200).end('{}');
      else refuse(response, 405, 'method-not-allowed');
      return;
    }
    const [, packageId = '', sha256 = ''] =
      /^\/v1\/packages\/([0-9a-f]{64})\/objects\/([0-9a-f]{64})$/.exec(path) ?? [];
    const bytes = this.#packages.get(packageId)?.parts.get(sha256);
    if (bytes === undefined) {
      if (this.fault === 'unknown-404') response.writeHead(200).end('root:x:0:0');
      else refuse(response, 404, 'object-not-cached');
      return;
    }
    this.#sendPart(request, response, sha256, bytes);
  }

  async #post(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const chunks: Buffer[] = [];
    let size = 0;
    const isUnlimited = this.fault === 'limit-413-chunked' || this.fault === 'limit-413-announced';
    const announced = Number(request.headers['content-length'] ?? 0);
    if (announced > stubLimitBytes && !isUnlimited) {
      refuse(response, 413, 'request-too-big');
      return;
    }
    for await (const chunk of request) {
      size += (chunk as Buffer).length;
      if (size > stubLimitBytes && !isUnlimited) {
        refuse(response, 413, 'request-too-big');
        return;
      }
      chunks.push(chunk as Buffer);
    }
    if (isUnlimited && size > stubLimitBytes) {
      refuse(response, 500, 'internal');
      return;
    }
    if (request.headers['content-type'] === 'application/xml') {
      if (this.fault === 'media-type') response.writeHead(200).end('<manifest/>');
      else refuse(response, 415, 'unsupported-media-type');
      return;
    }
    this.#posts += 1;
    if (this.#inWork > 12) {
      const headers: Record<string, string> = this.fault === 'busy-answers' ? {} : { 'retry-after': '1' };
      response.writeHead(503, { 'content-type': 'application/problem+json', ...headers });
      response.end(JSON.stringify(problem(503, 'busy')));
      return;
    }
    await new Promise((resolve) => setTimeout(resolve, 40));
    this.#answer(Buffer.concat(chunks), response);
  }

  #answer(body: Buffer, response: ServerResponse): void {
    let made: Made;
    this.#bodyBytes = body.length;
    try {
      made = this.#make(body);
    } catch (error) {
      if (!(error instanceof RefusedError)) throw error;
      if (this.fault === 'refusal-malformed') response.writeHead(500).end('Traceback (most recent call last):');
      else refuse(response, 422, 'package-refused', error.defects);
      return;
    }
    const packageId = sha256Hex(made.bytes);
    this.#packages.set(packageId, made);
    const etag = this.fault === 'manifest-etag' ? '"1"' : `"${packageId}"`;
    const status = this.fault === 'package-created' ? 202 : 200;
    response.writeHead(status, { 'content-type': 'application/json', etag }).end(made.bytes);
  }

  #sendPart(request: IncomingMessage, response: ServerResponse, sha256: string, whole: Buffer): void {
    const { fault } = this;
    const etag = `"${sha256}"`;
    if (request.headers['if-none-match'] === etag && fault !== 'parts-etag') {
      response.writeHead(304, { etag }).end();
      return;
    }
    const [, from = '', to = ''] = /^bytes=(\d*)-(\d*)$/.exec(request.headers.range ?? '') ?? [];
    if (request.headers.range === undefined) {
      const bytes = fault === 'parts-hash' ? Buffer.concat([whole, Buffer.from('\n')]) : whole;
      response.writeHead(200, { etag, 'content-length': bytes.length }).end(bytes);
      return;
    }
    const start = from === '' ? whole.length - Number(to) : Number(from);
    const end = from === '' || to === '' ? whole.length - 1 : Math.min(Number(to), whole.length - 1);
    if (start >= whole.length) {
      response.writeHead(416, { 'content-range': `bytes */${whole.length}` }).end();
      return;
    }
    const shift = fault === 'parts-ranges' ? 1 : 0;
    const headers = { etag, 'content-range': `bytes ${start}-${end}/${whole.length}` };
    response.writeHead(206, headers).end(whole.subarray(start + shift, end + 1 + shift));
  }

  #make(body: Buffer): Made {
    const request = this.#read(body);
    const refused = refusalsOf(request, this.fault === 'refusal-duplicate');
    if (request.settings.strict && refused.length > 0 && this.fault !== 'refusal-strict') {
      throw new RefusedError(refused.map(({ tradeId, code, message }) => ({ subject: tradeId, code, message })));
    }
    return this.#package(request, refused);
  }

  #read(body: Buffer): FrozenRequest {
    const defect = (subject: string, message: string) => ({ subject, code: 'malformed-request', message });
    let value: Record<string, unknown>;
    try {
      value = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(body)) as Record<string, unknown>;
    } catch {
      throw new RefusedError([defect('body', 'is no JSON')]);
    }
    this.#forgive(value);
    const parsed = frozenRequestSchema.safeParse(value);
    if (parsed.success) return parsed.data;
    throw new RefusedError(parsed.error.issues.map(({ path, message }) => defect(path.join('.'), message)));
  }

  /** What a careless reader of requests would let pass. */
  #forgive(value: Record<string, unknown>): void {
    const settings = value['settings'] as Record<string, unknown> | undefined;
    if (settings === undefined) return;
    if (this.fault === 'refusal-unknown-field') {
      delete value['surpriseField'];
      delete settings['surpriseSetting'];
    }
    if (this.fault === 'refusal-missing-field') {
      value['quotes'] ??= [];
      settings['seed'] ??= 1;
    }
    if (this.fault === 'refusal-types') settings['samples'] = Number(settings['samples']);
  }

  #package(request: FrozenRequest, refused: readonly ReturnType<typeof refusalsOf>[number][]): Made {
    const { fault } = this;
    const isRefused = (id: string): boolean => refused.some(({ nettingSetId }) => nettingSetId === id);
    const byKey = <T>(list: readonly T[], key: (item: T) => string): T[] =>
      fault === 'order-free' ? [...list] : [...list].sort((a, b) => (key(a) < key(b) ? -1 : 1));
    const trades = byKey(request.trades, ({ tradeId }) => tradeId).filter(
      ({ nettingSetId }) => !isRefused(nettingSetId),
    );
    const quotes = byKey(request.quotes, ({ key }) => key);
    const salt = this.#salt();
    const texts: readonly (readonly [string, Part['role'], string])[] = [
      ['Input/market.txt', 'market', `${quotes.map(({ key, value }) => `${key} ${value}`).join('\n')}${salt}\n`],
      ['Input/portfolio.xml', 'portfolio', `<Portfolio>${trades.map(({ tradeId }) => tradeId).join()}</Portfolio>`],
      ['Input/simulation.xml', 'simulation', fault === 'parts-text' ? '<!DOCTYPE x><Simulation/>' : '<Simulation/>'],
    ];
    const parts: Part[] = [];
    const contents = new Map<string, Buffer>();
    for (const [path, role, text] of texts) {
      const bytes = Buffer.from(text);
      contents.set(sha256Hex(bytes), bytes);
      parts.push({ path, role, size: bytes.length, sha256: sha256Hex(bytes) });
    }
    const manifest = this.#manifest(request, fault === 'parts-named' ? [...parts].reverse() : parts, trades, refused);
    const text = fault === 'manifest-canonical' ? JSON.stringify(manifest, null, 1) : manifestBytes(manifest);
    const extra = fault === 'manifest-schema' ? text.replace(/^\{/, '{"aSurprise":1,') : text;
    return { manifest, bytes: Buffer.from(extra), parts: contents };
  }

  /** What makes two packages of one request differ, each time in another circumstance. */
  #salt(): string {
    const { fault } = this;
    if (fault === 'repeatable' || fault === 'alive-after') return `#${this.#posts}`;
    if (fault === 'form-free') return `#${this.#bodyBytes}`;
    return fault === 'parallel-same' ? `#${this.#inWork > 1}` : '';
  }

  #manifest(
    request: FrozenRequest,
    parts: Part[],
    trades: FrozenRequest['trades'],
    refused: readonly ReturnType<typeof refusalsOf>[number][],
  ): Manifest {
    const { fault } = this;
    const { settings, requestKey } = request;
    const { baseCurrency, samples, seed, quantile, strict, priority } = settings;
    const sets = [...request.nettingSets].sort((a, b) => (a.id < b.id ? -1 : 1));
    const gone = new Set(fault === 'refusal-partial' ? [] : refused.map(({ nettingSetId }) => nettingSetId));
    const lost = fault === 'trades-accounted' ? trades[0]?.tradeId : undefined;
    // The identity of whoever asked last: what a global variable does to callers side by side.
    const isMixedUp = fault === 'parallel-different' && this.#inWork > 1;
    return {
      schemaVersion: '1.0',
      eventId: isMixedUp ? sha256Hex('somebody else').slice(0, 32) : request.eventId,
      requestKey,
      asOf: requestKey.asOf,
      baseCurrency,
      samples,
      seed: fault === 'answers-the-request' ? seed + 1 : seed,
      quantile,
      gridDates: 10,
      strict,
      priority,
      generator: { name: 'stub', version: '1' },
      engine: { name: 'none', version: '1' },
      parts,
      sharedInputHash: fault === 'shared-input-hash' ? sha256Hex('x') : sharedInputHashOf(parts),
      nettingSets: sets
        .filter(({ id }) => !gone.has(id))
        .map(({ id, counterparty, csa }) => ({
          id,
          counterparty,
          collateralised: csa !== null,
          trades: trades
            .filter(({ nettingSetId, tradeId }) => nettingSetId === id && tradeId !== lost)
            .map(({ tradeId, tradeType }) => ({ tradeId, tradeType, costNanos: 1 })),
          grossNotional: '1',
        }))
        .filter((set) => set.trades.length > 0),
      refusedNettingSets: sets
        .filter(({ id }) => gone.has(id))
        .map(({ id }) => ({ id, tradeCount: 1, grossNotional: null })),
      refusals: refused.map((refusal) => ({ ...refusal, subject: refusal.tradeId })),
      warnings: [],
    };
  }
}

function refusalsOf(
  request: FrozenRequest,
  allowTwice: boolean,
): { nettingSetId: string; tradeId: string; code: string; message: string }[] {
  const seen = new Set<string>();
  return request.trades.flatMap(({ tradeId, tradeType, nettingSetId }) => {
    const isTwice = seen.has(tradeId);
    seen.add(tradeId);
    if (isTwice && !allowTwice)
      return [{ nettingSetId, tradeId, code: 'duplicate-trade', message: `trade ${tradeId} is given twice` }];
    if (knownTypes.has(tradeType)) return [];
    return [{ nettingSetId, tradeId, code: 'unknown-trade-type', message: `trade ${tradeId} has type ${tradeType}` }];
  });
}

function refuse(response: ServerResponse, status: number, code: string, errors: readonly object[] = []): void {
  response.writeHead(status, { 'content-type': 'application/problem+json', connection: 'close' });
  response.end(JSON.stringify(problem(status, code, errors)));
}
