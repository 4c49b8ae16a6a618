import { createHash } from 'node:crypto';
import { Readable } from 'node:stream';
import { canonicalJson, sha256Hex, type FrozenRequest } from '@xva/contracts';
import { checkPart, StepFailure } from '@xva/flow-package';
import type { Answer } from './exchange.ts';
import { demand, demandProblem, excerpt, NotConformingError, renamed, type Suite } from './suite.ts';

/** One promise of the input API's contract. */
export interface ConformanceCheck {
  readonly name: string;
  readonly promise: string;
  /** @throws NotConformingError, or whatever an exchange fails with. */
  readonly run: (suite: Suite) => Promise<void>;
}

/** Defects of a manifest by the check that reports them; what is in none of them belongs to `manifest-schema`. */
const defectChecks = {
  'answers-the-request': ['not-what-was-asked'],
  'parts-named': ['not-sorted', 'name-collision', 'name-reserved', 'part-count'],
  'shared-input-hash': ['hash-differs'],
  'trades-accounted': ['trade-lost', 'trade-twice', 'trade-unknown', 'both', 'partial-though-strict'],
} as const;
const named: readonly string[] = Object.values(defectChecks).flat();

function manifestCheck(name: keyof typeof defectChecks, promise: string): ConformanceCheck {
  const codes: readonly string[] = defectChecks[name];
  return {
    name,
    promise,
    run: async (suite) => {
      const { defects, found } = await suite.judged();
      const own = defects.filter(({ code }) => codes.includes(code));
      demand(
        own.length === 0,
        own
          .map(({ message }) => message)
          .slice(0, 5)
          .join('; '),
      );
      demand(
        found !== undefined || defects.some(({ code }) => named.includes(code)),
        'the manifest cannot be read, see manifest-schema',
      );
    },
  };
}

async function samePackage(suite: Suite, body: unknown, what: string): Promise<void> {
  const first = await suite.first();
  const answer = await suite.post(body);
  demand(answer.status === 200, `${what} is answered ${answer.status} (${excerpt(answer.body)}), not 200`);
  demand(answer.body.equals(first.body), `${what} gives other bytes: ${firstDifference(first.body, answer.body)}`);
}

function firstDifference(a: Buffer, b: Buffer): string {
  let at = 0;
  while (at < a.length && a[at] === b[at]) at += 1;
  const from = Math.max(0, at - 30);
  return `from byte ${at}: ${excerpt(a.subarray(from, at + 40))} against ${excerpt(b.subarray(from, at + 40))}`;
}

function reversed(request: FrozenRequest): object {
  const { nettingSets, trades, quotes, fixings } = request;
  const back = <T>(list: readonly T[]): T[] => [...list].reverse();
  return {
    ...request,
    nettingSets: back(nettingSets),
    trades: back(trades),
    quotes: back(quotes),
    fixings: back(fixings),
  };
}

/** Members of every object in the opposite order. */
function turned(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(turned);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(
    Object.entries(value)
      .reverse()
      .map(([name, member]) => [name, turned(member)]),
  );
}

const isBusy = ({ status }: Answer): boolean => status === 429 || status === 503;

function demandRetryAfter(answer: Answer): void {
  const problem = demandProblem(answer, [429, 503], 'a request above capacity');
  const after = answer.headers['retry-after'] ?? '';
  demand(
    /^\d+$/.test(after) || !Number.isNaN(Date.parse(after)),
    `${problem.code}: no usable Retry-After ("${after}")`,
  );
}

/** Refusals of bodies: what is sent, and a word that the answer must hold. */
function refuses(
  name: string,
  promise: string,
  bodies: (suite: Suite) => readonly (readonly [what: string, body: unknown, words: readonly string[]])[],
): ConformanceCheck {
  return {
    name,
    promise,
    run: async (suite) => {
      for (const [what, body, words] of bodies(suite)) {
        const started = performance.now();
        const answer = await suite.post(body);
        const problem = demandProblem(answer, [400, 413, 422], what);
        if (answer.status === 422) {
          demand(problem.code === 'package-refused', `${what}: the code is ${problem.code}, not package-refused`);
          demand((problem.errors ?? []).length > 0, `${what}: the problem names no defect in errors`);
        }
        const text = answer.body.toString('utf8');
        for (const word of words)
          demand(text.includes(word), `${what}: the answer does not name ${word}: ${excerpt(answer.body)}`);
        const tookMs = performance.now() - started;
        demand(tookMs < 10_000, `${what}: took ${Math.round(tookMs)} ms to refuse`);
      }
    },
  };
}

async function tooLarge(suite: Suite, announced: boolean): Promise<void> {
  const { tooLargeBytes } = suite.options;
  const block = Buffer.alloc(1024 * 1024, ' ');
  const blocks = function* (): Generator<Buffer> {
    for (let sent = 0; sent <= tooLargeBytes; sent += block.length) yield block;
  };
  const length = String(Math.ceil((tooLargeBytes + 1) / block.length) * block.length);
  const headers = { 'content-type': 'application/json', ...(announced ? { 'content-length': length } : {}) };
  const what = `a body of more than ${tooLargeBytes} bytes, ${announced ? 'announced' : 'in chunks'}`;
  const answer = await insisting(() => suite.send({ method: 'POST', path: '/v1/packages', headers, body: blocks() }));
  demandProblem(answer, [413], what);
}

/** Tries again when the connection was reset: that may overtake a refusal which was sent before it. */
async function insisting(ask: () => Promise<Answer>): Promise<Answer> {
  for (let left = 5; ; left -= 1) {
    try {
      return await ask();
    } catch (error) {
      const code = (error as { code?: string }).code ?? '';
      if (left === 0 || !['ECONNRESET', 'EPIPE'].includes(code)) throw error;
    }
  }
}

export const checks: readonly ConformanceCheck[] = [
  {
    name: 'package-created',
    promise: 'a good request is answered 200 with a manifest as application/json',
    run: async (suite) => {
      const { status, headers, body } = await suite.first();
      demand(status === 200, `a good request is answered ${status} (${excerpt(body)}), not 200`);
      const type = headers['content-type'] ?? '';
      demand(type.startsWith('application/json'), `content-type is ${type}, not application/json`);
    },
  },
  {
    name: 'manifest-schema',
    promise: 'the manifest fits its JSON Schema, with sizes that agree',
    run: async (suite) => {
      const { defects } = await suite.judged();
      const other = defects.filter(({ code }) => !named.includes(code));
      demand(
        other.length === 0,
        other
          .map(({ subject, message }) => `${subject}: ${message}`)
          .slice(0, 5)
          .join('; '),
      );
    },
  },
  {
    name: 'manifest-canonical',
    promise: 'the manifest is canonical JSON: members sorted, no spaces, text in its shortest form',
    run: async (suite) => {
      const { body } = await suite.first();
      const canonical = Buffer.from(canonicalJson(JSON.parse(body.toString('utf8')) as never));
      demand(body.equals(canonical), `not canonical ${firstDifference(canonical, body)}`);
    },
  },
  {
    name: 'manifest-etag',
    promise: "the ETag is the package id, the SHA-256 of the manifest's bytes",
    run: async (suite) => {
      const { headers, body } = await suite.first();
      const expected = `"${sha256Hex(body)}"`;
      demand(headers.etag === expected, `the ETag is ${headers.etag ?? 'absent'}, not ${expected}`);
    },
  },
  manifestCheck('answers-the-request', 'event, key and settings are those of the request'),
  manifestCheck('parts-named', 'names are plain relative paths, sorted, once each on any file system'),
  manifestCheck('shared-input-hash', 'the shared input hash follows from the parts'),
  manifestCheck('trades-accounted', 'every trade is packaged once, in a refused netting set, or named by a warning'),
  {
    name: 'parts-hash',
    promise: 'every part can be had, with the size and the SHA-256 that the manifest says',
    run: async (suite) => {
      const { manifest, packageId } = await suite.package();
      for (const { path, sha256, size } of manifest.parts) {
        const { status, body, headers } = await suite.part(packageId, sha256);
        demand(status === 200, `${path} is answered ${status}`);
        demand(body.length === size, `${path} has ${body.length} bytes, the manifest says ${size}`);
        demand(createHash('sha256').update(body).digest('hex') === sha256, `${path} has another SHA-256`);
        const length = headers['content-length'];
        demand(length === undefined || Number(length) === size, `${path}: content-length is ${length ?? ''}`);
      }
    },
  },
  {
    name: 'parts-text',
    promise: 'parts are text in UTF-8, without document type, entity or inclusion',
    run: async (suite) => {
      const { manifest, packageId } = await suite.package();
      for (const part of manifest.parts) {
        const { body } = await suite.part(packageId, part.sha256);
        const asTold = { ...part, size: body.length, sha256: createHash('sha256').update(body).digest('hex') };
        try {
          const chunks = checkPart(asTold, Readable.from([body]));
          while ((await chunks.next()).done !== true) continue;
        } catch (error) {
          throw error instanceof StepFailure ? new NotConformingError(error.message) : error;
        }
      }
    },
  },
  {
    name: 'parts-etag',
    promise: 'a part has its SHA-256 as ETag, and who has it already is told so (304)',
    run: async (suite) => {
      const { manifest, packageId } = await suite.package();
      const { sha256, path } = manifest.parts[0] ?? { sha256: '', path: '' };
      const { headers } = await suite.part(packageId, sha256);
      demand(headers.etag === `"${sha256}"`, `${path}: the ETag is ${headers.etag ?? 'absent'}`);
      const again = await suite.part(packageId, sha256, { 'if-none-match': `"${sha256}"` });
      demand(again.status === 304, `${path} with If-None-Match is answered ${again.status}, not 304`);
      demand(again.body.length === 0, `${path}: a 304 with a body`);
    },
  },
  {
    name: 'parts-ranges',
    promise: 'a range is answered with those bytes (206), or with the whole part (200): never with others',
    run: async (suite) => {
      const { manifest, packageId } = await suite.package();
      const part = [...manifest.parts].sort((a, b) => b.size - a.size)[0];
      demand(part !== undefined && part.size > 20, 'no part is large enough for a range');
      const whole = (await suite.part(packageId, part.sha256)).body;
      const { size } = part;
      const ranges: readonly (readonly [string, number, number])[] = [
        ['bytes=0-9', 0, 9],
        ['bytes=10-', 10, size - 1],
        ['bytes=-7', size - 7, size - 1],
        [`bytes=5-${size + 100}`, 5, size - 1],
      ];
      for (const [range, from, to] of ranges) {
        const { status, body, headers } = await suite.part(packageId, part.sha256, { range });
        demand(status === 200 || status === 206, `${range} is answered ${status}, not 206 or 200`);
        const expected = status === 200 ? whole : whole.subarray(from, to + 1);
        demand(body.equals(expected), `${range} is answered ${status} with other bytes`);
        const told = headers['content-range'];
        demand(
          status === 200 || told === `bytes ${from}-${to}/${size}`,
          `${range}: content-range is ${told ?? 'absent'}`,
        );
      }
      const { status } = await suite.part(packageId, part.sha256, { range: `bytes=${size + 10}-` });
      demand(status === 200 || status === 416, `a range past the end is answered ${status}, not 416 or 200`);
    },
  },
  {
    name: 'repeatable',
    promise: 'the same request gives the same bytes again',
    run: (suite) => samePackage(suite, suite.request, 'the same request'),
  },
  {
    name: 'order-free',
    promise: 'the order of the lists does not matter',
    run: (suite) => samePackage(suite, reversed(suite.request), 'the request with its lists reversed'),
  },
  {
    name: 'form-free',
    promise: 'spaces and the order of members do not matter',
    run: (suite) =>
      samePackage(suite, Buffer.from(JSON.stringify(turned(suite.request), null, 3)), 'the request in another form'),
  },
  {
    name: 'parallel-same',
    promise: 'eight callers of one request get the same bytes (or are asked to wait)',
    run: async (suite) => {
      const first = await suite.first();
      const answers = await Promise.all(Array.from({ length: 8 }, () => suite.post(suite.request)));
      for (const answer of answers) {
        if (isBusy(answer)) demandRetryAfter(answer);
        else
          demand(answer.body.equals(first.body), `one of eight at once: ${firstDifference(first.body, answer.body)}`);
      }
      demand(
        answers.some(({ status }) => status === 200),
        'none of eight at once was answered 200',
      );
    },
  },
  {
    name: 'parallel-different',
    promise: 'callers of different requests get each their own package',
    run: async (suite) => {
      const requests = Array.from({ length: 6 }, (_unused, index) => renamed(suite.request, `p${index}`));
      const answers = await Promise.all(requests.map((request) => suite.post(request)));
      for (const [index, answer] of answers.entries()) {
        const request = requests[index];
        if (request === undefined) continue;
        if (isBusy(answer)) {
          demandRetryAfter(answer);
          continue;
        }
        demand(answer.status === 200, `one of six different at once is answered ${answer.status}`);
        const { defects } = suite.judge(answer.body, request);
        demand(defects.length === 0, `one of six different at once: ${defects[0]?.message ?? ''}`);
      }
    },
  },
  {
    name: 'busy-answers',
    promise: 'of forty at once each is answered, or refused with 429 or 503 and Retry-After',
    run: async (suite) => {
      const answers = await Promise.all(Array.from({ length: 40 }, () => suite.post(suite.request)));
      for (const answer of answers) {
        if (answer.status !== 200) demandRetryAfter(answer);
      }
    },
  },
  {
    name: 'key-required',
    promise: 'without the key, or with another one, nothing but 401',
    run: async (suite) => {
      const { apiKey } = suite.options;
      const body = Buffer.from(JSON.stringify(suite.request));
      const nothing = '0'.repeat(64);
      for (const key of ['', 'wrong', apiKey.slice(0, -1), `${apiKey}x`]) {
        const post = { method: 'POST', path: '/v1/packages', headers: { 'content-type': 'application/json' }, body };
        for (const call of [post, { path: `/v1/packages/${nothing}/objects/${nothing}` }]) {
          const answer = await suite.send(call, key);
          demandProblem(answer, [401], `${call.path} with another key`);
          demand(!answer.body.toString('latin1').includes(apiKey), 'the answer holds the key');
        }
      }
    },
  },
  refuses('refusal-malformed', 'what is no JSON object in UTF-8 is refused with a problem', () => [
    ['an empty body', Buffer.alloc(0), []],
    ['half a document', Buffer.from('{"schemaVersion":'), []],
    ['an array', [1], []],
    ['bytes that are no UTF-8', Buffer.from([0x7b, 0xff, 0xfe, 0x7d]), []],
    ['nesting of 100,000', Buffer.from('['.repeat(100_000)), []],
  ]),
  refuses('refusal-unknown-field', 'a field that the contract does not know is refused by name', ({ request }) => [
    ['an unknown field', { ...request, surpriseField: 1 }, ['surpriseField']],
    ['an unknown setting', { ...request, settings: { ...request.settings, surpriseSetting: 1 } }, ['surpriseSetting']],
  ]),
  refuses('refusal-missing-field', 'a missing field is refused by name', ({ request }) => [
    ['a request without quotes', { ...request, quotes: undefined }, ['quotes']],
    ['settings without a seed', { ...request, settings: { ...request.settings, seed: undefined } }, ['seed']],
  ]),
  refuses('refusal-types', 'numbers and texts are not taken for each other', ({ request }) => [
    ['samples as text', { ...request, settings: { ...request.settings, samples: '50' } }, ['samples']],
    ['a quote as a number', { ...request, quotes: [{ ...request.quotes[0], value: 1.5 }] }, ['value']],
    ['a number beyond all', Buffer.from(JSON.stringify(request).replace(/"samples":\d+/, '"samples":1e999')), []],
  ]),
  {
    name: 'refusal-strict',
    promise: 'a strict request with a bad trade is refused whole: 422, package-refused, the trade named',
    run: async (suite) => {
      const { request } = suite;
      const [bad, ...others] = request.trades;
      demand(bad !== undefined, 'the request has no trade');
      const settings = { ...request.settings, strict: true };
      const answer = await suite.post({
        ...request,
        settings,
        trades: [{ ...bad, tradeType: 'NoSuchTrade' }, ...others],
      });
      const problem = demandProblem(answer, [422], 'a strict request with a trade of no known type');
      demand(problem.code === 'package-refused', `the code is ${problem.code}, not package-refused`);
      const told = (problem.errors ?? []).some(({ subject, message }) => `${subject} ${message}`.includes(bad.tradeId));
      demand(told, `no error names trade ${bad.tradeId}: ${excerpt(answer.body)}`);
    },
  },
  {
    name: 'refusal-partial',
    promise: 'a bad trade refuses its netting set, by name, and the rest is packaged',
    run: async (suite) => {
      const { request } = suite;
      const bad = request.trades[0];
      demand(bad !== undefined, 'the request has no trade');
      demand(request.nettingSets.length > 1, 'the request has one netting set only: nothing would be left to package');
      const asked: FrozenRequest = {
        ...request,
        settings: { ...request.settings, strict: false },
        trades: request.trades.map((trade) => (trade === bad ? { ...trade, tradeType: 'NoSuchTrade' } : trade)),
      };
      const answer = await suite.post(asked);
      demand(
        answer.status === 200,
        `a request with one bad trade is answered ${answer.status} (${excerpt(answer.body)})`,
      );
      const { defects, found } = suite.judge(answer.body, asked);
      demand(found !== undefined, `its package is not valid: ${defects[0]?.message ?? ''}`);
      const { refusedNettingSets, refusals } = found.manifest;
      demand(
        refusedNettingSets.some(({ id }) => id === bad.nettingSetId),
        `netting set ${bad.nettingSetId} of the bad trade is not among the refused ones`,
      );
      demand(
        refusals.some(({ tradeId }) => tradeId === bad.tradeId),
        `no refusal names trade ${bad.tradeId}`,
      );
    },
  },
  {
    name: 'refusal-duplicate',
    promise: 'a trade id given twice is never packaged silently',
    run: async (suite) => {
      const { request } = suite;
      const twice = request.trades[0];
      demand(twice !== undefined, 'the request has no trade');
      const answer = await suite.post({ ...request, trades: [...request.trades, twice] });
      if (answer.status !== 200) {
        demandProblem(answer, [422], 'a trade id given twice');
        demand(answer.body.includes(twice.tradeId), `the answer does not name ${twice.tradeId}`);
        return;
      }
      const { found } = suite.judge(answer.body, request);
      const packaged = found?.manifest.nettingSets.some(({ trades }) =>
        trades.some(({ tradeId }) => tradeId === twice.tradeId),
      );
      demand(packaged === false, `trade ${twice.tradeId}, given twice, is packaged without a word`);
    },
  },
  {
    name: 'limit-413-announced',
    promise: 'a body that announces to be too large is refused with 413',
    run: (suite) => tooLarge(suite, true),
  },
  {
    name: 'limit-413-chunked',
    promise: 'a body that turns out to be too large is refused with 413',
    run: (suite) => tooLarge(suite, false),
  },
  {
    name: 'media-type',
    promise: 'a body that is no JSON and says so is refused (415, or 400 or 422 by its content)',
    run: async (suite) => {
      const answer = await suite.post(Buffer.from('<request/>'), { 'content-type': 'application/xml' });
      demandProblem(answer, [400, 415, 422], 'XML');
    },
  },
  {
    name: 'unknown-404',
    promise: 'packages, objects and routes that do not exist are 404 with a problem, whatever the name',
    run: async (suite) => {
      const { packageId } = await suite.package();
      const nothing = '0'.repeat(64);
      const paths = [
        `/v1/packages/${nothing}/objects/${nothing}`,
        `/v1/packages/${packageId}/objects/${nothing}`,
        `/v1/packages/${packageId}/objects/${packageId.toUpperCase()}`,
        `/v1/packages/${packageId}/objects/manifest`,
        `/v1/packages/${packageId}/objects/..%2f..%2f..%2fetc%2fpasswd`,
        `/v1/packages/${packageId}/objects/%2e%2e`,
        `/v1/packages/${packageId}/objects/a%00b`,
        `/v1/packages/..%2f${packageId}/objects/${nothing}`,
        '/v1/nothing',
      ];
      for (const path of paths) demandProblem(await suite.send({ path }), [400, 404], path);
    },
  },
  {
    name: 'method-405',
    promise: 'a method that a route does not have is refused',
    run: async (suite) => {
      demandProblem(await suite.send({ method: 'DELETE', path: '/v1/packages' }), [404, 405], 'DELETE /v1/packages');
    },
  },
  {
    name: 'alive-after',
    promise: 'after all this the good request gives the same bytes',
    run: (suite) => samePackage(suite, suite.request, 'the same request after everything else'),
  },
];
