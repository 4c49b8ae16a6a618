import type { CostModel, Manifest, RunRecord } from '@xva/contracts';
import { describeError } from '@xva/runtime';
import type { SubmitDeps } from './deps.ts';
import { builtInCostModel, overheadSeconds } from './plan.ts';

/** A run weighs at least this much against what was known before: engines, machines and books change. */
const leastWeight = 0.1;
/** Factors beyond this are a measuring fault, not a trade. */
const factorRange = { least: 0.02, most: 50 } as const;

/**
 * The model after one more run. The engine's CPU seconds are what was measured; its pricing statistics are wall clock,
 * which a busy node stretches, so that they only say how the CPU divides among the trade types. What is left of the CPU
 * after start-up and scenarios, so divided, against the manifest's nanoseconds, is a type's factor; the new one is mixed
 * with the old by the number of shards behind each. Undefined when the run tells nothing.
 */
export function learnFrom(
  model: CostModel,
  manifest: Pick<Manifest, 'samples' | 'gridDates' | 'nettingSets'>,
  record: Pick<RunRecord, 'accepted' | 'merged' | 'plan'>,
  now: Date,
): CostModel | undefined {
  const shards = record.accepted.length;
  const cpu = record.accepted.reduce((sum, bundle) => sum + (bundle.cpuSeconds ?? Number.NaN), 0);
  if (shards === 0 || !Number.isFinite(cpu)) return undefined;
  const variable = cpu - shards * overheadSeconds(manifest, model);
  const perNano = (manifest.samples * manifest.gridDates) / 1e9;
  const basis = new Map<string, number>();
  for (const trade of manifest.nettingSets.flatMap((set) => set.trades))
    basis.set(trade.tradeType, (basis.get(trade.tradeType) ?? 0) + trade.costNanos * perNano);
  const whole = [...basis.values()].reduce((sum, seconds) => sum + seconds, 0);
  if (variable <= 0 || whole <= 0) return undefined;
  const pricing = record.merged?.pricingSeconds ?? {};
  const priced = Object.values(pricing).reduce((sum, seconds) => sum + seconds, 0);
  const weight = Math.max(leastWeight, shards / (model.shards + shards));
  const mix = (old: number, measured: number): number => {
    const bounded = Math.min(factorRange.most, Math.max(factorRange.least, measured));
    return Math.round((old + weight * (bounded - old)) * 1e6) / 1e6;
  };
  const otherFactor = mix(model.otherFactor, variable / whole);
  const factors = { ...model.factors };
  if (priced > 0) {
    for (const [type, seconds] of basis) {
      if (seconds <= 0) continue;
      const share = (pricing[type] ?? 0) / priced;
      factors[type] = mix(factors[type] ?? model.otherFactor, (variable * share) / seconds);
    }
  }
  return { ...model, factors, otherFactor, shards: model.shards + shards, learntAt: now.toISOString() };
}

/** Learns from a run that was published. That this failed, or that another replica was faster, is no harm to the run. */
export async function learn(deps: SubmitDeps, manifest: Manifest, record: RunRecord): Promise<void> {
  if (deps.costModel === undefined) return;
  try {
    const known = await deps.costModel.read();
    const next = learnFrom(known?.model ?? builtInCostModel, manifest, record, deps.clock.now());
    if (next !== undefined) await deps.costModel.write(next, known?.etag);
  } catch (error) {
    deps.logger.warn(
      { runId: record.runId, error: describeError(error) },
      'the cost model did not learn from this run',
    );
  }
}
