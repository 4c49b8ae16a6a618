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
