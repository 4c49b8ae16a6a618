import { samplePackage, sampleRecord } from '@xva/testkit';
import fc from 'fast-check';
import { admitRuns, planShards, shardSeconds } from '../src/index.ts';

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

describe('admission', () => {
  const queued = (name: string, priority: number, minute: number) =>
    sampleRecord(`xva-20260930-${name}`, { priority, createdAt: `2026-09-30T18:0${minute}:00.000Z` });
  const running = (name: string) => sampleRecord(`xva-20260930-${name}`, { state: 'running' });

  it('starts by priority, then by age, as far as there is room', () => {
    const records = [queued('young', 0, 2), queued('old', 0, 1), queued('urgent', 5, 3), running('now')];
    expect([...admitRuns(records, 3)]).toEqual(['xva-20260930-urgent', 'xva-20260930-old']);
    expect([...admitRuns(records, 1)]).toEqual([]);
  });

  it('always starts one when nothing is outstanding, however large', () => {
    const shards = Array.from({ length: 50 }, (_shard, index) => ({
      taskId: `shard-${String(index + 1).padStart(4, '0')}`,
      nettingSets: [`N${index}`],
      costSeconds: 1,
    }));
    const large = sampleRecord('xva-20260930-large', {
      plan: { schemaVersion: '1.0', sharedInputHash: 'b'.repeat(64), shards },
    });
    expect([...admitRuns([large, queued('small', -1, 1)], 4)]).toEqual(['xva-20260930-large']);
  });
});
