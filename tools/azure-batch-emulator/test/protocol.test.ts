import { request } from 'node:http';
import { connect } from 'node:net';
import type { BatchServiceClient, BatchServiceModels } from '@azure/batch';
import { defaultAccount, parseConfig, startBatchEmulator, type BatchEmulator } from '../src/index.ts';
import { clientFor, completed, inState, jobInState, refused, until } from './helpers.ts';

let emulator: BatchEmulator;
let client: BatchServiceClient;
let url: string;

beforeAll(async () => {
  emulator = await startBatchEmulator({
    config: {
      accounts: [defaultAccount, { name: 'second', keyBase64: Buffer.from('another key').toString('base64') }],
      limits: { activeJobsAndSchedules: 12 },
      nodeBootMs: 0,
    },
  });
  url = emulator.endpoints['batch'] ?? '';
  client = clientFor(url);
});
afterAll(() => emulator.stop());
afterEach(() => emulator.faults.clear());

interface Answer {
  readonly status: number;
  readonly headers: Record<string, string | string[] | undefined>;
  readonly text: string;
}

/** A request as no client would send it; a bearer token stands for any credential. */
function raw(method: string, path: string, body?: string, headers: Record<string, string> = {}): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const outgoing = request(
      `${url}${path}`,
      { method, headers: { authorization: 'Bearer t', ...headers } },
      (response) => {
        let text = '';
        response.on('data', (chunk: Buffer) => (text += chunk.toString()));
        response.on('end', () => resolve({ status: response.statusCode ?? 0, headers: response.headers, text }));
        response.on('error', reject);
      },
    );
    outgoing.on('error', reject);
    outgoing.end(body);
  });
}

const v = 'api-version=2025-06-01';

describe('authentication', () => {
  it('takes the right key and refuses a wrong one, an unknown account, an old date and none', async () => {
    expect(await refused(client.job.list().then(() => undefined))).toBe('not refused');
    const wrong = clientFor(url, { name: defaultAccount.name, keyBase64: Buffer.from('wrong').toString('base64') });
    expect(await refused(wrong.job.list())).toBe('403 AuthenticationFailed');
    expect(await refused(clientFor(url, { ...defaultAccount, name: 'nobody' }).job.list())).toBe(
      '403 AuthenticationFailed',
    );
    const none = await raw('GET', `/jobs?${v}`, undefined, { authorization: '' });
    expect([none.status, (JSON.parse(none.text) as { code: string }).code]).toEqual([403, 'AuthenticationFailed']);
    const malformed = await raw('GET', `/jobs?${v}`, undefined, { authorization: 'SharedKey x' });
    expect(malformed.status).toBe(400);
    const old = { authorization: `SharedKey ${defaultAccount.name}:AAAA`, 'ocp-date': 'Sun, 22 Nov 2020 22:24:49 GMT' };
    expect((await raw('GET', `/jobs?${v}`, undefined, old)).text).toContain('expired');
  });

  it('keeps accounts apart', async () => {
    const second = clientFor(url, { name: 'second', keyBase64: Buffer.from('another key').toString('base64') });
    await second.job.add({ id: 'mine', poolInfo: { poolId: 'p' } });
    expect(await refused(client.job.get('mine'))).toBe('404 JobNotFound');
    expect((await second.job.list()).map(({ id }) => id)).toEqual(['mine']);
  });
});

describe('lists', () => {
  beforeAll(async () => {
    await client.job.add({ id: 'list', poolInfo: { poolId: 'nowhere' } });
    for (let chunk = 0; chunk < 3; chunk += 1) {
      const tasks = Array.from({ length: 70 }, (_, index) => ({ id: `t-${chunk * 70 + index}`, commandLine: 'x é' }));
      const { value } = await client.task.addCollection('list', tasks);
      expect(value?.every(({ status }) => status.toLowerCase() === 'success')).toBe(true);
    }
  });

  it('come in pages that hold each task once', async () => {
    const seen: (string | undefined)[] = [];
    let page: BatchServiceModels.TaskListResponse = await client.task.list('list', {
      taskListOptions: { maxResults: 64, select: 'id,state', filter: "state eq 'Active' and startswith(id,'T-')" },
    });
    let pages = 1;
    for (;;) {
      for (const task of page) expect(Object.keys(task)).toEqual(['id', 'state']);
      seen.push(...page.map(({ id }) => id));
      if (page.odatanextLink === undefined) break;
      page = await client.task.listNext(page.odatanextLink);
      pages += 1;
    }
    expect(pages).toBe(4);
    expect(new Set(seen).size).toBe(210);
  });

  it('refuse what they do not know, naming it', async () => {
    const list = (taskListOptions: object) => refused(client.task.list('list', { taskListOptions }));
    expect(await list({ filter: 'nonsense' })).toBe('400 InvalidQueryParameterValue');
    expect(await list({ expand: 'everything' })).toBe('400 InvalidQueryParameterValue');
    const answer = await raw('GET', `/jobs/list/tasks?${v}&$filter=state%20gt%20'x'`);
    expect(JSON.parse(answer.text)).toMatchObject({
      code: 'InvalidQueryParameterValue',
      message: { lang: 'en-US' },
      values: [{ key: 'QueryParameterName', value: '$filter' }, { key: 'QueryParameterValue' }, { key: 'Reason' }],
    });
    expect((await raw('GET', `/jobs?${v}&maxresults=1001`)).text).toContain('OutOfRangeQueryParameterValue');
    expect((await raw('GET', `/jobs?${v}&$skiptoken=1;DROP`)).text).toContain('InvalidQueryParameterValue');
    expect((await raw('GET', `/jobs?${v}&$top=1`)).text).toContain('UnsupportedQueryParameter');
    expect((await raw('GET', `/jobs`)).text).toContain('MissingRequiredQueryParameter');
  });
});

describe('bodies', () => {
  it.each([
    ['POST', '/jobs', '{', 400, 'InvalidRequestBody'],
    ['POST', '/jobs', '[]', 400, 'InvalidRequestBody'],
    ['POST', '/jobs', '{"poolInfo":{"poolId":"p"}}', 400, 'MissingRequiredProperty'],
    ['POST', '/jobs', '{"id":"a b","poolInfo":{"poolId":"p"}}', 400, 'InvalidPropertyValue'],
    ['POST', '/jobs', '{"id":"a","poolInfo":{"poolId":"p"},"colour":1}', 400, 'UnsupportedProperty'],
    ['POST', '/jobs', '{"id":"a","poolInfo":{"poolId":"p"},"priority":1001}', 400, 'OutOfRangePriority'],
    ['POST', '/jobs', '{"id":"a","poolInfo":{"poolId":"p"},"jobPreparationTask":{}}', 400, 'MissingRequiredProperty'],
    ['POST', '/pools', '{"id":"a","vmSize":"x","enableAutoScale":true}', 400, 'MissingRequiredProperty'],
    ['POST', '/jobs/list/addtaskcollection', '{"value":7}', 400, 'MissingRequiredProperty'],
    ['POST', '/jobs/none/tasks', '{}', 404, 'JobNotFound'],
    [
      'POST',
      '/jobs/list/tasks',
      '{"id":"r","commandLine":"x","exitConditions":{"exitCodeRanges":[{"start":5,"end":1,"exitOptions":{"jobAction":"none"}}]}}',
      400,
      'InvalidPropertyValue',
    ],
    ['POST', '/jobschedules', '{}', 400, 'MissingRequiredProperty'],
    ['GET', '/certificates', undefined, 501, 'NotImplementedByEmulator'],
    ['PATCH', '/jobs', '{}', 405, 'UnsupportedHttpVerb'],
    ['GET', '/%zz', undefined, 400, 'InvalidUri'],
    ['GET', '/nothing/here', undefined, 400, 'InvalidUri'],
  ])('%s %s %s', async (method, path, body, status, code) => {
    const answer = await raw(method, `${path}?${v}`, body);
    expect([answer.status, (JSON.parse(answer.text) as { code: string }).code]).toEqual([status, code]);
    expect(answer.headers['content-type']).toBe('application/json;odata=minimalmetadata');
    expect(answer.headers['request-id']).toMatch(/^[0-9a-f-]{36}$/);
  });

  it('past the limit are 413, and bytes that are no HTTP get an answer too', async () => {
    const large = JSON.stringify({ value: [{ id: 'x', commandLine: 'y'.repeat(1_100_000) }] });
    expect((await raw('POST', `/jobs/list/addtaskcollection?${v}`, large)).text).toContain('RequestBodyTooLarge');
    const text = await new Promise<string>((resolve) => {
      const socket = connect(Number(new URL(url).port), '127.0.0.1', () => socket.write('nonsense\r\n\r\n'));
      let got = '';
      socket.on('data', (chunk) => (got += chunk.toString()));
      socket.on('close', () => resolve(got));
    });
    expect(text).toMatch(/^HTTP\/1\.1 400 [\s\S]*InvalidInput/);
  });

  it('of a collection answer item by item, in the casing of the api-version', async () => {
    const body = JSON.stringify({
      value: [{ id: 'ok', commandLine: 'x' }, { id: 'OK', commandLine: 'x' }, { id: '' }, 5],
    });
    const statuses = async (version: string): Promise<string[]> => {
      const answer = await raw('POST', `/jobs/list/addtaskcollection?api-version=${version}`, body);
      return (JSON.parse(answer.text) as { value: { status: string }[] }).value.map(({ status }) => status);
    };
    expect(await statuses('2025-06-01')).toEqual(['success', 'clienterror', 'clienterror', 'clienterror']);
    expect(await statuses('2022-10-01.16.0')).toEqual(['ClientError', 'ClientError', 'ClientError', 'ClientError']);
    const tooMany = JSON.stringify({
      value: Array.from({ length: 101 }, (_, index) => ({ id: `m${index}`, commandLine: 'x' })),
    });
    expect((await raw('POST', `/jobs/list/addtaskcollection?${v}`, tooMany)).status).toBe(400);
  });
});

describe('bodies of schedules, pools and jobs with tasks of their own', () => {
  const spec = '"jobSpecification":{"poolInfo":{"poolId":"p"}}';
  it.each([
    ['/jobschedules', '{"id":"s"}', 'MissingRequiredProperty', 'jobSpecification'],
    ['/jobschedules', '{"id":"s","jobSpecification":{}}', 'MissingRequiredProperty', 'jobSpecification.poolInfo'],
    [
      '/jobschedules',
      `{"id":"s","schedule":{"recurrenceInterval":"PT1S"},${spec}}`,
      'InvalidPropertyValue',
      'schedule.recurrenceInterval',
    ],
    [
      '/jobschedules',
      `{"id":"s","schedule":{"startWindow":"x"},${spec}}`,
      'InvalidPropertyValue',
      'schedule.startWindow',
    ],
    [
      '/jobschedules',
      `{"id":"s","schedule":{"doNotRunUntil":"tomorrow"},${spec}}`,
      'InvalidPropertyValue',
      'schedule.doNotRunUntil',
    ],
    [
      '/jobschedules',
      `{"id":"s","schedule":{"doNotRunUntil":"2030-01-01T00:00:00Z","doNotRunAfter":"2029-01-01T00:00:00Z"},${spec}}`,
      'InvalidPropertyValue',
      'schedule.doNotRunAfter',
    ],
    [
      '/jobschedules',
      '{"id":"s","jobSpecification":{"poolInfo":{"poolId":"p"},"jobReleaseTask":{"commandLine":"x"}}}',
      'InvalidPropertyValue',
      'jobSpecification.jobReleaseTask',
    ],
    [
      '/jobs',
      '{"id":"a","poolInfo":{"poolId":"p"},"jobManagerTask":{"commandLine":"x"}}',
      'MissingRequiredProperty',
      'jobManagerTask.id',
    ],
    [
      '/jobs',
      '{"id":"a","poolInfo":{"poolId":"p"},"jobPreparationTask":{"commandLine":"x"},"jobReleaseTask":{"commandLine":"x","maxWallClockTime":"PT1H"}}',
      'InvalidPropertyValue',
      'jobReleaseTask.maxWallClockTime',
    ],
    ['/pools', '{"id":"a","vmSize":"x","startTask":{}}', 'MissingRequiredProperty', 'startTask.commandLine'],
    [
      '/pools',
      '{"id":"a","vmSize":"x","enableAutoScale":true,"autoScaleFormula":"1","targetDedicatedNodes":1}',
      'InvalidAutoScalingSettings',
      'targetDedicatedNodes',
    ],
    [
      '/pools',
      '{"id":"a","vmSize":"x","enableAutoScale":true,"autoScaleFormula":"1","autoScaleEvaluationInterval":"PT1M"}',
      'InvalidPropertyValue',
      'autoScaleEvaluationInterval',
    ],
    ['/pools', '{"id":"a","vmSize":"x","resizeTimeout":"PT1M"}', 'InvalidPropertyValue', 'resizeTimeout'],
  ])('%s %s', async (path, body, code, property) => {
    const answer = await raw('POST', `${path}?${v}`, body);
    const error = JSON.parse(answer.text) as { code: string; values: { key: string; value: string }[] };
    expect([answer.status, error.code, error.values.find(({ key }) => key === 'PropertyName')?.value]).toEqual([
      400,
      code,
      property,
    ]);
  });

  it.each([
    ['POST', '/pools', '{"id":"a","vmSize":"x","mountConfiguration":[{}]}', 'mounts'],
    ['POST', '/pools', '{"id":"a","vmSize":"x","certificateReferences":[{}]}', 'certificates'],
    ['POST', '/jobs', '{"id":"a","poolInfo":{"autoPoolSpecification":{},"poolId":"p"}}', 'auto-pools'],
    ['POST', '/certificates', '{}', 'certificates'],
    ['GET', '/applications', undefined, 'application packages'],
    ['GET', '/pools/p/nodes/n/rdp', undefined, 'Windows'],
  ])('%s %s %s is refused by name', async (method, path, body, what) => {
    const answer = await raw(method, `${path}?${v}`, body);
    expect([answer.status, answer.text.includes('NotImplementedByEmulator'), answer.text.includes(what)]).toEqual([
      501,
      true,
      true,
    ]);
  });
});

describe('entities', () => {
  it('have ETags that conditions hold against', async () => {
    await client.job.add({
      id: 'etag',
      poolInfo: { poolId: 'p' },
      metadata: [{ name: 'a', value: 'b' }],
      constraints: { maxTaskRetryCount: 5 },
    });
    const first = await client.job.get('etag');
    expect(first).toMatchObject({
      priority: 0,
      maxParallelTasks: -1,
      onAllTasksComplete: 'noaction',
      metadata: [{ name: 'a', value: 'b' }],
    });
    const ifMatch = first.eTag ?? '';
    expect(await refused(client.job.get('etag', { jobGetOptions: { ifNoneMatch: ifMatch } }))).toMatch(/^304/);
    await client.job.patch(
      'etag',
      { priority: 7, constraints: { maxWallClockTime: 'PT90M' } },
      { jobPatchOptions: { ifMatch: `"${ifMatch}"` } },
    );
    expect(await refused(client.job.patch('etag', { priority: 8 }, { jobPatchOptions: { ifMatch } }))).toBe(
      '412 ConditionNotMet',
    );
    const second = await client.job.get('etag');
    expect(second).toMatchObject({ priority: 7, constraints: { maxWallClockTime: 'PT1H30M', maxTaskRetryCount: 0 } });
    await client.job.update('etag', { poolInfo: { poolId: 'p' } });
    const third = await client.job.get('etag');
    expect(third.metadata).toBeUndefined();
    expect(third).toMatchObject({ priority: 0 });
    expect(await refused(client.job.add({ id: 'ETAG', poolInfo: { poolId: 'p' } }))).toBe('409 JobExists');
  });

  it('pools are created, resized, listed and deleted; nodes are rebooted and removed', async () => {
    await client.pool.add({
      id: 'p1',
      vmSize: 'small',
      targetDedicatedNodes: 2,
      metadata: [{ name: 'k', value: 'v' }],
    });
    const steady = () =>
      until('the pool to be steady', async () => {
        const pool = await client.pool.get('p1');
        return pool.allocationState === 'steady' ? pool : undefined;
      });
    expect(await steady()).toMatchObject({
      currentDedicatedNodes: 2,
      targetDedicatedNodes: 2,
      state: 'active',
      metadata: [{ name: 'k', value: 'v' }],
    });
    expect((await client.pool.exists('p1')).body).toBe(true);
    const nodes = await client.computeNode.list('p1', { computeNodeListOptions: { filter: "state eq 'idle'" } });
    expect(nodes).toHaveLength(2);
    await client.computeNode.reboot('p1', nodes[0]?.id ?? '');
    await client.pool.resize('p1', { targetDedicatedNodes: 4 });
    expect((await steady()).currentDedicatedNodes).toBe(4);
    await client.pool.removeNodes('p1', { nodeList: [nodes[1]?.id ?? ''] });
    expect((await steady()).currentDedicatedNodes).toBe(3);
    expect(await refused(client.computeNode.get('p1', nodes[1]?.id ?? ''))).toBe('404 NodeNotFound');
    const counts = await client.account.listPoolNodeCounts({
      accountListPoolNodeCountsOptions: { filter: "poolId eq 'P1'" },
    });
    expect(counts[0]).toMatchObject({ poolId: 'p1', dedicated: { total: 3 }, lowPriority: { total: 0 } });
    await client.pool.patch('p1', { metadata: [] });
    await client.pool.deleteMethod('p1');
    await until('the pool to be gone', async () =>
      (await refused(client.pool.get('p1'))) === '404 PoolNotFound' ? true : undefined,
    );
  });

  it('the quota of active jobs holds, and completed jobs are free', async () => {
    const added: string[] = [];
    let answer = '';
    for (let index = 0; index < 20 && answer === ''; index += 1) {
      const outcome = await refused(client.job.add({ id: `q-${index}`, poolInfo: { poolId: 'p' } }));
      if (outcome === 'not refused') added.push(`q-${index}`);
      else answer = outcome;
    }
    expect(answer).toBe('409 ActiveJobAndScheduleQuotaReached');
    for (const id of added) await client.job.terminate(id);
    await jobInState(client, added.at(-1) ?? '', 'completed');
    emulator.faults.arm({ point: 'quota', action: { kind: 'full' } });
    expect(await refused(client.job.add({ id: 'again', poolInfo: { poolId: 'p' } }))).toBe(
      '409 ActiveJobAndScheduleQuotaReached',
    );
    await client.job.add({ id: 'again', poolInfo: { poolId: 'p' } });
  });
});

describe('faults', () => {
  it('answer with a status and Retry-After, before or after the effect', async () => {
    emulator.faults.arm({
      point: 'request',
      match: { op: 'Task_Add' },
      action: { kind: 'status', status: 429, retryAfter: 3 },
    });
    const path = `/jobs/list/tasks?${v}`;
    const busy = await raw('POST', path, '{"id":"f1","commandLine":"x"}');
    expect([busy.status, busy.headers['retry-after'], busy.text.includes('TooManyRequests')]).toEqual([429, '3', true]);
    expect((await raw('GET', `/jobs/list/tasks/f1?${v}`)).status).toBe(404);
    emulator.faults.arm({ point: 'request', match: { op: 'Task_Add' }, action: { kind: 'status', when: 'after' } });
    expect((await raw('POST', path, '{"id":"f1","commandLine":"x"}')).status).toBe(503);
    expect((await raw('GET', `/jobs/list/tasks/f1?${v}`)).status).toBe(200);
  });

  it('fail single items of a collection, which the others do not mind', async () => {
    emulator.faults.arm({ point: 'task.add', match: { task: 'c2' }, action: { kind: 'fail', code: 'ServerBusy' } });
    const body = JSON.stringify({ value: ['c1', 'c2', 'c3'].map((id) => ({ id, commandLine: 'x' })) });
    const answer = await raw('POST', `/jobs/list/addtaskcollection?${v}`, body);
    const { value } = JSON.parse(answer.text) as {
      value: { taskId: string; status: string; error?: { code: string } }[];
    };
    expect([
      answer.status,
      value.map(({ taskId, status, error }) => [taskId, status.toLowerCase(), error?.code]),
    ]).toEqual([
      200,
      [
        ['c1', 'success', undefined],
        ['c2', 'servererror', 'ServerBusy'],
        ['c3', 'success', undefined],
      ],
    ]);
    expect((await raw('GET', `/jobs/list/tasks/c2?${v}`)).status).toBe(404);
    expect((await raw('GET', `/jobs/list/tasks/c3?${v}`)).status).toBe(200);
  });

  it('cut the connection before, after or within the answer', async () => {
    const path = `/jobs/list/tasks?${v}`;
    const rule = { point: 'request', match: { op: 'Task_Add' } };
    emulator.faults.arm({ ...rule, action: { kind: 'reset', when: 'before' } });
    await expect(raw('POST', path, '{"id":"r1","commandLine":"x"}')).rejects.toThrow();
    expect((await raw('GET', `/jobs/list/tasks/r1?${v}`)).status).toBe(404);
    emulator.faults.arm({ ...rule, action: { kind: 'reset', when: 'after' } });
    await expect(raw('POST', path, '{"id":"r1","commandLine":"x"}')).rejects.toThrow();
    expect((await raw('GET', `/jobs/list/tasks/r1?${v}`)).status).toBe(200);
    emulator.faults.arm({ point: 'request', match: { op: 'Task_List' }, action: { kind: 'truncate' } });
    await expect(raw('GET', path)).rejects.toThrow();
  });

  it('take a node away: its task is requeued and runs again', async () => {
    await client.pool.add({ id: 'spot', vmSize: 'lab', targetLowPriorityNodes: 1 });
    await client.job.add({ id: 'spot', poolInfo: { poolId: 'spot' } });
    emulator.faults.arm({ point: 'task.run', match: { job: 'spot' }, action: { kind: 'preempt', downMs: 50 } });
    await client.task.add('spot', { id: 't', commandLine: 'sleep 0.2', constraints: { maxTaskRetryCount: 0 } });
    const { executionInfo } = await completed(client, 'spot', 't');
    expect(executionInfo).toMatchObject({ exitCode: 0, requeueCount: 1, retryCount: 0 });
    await client.task.add('spot', { id: 'u', commandLine: 'sleep 0.2' });
    await inState(client, 'spot', 'u', 'running');
    const control = await fetch(`${emulator.endpoints['control'] ?? ''}/control/preempt-node`, {
      method: 'POST',
      body: JSON.stringify({ pool: 'spot' }),
    });
    expect(await control.json()).toEqual({ preempted: true });
    expect((await completed(client, 'spot', 'u')).executionInfo).toMatchObject({ requeueCount: 1 });
  });

  it('fail a task before it starts, or kill it', async () => {
    emulator.faults.arm({ point: 'task.start', match: { task: 'x' }, action: { kind: 'fail', code: 'DiskFull' } });
    emulator.faults.arm({ point: 'task.kill', match: { task: 'y' }, action: { kind: 'kill', signal: 'SIGSEGV' } });
    await client.task.addCollection('spot', [
      { id: 'x', commandLine: 'true' },
      { id: 'y', commandLine: 'sleep 300' },
    ]);
    expect((await completed(client, 'spot', 'x')).executionInfo?.failureInfo?.code).toBe('DiskFull');
    expect((await completed(client, 'spot', 'y')).executionInfo?.exitCode).toBe(-11);
  });
});

describe('the configuration', () => {
  it('names every fault together', () => {
    const bad = { accounts: [{ name: 'X', keyBase64: '!' }], pools: [{ id: 'a b', vmSize: '' }], colour: 1 };
    let message = '';
    try {
      parseConfig(bad);
    } catch (error) {
      message = String(error);
    }
    for (const part of ['accounts.0.name', 'accounts.0.keyBase64', 'pools.0.id', 'pools.0.vmSize', 'colour']) {
      expect(message).toContain(part);
    }
  });
});
