import { systemClock, type Clock } from '@xva/runtime';
import { batchAccount, startBatchEmulatorProcess, trialBook, type BatchEmulatorProcess } from '@xva/testkit';
import {
  BatchAdapter,
  BatchError,
  type AddTasksOutcome,
  type BatchAdapterOptions,
  type TaskSpec,
} from '../src/index.ts';
import { startFaultyBatch, type Act, type Fault, type FaultyBatch } from './faulty-batch.ts';

/** `XVA_SEED=n` replays the drawn mixes. */
const seed = Number(process.env['XVA_SEED'] ?? Date.now() % 1_000_000);
const book = trialBook(
  'Faults between the Batch adapter and Batch',
  'docs/trials/batch-adapter.md',
  'libs/azure/batch/test/faults.test.ts',
);
const account = { accountName: batchAccount.name, accountKey: batchAccount.keyBase64 };
const add = /^POST \/jobs\/[^/]+\/addtaskcollection/;
const getPool = /^GET \/pools\/pool\?/;
const tasksInJob = 250;

let emulator: BatchEmulatorProcess;
let faulty: FaultyBatch;
/** Sees Batch as it is, past the faults. */
let truth: BatchAdapter;
let jobs = 0;
/** The waits that the adapter asked its clock for. */
let waits: number[] = [];
let aheadMs = 0;
/** A clock whose waits pass in a hundredth of their time, after which it is later all the same. */
const hurried: Clock = {
  now: () => new Date(Date.now() + aheadMs),
  sleep: async (ms, signal) => {
    waits.push(ms);
    const until = Date.now() + aheadMs + ms;
    await systemClock.sleep(ms / 100, signal);
    aheadMs = Math.max(aheadMs, until - Date.now());
  },
};

beforeAll(async () => {
  emulator = await startBatchEmulatorProcess({
    pools: [{ id: 'pool', vmSize: 'lab', targetDedicatedNodes: 0 }],
    limits: { activeJobsAndSchedules: 10_000 },
  });
  faulty = await startFaultyBatch(emulator.url);
  truth = new BatchAdapter({ endpoint: emulator.url, ...account });
});
afterAll(async () => {
  truth.close();
  await faulty.close();
  await emulator.stop();
});
beforeEach(() => {
  waits = [];
  aheadMs = 0;
});

const spec = (index: number, change: Partial<TaskSpec> = {}): TaskSpec => ({
  id: `task-${index}`,
  commandLine: `run ${index}`,
  resourceFiles: [{ httpUrl: `https://a.blob.core.windows.net/c/${index}?sig=x`, filePath: 'in.json' }],
  outputFiles: [],
  environment: { SHARD: String(index) },
  requiredSlots: 1,
  ...change,
});
const specs = Array.from({ length: tasksInJob }, (_, index) => spec(index));

async function withAdapter<T>(
  options: Partial<BatchAdapterOptions>,
  act: (batch: BatchAdapter) => Promise<T>,
): Promise<T> {
  const batch = new BatchAdapter({ endpoint: faulty.url, ...account, clock: hurried, bulkParallelism: 2, ...options });
  try {
    return await act(batch);
  } finally {
    batch.close();
  }
}

async function newJob(): Promise<string> {
  const id = `job-${jobs++}`;
  expect(await truth.addJob({ id, poolId: 'pool', priority: 0, metadata: {} })).toEqual({ outcome: 'created' });
  return id;
}

async function failureOf(call: Promise<unknown>): Promise<BatchError> {
  const error: unknown = await call.then(
    () => new Error('it did not fail'),
    (error: unknown) => error,
  );
  if (!(error instanceof BatchError)) throw error;
  return error;
}

const collections = (): number => faulty.asked.filter((line) => add.test(line)).length;

/** Adds the 250 tasks (3 collections) under the faults and reads the job back past them. */
async function adding(faults: Fault[], options: Partial<BatchAdapterOptions> = {}) {
  const job = await newJob();
  faulty.script(...faults);
  const outcome = await withAdapter(options, (batch) => batch.addTasks(job, specs));
  const sent = collections();
  const ids = (await truth.listTasks(job))?.map(({ id }) => id) ?? [];
  return { job, outcome, sent, ids };
}

/** All are there, once each; how many collections that took is stable, since faults are counted, not timed. */
async function recovers(faults: Fault[], options: Partial<BatchAdapterOptions> = {}): Promise<string> {
  const { outcome, sent, ids } = await adding(faults, options);
  expect(outcome).toMatchObject({ outcome: 'added' });
  expect([...ids].sort()).toEqual(specs.map(({ id }) => id).sort());
  return `added, all ${tasksInJob} there once, ${sent} collections sent instead of 3`;
}

const answer = (status: number, code: string, retryAfter?: string, effect = false): Act => ({
  kind: 'answer',
  status,
  code,
  effect,
  ...(retryAfter === undefined ? {} : { headers: { 'retry-after': retryAfter } }),
});

function trial(section: string, name: string, act: () => Promise<string>): void {
  it(`${section}: ${name}`, async () => book.record({ section, name, observed: await act() }));
}

const retryAfters = [
  { name: 'Retry-After 0', value: () => '0', least: 0, most: 200 },
  { name: 'Retry-After 1', value: () => '1', least: 1_000, most: 1_200 },
  {
    name: 'a date two seconds ahead',
    value: () => new Date(hurried.now().getTime() + 2_000).toUTCString(),
    least: 500,
    most: 2_200,
  },
  { name: 'a date in the past', value: () => 'Sun, 06 Nov 1994 08:49:37 GMT', least: 0, most: 200 },
  { name: 'garbage for Retry-After', value: () => 'soon; or never', least: 0, most: 200 },
  { name: 'a negative Retry-After', value: () => '-5', least: 0, most: 200 },
  { name: 'no Retry-After', value: () => undefined, least: 0, most: 200 },
];

describe.each([
  { status: 429, code: 'TooManyRequests' },
  { status: 503, code: 'ServerBusy' },
])('throttled by $status', ({ status, code }) => {
  for (const { name, value, least, most } of retryAfters) {
    const waited = (): string => {
      const longest = Math.max(...waits);
      expect(longest).toBeGreaterThanOrEqual(least);
      expect(longest).toBeLessThanOrEqual(most);
      return least > 0 ? 'waited as long as asked' : 'waited a short jittered while';
    };
    trial('throttling', `two ${status} with ${name}, adding tasks`, async () => {
      const seen = await recovers([{ on: add, times: 2, act: () => answer(status, code, value()) }]);
      return `${seen}; ${waited()}`;
    });
    trial('throttling', `two ${status} with ${name}, reading a pool`, async () => {
      faulty.script({ on: getPool, times: 2, act: () => answer(status, code, value()) });
      expect(await withAdapter({}, (batch) => batch.poolFacts('pool'))).toMatchObject({ id: 'pool' });
      return `read with ${faulty.asked.length} requests; ${waited()}`;
    });
  }

  trial('throttling', `${status} with Retry-After an hour ahead`, async () => {
    const job = await newJob();
    faulty.script({ on: add, times: 1, act: answer(status, code, '3600') });
    const error = await failureOf(withAdapter({}, (batch) => batch.addTasks(job, specs)));
    expect(error).toMatchObject({ status, code, retryAfterMs: 3_600_000, retryable: true });
    expect(waits.every((ms) => ms < 60_000)).toBe(true);
    return `given up at once with ${error.code} and its retryAfterMs, since it is past the deadline`;
  });

  trial('throttling', `${status} for ever`, async () => {
    const job = await newJob();
    faulty.script({ on: add, times: 10_000, act: answer(status, code) });
    const error = await failureOf(withAdapter({}, (batch) => batch.addTasks(job, specs)));
    expect(error).toMatchObject({ status, code });
    // All three back off together: hardly more than one try every two seconds.
    expect(collections()).toBeLessThanOrEqual(60);
    return `given up with ${error.code} when its minute was over, fewer than 60 tries in all`;
  });
});

describe('errors of the server', () => {
  for (const { name, act } of [
    { name: '500', act: answer(500, 'InternalError') },
    { name: '500 after the effect', act: answer(500, 'OperationTimedOut', undefined, true) },
    { name: '408', act: answer(408, 'RequestTimeout') },
    {
      name: '502 with a page of HTML',
      act: { kind: 'answer', status: 502, body: '<html>Bad Gateway</html>' } as const,
    },
    { name: '504 with no body', act: { kind: 'answer', status: 504, body: '', effect: true } as const },
  ]) {
    trial('server errors', `${name}, once`, () => recovers([{ on: add, times: 1, act }]));
    trial('server errors', `${name}, five times`, () => recovers([{ on: add, times: 5, act }], { bulkParallelism: 1 }));
  }

  trial('server errors', '500 for ever', async () => {
    faulty.script({ on: getPool, times: 100, act: answer(500, 'InternalError') });
    const error = await failureOf(withAdapter({}, (batch) => batch.poolFacts('pool')));
    expect(error).toMatchObject({
      status: 500,
      code: 'InternalError',
      requestId: 'injected-1',
      detail: 'Injected InternalError.',
    });
    return `given up after ${faulty.asked.length} requests with code, status, request id and Batch's sentence`;
  });

  trial('server errors', 'HTML with 503 for ever', async () => {
    faulty.script({ on: getPool, times: 100, act: { kind: 'answer', status: 503, body: '<html>' } });
    const error = await failureOf(withAdapter({}, (batch) => batch.poolFacts('pool')));
    expect(error.status).toBe(503);
    return `given up after ${faulty.asked.length} requests, retryable: ${error.retryable}`;
  });
});

describe('sizes', () => {
  const tooLarge = answer(413, 'RequestBodyTooLarge');
  trial('too large', 'one 413 that means nothing', () =>
    recovers([{ on: add, times: 1, skip: 1, act: tooLarge }], { bulkParallelism: 1 }),
  );
  trial('too large', 'a service that takes 20,000 bytes', async () => {
    const before = await startBatchEmulatorProcess({ limits: { maxBodyBytes: 20_000 } });
    try {
      const batch = new BatchAdapter({ endpoint: before.url, ...account });
      await batch.addJob({ id: 'small', poolId: 'pool', priority: 0, metadata: {} });
      expect(await batch.addTasks('small', specs)).toEqual({ outcome: 'added', created: tasksInJob, existed: 0 });
      const giant = await batch.addTasks('small', [spec(999, { commandLine: 'x'.repeat(30_000) }), spec(1_000)]);
      expect(giant).toMatchObject({ outcome: 'refused', taskId: 'task-999', code: 'RequestBodyTooLarge' });
      expect(await batch.getTask('small', 'task-1000')).toBeDefined();
      batch.close();
    } finally {
      await before.stop();
    }
    return 'added by smaller collections; a single task that is larger is refused by its id, the others are added';
  });
});

describe('connections', () => {
  const cuts = (['length', 'chunked', 'whole'] as const).flatMap((way) =>
    [1, 1_000].map((bytes) => ({
      name: `answer cut after ${bytes} bytes (${way})`,
      act: { kind: 'cut', bytes, way } as const,
    })),
  );
  for (const { name, act } of [
    { name: 'reset before the effect', act: { kind: 'reset' } as const },
    { name: 'reset after the effect', act: { kind: 'reset', effect: true } as const },
    { name: 'half-open before the effect', act: { kind: 'hang' } as const },
    { name: 'half-open after the effect', act: { kind: 'hang', effect: true } as const },
    { name: 'latency of 50 ms', act: { kind: 'delay', ms: 50 } as const },
    { name: 'latency of 500 ms, past the time-out', act: { kind: 'delay', ms: 500 } as const },
    { name: 'an answer that drips, past the time-out', act: { kind: 'drip', everyMs: 10 } as const },
    ...cuts,
  ]) {
    trial('connections', `${name}, adding tasks`, () =>
      recovers([{ on: add, times: 1, act }], { requestTimeoutMs: 250 }),
    );
  }
  for (const act of [
    { kind: 'reset' },
    { kind: 'hang' },
    { kind: 'drip', everyMs: 10 },
    ...cuts.map((cut) => cut.act),
  ] as const) {
    const name = act.kind === 'cut' ? `answer cut after ${act.bytes} bytes (${act.way})` : act.kind;
    trial('connections', `${name}, reading a pool`, async () => {
      faulty.script({ on: getPool, times: 1, act });
      const found = await withAdapter({ requestTimeoutMs: 250 }, (batch) => batch.poolFacts('pool'));
      expect(found).toMatchObject({ id: 'pool', vmSize: 'lab' });
      return `read with ${faulty.asked.length} requests`;
    });
  }

  trial('connections', 'kept-alive connections dropped between two calls', async () => {
    faulty.script();
    await withAdapter({}, async (batch) => {
      for (let round = 0; round < 5; round += 1) {
        expect(await batch.poolFacts('pool')).toBeDefined();
        faulty.dropIdle();
      }
    });
    return 'the next call opens another';
  });

  trial('connections', 'nobody there', async () => {
    const options = { endpoint: 'http://127.0.0.1:1', requestTimeoutMs: 250 };
    const error = await failureOf(withAdapter(options, (batch) => batch.addTasks('job', specs)));
    expect(error).toMatchObject({ status: 0, retryable: true });
    return `given up with ${error.code}, status 0`;
  });

  trial('connections', 'cancelled while it waits for an answer', async () => {
    const job = await newJob();
    faulty.script({ on: add, times: 100, act: { kind: 'hang' } });
    const stop = new AbortController();
    const call = withAdapter({}, (batch) => batch.addTasks(job, specs, { signal: stop.signal }));
    const until = Date.now() + 10_000;
    while (collections() === 0 && Date.now() < until) await new Promise((resolve) => setTimeout(resolve, 5));
    stop.abort(new Error('the user said stop'));
    await expect(call).rejects.toThrow('the user said stop');
    return "rejects at once with the signal's reason; nothing more is sent";
  });
});

describe('identity', () => {
  const counted = () => {
    let tokens = 0;
    const credential = {
      getToken: () => Promise.resolve({ token: `token-${(tokens += 1)}`, expiresOnTimestamp: Date.now() + 3_600_000 }),
    };
    return { options: { accountName: undefined, accountKey: undefined, credential }, count: () => tokens };
  };
  const expired = answer(401, 'AuthenticationFailed');

  trial('identity', '401 to a token that was good, adding tasks', async () => {
    const { options, count } = counted();
    const seen = await recovers([{ on: add, times: 1, act: expired }], options);
    expect(count()).toBe(2);
    return `${seen}, with a second token`;
  });
  trial('identity', '401 to all requests in flight at once', async () => {
    const { options, count } = counted();
    const seen = await recovers([{ on: add, times: 2, act: expired }], options);
    expect(count()).toBe(2);
    return `${seen}, with one more token for all`;
  });
  trial('identity', '401 to a token that was good, reading a pool', async () => {
    const { options, count } = counted();
    faulty.script({ on: getPool, times: 1, act: expired });
    expect(await withAdapter(options, (batch) => batch.poolFacts('pool'))).toBeDefined();
    expect(count()).toBe(2);
    return 'read with a second token';
  });
  trial('identity', '401 to the second token as well', async () => {
    const { options, count } = counted();
    faulty.script({ on: getPool, times: 100, act: expired });
    const error = await failureOf(withAdapter(options, (batch) => batch.poolFacts('pool')));
    expect([error.status, count(), faulty.asked.length]).toEqual([401, 2, 2]);
    return `given up after 2 requests with ${error.code}`;
  });
  trial('identity', '401 to a shared key', async () => {
    faulty.script({ on: getPool, times: 100, act: expired });
    const error = await failureOf(withAdapter({}, (batch) => batch.poolFacts('pool')));
    expect([error.status, faulty.asked.length]).toEqual([401, 1]);
    return `given up at once with ${error.code}`;
  });
  trial('identity', 'the token service fails twice', async () => {
    let calls = 0;
    const getToken = () =>
      (calls += 1) < 3
        ? Promise.reject(new Error('no route to the directory'))
        : Promise.resolve({ token: 'late', expiresOnTimestamp: Date.now() + 3_600_000 });
    return recovers([], {
      accountName: undefined,
      accountKey: undefined,
      credential: { getToken },
      bulkParallelism: 1,
    });
  });
  trial('identity', '403 to a wrong key', async () => {
    faulty.script();
    const job = await newJob();
    const error = await failureOf(withAdapter({ accountKey: 'd3Jvbmc=' }, (batch) => batch.addTasks(job, specs)));
    expect(error).toMatchObject({ status: 403, code: 'AuthenticationFailed', retryable: false });
    expect(error.message).not.toContain('MAC signature');
    return 'given up at once with AuthenticationFailed; the message shows no signature';
  });
});

describe('answers', () => {
  type Results = { value: Record<string, unknown>[] };
  const change = (edit: (answer: Results) => unknown): Act => ({ kind: 'rewrite', change: edit });
  const busyItem = (item: Record<string, unknown>) => ({
    taskId: item['taskId'],
    status: 'ServerError',
    error: { code: 'InternalError', message: { lang: 'en-US', value: 'Busy.' } },
  });
  for (const { name, act } of [
    {
      name: 'server errors for every third task that was added in truth',
      act: change((given) => ({ value: given.value.map((item, at) => (at % 3 === 0 ? busyItem(item) : item)) })),
    },
    { name: 'half of the results missing', act: change((given) => ({ value: given.value.slice(50) })) },
    { name: 'no results at all', act: change(() => ({ value: [] })) },
    { name: 'null instead of results', act: change(() => ({ value: null })) },
    {
      name: 'results in another order and casing',
      act: change((given) => ({
        value: given.value
          .reverse()
          .map((item) => ({ ...item, taskId: String(item['taskId']).toUpperCase(), status: 'SUCCESS' })),
      })),
    },
    {
      name: 'a status nobody knows',
      act: change((given) => ({ value: given.value.map((item) => ({ ...item, status: 'perhaps' })) })),
    },
    {
      name: 'results of other tasks',
      act: change((given) => ({ value: given.value.map((item) => ({ ...item, taskId: 'x' })) })),
    },
  ]) {
    trial('answers', `200 with ${name}`, () => recovers([{ on: add, times: 1, act }]));
  }
  trial('answers', '200 with a server error for one task, for ever', async () => {
    const act = change((given) => ({
      value: given.value.map((item) => (item['taskId'] === 'task-7' ? busyItem(item) : item)),
    }));
    const job = await newJob();
    faulty.script({ on: add, times: 1_000, act });
    const outcome = await withAdapter({}, (batch) => batch.addTasks(job, specs)).catch((error: unknown) => error);
    expect(outcome).toBeInstanceOf(BatchError);
    expect(outcome).toMatchObject({ code: 'InternalError', detail: 'Busy.' });
    expect(String(outcome)).toContain('task task-7');
    return 'given up with InternalError and the task named when its tries are used up';
  });
  trial('answers', 'a next page on another host', async () => {
    const job = await newJob();
    await truth.addTasks(job, specs.slice(0, 2));
    const act = change((given) => ({ ...given, 'odata.nextLink': 'http://169.254.169.254/latest?api-version=1' }));
    faulty.script({ on: /^GET \/jobs\/[^/]+\/tasks\?/, times: 1, act });
    const error = await failureOf(withAdapter({}, (batch) => batch.listTasks(job)));
    expect(error.code).toBe('ForeignNextLink');
    return 'refused by name, not followed';
  });
  const readAll = async (listed: AsyncIterable<unknown>): Promise<void> => {
    let seen = 0;
    for await (const _one of listed) if ((seen += 1) > 1_000) throw new Error('it never ends');
  };
  const listings = [
    {
      name: 'tasks',
      on: /^GET \/jobs\/[^/]+\/tasks\?/,
      read: (batch: BatchAdapter, job: string) => batch.collector().tasks(job),
    },
    { name: 'jobs', on: /^GET \/jobs\?/, read: (batch: BatchAdapter) => batch.listJobs() },
    { name: 'pools', on: /^GET \/pools\?/, read: (batch: BatchAdapter) => batch.listPools() },
  ];
  for (const { name, on, read } of listings) {
    const listing = async (act: Act, times: number): Promise<BatchError> => {
      const job = await newJob();
      await truth.addTasks(job, specs.slice(0, 2));
      faulty.script({ on, times, act });
      return failureOf(withAdapter({}, (batch) => readAll(read(batch, job))));
    };
    for (const link of ['http://169.254.169.254/latest?api-version=1', '/elsewhere?api-version=1'])
      trial('listings', `${name}: the next page at ${link}`, async () => {
        const error = await listing(
          change((given) => ({ ...given, 'odata.nextLink': link })),
          1,
        );
        expect(error.code).toBe('ForeignNextLink');
        expect(faulty.asked.length).toBe(1);
        return 'refused by name, not followed';
      });
    trial('listings', `${name}: a page that leads to itself`, async () => {
      const link = `${faulty.url}/${name === 'tasks' ? `jobs/job-${jobs}/tasks` : name}?api-version=2022-10-01.16.0&$skiptoken=1`;
      const body = JSON.stringify({ value: [], 'odata.nextLink': link });
      const error = await listing({ kind: 'answer', status: 200, body }, 100);
      expect(error.code).toBe('RepeatedNextLink');
      return `refused by name after ${faulty.asked.length} pages`;
    });
    for (const body of ['', '{}', 'null'])
      trial('listings', `${name}: 200 with ${body === '' ? 'no body' : body}, for ever`, async () => {
        const error = await listing({ kind: 'answer', status: 200, body }, 100);
        expect(error).toMatchObject({ code: 'PARSE_ERROR', status: 200 });
        return `never taken for an empty list: given up with ${error.code} after ${faulty.asked.length} tries`;
      });
  }
  trial('listings', 'nodes that were prepared for a job, on two pages', async () => {
    const on = /jobpreparationandreleasetaskstatus\?/;
    const page = (nodeId: string, link?: string): Act => {
      const jobPreparationTaskExecutionInfo = { state: 'running', startTime: '2026-01-01T00:00:00Z', retryCount: 0 };
      const body = { value: [{ nodeId, jobPreparationTaskExecutionInfo }], 'odata.nextLink': link };
      return { kind: 'answer', status: 200, body: JSON.stringify(body) };
    };
    const second = `${faulty.url}/jobs/job/jobpreparationandreleasetaskstatus?api-version=2022-10-01.16.0&$skiptoken=1`;
    faulty.script({ on, times: 1, act: page('a', second) }, { on, times: 1, act: page('b') });
    const left = await withAdapter({}, (batch) => batch.collector().preparationLeftovers('job'));
    expect(left?.map(({ nodeId }) => nodeId)).toEqual(['a', 'b']);
    return 'those of both';
  });
  trial('answers', '200 with garbage said to be gzip', () =>
    recovers([
      {
        on: add,
        times: 1,
        act: {
          kind: 'answer',
          status: 200,
          body: '\u001f\u008bgarbage',
          effect: true,
          headers: { 'content-encoding': 'gzip' },
        },
      },
    ]),
  );
});

describe('ids and input', () => {
  trial('input', 'no tasks at all', async () => {
    const job = await newJob();
    faulty.script();
    expect(await withAdapter({}, (batch) => batch.addTasks(job, []))).toEqual({
      outcome: 'added',
      created: 0,
      existed: 0,
    });
    expect(faulty.asked).toEqual([]);
    return 'added, without a request';
  });
  for (const { name, second, outcome } of [
    { name: 'an id twice with one content', second: spec(1), outcome: { outcome: 'added', created: 1, existed: 1 } },
    {
      name: 'an id twice with two contents',
      second: spec(1, { commandLine: 'other' }),
      outcome: { outcome: 'conflict', taskIds: ['task-1'] },
    },
    {
      name: 'ids that differ by case alone',
      second: { ...spec(1, { commandLine: 'other' }), id: 'TASK-1' },
      outcome: { outcome: 'conflict', taskIds: ['TASK-1'] },
    },
  ])
    trial('input', name, async () => {
      const job = await newJob();
      faulty.script();
      expect(await withAdapter({}, (batch) => batch.addTasks(job, [spec(1), second]))).toEqual(outcome);
      return JSON.stringify(outcome);
    });
  trial('input', 'ids of 64 and of 65 characters', async () => {
    const job = await newJob();
    faulty.script();
    const named = (length: number) => ({ ...spec(1), id: 'a'.repeat(length) });
    const outcome = await withAdapter({}, (batch) => batch.addTasks(job, [named(64), named(65)]));
    expect(outcome).toMatchObject({ outcome: 'refused', taskId: 'a'.repeat(65) });
    expect(await truth.getTask(job, 'a'.repeat(64))).toBeDefined();
    return 'the longer one is refused by its id, the other is there';
  });
  trial('input', 'cancelled before it begins', async () => {
    faulty.script();
    const signal = AbortSignal.abort(new Error('never mind'));
    await expect(withAdapter({}, (batch) => batch.addTasks('job', specs, { signal }))).rejects.toThrow('never mind');
    expect(faulty.asked).toEqual([]);
    return "rejects with the signal's reason, without a request";
  });
  trial('input', 'cancelled while it backs off', async () => {
    const job = await newJob();
    faulty.script({ on: add, times: 100, act: answer(503, 'ServerBusy', '50') });
    const stop = new AbortController();
    const call = withAdapter({ clock: systemClock, onRetry: () => stop.abort(new Error('enough')) }, (batch) =>
      batch.addTasks(job, specs, { signal: stop.signal }),
    );
    const begun = Date.now();
    await expect(call).rejects.toThrow('enough');
    expect(Date.now() - begun).toBeLessThan(10_000);
    return "rejects at once with the signal's reason, not after the 50 s that were asked for";
  });
});

describe('conflicts', () => {
  const lost = { kind: 'reset', effect: true } as const;
  trial('conflicts', 'every reply to a first try is lost after the effect', async () => {
    const { outcome, ids } = await adding([{ on: add, times: 3, act: lost }]);
    expect(outcome).toEqual({ outcome: 'added', created: 0, existed: tasksInJob } satisfies AddTasksOutcome);
    expect(new Set(ids).size).toBe(tasksInJob);
    return 'added: all exist on the second try and are compared, none is there twice';
  });
  trial('conflicts', 'a task of the same id with another command', async () => {
    const job = await newJob();
    await truth.addTasks(job, [spec(7, { commandLine: 'other' })]);
    faulty.script();
    const outcome = await withAdapter({}, (batch) => batch.addTasks(job, specs));
    expect(outcome).toEqual({ outcome: 'conflict', taskIds: ['task-7'] });
    return 'conflict that names the task';
  });
  for (const [name, other] of [
    ['another input', { resourceFiles: [{ httpUrl: 'https://a.blob.core.windows.net/c/other', filePath: 'in.json' }] }],
    ['another environment', { environment: { SHARD: 'other' } }],
    ['other slots', { requiredSlots: 2 }],
    [
      'another output',
      {
        outputFiles: [
          {
            filePattern: '*',
            containerUrl: 'https://a.blob.core.windows.net/o?sig=1',
            path: 'p',
            condition: 'taskcompletion' as const,
          },
        ],
      },
    ],
  ] as const) {
    trial('conflicts', `a task of the same id with ${name}`, async () => {
      const job = await newJob();
      await truth.addTasks(job, [spec(7, other)]);
      expect(await truth.addTasks(job, [spec(7)])).toEqual({ outcome: 'conflict', taskIds: ['task-7'] });
      const fresh = other as Partial<TaskSpec>;
      const resigned = {
        ...fresh,
        resourceFiles: (fresh.resourceFiles ?? spec(7).resourceFiles).map((file) => ({
          ...file,
          httpUrl: `${file.httpUrl.split('?')[0] ?? ''}?sig=new`,
        })),
      };
      expect(await truth.addTasks(job, [spec(7, resigned)])).toMatchObject({ outcome: 'added', existed: 1 });
      return 'conflict; the same with a new SAS is no conflict';
    });
  }
  trial('conflicts', 'the job ends while tasks are added', async () => {
    const job = await newJob();
    let closing: Promise<unknown> = Promise.resolve();
    faulty.script({
      on: add,
      times: 1,
      skip: 1,
      act: () => ((closing = truth.terminateJob(job, 'over')), { kind: 'delay', ms: 100 }),
    });
    const outcome = await withAdapter({ bulkParallelism: 1 }, (batch) => batch.addTasks(job, specs));
    await closing;
    expect(outcome).toEqual({ outcome: 'job-closed' });
    return 'job-closed';
  });
  trial('conflicts', 'the job goes while tasks are added', async () => {
    const job = await newJob();
    let going: Promise<unknown> = Promise.resolve();
    faulty.script({
      on: add,
      times: 1,
      skip: 1,
      act: () => ((going = truth.deleteJob(job)), { kind: 'delay', ms: 100 }),
    });
    const outcome = await withAdapter({ bulkParallelism: 1 }, (batch) => batch.addTasks(job, specs));
    await going;
    expect(['job-absent', 'job-closed']).toContain(outcome.outcome);
    return 'job-absent, or job-closed while Batch is still deleting it';
  });
  trial('conflicts', 'a task that was listed is gone when it is read', async () => {
    const job = await newJob();
    await truth.addTasks(job, [spec(1)]);
    faulty.script({ on: /^GET \/jobs\/[^/]+\/tasks\/task-1/, times: 1, act: answer(404, 'TaskNotFound') });
    expect(await withAdapter({}, (batch) => batch.getTask(job, 'task-1'))).toBeUndefined();
    return 'undefined, as for a task that never was';
  });
  trial('conflicts', 'a task that exists is gone when it is compared', async () => {
    const job = await newJob();
    await truth.addTasks(job, [spec(1)]);
    faulty.script({ on: /^GET \/jobs\/[^/]+\/tasks\/task-1/, times: 1, act: answer(404, 'TaskNotFound') });
    expect(await withAdapter({}, (batch) => batch.addTasks(job, [spec(1)]))).toMatchObject({
      outcome: 'added',
      existed: 1,
    });
    return 'sent again, and compared again';
  });
  for (const [status, code, seen] of [
    [409, 'JobExists', 'exists'],
    [409, 'ActiveJobAndScheduleQuotaReached', 'quota'],
    [400, 'InvalidPropertyValue', 'refused'],
  ] as const) {
    trial('conflicts', `adding a job that has been added, answered by ${status} ${code}`, async () => {
      const job = await newJob();
      faulty.script({ on: /^POST \/jobs\?/, times: 1, act: answer(status, code) });
      const outcome = await withAdapter({}, (batch) =>
        batch.addJob({ id: job, poolId: 'pool', priority: 0, metadata: {} }),
      );
      expect(outcome.outcome).toBe(seen);
      return seen;
    });
  }
  trial('conflicts', '412 to a change', async () => {
    const job = await newJob();
    faulty.script({ on: /^PATCH/, times: 1, act: answer(412, 'ConditionNotMet') });
    const error = await failureOf(withAdapter({}, (batch) => batch.patchJob(job, { priority: 1 })));
    expect(error).toMatchObject({ status: 412, code: 'ConditionNotMet', retryable: false });
    return 'a typed error at once';
  });
});

describe('all at once', () => {
  trial('mixes', 'thirty drawn mixes of all faults, a third of all requests', async () => {
    console.log(`mixes of faults: XVA_SEED=${seed}`);
    let state = seed;
    const draw = (): number => {
      state = (state + 0x6d2b79f5) | 0;
      let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
      mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
      return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
    };
    const acts: Act[] = [
      answer(503, 'ServerBusy', '1'),
      answer(429, 'TooManyRequests'),
      answer(429, 'TooManyRequests', undefined, true),
      answer(413, 'RequestBodyTooLarge'),
      answer(500, 'InternalError', undefined, true),
      { kind: 'reset' },
      { kind: 'reset', effect: true },
      { kind: 'cut', bytes: 500, way: 'length' },
      { kind: 'cut', bytes: 500, way: 'whole' },
      { kind: 'hang', effect: true },
    ];
    for (let mix = 0; mix < 30; mix += 1) {
      const pick = (some: readonly Act[]) => (): Act =>
        draw() < 1 / 3 ? some[Math.floor(draw() * some.length)]! : { kind: 'delay', ms: 0 };
      const reads = acts.filter((act) => act.kind !== 'answer' || act.status !== 413);
      const faults = [
        { on: add, times: 10_000, act: pick(acts) },
        { on: /^GET/, times: 10_000, act: pick(reads) },
      ];
      await recovers(faults, {
        requestTimeoutMs: 200,
        retryPolicy: { maxAttempts: 20 },
        random: draw,
        bulkParallelism: 3,
      });
    }
    return 'each job complete, no task lost, none twice';
  });

  it('its page says what was tried', () => book.close());
});
