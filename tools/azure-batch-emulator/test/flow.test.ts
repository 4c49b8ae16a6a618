import type { BatchServiceClient } from '@azure/batch';
import { startBatchEmulator, type BatchEmulator } from '../src/index.ts';
import { clientFor, completed, fileText, inState, isAlive, jobInState, refused, until } from './helpers.ts';

let emulator: BatchEmulator;
let client: BatchServiceClient;
const reports: unknown[] = [];

beforeAll(async () => {
  emulator = await startBatchEmulator({
    config: {
      pools: [{ id: 'pool', vmSize: 'lab', targetDedicatedNodes: 2, taskSlotsPerNode: 2 }],
      containerImages: { 'registry/engine:*': { env: { GREETING: 'from the image' } } },
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

async function job(id: string, fields: Record<string, unknown> = {}): Promise<string> {
  await client.job.add({ id, poolInfo: { poolId: 'pool' }, ...fields });
  return id;
}

describe('a task', () => {
  it('runs as a process in its own directory and leaves its files', async () => {
    await job('files', {
      commonEnvironmentSettings: [
        { name: 'A', value: 'job' },
        { name: 'B', value: 'job' },
      ],
    });
    await client.task.add('files', {
      id: 't1',
      commandLine: `/bin/sh -c "echo $A $B $AZ_BATCH_TASK_ID; pwd; echo oops >&2; mkdir -p out/deep; echo hi > 'out/deep/x y.txt'"`,
      environmentSettings: [{ name: 'B', value: 'task' }],
    });
    const task = await completed(client, 'files', 't1');
    expect(task.executionInfo).toMatchObject({ exitCode: 0, result: 'success', retryCount: 0, requeueCount: 0 });
    const stdout = await fileText(client, 'files', 't1', 'stdout.txt');
    expect(stdout).toMatch(/^job task t1\n.*\/workitems\/files\/job-1\/t1\/wd\n$/);
    expect(await fileText(client, 'files', 't1', 'stderr.txt')).toBe('oops\n');
    expect(await fileText(client, 'files', 't1', 'wd/out/deep/x y.txt')).toBe('hi\n');
    const flat = await client.file.listFromTask('files', 't1');
    expect(flat.map(({ name }) => name)).toEqual(['stderr.txt', 'stdout.txt', 'wd']);
    const deep = await client.file.listFromTask('files', 't1', { recursive: true });
    expect(deep.map(({ name }) => name)).toContain('wd/out/deep/x y.txt');
    const some = await client.file.listFromTask('files', 't1', {
      recursive: true,
      fileListFromTaskOptions: { filter: "startswith(name,'wd/out/deep/')" },
    });
    expect(some.map(({ name }) => name)).toEqual(['wd/out/deep/x y.txt']);
  });

  it('gives a slice for ocp-range with 200, and properties for HEAD', async () => {
    const slice = await client.file.getFromTask('files', 't1', 'stdout.txt', {
      fileGetFromTaskOptions: { ocpRange: 'bytes=0-2' },
    });
    expect(slice._response.status).toBe(200);
    expect(slice.contentLength).toBe(3);
    const chunks: Buffer[] = [];
    for await (const chunk of slice.readableStreamBody as AsyncIterable<Buffer>) chunks.push(Buffer.from(chunk));
    expect(Buffer.concat(chunks).toString()).toBe('job');
    const properties = await client.file.getPropertiesFromTask('files', 't1', 'stderr.txt');
    expect(properties).toMatchObject({ contentLength: 5, ocpBatchFileIsdirectory: 'False' });
    expect(
      await refused(
        client.file.getFromTask('files', 't1', 'stdout.txt', { fileGetFromTaskOptions: { ocpRange: 'bytes=99999-' } }),
      ),
    ).toMatch(/^416 /);
    expect(await refused(client.file.getFromTask('files', 't1', '../../../../../../../../etc/passwd'))).toBe('404 ');
  });

  it('starts within 20 ms on an idle pool', async () => {
    await job('quick');
    const delays: number[] = [];
    for (let index = 0; index < 5; index += 1) {
      await client.task.add('quick', { id: `t${index}`, commandLine: '/bin/true' });
      const task = await completed(client, 'quick', `t${index}`);
      delays.push(Number(task.executionInfo?.startTime) - Number(task.creationTime));
    }
    expect(Math.min(...delays)).toBeLessThan(20);
  });

  it('runs with the environment of its mapped container image; an unmapped one fails before the process', async () => {
    await job('images');
    const commandLine = '/bin/sh -c "echo $GREETING"';
    await client.task.add('images', {
      id: 'known',
      commandLine,
      containerSettings: { imageName: 'registry/engine:1' },
    });
    await client.task.add('images', { id: 'other', commandLine, containerSettings: { imageName: 'elsewhere:1' } });
    expect((await completed(client, 'images', 'known')).executionInfo?.exitCode).toBe(0);
    expect(await fileText(client, 'images', 'known', 'stdout.txt')).toBe('from the image\n');
    const other = await completed(client, 'images', 'other');
    expect(other.executionInfo?.failureInfo).toMatchObject({ code: 'ContainerInvalidSettings', category: 'UserError' });
    expect(other.executionInfo?.exitCode).toBeUndefined();
  });

  it('fails without an exit code when its program is not there', async () => {
    await job('missing');
    await client.task.add('missing', { id: 't', commandLine: 'no-such-program --x' });
    const { executionInfo } = await completed(client, 'missing', 't');
    expect(executionInfo).toMatchObject({ result: 'failure', failureInfo: { code: 'CommandProgramNotFound' } });
    expect(executionInfo?.exitCode).toBeUndefined();
  });

  it('is retried as often as its constraints allow, and shows the last exit code', async () => {
    await job('retry', { constraints: { maxTaskRetryCount: 2 } });
    await client.task.add('retry', { id: 'inherits', commandLine: '/bin/sh -c "exit 3"' });
    await client.task.add('retry', {
      id: 'own',
      commandLine: '/bin/sh -c "exit 4"',
      constraints: { retentionTime: 'P1D' },
    });
    expect((await completed(client, 'retry', 'inherits')).executionInfo).toMatchObject({
      exitCode: 3,
      retryCount: 2,
      failureInfo: { code: 'FailureExitCode' },
    });
    expect((await completed(client, 'retry', 'own')).executionInfo).toMatchObject({ exitCode: 4, retryCount: 0 });
  });

  it('is ended by its wall clock, with its whole process group', async () => {
    await job('clock');
    await client.task.add('clock', {
      id: 't',
      commandLine: '/bin/sh -c "sleep 300 & echo $! > child; wait"',
      constraints: { maxWallClockTime: 'PT0.3S' },
    });
    const { executionInfo } = await completed(client, 'clock', 't');
    expect(executionInfo).toMatchObject({ exitCode: -9, result: 'failure', failureInfo: { code: 'TaskEnded' } });
    const child = Number(await fileText(client, 'clock', 't', 'wd/child'));
    await until('the child to be gone', async () => (isAlive(child) ? undefined : true));
  });

  it('can be ended, reactivated, updated and deleted', async () => {
    await job('life');
    await client.task.add('life', { id: 't', commandLine: '/bin/sh -c "test -e ../../go || sleep 300"' });
    await inState(client, 'life', 't', 'running');
    expect(await refused(client.task.reactivate('life', 't'))).toBe('409 TaskNotCompleted');
    await client.task.terminate('life', 't');
    const ended = await completed(client, 'life', 't');
    expect(ended.executionInfo).toMatchObject({ exitCode: -9, failureInfo: { code: 'TaskEnded' } });
    expect(await refused(client.task.terminate('life', 't'))).toBe('409 TaskCompleted');
    await client.task.reactivate('life', 't');
    await inState(client, 'life', 't', 'running');
    await client.task.update('life', 't', { constraints: { maxTaskRetryCount: 1 } });
    expect((await client.task.get('life', 't')).constraints).toMatchObject({
      maxTaskRetryCount: 1,
      retentionTime: 'P7D',
    });
    await client.task.deleteMethod('life', 't');
    expect(await refused(client.task.get('life', 't'))).toBe('404 TaskNotFound');
    expect((await client.job.getTaskCounts('life')).taskCounts).toMatchObject({ active: 0, running: 0, completed: 0 });
  });
});

describe('dependencies', () => {
  it('hold a task until the tasks it needs have satisfied it, by id and by range', async () => {
    await job('deps', { usesTaskDependencies: true });
    await client.task.addCollection('deps', [
      { id: 'last', commandLine: '/bin/true', dependsOn: { taskIds: ['merge'], taskIdRanges: [{ start: 1, end: 3 }] } },
      { id: 'merge', commandLine: '/bin/true', dependsOn: { taskIds: ['fails', '2'] } },
      { id: 'blocked', commandLine: '/bin/true', dependsOn: { taskIds: ['blocker'] } },
      { id: 'blocker', commandLine: '/bin/false' },
      {
        id: 'fails',
        commandLine: '/bin/sh -c "exit 5"',
        exitConditions: { exitCodes: [{ code: 5, exitOptions: { dependencyAction: 'satisfy' } }] },
      },
      { id: '1', commandLine: '/bin/true' },
      { id: '02', commandLine: '/bin/true' },
      { id: '2', commandLine: '/bin/true' },
    ]);
    await completed(client, 'deps', 'merge');
    expect((await client.task.get('deps', 'last')).state).toBe('active');
    await client.task.add('deps', { id: '003', commandLine: '/bin/true' });
    const last = await completed(client, 'deps', 'last');
    const merge = await completed(client, 'deps', 'merge');
    expect(Number(last.executionInfo?.startTime)).toBeGreaterThanOrEqual(Number(merge.executionInfo?.endTime));
    expect((await client.task.get('deps', 'blocked')).state).toBe('active');
    await client.task.add('deps', { id: 'late', commandLine: '/bin/true', dependsOn: { taskIds: ['merge'] } });
    await completed(client, 'deps', 'late');
    const counts = await client.job.getTaskCounts('deps');
    expect(counts.taskCounts).toMatchObject({ active: 1, running: 0, completed: 9, succeeded: 7, failed: 2 });
  });

  it('are refused on a job that does not use them', async () => {
    await job('nodeps');
    const adding = client.task.add('nodeps', { id: 't', commandLine: 'x', dependsOn: { taskIds: ['a'] } });
    expect(await refused(adding)).toBe('400 TaskDependenciesNotSpecifiedOnJob');
  });
});

describe('a job', () => {
  it('ends when all its tasks are complete, once asked to', async () => {
    await job('all');
    await client.task.add('all', { id: 't', commandLine: '/bin/true' });
    await client.job.patch('all', { onAllTasksComplete: 'terminatejob' });
    const done = await jobInState(client, 'all', 'completed');
    expect(done.executionInfo?.terminateReason).toBe('AllTasksComplete');
    expect(await refused(client.task.add('all', { id: 'x', commandLine: 'x' }))).toBe('409 JobCompleted');
    expect(await refused(client.job.terminate('all'))).toBe('409 JobCompleted');
  });

  it('takes the action of a failed task', async () => {
    await job('fail', { onTaskFailure: 'performexitoptionsjobaction' });
    await client.task.add('fail', {
      id: 'ok',
      commandLine: '/bin/false',
      exitConditions: { default: { jobAction: 'none' } },
    });
    await completed(client, 'fail', 'ok');
    await client.task.add('fail', { id: 'bad', commandLine: '/bin/false' });
    expect((await jobInState(client, 'fail', 'completed')).executionInfo?.terminateReason).toBe('TaskFailed');
    await job('noact');
    const adding = client.task.add('noact', {
      id: 't',
      commandLine: 'x',
      exitConditions: { default: { jobAction: 'none' } },
    });
    expect(await refused(adding)).toBe('400 InvalidPropertyValue');
  });

  it('requeues running tasks when disabled and takes them up when enabled', async () => {
    await job('pause');
    await client.task.add('pause', { id: 't', commandLine: '/bin/sh -c "test -e ../again && exit 0; sleep 300"' });
    await inState(client, 'pause', 't', 'running');
    await client.job.disable('pause', 'requeue');
    await jobInState(client, 'pause', 'disabled');
    const waiting = await inState(client, 'pause', 't', 'active');
    expect(waiting.executionInfo).toMatchObject({ requeueCount: 1 });
    await client.job.enable('pause');
    await inState(client, 'pause', 't', 'running');
    await client.job.terminate('pause', { terminateReason: 'because' });
    const done = await jobInState(client, 'pause', 'completed');
    expect(done.executionInfo?.terminateReason).toBe('because');
    expect((await client.task.get('pause', 't')).executionInfo?.failureInfo?.code).toBe('TaskEnded');
    await client.job.deleteMethod('pause');
    await until('the job to be gone', async () =>
      (await refused(client.job.get('pause'))) === '404 JobNotFound' ? true : undefined,
    );
    await job('pause');
  });

  it('ends by its wall clock', async () => {
    await job('short', { constraints: { maxWallClockTime: 'PT0.3S' } });
    await client.task.add('short', { id: 't', commandLine: 'sleep 300' });
    const done = await jobInState(client, 'short', 'completed');
    expect(done.executionInfo?.terminateReason).toBe('MaxWallClockTimeExpiry');
    expect((await completed(client, 'short', 't')).executionInfo?.result).toBe('failure');
  });

  it('keeps to its parallel limit, and the pool prefers the higher priority', async () => {
    await client.pool.add({ id: 'narrow', vmSize: 'lab', targetDedicatedNodes: 1, taskSlotsPerNode: 4 });
    const commandLine = '/bin/sh -c "sleep 0.05"';
    const tasks = ['a', 'b', 'c'].map((id) => ({ id, commandLine }));
    await job('low', { poolInfo: { poolId: 'narrow' }, priority: -5, maxParallelTasks: 1 });
    await job('high', { poolInfo: { poolId: 'narrow' }, priority: 5, maxParallelTasks: 1 });
    await client.job.disable('high', 'wait');
    await client.task.addCollection('low', tasks);
    await client.task.addCollection('high', tasks);
    await client.job.enable('high');
    const times: { start: number; end: number }[] = [];
    for (const { id } of tasks) {
      const { executionInfo } = await completed(client, 'high', id);
      times.push({ start: Number(executionInfo?.startTime), end: Number(executionInfo?.endTime) });
    }
    times.sort((left, right) => left.start - right.start);
    for (const [index, { start }] of times.entries()) {
      if (index > 0) expect(start).toBeGreaterThanOrEqual(times[index - 1]!.end);
    }
    for (const { id } of tasks) await completed(client, 'low', id);
  });
});
