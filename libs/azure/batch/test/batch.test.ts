import { batchAccount, describeBatchPort, startBatchEmulatorProcess, type BatchEmulatorProcess } from '@xva/testkit';
import { BatchAdapter, BatchError, type TaskSpec } from '../src/index.ts';

let emulator: BatchEmulatorProcess;
let batch: BatchAdapter;
let waits: number[];

const credentials = { accountName: batchAccount.name, accountKey: batchAccount.keyBase64 };

beforeAll(async () => {
  emulator = await startBatchEmulatorProcess({
    pools: [{ id: 'pool', vmSize: 'lab', targetDedicatedNodes: 1, taskSlotsPerNode: 4 }],
    limits: { activeJobsAndSchedules: 40, maxBodyBytes: 30_000 },
    nodeBootMs: 0,
  });
  batch = new BatchAdapter({
    endpoint: emulator.url,
    ...credentials,
    varyingNames: ['TRACE'],
    retryPolicy: { baseDelayMs: 20, maxDelayMs: 100 },
    onRetry: (_error, _attempt, delayMs) => waits.push(delayMs),
  });
});
afterAll(async () => {
  batch.close();
  await emulator.stop();
});
beforeEach(() => {
  waits = [];
});
afterEach(() => emulator.clearFaults());

const job = (id: string, metadata: Record<string, string> = { a: '1' }) => ({
  id,
  poolId: 'pool',
  priority: 0,
  metadata,
});
const task = (id: string, change: Partial<TaskSpec> = {}): TaskSpec => ({
  id,
  commandLine: '/bin/true',
  resourceFiles: [],
  outputFiles: [],
  environment: { NAME: id, TRACE: 'one' },
  requiredSlots: 1,
  ...change,
});

async function until<T>(look: () => Promise<T | undefined>): Promise<T> {
  const deadline = Date.now() + 15_000;
  for (;;) {
    const found = await look();
    if (found !== undefined) return found;
    if (Date.now() > deadline) throw new Error('waited too long');
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

const ended = (jobId: string, taskId: string) =>
  until(async () => {
    const found = await batch.getTask(jobId, taskId);
    return found?.state === 'completed' ? found : undefined;
  });

describe('jobs', () => {
  it('are added once: the same again exists, another is a conflict', async () => {
    expect(await batch.addJob(job('once', { a: '1', TRACE: 'x' }))).toEqual({ outcome: 'created' });
    expect(await batch.addJob(job('once', { a: '1', TRACE: 'y' }))).toEqual({ outcome: 'exists' });
    expect(await batch.addJob(job('ONCE', { a: '1' }))).toEqual({ outcome: 'exists' });
    expect(await batch.addJob(job('once', { a: '2' }))).toEqual({ outcome: 'conflict' });
  });

  it('say when there is no room', async () => {
    await emulator.arm({ point: 'quota', match: { job: 'too-many' }, times: 1, action: { kind: 'refuse' } });
    expect(await batch.addJob(job('too-many'))).toEqual({ outcome: 'quota' });
    expect(await batch.addJob(job('too-many'))).toEqual({ outcome: 'created' });
  });

  it('say what is wrong with them', async () => {
    expect(await batch.addJob(job('a b'))).toMatchObject({ outcome: 'refused', code: 'InvalidPropertyValue' });
  });

  it('end once, and their facts can be read', async () => {
    await batch.addJob(job('ends', { a: '1', b: '2' }));
    expect(await batch.getJob('ends')).toMatchObject({ state: 'active', poolId: 'pool', metadata: { a: '1', b: '2' } });
    expect(await batch.patchJob('ends', { priority: 5 })).toBe('patched');
    expect(await batch.terminateJob('ends', 'because')).toBe('asked');
    await until(async () => ((await batch.getJob('ends'))?.state === 'completed' ? true : undefined));
    expect(await batch.getJob('ends')).toMatchObject({ terminateReason: 'because' });
    expect(await batch.terminateJob('ends', 'again')).toBe('ended');
    expect(await batch.deleteJob('ends')).toBe('deleted');
    await until(async () => ((await batch.getJob('ends')) === undefined ? true : undefined));
    expect(await batch.deleteJob('ends')).toBe('absent');
    expect(await batch.terminateJob('ends', 'again')).toBe('absent');
    expect(await batch.listTasks('ends')).toBeUndefined();
  });

  it('are listed', async () => {
    await batch.addJob(job('listed-1'));
    const found: string[] = [];
    for await (const one of batch.listJobs(`startswith(id,'listed-')`)) found.push(one.id);
    expect(found).toEqual(['listed-1']);
  });
});

describe('tasks', () => {
  it('are added in bulk and again without harm, whatever is injected', async () => {
    await batch.addJob(job('bulk'));
    const specs = Array.from({ length: 450 }, (_task, index) => task(`t${index}`));
    for (const [index, action] of [
      { kind: 'status', status: 503, code: 'ServerBusy', retryAfter: 0, when: 'before' },
      { kind: 'status', status: 429, code: 'TooManyRequests', when: 'after' },
      { kind: 'reset', when: 'after' },
    ].entries()) {
      await emulator.arm({ point: 'request', match: { op: 'Task_AddCollection' }, skip: index, times: 1, action });
    }
    expect(await batch.addTasks('bulk', specs)).toMatchObject({ outcome: 'added' });
    expect(waits.length).toBeGreaterThanOrEqual(3);
    expect((await batch.listTasks('bulk'))?.map((one) => one.id).sort()).toEqual(specs.map((one) => one.id).sort());
    expect(await batch.addTasks('bulk', specs)).toEqual({ outcome: 'added', created: 0, existed: 450 });
    await batch.terminateJob('bulk', 'done');
  });

  it('halve a collection that is too large', async () => {
    await batch.addJob(job('large'));
    const specs = Array.from({ length: 90 }, (_task, index) =>
      task(`t${index}`, { environment: { PAD: 'x'.repeat(900), N: String(index) } }),
    );
    expect(await batch.addTasks('large', specs)).toEqual({ outcome: 'added', created: 90, existed: 0 });
    expect(await batch.addTasks('large', [task('giant', { environment: { PAD: 'x'.repeat(40_000) } })])).toMatchObject({
      outcome: 'refused',
      code: 'RequestBodyTooLarge',
    });
    await batch.terminateJob('large', 'done');
  });

  it('that exist with other content are a conflict; what varies by nature is not compared', async () => {
    await batch.addJob(job('content'));
    await batch.addTasks('content', [task('t', { environment: { NAME: 't', TRACE: 'one' } })]);
    const again = await batch.addTasks('content', [task('t', { environment: { NAME: 't', TRACE: 'two' } })]);
    expect(again).toMatchObject({ outcome: 'added', existed: 1 });
    const other = await batch.addTasks('content', [task('t', { commandLine: '/bin/false' })]);
    expect(other).toEqual({ outcome: 'conflict', taskIds: ['t'] });
  });

  it('are not taken by a job that has ended or is not there', async () => {
    await batch.addJob(job('closed'));
    await batch.terminateJob('closed', 'x');
    expect(await batch.addTasks('closed', [task('t')])).toEqual({ outcome: 'job-closed' });
    expect(await batch.addTasks('nowhere', [task('t')])).toEqual({ outcome: 'job-absent' });
  });

  it('tell how they ended, and run again when that is asked', async () => {
    await batch.addJob(job('ends-2'));
    await batch.addTasks('ends-2', [
      task('bad', { commandLine: '/bin/sh -c "echo so; echo bad >&2; exit 30"' }),
      task('good'),
      task('never', { commandLine: 'no-such-program' }),
    ]);
    expect(await ended('ends-2', 'bad')).toMatchObject({
      exitCode: 30,
      result: 'failure',
      failure: { category: 'usererror' },
    });
    expect(await ended('ends-2', 'good')).toMatchObject({ exitCode: 0, result: 'success', failure: undefined });
    expect(await ended('ends-2', 'never')).toMatchObject({
      exitCode: undefined,
      failure: { code: 'CommandProgramNotFound' },
    });
    expect(await batch.reactivateTask('ends-2', 'good')).toBe('not-failed');
    expect(await batch.reactivateTask('ends-2', 'bad')).toBe('reactivated');
    expect(await ended('ends-2', 'bad')).toMatchObject({ exitCode: 30 });
    expect(await batch.reactivateTask('ends-2', 'none')).toBe('absent');
    expect(await batch.terminateTask('ends-2', 'bad')).toBe('ended');
    expect(await batch.taskCounts('ends-2')).toMatchObject({ completed: 3, succeeded: 1, failed: 2 });
    const range = { offset: 0, count: 100 };
    expect((await batch.readTaskFile('ends-2', 'bad', 'stderr.txt', range))?.toString()).toBe('bad\n');
    expect((await batch.readTaskFile('ends-2', 'bad', 'stdout.txt', { offset: 1, count: 1 }))?.toString()).toBe('o');
    expect(await batch.readTaskFile('ends-2', 'bad', 'stdout.txt', { offset: 50, count: 1 })).toHaveLength(0);
    expect(await batch.readTaskFile('ends-2', 'bad', 'wd/none.txt', range)).toBeUndefined();
    expect(await batch.readTaskFile('ends-2', 'none', 'stdout.txt', range)).toBeUndefined();
    await batch.terminateJob('ends-2', 'x');
    await until(async () => ((await batch.getJob('ends-2'))?.state === 'completed' ? true : undefined));
    expect(await batch.reactivateTask('ends-2', 'bad')).toBe('job-closed');
  });
});

describe('watching a job', () => {
  it('costs a request for the counts and a page for what changed, however many tasks there are', async () => {
    await batch.addJob(job('watched'));
    const waiting = Array.from({ length: 3_000 }, (_task, index) => task(`w${index}`));
    await batch.addJob({ ...job('waiting'), poolId: 'no-such-pool' });
    await batch.addTasks('waiting', waiting);
    const requests = async (): Promise<number> => {
      const transcript = await fetch(`${emulator.controlUrl}/control/transcript`);
      return ((await transcript.json()) as unknown[]).length;
    };
    const before = await requests();
    const first = await batch.taskChanges('waiting');
    expect(first).toEqual({ counts: expect.objectContaining({ active: 3_000 }), changed: [], cursor: undefined });
    expect((await requests()) - before).toBeLessThanOrEqual(2);

    await batch.addTasks('watched', [task('a'), task('b')]);
    await ended('watched', 'a');
    await ended('watched', 'b');
    const seen = await batch.taskChanges('watched', undefined, 0);
    expect(seen?.changed.map(({ id }) => id).sort()).toEqual(['a', 'b']);
    await batch.addTasks('watched', [task('c')]);
    await ended('watched', 'c');
    const next = await batch.taskChanges('watched', seen?.cursor, 0);
    expect(next?.changed.map(({ id }) => id)).toContain('c');
    expect(next?.changed.every(({ state }) => state === 'completed')).toBe(true);
    expect(next?.counts.completed).toBe(3);
    const later = new Date(Date.parse(next?.cursor ?? '') + 60_000).toISOString();
    expect(await batch.taskChanges('watched', later)).toMatchObject({ changed: [], cursor: later });
    expect(await batch.taskChanges('nowhere')).toBeUndefined();
  });
});

describe('options', () => {
  it('refuse an endpoint that is no root, since the official client would lose its path', () => {
    for (const endpoint of ['nonsense', 'ftp://host', 'http://host/account', 'http://host?x=1'])
      expect(() => new BatchAdapter({ endpoint, ...credentials })).toThrow(/the endpoint must be like https:/);
  });
});

describe('retries', () => {
  it('wait as long as Batch asks', async () => {
    const action = { kind: 'status', status: 503, code: 'ServerBusy', retryAfter: 1 };
    await emulator.arm({ point: 'request', match: { op: 'Pool_Get' }, times: 1, action });
    const started = Date.now();
    expect(await batch.poolFacts('pool')).toMatchObject({ slotsPerNode: 4, dedicatedNodes: { current: 1 } });
    expect(Date.now() - started).toBeGreaterThanOrEqual(1_000);
    expect(Date.now() - started).toBeLessThan(1_500);
  });

  it('recover from a reset at once', async () => {
    await emulator.arm({ point: 'request', match: { op: 'Pool_Get' }, times: 2, action: { kind: 'reset' } });
    const started = Date.now();
    expect(await batch.poolFacts('pool')).toBeDefined();
    expect(Date.now() - started).toBeLessThan(500);
  });

  it('give up with what Batch said', async () => {
    const action = { kind: 'status', status: 500, code: 'InternalError' };
    await emulator.arm({ point: 'request', match: { op: 'Pool_Get' }, times: 100, action });
    const failure: unknown = await batch.poolFacts('pool').catch((error: unknown) => error);
    expect(failure).toBeInstanceOf(BatchError);
    expect(failure).toMatchObject({ code: 'InternalError', status: 500, retryable: true });
    expect((failure as BatchError).requestId).toMatch(/^[0-9a-f-]{36}$/);
    expect(waits).toHaveLength(5);
  });

  it('do not help a wrong key, a wrong address or nobody there', async () => {
    const wrong = new BatchAdapter({ endpoint: emulator.url, accountName: batchAccount.name, accountKey: 'd3Jvbmc=' });
    await expect(wrong.poolFacts('pool')).rejects.toMatchObject({
      status: 403,
      code: 'AuthenticationFailed',
      retryable: false,
    });
    wrong.close();
    const away = new BatchAdapter({ endpoint: 'http://127.0.0.1:1', ...credentials, retryPolicy: { maxAttempts: 1 } });
    await expect(away.poolFacts('pool')).rejects.toMatchObject({ status: 0, retryable: true });
    away.close();
    expect(() => new BatchAdapter({ endpoint: emulator.url, accountName: 'only' })).toThrow(BatchError);
    await expect(batch.check('no-pool')).rejects.toMatchObject({ code: 'PoolNotFound' });
  });
});

describe('Entra ID', () => {
  it("asks for Batch's audience, once", async () => {
    const asked: unknown[] = [];
    const credential = {
      getToken: (scope: string | string[]) => {
        asked.push(scope);
        return Promise.resolve({ token: 'a-token', expiresOnTimestamp: Date.now() + 3_600_000 });
      },
    };
    const entra = new BatchAdapter({ endpoint: emulator.url, credential });
    expect(await entra.poolFacts('pool')).toMatchObject({ id: 'pool' });
    await Promise.all([entra.getJob('none'), entra.getJob('none')]);
    expect(asked).toEqual(['https://batch.core.windows.net/.default']);
    entra.close();
  });
});

describeBatchPort('the adapter on the emulator', () => ({
  batch,
  poolId: 'pool',
  commands: { succeed: '/bin/true', fail: '/bin/sh -c "exit 30"' },
  runTasks: () => Promise.resolve(),
}));
