import { TableStore } from '@xva/azure-tables';
import { sha256Hex, type Problem, type RunPage } from '@xva/contracts';
import { roles, type Role } from '../src/auth/principal.ts';
import { runInProcess } from './cli.ts';
import { IdentityProvider, tenantId } from './identity-provider.ts';
import { call, keys, Rig, until, type Controller, type Reply } from './rig.ts';
import { over, seedRun } from './seeds.ts';

let rig: Rig;
let provider: IdentityProvider;
let controller: Controller;
const theirs = 'xva-20260930-theirs-1';
const ours = 'xva-20260930-ours-1';
const deskKey = 'desk-ours-key-0123456789';

beforeAll(async () => {
  rig = await Rig.start();
  provider = await IdentityProvider.start();
  await seedRun(
    rig.azurite.connectionString,
    theirs,
    { state: 'done', outcome: 'complete', desk: 'theirs', ...over },
    true,
  );
  await seedRun(
    rig.azurite.connectionString,
    ours,
    { state: 'done', outcome: 'complete', desk: 'ours', ...over },
    true,
  );
  const configured = Object.entries(keys).map(([role, key]) => ({
    name: `test-${role}`,
    sha256: sha256Hex(key),
    role,
  }));
  const desk = { name: 'desk', sha256: sha256Hex(deskKey), role: 'admin', desk: 'ours', sees: 'own' };
  controller = await rig.controller({
    ...provider.settings(),
    XVA_API_KEYS: JSON.stringify([...configured, desk]),
    XVA_API_KEY_CACHE_MS: '0',
    XVA_WEBHOOK_SIGNING_KEY: 'k'.repeat(32),
  });
});
afterAll(async () => {
  await rig.stop();
  await provider.stop();
});

const cli = (args: readonly string[]) => runInProcess(args, rig.env());

type Method = Parameters<typeof call>[1];
const bearer = (token: string) => ({ authorization: `Bearer ${token}` });
const withToken = (method: Method, path: string, token: string): Promise<Reply<Problem>> =>
  call<Problem>(controller.url, method, path, {
    key: '',
    headers: bearer(token),
    ...(method === 'GET' ? {} : { body: {} }),
  });

/** Every row of the API and the least role that it takes, said again here on purpose. */
const needed: Readonly<Record<string, Role>> = {
  'POST /v1/runs': 'submitter',
  'POST /v1/plans': 'submitter',
  'GET /v1/runs': 'reader',
  'GET /v1/runs/{runId}': 'reader',
  'GET /v1/runs/{runId}/progress': 'reader',
  'GET /v1/runs/{runId}/events': 'reader',
  'POST /v1/runs/{runId}/cancel': 'operator',
  'POST /v1/runs/{runId}/pause': 'operator',
  'POST /v1/runs/{runId}/resume': 'operator',
  'POST /v1/runs/{runId}/retry': 'operator',
  'PUT /v1/runs/{runId}/priority': 'operator',
  'GET /v1/runs/{runId}/tasks/{taskId}/logs/{log}': 'reader',
  'GET /v1/runs/{runId}/results': 'reader',
  'GET /v1/runs/{runId}/results/files/{name}': 'reader',
  'GET /v1/runs/{runId}/results/tables': 'reader',
  'GET /v1/runs/{runId}/results/tables/{table}': 'reader',
  'GET /v1/runs/{runId}/results/profiles': 'reader',
  'GET /v1/pools': 'reader',
  'GET /v1/pools/{poolId}': 'reader',
  'POST /v1/pools/{poolId}/resize': 'admin',
  'POST /v1/pools/{poolId}/autoscale/evaluate': 'operator',
  'POST /v1/webhooks': 'operator',
  'GET /v1/webhooks': 'operator',
  'GET /v1/webhooks/{webhookId}': 'operator',
  'DELETE /v1/webhooks/{webhookId}': 'operator',
  'POST /v1/webhooks/{webhookId}/rotate': 'operator',
  'POST /v1/webhooks/{webhookId}/ping': 'operator',
  'GET /v1/webhooks/{webhookId}/deliveries': 'operator',
  'POST /v1/webhooks/{webhookId}/deliveries/{deliveryId}/redeliver': 'operator',
};

function filled(path: string, runId = ours): string {
  const values: Readonly<Record<string, string>> = {
    ...{ runId, taskId: 'merge', log: 'stdout', name: 'summary.json', table: 'rejections', poolId: 'pool' },
    ...{ webhookId: '0'.repeat(16), deliveryId: `msg-${'0'.repeat(32)}` },
  };
  return path.replaceAll(/\{(\w+)\}/g, (_all, name: string) => values[name] ?? name);
}

describe('every row of the API', () => {
  it('is in the table below, and the other way round', async () => {
    const { body } = await call<{ paths: Record<string, Record<string, { 'x-role': string }>> }>(
      controller.url,
      'GET',
      '/openapi.json',
      { key: '' },
    );
    const documented = Object.entries(body.paths).flatMap(([path, methods]) =>
      Object.entries(methods).map(([method, row]) => [`${method.toUpperCase()} ${path}`, row['x-role']] as const),
    );
    expect(Object.fromEntries(documented)).toEqual(needed);
  });

  it.each(Object.entries(needed))('%s needs %s, by key and by token', async (row, role) => {
    const [method, template] = row.split(' ') as [Method, string];
    const path = filled(template);
    const refusedKeys: Readonly<Record<string, string>> = {
      '': 'unauthenticated',
      'no-such-key-0123456789': 'key-not-valid',
      [`xva_${'a'.repeat(12)}_${'b'.repeat(43)}`]: 'key-not-valid',
      short: 'key-not-valid',
    };
    const body = method === 'GET' ? undefined : {};
    for (const [key, code] of Object.entries(refusedKeys)) {
      const refused = await call<Problem>(controller.url, method, path, { key, body });
      expect([refused.status, refused.body.code]).toEqual([401, code]);
      expect(refused.headers.get('www-authenticate')).toBe('ApiKey realm="xva", Bearer realm="xva"');
    }
    const refusedTokens = {
      'token-expired': await provider.token({ roles: ['admin'], expiresIn: -61 }),
      'token-audience': await provider.token({ roles: ['admin'], audience: 'api://another' }),
      'token-issuer': await provider.token({ roles: ['admin'], issuer: 'https://another.example/v2.0' }),
      'token-not-valid': await provider.forged({ roles: ['admin'] }),
      'token-without-role': await provider.token({ roles: ['Reader', 'root', 'desk.ours'] }),
    };
    for (const [code, token] of Object.entries(refusedTokens)) {
      const refused = await withToken(method, path, token);
      expect([refused.status, refused.body.code]).toEqual([401, code]);
    }
    for (const has of roles) {
      const answers = [
        await call<Problem>(controller.url, method, path, {
          key: keys[has],
          body,
          headers: { 'last-event-id': '999' },
        }),
        await call<Problem>(controller.url, method, path, {
          key: '',
          body,
          headers: { ...bearer(await provider.token({ roles: [has] })), 'last-event-id': '999' },
        }),
      ];
      for (const { status, body: answer } of answers) {
        if (roles.indexOf(has) < roles.indexOf(role)) expect([status, answer.code]).toEqual([403, 'forbidden']);
        else expect([401, 403, 500]).not.toContain(status);
      }
    }
  });

  const ofRun = Object.keys(needed).filter((row) => row.includes('{runId}'));
  it.each(ofRun)("%s does not tell another desk's run from none", async (row) => {
    const [method, template] = row.split(' ') as [Method, string];
    const query = template.endsWith('profiles') ? '?nettingSet=NS-001' : '';
    const body = template.endsWith('priority') ? { priority: 1 } : undefined;
    const ask = (runId: string) =>
      call<Problem>(controller.url, method, `${filled(template, runId)}${query}`, { key: deskKey, body });
    const [other, none] = [await ask(theirs), await ask('xva-20260930-none-1')];
    expect([other.status, none.status]).toEqual([404, 404]);
    expect(other.body.detail?.replace(theirs, 'X')).toBe(none.body.detail?.replace('xva-20260930-none-1', 'X'));
  });

  it('lists runs of the own desk only, whatever filter is sent', async () => {
    const list = async (query: string, key: string) =>
      (await call<RunPage>(controller.url, 'GET', `/v1/runs?${query}`, { key })).body.items.map((run) => run.runId);
    expect(await list('', deskKey)).toEqual([ours]);
    expect(await list('desk=theirs', deskKey)).toEqual([]);
    expect(await list('desk=theirs', keys.reader)).toEqual([theirs]);
    const own = await provider.token({ roles: ['reader', 'desk.ours'] });
    const { body } = await call<RunPage>(controller.url, 'GET', '/v1/runs', { key: '', headers: bearer(own) });
    expect(body.items.map((run) => run.runId)).toEqual([ours]);
  });
});

describe('tokens of Entra ID', () => {
  const path = `/v1/runs/${ours}`;
  const statusOf = async (token: string): Promise<number> => (await withToken('GET', path, token)).status;

  it('may be wrong by sixty seconds of time, and no more', async () => {
    expect(await statusOf(await provider.token({ expiresIn: -30 }))).toBe(200);
    expect(await statusOf(await provider.token({ expiresIn: -90 }))).toBe(401);
    expect(await statusOf(await provider.token({ notBefore: 30 }))).toBe(200);
    expect(await statusOf(await provider.token({ notBefore: 90 }))).toBe(401);
  });

  it('must be of the tenant, name its bearer, and have one desk at most', async () => {
    const codeOf = async (options: Parameters<IdentityProvider['token']>[0]) =>
      (await withToken('GET', path, await provider.token(options))).body.code;
    expect(await codeOf({ claims: { tid: tenantId.replace('1', '2') } })).toBe('token-tenant');
    expect(await codeOf({ claims: { tid: undefined } })).toBe('token-not-valid');
    expect(await codeOf({ claims: { oid: undefined } })).toBe('token-not-valid');
    expect(await codeOf({ roles: ['reader', 'desk.a', 'desk.b'] })).toBe('token-without-role');
    expect(await codeOf({ claims: { roles: 'admin' } })).toBe('token-without-role');
  });

  it('are signed by a published key with an algorithm of the list', async () => {
    expect(await statusOf(await provider.confused())).toBe(401);
    const [, payload] = (await provider.token()).split('.');
    const none = Buffer.from('{"alg":"none"}').toString('base64url');
    for (const token of [
      `${none}.${payload ?? ''}.`,
      `${none}.${payload ?? ''}.x`,
      'a.b.c',
      'x'.repeat(9_000),
      '..',
      'é',
    ])
      expect(
        await call(controller.url, 'GET', path, { key: '', headers: { authorization: `Bearer ${encodeURI(token)}` } }),
      ).toMatchObject({
        status: 401,
      });
    expect(
      (await call(controller.url, 'GET', path, { key: '', headers: { authorization: 'Basic eDp5' } })).status,
    ).toBe(401);
  });

  it('go on while keys are rotated and while the key server is away', async () => {
    const old = await provider.token();
    expect(await statusOf(old)).toBe(200);
    await provider.rotate();
    expect(await statusOf(await provider.token())).toBe(200);
    expect(await statusOf(old)).toBe(200);
    provider.isAway = true;
    expect(await statusOf(old)).toBe(200);
    await provider.rotate();
    const unknown = await provider.token();
    const unavailable = await withToken('GET', path, unknown);
    expect([unavailable.status, unavailable.body.code, unavailable.headers.get('retry-after')]).toEqual([
      ...[503, 'identity-provider-unavailable', '5'],
    ]);
    const asked = provider.asked;
    for (let index = 0; index < 20; index += 1) expect(await statusOf(unknown)).toBe(503);
    expect(provider.asked - asked).toBeLessThan(3);
    expect(await statusOf(old)).toBe(200);
    provider.isAway = false;
    await until('the key server to be asked again', async () => ((await statusOf(unknown)) === 200 ? true : undefined));
    await provider.rotate(false);
    expect(await statusOf(await provider.token())).toBe(200);
    expect(await statusOf(old)).toBe(401);
  });

  it('say whose desk pays', async () => {
    const { body, status } = await withToken(
      'POST',
      '/v1/runs',
      await provider.token({ roles: ['submitter', 'desk.ours'] }),
    );
    expect([status, body.code]).toEqual([400, 'request-not-valid']);
  });
});

describe('API keys of the ledger', () => {
  const use = async (key: string): Promise<readonly unknown[]> => {
    const { status, body } = await call<Problem>(controller.url, 'GET', '/v1/pools', { key });
    return [status, body.code];
  };

  it('are made, rotated with an overlap, expire and are revoked; each change is in the audit', async () => {
    const made = await cli(['--json', 'keys', 'create', 'rates-bot', '--role', 'submitter', '--desk', 'ours']);
    expect(made).toMatchObject({ code: 0 });
    const first = JSON.parse(made.out) as { id: string; key: string; role: string; sees: string };
    expect(first).toMatchObject({ role: 'submitter', desk: 'ours', sees: 'own', state: 'valid' });
    expect(await use(first.key)).toEqual([200, undefined]);
    expect(await use(`${first.key.slice(0, -1)}${first.key.endsWith('A') ? 'B' : 'A'}`)).toEqual([
      401,
      'key-not-valid',
    ]);
    expect((await call(controller.url, 'GET', `/v1/runs/${theirs}`, { key: first.key })).status).toBe(404);
    expect((await call(controller.url, 'POST', `/v1/runs/${ours}/cancel`, { key: first.key })).status).toBe(403);
    const rotated = await cli(['--json', 'keys', 'rotate', first.id, '--overlap-hours', '1']);
    const second = JSON.parse(rotated.out) as { id: string; key: string; rotatedFrom: string };
    expect(second).toMatchObject({ rotatedFrom: first.id, role: 'submitter', desk: 'ours' });
    expect([await use(first.key), await use(second.key)]).toEqual(Array(2).fill([200, undefined]));
    const rows = new TableStore({ connectionString: rig.azurite.connectionString, table: 'apikeys' });
    const stored = await rows.get('key', first.id);
    expect(JSON.stringify(stored)).not.toContain(first.key.slice(17));
    const past = { ...stored!.properties, expiresAt: new Date(Date.now() - 1_000).toISOString() };
    await rows.replace({ ...stored!, properties: past }, stored!.etag);
    expect(await use(first.key)).toEqual([401, 'key-expired']);
    expect(await cli(['keys', 'rotate', first.id])).toMatchObject({ code: 5, err: expect.stringContaining('expired') });
    expect((await cli(['keys', 'revoke', second.id])).code).toBe(0);
    expect(await use(second.key)).toEqual([401, 'key-not-valid']);
    const listed = await cli(['keys', 'list']);
    expect(listed.out).toMatch(new RegExp(`^${second.id} +rates-bot +submitter +ours +own +revoked`, 'm'));
    expect(listed.out).not.toContain(second.key);
    const audit = await cli(['--json', 'audit', 'list', '--subject', `key ${second.id}`]);
    const lines = audit.out
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as { operation: string; result: string });
    expect(lines.map(({ operation, result }) => `${operation} ${result}`)).toContain('keys revoke done');
    expect(await cli(['keys', 'create', 'x', '--role', 'god'])).toMatchObject({ code: 2 });
    expect(await cli(['keys', 'revoke', 'aaaaaaaaaaaa'])).toMatchObject({ code: 5 });
  });
});
