import fc from 'fast-check';
import type { Clock } from '@xva/runtime';
import { BatchError } from '../errors.ts';
import type { TaskSpec, WireTask } from '../shapes.ts';
import { addTasksInBulk, type AddOptions } from './add-tasks.ts';

const spec = (id: string, pad = 0): TaskSpec => ({
  id,
  commandLine: `run ${id} ${'x'.repeat(pad)}`,
  resourceFiles: [],
  outputFiles: [],
  environment: {},
  requiredSlots: 1,
});

/** Time that only passes when somebody waits; waits end in order of their time. */
function fakeClock(): Clock {
  let nowMs = 0;
  const sleepers: { readonly at: number; readonly wake: () => void }[] = [];
  let running = false;
  const run = async (): Promise<void> => {
    if (running) return;
    running = true;
    for (;;) {
      // Let everything that can go on without time go on first.
      for (let turn = 0; turn < 5; turn += 1) await new Promise((resolve) => setImmediate(resolve));
      sleepers.sort((a, b) => a.at - b.at);
      const next = sleepers.shift();
      if (next === undefined) break;
      nowMs = Math.max(nowMs, next.at);
      next.wake();
    }
    running = false;
  };
  return {
    now: () => new Date(nowMs),
    sleep: (ms, signal) =>
      new Promise((resolve) => {
        if (signal?.aborted === true) return resolve();
        signal?.addEventListener('abort', () => resolve(), { once: true });
        sleepers.push({ at: nowMs + ms, wake: resolve });
        void run();
      }),
  };
}

interface Service {
  readonly tasks: Map<string, WireTask>;
  readonly options: AddOptions;
  requests: number;
  flying: number;
  mostFlying: number;
}

const fault = (status: number, retryAfterMs?: number) =>
  new BatchError('tasks', { code: `Http${status}`, status, detail: 'injected', retryAfterMs });

/** A Batch service in memory: `draw` (in [0, 1)) decides what becomes of each request, `shuffle` of the order of results. */
function service(draw: () => number, faults: number, limits = { tasks: 100, bytes: 1_000_000 }): Service {
  const tasks = new Map<string, WireTask>();
  const moods = new Map<string, number>();
  const clock = fakeClock();
  const add = (body: string): { value: object[] } => {
    const { value } = JSON.parse(body) as { value: (WireTask & { id: string })[] };
    if (value.length > limits.tasks || Buffer.byteLength(body) > limits.bytes) throw fault(413);
    const results = value.map((task) => {
      const key = task.id.toLowerCase();
      if (draw() < faults / 4) return { taskId: task.id, status: 'ServerError', error: { code: 'InternalError' } };
      if (tasks.has(key)) return { taskId: task.id, status: 'clientError', error: { code: 'TaskExists' } };
      tasks.set(key, task);
      return { taskId: task.id.toUpperCase(), status: draw() < 0.5 ? 'Success' : 'success' };
    });
    return { value: results.sort(() => draw() - 0.5) };
  };
  const self: Service = {
    tasks,
    requests: 0,
    flying: 0,
    mostFlying: 0,
    options: {
      send: async (body) => {
        self.requests += 1;
        self.flying += 1;
        self.mostFlying = Math.max(self.mostFlying, self.flying);
        await new Promise((resolve) => setImmediate(resolve));
        self.flying -= 1;
        const fate = draw();
        if (fate < faults / 4) throw fault(503, 1_000);
        if (fate < faults / 2) throw fault(429);
        // Three in a row for one task would be the truth, not a mood.
        if (fate < (faults * 3) / 4 && (moods.get(body) ?? 0) < 2) {
          moods.set(body, (moods.get(body) ?? 0) + 1);
          throw fault(413);
        }
        const answer = add(body);
        if (fate < faults) throw fault(0);
        return answer;
      },
      judge: (error) =>
        error instanceof BatchError && error.retryable ? { retryAfterMs: error.retryAfterMs } : undefined,
      onRetry: () => undefined,
      reader: {
        get: (id) => {
          const found = tasks.get(id.toLowerCase());
          return found === undefined ? Promise.reject(fault(404)) : Promise.resolve(found);
        },
        list: async function* () {
          yield* tasks.values();
        },
      },
      varying: new Set(),
      parallelism: 4,
      policy: { maxAttempts: 40, baseDelayMs: 100, maxDelayMs: 5_000, deadlineMs: 600_000 },
      clock,
      random: draw,
      signal: undefined,
    },
  };
  return self;
}

/** A generator in [0, 1) from a seed (mulberry32). */
function seeded(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

describe('adding in bulk', () => {
  it('neither loses nor doubles a task under any mix of faults, sizes and limits', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.integer(),
        fc.integer({ min: 0, max: 700 }),
        fc.double({ min: 0, max: 0.4, noNaN: true }),
        fc.integer({ min: 1, max: 100 }),
        fc.boolean(),
        async (seed, count, faults, taskLimit, streamed) => {
          const draw = seeded(seed);
          const batch = service(draw, faults, { tasks: taskLimit, bytes: 1_000_000 });
          const specs = Array.from({ length: count }, (_, index) => spec(`t${index}`, Math.floor(draw() * 200)));
          const stream = async function* () {
            yield* specs;
          };
          const added = await addTasksInBulk(streamed ? stream() : specs, batch.options);
          expect([...batch.tasks.keys()].sort()).toEqual(specs.map(({ id }) => id).sort());
          expect(added.created + added.existed).toBe(count);
          expect(added.differing).toEqual([]);
          expect(added.refused).toBeUndefined();
          expect(batch.mostFlying).toBeLessThanOrEqual(4);
          // What costs requests: the collections, the search for the limit, and the faults.
          const clean = Math.ceil(count / taskLimit);
          expect(batch.requests).toBeLessThanOrEqual(20 + 4 * clean * (1 + 6 * faults));
        },
      ),
      { numRuns: 60 },
    );
  });

  it('tells tasks of other content in the order of the input, whatever the order of the answers', async () => {
    const batch = service(seeded(1), 0.2);
    const specs = Array.from({ length: 300 }, (_, index) => spec(`t${index}`));
    await addTasksInBulk(specs, batch.options);
    const changed = specs.map((one, index) => (index % 90 === 7 ? { ...one, commandLine: 'other' } : one));
    const again = await addTasksInBulk(changed, batch.options);
    expect(again.differing).toEqual(['t7', 't97', 't187', 't277']);
    expect(again.existed).toBe(300);
  });

  it('sends a task again that went between "it exists" and the comparison', async () => {
    const batch = service(seeded(1), 0);
    await addTasksInBulk([spec('a')], batch.options);
    const { reader } = batch.options;
    const get = (id: string) => {
      batch.tasks.delete(id);
      return reader.get(id);
    };
    const added = await addTasksInBulk([spec('a')], { ...batch.options, reader: { ...reader, get } });
    expect(added).toMatchObject({ created: 1, existed: 0 });
    expect(batch.tasks.has('a')).toBe(true);
  });

  it('takes no more of a stream than it can send, and stops it when it fails or is cancelled', async () => {
    for (const way of ['fails', 'cancelled'] as const) {
      let given = 0;
      let closed = false;
      const stop = new AbortController();
      const batch = service(seeded(1), 0);
      const endless = function* () {
        try {
          for (;;) yield spec(`t${given++}`);
        } finally {
          closed = true;
        }
      };
      const call = addTasksInBulk(endless(), {
        ...batch.options,
        signal: stop.signal,
        send: (body) => {
          if (batch.requests >= 10 && way === 'fails') return Promise.reject(fault(409));
          if (batch.requests >= 10) stop.abort(new Error('enough'));
          return batch.options.send(body);
        },
      });
      await expect(call).rejects.toThrow(way === 'fails' ? 'Http409' : 'enough');
      expect(closed).toBe(true);
      expect(given).toBeLessThanOrEqual(100 * (10 + 4 + 4 + 1));
    }
  });

  it('goes through with what the input throws', async () => {
    const batch = service(seeded(1), 0);
    const broken = function* () {
      yield spec('a');
      throw new Error('no more input');
    };
    await expect(addTasksInBulk(broken(), batch.options)).rejects.toThrow('no more input');
  });

  it.each([0, 500, 429, 503])(
    'outlives a service that is away for ten seconds (%i) with few requests, however many collections there are',
    async (status) => {
      for (let seed = 1; seed <= 5; seed += 1) {
        const batch = service(seeded(seed), 0);
        const { clock } = batch.options;
        const policy = { maxAttempts: 6, baseDelayMs: 100, maxDelayMs: 5_000, deadlineMs: 60_000 };
        let failed = 0;
        const send = (body: string): Promise<unknown> => {
          if (clock.now().getTime() >= 10_000) return batch.options.send(body);
          failed += 1;
          return Promise.reject(fault(status));
        };
        const specs = Array.from({ length: 20_000 }, (_, index) => spec(`t${index}`));
        const added = await addTasksInBulk(specs, { ...batch.options, parallelism: 32, policy, send });
        expect(added.created).toBe(20_000);
        // Of 200 collections, each of which may be tried six times.
        expect(failed).toBeLessThan(200);
      }
    },
  );

  it('gives up when the policy is used up, with the last error', async () => {
    const batch = service(seeded(1), 0);
    const send = () => Promise.reject(fault(503, 1_000));
    const specs = Array.from({ length: 1_000 }, (_, index) => spec(`t${index}`));
    await expect(addTasksInBulk(specs, { ...batch.options, send })).rejects.toMatchObject({ status: 503 });
    const failing = { value: [{ taskId: 'a', status: 'ServerError', error: { code: 'InternalError' } }] };
    const items = addTasksInBulk([spec('a')], { ...batch.options, send: () => Promise.resolve(failing) });
    await expect(items).rejects.toMatchObject({ code: 'InternalError' });
  });
});
