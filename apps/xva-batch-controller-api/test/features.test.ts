import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { BatchAdapter } from '@xva/azure-batch';
import { RunTable, TableStore } from '@xva/azure-tables';
import {
  deriveRunId,
  sha256Hex,
  type PlanView,
  type Problem,
  type RunPage,
  type RunProgress,
  type RunView,
} from '@xva/contracts';
import { batchAccount, samplePackage } from '@xva/testkit';
import { sentEvents, type SentEvent } from '../src/verbs/sent-events.ts';
import { runInProcess } from './cli.ts';
import { isSigned, Receiver } from './receiver.ts';
import { call, keys, Rig, until, untilState, type Controller } from './rig.ts';
import { over, seedRun, tableBytes } from './seeds.ts';

let rig: Rig;
let controller: Controller;
let receiver: Receiver;
let folder: string;
const done = 'xva-20260930-done-1';
const settings = {
  XVA_TARGET_SHARD_SECONDS: '0.7',
  XVA_WEBHOOK_SIGNING_KEY: 'k'.repeat(32),
  XVA_WEBHOOK_ALLOW_LOOPBACK: 'true',
  XVA_WEBHOOK_RETRY_MS: '30',
  XVA_WEBHOOK_SCAN_MS: '300',
  XVA_WEBHOOK_TIMEOUT_MS: '400',
  XVA_WEBHOOK_MAX_ATTEMPTS: '4',
  XVA_STREAM_POLL_MS: '100',
  XVA_STREAM_HEARTBEAT_MS: '150',
  XVA_MAX_STREAMS_PER_PRINCIPAL: '3',
  XVA_PRICES: '{"currency":"EUR","perNodeHour":{"pool":0.5}}',
  XVA_MAX_POOL_NODES: '10',
};

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'xva-features-'));
  rig = await Rig.start();
  receiver = await Receiver.start();
  await seedRun(rig.azurite.connectionString, done, { state: 'done', outcome: 'complete', ...over }, true);
  controller = await rig.controller(settings);
});
afterAll(async () => {
  await rig.stop();
  await receiver.stop();
  rmSync(folder, { recursive: true, force: true });
});

const cli = (args: readonly string[], key: string = keys.admin) =>
  runInProcess(args, rig.env({ XVA_CONTROLLER_URL: controller.url, XVA_CONTROLLER_API_KEY: key }));

async function submit(name: string, options: Partial<Parameters<typeof samplePackage>[0]> = {}) {
  const nettingSets = options.nettingSets ?? 2;
  const costNanos = Array.from({ length: nettingSets }, () => 8e6);
  const sample = samplePackage({ name, nettingSets, samples: 1000, gridDates: 10, costNanos, ...options });
  await rig.upload(sample);
  const reply = await call<RunView>(controller.url, 'POST', '/v1/runs', { body: sample.request });
  expect(reply.status).toBe(201);
  return { run: reply.body, sample };
}

async function follow(
  runId: string,
  headers: Readonly<Record<string, string>> = {},
  signal?: AbortSignal,
): Promise<Response> {
  return fetch(`${controller.url}/v1/runs/${runId}/events`, {
    headers: { 'x-api-key': keys.reader, ...headers },
    signal: signal ?? null,
  });
}

async function eventsOf(response: Response): Promise<readonly (SentEvent & { readonly run: RunView })[]> {
  const events: (SentEvent & { readonly run: RunView })[] = [];
  for await (const event of sentEvents(response)) events.push({ ...event, run: JSON.parse(event.data) as RunView });
  return events;
}

/** A stream's text as it comes. */
function gathered(response: Response): { readonly soFar: () => string; readonly whole: Promise<string> } {
  let text = '';
  const read = async (): Promise<string> => {
    const decoder = new TextDecoder();
    for await (const chunk of response.body as unknown as AsyncIterable<Uint8Array>)
      text += decoder.decode(chunk, { stream: true });
    return text;
  };
  return { soFar: () => text, whole: read() };
}

describe('the events of a run', () => {
  it('come once per version until it is over, go on after a break, and then say that nothing more comes', async () => {
    const { run } = await submit('events', { control: JSON.stringify({ workMs: 300 }) });
    const [one, two] = await Promise.all([
      follow(run.runId).then(eventsOf),
      follow(run.runId, { 'last-event-id': '1' }).then(eventsOf),
    ]);
    const versions = one.map(({ id }) => Number(id));
    expect(versions).toEqual([...new Set(versions)].sort((a, b) => a - b));
    expect(two.every(({ id }) => Number(id) > 1)).toBe(true);
    const last = one.at(-1);
    expect(last).toMatchObject({ event: 'run', run: { state: 'done', outcome: 'complete' } });
    expect(last?.id).toBe(String(last?.run.version));
    const polled = await call<RunView>(controller.url, 'GET', `/v1/runs/${run.runId}`);
    expect(polled.body).toEqual(last?.run);
    expect((await follow(run.runId, { 'last-event-id': last?.id ?? '' })).status).toBe(204);
    const again = await eventsOf(await follow(run.runId, { 'last-event-id': 'nonsense' }));
    expect(again.map(({ id }) => id)).toEqual([last?.id]);
  });

  it('are held open with comments, are bounded, and end with the process', async () => {
    const own = await rig.controller(settings);
    const { run } = await submit('held', { control: JSON.stringify({ workMs: 20_000 }) });
    const open = async () => fetch(`${own.url}/v1/runs/${run.runId}/events`, { headers: { 'x-api-key': keys.reader } });
    const streams = [await open(), await open(), await open()];
    expect(streams.map(({ status, headers }) => [status, headers.get('content-type')])).toEqual(
      Array(3).fill([200, 'text/event-stream; charset=utf-8']),
    );
    const refused = await open();
    expect([refused.status, ((await refused.json()) as Problem).code]).toEqual([429, 'too-many-streams']);
    const texts = streams.slice(1).map(gathered);
    await streams[0]!.body!.cancel();
    await until('the slot to be free again', async () => {
      const next = await open();
      if (next.status !== 200) return undefined;
      texts.push(gathered(next));
      return true;
    });
    const changed = await call<RunView>(own.url, 'PUT', `/v1/runs/${run.runId}/priority`, { body: { priority: 5 } });
    expect(changed.body.priority).toBe(5);
    await until('a heartbeat', async () => (texts[0]!.soFar().includes(': still here') ? true : undefined));
    expect(await own.kill('SIGTERM')).toBe(0);
    const all = await Promise.all(texts.map(({ whole }) => whole));
    expect(all.every((text) => text.includes('"priority":5'))).toBe(true);
    expect((await call(controller.url, 'POST', `/v1/runs/${run.runId}/cancel`)).status).toBe(202);
  });
});

describe('steering a run', () => {
  it('pause, resume, priority and cancel hold for the version that was read', async () => {
    const { run } = await submit('steered', { control: JSON.stringify({ workMs: 20_000 }) });
    const path = `/v1/runs/${run.runId}`;
    const act = (verb: string, ifMatch?: string, method: 'POST' | 'PUT' = 'POST', body?: unknown) =>
      call<RunView & Problem>(controller.url, method, `${path}/${verb}`, {
        body,
        headers: ifMatch === undefined ? {} : { 'if-match': ifMatch },
      });
    const stale = await act('pause', '"999"');
    expect([stale.status, stale.body.code]).toEqual([412, 'version-changed']);
    expect(stale.headers.get('etag')).toMatch(/^"\d+"$/);
    expect((await act('pause', 'W/"1"')).status).toBe(412);
    const paused = await until('a pause at the version that was read', async () => {
      const { headers } = await call(controller.url, 'GET', path);
      const reply = await act('pause', headers.get('etag') ?? '');
      return reply.status === 412 ? undefined : reply;
    });
    expect([paused.status, paused.body.paused?.by]).toEqual([202, 'key:test-admin']);
    expect((await act('pause')).status).toBe(200);
    expect((await act('resume', '*')).status).toBe(202);
    expect((await act('resume')).status).toBe(200);
    expect((await act('priority', undefined, 'PUT', { priority: 7 })).body.priority).toBe(7);
    expect((await act('priority', undefined, 'PUT', { priority: 7 })).status).toBe(200);
    expect((await act('priority', undefined, 'PUT', { priority: 1_001 })).status).toBe(400);
    expect((await act('cancel')).status).toBe(202);
    expect((await act('retry')).body.code).toBe('run-state');
    const audit = await cli(['--json', 'audit', 'list', '--subject', `run ${run.runId}`]);
    const lines = audit.out
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as Record<string, unknown>);
    const doneBy = lines.filter((line) => line['result'] === 'done').map((line) => line['operation']);
    expect(doneBy).toEqual(expect.arrayContaining(['submitRun', 'pauseRun', 'resumeRun', 'setPriority', 'cancelRun']));
    const priority = lines.find((line) => line['operation'] === 'setPriority' && line['result'] === 'done');
    expect(priority).toMatchObject({ principal: 'key:test-admin', role: 'admin', status: 200 });
    expect(priority).toMatchObject({
      before: expect.stringMatching(/^priority 0 v\d+$/),
      after: expect.stringMatching(/^priority 7 v\d+$/),
    });
    expect(lines.find((line) => line['code'] === 'version-changed')).toMatchObject({ result: 'refused', status: 412 });
    expect((await cli(['audit', 'verify'])).code).toBe(0);
  });

  it('a swept run is told for as long as its tombstone stays, and never runs again', async () => {
    const sample = samplePackage({ name: 'swept', nettingSets: 1 });
    const { eventId, requestKey, packageId } = sample.request;
    const runId = deriveRunId(eventId, requestKey);
    const reasons = [{ at: over.finishedAt, code: 'task-failed', subject: 'a1/shard-0001', message: 'bad input' }];
    await seedRun(rig.azurite.connectionString, runId, {
      eventId,
      requestKey,
      packageId,
      state: 'swept',
      outcome: 'failed',
      reasons,
      ...over,
    });
    for (const [method, path] of [
      ['GET', ''],
      ['GET', '/progress'],
      ['GET', '/results'],
      ['GET', '/events'],
      ['POST', '/retry'],
    ] as const) {
      const { status, body } = await call<Problem>(controller.url, method, `/v1/runs/${runId}${path}`);
      expect([status, body.code]).toEqual([410, 'run-swept']);
      expect(body.detail).toMatch(/ended as failed at 2026-09-30T19:00/);
      expect(body.errors).toMatchObject([{ code: 'task-failed', message: 'bad input' }]);
    }
    const again = await call<RunView>(controller.url, 'POST', '/v1/runs', { body: sample.request });
    expect([again.status, again.body.state]).toEqual([200, 'swept']);
  });

  it('a differing package is a conflict that names what differs', async () => {
    const { sample } = await submit('differing', { nettingSets: 1 });
    const body = { ...sample.request, packageId: 'b'.repeat(64) };
    const reply = await call<Problem>(controller.url, 'POST', '/v1/runs', { body });
    expect([reply.status, reply.body.code]).toEqual([409, 'run-conflict']);
    expect(reply.body.errors).toEqual([
      { subject: 'body.packageId', code: 'differs', message: expect.stringContaining(sample.packageId) },
    ]);
  });

  it('a plan shows shards, cost and end, and submits nothing', async () => {
    const sample = samplePackage({
      name: 'planned',
      nettingSets: 3,
      samples: 1000,
      gridDates: 10,
      costNanos: [8e6, 8e6, 8e6],
    });
    await rig.upload(sample);
    const { status, body } = await call<PlanView>(controller.url, 'POST', '/v1/plans', { body: sample.request });
    expect(status).toBe(200);
    expect(body).toMatchObject({ existing: null, refusals: [], cost: { currency: 'EUR', pricePerNodeHour: 0.5 } });
    expect(body.shards.flatMap((shard) => shard.nettingSets).sort()).toEqual(['NS-001', 'NS-002', 'NS-003']);
    expect((await call(controller.url, 'GET', `/v1/runs/${body.runId}`)).status).toBe(404);
    const gone = await call<PlanView>(controller.url, 'POST', '/v1/plans', {
      body: { ...sample.request, packageId: 'c'.repeat(64) },
    });
    expect(gone.body.refusals).toMatchObject([{ code: 'package-not-found' }]);
  });
});

describe('lists', () => {
  it('page by key: what comes or goes between two pages shifts nothing', async () => {
    const ids = Array.from({ length: 7 }, (_one, index) => `xva-20250101-paged-${index}`);
    const requestKey = { book: 'PAGED', asOf: '2025-01-01', cut: 'EOD', scenario: 'BASE', revision: 1 };
    const seed = (id: string) =>
      seedRun(rig.azurite.connectionString, id, { state: 'done', outcome: 'complete', requestKey, ...over });
    for (const id of ids) await seed(id);
    const page = async (more = '') =>
      (
        await call<RunPage & Problem>(
          controller.url,
          'GET',
          `/v1/runs?book=PAGED&from=2025-01-01&to=2025-12-31&limit=3${more}`,
        )
      ).body;
    const first = await page();
    expect(first.items.map((run) => run.runId)).toEqual(ids.slice(0, 3));
    await seed('xva-20250101-paged-00');
    const second = await page(`&page=${first.nextPage ?? ''}`);
    expect(second.items.map((run) => run.runId)).toEqual(ids.slice(3, 6));
    const third = await page(`&page=${second.nextPage ?? ''}`);
    expect([third.items.map((run) => run.runId), third.nextPage]).toEqual([ids.slice(6), undefined]);
    const other = await call<Problem>(controller.url, 'GET', `/v1/runs?book=OTHER&page=${first.nextPage ?? ''}`);
    expect([other.status, other.body.code]).toEqual([422, 'page-of-another-list']);
  });
});

describe('results', () => {
  const path = `/v1/runs/${done}/results/tables`;

  it('are the same numbers as JSON, CSV and Parquet, with unit and currency', async () => {
    const listed = await call<{ items: { name: string; rows: number }[] } & Problem>(controller.url, 'GET', path);
    expect([listed.status, listed.body.code]).toEqual([422, 'table-not-readable']);
    interface Table {
      columns: { name: string; unit: string; currency: string | null; type: string }[];
      rows: unknown[][];
      currency: string;
    }
    const table = await call<Table>(controller.url, 'GET', `${path}/xva_netting_set`);
    const at = (name: string): number => table.body.columns.findIndex((column) => column.name === name);
    expect(table.body.columns[at('cva')]).toEqual({
      ...{ name: 'cva', type: 'double', unit: 'money', currency: 'EUR', currencyColumn: null },
    });
    expect(table.body.columns[at('trades')]).toMatchObject({ type: 'int64', unit: 'count', currency: null });
    expect(table.body.rows.map((row) => [row[at('npv')], row[at('cva')], row[at('trades')], row[at('colva')]])).toEqual(
      [
        [-1234567.891234567, 1 / 3, 3, null],
        [-0.1, -2.5e-9, 9007199254740991, -7.25],
      ],
    );
    const one = await call<Table>(controller.url, 'GET', `${path}/xva_netting_set?nettingSet=NS-002`);
    expect(one.body.rows.map((row) => row[at('nettingSetId')])).toEqual(['NS-002']);
    const parquet = await fetch(`${controller.url}${path}/xva_netting_set`, {
      headers: { 'x-api-key': keys.reader, accept: 'application/vnd.apache.parquet' },
    });
    const bytes = Buffer.from(await parquet.arrayBuffer());
    expect([parquet.headers.get('etag'), bytes.equals(tableBytes('xva_netting_set'))]).toEqual([
      `"${sha256Hex(bytes)}"`,
      true,
    ]);
    const part = await fetch(`${controller.url}${path}/xva_netting_set?format=parquet`, {
      headers: { 'x-api-key': keys.reader, range: 'bytes=-8' },
    });
    expect([part.status, part.headers.get('content-range')]).toEqual([
      206,
      `bytes ${bytes.length - 8}-${bytes.length - 1}/${bytes.length}`,
    ]);
    expect(Buffer.from(await part.arrayBuffer()).equals(bytes.subarray(-8))).toBe(true);
    const unknown = await call<Problem>(controller.url, 'GET', `${path}/xva_netting_set`, {
      headers: { accept: 'image/png' },
    });
    expect([unknown.status, unknown.body.code]).toEqual([406, 'format-not-known']);
  });

  it('profiles are series over dates', async () => {
    const { body } = await call<{
      currency: string;
      profiles: { scope: string; id: string; dates: string[]; series: Record<string, number[]> }[];
    }>(controller.url, 'GET', `/v1/runs/${done}/results/profiles?nettingSet=NS-001`);
    expect(body.currency).toBe('EUR');
    expect(body.profiles.map(({ scope, id }) => [scope, id])).toEqual([
      ['nettingSet', 'NS-001'],
      ['trade', 'T-1'],
    ]);
    expect(body.profiles[0]).toMatchObject({
      dates: ['2026-09-30', '2026-10-30', '2026-11-29'],
      series: { epe: [100.1, 101.1, 102.1], ene: [-5.5, -6.5, -7.5], expectedCollateral: [null, null, null] },
    });
    const none = await call<Problem>(controller.url, 'GET', `/v1/runs/${done}/results/profiles?nettingSet=NONE`);
    expect(none.status).toBe(404);
  });
});

describe('logs', () => {
  it('come from the node while it lives and from Storage afterwards, whole and in ranges', async () => {
    const { run } = await submit('logged', { nettingSets: 1 });
    await untilState(controller.url, run.runId, 'done');
    const path = `/v1/runs/${run.runId}/tasks/shard-0001/logs/engine`;
    const text = 'engine log of shard-0001\n';
    const ranges: Readonly<Record<string, string>> = {
      'bytes=0-5': 'engine',
      'bytes=7-9': 'log',
      'bytes=-5': '0001\n',
      'bytes=14-': 'shard-0001\n',
    };
    const read = async (source: string, size: string) => {
      const whole = await call<string>(controller.url, 'GET', path);
      expect([whole.status, whole.body, whole.headers.get('x-log-source')]).toEqual([200, text, source]);
      for (const [range, expected] of Object.entries(ranges)) {
        const part = await call<string>(controller.url, 'GET', path, { headers: { range } });
        expect([part.status, part.body]).toEqual([206, expected]);
        expect(part.headers.get('content-range')).toMatch(new RegExp(`^bytes \\d+-\\d+/${size}$`));
      }
      const behind = await call<Problem>(controller.url, 'GET', path, { headers: { range: 'bytes=999-' } });
      expect([behind.status, behind.body.code]).toEqual([416, 'range-behind-end']);
    };
    await read('node', '\\*');
    const tail = await cli(['runs', 'logs', run.runId, '--task', 'shard-0001', '--log', 'engine', '--tail', '11']);
    expect([tail.code, tail.out]).toEqual([0, 'shard-0001\n']);
    const batch = new BatchAdapter({
      endpoint: rig.batch.url,
      accountName: batchAccount.name,
      accountKey: batchAccount.keyBase64,
    });
    await batch.deleteJob(`${run.runId}-a1`);
    await until('the job to be gone', async () =>
      (await batch.getJob(`${run.runId}-a1`)) === undefined ? true : undefined,
    );
    batch.close();
    await read('storage', String(text.length));
  });
});

describe('pools', () => {
  it('are shown and resized within bounds', async () => {
    const resize = (body: unknown) =>
      call<Problem & { spotNodes: { target: number } }>(controller.url, 'POST', '/v1/pools/pool/resize', { body });
    expect((await resize({ dedicatedNodes: 11 })).body.code).toBe('too-many-nodes');
    expect((await resize({})).status).toBe(400);
    expect((await call(controller.url, 'POST', '/v1/pools/none/resize', { body: { spotNodes: 1 } })).status).toBe(404);
    const asked = await resize({ spotNodes: 1 });
    expect([asked.status, asked.body.spotNodes.target]).toEqual([202, 1]);
    expect((await cli(['pools', 'list'])).out).toMatch(/^pool +active/m);
  });
});

describe('webhooks', () => {
  interface Delivery {
    id: string;
    event: string;
    state: string;
    runId: string | null;
    attempts: { status: number; message: string }[];
  }
  const deliveries = async (id: string) =>
    (await call<{ items: Delivery[] }>(controller.url, 'GET', `/v1/webhooks/${id}/deliveries`)).body.items;

  it('tell once how a run ended, signed, also when the receiver fails at first and the controller dies meanwhile', async () => {
    const made = await call<{ id: string; secret: string }>(controller.url, 'POST', '/v1/webhooks', {
      body: { url: `${receiver.url}/hook`, events: ['run.done', 'run.cancelled'] },
    });
    expect(made.status).toBe(201);
    const { id, secret } = made.body;
    const shown = await call<Record<string, unknown>>(controller.url, 'GET', `/v1/webhooks/${id}`);
    expect(JSON.stringify(shown.body)).not.toContain(secret);
    receiver.answers.push(500, 'redirect', 'silence');
    const { run } = await submit('hooked', { nettingSets: 1 });
    await untilState(controller.url, run.runId, 'done');
    const delivered = await until('the message to be delivered', async () =>
      (await deliveries(id)).find((one) => one.runId === run.runId && one.state === 'delivered'),
    );
    expect(delivered.attempts.map(({ status }) => status)).toEqual([500, 307, 0, 204]);
    expect(delivered.attempts[2]?.message).toBe('no answer within 400 ms');
    expect(new Set(receiver.messages.map(({ headers }) => headers['webhook-id'])).size).toBe(1);
    expect(receiver.messages.every((message) => isSigned(message, secret))).toBe(true);
    const told = JSON.parse(receiver.messages.at(-1)?.body ?? '{}') as { type: string; data: RunView };
    expect(told).toMatchObject({ type: 'run.done', data: { runId: run.runId, outcome: 'complete' } });
    receiver.messages.length = 0;
    const rotated = await call<{ secret: string; version: number }>(
      controller.url,
      'POST',
      `/v1/webhooks/${id}/rotate`,
      {
        body: { overlapHours: 1 },
        headers: { 'if-match': '"1"' },
      },
    );
    expect([rotated.status, rotated.body.version]).toEqual([200, 2]);
    expect((await call(controller.url, 'POST', `/v1/webhooks/${id}/ping`)).status).toBe(202);
    const ping = await until('the ping', async () => receiver.messages[0]);
    expect([isSigned(ping, secret), isSigned(ping, rotated.body.secret), isSigned(ping, 'whsec_AAAA')]).toEqual([
      true,
      true,
      false,
    ]);
    // A run that ended while nobody was here to tell: the scan finds it.
    await controller.kill();
    const missed = 'xva-20260930-missed-1';
    const at = new Date().toISOString();
    await seedRun(rig.azurite.connectionString, missed, {
      state: 'cancelled',
      outcome: 'cancelled',
      updatedAt: at,
      finishedAt: at,
    });
    controller = await rig.controller(settings);
    await until('the missed run to be told', async () => {
      const found = await deliveries(id);
      return found.find((one) => one.runId === missed && one.event === 'run.cancelled' && one.state === 'delivered');
    });
    receiver.messages.length = 0;
    expect((await call(controller.url, 'POST', `/v1/webhooks/${id}/deliveries/${delivered.id}/redeliver`)).status).toBe(
      202,
    );
    const again = await until('the message again', async () => receiver.messages[0]);
    expect(again.headers['webhook-id']).toBe(delivered.id);
    receiver.answers.push(410);
    await call(controller.url, 'POST', `/v1/webhooks/${id}/ping`);
    await until('the receiver that wants no more', async () =>
      (await deliveries(id)).find((one) => one.state === 'failed'),
    );
    expect((await cli(['webhooks', 'deliveries', id])).out).toMatch(/run\.done +xva-\S+ +delivered/);
    expect(
      (await call(controller.url, 'DELETE', `/v1/webhooks/${id}`, { headers: { 'if-match': '"1"' } })).status,
    ).toBe(412);
    expect(
      (await call(controller.url, 'DELETE', `/v1/webhooks/${id}`, { headers: { 'if-match': '"2"' } })).status,
    ).toBe(204);
    expect((await call(controller.url, 'GET', `/v1/webhooks/${id}`)).status).toBe(404);
  });
});

describe('the documentation page', () => {
  it('comes from here alone, with a policy that allows nothing inline', async () => {
    const page = await fetch(`${controller.url}/docs`);
    const html = await page.text();
    const policy = page.headers.get('content-security-policy') ?? '';
    expect(policy).toContain("default-src 'none'; script-src 'self'; style-src 'self'");
    expect(policy).not.toMatch(/unsafe|https?:|\*/);
    expect(html).not.toMatch(/<script>|<style|on\w+="|https?:\/\//);
    const linked = [...html.matchAll(/(?:src|href)="([^"]+)"/g)].map(
      ([, path]) => new URL(path ?? '', `${controller.url}/docs`),
    );
    for (const url of linked) {
      const asset = await fetch(url);
      expect([url.pathname, asset.status, (await asset.arrayBuffer()).byteLength > 50]).toEqual([
        url.pathname,
        200,
        true,
      ]);
    }
    expect(linked).toHaveLength(4);
    expect((await fetch(`${controller.url}/docs/..%2fpackage.json`)).status).toBe(404);
  });
});

describe('the command line', () => {
  it('asks for the same things, as a table or as JSON, with its exit codes', async () => {
    const file = join(folder, 'request.json');
    const sample = samplePackage({ name: 'cli', nettingSets: 1 });
    await rig.upload(sample);
    writeFileSync(file, JSON.stringify(sample.request));
    const planned = await cli(['runs', 'plan', '--request', file]);
    expect([planned.code, planned.out]).toEqual([0, expect.stringMatching(/SHARD +CPU S +NETTING SETS/)]);
    const submitted = await cli(['--json', 'runs', 'submit', '--request', file]);
    const { runId } = JSON.parse(submitted.out) as RunView;
    const watched = await cli(['--json', 'runs', 'watch', runId]);
    const states = watched.out
      .trim()
      .split('\n')
      .map((line) => (JSON.parse(line) as RunView).state);
    expect([watched.code, states.at(-1)]).toEqual([0, 'done']);
    const shown = JSON.parse((await cli(['--json', 'runs', 'show', runId])).out) as RunView & { progress: RunProgress };
    expect([shown.state, shown.progress.percent]).toEqual(['done', 100]);
    const out = join(folder, 'table.parquet');
    expect(
      (await cli(['runs', 'results', done, '--table', 'rejections', '--format', 'parquet', '--out', out])).code,
    ).toBe(0);
    expect(readFileSync(out).equals(tableBytes('rejections'))).toBe(true);
    expect((await cli(['runs', 'results', done])).out).toMatch(/NS-001 +CPTY +-1234567\.891234567/);
    expect(await cli(['runs', 'cancel', runId])).toMatchObject({ code: 5, err: expect.stringContaining('run-state') });
    expect(await cli(['runs', 'show', runId], 'no-such-key-0123456789')).toMatchObject({ code: 5 });
    expect(await cli(['runs', 'show'])).toMatchObject({ code: 2 });
    expect(await cli(['runs', 'dance', runId])).toMatchObject({
      code: 2,
      err: expect.stringContaining('use list, show'),
    });
    const runs = new RunTable({ connectionString: rig.azurite.connectionString });
    expect((await runs.get(runId))?.record.submittedBy).toBe('key:test-admin');
  });
});

describe('a run record that cannot be read', () => {
  it('is left out of the list, and told to people by an alert and a log line that name it', async () => {
    const rows = new TableStore({ connectionString: rig.azurite.connectionString, table: 'runs' });
    const broken = { partitionKey: '20260930', rowKey: 'xva-20260930-broken-1' };
    await rows.insert({ ...broken, properties: { record: '{"schemaVersion":"1.0"' } });
    try {
      const list = await call<RunPage>(controller.url, 'GET', '/v1/runs?limit=100');
      expect(list.status).toBe(200);
      expect(list.body.items.map((run) => run.runId)).toContain(done);
      expect(list.body.items.map((run) => run.runId)).not.toContain(broken.rowKey);
      const metrics = await (await fetch(`${controller.url}/metrics`, { headers: { 'x-api-key': keys.admin } })).text();
      expect(metrics).toMatch(/xva_alerts_total\{code="run-record-unreadable"\} [1-9]/);
      await until('the log line', async () => /a run record cannot be read/.test(controller.log()) || undefined);
      expect(controller.log()).toContain(broken.rowKey);
    } finally {
      await rows.delete(broken.partitionKey, broken.rowKey);
    }
  });
});
