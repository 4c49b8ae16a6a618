import { once } from 'node:events';
import type { Problem, RunPage, RunView } from '@xva/contracts';
import { samplePackage } from '@xva/testkit';
import { call, keys, Rig, untilState, type Controller } from './rig.ts';

let rig: Rig;
let controller: Controller;
let runId: string;

beforeAll(async () => {
  rig = await Rig.start();
  controller = await rig.controller({ XVA_BODY_LIMIT_BYTES: '20000' });
  const sample = samplePackage({ name: 'first', nettingSets: 1 });
  await rig.upload(sample);
  runId = (await call<RunView>(controller.url, 'POST', '/v1/runs', { body: sample.request })).body.runId;
  await untilState(controller.url, runId, 'done');
});
afterAll(() => rig.stop());

/** Everything that the CLI printed, and how it ended. */
async function cli(args: readonly string[], settings: Readonly<Record<string, string>> = {}) {
  const child = rig.spawn(args, settings);
  let out = '';
  let err = '';
  child.stdout?.on('data', (chunk: Buffer) => (out += chunk.toString()));
  child.stderr?.on('data', (chunk: Buffer) => (err += chunk.toString()));
  const [code] = (await once(child, 'close')) as [number | null];
  return { code, out, err };
}

describe('what is open', () => {
  it('only health and the document are open', async () => {
    for (const path of ['/healthz', '/readyz', '/metrics', '/openapi.json', '/docs'])
      expect((await call(controller.url, 'GET', path, { key: '' })).status).toBe(200);
    const metrics = await call<string>(controller.url, 'GET', '/metrics', { key: '' });
    expect(metrics.body).toMatch(/xva_reconcile_passes_total\{result="over"\} [1-9]/);
    expect((await call(controller.url, 'GET', '/nowhere', { key: '' })).status).toBe(404);
    expect((await call(controller.url, 'GET', '/v1/nowhere', { key: '' })).status).toBe(401);
  });
});

describe('bad input gets one clear answer', () => {
  const good = samplePackage({ name: 'bad', nettingSets: 1 }).request;
  const bodies: Readonly<Record<string, readonly [unknown, number, string, RegExp]>> = {
    'no JSON': ['{', 400, 'body-not-json', /JSON/],
    'an array': [[], 400, 'request-not-valid', /body/],
    'a wrong version': [{ ...good, schemaVersion: '2.0' }, 400, 'request-not-valid', /body.schemaVersion/],
    'an unknown field': [{ ...good, extra: 1 }, 400, 'request-not-valid', /extra/],
    'a path in the book': [
      { ...good, requestKey: { ...good.requestKey, book: '../x' } },
      400,
      'request-not-valid',
      /book/,
    ],
    'a prototype': ['{"__proto__":{"a":1}}', 400, 'body-not-json', /__proto__/],
    'too much': ['x'.repeat(30_000), 413, 'body-too-large', /larger/],
    'a package that is not there': [good, 422, 'package-not-found', new RegExp(good.packageId)],
  };
  it.each(Object.entries(bodies))('a body with %s', async (_name, [body, status, code, detail]) => {
    const reply = await call<Problem>(controller.url, 'POST', '/v1/runs', { body });
    expect(reply.status).toBe(status);
    expect(reply.headers.get('content-type')).toContain('application/problem+json');
    expect(reply.body).toMatchObject({ status, code, detail: expect.stringMatching(detail) });
    expect(reply.body.requestId).toBe(reply.headers.get('x-request-id'));
  });

  it.each([
    ['GET', '/v1/runs/not-a-run', 400, 'request-not-valid'],
    ['GET', '/v1/runs/xva-20260930-none', 404, 'not-found'],
    ['GET', '/v1/runs/%ff', 400, 'bad-path'],
    ['GET', '/v1/runs?state=asleep', 400, 'request-not-valid'],
    ['GET', '/v1/runs?limit=0', 400, 'request-not-valid'],
    ['GET', '/v1/runs?page=xyz', 422, 'page-not-valid'],
    ['GET', '/v1/runs?unknown=1', 400, 'request-not-valid'],
    ['POST', '/v1/pools', 405, 'method-not-allowed'],
    ['GET', '/v1/nothing', 404, 'not-found'],
  ] as const)('%s %s', async (method, path, status, code) => {
    const reply = await call<Problem>(controller.url, method, path);
    expect([reply.status, reply.body.code]).toEqual([status, code]);
  });

  it('paths out of the result are refused', async () => {
    for (const name of ['..%2f..%2fpublished.json', '%2e%2e/published.json', 'a//b', 'summary.json%00']) {
      const reply = await call<Problem>(controller.url, 'GET', `/v1/runs/${runId}/results/files/${name}`);
      expect([400, 404]).toContain(reply.status);
    }
  });

  it('a content type that is not JSON', async () => {
    const reply = await call<Problem>(controller.url, 'POST', '/v1/runs', {
      body: JSON.stringify(good),
      headers: { 'content-type': 'text/plain' },
    });
    expect([reply.status, reply.body.code]).toEqual([415, 'body-not-json']);
  });
});

describe('reading', () => {
  it('answers 304 while nothing changed', async () => {
    const first = await call<RunView>(controller.url, 'GET', `/v1/runs/${runId}`);
    const etag = first.headers.get('etag') ?? '';
    expect(etag).toBe(`"${first.body.version}"`);
    const second = await call(controller.url, 'GET', `/v1/runs/${runId}`, { headers: { 'if-none-match': etag } });
    expect([second.status, second.body]).toEqual([304, '']);
  });

  it('lists by state, book and date, page by page', async () => {
    const ids: string[] = [];
    for (let index = 0; index < 3; index += 1) {
      const sample = samplePackage({ name: `listed-${index}`, nettingSets: 1 });
      await rig.upload(sample);
      ids.push((await call<RunView>(controller.url, 'POST', '/v1/runs', { body: sample.request })).body.runId);
    }
    for (const id of ids) await untilState(controller.url, id, 'done');
    const found: string[] = [];
    let page = '';
    do {
      const query = `state=done,failed&book=RATES&asOf=2026-09-30&limit=2${page === '' ? '' : `&page=${page}`}`;
      const { body } = await call<RunPage>(controller.url, 'GET', `/v1/runs?${query}`);
      expect(body.items.length).toBeLessThanOrEqual(2);
      found.push(...body.items.map((run) => run.runId));
      page = body.nextPage ?? '';
    } while (page !== '');
    expect(found.sort()).toEqual([runId, ...ids].sort());
    expect((await call<RunPage>(controller.url, 'GET', '/v1/runs?book=OTHER')).body.items).toEqual([]);
  });

  it('shows the pools', async () => {
    const { body } = await call(controller.url, 'GET', '/v1/pools');
    expect(body).toMatchObject({ items: [{ id: 'pool', slotsPerNode: 2, dedicatedNodes: { current: 2 } }] });
  });

  it('carries the trace from the request to the job', async () => {
    const traceparent = '00-0123456789abcdef0123456789abcdef-0123456789abcdef-01';
    const sample = samplePackage({ name: 'traced', nettingSets: 1 });
    await rig.upload(sample);
    const { body } = await call<RunView>(controller.url, 'POST', '/v1/runs', {
      body: sample.request,
      headers: { traceparent },
    });
    await untilState(controller.url, body.runId, 'done');
    const spec = await rig.blobs.container(body.container).get('a1/shard-0001/task.json');
    expect(spec?.metadata).toMatchObject({
      xva_class: 'task-input',
      xva_run_id: body.runId,
      xva_event_id: body.eventId,
    });
    expect(await rig.blobs.container(body.container).metadata()).toMatchObject({ xva_run_id: body.runId });
  });
});

describe('limits', () => {
  it('slows down whoever asks too often, or when too many runs wait', async () => {
    const strict = await rig.controller({
      XVA_RATE_LIMIT_PER_MINUTE: '3',
      XVA_MAX_QUEUED_RUNS: '1',
      XVA_BATCH_URL: 'http://127.0.0.1:1',
    });
    const statuses: number[] = [];
    let last: { headers: Headers } | undefined;
    for (let index = 0; index < 5; index += 1) {
      last = await call(strict.url, 'GET', '/v1/runs', { key: keys.reader });
      statuses.push((last as { status: number } & typeof last).status);
    }
    expect(statuses).toEqual([200, 200, 200, 429, 429]);
    expect(Number(last?.headers.get('retry-after'))).toBeGreaterThan(0);
    const [waits, refused] = ['waits', 'refused'].map((name) => samplePackage({ name, nettingSets: 1 }));
    await Promise.all([rig.upload(waits!), rig.upload(refused!)]);
    const post = (body: unknown) => call<Problem>(strict.url, 'POST', '/v1/runs', { key: keys.submitter, body });
    expect((await post(waits!.request)).status).toBe(201);
    const busy = await post(refused!.request);
    expect([busy.status, busy.body.code, busy.headers.get('retry-after')]).toEqual([429, 'busy', '5']);
    expect((await post(waits!.request)).status).toBe(200);
    const ready = await call<{ status: string }>(strict.url, 'GET', '/readyz', { key: '' });
    expect([ready.status, ready.body.status]).toEqual([503, 'not ready']);
    await strict.kill();
  });
});

describe('the command line', () => {
  const client = () => ({ XVA_CONTROLLER_URL: controller.url, XVA_CONTROLLER_API_KEY: keys.operator });

  it('shows, lists and watches runs', async () => {
    const shown = await cli(['--json', 'runs', 'show', runId], client());
    expect(JSON.parse(shown.out)).toMatchObject({ runId, state: 'done' });
    expect((await cli(['runs', 'list', '--state', 'done'], client())).out).toContain(runId);
    expect(await cli(['runs', 'watch', runId], client())).toMatchObject({ code: 0 });
    const refused = await cli(['runs', 'cancel', runId], client());
    expect([refused.code, refused.err]).toEqual([5, expect.stringContaining('run-state')]);
  });

  it('checks every dependency and prints no secret', async () => {
    const good = await cli(['check']);
    expect([good.code, good.out]).toEqual([0, expect.stringContaining('ok   batch pool: pool pool steady, 2 nodes')]);
    expect(good.out + good.err).not.toMatch(/AccountKey=|eHZhLWxhY|Eby8vdM/);
    const bad = await cli(['check'], { XVA_POOL_ID: 'no-pool' });
    expect([bad.code, bad.out]).toEqual([4, expect.stringContaining('PoolNotFound')]);
  });

  it('names every bad setting at once', async () => {
    const { code, err } = await cli(['config'], { XVA_POLL_MS: 'soon', XVA_JOB_MAX_WALL_CLOCK_TIME: 'a day' });
    expect(code).toBe(3);
    expect(err).toContain('XVA_POLL_MS');
    expect(err).toContain('XVA_JOB_MAX_WALL_CLOCK_TIME');
  });

  it('prints the OpenAPI document', async () => {
    const { out } = await cli(['openapi']);
    const document = JSON.parse(out) as { openapi: string; paths: Record<string, unknown> };
    expect(document.openapi).toBe('3.1.0');
    expect(Object.keys(document.paths)).toContain('/v1/runs/{runId}/results/files/{name}');
  });

  it('makes one pass with once', async () => {
    const { code, out } = await cli(['once']);
    expect([code, out.trim()]).toEqual([0, 'no run is open']);
  });
});
