import { setImmediate as nextTurn } from 'node:timers/promises';
import { silentLogger, type Clock } from '@xva/runtime';
import { FakePublisher, FakeRequestStore, FakeRequestTable, someDetails } from '@xva/testkit';
import fc from 'fast-check';
import { pollOnce, type DetectDeps } from '../src/index.ts';

const runs = Number(process.env['XVA_PROPERTY_RUNS'] ?? 600);
const clock: Clock = {
  now: () => new Date(0),
  sleep: (_ms, signal) =>
    signal === undefined
      ? Promise.resolve()
      : new Promise((resolve) => signal.addEventListener('abort', () => resolve(), { once: true })),
};

/** A worker whose every call to the outside is a step of the schedule, and which may die before or after one of them. */
interface WorkerPlan {
  readonly polls: number;
  readonly diesAtCall: number;
  readonly afterEffect: boolean;
}

const plan: fc.Arbitrary<WorkerPlan> = fc.record({
  polls: fc.integer({ min: 1, max: 3 }),
  diesAtCall: fc.integer({ min: 1, max: 30 }),
  afterEffect: fc.boolean(),
});

type World = ReturnType<typeof world>;

function world() {
  const table = new FakeRequestTable({ maxAttempts: 1_000 });
  const store = new FakeRequestStore();
  const publisher = new FakePublisher();
  const winners = new Map<string, Set<string>>();
  return { table, store, publisher, winners };
}

type Call = <T>(name: string, effect: () => Promise<T>) => Promise<T>;

function depsOf({ table, store, publisher, winners }: World, call: Call): DetectDeps {
  const inner = table.source();
  return {
    definition: 'run-requests',
    source: {
      claim: (limit) => call('claim', () => inner.claim(limit)),
      readDetails: (claimed) => call('read', () => inner.readDetails(claimed)),
      renew: (claimed) => call('renew', () => inner.renew(claimed)),
      poison: (claimed, reason) => call('poison', () => inner.poison(claimed, reason)),
      release: (claimed, options) => call('release', () => inner.release(claimed, options)),
      complete: (claimed, eventId) =>
        call('complete', async () => {
          const won = await inner.complete(claimed, eventId);
          if (won) {
            const tokens = winners.get(claimed.requestId) ?? new Set<string>();
            winners.set(claimed.requestId, tokens.add(claimed.leaseToken));
          }
          return won;
        }),
    },
    store: {
      putIfAbsent: (eventId, bytes) => call('put', () => store.putIfAbsent(eventId, bytes)),
      get: (eventId) => call('get', () => store.get(eventId)),
    },
    publisher: { publish: (events, key) => call('publish', () => publisher.publish(events, key)) },
    clock,
    random: () => 0.5,
    logger: silentLogger,
    leaseMs: 60_000,
    blame: () => 'row',
    crashPoint: () => undefined,
  };
}

/** Runs a worker until it is done or dead; a dead one's promise stays open, as a killed process answers nobody. */
function startWorker(
  scheduler: fc.Scheduler,
  place: World,
  name: string,
  { polls, diesAtCall, afterEffect }: WorkerPlan,
): Promise<void> {
  let calls = 0;
  return new Promise((over) => {
    const call: Call = async (step, effect) => {
      calls += 1;
      const dies = calls === diesAtCall;
      const die = (): Promise<never> => {
        over();
        return new Promise<never>(() => undefined);
      };
      await scheduler.schedule(Promise.resolve(), `${name} ${step}`);
      if (dies && !afterEffect) return die();
      const result = await effect();
      return dies ? die() : result;
    };
    const deps = depsOf(place, call);
    void (async () => {
      const stopTaking = new AbortController().signal;
      for (let poll = 0; poll < polls; poll += 1) await pollOnce(deps, { limit: 3, concurrency: 2, stopTaking });
      over();
    })();
  });
}

async function settle(scheduler: fc.Scheduler, work: Promise<unknown>): Promise<void> {
  let over = false;
  void work.then(() => (over = true));
  while (!over) {
    if (scheduler.count() > 0) await scheduler.waitNext(1);
    else await nextTurn();
  }
}

describe('two workers on one table', () => {
  it('in any interleaving, crash and expiry: nothing lost, one winner per row, one content per event', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.scheduler(),
        fc.tuple(plan, plan),
        fc.integer({ min: 1, max: 4 }),
        fc.array(fc.constantFrom('expire', 'change'), { maxLength: 8 }),
        async (scheduler, plans, rowCount, disturbances) => {
          const place = world();
          const { table, publisher, winners } = place;
          for (let revision = 1; revision <= rowCount; revision += 1) table.insert({ revision });
          let version = 0;
          const disturbed = scheduler.scheduleSequence(
            disturbances.map((kind) => ({
              label: kind,
              builder: () => {
                if (kind === 'expire') table.expireLeases();
                else {
                  version += 1;
                  table.details = { ...someDetails, quotes: [{ key: 'FX/RATE/EUR/USD', value: `1.${version}` }] };
                }
                return Promise.resolve();
              },
            })),
          );
          const working = plans.map((one, index) => startWorker(scheduler, place, `worker ${index}`, one));
          await settle(scheduler, Promise.all([...working, disturbed.task]));
          // Whoever is alive in the end works the rest off, once the dead ones' leases are over.
          const survivor = depsOf(place, (_name, effect) => effect());
          for (let round = 0; round < 4; round += 1) {
            table.nowMs += 3_600_000;
            table.expireLeases();
            await pollOnce(survivor, { limit: 10, concurrency: 2, stopTaking: new AbortController().signal });
          }
          expect(table.rows.map((row) => row.status)).toEqual(table.rows.map(() => 'published'));
          for (const row of table.rows) {
            const sent = publisher.events.filter(({ event }) => event.id === row.eventId);
            expect(sent.length).toBeGreaterThan(0);
            expect(new Set(sent.map(({ event }) => event.data.requestSha256)).size).toBe(1);
            expect(winners.get(row.requestId)?.size).toBe(1);
          }
          expect(new Set(publisher.events.map(({ event }) => event.id)).size).toBe(rowCount);
        },
      ),
      { numRuns: runs },
    );
  });
});
