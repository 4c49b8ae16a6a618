import { resultSummarySchema } from '@xva/contracts';
import { trialBook } from '@xva/testkit';
import { cancelRun, isOpen } from '../src/index.ts';
import { Killed, ServiceError, stages, Trial, type Call, type Inject, type Stage } from './injector.ts';

const book = trialBook(
  'Batch controller: faults and crash points',
  'docs/trials/batch-controller-faults.md',
  'libs/flow/submit/test/faults.test.ts',
);

/** What a run without any fault publishes, by netting set. */
let expected: unknown;

function published(trial: Trial): unknown {
  const pointer = trial.world.result(`${trial.runId}/published.json`) as
    { files: { name: string; blob: string }[] } | undefined;
  const file = pointer?.files.find((one) => one.name === 'summary.json');
  if (file === undefined) return undefined;
  const { nettingSets, totals, outcome } = resultSummarySchema.parse(trial.world.result(file.blob));
  return { nettingSets, totals, outcome };
}

/** What must hold of a run that is over, whatever struck it. @throws in words */
function check(trial: Trial, stage: Stage): void {
  const { world, runId } = trial;
  const record = world.record(runId);
  expect(isOpen(record)).toBe(false);
  expect(world.activeJobs()).toEqual([]);
  expect([...world.jobs.keys()].sort()).toEqual(record.attempts.map((attempt) => attempt.jobId).sort());
  if (stage === 'cancel') {
    expect(record.state).toBe('cancelled');
    expect(published(trial)).toBeUndefined();
    return;
  }
  expect(record.reasons.filter((one) => one.code === 'task-failed')).toEqual([]);
  expect(record.state).toBe('done');
  expect(published(trial)).toEqual(expected);
  for (const task of ['shard-0001', 'shard-0003'])
    expect(world.executions(runId, task)).toBeLessThanOrEqual(1 + (record.retries[task] ?? 0));
}

/** Something that strikes at the n-th call of a stage; gives undefined for a call that it cannot strike. */
type Fault = (call: Call, trial: Trial) => Promise<unknown> | undefined;

const isBatch = (call: Call): boolean => call.name.startsWith('batch.');
const isBlob = (call: Call): boolean => /^(container|results|objects|work)\./.test(call.name);
const isList = (call: Call): boolean => /\.list(Open)?$/.test(call.name);
const throwing = async (error: Error): Promise<never> => Promise.reject(error);

const faults: Readonly<Record<string, { readonly strike: Fault; readonly exits?: readonly number[] }>> = {
  'kill -9 before the call': { strike: () => throwing(new Killed()) },
  'kill -9 after the call': {
    strike: (call) => (isList(call) ? undefined : call.go().then(() => throwing(new Killed()))),
  },
  'Batch answers 429': { strike: (call) => (isBatch(call) ? throwing(new ServiceError(429)) : undefined) },
  'Batch answers 503': { strike: (call) => (isBatch(call) ? throwing(new ServiceError(503)) : undefined) },
  'Batch answers 500, having done it': {
    strike: (call) => (isBatch(call) ? call.go().then(() => throwing(new ServiceError(500))) : undefined),
  },
  'the connection is reset, the reply lost': {
    strike: (call) => (isList(call) ? undefined : call.go().then(() => throwing(new ServiceError(0)))),
  },
  'slow: another replica goes on meanwhile': {
    strike: (call) => {
      if (isList(call) || call.name === 'runs.insert' || call.world.records.size === 0) return undefined;
      return call.other().then(() => {
        call.world.now += 30_000;
        return call.go();
      });
    },
  },
  'a collection is added in part': {
    strike: (call) => {
      if (call.name !== 'batch.addTasks') return undefined;
      const [jobId, tasks] = call.args as [string, readonly never[]];
      const half = tasks.slice(0, Math.floor(tasks.length / 2));
      return call.world.batch.addTasks(jobId, half).then(() => throwing(new ServiceError(0)));
    },
  },
  'a node is preempted': {
    strike: (call) => {
      const [task] = call.world.runnable();
      if (task === undefined) return undefined;
      call.world.preempt(task);
      return call.go();
    },
  },
  'a node is lost with its task': {
    strike: (call) => {
      const [task] = call.world.runnable();
      if (task === undefined) return undefined;
      call.world.finish(task, null);
      return call.go();
    },
  },
  'the account is full: quota 409': {
    // Out of memory: what is tried again needs a job of its own.
    exits: [40],
    strike: (call) => {
      if (call.name !== 'batch.addJob') return undefined;
      call.world.quotaRefusals = 2;
      return call.go();
    },
  },
  'Storage answers 503': { strike: (call) => (isBlob(call) ? throwing(new ServiceError(503)) : undefined) },
};

/** One run with the fault at the n-th call of the stage that it can strike; false when there is no such call. */
async function strikeAt(stage: Stage, name: string, n: number): Promise<boolean> {
  const fault = faults[name];
  if (fault === undefined) throw new Error(name);
  const state = { seen: 0, struck: false };
  const inject: Inject = (call) => {
    if (state.struck || call.stage !== stage) return undefined;
    const answer = state.seen === n ? fault.strike(call, trial) : undefined;
    if (answer !== undefined) {
      state.struck = true;
      return answer;
    }
    // Calls that the fault cannot strike do not count; whether it can is known by trying at n only.
    if (state.seen < n && couldStrike(name, call)) state.seen += 1;
    return undefined;
  };
  const trial: Trial = new Trial(inject);
  const exits = [...(fault.exits ?? [30])];
  if (stage === 'retry') trial.world.exits.set('shard-0002', exits);
  if (stage === 'merge' && fault.exits !== undefined) trial.world.exits.set('merge', exits);
  await trial.submit();
  const { world } = trial;
  const cancel = (): Promise<unknown> =>
    cancelRun(trial.runId, 'test', {
      runs: world.runs,
      clock: { now: () => world.date, sleep: () => Promise.resolve() },
    });
  if (stage === 'cancel' && fault.exits !== undefined) {
    // While it is submitting: the record says that a job is to be, and there is none yet.
    const { record, etag } = world.records.get(trial.runId)!;
    const attempt = {
      ...{ attempt: 1, jobId: `${trial.runId}-a1`, poolId: 'pool', poolClass: 'dedicated' as const, image: 'engine:1' },
      ...{ tasks: ['shard-0001'], reason: 'first', startedAt: record.createdAt, submittedAt: null, endedAt: null },
      ...{ priority: 0, slotsPerNode: 1, pricePerNodeHour: null },
    };
    await world.runs.swap({ ...record, version: 2, state: 'submitting', attempts: [attempt] }, etag);
    await cancel();
  }
  const held = stage === 'retry' ? 'shard-0003' : undefined;
  await trial.finish((turn) => (stage === 'cancel' && turn === 0 ? cancel() : Promise.resolve()), held);
  if (state.struck) check(trial, stage);
  return state.struck;
}

/** Whether a fault is about calls of this kind: the same question as its `strike` asks, without an effect. */
function couldStrike(name: string, call: Call): boolean {
  if (name.startsWith('Batch')) return isBatch(call);
  if (name.startsWith('Storage')) return isBlob(call);
  if (name.includes('collection')) return call.name === 'batch.addTasks';
  if (name.includes('quota')) return call.name === 'batch.addJob';
  if (name.startsWith('a node')) return call.world.runnable().length > 0;
  if (name.startsWith('slow')) return !isList(call) && call.name !== 'runs.insert' && call.world.records.size > 0;
  return name.startsWith('kill -9 before') || !isList(call);
}

/** More calls than any stage makes. */
const mostCalls = 60;

describe('a run that is struck at every call that it makes', () => {
  beforeAll(async () => {
    const quiet = new Trial(() => undefined);
    await quiet.submit();
    await quiet.finish();
    expected = published(quiet);
    expect(expected).toMatchObject({ outcome: 'complete' });
  });

  for (const name of Object.keys(faults)) {
    for (const stage of stages) {
      it(`${stage}: ${name}`, async () => {
        let strikes = 0;
        for (; strikes < mostCalls; strikes += 1) {
          if (!(await strikeAt(stage, name, strikes))) break;
        }
        expect(strikes).toBeLessThan(mostCalls);
        const outcome =
          stage === 'cancel' ? 'cancelled, nothing published' : 'one job per attempt, published once, right numbers';
        const observed =
          strikes === 0 ? 'does not occur here' : `${outcome}, no job left active; at each of ${strikes} calls`;
        book.record({ section: `Faults: ${stage}`, name, observed });
      });
    }
  }
});

interface Point {
  readonly name: string;
  readonly observed: string;
  readonly run: () => Promise<void>;
}

/** A run in which the first call of this name is treated so. */
async function once(
  name: string,
  treat: (call: Call, trial: Trial) => Promise<unknown>,
  exits: readonly number[] = [],
): Promise<Trial> {
  let done = false;
  const trial: Trial = new Trial((call) => {
    if (done || call.name !== name) return undefined;
    done = true;
    return treat(call, trial);
  });
  if (exits.length > 0) trial.world.exits.set('shard-0002', [...exits]);
  await trial.submit();
  await trial.finish();
  expect(done).toBe(true);
  return trial;
}

const killBefore = (): Promise<never> => throwing(new Killed());
const killAfter = async (call: Call): Promise<never> => {
  await call.go();
  throw new Killed();
};
const whole = 'one job, published once, right numbers';
const then =
  (name: string, treat: (call: Call, trial: Trial) => Promise<unknown>, exits?: readonly number[]) => async () => {
    const trial = await once(name, treat, exits);
    check(trial, 'watch');
    expect(trial.world.record(trial.runId).attempts).toHaveLength(1);
  };

const points: readonly Point[] = [
  { name: 'before the pool check', observed: whole, run: then('batch.poolFacts', killBefore) },
  { name: 'after the pool check', observed: whole, run: then('batch.poolFacts', killAfter) },
  { name: 'the job created, no task in it', observed: whole, run: then('batch.addJob', killAfter) },
  {
    name: 'half the tasks added',
    observed: whole,
    run: then('batch.addTasks', async (call) => {
      const [jobId, tasks] = call.args as [string, readonly never[]];
      await call.world.batch.addTasks(jobId, tasks.slice(0, 2));
      throw new Killed();
    }),
  },
  {
    name: 'tasks accepted, the reply lost; they exist when they are sent again',
    observed: `${whole}; what exists with the same content counts as added`,
    run: then('batch.addTasks', async (call) => {
      await call.go();
      throw new ServiceError(0);
    }),
  },
  {
    name: 'the PATCH of onAllTasksComplete lost',
    observed: `${whole}; the next look sends it again`,
    run: async () => {
      const trial = await once('batch.patchJob', killBefore);
      check(trial, 'watch');
      expect(trial.world.jobs.get(`${trial.runId}-a1`)?.terminateReason).toBe('AllTasksComplete');
    },
  },
  {
    name: 'the job is terminated by somebody while tasks are added',
    observed: 'a second job with what was not accepted, published once, right numbers',
    run: async () => {
      const trial = await once('batch.addTasks', (call) => {
        call.world.endJob(String(call.args[0]), 'somebody');
        return call.go();
      });
      check(trial, 'watch');
      expect(trial.world.record(trial.runId).attempts.map((one) => one.reason)).toEqual([
        'first',
        expect.stringContaining('was ended before its tasks were added'),
      ]);
    },
  },
  {
    name: 'the account full (quota 409), then a restart',
    observed: `waits in queued with the reason, then ${whole}`,
    run: async () => {
      const trial = await once('batch.addJob', async (call) => {
        call.world.quotaRefusals = 1;
        expect(await call.go()).toEqual({ outcome: 'quota' });
        throw new Killed();
      });
      check(trial, 'watch');
    },
  },
  { name: 'before the run record is written', observed: whole, run: then('runs.insert', killBefore) },
  {
    name: 'after the run record is written, the reply lost',
    observed: `${whole}; the same request again finds it`,
    run: then('runs.insert', killAfter),
  },
  {
    name: 'cancelled while it is submitting',
    observed: 'cancelled, nothing published, no job left active',
    run: async () => {
      const trial = await once('batch.addTasks', async (call, self) => {
        const { world } = call;
        await cancelRun(self.runId, 'test', {
          runs: world.runs,
          clock: { now: () => world.date, sleep: () => Promise.resolve() },
        });
        return call.go();
      });
      check(trial, 'cancel');
    },
  },
  { name: 'at a look at the tasks', observed: whole, run: then('batch.listTasks', killAfter) },
  { name: 'while outputs are listed', observed: whole, run: then('container.list', killBefore) },
  { name: 'while a bundle is read', observed: whole, run: then('container.openRead', killAfter) },
  {
    name: 'a node may no longer read Storage (a SAS that expired)',
    observed: `the task is tried again: ${whole}`,
    run: then('batch.listTasks', (call) => {
      const [task] = call.world.runnable();
      call.world.finish(task!, null);
      task!.task.facts = {
        ...task!.task.facts,
        failure: { category: 'usererror', code: 'BlobAccessDenied', message: 'the blob cannot be read' },
      };
      return call.go();
    }),
  },
  {
    name: 'a node preempted, then lost',
    observed: `the task is tried again: ${whole}`,
    run: then('batch.listTasks', (call) => {
      const [task] = call.world.runnable();
      call.world.preempt(task!);
      call.world.finish(task!, null);
      return call.go();
    }),
  },
  {
    name: 'between counting a failure and trying again',
    observed: `counted once: ${whole}`,
    run: async () => {
      const trial = await once('batch.reactivateTask', killBefore, [30]);
      check(trial, 'watch');
      expect(trial.world.record(trial.runId).retries).toEqual({ 'shard-0002': 1 });
    },
  },
  {
    name: 'the retries used up',
    observed: 'failed with the reason of the last, nothing published, no job left active',
    run: async () => {
      const trial = await once(
        'batch.reactivateTask',
        killBefore,
        Array.from({ length: 9 }, () => 30),
      );
      expect(trial.world.record(trial.runId)).toMatchObject({ state: 'failed', retries: { 'shard-0002': 3 } });
      expect(trial.world.executions(trial.runId, 'shard-0002')).toBe(4);
      expect(trial.world.activeJobs()).toEqual([]);
      expect(published(trial)).toBeUndefined();
    },
  },
  { name: 'half the result files copied', observed: whole, run: then('results.putIfAbsent', killAfter) },
  {
    name: 'a result file there with other content',
    observed: 'failed, nothing published, the file named',
    run: async () => {
      const trial = await once('results.putIfAbsent', async (call) => {
        await call.world.ledger.results.putIfAbsent(String(call.args[0]), 'half of it');
        throw new Killed();
      });
      const record = trial.world.record(trial.runId);
      expect(record.reasons.at(-1)).toMatchObject({ code: 'result-not-whole' });
      expect(record.reasons.at(-1)?.message).toMatch(/exists with other content/);
      expect(published(trial)).toBeUndefined();
      expect(trial.world.activeJobs()).toEqual([]);
    },
  },
  {
    name: 'published, not yet recorded',
    observed: `${whole}; the pointer that is there stays`,
    run: async () => {
      let pointer = '';
      const trial: Trial = new Trial((call) => {
        if (pointer !== '' || call.name !== 'results.putIfAbsent' || !String(call.args[0]).endsWith('published.json'))
          return undefined;
        pointer = 'written';
        return killAfter(call);
      });
      await trial.submit();
      await trial.finish();
      expect(pointer).toBe('written');
      check(trial, 'watch');
    },
  },
];

describe('a controller that is killed at a named point', () => {
  for (const { name, observed, run } of points) {
    it(name, async () => {
      await run();
      book.record({ section: 'Crash points', name, observed });
    });
  }
});

it('its page says what was tried', () => book.close());
