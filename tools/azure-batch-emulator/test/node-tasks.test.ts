import type { BatchServiceClient } from '@azure/batch';
import { mkdtempSync, readFileSync, rmSync, existsSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { startBatchEmulator, type BatchEmulator } from '../src/index.ts';
import { clientFor, completed, fileText, inState, jobInState, refused, until } from './helpers.ts';

const folder = mkdtempSync(join(tmpdir(), 'batch-node-tasks-'));
let emulator: BatchEmulator;
let client: BatchServiceClient;
const reports: unknown[] = [];

beforeAll(async () => {
  emulator = await startBatchEmulator({
    config: { pools: [{ id: 'pool', vmSize: 'lab', targetDedicatedNodes: 2, taskSlotsPerNode: 2 }], nodeBootMs: 0 },
    report: (message, error) => reports.push([message, error]),
  });
  client = clientFor(emulator.endpoints['batch'] ?? '');
});
afterAll(async () => {
  await emulator.stop();
  rmSync(folder, { recursive: true, force: true });
  expect(reports).toEqual([]);
});

const sh = (text: string): string => `/bin/sh -c "${text}"`;
const file = (name: string): string => join(folder, name);
const linesOf = (name: string): string[] =>
  existsSync(file(name)) ? readFileSync(file(name), 'utf8').trim().split('\n') : [];

async function nodesWhen(pool: string, count: number, state: string) {
  return until(`${count} nodes of ${pool} to be ${state}`, async () => {
    const nodes = await client.computeNode.list(pool);
    return nodes.length === count && nodes.every((node) => node.state === state) ? nodes : undefined;
  });
}

async function status(job: string) {
  return client.job.listPreparationAndReleaseTaskStatus(job);
}

describe('job preparation and release tasks', () => {
  it('run once per node before the job and after it, and tell how they went', async () => {
    await client.job.add({
      id: 'prepared',
      poolInfo: { poolId: 'pool' },
      commonEnvironmentSettings: [{ name: 'COMMON', value: 'yes' }],
      jobPreparationTask: {
        commandLine: sh(`echo $AZ_BATCH_TASK_ID $COMMON > shared.txt; echo prep >> ${file('prepared')}; sleep 0.3`),
      },
      jobReleaseTask: {
        commandLine: sh(`cat $AZ_BATCH_JOB_PREP_WORKING_DIR/shared.txt; echo release >> ${file('prepared')}`),
      },
    });
    const tasks = ['a', 'b', 'c', 'd'].map((id) => ({
      id,
      commandLine: sh('cat $AZ_BATCH_JOB_PREP_WORKING_DIR/shared.txt'),
    }));
    await client.task.addCollection('prepared', tasks);
    await inState(client, 'prepared', 'a', 'preparing');
    expect((await client.job.getTaskCounts('prepared')).taskCounts).toMatchObject({ running: 4, active: 0 });
    for (const { id } of tasks) {
      const task = await completed(client, 'prepared', id);
      expect(task.previousState).toBe('running');
      expect(await fileText(client, 'prepared', id, 'stdout.txt')).toBe('jobpreparation yes\n');
    }
    const during = await status('prepared');
    expect(during).toHaveLength(2);
    expect(during[0]?.jobPreparationTaskExecutionInfo).toMatchObject({
      state: 'completed', exitCode: 0, result: 'success', retryCount: 0,
      taskRootDirectory: 'workitems/prepared/job-1/jobpreparation',
    }); // prettier-ignore
    expect(during[0]?.jobReleaseTaskExecutionInfo).toBeUndefined();
    await client.job.terminate('prepared', { terminateReason: 'enough' });
    const job = await jobInState(client, 'prepared', 'completed');
    expect(job.executionInfo?.terminateReason).toBe('enough');
    expect(job.jobReleaseTask).toMatchObject({ id: 'jobrelease', maxWallClockTime: 'PT15M' });
    const after = await status('prepared');
    expect(after.map(({ jobReleaseTaskExecutionInfo }) => jobReleaseTaskExecutionInfo?.exitCode)).toEqual([0, 0]);
    const some = await client.job.listPreparationAndReleaseTaskStatus('prepared', {
      jobListPreparationAndReleaseTaskStatusOptions: {
        filter: `nodeId eq '${after[1]?.nodeId ?? ''}' and jobReleaseTaskExecutionInfo/exitCode eq 0`,
        select: 'nodeId,jobReleaseTaskExecutionInfo',
      },
    });
    expect(some.map(({ nodeId, poolId }) => [nodeId, poolId])).toEqual([[after[1]?.nodeId, undefined]]);
    expect(linesOf('prepared').sort()).toEqual(['prep', 'prep', 'release', 'release']);
    expect(await refused(client.task.add('prepared', { id: 'jobpreparation', commandLine: 'x' }))).toBe(
      '409 JobCompleted',
    );
  });

  it('a failed one keeps the node from the job after its retries, and its tasks stay active', async () => {
    await client.job.add({
      id: 'unprepared',
      poolInfo: { poolId: 'pool' },
      jobPreparationTask: {
        id: 'prep',
        commandLine: sh(`echo x >> ${file('tries')}; exit 3`),
        constraints: { maxTaskRetryCount: 1 },
      },
    });
    await client.task.add('unprepared', { id: 't', commandLine: '/bin/true' });
    await until('both nodes to have failed', async () => {
      const rows = await status('unprepared');
      return rows.length === 2 && rows.every((row) => row.jobPreparationTaskExecutionInfo?.state === 'completed')
        ? true
        : undefined;
    });
    const [row] = await status('unprepared');
    expect(row?.jobPreparationTaskExecutionInfo).toMatchObject({ exitCode: 3, retryCount: 1, result: 'failure', failureInfo: { code: 'FailureExitCode' } }); // prettier-ignore
    expect(linesOf('tries')).toHaveLength(4);
    const task = await inState(client, 'unprepared', 't', 'active');
    expect(task.executionInfo).toMatchObject({ retryCount: 0, requeueCount: 0 });
    expect(await refused(client.task.add('unprepared', { id: 'PREP', commandLine: 'x' }))).toBe(
      '409 TaskIdSameAsJobPreparationTask',
    );
    await client.job.deleteMethod('unprepared');
    await until('the job to be gone', async () =>
      (await refused(client.job.get('unprepared'))) === '404 JobNotFound' ? true : undefined,
    );
  });

  it('runs beside the tasks when nobody waits for it, and again after a reboot', async () => {
    await client.job.add({
      id: 'beside',
      poolInfo: { poolId: 'pool' },
      maxParallelTasks: 1,
      jobPreparationTask: { commandLine: sh(`echo x >> ${file('beside')}; exit 1`), waitForSuccess: false },
    });
    await client.task.add('beside', { id: 'one', commandLine: '/bin/true' });
    const task = await completed(client, 'beside', 'one');
    const node = task.nodeInfo?.nodeId ?? '';
    await until('the preparation to have failed', async () =>
      (await status('beside'))[0]?.jobPreparationTaskExecutionInfo?.state === 'completed' ? true : undefined,
    );
    await client.computeNode.reboot('pool', node);
    await nodesWhen('pool', 2, 'idle');
    const affinityInfo = { affinityId: `TVM:${node}` };
    await client.task.add('beside', { id: 'two', commandLine: '/bin/true', affinityInfo });
    expect((await completed(client, 'beside', 'two')).nodeInfo?.nodeId).toBe(node);
    await until('the preparation to have run again', async () => (linesOf('beside').length === 2 ? true : undefined));
  });

  it('end a job that is deleted past its wall clock as any other', async () => {
    await client.job.add({
      id: 'late',
      poolInfo: { poolId: 'pool' },
      constraints: { maxWallClockTime: 'PT0.4S' },
      jobPreparationTask: { commandLine: '/bin/true' },
      jobReleaseTask: { commandLine: sh(`while ! test -e ${file('late')}; do sleep 0.02; done`) },
    });
    await client.task.add('late', { id: 't', commandLine: '/bin/true' });
    await completed(client, 'late', 't');
    await client.job.deleteMethod('late');
    await until('the release task to run', async () =>
      (await status('late')).some(({ jobReleaseTaskExecutionInfo }) => jobReleaseTaskExecutionInfo?.state === 'running')
        ? true
        : undefined,
    );
    const { creationTime } = await client.job.get('late');
    await until('its wall clock to pass', async () =>
      Date.now() > (creationTime?.getTime() ?? 0) + 600 ? true : undefined,
    );
    expect((await client.job.get('late')).state).toBe('deleting');
    writeFileSync(file('late'), '');
    await until('the job to be gone', async () =>
      (await refused(client.job.get('late'))) === '404 JobNotFound' ? true : undefined,
    );
  });

  it('are told apart when a job has none, and go together', async () => {
    await client.job.add({ id: 'plain', poolInfo: { poolId: 'pool' } });
    expect(await refused(status('plain'))).toBe('409 JobPreparationTaskOrReleaseTaskNotSpecified');
    const poolInfo = { poolId: 'pool' };
    const jobReleaseTask = { commandLine: 'x' };
    expect(await refused(client.job.add({ id: 'x', poolInfo, jobReleaseTask }))).toBe('400 InvalidPropertyValue');
    const tooLong = { commandLine: 'x', maxWallClockTime: 'PT16M' };
    const jobPreparationTask = { commandLine: 'x' };
    expect(await refused(client.job.add({ id: 'x', poolInfo, jobPreparationTask, jobReleaseTask: tooLong }))).toBe(
      '400 InvalidPropertyValue',
    );
  });
});

describe('a job manager task', () => {
  it('runs first and alone on a node, and takes the job with it', async () => {
    await client.job.add({
      id: 'managed',
      poolInfo: { poolId: 'pool' },
      priority: 900,
      jobManagerTask: { id: 'manager', commandLine: sh(`while ! test -e ${file('go')}; do sleep 0.02; done`) },
    });
    const manager = await inState(client, 'managed', 'manager', 'running');
    const node = await client.computeNode.get('pool', manager.nodeInfo?.nodeId ?? '');
    expect(node).toMatchObject({ runningTasksCount: 1, runningTaskSlotsCount: 2 });
    await client.task.add('managed', { id: 'long', commandLine: 'sleep 300' });
    await inState(client, 'managed', 'long', 'running');
    writeFileSync(file('go'), '');
    const job = await jobInState(client, 'managed', 'completed');
    expect(job.executionInfo?.terminateReason).toBe('JMComplete');
    expect(job.jobManagerTask).toMatchObject({ killJobOnCompletion: true, runExclusive: true });
    expect((await client.task.get('managed', 'long')).executionInfo?.failureInfo?.code).toBe('TaskEnded');
  });

  it('can leave the job as it is', async () => {
    const jobManagerTask = { id: 'm', commandLine: '/bin/true', killJobOnCompletion: false, runExclusive: false };
    await client.job.add({ id: 'kept', poolInfo: { poolId: 'pool' }, jobManagerTask });
    await completed(client, 'kept', 'm');
    await client.task.add('kept', { id: 'after', commandLine: '/bin/true' });
    await completed(client, 'kept', 'after');
    expect((await client.job.get('kept')).state).toBe('active');
  });
});

describe('a start task', () => {
  const pool = (id: string, startTask: { commandLine: string; maxTaskRetryCount?: number; waitForSuccess?: boolean }) =>
    client.pool.add({ id, vmSize: 'lab', targetDedicatedNodes: 1, startTask });

  it('is waited for, runs without a job, and again at a reboot', async () => {
    const commandLine = sh(
      `echo $AZ_BATCH_JOB_ID$AZ_BATCH_TASK_ID-; pwd; while ! test -e ${file('started')}; do sleep 0.02; done`,
    );
    await pool('started', { commandLine });
    const [waiting] = await nodesWhen('started', 1, 'waitingforstarttask');
    expect(waiting?.startTaskInfo?.state).toBe('running');
    await client.job.add({ id: 'on-started', poolInfo: { poolId: 'started' } });
    await client.task.add('on-started', { id: 't', commandLine: '/bin/true' });
    expect((await client.task.get('on-started', 't')).state).toBe('active');
    writeFileSync(file('started'), '');
    await completed(client, 'on-started', 't');
    const [node] = await client.computeNode.list('started', {
      computeNodeListOptions: {
        filter: "startTaskInfo/result eq 'Success' and startTaskInfo/exitCode eq 0 and state eq 'idle'",
      },
    });
    expect(node?.startTaskInfo).toMatchObject({ state: 'completed', exitCode: 0, result: 'success', retryCount: 0 });
    const { readableStreamBody } = await client.file.getFromComputeNode(
      'started',
      node?.id ?? '',
      'startup/stdout.txt',
    );
    const chunks: Buffer[] = [];
    for await (const chunk of readableStreamBody as AsyncIterable<Buffer>) chunks.push(Buffer.from(chunk));
    expect(Buffer.concat(chunks).toString()).toMatch(/^-\n.*\/startup\/wd\n$/);
    rmSync(file('started'));
    await client.computeNode.reboot('started', node?.id ?? '');
    await nodesWhen('started', 1, 'waitingforstarttask');
    writeFileSync(file('started'), '');
    await nodesWhen('started', 1, 'idle');
  });

  it('fails the node after its retries', async () => {
    await pool('failing', { commandLine: sh(`echo x >> ${file('starts')}; exit 7`), maxTaskRetryCount: 2 });
    const [node] = await nodesWhen('failing', 1, 'starttaskfailed');
    expect(node?.errors?.map(({ code }) => code)).toEqual(['StartTaskFailed']);
    expect(node?.startTaskInfo).toMatchObject({ exitCode: 7, retryCount: 2, result: 'failure' });
    expect(linesOf('starts')).toHaveLength(3);
    const counts = await client.account.listPoolNodeCounts({
      accountListPoolNodeCountsOptions: { filter: "poolId eq 'failing'" },
    });
    expect(counts[0]?.dedicated).toMatchObject({ startTaskFailed: 1, idle: 0, total: 1 });
    await client.pool.patch('failing', { startTask: { commandLine: '/bin/true' } });
    await client.computeNode.reimage('failing', node?.id ?? '');
    const [well] = await nodesWhen('failing', 1, 'idle');
    expect(well?.errors).toBeUndefined();
  });

  it('need not be waited for', async () => {
    await pool('eager', { commandLine: sh(`echo x > ${file('eager')}; exit 1`), waitForSuccess: false });
    await nodesWhen('eager', 1, 'idle');
    await until('the start task to have failed', async () =>
      (await client.computeNode.list('eager'))[0]?.startTaskInfo?.result === 'failure' ? true : undefined,
    );
    expect((await client.computeNode.list('eager'))[0]?.state).toBe('idle');
    await client.pool.deleteMethod('eager');
    await until('the pool to be gone', async () =>
      (await refused(client.pool.get('eager'))) === '404 PoolNotFound' ? true : undefined,
    );
  });
});
