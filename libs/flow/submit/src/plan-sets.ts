import type { RunRecord } from '@xva/contracts';

/** Every netting set of the plan, once each, in order. */
export function plannedSets(record: Pick<RunRecord, 'plan'>): readonly string[] {
  return [...new Set(record.plan.shards.flatMap((shard) => shard.nettingSets))].sort();
}
