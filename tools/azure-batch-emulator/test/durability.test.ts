import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { clientFor, completed, ended, inState, isAlive, startProcess, until, type Started } from './helpers.ts';

const folder = mkdtempSync(join(tmpdir(), 'batch-durable-'));
const config = join(folder, 'config.json');
writeFileSync(config, JSON.stringify({ pools: [{ id: 'pool', vmSize: 'lab', taskSlotsPerNode: 2 }], nodeBootMs: 0 }));
const data = join(folder, 'data');
const children: Started[] = [];

async function start(...args: string[]): Promise<Started> {
  const started = await startProcess('--data', data, '--config', config, ...args);
  children.push(started);
  return started;
}

afterAll(async () => {
  for (const { child } of children) await ended(child, 'SIGKILL');
  rmSync(folder, { recursive: true, force: true });
});

describe('the state on disk', () => {
  it('survives a kill -9: what was acknowledged is there, what ran is requeued, nothing old still runs', async () => {
    const first = await start();
    let client = clientFor(first.endpoints.batch);
    await client.job.add({ id: 'job', poolInfo: { poolId: 'pool' }, usesTaskDependencies: true });
    // The task tells its process and the process of a child that left its group, then waits for a sign.
    const commandLine = `/bin/sh -c "echo $$ >> ${folder}/pids; setsid sleep 300 & echo $! >> ${folder}/pids; echo run >> ${folder}/runs; while ! test -e ${folder}/go; do sleep 0.05; done"`;
    await client.task.add('job', { id: 'ran', commandLine: '/bin/true' });
    await completed(client, 'job', 'ran');
    await client.task.add('job', { id: 'runs', commandLine });
    await inState(client, 'job', 'runs', 'running');
    await until('the task to have started', async () => (existsSync(join(folder, 'runs')) ? true : undefined));
    const bulk = Array.from({ length: 100 }, (_, index) => ({
      id: `n${index}`,
      commandLine: '/bin/true',
      dependsOn: { taskIds: ['runs'] },
    }));
    await client.task.addCollection('job', bulk);
    await ended(first.child, 'SIGKILL');

    const pids = readFileSync(join(folder, 'pids'), 'utf8').trim().split('\n').map(Number);
    expect(pids).toHaveLength(2);
    expect(pids.every(isAlive)).toBe(true);

    const second = await start();
    await until('old processes to be gone', async () => (pids.some(isAlive) ? undefined : true));
    client = clientFor(second.endpoints.batch);
    const again = await inState(client, 'job', 'runs', 'running');
    expect(again.executionInfo).toMatchObject({ requeueCount: 1, retryCount: 0 });
    expect((await client.task.get('job', 'ran')).executionInfo).toMatchObject({ exitCode: 0, requeueCount: 0 });
    const counts = (await client.job.getTaskCounts('job')).taskCounts;
    expect(counts).toMatchObject({ active: 100, running: 1, completed: 1 });

    writeFileSync(join(folder, 'go'), '');
    await completed(client, 'job', 'runs');
    for (const { id } of bulk) await completed(client, 'job', id);
    expect((await client.job.getTaskCounts('job')).taskCounts).toMatchObject({
      active: 0,
      running: 0,
      completed: 102,
      succeeded: 102,
    });

    rmSync(join(folder, 'go'));
    await client.task.add('job', { id: 'stopped', commandLine });
    await until('the task to have started', async () =>
      readFileSync(join(folder, 'pids'), 'utf8').split('\n').length > 6 ? true : undefined,
    );
    expect(await ended(second.child, 'SIGTERM')).toBe(0);
    const last = readFileSync(join(folder, 'pids'), 'utf8').trim().split('\n').map(Number).slice(-2);
    await until('old processes to be gone', async () => (last.some(isAlive) ? undefined : true));
  });

  it('holds start and preparation tasks, job schedules and autoscale: after a kill -9 all of them go on', async () => {
    const home = join(folder, 'going-on');
    const settings = join(folder, 'going-on.json');
    const limits = { shortestScheduleSeconds: 0.05, shortestAutoscaleSeconds: 0.1 };
    writeFileSync(settings, JSON.stringify({ limits, nodeBootMs: 0, sampleSeconds: 0.1 }));
    const launch = async (): Promise<Started> => {
      const started = await startProcess('--data', home, '--config', settings);
      children.push(started);
      return started;
    };
    const waitFor = (sign: string): string =>
      `/bin/sh -c "echo run >> ${folder}/${sign}.runs; while ! test -e ${folder}/${sign}; do sleep 0.05; done"`;
    const runs = (sign: string): number =>
      existsSync(join(folder, `${sign}.runs`))
        ? readFileSync(join(folder, `${sign}.runs`), 'utf8').split('\n').length - 1
        : 0;
    const first = await launch();
    let client = clientFor(first.endpoints.batch);
    await client.pool.add({ id: 'plain', vmSize: 'a', targetDedicatedNodes: 1 });
    await client.pool.add({
      id: 'starting',
      vmSize: 'a',
      targetDedicatedNodes: 1,
      startTask: { commandLine: waitFor('start') },
    });
    await client.pool.add({
      id: 'scaled', vmSize: 'a', enableAutoScale: true, autoScaleEvaluationInterval: 'PT0.2S',
      autoScaleFormula: '$TargetDedicatedNodes = max($PendingTasks.GetSample(1)) > 0 ? 1 : 0',
    }); // prettier-ignore
    await client.job.add({
      id: 'prepared',
      poolInfo: { poolId: 'plain' },
      jobPreparationTask: { commandLine: waitFor('prep') },
      jobReleaseTask: { commandLine: waitFor('release') },
    });
    await client.task.add('prepared', { id: 't', commandLine: '/bin/true' });
    await inState(client, 'prepared', 't', 'preparing');
    const jobSpecification = {
      poolInfo: { poolId: 'scaled' },
      onAllTasksComplete: 'terminatejob' as const,
      jobManagerTask: { id: 'work', commandLine: '/bin/true' },
    };
    await client.jobSchedule.add({ id: 'often', schedule: { recurrenceInterval: 'PT0.3S' }, jobSpecification });
    await until('a scheduled job to end', async () => {
      const jobs = await client.job.listFromJobSchedule('often');
      return jobs[0]?.state === 'completed' ? true : undefined;
    });
    await until('the start and preparation tasks to run', async () =>
      runs('start') + runs('prep') === 2 ? true : undefined,
    );
    await ended(first.child, 'SIGKILL');

    const second = await launch();
    client = clientFor(second.endpoints.batch);
    const before = (await client.job.listFromJobSchedule('often')).length;
    expect(before).toBeGreaterThanOrEqual(1);
    expect((await client.computeNode.list('starting'))[0]?.state).toBe('waitingforstarttask');
    await until('both to run again', async () => (runs('start') === 2 && runs('prep') === 2 ? true : undefined));
    writeFileSync(join(folder, 'start'), '');
    writeFileSync(join(folder, 'prep'), '');
    expect((await completed(client, 'prepared', 't')).executionInfo).toMatchObject({ exitCode: 0, requeueCount: 1 });
    await until('the node to be idle', async () =>
      (await client.computeNode.list('starting'))[0]?.state === 'idle' ? true : undefined,
    );
    await until('two more scheduled jobs to end on a pool that scales itself', async () => {
      const jobs = await client.job.listFromJobSchedule('often');
      return jobs.filter(({ state }) => state === 'completed').length >= before + 2 ? true : undefined;
    });
    const ids = (await client.job.listFromJobSchedule('often')).map(({ id }) => id);
    expect(ids).toEqual(ids.map((_, index) => `often:job-${index + 1}`));
    await client.job.terminate('prepared');
    await until('the release task to run', async () => (runs('release') === 1 ? true : undefined));
    await ended(second.child, 'SIGKILL');

    const third = await launch();
    client = clientFor(third.endpoints.batch);
    await until('the release task to run again', async () => (runs('release') === 2 ? true : undefined));
    expect((await client.job.get('prepared')).state).toBe('terminating');
    writeFileSync(join(folder, 'release'), '');
    await until('the job to be completed', async () =>
      (await client.job.get('prepared')).state === 'completed' ? true : undefined,
    );
    expect((await client.computeNode.list('starting'))[0]).toMatchObject({
      state: 'idle',
      startTaskInfo: { exitCode: 0 },
    });
    expect(runs('start')).toBe(2);
    expect(await ended(third.child, 'SIGTERM')).toBe(0);
  });

  it('is refused to a second process, and a bad configuration is named', async () => {
    const holder = await start();
    await expect(startProcess('--data', data)).rejects.toThrow(/in use by another emulator/);
    expect(await ended(holder.child, 'SIGTERM')).toBe(0);
    writeFileSync(config, '{"colour":1}');
    await expect(start()).rejects.toThrow(/colour/);
    await expect(startProcess('--port', 'x')).rejects.toThrow(/--port is not a port/);
  });

  it('stops when its parent goes', async () => {
    const orphan = await startProcess('--data', join(folder, 'other'));
    orphan.child.stdin?.end();
    expect(await ended(orphan.child)).toBe(0);
  });
});
