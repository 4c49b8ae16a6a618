import type { Manifest, RunRecord } from '@xva/contracts';
import { samplePackage, sampleRecord } from '@xva/testkit';
import fc from 'fast-check';
import {
  allot,
  demandsOf,
  makespanSeconds,
  notSeparable,
  planShards,
  shardSeconds,
  slotsOf,
  type Demand,
} from '../src/index.ts';

const manifestOf = (costNanos: readonly number[]) =>
  samplePackage({ name: 'plan', nettingSets: costNanos.length, costNanos, samples: 1000, gridDates: 40 }).manifest;

describe('the cost model', () => {
  it('is 0.6 s plus samples × dates × (50 µs + the trades)', () => {
    const manifest = manifestOf([18_000]);
    expect(shardSeconds(manifest, manifest.nettingSets)).toBeCloseTo(0.6 + 40_000 * (50e-6 + 18e-6), 9);
  });
});

describe('planning', () => {
  it('keeps one shard when that is within the target', () => {
    const plan = planShards(manifestOf([10_000, 10_000]), { targetShardSeconds: 300, maxShards: 10 });
    expect(plan.shards).toEqual([{ taskId: 'shard-0001', nettingSets: ['NS-001', 'NS-002'], costSeconds: 3.4 }]);
  });

  it('counts the engine run of error bars, with half of the samples', () => {
    const manifest = manifestOf([10_000, 10_000]);
    const part = { ...manifest.parts[0]!, path: 'Input/error-bar-ore.xml', role: 'error-bar-setup' as const };
    const asked = { ...manifest, parts: [...manifest.parts, part] };
    const limits = { targetShardSeconds: 300, maxShards: 10 };
    expect(planShards(asked, limits).shards[0]?.costSeconds).toBeCloseTo(0.6 + 1.5 * 2.8, 9);
  });

  it('puts the longest netting set alone when it is the limit, and names shards longest first', () => {
    const plan = planShards(manifestOf([100_000, 1e6, 100_000, 100_000]), { targetShardSeconds: 10, maxShards: 10 });
    expect(plan.shards[0]?.nettingSets).toEqual(['NS-002']);
    expect(plan.shards.flatMap((shard) => shard.nettingSets).sort()).toEqual(['NS-001', 'NS-002', 'NS-003', 'NS-004']);
    const costs = plan.shards.map((shard) => shard.costSeconds);
    expect([...costs].sort((a, b) => b - a)).toEqual(costs);
  });

  it('holds every netting set once, within the limits, the same each time', () => {
    const costs = fc.array(fc.integer({ min: 0, max: 10_000_000 }), { minLength: 1, maxLength: 40 });
    const limits = fc.record({
      targetShardSeconds: fc.double({ min: 0.1, max: 1000, noNaN: true }),
      maxShards: fc.integer({ min: 1, max: 50 }),
    });
    fc.assert(
      fc.property(costs, limits, (nanos, given) => {
        const manifest = manifestOf(nanos);
        const plan = planShards(manifest, given);
        expect(plan).toEqual(planShards(manifest, given));
        expect(plan.shards.length).toBeLessThanOrEqual(Math.min(given.maxShards, nanos.length));
        const held = plan.shards.flatMap((shard) => shard.nettingSets).sort();
        expect(held).toEqual(manifest.nettingSets.map((set) => set.id).sort());
        const longest = Math.max(...manifest.nettingSets.map((set) => shardSeconds(manifest, [set])));
        if (plan.shards.length < Math.min(given.maxShards, nanos.length)) {
          const bound = Math.max(given.targetShardSeconds, longest) + 0.001;
          for (const shard of plan.shards) expect(shard.costSeconds).toBeLessThanOrEqual(bound);
        }
      }),
      { numRuns: 300 },
    );
  });
});

/** The manifest with these trades in each netting set. */
function withTrades(nanos: readonly (readonly number[])[]): Manifest {
  const manifest = manifestOf(nanos.map(() => 1));
  const nettingSets = manifest.nettingSets.map((set, index) => ({
    ...set,
    trades: (nanos[index] ?? []).map((costNanos, trade) => ({
      ...{ tradeId: `${set.id}-T${trade}`, tradeType: 'Swap', costNanos },
    })),
  }));
  return { ...manifest, nettingSets };
}

describe('splitting a netting set by trade', () => {
  it('cuts what is above the limit, each piece a shard of its own, and leaves the rest whole', () => {
    const manifest = withTrades([[100_000, 90_000, 80_000, 70_000], [10_000], [10_000]]);
    const plan = planShards(manifest, { targetShardSeconds: 10, maxShards: 10, splitSetSeconds: 12 });
    expect(plan.shards.map(({ nettingSets, trades }) => [nettingSets, trades])).toEqual([
      [['NS-001'], ['NS-001-T0', 'NS-001-T3']],
      [['NS-001'], ['NS-001-T1', 'NS-001-T2']],
      [['NS-002', 'NS-003'], undefined],
    ]);
    const whole = planShards(manifest, { targetShardSeconds: 10, maxShards: 10 });
    expect(whole.shards.every((shard) => shard.trades === undefined)).toBe(true);
  });

  it('holds every trade of a cut set once, and never has more shards than allowed', () => {
    const books = fc.array(fc.array(fc.integer({ min: 1, max: 1_000_000 }), { minLength: 1, maxLength: 12 }), {
      minLength: 1,
      maxLength: 8,
    });
    const limits = fc.record({
      targetShardSeconds: fc.double({ min: 3, max: 100, noNaN: true }),
      maxShards: fc.integer({ min: 1, max: 12 }),
      splitSetSeconds: fc.double({ min: 3, max: 100, noNaN: true }),
    });
    fc.assert(
      fc.property(books, limits, (nanos, given) => {
        const manifest = withTrades(nanos);
        const { shards } = planShards(manifest, given);
        expect(shards.length).toBeLessThanOrEqual(given.maxShards);
        for (const set of manifest.nettingSets) {
          const mine = shards.filter((shard) => shard.nettingSets.includes(set.id));
          if (mine.length === 1) {
            expect(mine[0]?.trades).toBeUndefined();
            continue;
          }
          expect(shardSeconds(manifest, [set])).toBeGreaterThan(given.splitSetSeconds);
          for (const shard of mine) expect(shard.nettingSets).toEqual([set.id]);
          expect(mine.flatMap((shard) => shard.trades ?? []).sort()).toEqual(
            set.trades.map((one) => one.tradeId).sort(),
          );
        }
      }),
      { numRuns: 300 },
    );
  });

  it('knows how long shards take on some slots', () => {
    expect(makespanSeconds([3, 3, 2, 2, 2], 2)).toBe(7);
    expect(makespanSeconds([], 4)).toBe(0);
  });
});

describe('settings under which shards are not exact', () => {
  const setup = (xva: string, more = '') =>
    `<ORE><Analytics><Analytic type="npv"><Parameter name="active">Y</Parameter></Analytic>` +
    `<Analytic type="xva"><Parameter name="active">Y</Parameter>${xva}</Analytic>${more}</Analytics></ORE>`;

  it('are margin, allocation, credit states and analytics over the whole portfolio, when they are on', () => {
    const on = '<Parameter name="dim">Y</Parameter>';
    expect(notSeparable(setup(on)).map((one) => one.setting)).toEqual(['xva/dim']);
    expect(notSeparable(setup('<Parameter name="allocationMethod">Marginal</Parameter>'))).toHaveLength(1);
    const analytic = (active: string) =>
      `<Analytic type='parametricVar'><Parameter name='active'>${active}</Parameter></Analytic>`;
    expect(notSeparable(setup('', analytic('Y'))).map((one) => one.setting)).toEqual(['analytic parametricVar']);
    expect(notSeparable(setup('', analytic('N')))).toEqual([]);
    const off = '<Parameter name="dim">N</Parameter><Parameter name="allocationMethod">None</Parameter>';
    expect(notSeparable(setup(off))).toEqual([]);
    expect(notSeparable(setup(`<!-- ${on} -->`))).toEqual([]);
    expect(notSeparable('{}')).toEqual([]);
  });
});

describe('admission', () => {
  const demand = (runId: string, change: Partial<Demand> = {}): Demand => ({
    runId,
    desk: 'rates',
    priority: 0,
    createdAt: '2026-09-30T18:00:00.000Z',
    poolId: 'pool',
    tasks: 1,
    secondsPerTask: 10,
    ...change,
  });
  const shares = (demands: readonly Demand[], free: number, usage: Record<string, number> = {}) =>
    Object.fromEntries(allot(demands, free, new Map(Object.entries(usage))));

  it('goes by priority, then by age, as far as there is room', () => {
    const late = '2026-09-30T18:09:00.000Z';
    const demands = [demand('young', { createdAt: late }), demand('old'), demand('urgent', { priority: 5, tasks: 2 })];
    expect(shares(demands, 3)).toEqual({ urgent: 2, old: 1 });
    expect(shares(demands, 1)).toEqual({ urgent: 1 });
    expect(shares(demands, 0)).toEqual({});
  });

  it('lets a run start with a part of its shards', () => {
    expect(shares([demand('large', { tasks: 50 }), demand('small')], 8)).toEqual({ large: 8 });
  });

  it('gives the desk that used least its turn first, and turns go round', () => {
    const demands = [
      demand('a', { desk: 'rates', tasks: 10 }),
      demand('b', { desk: 'fx', tasks: 10, createdAt: '2026-09-30T18:05:00.000Z' }),
    ];
    expect(shares(demands, 10)).toEqual({ a: 5, b: 5 });
    expect(shares(demands, 10, { rates: 40 })).toEqual({ a: 3, b: 7 });
    expect(shares(demands, 4, { rates: 1000 })).toEqual({ b: 4 });
    expect(shares(demands, 12, { rates: 1000 })).toEqual({ a: 2, b: 10 });
  });

  it('gives out no more than is free or wanted, whatever the demands', () => {
    const demands = fc.array(
      fc.record({
        desk: fc.constantFrom('a', 'b', 'c'),
        priority: fc.integer({ min: -1, max: 1 }),
        tasks: fc.integer({ min: 1, max: 30 }),
        secondsPerTask: fc.integer({ min: 0, max: 100 }),
      }),
      { maxLength: 20 },
    );
    fc.assert(
      fc.property(demands, fc.integer({ min: 0, max: 200 }), (given, free) => {
        const all = given.map((one, index) => demand(`run-${index}`, one));
        const found = allot(all, free, new Map([['a', 50]]));
        const total = [...found.values()].reduce((sum, tasks) => sum + tasks, 0);
        expect(total).toBe(
          Math.min(
            free,
            all.reduce((sum, one) => sum + one.tasks, 0),
          ),
        );
        for (const one of all) expect(found.get(one.runId) ?? 0).toBeLessThanOrEqual(one.tasks);
        const lowest = Math.min(...all.filter((one) => found.has(one.runId)).map((one) => one.priority));
        for (const one of all) if (one.priority > lowest) expect(found.get(one.runId)).toBe(one.tasks);
      }),
    );
  });

  it('counts what an earlier life may have in Batch as there, and a paused run as wanting nothing', () => {
    const attempt = {
      ...{ attempt: 1, jobId: 'xva-20260930-a-a1', poolId: 'pool', tasks: ['shard-0001', 'shard-0002'] },
      ...{ reason: 'first', startedAt: '2026-09-30T18:00:00.000Z', submittedAt: '2026-09-30T18:00:00.000Z' },
    };
    const shards = ['shard-0001', 'shard-0002'].map((taskId) => ({ taskId, nettingSets: [taskId], costSeconds: 4 }));
    const plan = { schemaVersion: '1.0' as const, sharedInputHash: 'b'.repeat(64), shards };
    const running = sampleRecord('xva-20260930-a', { state: 'running', plan, attempts: [attempt] });
    const of = (record: RunRecord, known?: number) =>
      demandsOf(
        record,
        () => known,
        () => 'pool',
      );
    expect(of(running)).toMatchObject({ wants: [], has: new Map([['pool', 2]]) });
    expect(of(running, 1)).toMatchObject({ wants: [{ tasks: 1, secondsPerTask: 4 }], has: new Map([['pool', 1]]) });
    expect(of({ ...running, paused: { by: 'x', at: running.createdAt } }, 1).wants).toEqual([]);
    expect(of(sampleRecord('xva-20260930-b', { plan })).wants).toMatchObject([{ poolId: 'pool', tasks: 2 }]);
  });
});

describe('slots', () => {
  const pool = {
    id: 'p',
    slotsPerNode: 4,
    dedicatedNodes: { current: 1, target: 3 },
    spotNodes: { current: 0, target: 0 },
  };

  it('are those of the target, but of what is there when quota or capacity is short', () => {
    expect(slotsOf(pool)).toEqual({ slots: 12, short: undefined });
    const error = 'AccountCoreQuotaReached: the account has 8 cores';
    expect(slotsOf({ ...pool, resizeErrors: ['ResizeStopped: by somebody', error] })).toEqual({
      slots: 4,
      short: error,
    });
    expect(slotsOf({ ...pool, dedicatedNodes: { current: 0, target: 0 } }).slots).toBe(2);
  });
});
