import { createHmac } from 'node:crypto';
import { defaultAccount } from '../src/index.ts';

/** One request as it goes over the wire: head and body as bytes, which need not be HTTP at all. */
export interface Malformed {
  /** Family and details, to tell a failure. */
  readonly about: string;
  readonly method: string;
  readonly bytes: Buffer;
  /** Whether it is not even HTTP, so that closing the connection without a word is an answer too. */
  readonly raw: boolean;
}

/** Draws from one seeded generator. */
export class Draw {
  readonly #next: () => number;

  constructor(next: () => number) {
    this.#next = next;
  }

  below(limit: number): number {
    return Math.floor(this.#next() * limit);
  }

  chance(share: number): boolean {
    return this.#next() < share;
  }

  of<T>(items: readonly T[]): T {
    return items[this.below(items.length)] as T;
  }

  /** Text of hostile characters. */
  text(most = 12): string {
    const length = this.below(most);
    return Array.from({ length }, () => this.of(hostileCharacters)).join('');
  }
}

const hostileCharacters = ['a', 'Z', '0', '-', '_', ' ', "'", '"', '\\', '/', '%', '..', '\0', '\r\n', '\u202e', 'é', '\ud800', '😀', '$', '(', ')', ',', ';', '{', '}', '[', '<', '&', '=', '?', '#', '`', '__proto__', '$(id)', '%00', '%2e%2e', '%zz']; // prettier-ignore
const methods = ['GET', 'POST', 'PUT', 'PATCH', 'DELETE', 'HEAD', 'OPTIONS', 'TRACE', 'FOO', 'get'];
const filterWords = ['state', 'id', 'eq', 'ne', 'gt', 'and', 'or', 'not', '(', ')', "'active'", "'", "DateTime'2026-01-01'", "DateTime'never'", 'startswith(id,', "startswith(id,'a')", 'executionInfo/exitCode', 'executionInfo//', '1', '-1', '1e999', '99999999999999999999', 'true', 'null', '/', ',', "'; DROP TABLE tasks; --'", 'colour', '\0', '"x"']; // prettier-ignore
const values: readonly unknown[] = [null, true, -1, 0, 1.5, 2 ** 53, 1e308, '', 'x', '\0', '\ud800', 'P1D', 'PT-5S', 'P99999999999D', '2026-13-45', [], {}, [[]], [null], { id: {} }, { constructor: 1 }, 'x'.repeat(5_000), '../../etc/passwd', '$(id)', '<script>']; // prettier-ignore

const task = { id: 't', commandLine: '/bin/true', constraints: { maxTaskRetryCount: 1, maxWallClockTime: 'PT1M', retentionTime: 'P1D' }, requiredSlots: 1, dependsOn: { taskIds: ['a'], taskIdRanges: [{ start: 1, end: 2 }] }, environmentSettings: [{ name: 'A', value: 'b' }], resourceFiles: [{ httpUrl: 'http://127.0.0.1:1/x', filePath: 'x' }], outputFiles: [{ filePattern: '*', destination: { container: { containerUrl: 'http://127.0.0.1:1/c' } }, uploadOptions: { uploadCondition: 'taskcompletion' } }], exitConditions: { exitCodes: [{ code: 1, exitOptions: { dependencyAction: 'satisfy' } }], default: { dependencyAction: 'block' } }, userIdentity: { autoUser: { scope: 'pool', elevationLevel: 'nonadmin' } } }; // prettier-ignore
const job = { id: 'j', poolInfo: { poolId: 'p' }, priority: 1, constraints: { maxTaskRetryCount: 0, maxWallClockTime: 'PT1H' }, onAllTasksComplete: 'noaction', onTaskFailure: 'noaction', usesTaskDependencies: true, metadata: [{ name: 'a', value: 'b' }] }; // prettier-ignore
const pool = { id: 'q', vmSize: 'x', targetDedicatedNodes: 0, taskSlotsPerNode: 1, metadata: [{ name: 'a', value: 'b' }], taskSchedulingPolicy: { nodeFillType: 'pack' } }; // prettier-ignore
/** Operations as they should be; each request begins as one of them. The job, task and pool are there when it begins. */
const operations: readonly (readonly [method: string, path: string, body?: object])[] = [
  ['GET', '/pools'], ['POST', '/pools', pool], ['GET', '/pools/p'], ['HEAD', '/pools/p'], ['PATCH', '/pools/p', { metadata: pool.metadata }], ['POST', '/pools/p/resize', { targetDedicatedNodes: 0 }], ['POST', '/pools/p/stopresize'], ['POST', '/pools/p/removenodes', { nodeList: ['n'] }], ['POST', '/pools/p/evaluateautoscale', { autoScaleFormula: '$TargetDedicatedNodes=1;' }], ['POST', '/pools/p/enableautoscale', { autoScaleFormula: '$TargetDedicatedNodes=0;' }], ['GET', '/pools/p/nodes'], ['GET', '/pools/p/nodes/n'], ['GET', '/pools/p/nodes/n/files'], ['POST', '/pools/p/nodes/n/reboot', { nodeRebootOption: 'requeue' }],
  ['GET', '/jobs'], ['POST', '/jobs', job], ['GET', '/jobs/j'], ['PATCH', '/jobs/j', { priority: 1 }], ['PUT', '/jobs/j', { poolInfo: { poolId: 'p' } }], ['POST', '/jobs/j/disable', { disableTasks: 'requeue' }], ['POST', '/jobs/j/enable'], ['POST', '/jobs/gone/terminate', { terminateReason: 'x' }], ['DELETE', '/jobs/gone'], ['GET', '/jobs/j/taskcounts'], ['GET', '/jobs/j/jobpreparationandreleasetaskstatus'],
  ['GET', '/jobs/j/tasks'], ['POST', '/jobs/j/tasks', task], ['POST', '/jobs/j/addtaskcollection', { value: [task, task] }], ['GET', '/jobs/j/tasks/t'], ['PUT', '/jobs/j/tasks/t', { constraints: task.constraints }], ['DELETE', '/jobs/j/tasks/gone'], ['POST', '/jobs/j/tasks/t/terminate'], ['POST', '/jobs/j/tasks/t/reactivate'], ['GET', '/jobs/j/tasks/t/subtasksinfo'], ['GET', '/jobs/j/tasks/t/files'], ['GET', '/jobs/j/tasks/t/files/stdout.txt'], ['HEAD', '/jobs/j/tasks/t/files/stdout.txt'], ['DELETE', '/jobs/j/tasks/t/files/wd%2Fx'],
  ['GET', '/nodecounts'], ['GET', '/supportedimages'], ['GET', '/jobschedules'], ['POST', '/jobschedules', { id: 's', schedule: { recurrenceInterval: 'PT1H', doNotRunUntil: '2099-01-01T00:00:00Z' }, jobSpecification: { poolInfo: { poolId: 'p' } } }], ['GET', '/jobschedules/s'], ['GET', '/applications'], ['GET', '/certificates'], ['GET', '/'],
]; // prettier-ignore
const withBody = operations.filter(([, , body]) => body !== undefined);

/** A copy of a JSON value with one place of it made wrong. */
function mutate(value: unknown, draw: Draw): unknown {
  if (draw.chance(0.25) || typeof value !== 'object' || value === null) return draw.of(values);
  if (Array.isArray(value)) {
    const at = draw.below(value.length + 1);
    return at === value.length
      ? [...(value as unknown[]), draw.of(values)]
      : value.map((item, index) => (index === at ? mutate(item, draw) : (item as unknown)));
  }
  const entries = Object.entries(value);
  if (entries.length === 0 || draw.chance(0.15)) {
    const name = draw.of(['__proto__', 'constructor', 'Id', 'odata.type', draw.text(), 'x'.repeat(300)]);
    return Object.fromEntries([...entries, [name, draw.of(values)]]);
  }
  const at = draw.below(entries.length);
  if (draw.chance(0.15)) return Object.fromEntries(entries.filter((_entry, index) => index !== at));
  return Object.fromEntries(entries.map(([name, item], index) => [name, index === at ? mutate(item, draw) : item]));
}

function badJson(draw: Draw): string {
  const text = JSON.stringify(draw.of(withBody)[2]);
  return draw.of([
    () => text.slice(0, draw.below(text.length)),
    () => `${text}${text}`,
    () => text.replace(/"/, "'"),
    () => '{"id":"a","id":"b"}',
    () => '['.repeat(20_000),
    () => `${'{"a":'.repeat(5_000)}1${'}'.repeat(5_000)}`,
    () => '{"id":NaN}',
    () => '{"priority":1e999}',
    () => '\ufeff{}',
    () => '\u0000',
    () => '<xml/>',
    () => `{"value":${JSON.stringify(Array.from({ length: 101 }, (_, index) => ({ ...task, id: `n${index}` })))}}`,
  ])();
}

interface Parts {
  method: string;
  path: string;
  query: [string, string][];
  headers: [string, string][];
  body: string;
}

const families: readonly { readonly name: string; readonly spoil: (parts: Parts, draw: Draw) => void }[] = [
  { name: 'path', spoil: (parts, draw) => {
    const hostile = draw.of([() => encodeURIComponent(draw.text().replaceAll('\ud800', '')), () => draw.of(['%', '%zz', '%c0%ae', '%00', '..', '.', '%2e%2e%2f', '//', 'x'.repeat(3_000), '%F0%9F%98%80', 'j%2Ftasks'])])();
    const segments = parts.path.split('/');
    segments[draw.below(segments.length)] = hostile;
    parts.path = `/${segments.join('/')}`.replace(/^\/+(?=[^/])/, draw.chance(0.9) ? '/' : '//');
  } },
  { name: 'method', spoil: (parts, draw) => { parts.method = draw.of(methods); } },
  { name: 'filter', spoil: (parts, draw) => {
    parts.method = 'GET';
    parts.path = draw.of(['/jobs', '/jobs/j/tasks', '/pools', '/pools/p/nodes', '/nodecounts', '/jobs/j/tasks/t/files', '/jobschedules']);
    const words = Array.from({ length: 1 + draw.below(9) }, () => draw.of(filterWords));
    parts.query.push(['$filter', draw.chance(0.05) ? '('.repeat(5_000) : draw.chance(0.05) ? Array.from({ length: 400 }, () => `id eq 'a'`).join(' or ') : words.join(' ')]);
  } },
  { name: 'query', spoil: (parts, draw) => {
    if (draw.chance(0.3)) parts.query = [];
    const name = draw.of(['maxresults', '$select', '$expand', '$skiptoken', 'timeout', 'timeOut', 'api-version', '$orderby', draw.text()]);
    parts.query.push([name, draw.of(['', '0', '-1', '1001', '1e3', 'NaN', 'n', 'nzzzzzzzzzzz', '__proto__', 'stats,', draw.text(), 'x'.repeat(4_000)])]);
  } },
  { name: 'body', spoil: (parts, draw) => {
    const [method, path, body] = draw.of(withBody);
    Object.assign(parts, { method, path, body: JSON.stringify(mutate(body, draw)) });
  } },
  { name: 'collection', spoil: (parts, draw) => {
    parts.method = 'POST';
    parts.path = '/jobs/j/addtaskcollection';
    parts.body = JSON.stringify({ value: [mutate(task, draw), { ...task, id: `f${draw.below(100)}` }, mutate(task, draw)] });
  } },
  { name: 'JSON',
    spoil: (parts, draw) => {
      const [method, path] = draw.of(withBody);
      Object.assign(parts, { method, path, body: badJson(draw) }); } },
  { name: 'header', spoil: (parts, draw) => {
    const name = draw.of(['if-match', 'if-none-match', 'if-modified-since', 'if-unmodified-since', 'ocp-range', 'ocp-date', 'content-type', 'content-encoding', 'accept', 'return-client-request-id', 'client-request-id', 'transfer-encoding', 'expect', 'x'.repeat(200)]);
    const value = draw.of(['', '*', '"', 'bytes=-', 'bytes=9-1', 'bytes=1-99999999999999999999', 'gzip', 'Thu, 99 Foo', '100-continue', 'x'.repeat(9_000), 'true', '\u0001']);
    parts.headers.push([name, value]);
    if (draw.chance(0.2)) parts.headers.push([name, value]);
    if (draw.chance(0.05)) for (let more = 0; more < 300; more += 1) parts.headers.push([`x-${more}`, 'y'.repeat(50)]);
  } },
  { name: 'signature', spoil: (parts, draw) => {
    const mac = createHmac('sha256', 'wrong').update(String(draw.below(1e9))).digest('base64');
    const given = draw.of(['', ' ', 'Bearer', 'Bearer ', 'SharedKey', 'SharedKey x', 'SharedKey :', `SharedKey ${defaultAccount.name}:`, `SharedKey ${defaultAccount.name}:${mac}`, `SharedKey nobody:${mac}`, `SharedKey __proto__:${mac}`, `SharedKey ${defaultAccount.name}:${'A'.repeat(8_000)}`, `SharedKeyLite ${defaultAccount.name}:${mac}`, 'Basic dTpw', `SharedKey ${defaultAccount.name}:%%%`, '\u0007']);
    parts.headers = parts.headers.filter(([name]) => name !== 'authorization');
    if (given !== '') parts.headers.push(['authorization', given]);
    parts.headers.push(['ocp-date', draw.of([new Date().toUTCString(), 'Sun, 06 Nov 1994 08:49:37 GMT', 'x', ''])]);
  } },
]; // prettier-ignore

const rawRequests: readonly ((draw: Draw) => string)[] = [
  (draw) => `${draw.text(40)}\r\n\r\n`,
  () => 'GET\r\n\r\n',
  () => 'GET /jobs HTTP/9.9\r\nhost: x\r\n\r\n',
  () => 'GET /jobs?api-version=1 HTTP/1.1\r\n\r\n',
  () => `GET /${'x'.repeat(70_000)} HTTP/1.1\r\nhost: x\r\n\r\n`,
  () => `GET /jobs HTTP/1.1\r\nhost: x\r\nx: ${'y'.repeat(70_000)}\r\n\r\n`,
  () => 'POST /jobs HTTP/1.1\r\nhost: x\r\ncontent-length: 5\r\ncontent-length: 6\r\n\r\nhello!',
  () =>
    'POST /jobs HTTP/1.1\r\nhost: x\r\ncontent-length: 4\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\nGET / HTTP/1.1\r\n\r\n',
  () => 'POST /jobs HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\nzz\r\nhello\r\n',
  () => 'POST /jobs HTTP/1.1\r\nhost: x\r\ncontent-length: -1\r\n\r\n',
  () => 'GET /jobs HTTP/1.1\r\nhost : x\r\n\r\n',
  () => 'GET /jobs HTTP/1.1\r\nhost: x\r\n folded: y\r\n\r\n',
  () => 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n',
  () => '\u0016\u0003\u0001\u0002\u0000\u0001\u0000\u0001\u00fc\u0003\u0003',
  () => 'CONNECT jobs:80 HTTP/1.1\r\nhost: x\r\n\r\n',
  () => 'GET /jobs HTTP/1.1\r\nhost: x\r\nupgrade: websocket\r\nconnection: upgrade\r\n\r\n',
];

/** The next malformed request. A bearer token proves who asks, so that the fault itself is reached. */
export function malformed(draw: Draw): Malformed {
  if (draw.chance(0.06)) {
    const at = draw.below(rawRequests.length);
    const text = (rawRequests[at] as (draw: Draw) => string)(draw);
    return { about: `raw ${at}`, method: 'RAW', bytes: Buffer.from(text, 'latin1'), raw: true };
  }
  const [method, path, content] = draw.of(operations);
  const parts: Parts = {
    method,
    path,
    query: [['api-version', draw.of(['2025-06-01', '2022-10-01.16.0'])]],
    headers: [
      ['authorization', 'Bearer t'],
      ['content-type', 'application/json; odata=minimalmetadata'],
    ],
    body: content === undefined ? '' : JSON.stringify(content),
  };
  const names: string[] = [];
  for (let spoils = draw.chance(0.2) ? 2 : 1; spoils > 0; spoils -= 1) {
    const family = draw.of(families);
    names.push(family.name);
    family.spoil(parts, draw);
  }
  const search = parts.query.map(([name, value]) => `${encode(name)}=${encode(value)}`).join('&');
  const body = Buffer.from(parts.body, 'utf8');
  const chunked = parts.headers.some(([name]) => name === 'transfer-encoding');
  const lines = [
    `${parts.method} ${parts.path === '' ? '/' : parts.path}${search === '' ? '' : `?${search}`} HTTP/1.1`,
    'host: localhost',
    'connection: close',
    ...(body.length > 0 || (parts.method !== 'GET' && !chunked) ? [`content-length: ${body.length}`] : []),
    ...parts.headers.map(([name, value]) => `${name}: ${value}`),
  ];
  const head = Buffer.from(`${lines.join('\r\n')}\r\n\r\n`, 'latin1');
  const wild = parts.headers.some(
    ([name, value]) =>
      name === 'transfer-encoding' ||
      name === 'expect' ||
      value.includes('\u0001') ||
      value.includes('\u0007') ||
      value.length > 8_000,
  );
  const headIsHttp =
    !wild && methods.slice(0, 8).includes(parts.method) && parts.headers.length < 100 && head.length < 14_000;
  return {
    about: `${names.join(' + ')}: ${lines[0]?.slice(0, 300) ?? ''}`,
    method: parts.method,
    bytes: Buffer.concat([head, body]),
    raw: !headIsHttp,
  };
}

function encode(text: string): string {
  return encodeURIComponent(text.replace(/[\ud800-\udfff]/g, '?'));
}
