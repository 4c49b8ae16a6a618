import { jest } from '@jest/globals';
import { silentLogger, type Clock } from '@xva/runtime';
import { FakePublisher, FakeRequestStore, FakeRequestTable, someDetails } from '@xva/testkit';
import { identityOf, pollOnce, readRequest, type DetectDeps } from '../src/index.ts';

class Passing extends Error {}
class Operators extends Error {}

function bench(overrides: Partial<DetectDeps> = {}) {
  const table = new FakeRequestTable({ maxAttempts: 3 });
  const store = new FakeRequestStore();
  const publisher = new FakePublisher();
  // Time passes only when a test says so: sleeps with a signal end with it, others at once.
  const clock: Clock = {
    now: () => new Date('2026-09-30T18:00:00Z'),
    sleep: (_ms, signal) =>
      signal === undefined
        ? Promise.resolve()
        : new Promise((resolve) => signal.addEventListener('abort', () => resolve(), { once: true })),
  };
  const deps: DetectDeps = {
    definition: 'run-requests',
    source: table.source(),
    store,
    publisher,
    clock,
    random: () => 0.5,
    logger: silentLogger,
    leaseMs: 60_000,
    blame: (error) => (error instanceof Passing ? 'passes' : error instanceof Operators ? 'operator' : 'row'),
    crashPoint: () => undefined,
    ...overrides,
  };
  const stopTaking = new AbortController();
  const poll = (limit = 10, concurrency = 4) => pollOnce(deps, { limit, concurrency, stopTaking: stopTaking.signal });
  return { table, store, publisher, deps, poll, stopTaking };
}

const trace = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01';

describe('a poll', () => {
  it('freezes, publishes and completes, in this order', async () => {
    const { table, store, publisher, poll } = bench();
    const requestId = table.insert({ traceparent: trace });
    const seen: string[] = [];
    jest.spyOn(publisher, 'publish').mockImplementation((events) => {
      seen.push(`${table.find(requestId)!.status} ${store.blobs.size} ${events[0]!.traceparent.slice(3, 35)}`);
      return Promise.resolve();
    });
    const outcome = await poll();
    expect(outcome).toMatchObject({ finding: 'rows', rows: [{ outcome: 'published', frozen: 'created' }] });
    expect(seen).toEqual([`claimed 1 ${trace.slice(3, 35)}`]);
    const [eventId] = store.blobs.keys();
    expect(table.find(requestId)).toMatchObject({ status: 'published', eventId });
  });

  it('sends the partition key of the book, and makes a trace where the row has none', async () => {
    const { table, publisher, poll } = bench();
    table.insert({ traceparent: 'no trace' });
    await poll();
    expect(publisher.events[0]).toMatchObject({ partitionKey: 'RATES' });
    expect(publisher.events[0]!.event.traceparent).toMatch(/^00-[0-9a-f]{32}-[0-9a-f]{16}-01$/);
  });

  it('finds nothing in an empty table', async () => {
    expect(await bench().poll()).toEqual({ finding: 'nothing', rows: [] });
  });

  it('puts a malformed row aside with its columns named, and goes on with the next', async () => {
    const { table, publisher, poll } = bench();
    const bad = table.insert({ samples: 0, baseCurrency: 'euro' });
    table.insert({ revision: 2 });
    await poll();
    expect(table.find(bad)).toMatchObject({ status: 'poison' });
    expect(table.find(bad)!.lastError).toMatch(/BaseCurrency \(baseCurrency\).*Samples \(samples\)/);
    expect(publisher.events.map(({ event }) => event.data.requestKey.revision)).toEqual([2]);
    expect(await poll()).toEqual({ finding: 'nothing', rows: [] });
  });

  it('sends the stored bytes when the request was frozen before, whatever the tables say now', async () => {
    const { table, publisher, store, poll } = bench();
    const publish = jest.spyOn(publisher, 'publish').mockRejectedValueOnce(new Passing('hub is down'));
    const requestId = table.insert();
    expect(await poll()).toMatchObject({ finding: 'trouble', rows: [{ outcome: 'released', trouble: true }] });
    expect(table.find(requestId)).toMatchObject({ status: 'new', attempts: 0, lastError: 'hub is down' });
    const [bytes] = store.blobs.values();
    table.details = { ...someDetails, quotes: [{ key: 'FX/RATE/EUR/USD', value: '9.9' }] };
    table.nowMs += 3_600_000;
    expect(await poll()).toMatchObject({ rows: [{ outcome: 'published', frozen: 'reused' }] });
    publish.mockRestore();
    const { data } = publisher.events[0]!.event;
    expect([...store.blobs.values()]).toEqual([bytes]);
    expect(data.requestBytes).toBe(bytes!.length);
  });

  it('does not read the tables again after a crash', async () => {
    const { table, store, deps, poll } = bench();
    const requestId = table.insert();
    const read = jest.spyOn(deps.source, 'readDetails');
    await poll();
    const { status } = table.find(requestId)!;
    expect([status, read.mock.calls.length]).toEqual(['published', 1]);
    table.rows[0]!.status = 'claimed';
    table.rows[0]!.lockedUntilMs = -1;
    expect(await poll()).toMatchObject({ rows: [{ outcome: 'published', frozen: 'reused' }] });
    expect(read).toHaveBeenCalledTimes(1);
    expect(store.blobs.size).toBe(1);
  });

  it('shows a stored request that is another one, or none, as a conflict', async () => {
    for (const content of ['{', '{"schemaVersion":"1.0"}']) {
      const { table, store, poll } = bench();
      const requestId = table.insert();
      const reading = readRequest(table.rows[0]!.row);
      if (reading.outcome !== 'valid') throw new Error(reading.reason);
      const { eventId } = identityOf('run-requests', reading.key);
      store.blobs.set(eventId, Buffer.from(content));
      expect(await poll()).toMatchObject({ rows: [{ outcome: 'poisoned' }] });
      expect(table.find(requestId)!.lastError).toContain(`requests/${eventId}.json`);
    }
  });

  it('never puts rows aside for what an operator has to mend', async () => {
    const { table, publisher, poll } = bench();
    const publish = jest.spyOn(publisher, 'publish').mockRejectedValue(new Operators('the key was rolled'));
    const requestId = table.insert();
    for (let attempt = 1; attempt <= 9; attempt += 1) {
      expect(await poll()).toMatchObject({ finding: 'trouble' });
      table.nowMs += 3_600_000;
    }
    expect(table.find(requestId)).toMatchObject({ status: 'new', attempts: 0, lastError: 'the key was rolled' });
    publish.mockRestore();
    expect(await poll()).toMatchObject({ rows: [{ outcome: 'published' }] });
  });

  it('counts an error that is the row’s own against the attempts, up to poison', async () => {
    const { table, publisher, poll } = bench();
    jest.spyOn(publisher, 'publish').mockRejectedValue(new Error('message too large'));
    const requestId = table.insert();
    for (let attempt = 1; attempt <= 3; attempt += 1) {
      await poll();
      table.nowMs += 3_600_000;
    }
    expect(table.find(requestId)).toMatchObject({ status: 'poison', attempts: 3, lastError: 'message too large' });
  });

  it('keeps the lease while publishing is slow, and tells when it is lost all the same', async () => {
    const { table, publisher, deps, poll } = bench();
    const requestId = table.insert();
    let sleeps = 0;
    const clock: Clock = {
      now: () => new Date(0),
      sleep: async (ms, signal) => {
        sleeps += 1;
        if (sleeps > 4)
          return new Promise((resolve) => signal!.addEventListener('abort', () => resolve(), { once: true }));
        expect(ms).toBe(20_000);
        table.nowMs += ms;
        await Promise.resolve();
      },
    };
    const slow = jest.spyOn(publisher, 'publish').mockImplementation(async () => {
      while (sleeps < 5) await new Promise((resolve) => setImmediate(resolve));
      // 80 s after the claim no other worker gets the row: the lease was renewed.
      expect((await deps.source.claim(1)).claimed).toEqual([]);
    });
    const outcome = await pollOnce(
      { ...deps, clock },
      { limit: 1, concurrency: 1, stopTaking: new AbortController().signal },
    );
    expect(outcome.rows).toMatchObject([{ outcome: 'published' }]);
    slow.mockImplementation(async () => {
      table.expireLeases();
      await deps.source.claim(1);
    });
    table.insert({ revision: 2 });
    expect((await poll()).rows).toEqual([{ outcome: 'lease-lost' }]);
    expect(table.find(requestId)!.status).toBe('published');
  });

  it('while the hub is busy keeps the row under its lease, claims nothing, and asks when the hub allows', async () => {
    const { table, publisher, deps } = bench();
    table.insert();
    const slept: number[] = [];
    const clock: Clock = {
      now: () => new Date(0),
      sleep: (ms, signal) => {
        // The lease's own timer: its end is the end of the row.
        if (ms === deps.leaseMs / 3)
          return new Promise((resolve) => signal?.addEventListener('abort', () => resolve(), { once: true }));
        slept.push(ms);
        return Promise.resolve();
      },
    };
    const publish = jest.spyOn(publisher, 'publish').mockRejectedValueOnce(new Passing('busy'));
    publish.mockRejectedValueOnce(new Passing('busy'));
    const claim = jest.spyOn(deps.source, 'claim');
    const busy = { ...deps, clock, random: () => 0, busyMs: () => 4_000 };
    const options = { limit: 5, concurrency: 1, stopTaking: new AbortController().signal };
    const outcome = await pollOnce(busy, options);
    expect(outcome).toMatchObject({ finding: 'rows', rows: [{ outcome: 'published' }] });
    expect([slept, claim.mock.calls.length]).toEqual([[4_000, 4_000], 1]);
    // A hub that stays busy gets the row later, and the poll is told for how long to keep away.
    publish.mockRejectedValue(new Passing('busy'));
    const late = table.insert({ revision: 2 });
    expect(await pollOnce(busy, options)).toMatchObject({ finding: 'trouble', busyMs: 4_000 });
    expect(slept.reduce((sum, ms) => sum + ms, 0)).toBe(8_000 + 300_000);
    expect(table.find(late)).toMatchObject({ status: 'new', attempts: 0 });
    // Back in the table, but not before the hub allows.
    table.nowMs += 3_999;
    expect((await deps.source.claim(1)).claimed).toEqual([]);
  });

  it('a stop ends the waiting for a busy hub, and the row goes back', async () => {
    const { table, publisher, deps, stopTaking } = bench();
    const requestId = table.insert();
    jest.spyOn(publisher, 'publish').mockImplementation(() => {
      stopTaking.abort();
      return Promise.reject(new Passing('busy'));
    });
    const options = { limit: 5, concurrency: 1, stopTaking: stopTaking.signal };
    await pollOnce({ ...deps, busyMs: () => 60_000 }, options);
    expect(table.find(requestId)).toMatchObject({ status: 'new', attempts: 0 });
  });

  it('repeats the completion when its answer was lost', async () => {
    const { table, deps, publisher, poll } = bench();
    const complete = deps.source.complete.bind(deps.source);
    jest.spyOn(deps.source, 'complete').mockImplementationOnce(async (...args) => {
      await complete(...args);
      throw new Passing('socket hang up');
    });
    const requestId = table.insert();
    expect((await poll()).rows).toMatchObject([{ outcome: 'published' }]);
    expect(table.find(requestId)!.status).toBe('published');
    expect(publisher.events).toHaveLength(1);
  });

  it('leaves the row to its lease when the database is gone, and says so', async () => {
    const { table, deps, poll } = bench();
    jest.spyOn(deps.source, 'readDetails').mockRejectedValue(new Passing('no route'));
    jest.spyOn(deps.source, 'release').mockRejectedValue(new Passing('no route'));
    table.insert();
    expect(await poll()).toMatchObject({ finding: 'trouble', rows: [{ outcome: 'abandoned' }] });
    jest.spyOn(deps.source, 'claim').mockRejectedValue(new Passing('no route'));
    expect(await poll()).toEqual({ finding: 'trouble', rows: [] });
  });

  it('stopping, gives back what it has not begun, without counting the attempt', async () => {
    const { table, publisher, poll, stopTaking } = bench();
    for (let revision = 1; revision <= 3; revision += 1) table.insert({ revision });
    const publish = publisher.publish.bind(publisher);
    jest.spyOn(publisher, 'publish').mockImplementation((...args) => {
      stopTaking.abort();
      return publish(...args);
    });
    const { rows } = await poll(10, 1);
    expect(rows.map((row) => row.outcome)).toEqual(['published', 'released', 'released']);
    expect(table.rows.map((row) => [row.status, row.attempts])).toEqual([
      ['published', 1],
      ['new', 0],
      ['new', 0],
    ]);
  });
});
