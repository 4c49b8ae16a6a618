import type { Manifest, PackagedNettingSet, Plan } from '@xva/contracts';

/** Start-up of one shard: import, market, calibration. Seconds of one core (docs/components/xva-engine.md, cost model). */
export const fixedSeconds = 0.6;
/** Scenario generation per sample and grid date, paid by every shard. */
const scenarioNanos = 50_000;

/** Seconds of one core that a shard with these netting sets takes. */
export function shardSeconds(
  manifest: Pick<Manifest, 'samples' | 'gridDates'>,
  sets: readonly PackagedNettingSet[],
): number {
  return fixedSeconds + variableSeconds(manifest, scenarioNanos + sets.reduce((sum, set) => sum + costNanosOf(set), 0));
}

function costNanosOf(set: PackagedNettingSet): number {
  return set.trades.reduce((sum, trade) => sum + trade.costNanos, 0);
}

function variableSeconds(manifest: Pick<Manifest, 'samples' | 'gridDates'>, nanos: number): number {
  return (manifest.samples * manifest.gridDates * nanos) / 1e9;
}

interface Bin {
  readonly sets: PackagedNettingSet[];
  nanos: number;
}

/** Longest first into the least loaded bin; ties by id, so that the same manifest gives the same plan. */
function pack(sets: readonly PackagedNettingSet[], count: number): readonly Bin[] {
  const bins: Bin[] = Array.from({ length: count }, () => ({ sets: [], nanos: 0 }));
  for (const set of sets) {
    const lightest = bins.reduce((best, bin) => (bin.nanos < best.nanos ? bin : best));
    lightest.sets.push(set);
    lightest.nanos += costNanosOf(set);
  }
  return bins.filter((bin) => bin.sets.length > 0);
}

export interface PlanLimits {
  readonly targetShardSeconds: number;
  readonly maxShards: number;
}

/**
 * Shards of a package by netting set: as few bins as keep every shard within the target (or within the longest netting
 * set alone, since a set is never split), at most `maxShards`. Costs are seconds of one core.
 */
export function planShards(manifest: Manifest, limits: PlanLimits): Plan {
  const sets = [...manifest.nettingSets].sort((a, b) => costNanosOf(b) - costNanosOf(a) || (a.id < b.id ? -1 : 1));
  const longest = shardSeconds(manifest, sets.slice(0, 1));
  const goal = Math.max(limits.targetShardSeconds, longest);
  const most = Math.max(1, Math.min(limits.maxShards, sets.length, 9999));
  const overhead = shardSeconds(manifest, []);
  const work = shardSeconds(manifest, sets) - overhead;
  let count = Math.min(most, Math.max(1, Math.ceil(work / Math.max(goal - overhead, 1e-9))));
  let bins = pack(sets, count);
  while (count < most && bins.some((bin) => shardSeconds(manifest, bin.sets) > goal * (1 + 1e-9))) {
    count += 1;
    bins = pack(sets, count);
  }
  const shards = [...bins]
    .sort((a, b) => b.nanos - a.nanos || ((a.sets[0]?.id ?? '') < (b.sets[0]?.id ?? '') ? -1 : 1))
    .map((bin, index) => ({
      taskId: `shard-${String(index + 1).padStart(4, '0')}`,
      nettingSets: bin.sets.map((set) => set.id).sort(),
      costSeconds: Math.round(shardSeconds(manifest, bin.sets) * 1000) / 1000,
    }));
  return { schemaVersion: '1.0', sharedInputHash: manifest.sharedInputHash, shards };
}
