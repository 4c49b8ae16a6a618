import { sampleEvent } from '@xva/testkit';
import fc from 'fast-check';
import { judgeAnswer, parseEvent, StepFailure, type HttpAnswer } from '../src/index.ts';

function reasonOf(bytes: Uint8Array | string): string {
  try {
    parseEvent(Buffer.from(bytes as string));
    return 'ok';
  } catch (error) {
    if (error instanceof StepFailure && error.kind === 'poison') return error.reason;
    throw error;
  }
}

const { event, eventBytes } = sampleEvent();
const json = (change: object): string => JSON.stringify({ ...event, ...change });

describe('parseEvent', () => {
  it.each<[string, string, string | Uint8Array]>([
    ['a good event', 'ok', eventBytes],
    ['no JSON', 'event-not-json', 'hello'],
    ['nothing', 'event-not-json', ''],
    ['an array', 'event-not-json', '[]'],
    ['a number that is none', 'event-not-json', '{"a":NaN}'],
    ['bytes that are no UTF-8', 'event-not-json', Buffer.from([0x7b, 0xff, 0x7d])],
    ['deep nesting', 'event-type-unknown', `{"a":${'['.repeat(10_000)}${']'.repeat(10_000)}}`],
    ['another type', 'event-type-unknown', json({ type: 'com.example.other' })],
    ['no type', 'event-type-unknown', json({ type: undefined })],
    ['a newer type', 'event-version-newer', json({ type: 'com.xvalab.run.requested.v2' })],
    ['a newer schema', 'event-version-newer', json({ dataschema: 'https://example.com/run-requested/2.1.json' })],
    ['a newer minor schema', 'ok', json({ dataschema: 'https://example.com/run-requested/1.7' })],
    [
      'data of a newer minor version',
      'event-version-newer',
      json({ data: { ...event.data, schemaVersion: '1.3', more: 1 } }),
    ],
    ['an unknown field', 'event-invalid', json({ data: { ...event.data, extra: 1 } })],
    [
      'a run id that does not follow',
      'event-invalid',
      json({ data: { ...event.data, runId: 'xva-20260930-rates-aaaa' } }),
    ],
    [
      'the request of another event',
      'event-invalid',
      json({ data: { ...event.data, requestBlob: `requests/${'0'.repeat(32)}.json` } }),
    ],
    [
      'a path that climbs',
      'event-invalid',
      json({ data: { ...event.data, requestBlob: 'requests/../../secret.json' } }),
    ],
    ['__proto__', 'event-invalid', `{"__proto__":{"a":1},${eventBytes.toString().slice(1)}`],
    [
      'a number out of range',
      'event-invalid',
      eventBytes.toString().replace(/"requestBytes":\d+/, '"requestBytes":1e999'),
    ],
    ['a huge text', 'event-invalid', json({ subject: 'x'.repeat(1_000_000) })],
  ])('%s: %s', (_what, reason, bytes) => {
    expect(reasonOf(bytes)).toBe(reason);
  });

  it('brings older versions up step by step, and says when a step is missing', () => {
    const { subject, ...rest } = event;
    const oldest = Buffer.from(JSON.stringify({ ...rest, request: subject }));
    const upcasts = new Map<number, (old: Readonly<Record<string, unknown>>) => Record<string, unknown>>([
      [1, ({ request, ...others }) => ({ ...others, title: request })],
      [2, ({ title, ...others }) => ({ ...others, subject: title })],
    ]);
    expect(parseEvent(oldest, { major: 3, upcasts })).toEqual(event);
    upcasts.delete(2);
    expect(() => parseEvent(oldest, { major: 3, upcasts })).toThrow('event version 2 is no longer understood');
  });

  it('never fails in another way, whatever bytes come', () => {
    fc.assert(
      fc.property(fc.nat(eventBytes.length - 1), fc.uint8Array({ maxLength: 6 }), fc.nat(6), (at, insert, drop) => {
        const bytes = Buffer.concat([eventBytes.subarray(0, at), insert, eventBytes.subarray(at + drop)]);
        expect(typeof reasonOf(bytes)).toBe('string');
      }),
      { numRuns: 2_000 },
    );
  });
});

describe('judgeAnswer', () => {
  const answer = (status: number, code?: string): HttpAnswer => ({
    status,
    code,
    detail: undefined,
    retryAfterMs: 1_000,
    defects: [],
  });
  it.each<[Parameters<typeof judgeAnswer>[0], number, string | undefined, string]>([
    ['createPackage', 422, 'package-refused', 'poison package-refused'],
    ['createPackage', 413, undefined, 'poison request-too-large'],
    ['createPackage', 400, undefined, 'poison request-refused'],
    ['createPackage', 401, undefined, 'operator input-api-refuses-us'],
    ['createPackage', 403, undefined, 'operator input-api-refuses-us'],
    ['createPackage', 404, undefined, 'operator input-api-refuses-us'],
    ['createPackage', 302, undefined, 'operator input-api-refuses-us'],
    ['createPackage', 429, undefined, 'busy input-api-busy'],
    ['createPackage', 503, 'busy', 'busy input-api-busy'],
    ['createPackage', 503, 'generator-died', 'transient input-api-unavailable'],
    ['createPackage', 500, undefined, 'transient input-api-unavailable'],
    ['openPart', 404, 'package-not-cached', 'transient part-not-cached'],
    ['submitJob', 409, 'run-conflict', 'poison run-conflict'],
    ['submitJob', 422, 'package-invalid', 'poison job-refused'],
    ['submitJob', 422, 'package-not-found', 'operator job-api-other-storage'],
    ['submitJob', 429, undefined, 'busy job-api-busy'],
    ['submitJob', 503, undefined, 'busy job-api-busy'],
    ['submitJob', 502, undefined, 'transient job-api-unavailable'],
    ['submitJob', 401, undefined, 'operator job-api-refuses-us'],
  ])('%s %i %s: %s', (call, status, code, expected) => {
    const failure = judgeAnswer(call, answer(status, code));
    expect(`${failure.kind} ${failure.reason}`).toBe(expected);
    expect(failure.retryAfterMs).toBe(1_000);
  });
});
