import type { CostModel, Manifest, PackagedNettingSet, PackagedTrade, Plan } from '@xva/contracts';

/** The figures before anything was learnt (docs/components/xva-engine.md, cost model). */
export const builtInCostModel: CostModel = {
  schemaVersion: '1.0',
  fixedSeconds: 0.6,
  scenarioNanos: 50_000,
  tradeSeconds: 0,
  factors: {},
  otherFactor: 1,
  shards: 0,
  learntAt: null,
};

type Sizes = Pick<Manifest, 'samples' | 'gridDates'>;

/** CPU seconds of one trade in a shard that runs anyway. */
export function tradeSeconds(manifest: Sizes, trade: PackagedTrade, model: CostModel): number {
  const nanos = trade.costNanos * (model.factors[trade.tradeType] ?? model.otherFactor);
  return model.tradeSeconds + (manifest.samples * manifest.gridDates * nanos) / 1e9;
}

/** CPU seconds that every shard takes whatever is in it: start-up and scenarios. */
export function overheadSeconds(manifest: Sizes, model: CostModel): number {
  return model.fixedSeconds + (manifest.samples * manifest.gridDates * model.scenarioNanos) / 1e9;
}

/** CPU seconds of a shard with these trades. */
export function tradesSeconds(manifest: Sizes, trades: readonly PackagedTrade[], model: CostModel): number {
  return overheadSeconds(manifest, model) + trades.reduce((sum, one) => sum + tradeSeconds(manifest, one, model), 0);
}

/** CPU seconds of a shard with these netting sets. */
export function shardSeconds(
  manifest: Sizes,
  sets: readonly PackagedNettingSet[],
  model: CostModel = builtInCostModel,
): number {
  const trades = sets.flatMap((set) => set.trades);
  return tradesSeconds(manifest, trades, model);
}

interface Item<T> {
  readonly id: string;
  readonly seconds: number;
  readonly what: T;
}

interface Bin<T> {
  readonly items: Item<T>[];
  seconds: number;
}

/** Longest first into the least loaded bin; ties by id, so that the same items give the same bins. */
function pack<T>(items: readonly Item<T>[], count: number): readonly Bin<T>[] {
  const bins: Bin<T>[] = Array.from({ length: count }, () => ({ items: [], seconds: 0 }));
  for (const item of items) {
    const lightest = bins.reduce((best, bin) => (bin.seconds < best.seconds ? bin : best));
    lightest.items.push(item);
    lightest.seconds += item.seconds;
  }
  return bins.filter((bin) => bin.items.length > 0);
}

function longestFirst<T>(items: readonly Item<T>[]): readonly Item<T>[] {
  return [...items].sort((a, b) => b.seconds - a.seconds || (a.id < b.id ? -1 : 1));
}

/** As few bins as keep each within `goal`, or within the longest item alone; never more than `most`. */
function binsWithin<T>(items: readonly Item<T>[], goal: number, most: number): readonly Bin<T>[] {
  const sorted = longestFirst(items);
  const room = Math.max(goal, sorted[0]?.seconds ?? 0, 1e-9);
  const work = sorted.reduce((sum, item) => sum + item.seconds, 0);
  let count = Math.max(1, Math.min(most, Math.ceil(work / room - 1e-9)));
  let bins = pack(sorted, count);
  while (count < most && bins.some((bin) => bin.seconds > room * (1 + 1e-9))) {
    count += 1;
    bins = pack(sorted, count);
  }
  return bins;
}

export interface PlanLimits {
  readonly targetShardSeconds: number;
  readonly maxShards: number;
  /** A netting set that takes longer alone is split by trade; absent = none is. */
  readonly splitSetSeconds?: number | undefined;
}

interface Draft {
  readonly nettingSets: readonly string[];
  readonly trades?: readonly string[];
  readonly seconds: number;
}

const mostShards = 9999;

/** For error bars the engine runs once more with half of the samples. */
function withRerun(manifest: Manifest): Manifest {
  const rerun = manifest.parts.some((part) => part.role === 'error-bar-setup');
  return rerun ? { ...manifest, samples: manifest.samples * 1.5 } : manifest;
}

/**
 * Shards of a package: netting sets, longest first, into as few bins as keep every shard within the target (or within
 * the longest netting set alone); a set above `splitSetSeconds` by trade, each piece a shard of its own. At most
 * `maxShards`. The same manifest, limits and model give the same plan.
 */
export function planShards(asked: Manifest, limits: PlanLimits, model: CostModel = builtInCostModel): Plan {
  const manifest = withRerun(asked);
  const overhead = overheadSeconds(manifest, model);
  const goal = Math.max(limits.targetShardSeconds - overhead, 1e-9);
  const most = Math.max(1, Math.min(limits.maxShards, mostShards));
  const secondsOf = (set: PackagedNettingSet): number =>
    set.trades.reduce((sum, trade) => sum + tradeSeconds(manifest, trade, model), 0);
  const items = longestFirst(manifest.nettingSets.map((set) => ({ id: set.id, seconds: secondsOf(set), what: set })));
  const limit = limits.splitSetSeconds ?? Number.POSITIVE_INFINITY;
  const pieces: Draft[] = [];
  const whole: Item<PackagedNettingSet>[] = [];
  for (const [index, item] of items.entries()) {
    // Something must be left for what is still to be placed.
    const free = most - pieces.length - (whole.length > 0 || index < items.length - 1 ? 1 : 0);
    const split = overhead + item.seconds > limit && item.what.trades.length > 1 && free > 1;
    const drafts = split ? splitSet(manifest, item.what, goal, free, model) : [];
    if (drafts.length > 1) pieces.push(...drafts.map((draft) => ({ ...draft, seconds: overhead + draft.seconds })));
    else whole.push(item);
  }
  const bins = whole.length === 0 ? [] : binsWithin(whole, goal, Math.min(most - pieces.length, whole.length));
  const drafts: Draft[] = [
    ...pieces,
    ...bins.map((bin) => ({
      nettingSets: bin.items.map((item) => item.id).sort(),
      seconds: overhead + bin.seconds,
    })),
  ];
  const nameOf = (draft: Draft): string => `${draft.nettingSets[0] ?? ''}/${draft.trades?.[0] ?? ''}`;
  const shards = drafts
    .sort((a, b) => b.seconds - a.seconds || (nameOf(a) < nameOf(b) ? -1 : 1))
    .map((draft, index) => ({
      taskId: `shard-${String(index + 1).padStart(4, '0')}`,
      nettingSets: [...draft.nettingSets],
      ...(draft.trades === undefined ? {} : { trades: [...draft.trades] }),
      costSeconds: Math.round(draft.seconds * 1000) / 1000,
    }));
  return { schemaVersion: '1.0', sharedInputHash: manifest.sharedInputHash, shards, model };
}

/** A netting set's trades in bins; a matter of seconds only, since the merge unites them exactly. */
function splitSet(
  manifest: Manifest,
  set: PackagedNettingSet,
  goal: number,
  most: number,
  model: CostModel,
): readonly Draft[] {
  const items = set.trades.map((trade) => ({
    id: trade.tradeId,
    seconds: tradeSeconds(manifest, trade, model),
    what: trade,
  }));
  return binsWithin(items, goal, Math.min(most, items.length)).map((bin) => ({
    nettingSets: [set.id],
    trades: bin.items.map((item) => item.id).sort(),
    seconds: bin.seconds,
  }));
}

/** Seconds until shards of these lengths are done on so many slots, longest first. */
export function makespanSeconds(seconds: readonly number[], slots: number): number {
  const free = Array.from({ length: Math.max(1, Math.min(slots, seconds.length)) }, () => 0);
  for (const length of [...seconds].sort((a, b) => b - a)) {
    const next = free.indexOf(Math.min(...free));
    free[next] = (free[next] ?? 0) + length;
  }
  return Math.max(0, ...free);
}
