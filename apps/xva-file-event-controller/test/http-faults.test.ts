import type { ServerResponse } from 'node:http';
import { Packager, type Outcome } from '@xva/flow-package';
import { systemClock } from '@xva/runtime';
import { MemoryDeadLetters, MemoryWorkObjects, sampleEvent, trialBook } from '@xva/testkit';
import { InputApiClient } from '../src/clients/input-api-client.ts';
import { JobApiClient } from '../src/clients/job-api-client.ts';
import { json, problem, StubInputApi, StubJobApi } from './stubs.ts';

const book = trialBook(
  'Event controller: faults of the input API and the controller API',
  'docs/trials/event-controller-http-faults.md',
  'apps/xva-file-event-controller/test/http-faults.test.ts',
);
const inputApi = new StubInputApi();
const jobApi = new StubJobApi(inputApi.samples);
let revision = 0;

beforeAll(() => Promise.all([inputApi.server.start(), jobApi.server.start()]));
afterAll(() => Promise.all([inputApi.server.stop(), jobApi.server.stop()]));
afterEach(() => {
  inputApi.before = undefined;
  jobApi.before = undefined;
});

const calls = {
  'make the package': (method: string) => method === 'POST',
  'fetch a part': (method: string) => method === 'GET',
  'request the job': (method: string) => method === 'POST',
} as const;
type Call = keyof typeof calls;

const partial = { 'content-length': '1000' };
const answers: Readonly<Record<string, (response: ServerResponse) => void>> = {
  '500': (response) => json(response, 500, problem(500, 'internal')),
  '502 with a web page': (response) => void response.writeHead(502).end('<html>bad gateway</html>'),
  '504': (response) => json(response, 504, problem(504, 'too-slow')),
  '408': (response) => json(response, 408, problem(408, 'timeout')),
  '429, Retry-After 1': (response) => json(response, 429, problem(429, 'busy'), { 'retry-after': '1' }),
  '429, no Retry-After': (response) => json(response, 429, problem(429, 'busy')),
  '503 busy, Retry-After 0': (response) => json(response, 503, problem(503, 'busy'), { 'retry-after': '0' }),
  '503 busy, Retry-After garbage': (response) => json(response, 503, problem(503, 'busy'), { 'retry-after': 'soon' }),
  '503 busy, Retry-After a date': (response) =>
    json(response, 503, problem(503, 'busy'), { 'retry-after': new Date(Date.now() + 1_000).toUTCString() }),
  '200 with a web page': (response) => void response.writeHead(200).end('<html>sign in</html>'),
  '200 with nothing': (response) => void response.writeHead(200).end(),
  'a reset before any answer': (response) => void response.destroy(),
  'a cut after the headers': (response) => {
    response.writeHead(200, partial);
    response.write('half', () => response.destroy());
  },
  'an answer of chunks, cut': (response) => {
    response.writeHead(200);
    response.write('{"half":', () => response.destroy());
  },
  silence: () => undefined,
};
const finals: readonly (readonly [Call, number, string, string])[] = [
  ['make the package', 422, 'package-refused', 'dead letter package-refused'],
  ['make the package', 400, 'bad-request', 'dead letter request-refused'],
  ['make the package', 413, 'request-too-big', 'dead letter request-too-large'],
  ['make the package', 401, 'unauthorized', 'waits for a person: input-api-refuses-us'],
  ['make the package', 403, 'forbidden', 'waits for a person: input-api-refuses-us'],
  ['make the package', 404, 'not-found', 'waits for a person: input-api-refuses-us'],
  ['make the package', 307, 'moved', 'waits for a person: input-api-refuses-us'],
  ['fetch a part', 401, 'unauthorized', 'waits for a person: input-api-refuses-us'],
  ['request the job', 409, 'run-conflict', 'dead letter run-conflict'],
  ['request the job', 422, 'package-invalid', 'dead letter job-refused'],
  ['request the job', 422, 'package-not-found', 'waits for a person: job-api-other-storage'],
  ['request the job', 401, 'unauthorized', 'waits for a person: job-api-refuses-us'],
  ['request the job', 403, 'forbidden', 'waits for a person: job-api-refuses-us'],
];

interface Seen {
  readonly end: string;
  /** Calls of the kind that was spoiled. */
  readonly asked: number;
  readonly ms: number;
}

/** One event whose first `times` calls of a kind are answered by `spoil`. */
async function handle(call: Call, times: number, spoil: (response: ServerResponse) => void): Promise<Seen> {
  const sample = sampleEvent({ revision: (revision += 1) });
  inputApi.samples.push(sample);
  const objects = new MemoryWorkObjects();
  objects.requests.set(sample.requestName, sample.requestBytes);
  const deadLetters = new MemoryDeadLetters();
  let asked = 0;
  const nothing = '0'.repeat(64);
  const before: typeof inputApi.before = (request, response) => {
    // The question whether it lives concerns no event and is answered as ever.
    const isProbe = request.url?.includes(nothing) === true || request.url?.includes('limit=1') === true;
    if (isProbe || !calls[call](request.method ?? '')) return;
    asked += 1;
    if (asked > times) return;
    spoil(response);
    // Silence is an answer too: the stub must not give its own.
    (response as { isTaken?: boolean }).isTaken = true;
  };
  const target = call === 'request the job' ? jobApi : inputApi;
  target.before = before;
  const packager = new Packager(
    {
      objects,
      deadLetters,
      inputApi: new InputApiClient({
        url: inputApi.server.url,
        apiKey: 'input-api-key',
        packageDeadlineMs: 300,
        partDeadlineMs: 300,
        maxManifestBytes: 100_000,
      }),
      jobApi: new JobApiClient({ url: jobApi.server.url, apiKey: 'job-api-key', deadlineMs: 300 }),
      clock: systemClock,
      random: () => 0.5,
      notice: () => undefined,
    },
    {
      patience: { budgetMs: 20_000, outageMs: undefined, baseDelayMs: 20, maxDelayMs: 100, operatorDelayMs: undefined },
      breaker: { failures: 8, coolDownMs: 50 },
      packagesAtOnce: 2,
      transfersAtOnce: 1,
      largePartsAtOnce: 1,
      smallPartBytes: 100_000,
      maxRequestBytes: 100_000,
      maxPartBytes: 100_000,
      maxPackageBytes: 1_000_000,
    },
  );
  const started = performance.now();
  let outcome: Outcome | undefined;
  let waits = '';
  try {
    outcome = await packager.handle({ bytes: sample.eventBytes, source: null }, AbortSignal.timeout(15_000));
  } catch (error) {
    waits = `waits for a person: ${String((error as { reason?: string }).reason)}`;
  }
  const ms = performance.now() - started;
  expect(deadLetters.letters.size).toBe(outcome?.outcome === 'dead-lettered' ? 1 : 0);
  if (outcome?.outcome === 'submitted') {
    expect(jobApi.runs.get(sample.event.id)?.packageId).toBe(sample.packageId);
    return { end: 'one job', asked, ms };
  }
  return { end: outcome === undefined ? waits : `dead letter ${outcome.failure.reason}`, asked, ms };
}
const onlyFor: Readonly<Record<string, Call>> = {
  '429, Retry-After 1': 'request the job',
  '503 busy, Retry-After a date': 'make the package',
};

const cells = (Object.keys(calls) as Call[]).flatMap((call) =>
  Object.keys(answers)
    // A part's bytes are no JSON: whatever comes is compared with its hash, and is no outage.
    .filter((fault) => !(call === 'fetch a part' && fault.startsWith('200 with')))
    // Waits of a second each: once is enough.
    .filter((fault) => onlyFor[fault] === undefined || onlyFor[fault] === call)
    .map((fault) => [call, fault] as const),
);

describe('what passes is ridden out', () => {
  it.each(cells)(
    '%s: %s, twice',
    async (call, fault) => {
      const { end, asked, ms } = await handle(call, 2, answers[fault]!);
      expect(end).toBe('one job');
      expect(asked).toBeGreaterThanOrEqual(3);
      if (fault === '429, Retry-After 1') {
        // Twice a second, kept within 100 ms each, and what the calls take.
        expect(ms).toBeGreaterThanOrEqual(2_000);
        expect(ms).toBeLessThan(2_900);
      }
      book.record({ section: call, name: `${fault}, twice`, observed: 'one job' });
    },
    20_000,
  );
});

describe('what does not pass is said at once', () => {
  it.each(finals)('%s: %i %s: %s', async (call, status, code, expected) => {
    const { end, asked } = await handle(call, Infinity, (response) =>
      json(response, status, problem(status, code), status === 307 ? { location: 'http://127.0.0.1:1/' } : {}),
    );
    expect(end).toBe(expected);
    expect(asked).toBe(1);
    book.record({ section: call, name: `${status} ${code}`, observed: `${expected}, asked once` });
  });

  it('its page says what was tried', () => book.close());
});
