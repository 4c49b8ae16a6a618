/** The shape of the submit flow's Batch port, said again: the flow's tests use this kit, so the kit cannot import the flow. */
export interface BatchPortLike {
  addJob(spec: JobSpecLike): Promise<{ readonly outcome: string }>;
  getJob(jobId: string): Promise<
    | {
        readonly state: string;
        readonly terminateReason: string | undefined;
        readonly onAllTasksComplete?: string | undefined;
      }
    | undefined
  >;
  terminateJob(jobId: string, reason: string): Promise<string>;
  addTasks(jobId: string, tasks: readonly TaskSpecLike[]): Promise<{ readonly outcome: string }>;
  listTasks(jobId: string): Promise<readonly TaskFactsLike[] | undefined>;
  reactivateTask(jobId: string, taskId: string): Promise<string>;
  disableJob(jobId: string): Promise<string>;
  enableJob(jobId: string): Promise<string>;
  patchJob(
    jobId: string,
    change: { readonly priority?: number; readonly onAllTasksComplete?: 'noaction' | 'terminatejob' },
  ): Promise<string>;
  terminateTask(jobId: string, taskId: string): Promise<string>;
  changedTasks?(
    jobId: string,
    cursor: string | undefined,
    overlapMs: number,
  ): Promise<{ readonly changed: readonly TaskFactsLike[]; readonly cursor: string | undefined } | undefined>;
}

export interface JobSpecLike {
  readonly id: string;
  readonly poolId: string;
  readonly priority: number;
  readonly metadata: Readonly<Record<string, string>>;
}

export interface TaskSpecLike {
  readonly id: string;
  readonly commandLine: string;
  readonly resourceFiles: readonly { readonly httpUrl: string; readonly filePath: string }[];
  readonly outputFiles: readonly never[];
  readonly environment: Readonly<Record<string, string>>;
  readonly requiredSlots: number;
}

export interface TaskFactsLike {
  readonly id: string;
  readonly state: string;
  readonly exitCode: number | undefined;
  readonly result: string | undefined;
}

export interface BatchContractRig {
  readonly batch: BatchPortLike;
  readonly poolId: string;
  /** Command lines of a task that succeeds, and of one that fails with exit code 30. */
  readonly commands: { readonly succeed: string; readonly fail: string };
  /** Lets what waits run to its end. */
  readonly runTasks: () => Promise<void>;
}

const task = (id: string, commandLine: string): TaskSpecLike => ({
  id,
  commandLine,
  resourceFiles: [],
  outputFiles: [],
  environment: { NAME: id },
  requiredSlots: 1,
});

/** What every Batch port must do: the fake and the adapter on the emulator run the same suite. */
export function describeBatchPort(name: string, make: () => BatchContractRig | Promise<BatchContractRig>): void {
  describe(`Batch port: ${name}`, () => {
    const ended = async (rig: BatchContractRig, jobId: string, taskId: string): Promise<TaskFactsLike> => {
      const deadline = Date.now() + 15_000;
      for (;;) {
        await rig.runTasks();
        const found = (await rig.batch.listTasks(jobId))?.find((one) => one.id === taskId);
        if (found?.state === 'completed') return found;
        if (Date.now() > deadline) throw new Error(`task ${taskId} does not end`);
        await new Promise((resolve) => setTimeout(resolve, 5));
      }
    };

    it('adds a job once, and tells the same from another', async () => {
      const { batch, poolId } = await make();
      const job = { id: 'contract-job', poolId, priority: 0, metadata: { a: '1' } };
      expect(await batch.addJob(job)).toEqual({ outcome: 'created' });
      expect(await batch.addJob(job)).toEqual({ outcome: 'exists' });
      expect(await batch.addJob({ ...job, metadata: { a: '2' } })).toEqual({ outcome: 'conflict' });
      expect(await batch.getJob('contract-none')).toBeUndefined();
    });

    it('adds tasks once, and tells the same from others', async () => {
      const { batch, poolId, commands } = await make();
      await batch.addJob({ id: 'contract-tasks', poolId, priority: 0, metadata: {} });
      expect(await batch.addTasks('contract-tasks', [task('one', commands.succeed)])).toMatchObject({
        outcome: 'added',
      });
      const both = [task('one', commands.succeed), task('two', commands.succeed)];
      expect(await batch.addTasks('contract-tasks', both)).toMatchObject({ outcome: 'added' });
      expect((await batch.listTasks('contract-tasks'))?.map((one) => one.id).sort()).toEqual(['one', 'two']);
      const other = await batch.addTasks('contract-tasks', [task('one', commands.fail)]);
      expect(other).toEqual({ outcome: 'conflict', taskIds: ['one'] });
      expect(await batch.listTasks('contract-none')).toBeUndefined();
      expect(await batch.addTasks('contract-none', both)).toEqual({ outcome: 'job-absent' });
    });

    it('tells success from failure, and lets only a failed task run again', async () => {
      const rig = await make();
      const { batch, poolId, commands } = rig;
      await batch.addJob({ id: 'contract-ends', poolId, priority: 0, metadata: {} });
      await batch.addTasks('contract-ends', [task('good', commands.succeed), task('bad', commands.fail)]);
      expect(await ended(rig, 'contract-ends', 'good')).toMatchObject({ exitCode: 0, result: 'success' });
      expect(await ended(rig, 'contract-ends', 'bad')).toMatchObject({ exitCode: 30, result: 'failure' });
      expect(await batch.reactivateTask('contract-ends', 'good')).toBe('not-failed');
      expect(await batch.reactivateTask('contract-ends', 'bad')).toBe('reactivated');
      expect(await batch.reactivateTask('contract-ends', 'none')).toBe('absent');
    });

    it('ends a job once; a closed one takes no tasks and reactivates none', async () => {
      const rig = await make();
      const { batch, poolId, commands } = rig;
      await batch.addJob({ id: 'contract-closed', poolId, priority: 0, metadata: {} });
      await batch.addTasks('contract-closed', [task('bad', commands.fail)]);
      await ended(rig, 'contract-closed', 'bad');
      expect(await batch.terminateJob('contract-closed', 'why')).toBe('asked');
      const deadline = Date.now() + 15_000;
      while ((await batch.getJob('contract-closed'))?.state !== 'completed' && Date.now() < deadline)
        await new Promise((resolve) => setTimeout(resolve, 5));
      expect(await batch.getJob('contract-closed')).toMatchObject({ state: 'completed', terminateReason: 'why' });
      expect(await batch.terminateJob('contract-closed', 'why')).toBe('ended');
      expect(await batch.terminateJob('contract-none', 'why')).toBe('absent');
      expect(await batch.addTasks('contract-closed', [task('new', commands.succeed)])).toEqual({
        outcome: 'job-closed',
      });
      expect(await batch.reactivateTask('contract-closed', 'bad')).toBe('job-closed');
    });

    const until = async (look: () => Promise<boolean>): Promise<void> => {
      const deadline = Date.now() + 15_000;
      while (!(await look())) {
        if (Date.now() > deadline) throw new Error('waited too long');
        await new Promise((resolve) => setTimeout(resolve, 5));
      }
    };

    it('starts nothing of a disabled job, and goes on when it is enabled', async () => {
      const rig = await make();
      const { batch, poolId, commands } = rig;
      await batch.addJob({ id: 'contract-held', poolId, priority: 0, metadata: {} });
      expect(await batch.disableJob('contract-held')).toBe('asked');
      await until(async () => (await batch.getJob('contract-held'))?.state === 'disabled');
      // Whether a second time is refused is the service's business.
      expect(['asked', 'already']).toContain(await batch.disableJob('contract-held'));
      await batch.addTasks('contract-held', [task('one', commands.succeed)]);
      await rig.runTasks();
      expect((await batch.listTasks('contract-held'))?.map((one) => one.state)).toEqual(['active']);
      expect(await batch.enableJob('contract-held')).toBe('asked');
      await until(async () => (await batch.getJob('contract-held'))?.state === 'active');
      expect(['asked', 'already']).toContain(await batch.enableJob('contract-held'));
      expect(await ended(rig, 'contract-held', 'one')).toMatchObject({ exitCode: 0 });
      await batch.terminateJob('contract-held', 'why');
      await until(async () => (await batch.getJob('contract-held'))?.state === 'completed');
      expect(await batch.disableJob('contract-held')).toBe('closed');
      expect(await batch.enableJob('contract-held')).toBe('closed');
      expect(await batch.disableJob('contract-none')).toBe('absent');
      expect(await batch.enableJob('contract-none')).toBe('absent');
    });

    it('ends a job by itself after its last task, once it was told to', async () => {
      const rig = await make();
      const { batch, poolId, commands } = rig;
      await batch.addJob({ id: 'contract-last', poolId, priority: 0, metadata: {} });
      await batch.addTasks('contract-last', [task('one', commands.succeed)]);
      await ended(rig, 'contract-last', 'one');
      expect(await batch.getJob('contract-last')).toMatchObject({ state: 'active', onAllTasksComplete: 'noaction' });
      expect(await batch.patchJob('contract-last', { priority: 7 })).toBe('patched');
      expect(await batch.patchJob('contract-last', { onAllTasksComplete: 'terminatejob' })).toBe('patched');
      await until(async () => (await batch.getJob('contract-last'))?.state === 'completed');
      expect(await batch.getJob('contract-last')).toMatchObject({ terminateReason: 'AllTasksComplete' });
      expect(await batch.patchJob('contract-last', { priority: 1 })).toBe('closed');
      expect(await batch.patchJob('contract-none', { priority: 1 })).toBe('absent');
    });

    it('ends a single task, and tells what changed since a look', async () => {
      const rig = await make();
      const { batch, poolId, commands } = rig;
      await batch.addJob({ id: 'contract-changes', poolId, priority: 0, metadata: {} });
      await batch.disableJob('contract-changes');
      await batch.addTasks('contract-changes', [task('one', commands.succeed), task('two', commands.succeed)]);
      const first = await batch.changedTasks?.('contract-changes', undefined, 0);
      expect(first?.changed).toEqual([]);
      expect(await batch.terminateTask('contract-changes', 'one')).toBe('terminated');
      expect(await batch.terminateTask('contract-changes', 'none')).toBe('absent');
      const next = await batch.changedTasks?.('contract-changes', first?.cursor, 0);
      expect(next?.changed.map((one) => [one.id, one.state])).toEqual([['one', 'completed']]);
      expect(await batch.terminateTask('contract-changes', 'one')).toBe('ended');
      expect(await batch.changedTasks?.('contract-none', undefined, 0)).toBeUndefined();
    });
  });
}
