import { gzipSync } from 'node:zlib';
import type { Problem } from '@xva/contracts';
import { samplePackage, trialBook } from '@xva/testkit';
import { checkedAddress, checkUrl, AddressError, type Address } from '../src/webhooks/address-guard.ts';
import { postOnce } from '../src/webhooks/post.ts';
import { fuzz } from './fuzzer.ts';
import { exchange, outcomeOf, residentMegabytes } from './raw.ts';
import { call, keys, Rig, type Controller } from './rig.ts';
import { over, seedRun } from './seeds.ts';

const book = trialBook(
  'Hostile inputs of the batch controller API',
  'docs/trials/batch-controller-hostile.md',
  'apps/xva-batch-controller-api/test/hostile.test.ts',
);
const runId = 'xva-20260930-hostile-1';
let rig: Rig;
let controller: Controller;
let before: number | undefined;

beforeAll(async () => {
  rig = await Rig.start();
  const change = { state: 'done', outcome: 'complete', ...over } as const;
  await seedRun(rig.azurite.connectionString, runId, change, true);
  await seedRun(rig.azurite.connectionString, 'xva-20260930-rates-abcdefghijklmn', change, true);
  controller = await rig.controller({
    XVA_RATE_LIMIT_PER_MINUTE: '1000000',
    XVA_ADDRESS_LIMIT_PER_MINUTE: '1000000',
    XVA_HEADERS_TIMEOUT_MS: '700',
    XVA_REQUEST_TIMEOUT_MS: '900',
    XVA_WEBHOOK_SIGNING_KEY: 'k'.repeat(32),
    // A small heap: what is held on to shows at once, and too much of it ends the process.
    NODE_OPTIONS: '--max-semi-space-size=2 --max-old-space-size=128',
  });
  // Warm, so that what is compared at the end is what was held on to and not what was compiled.
  const { body } = await call<Parameters<typeof fuzz>[2]>(controller.url, 'GET', '/openapi.json', { key: '' });
  await fuzz(controller.url, keys.admin, body, { count: 500, seed: 1 });
  before = residentMegabytes(controller);
});
afterAll(() => rig.stop());

/** Each answer comes in time, and the process still answers afterwards. */
async function tried(section: string, name: string, act: () => Promise<string>): Promise<string> {
  const started = performance.now();
  const observed = await act();
  expect(performance.now() - started).toBeLessThan(6_000);
  expect((await call(controller.url, 'GET', '/healthz', { key: '' })).status).toBe(200);
  book.record({ section, name, observed });
  return observed;
}

const auth = `x-api-key: ${keys.admin}\r\n`;
const host = 'host: controller\r\n';
const json = 'content-type: application/json\r\n';

describe('HTTP', () => {
  const headers = (count: number): string =>
    Array.from({ length: count }, (_one, index) => `x-${index}: a\r\n`).join('');
  const post = (more: string, body = '{}'): string =>
    `POST /v1/runs HTTP/1.1\r\n${host}${auth}${json}connection: close\r\n${more}\r\n${body}`;
  const get = (path: string, more = ''): string =>
    `GET ${path} HTTP/1.1\r\n${host}${auth}connection: close\r\n${more}\r\n`;
  const trials: Readonly<Record<string, readonly [string | Buffer, string]>> = {
    'content-length and chunked at once': [
      post('content-length: 2\r\ntransfer-encoding: chunked\r\n', '0\r\n\r\nGET /v1/pools HTTP/1.1\r\n\r\n'),
      '400 not-http',
    ],
    'two different content-lengths': [post('content-length: 2\r\ncontent-length: 4\r\n'), '400 not-http'],
    'a folded transfer-encoding': [post('transfer-encoding:\r\n chunked\r\n', '0\r\n\r\n'), '400 not-http'],
    'transfer-encoding with an unknown coding': [post('transfer-encoding: xchunked\r\n', '0\r\n\r\n'), '400 not-http'],
    'a chunk size with a sign': [post('transfer-encoding: chunked\r\n', '-2\r\n{}\r\n0\r\n\r\n'), '400 not-http'],
    'a chunk size beyond 64 bits': [
      post('transfer-encoding: chunked\r\n', 'fffffffffffffffff\r\n{}\r\n'),
      '400 not-http',
    ],
    'a space before the colon': [get('/v1/pools', 'x-a : b\r\n'), '400 not-http'],
    'a bare line feed in a header': [get('/v1/pools', 'x-a: b\nx-c: d\r\n'), '400 not-http'],
    'NUL in a header': [get('/v1/pools', 'x-a: b\0c\r\n'), '400 not-http'],
    'an unknown method': ['BREW /v1/pools HTTP/1.1\r\nhost: a\r\n\r\n', '400 not-http'],
    'HTTP/2 in clear text': ['PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', '400 not-http'],
    'a TLS greeting': [Buffer.from('16030100a5010000a10303', 'hex'), '400 not-http'],
    'no host': [`GET /v1/pools HTTP/1.1\r\n${auth}connection: close\r\n\r\n`, '400 no-host'],
    'headers of 20 KB': [get('/v1/pools', `x-a: ${'a'.repeat(20_000)}\r\n`), '431 headers-too-large'],
    'a path of 20 KB': [get(`/${'a'.repeat(20_000)}`), '431 headers-too-large'],
    'a thousand headers': [get('/v1/pools', headers(1_000)), '431 too-many-headers'],
    '65 headers': [get('/v1/pools', headers(65)), '431 too-many-headers'],
    'a body that is announced as 100 MB': [post('content-length: 104857600\r\n', ''), '413 body-too-large'],
    'a body in gzip': [post('content-encoding: gzip\r\ncontent-length: 2\r\n'), '415 unsupported-encoding'],
    'another charset': [
      `POST /v1/runs HTTP/1.1\r\n${host}${auth}content-type: application/json; charset=utf-16\r\nconnection: close\r\ncontent-length: 2\r\n\r\n{}`,
      '415 body-not-json',
    ],
    'JSON that says it is a form': [
      `POST /v1/runs HTTP/1.1\r\n${host}${auth}content-type: application/x-www-form-urlencoded\r\nconnection: close\r\ncontent-length: 2\r\n\r\n{}`,
      '415 body-not-json',
    ],
    'an absolute address of another host': [
      `GET http://169.254.169.254/v1/nothing HTTP/1.1\r\n${host}${auth}connection: close\r\n\r\n`,
      '404 not-found',
    ],
    'an upgrade to WebSocket': [
      get('/v1/pools/none', 'upgrade: websocket\r\nsec-websocket-key: a\r\n'),
      '404 not-found',
    ],
    TRACE: [`TRACE /v1/pools HTTP/1.1\r\n${host}${auth}connection: close\r\n\r\n`, '405 method-not-allowed'],
    CONNECT: [`CONNECT 127.0.0.1:1 HTTP/1.1\r\n${host}${auth}\r\n`, 'no answer'],
  };
  it.each(Object.entries(trials))('%s', async (name, [bytes, expected]) => {
    const observed = await tried('HTTP', name, async () => outcomeOf(await exchange(controller, bytes)));
    expect(observed).toBe(expected);
  });

  it('a second request smuggled into the first is never answered', async () => {
    const inner = `GET /v1/pools HTTP/1.1\r\n${host}${auth}\r\n`;
    const bytes = `POST /v1/runs HTTP/1.1\r\n${host}${auth}${json}content-length: 4\r\ntransfer-encoding: chunked\r\n\r\n1\r\nZ\r\n0\r\n\r\n${inner}`;
    const observed = await tried('HTTP', 'a request smuggled into another', async () => {
      const answer = await exchange(controller, bytes);
      return `${outcomeOf(answer)}, ${answer.split('HTTP/1.1 ').length - 1} answer`;
    });
    expect(observed).toBe('400 not-http, 1 answer');
  });

  it('headers and bodies that drip are cut off', async () => {
    const drip = Array.from(`GET /v1/pools HTTP/1.1\r\n${host}${'x-a: b\r\n'.repeat(60)}`);
    const headersOutcome = await tried('HTTP', 'headers byte by byte (slowloris)', async () =>
      outcomeOf(await exchange(controller, drip, { betweenMs: 20 })),
    );
    expect(headersOutcome).toBe('408 request-too-slow');
    const slow = [post('content-length: 1000\r\n', ''), ...Array<string>(400).fill('a')];
    const bodyOutcome = await tried('HTTP', 'a body byte by byte', async () =>
      outcomeOf(await exchange(controller, slow, { betweenMs: 20 })),
    );
    expect(bodyOutcome).toBe('408 request-too-slow');
  });

  it('200 connections that say nothing leave room for others, and go', async () => {
    const observed = await tried('HTTP', '200 connections that say nothing', async () => {
      const silent = Promise.all(Array.from({ length: 200 }, () => exchange(controller, '')));
      const { status } = await call(controller.url, 'GET', '/v1/pools');
      const outcomes = new Set((await silent).map(outcomeOf));
      return `others are answered ${status}; they end with ${[...outcomes].join(', ')}`;
    });
    expect(observed).toBe('others are answered 200; they end with 408 request-too-slow');
  });

  it.each([
    ['a method in x-http-method-override', { 'x-http-method-override': 'DELETE' }],
    ['a method in x-method-override', { 'x-method-override': 'POST' }],
    ['a role in a header', { 'x-role': 'admin', 'x-forwarded-user': 'admin' }],
    ['a forged address', { 'x-forwarded-for': '127.0.0.1', forwarded: 'for=127.0.0.1' }],
  ])('%s changes nothing', async (name, headers) => {
    const observed = await tried('HTTP', name, async () => {
      const plain = await call<{ version: number }>(controller.url, 'GET', `/v1/runs/${runId}`);
      const reply = await call<{ version: number }>(controller.url, 'GET', `/v1/runs/${runId}`, { headers });
      return reply.status === plain.status && reply.body.version === plain.body.version ? 'overlooked' : 'obeyed';
    });
    expect(observed).toBe('overlooked');
  });

  it('a page of another origin is told nothing', async () => {
    const observed = await tried('HTTP', 'a page of another origin', async () => {
      const headers = { origin: 'https://evil.example', 'access-control-request-method': 'POST' };
      const preflight = await call(controller.url, 'OPTIONS', '/v1/runs', { headers });
      const reply = await call(controller.url, 'GET', '/v1/runs', { headers });
      const allowed = [preflight, reply].some((one) => one.headers.has('access-control-allow-origin'));
      return `${preflight.status}, ${allowed ? 'allowed' : 'no access-control-allow-origin'}`;
    });
    expect(observed).toBe('405, no access-control-allow-origin');
  });

  it('a gzip bomb stays what it is', async () => {
    const bomb = gzipSync(Buffer.alloc(50_000_000, 0x20));
    const observed = await tried('HTTP', 'a gzip bomb of 50 MB', async () => {
      const head = `POST /v1/runs HTTP/1.1\r\n${host}${auth}${json}content-encoding: gzip\r\nconnection: close\r\ncontent-length: ${bomb.length}\r\n\r\n`;
      return outcomeOf(await exchange(controller, [head, bomb]));
    });
    expect(observed).toBe('415 unsupported-encoding');
  });
});

describe('JSON', () => {
  const good = samplePackage({ name: 'hostile', nettingSets: 1 }).request;
  const text = JSON.stringify(good);
  const changed = (change: object): string => JSON.stringify({ ...good, ...change });
  const deep = (depth: number): string => `${'['.repeat(depth)}${']'.repeat(depth)}`;
  const names = Object.fromEntries(Array.from({ length: 10_000 }, (_one, index) => [`n${index}`, 1]));
  const trials: Readonly<Record<string, readonly [string | Buffer, string]>> = {
    nothing: ['', '400 body-not-json'],
    'half a document': [text.slice(0, 60), '400 body-not-json'],
    'two documents': [`${text}${text}`, '400 body-not-json'],
    'nested 100,000 deep': [deep(100_000), '400 body-not-json'],
    'nested 10,000 deep in a field': [text.replace('"priority":0', `"priority":${deep(10_000)}`), '400 body-not-json'],
    'nested 33 deep': [deep(33), '400 body-not-json'],
    'a name twice': [text.replace('{', '{"packageId":"x",'), '400 body-not-json'],
    'a name twice, once escaped': [text.replace('{', String.raw`{"p\u0061ckageId":"x",`), '400 body-not-json'],
    'the name __proto__': ['{"__proto__":{"role":"admin"}}', '400 body-not-json'],
    'the name __proto__, escaped': [String.raw`{"\u005f_proto__":{"role":"admin"}}`, '400 body-not-json'],
    'the name constructor': [changed({ constructor: { prototype: { role: 'admin' } } }), '400 request-not-valid'],
    NaN: [text.replace('"priority":0', '"priority":NaN'), '400 body-not-json'],
    Infinity: [text.replace('"priority":0', '"priority":1e999'), '400 request-not-valid'],
    'a number beyond 53 bits': [text.replace('"priority":0', '"priority":9007199254740993'), '400 request-not-valid'],
    'minus zero point one': [changed({ priority: -0.1 }), '400 request-not-valid'],
    'a number as text': [changed({ priority: '1' }), '400 request-not-valid'],
    'a leading zero': [text.replace('"priority":0', '"priority":007'), '400 body-not-json'],
    'half a surrogate pair': [text.replace('EOD', String.raw`\ud800`), '400 body-not-json'],
    'a byte order mark': [`\u{feff}${text}`, '400 body-not-json'],
    'UTF-16': [Buffer.from(text, 'utf16le'), '400 body-not-json'],
    'UTF-8 that does not decode': [Buffer.from([0x7b, 0x22, 0xff, 0xfe, 0x22, 0x7d]), '400 body-not-json'],
    'an overlong encoding': [Buffer.from([0x22, 0xc0, 0xaf, 0x22]), '400 body-not-json'],
    comments: [`/* */${text}`, '400 body-not-json'],
    'a list': ['[]', '400 request-not-valid'],
    null: ['null', '400 request-not-valid'],
    'a megabyte': [changed({ packageId: 'a'.repeat(1_100_000) }), '413 body-too-large'],
    'a million empty lists': [`[${'[],'.repeat(300_000)}[]]`, '400 request-not-valid'],
    'ten thousand unknown names': [JSON.stringify(names), '400 request-not-valid'],
    'a date of the year 9999': [changed({ deadline: '9999-12-31T23:59:59Z' }), '422 package-not-found'],
    'a date that does not exist': [changed({ deadline: '2026-02-30T00:00:00Z' }), '400 request-not-valid'],
  };
  it.each(Object.entries(trials))('%s', async (name, [body, expected]) => {
    const bytes = Buffer.from(body);
    const observed = await tried('JSON', name, async () => {
      const head = `POST /v1/runs HTTP/1.1\r\n${host}${auth}${json}connection: close\r\ncontent-length: ${bytes.length}\r\n\r\n`;
      return outcomeOf(await exchange(controller, [head, bytes]));
    });
    expect(observed).toBe(expected);
  });
});

describe('ids, names and queries', () => {
  const results = `/v1/runs/${runId}/results`;
  const trials: Readonly<Record<string, readonly [string, string]>> = {
    'a run id with a path': ['/v1/runs/..%2f..%2fetc%2fpasswd', '400 request-not-valid'],
    'a run id with dots': ['/v1/runs/%2e%2e', '400 request-not-valid'],
    'a run id with NUL': ['/v1/runs/xva-20260930-a%00', '400 request-not-valid'],
    'a run id with a line break': ['/v1/runs/xva-20260930-a%0d%0aset-cookie:a', '400 request-not-valid'],
    'a run id that ends with a line feed': ['/v1/runs/xva-20260930-hostile-1%0a', '400 request-not-valid'],
    'a run id in capitals': ['/v1/runs/XVA-20260930-HOSTILE-1', '400 request-not-valid'],
    'a run id in look-alikes': ['/v1/runs/x%D1%83a-20260930-hostile-1', '400 request-not-valid'],
    'a run id with shell words': ['/v1/runs/xva-20260930-$(id)', '400 request-not-valid'],
    'a run id of 1,025 characters': [`/v1/runs/xva-20260930-${'a'.repeat(1_012)}`, '400 request-not-valid'],
    'half an escape in the path': ['/v1/runs/%e0%a4', '400 bad-path'],
    'a task id with a path': [`/v1/runs/${runId}/tasks/..%2fshard-0001/logs/stdout`, '400 request-not-valid'],
    'a log that is none': [`/v1/runs/${runId}/tasks/merge/logs/..%2f..%2fwd`, '400 request-not-valid'],
    'a file above the result': [`${results}/files/..%2fpublished.json`, '400 request-not-valid'],
    'a file above the result, twice escaped': [
      `${results}/files/%252e%252e%252fpublished.json`,
      '400 request-not-valid',
    ],
    'an absolute file': [`${results}/files/%2fetc%2fpasswd`, '400 request-not-valid'],
    'a file with backslashes': [`${results}/files/..%5c..%5cpublished.json`, '400 request-not-valid'],
    'a Windows device': [`${results}/files/CON`, '404 not-found'],
    'a hidden file': [`${results}/files/.env`, '400 request-not-valid'],
    'a file with an alternate stream': [`${results}/files/summary.json::$DATA`, '400 request-not-valid'],
    'a table with a path': [`${results}/tables/..%2fsummary`, '400 request-not-valid'],
    'a table that is no table': [`${results}/tables/broken`, '422 table-not-readable'],
    'an OData quote in a filter': ["/v1/runs?book=x'%20or%20'1'%20eq%20'1", '400 request-not-valid'],
    'OData in a state': ["/v1/runs?state=done'%20or%20true", '400 request-not-valid'],
    'a filter twice': ['/v1/runs?book=A&book=B', '400 request-not-valid'],
    'an object in a query': ['/v1/runs?book[$ne]=x', '400 request-not-valid'],
    '__proto__ in a query': ['/v1/runs?__proto__=x', '400 request-not-valid'],
    'a page of somebody else': [
      `/v1/runs?page=${Buffer.from('{"nextPartitionKey":"x","nextRowKey":"y"}').toString('base64url')}`,
      '422 page-not-valid',
    ],
    'a page with OData': [
      `/v1/runs?page=${Buffer.from(`{"after":"x' or true","of":"a"}`).toString('base64url')}`,
      '422 page-not-valid',
    ],
    'a page that is null': [`/v1/runs?page=${Buffer.from('null').toString('base64url')}`, '422 page-not-valid'],
    'a limit in scientific notation': ['/v1/runs?limit=1e9', '400 request-not-valid'],
    'a limit of many digits': [`/v1/runs?limit=${'9'.repeat(400)}`, '400 request-not-valid'],
    'a million of rows': ['/v1/runs?limit=1000000', '400 request-not-valid'],
    'a pool id with a path': ['/v1/pools/..%2fjobs%2fx', '400 request-not-valid'],
    'a pool id with a query': ['/v1/pools/pool%3f$select=id', '400 request-not-valid'],
  };
  it.each(Object.entries(trials))('%s', async (name, [path, expected]) => {
    const observed = await tried('ids, names and queries', name, async () => {
      const bytes = `GET ${path} HTTP/1.1\r\n${host}${auth}connection: close\r\n\r\n`;
      return outcomeOf(await exchange(controller, bytes));
    });
    expect(observed).toBe(expected);
  });

  it.each([
    ['a line break and colours in a request id', 'a\u001b[31mb'],
    ['a request id of 65 characters', 'a'.repeat(65)],
    ['a request id with a quote', 'a"},{"level":"error'],
  ])('%s does not reach the log', async (name, id) => {
    const observed = await tried('ids, names and queries', name, async () => {
      const bytes = `GET /v1/runs/x HTTP/1.1\r\n${host}${auth}x-request-id: ${id}\r\nconnection: close\r\n\r\n`;
      const answer = await exchange(controller, bytes);
      const isReplaced = !answer.includes(id) && !controller.log().includes(id);
      return `${outcomeOf(answer)}, ${isReplaced ? 'replaced' : 'kept'}`;
    });
    expect(observed).toMatch(/^400 (not-http|request-not-valid), replaced$/);
  });

  it('ranges that make no sense are overlooked or refused', async () => {
    const ranges: Readonly<Record<string, readonly [string, string]>> = {
      'a range behind the end': ['bytes=99999999-', '416 range-behind-end'],
      'a range backwards': ['bytes=9-1', '200'],
      'a thousand ranges': [`bytes=${Array.from({ length: 1_000 }, (_one, at) => `${at}-${at}`).join(',')}`, '200'],
      'a range of 400 digits': [`bytes=${'9'.repeat(400)}-`, '200'],
      'a range in another unit': ['rows=0-1', '200'],
      'the last zero bytes': ['bytes=-0', '416 range-behind-end'],
    };
    for (const [name, [range, expected]] of Object.entries(ranges)) {
      const observed = await tried('ids, names and queries', name, async () => {
        const path = `${results}/files/tables/rejections.parquet`;
        const reply = await call<Partial<Problem>>(controller.url, 'GET', path, { headers: { range } });
        return [reply.status, reply.status >= 400 ? (reply.body.code ?? '') : ''].join(' ').trim();
      });
      expect(observed).toBe(expected);
    }
  });
});

describe('CSV and Parquet', () => {
  it('a spreadsheet calculates no text, and numbers stay numbers', async () => {
    const path = `/v1/runs/${runId}/results/tables`;
    const rejections = await call<string>(controller.url, 'GET', `${path}/rejections?format=csv`);
    const lines = rejections.body.split('\r\n').slice(1, -1);
    const messages = lines.map((line) => line.split(',npv-error,')[1] ?? line);
    const names = [
      '=1+1',
      '+1',
      '-1',
      '@x',
      'tab, =1',
      'commas, quotes and line breaks',
      'a terminal escape',
      'space, =1',
      'plain',
    ];
    const expected = [
      `'=1+1`,
      `'+1`,
      `'-1`,
      `'@x`,
      String.raw`\u0009=1`,
      String.raw`"a,""b""\u000d\u000ac"`,
      String.raw`\u001b[2J red`,
      `' =1`,
      'plain',
    ];
    expect(messages).toEqual(expected);
    for (const [index, name] of names.entries())
      book.record({ section: 'CSV', name: `text: ${name}`, observed: `\`${messages[index] ?? ''}\`` });
    const table = await call<string>(controller.url, 'GET', `${path}/xva_netting_set`, {
      headers: { accept: 'text/csv' },
    });
    const [head = '', first = '', second = ''] = table.body.split('\r\n');
    const cell = (line: string, name: string): string =>
      line.replace(/"(""|[^"])*"/, 'text').split(',')[head.split(',').indexOf(name)] ?? '';
    const seen = [
      cell(first, 'npv'),
      cell(first, 'cva'),
      cell(second, 'npv'),
      cell(second, 'cva'),
      cell(first, 'peakPfe'),
    ];
    expect(seen.map(Number)).toEqual([-1234567.891234567, 1 / 3, -0.1, -2.5e-9, 1e21]);
    expect([cell(first, 'baselEpe'), cell(first, 'baselEepe')].map(Number)).toEqual([5e-324, Number.MAX_VALUE]);
    expect([cell(first, 'fca'), cell(second, 'trades')]).toEqual(['0.30000000000000004', '9007199254740991']);
    expect(first).toContain(`"'=HYPERLINK(""http://evil.example"",""x"")"`);
    book.record({
      section: 'CSV',
      name: 'negative, tiny and huge numbers',
      observed: 'the same doubles, never guarded',
    });
    book.record({ section: 'CSV', name: 'a counterparty called =HYPERLINK(…)', observed: 'text behind an apostrophe' });
  });
});

describe('addresses of webhooks', () => {
  const rules = { allowLoopback: false, privateHosts: ['hooks.bank.internal'] };
  const names: Readonly<Record<string, readonly Address[]>> = {
    'public.example': [{ address: '93.184.216.34', family: 4 }],
    'inside.example': [{ address: '10.1.2.3', family: 4 }],
    'both.example': [
      { address: '93.184.216.34', family: 4 },
      { address: '127.0.0.1', family: 4 },
    ],
    'mapped.example': [{ address: '::ffff:10.0.0.1', family: 6 }],
    'metadata.example': [{ address: '169.254.169.254', family: 4 }],
    'hooks.bank.internal': [{ address: '10.9.9.9', family: 4 }],
    'none.example': [],
  };
  const resolve = async (name: string): Promise<readonly Address[]> => names[name] ?? [];
  const verdict = async (url: string, given = rules): Promise<string> => {
    try {
      const parsed = checkUrl(url, given);
      const { address } = await checkedAddress(parsed, given, resolve);
      return `allowed: ${address}`;
    } catch (error) {
      if (!(error instanceof AddressError)) throw error;
      return error.message.replace('a webhook cannot go to this address: ', '').replace(/ \(setting.*/, '');
    }
  };
  const refused: Readonly<Record<string, RegExp>> = {
    'http://public.example/x': /only https/,
    'file:///etc/passwd': /only https/,
    'ftp://public.example/': /only https/,
    'gopher://public.example:70/_x': /only https/,
    'javascript:alert(1)': /only https/,
    '//public.example': /no URL/,
    'https://': /no URL/,
    'https://user:pw@public.example/': /user name/,
    'https://public.example/#x': /fragment/,
    [`https://public.example/${'a'.repeat(1_000)}`]: /1000 characters/,
    'https://127.0.0.1/': /loopback/,
    'https://127.1/': /loopback/,
    'https://2130706433/': /loopback/,
    'https://0x7f000001/': /loopback/,
    'https://017700000001/': /loopback/,
    'https://0177.0.0.1/': /loopback/,
    'https://127.0.0.1./': /loopback/,
    'https://[::1]/': /loopback/,
    'https://[0:0:0:0:0:0:0:1]/': /loopback/,
    'https://[::ffff:127.0.0.1]/': /loopback/,
    'https://[::ffff:7f00:1]/': /loopback/,
    'https://0.0.0.0/': /reserved/,
    'https://[::]/': /reserved/,
    'https://10.0.0.1/': /private/,
    'https://172.16.0.1/': /private/,
    'https://192.168.1.1/': /private/,
    'https://100.64.0.1/': /private/,
    'https://192.0.2.1/': /private/,
    'https://198.18.0.1/': /private/,
    'https://169.254.169.254/metadata': /reserved/,
    'https://2852039166/': /reserved/,
    'https://0xa9.0xfe.0xa9.0xfe/': /reserved/,
    'https://[::ffff:169.254.169.254]/': /reserved/,
    'https://168.63.129.16/': /reserved/,
    'https://224.0.0.1/': /reserved/,
    'https://255.255.255.255/': /reserved/,
    'https://[fe80::1]/': /reserved/,
    'https://[ff02::1]/': /reserved/,
    'https://[fc00::1]/': /private/,
    'https://[fd12:3456::1]/': /private/,
    'https://[64:ff9b::a00:1]/': /private/,
    'https://[2002:a00:1::]/': /private/,
    'https://[2001:0:1::]/': /private/,
    'https://inside.example/': /private/,
    'https://both.example/': /loopback/,
    'https://mapped.example/': /private/,
    'https://metadata.example/': /reserved/,
    'https://none.example/': /no address/,
    'https://①②⑦.⓪.⓪.①/': /loopback/,
  };
  it.each(Object.entries(refused))('%s', async (url, says) => {
    const observed = await verdict(url);
    expect(observed).toMatch(says);
    const name = url.length > 100 ? 'an address of more than 1000 characters' : `\`${url}\``;
    book.record({ section: 'addresses of webhooks', name, observed });
  });

  it('what is public, and what was named, is allowed', async () => {
    expect(await verdict('https://public.example/x')).toBe('allowed: 93.184.216.34');
    expect(await verdict('https://hooks.bank.internal/x')).toBe('allowed: 10.9.9.9');
    expect(await verdict('http://127.0.0.1:8080/', { ...rules, allowLoopback: true })).toBe('allowed: 127.0.0.1');
    expect(await verdict('http://public.example/', { ...rules, allowLoopback: true })).toMatch(/only https/);
    book.record({ section: 'addresses of webhooks', name: 'a public host', observed: 'allowed' });
    book.record({
      section: 'addresses of webhooks',
      name: 'a private host of webhookPrivateHosts',
      observed: 'allowed',
    });
  });

  it('a name that changes between check and connection leads nowhere else', async () => {
    let asked = 0;
    const rebinding = async (): Promise<readonly Address[]> => {
      asked += 1;
      return asked === 1 ? [{ address: '93.184.216.34', family: 4 }] : [{ address: '127.0.0.1', family: 4 }];
    };
    const options = { rules, resolve: rebinding, timeoutMs: 200 };
    const port = new URL(controller.url).port;
    const first = await postOnce(`https://rebound.example:${port}/`, {}, '{}', options);
    expect([first.outcome, asked]).toEqual(['failed', 1]);
    await expect(postOnce(`https://rebound.example:${port}/`, {}, '{}', options)).rejects.toThrow(/loopback/);
    book.record({
      section: 'addresses of webhooks',
      name: 'a name that resolves to another address at the second look (rebinding)',
      observed: 'the address that was checked is connected to, without a second look; the next delivery is refused',
    });
  });

  it('over HTTP: refused before anything is stored', async () => {
    for (const url of ['https://169.254.169.254/', 'http://example.com/', 'https://[::1]/']) {
      const reply = await call<Problem>(controller.url, 'POST', '/v1/webhooks', {
        body: { url, events: ['run.done'] },
      });
      expect([reply.status, reply.body.code]).toEqual([422, 'address-not-allowed']);
    }
    expect((await call<{ items: unknown[] }>(controller.url, 'GET', '/v1/webhooks')).body.items).toEqual([]);
  });
});

describe('after all of it', () => {
  it('a thousand fuzzed requests are answered without a 5xx, each error as a problem', async () => {
    const { body } = await call<Parameters<typeof fuzz>[2]>(controller.url, 'GET', '/openapi.json', { key: '' });
    const statuses = await fuzz(controller.url, keys.admin, body, { count: 1_000, seed: 20_260_930 });
    expect([...statuses.values()].reduce((sum, count) => sum + count, 0)).toBe(1_000);
    expect([...statuses.keys()].filter((status) => status >= 500)).toEqual([]);
    book.record({ section: 'fuzz', name: '1,000 seeded requests (10,000 in the soak)', observed: 'no 5xx' });
  });

  it('the process has not grown', () => {
    const now = residentMegabytes(controller);
    if (before === undefined || now === undefined) return;
    expect(now - before).toBeLessThan(64);
    expect(controller.log()).not.toMatch(/"name":"(RangeError|TypeError|SyntaxError)"/);
  });

  it('its page says what was tried', () => book.close());
});
