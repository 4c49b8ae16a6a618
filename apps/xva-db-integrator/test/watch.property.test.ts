import { setImmediate as nextTurn } from 'node:timers/promises';
import { frozenRequestSchema } from '@xva/contracts';
import { pollOnce, type DetectDeps } from '@xva/flow-detect';
import { silentLogger, type Clock } from '@xva/runtime';
import { parseDefinitions, type WatchDefinition } from '@xva/sql-polling';
import { FakePublisher, FakeRequestStore } from '@xva/testkit';
import fc from 'fast-check';
import { FakeDetectionStore, leaseMs, ModelDatabase, modelSource, type Mode } from './watch-model.ts';

const runs = Number(process.env['XVA_PROPERTY_RUNS'] ?? 150);
const clock: Clock = {
  now: () => new Date(0),
  sleep: (_ms, signal) =>
    signal === undefined
      ? Promise.resolve()
      : new Promise((resolve) => signal.addEventListener('abort', () => resolve(), { once: true })),
};

type Step =
  | { readonly do: 'write' | 'stamp'; readonly key: number; readonly content: number }
  | { readonly do: 'remove'; readonly key: number }
  | { readonly do: 'commit' | 'backUp' | 'restore' | 'expire' | 'wait' }
  /** Both workers poll side by side; the first may fail or die at a call, before or after its effect. */
  | { readonly do: 'poll'; readonly at: number; readonly trouble: 'none' | 'fails' | 'dies'; readonly after: boolean };

const key = fc.integer({ min: 1, max: 4 });
const content = fc.integer({ min: 1, max: 3 }).map((one) => one * 100);
const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 5, arbitrary: fc.record({ do: fc.constant('write' as const), key, content }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('stamp' as const), key, content }) },
  { weight: 2, arbitrary: fc.constant<Step>({ do: 'commit' }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('remove' as const), key }) },
  { weight: 1, arbitrary: fc.constantFrom<Step>({ do: 'backUp' }, { do: 'restore' }, { do: 'expire' }) },
  { weight: 2, arbitrary: fc.constant<Step>({ do: 'wait' }) },
  {
    weight: 6,
    arbitrary: fc.record({
      do: fc.constant('poll' as const),
      at: fc.integer({ min: 1, max: 25 }),
      trouble: fc.constantFrom('none', 'fails', 'dies'),
      after: fc.boolean(),
    }),
  },
);

type Start = 'beginning' | 'now';

function definitionOf(mode: Mode, start: Start): WatchDefinition {
  const more = mode === 'query' ? `, sql: 'SELECT 1 AS Book'` : '';
  const text = `version: 1\ndefinitions:\n  - { name: watched, mode: ${mode}, start: ${start}, batchSize: 3, leaseSeconds: 5, maxAttempts: 100${more} }\n`;
  const [definition] = parseDefinitions(text, 'test.yaml');
  if (definition === undefined || definition.mode === 'outbox') throw new Error('not read-only');
  return definition;
}

class World {
  readonly database = new ModelDatabase();
  readonly store = new FakeDetectionStore();
  readonly requests = new FakeRequestStore();
  readonly publisher = new FakePublisher();
  nowMs = 0;
  readonly #mode: Mode;
  readonly #definition: WatchDefinition;
  /** With `start: now` what the table held when the first reading began (for a condition: ended). */
  before = new Map<number, number>();
  readonly #workers: { deps: DetectDeps; plan: { calls: number; at: number; trouble: string; after: boolean } }[] = [];
  #names = 0;

  constructor(mode: Mode, start: Start) {
    this.#mode = mode;
    this.#definition = definitionOf(mode, start);
    let isBaseline = true;
    this.store.onLead = ({ cursor: { phase, position } }) => {
      if (start === 'beginning' || !isBaseline) return;
      const begins = phase === 'baseline' && position === '0';
      if (begins || mode === 'query') {
        this.before = new Map([...this.database.rows].map(([key, { content }]) => [key, content]));
      }
      isBaseline = phase === 'baseline';
    };
    this.#workers.push(this.#start(), this.#start());
  }

  async poll({
    at,
    trouble,
    after,
  }: {
    at: number;
    trouble: 'none' | 'fails' | 'dies';
    after: boolean;
  }): Promise<void> {
    const [first, second] = this.#workers;
    if (first === undefined || second === undefined) return;
    Object.assign(first.plan, { calls: 0, at, trouble, after });
    Object.assign(second.plan, { calls: 0, at: 0, trouble: 'none', after: false });
    const fate = { died: false };
    const death = new Promise<void>((resolve) => {
      Object.assign(first.plan, {
        die: () => {
          fate.died = true;
          resolve();
        },
      });
    });
    const stopTaking = new AbortController().signal;
    const options = { limit: 3, concurrency: 2, stopTaking };
    await Promise.all([Promise.race([pollOnce(first.deps, options), death]), pollOnce(second.deps, options)]);
    if (fate.died) this.#workers[0] = this.#start();
    // They take turns at being the one in trouble.
    this.#workers.reverse();
  }

  #start() {
    this.#names += 1;
    const plan: { calls: number; at: number; trouble: string; after: boolean; die?: () => void } = {
      calls: 0,
      at: 0,
      trouble: 'none',
      after: false,
    };
    const call = async <T>(_name: string, effect: () => Promise<T>): Promise<T> => {
      await nextTurn();
      plan.calls += 1;
      if (plan.calls !== plan.at || plan.trouble === 'none') return effect();
      const result = plan.after ? await effect() : undefined;
      if (plan.trouble === 'fails') throw Object.assign(new Error('lost'), { retryable: true });
      plan.die?.();
      return new Promise<T>(() => result);
    };
    const source = modelSource(
      this.database,
      this.store,
      this.#mode,
      this.#definition,
      `worker-${this.#names}`,
      () => this.nowMs,
      call,
    );
    const { requests, publisher } = this;
    const deps: DetectDeps = {
      definition: 'watched',
      source: source,
      store: {
        putIfAbsent: (eventId, bytes) => call('put', () => requests.putIfAbsent(eventId, bytes)),
        get: (eventId) => call('get', () => requests.get(eventId)),
      },
      publisher: { publish: (events, at) => call('publish', () => publisher.publish(events, at)) },
      clock,
      random: () => 0.5,
      logger: silentLogger,
      leaseMs,
      blame: () => 'passes',
      crashPoint: () => undefined,
    };
    return { deps, plan };
  }
}

async function play(mode: Mode, start: Start, steps: readonly Step[]): Promise<void> {
  const world = new World(mode, start);
  const { database } = world;
  for (const one of steps) {
    if (one.do === 'write') database.write(one.key, one.content);
    else if (one.do === 'stamp') {
      // Only a rowversion is stamped before the commit; the others see a change when it is committed.
      if (mode === 'rowversion') database.stamp(one.key, one.content);
      else database.write(one.key, one.content);
    } else if (one.do === 'remove') database.remove(one.key);
    else if (one.do === 'wait') world.nowMs += 400;
    else if (one.do === 'poll') await world.poll(one);
    else if (one.do !== 'expire' || mode === 'changeTracking') database[one.do]();
  }
  while (database.open.length > 0) database.commit();
  // In peace, with leases running out and rests over, everything is worked off.
  for (let turn = 0; turn < 40; turn += 1) {
    world.nowMs += 60_000;
    await world.poll({ at: 0, trouble: 'none', after: false });
  }
  const contentsOf = new Map<number, Map<string, number>>();
  for (const { event } of world.publisher.events) {
    const frozen = frozenRequestSchema.parse(
      JSON.parse(Buffer.from(world.requests.blobs.get(event.id) ?? '').toString()),
    );
    const { revision } = event.data.requestKey;
    const seen = contentsOf.get(revision) ?? new Map<string, number>();
    contentsOf.set(revision, seen.set(event.id, seen.get(event.id) ?? frozen.settings.samples));
  }
  for (const [revision, row] of database.rows) {
    const seen = contentsOf.get(revision);
    // What was there before the start fires only when it changes, and may have changed and gone back unseen.
    if (seen === undefined && world.before.get(revision) === row.content) continue;
    // Nothing is lost: what was first published last is what the table says.
    expect([revision, [...(contentsOf.get(revision)?.values() ?? [])].at(-1)]).toEqual([revision, row.content]);
  }
  for (const [revision, seen] of contentsOf) {
    // Nothing is doubled: no more events than contents that the table showed.
    const shown = (database.shown.get(revision) ?? []).filter((one) => one !== null).length;
    expect(seen.size).toBeLessThanOrEqual(shown);
  }
}

describe('two integrators on a table that they may only read, which fail and die anywhere', () => {
  const starts = ['beginning', 'now'] as const;
  const cases = (['rowversion', 'changeTracking', 'query'] as const).flatMap((mode) =>
    starts.map((start) => [mode, start] as const),
  );
  it.each(cases)('%s from %s: nothing lost, nothing doubled', async (mode, start) => {
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 1, maxLength: 40 }), (steps) => play(mode, start, steps)),
      { numRuns: runs },
    );
  });
});
