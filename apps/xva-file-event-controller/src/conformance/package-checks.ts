import { canonicalJson, sha256Hex, type FrozenRequest } from '@xva/contracts';
import type { ConformanceCheck } from './check.ts';
import type { Answer } from './exchange.ts';
import { demand, demandProblem, excerpt, renamed, type Suite } from './suite.ts';

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

export async function samePackage(suite: Suite, body: unknown, what: string): Promise<void> {
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

/** What a good request is answered, and that it is answered so again and to everybody. */
export const packageChecks: readonly ConformanceCheck[] = [
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
];
