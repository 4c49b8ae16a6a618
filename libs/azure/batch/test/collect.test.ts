import { batchAccount, startBatchEmulatorProcess, type BatchEmulatorProcess } from '@xva/testkit';
import { BatchAdapter, type CollectedTask } from '../src/index.ts';

describe('what a collector asks of Batch, on the emulator', () => {
  let emulator: BatchEmulatorProcess;
  let batch: BatchAdapter;

  beforeAll(async () => {
    emulator = await startBatchEmulatorProcess({ pools: [{ id: 'cpu', vmSize: 'standard_d2s_v5' }] });
    batch = new BatchAdapter({
      endpoint: emulator.url,
      accountName: batchAccount.name,
      accountKey: batchAccount.keyBase64,
    });
  });
  afterAll(async () => {
    batch.close();
    await emulator.stop();
  });

  it('streams tasks with their dependencies and failures, tells nodes, deletes tasks', async () => {
    const collector = batch.collector();
    const authorization = { 'content-type': 'application/json; odata=minimalmetadata', authorization: 'Bearer x' };
    const post = async (path: string, body: unknown): Promise<void> => {
      const url = `${emulator.url}/${path}?api-version=2024-07-01.20.0`;
      const answer = await fetch(url, { method: 'POST', headers: authorization, body: JSON.stringify(body) });
      expect([path, answer.status]).toEqual([path, 201]);
    };
    await post('jobs', { id: 'j', poolInfo: { poolId: 'cpu' }, usesTaskDependencies: true });
    await post('jobs/j/tasks', { id: '1', commandLine: 'false' });
    await post('jobs/j/tasks', {
      id: 'child',
      commandLine: 'true',
      dependsOn: { taskIdRanges: [{ start: 1, end: 3 }] },
    });
    await post('jobs/j/tasks', { id: 'other', commandLine: 'true', dependsOn: { taskIds: ['1'] } });
    const all = async (states?: CollectedTask['state'][]): Promise<CollectedTask[]> => {
      const found: CollectedTask[] = [];
      for await (const task of collector.tasks('j', states)) found.push(task);
      return found;
    };
    let failed: CollectedTask | undefined;
    while (failed === undefined) [failed] = await all(['completed']);
    expect(failed).toMatchObject({ id: '1', failed: true, exitCode: 1, mayBeSatisfied: false });
    expect(failed.since.getTime()).toBeGreaterThan(Date.now() - 60_000);
    const waiting = await all(['active']);
    expect(waiting.map(({ id, dependsOn, dependsOnRanges }) => [id, dependsOn, dependsOnRanges])).toEqual([
      ['child', [], [{ start: 1, end: 3 }]],
      ['other', ['1'], []],
    ]);
    expect(await collector.task('j', 'other')).toMatchObject({ id: 'other', state: 'active' });
    expect(await collector.task('j', 'none')).toBeUndefined();
    expect(await collector.deleteTask('j', 'other')).toBe('deleted');
    expect(await collector.deleteTask('j', 'other')).toBe('absent');
    expect([...((await collector.nodes('cpu')) ?? [])].map(([, { state }]) => state)).toEqual(['idle']);
    expect(await collector.nodes('none')).toBeUndefined();
    const none: CollectedTask[] = [];
    for await (const task of collector.tasks('no-such-job')) none.push(task);
    expect(none).toEqual([]);
    // Not offered by an emulator that refuses it by name; an empty answer where it is.
    expect((await collector.schedules()) ?? []).toEqual([]);
    expect((await collector.preparationLeftovers('j')) ?? []).toEqual([]);
    await batch.deleteJob('j');
  });
});
