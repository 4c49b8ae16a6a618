import type { BatchServiceClient } from '@azure/batch';
import { startBatchEmulator, type BatchEmulator } from '../src/index.ts';
import { defaultAccount } from '../src/index.ts';
import { clientFor, completed, inState, refused, until } from './helpers.ts';

const other = { name: 'otheraccount', keyBase64: Buffer.from('another key').toString('base64') };
let emulator: BatchEmulator;
let client: BatchServiceClient;
const reports: unknown[] = [];

beforeAll(async () => {
  emulator = await startBatchEmulator({
    config: {
      accounts: [
        { ...defaultAccount, quotas: { dedicatedCores: 12, lowPriorityCores: 2 } },
        { ...other, quotas: { pools: 1, activeJobsAndSchedules: 2 } },
      ],
      limits: { shortestAutoscaleSeconds: 0.1, enableAutoscaleSeconds: 30 },
      vmCores: { odd: 3 },
      sampleSeconds: 0.05,
      nodeBootMs: 0,
    },
    report: (message, error) => reports.push([message, error]),
  });
  client = clientFor(emulator.endpoints['batch'] ?? '');
});
afterAll(async () => {
  await emulator.stop();
  expect(reports).toEqual([]);
});

function steady(id: string, from = client) {
  return until(`pool ${id} to be steady`, async () => {
    const pool = await from.pool.get(id);
    return pool.allocationState === 'steady' ? pool : undefined;
  });
}
async function gone(id: string): Promise<void> {
  await client.pool.deleteMethod(id);
  await until(`pool ${id} to be gone`, async () =>
    (await refused(client.pool.get(id))) === '404 PoolNotFound' ? true : undefined,
  );
}
async function control(verb: string, body: unknown): Promise<unknown> {
  const answer = await fetch(`${emulator.endpoints['control'] ?? ''}/control/${verb}`, {
    method: 'POST',
    body: JSON.stringify(body),
  });
  return answer.json();
}

describe('a pool', () => {
  it('gets as many nodes as the core quota gives, and says so', async () => {
    await client.pool.add({ id: 'big', vmSize: 'Standard_D4s_v5', targetDedicatedNodes: 5, targetLowPriorityNodes: 1 });
    const pool = await steady('big');
    expect(pool).toMatchObject({ currentDedicatedNodes: 3, targetDedicatedNodes: 5, currentLowPriorityNodes: 0 });
    expect(pool.resizeErrors?.map(({ code }) => code)).toEqual([
      'AccountCoreQuotaReached',
      'AccountLowPriorityCoreQuotaReached',
    ]);
    await client.pool.resize('big', { targetDedicatedNodes: 1, targetLowPriorityNodes: 0 });
    expect((await steady('big')).resizeErrors).toBeUndefined();
    await client.pool.add({ id: 'odd', vmSize: 'odd', targetDedicatedNodes: 5 });
    expect((await steady('odd')).currentDedicatedNodes).toBe(2);
    await gone('big');
    await gone('odd');
  });

  it('shows why nodes did not come: failure, timeout, stop', async () => {
    emulator.faults.arm({
      point: 'allocate',
      match: { pool: 'dry' },
      action: { kind: 'fail', code: 'AllocationFailed' },
    });
    await client.pool.add({ id: 'dry', vmSize: 'a', targetDedicatedNodes: 1 });
    expect(await steady('dry')).toMatchObject({
      currentDedicatedNodes: 0,
      resizeErrors: [{ code: 'AllocationFailed' }],
    });
    emulator.faults.arm({ point: 'allocate', match: { pool: 'dry' }, action: { kind: 'delay', ms: 3_600_000 } });
    await client.pool.resize('dry', { targetDedicatedNodes: 2 });
    expect(await refused(client.pool.resize('dry', { targetDedicatedNodes: 3 }))).toBe('409 PoolBeingResized');
    await client.pool.stopResize('dry');
    expect(await steady('dry')).toMatchObject({ currentDedicatedNodes: 0, resizeErrors: [{ code: 'ResizeStopped' }] });
    expect(await refused(client.pool.resize('dry', { targetDedicatedNodes: 2, resizeTimeout: 'PT1M' }))).toBe(
      '400 InvalidPropertyValue',
    );
    await gone('dry');
  });

  it('loses spot nodes: their tasks are requeued, and wait while the node is away', async () => {
    await client.pool.add({ id: 'spot', vmSize: 'a', targetLowPriorityNodes: 1 });
    await steady('spot');
    await client.job.add({ id: 'evicted', poolInfo: { poolId: 'spot' } });
    await client.task.add('evicted', { id: 't', commandLine: 'sleep 300' });
    await inState(client, 'evicted', 't', 'running');
    expect(await control('preempt-node', { pool: 'spot', downMs: 200 })).toEqual({ preempted: true });
    const waiting = await inState(client, 'evicted', 't', 'active');
    expect(waiting.executionInfo).toMatchObject({ requeueCount: 1 });
    const [node] = await client.computeNode.list('spot');
    expect(node).toMatchObject({ state: 'preempted', isDedicated: false });
    const counts = await client.account.listPoolNodeCounts({
      accountListPoolNodeCountsOptions: { filter: "poolId eq 'spot'" },
    });
    expect(counts[0]?.lowPriority?.preempted).toBe(1);
    await inState(client, 'evicted', 't', 'running');
    expect(await control('lose-node', { pool: 'spot', state: 'unusable', downMs: 100 })).toEqual({ lost: true });
    await until('the node to be unusable', async () =>
      (await client.computeNode.list('spot'))[0]?.state === 'unusable' ? true : undefined,
    );
    await until('the task to run again', async () => {
      const { state, executionInfo } = await client.task.get('evicted', 't');
      return state === 'running' && executionInfo?.requeueCount === 2 ? true : undefined;
    });
    await client.job.deleteMethod('evicted');
    await gone('spot');
  });

  it('removes nodes when their tasks end, or when what tasks keep there has expired', async () => {
    await client.pool.add({ id: 'shrinking', vmSize: 'a', targetDedicatedNodes: 2 });
    await steady('shrinking');
    await client.job.add({ id: 'leaving', poolInfo: { poolId: 'shrinking' } });
    const sleep = '/bin/sh -c "sleep 0.4"';
    await client.task.add('leaving', { id: 'slow', commandLine: sleep });
    const slow = await inState(client, 'leaving', 'slow', 'running');
    const keeps = { id: 'keeps', commandLine: '/bin/true', constraints: { retentionTime: 'PT1S' } };
    await client.task.add('leaving', keeps);
    const kept = await completed(client, 'leaving', 'keeps');
    const nodeList = [slow.nodeInfo?.nodeId ?? ''];
    await client.pool.removeNodes('shrinking', { nodeList, nodeDeallocationOption: 'taskcompletion' });
    expect((await client.computeNode.get('shrinking', nodeList[0] ?? '')).state).toBe('leavingpool');
    expect((await completed(client, 'leaving', 'slow')).executionInfo).toMatchObject({ exitCode: 0, requeueCount: 0 });
    expect(await steady('shrinking')).toMatchObject({ currentDedicatedNodes: 1, targetDedicatedNodes: 1 });
    const last = [kept.nodeInfo?.nodeId ?? ''];
    await client.pool.removeNodes('shrinking', { nodeList: last, nodeDeallocationOption: 'retaineddata' });
    expect((await client.computeNode.get('shrinking', last[0] ?? '')).state).toBe('leavingpool');
    expect(await steady('shrinking')).toMatchObject({ currentDedicatedNodes: 0 });
    expect(await refused(client.file.listFromTask('leaving', 'keeps'))).toBe('409 TaskFilesCleanedup');
    await gone('shrinking');
  });

  it('has nodes with users, that can be deallocated and reimaged, and properties that are replaced', async () => {
    await client.pool.add({
      id: 'nodes',
      vmSize: 'a',
      targetDedicatedNodes: 1,
      metadata: [{ name: 'a', value: 'b' }],
      startTask: { commandLine: '/bin/true' },
    });
    const node = await until('the node', async () =>
      (await client.computeNode.list('nodes')).find(({ state }) => state === 'idle'),
    );
    const id = node.id ?? '';
    const verb = (name: string) =>
      fetch(`${emulator.endpoints['batch'] ?? ''}/pools/nodes/nodes/${id}/${name}?api-version=2025-06-01`, {
        method: 'POST',
        headers: { authorization: 'Bearer x' },
      }).then(({ status }) => status);
    const becomes = (state: string) =>
      until(`the node to be ${state}`, async () =>
        (await client.computeNode.get('nodes', id)).state === state ? true : undefined,
      );
    expect(await verb('start')).toBe(409);
    expect(await verb('deallocate')).toBe(202);
    await becomes('deallocated');
    expect(await verb('start')).toBe(202);
    await becomes('idle');
    await client.computeNode.reimage('nodes', id);
    await becomes('idle');
    await client.computeNode.addUser('nodes', id, { name: 'me', password: 'x', isAdmin: true });
    expect(await refused(client.computeNode.addUser('nodes', id, { name: 'me' }))).toBe('409 NodeUserExists');
    await client.computeNode.updateUser('nodes', id, 'me', { sshPublicKey: 'ssh-rsa x' });
    await client.computeNode.deleteUser('nodes', id, 'me');
    expect(await refused(client.computeNode.deleteUser('nodes', id, 'me'))).toBe('404 NodeUserNotFound');
    expect(await client.computeNode.getRemoteLoginSettings('nodes', id)).toMatchObject({
      remoteLoginIPAddress: '127.0.0.1',
    });
    await client.pool.updateProperties('nodes', {
      certificateReferences: [],
      applicationPackageReferences: [],
      metadata: [],
    });
    const pool = await client.pool.get('nodes');
    expect([pool.startTask, pool.metadata]).toEqual([undefined, []]);
    expect(
      await refused(
        client.pool.updateProperties('nodes', {
          certificateReferences: [],
          applicationPackageReferences: [{ applicationId: 'a' }],
          metadata: [],
        }),
      ),
    ).toBe('501 NotImplementedByEmulator');
    await gone('nodes');
  });
});

describe('autoscale', () => {
  it('follows its formula over the samples, and shows what it came to', async () => {
    const formula =
      '$TargetDedicatedNodes = min(3, $PendingTasks.GetSample(1)); $NodeDeallocationOption = taskcompletion;';
    await client.pool.add({
      id: 'scaled',
      vmSize: 'a',
      enableAutoScale: true,
      autoScaleFormula: formula,
      autoScaleEvaluationInterval: 'PT0.1S',
    });
    await client.job.add({ id: 'load', poolInfo: { poolId: 'scaled' } });
    await client.task.addCollection(
      'load',
      Array.from({ length: 5 }, (_, index) => ({ id: `t${index}`, commandLine: 'sleep 0.3' })),
    );
    const grown = await until('the pool to grow', async () => {
      const pool = await client.pool.get('scaled');
      return pool.currentDedicatedNodes === 3 ? pool : undefined;
    });
    expect(grown).toMatchObject({
      enableAutoScale: true,
      autoScaleFormula: formula,
      autoScaleEvaluationInterval: 'PT0.1S',
    });
    expect(grown.resizeTimeout).toBeUndefined();
    for (let index = 0; index < 5; index += 1) {
      expect((await completed(client, 'load', `t${index}`)).executionInfo).toMatchObject({
        exitCode: 0,
        requeueCount: 0,
      });
    }
    const empty = await until('the pool to be empty again', async () => {
      const pool = await client.pool.get('scaled');
      return pool.currentDedicatedNodes === 0 && pool.allocationState === 'steady' ? pool : undefined;
    });
    expect(empty.autoScaleRun?.results).toBe(
      '$TargetDedicatedNodes=0;$TargetLowPriorityNodes=0;$NodeDeallocationOption=taskcompletion',
    );
    expect(await refused(client.pool.resize('scaled', { targetDedicatedNodes: 1 }))).toBe('409 PoolAutoScaleEnabled');
    const tried = await client.pool.evaluateAutoScale(
      'scaled',
      '$TargetDedicatedNodes = 2; x = len($ActiveTasks.GetSample(TimeInterval_Second));',
    );
    expect(tried.error).toBeUndefined();
    expect(tried.results).toMatch(
      /^\$TargetDedicatedNodes=2;\$TargetLowPriorityNodes=0;\$NodeDeallocationOption=requeue;x=\d+$/,
    );
    const failed = await client.pool.evaluateAutoScale('scaled', '$something_useless');
    expect(failed.error).toMatchObject({
      code: 'AutoScalingFormulaEvaluationError',
      values: [{ name: 'Message', value: 'Line 1, Col 1: The variable $something_useless is not defined' }],
    });
    expect(
      (await client.pool.list({ poolListOptions: { filter: 'enableAutoScale eq true' } })).map(({ id }) => id),
    ).toEqual(['scaled']);
    await client.pool.disableAutoScale('scaled');
    expect(await refused(client.pool.evaluateAutoScale('scaled', '1'))).toBe('409 AutoScaleNotEnabledOnPool');
    expect((await client.pool.get('scaled')).enableAutoScale).toBe(false);
    await gone('scaled');
  });

  it('is enabled on a pool that is there, not too often, and not with a wrong formula', async () => {
    await client.pool.add({ id: 'fixed', vmSize: 'a', targetDedicatedNodes: 1 });
    await steady('fixed');
    expect(await refused(client.pool.enableAutoScale('fixed', { autoScaleFormula: '$TargetDedicatedNodes = ' }))).toBe(
      '400 AutoScalingFormulaSyntaxError',
    );
    expect(
      await refused(
        client.pool.enableAutoScale('fixed', { autoScaleFormula: '1', autoScaleEvaluationInterval: 'PT0.01S' }),
      ),
    ).toBe('400 InvalidPropertyValue');
    await client.pool.enableAutoScale('fixed', { autoScaleFormula: '$TargetDedicatedNodes = 2' });
    await until('the pool to follow', async () =>
      (await client.pool.get('fixed')).currentDedicatedNodes === 2 ? true : undefined,
    );
    expect((await client.pool.get('fixed')).autoScaleEvaluationInterval).toBe('PT15M');
    expect(await refused(client.pool.enableAutoScale('fixed', { autoScaleFormula: '1' }))).toBe(
      '503 TooManyEnableAutoScaleRequests',
    );
    const targets = { id: 'x', vmSize: 'a', enableAutoScale: true, autoScaleFormula: '1', targetDedicatedNodes: 1 };
    expect(await refused(client.pool.add(targets))).toBe('400 InvalidAutoScalingSettings');
    expect(await refused(client.pool.add({ id: 'x', vmSize: 'a', autoScaleFormula: '1' }))).toBe(
      '400 InvalidAutoScalingSettings',
    );
    await gone('fixed');
  });
});

describe('accounts', () => {
  it('see nothing of each other, and have quotas of their own', async () => {
    const second = clientFor(emulator.endpoints['batch'] ?? '', other);
    await client.pool.add({ id: 'mine', vmSize: 'a', targetDedicatedNodes: 0 });
    await second.pool.add({ id: 'mine', vmSize: 'b', targetDedicatedNodes: 1 });
    expect((await second.pool.get('mine')).vmSize).toBe('b');
    expect((await client.pool.get('mine')).vmSize).toBe('a');
    expect(await refused(second.pool.add({ id: 'more', vmSize: 'b' }))).toBe('409 PoolQuotaReached');
    await client.job.add({ id: 'job', poolInfo: { poolId: 'mine' } });
    expect(await refused(second.job.get('job'))).toBe('404 JobNotFound');
    await second.job.add({ id: 'job', poolInfo: { poolId: 'mine' } });
    await second.task.add('job', { id: 't', commandLine: '/bin/true' });
    await completed(second, 'job', 't');
    expect(await refused(client.task.get('job', 't'))).toBe('404 TaskNotFound');
    const jobSpecification = { poolInfo: { poolId: 'mine' } };
    await second.jobSchedule.add({
      id: 'schedule',
      schedule: { doNotRunUntil: new Date(Date.now() + 1e8) },
      jobSpecification,
    });
    expect(await refused(second.job.add({ id: 'third', poolInfo: { poolId: 'mine' } }))).toBe(
      '409 ActiveJobAndScheduleQuotaReached',
    );
    expect((await client.job.list()).map(({ id }) => id)).not.toContain('schedule');
    const endpoint = new URL(emulator.endpoints['batch'] ?? '');
    const get = async (host: string) => {
      const { request } = await import('node:http');
      return new Promise<string>((resolve, reject) => {
        const options = {
          host: endpoint.hostname,
          port: endpoint.port,
          path: '/pools/mine?api-version=2025-06-01',
          headers: { host, authorization: 'Bearer x' },
        };
        request(options, (answer) => {
          let text = '';
          answer.on('data', (chunk: Buffer) => (text += chunk.toString())).on('end', () => resolve(text));
        })
          .on('error', reject)
          .end();
      });
    };
    expect(JSON.parse(await get('otheraccount.local.batch.azure.com'))).toMatchObject({ vmSize: 'b' });
    expect(JSON.parse(await get('127.0.0.1'))).toMatchObject({ vmSize: 'a' });
  });

  it('know what they have used', async () => {
    const second = clientFor(emulator.endpoints['batch'] ?? '', other);
    const task = await second.task.get('job', 't', { taskGetOptions: { expand: 'stats' } });
    expect(task.stats).toMatchObject({ readIOps: 0, userCPUTime: 'PT0S' });
    expect(task.stats?.wallClockTime).toMatch(/^PT0\.\d+S$/);
    expect((await second.job.get('job', { jobGetOptions: { expand: 'stats' } })).stats).toMatchObject({
      numSucceededTasks: 1,
      numFailedTasks: 0,
    });
    expect(
      (await second.pool.get('mine', { poolGetOptions: { expand: 'stats' } })).stats?.resourceStats?.avgMemoryGiB,
    ).toBeGreaterThan(0);
    await second.job.deleteMethod('job');
    await until('the job to be gone', async () =>
      (await refused(second.job.get('job'))) === '404 JobNotFound' ? true : undefined,
    );
    expect(await second.job.getAllLifetimeStatistics()).toMatchObject({ numSucceededTasks: 1 });
    expect((await second.pool.getAllLifetimeStatistics()).usageStats?.dedicatedCoreTime).toMatch(/^PT/);
    const [usage] = await second.pool.listUsageMetrics();
    expect(usage).toMatchObject({ poolId: 'mine', vmSize: 'b' });
    expect(usage?.totalCoreHours).toBeGreaterThan(0);
    const images = await client.account.listSupportedImages({
      accountListSupportedImagesOptions: { filter: "nodeAgentSKUId eq 'batch.node.ubuntu 24.04'" },
    });
    expect(images.map(({ imageReference }) => imageReference.offer)).toEqual(['ubuntu-24_04-lts']);
  });
});
