import type { FrozenRequest } from '@xva/contracts';
import type { ConformanceCheck } from './check.ts';
import type { Answer } from './exchange.ts';
import { demand, demandProblem, excerpt, type Suite } from './suite.ts';

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

/** What must not be answered with a package, and how it is refused. */
export const refusalChecks: readonly ConformanceCheck[] = [
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
];
