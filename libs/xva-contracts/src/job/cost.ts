import { z } from 'zod';
import { schemaVersion, timestamp } from '../scalars.ts';

/**
 * What a shard costs, in CPU seconds of one core:
 * `fixedSeconds + samples × gridDates × (scenarioNanos + Σ trades (nanos of the trade × factor of its type)) / 1e9
 * + tradeSeconds × trades`. The nanos of a trade are the manifest's; factors and constants are learnt from past runs.
 */
export const costModelSchema = z.strictObject({
  schemaVersion,
  /** Start-up: import, market, calibration. */
  fixedSeconds: z.number().min(0),
  /** Scenario generation per sample and grid date, paid by every shard. */
  scenarioNanos: z.number().min(0),
  /** Per trade, whatever the simulation: building, pricing today, reports. */
  tradeSeconds: z.number().min(0),
  /** By trade type, against the manifest's nanos; a type that is absent has the factor `otherFactor`. */
  factors: z.record(z.string(), z.number().min(0)),
  otherFactor: z.number().min(0),
  /** Shards that it was learnt from. */
  shards: z.int().min(0),
  /** Last change; null = the built-in figures. */
  learntAt: timestamp.nullable(),
});

/** What a run used: node time is slot time divided by the slots of a node. */
export const runCostSchema = z.strictObject({
  /** Seconds of wall clock that slots were held by this run's executions. */
  slotSeconds: z.number().min(0),
  /** Node-hours: the unit of the price. */
  nodeHours: z.number().min(0),
  /** Node-hours times the price of the pool; null = some pool that was used has no price. */
  amount: z.number().min(0).nullable(),
  /** ISO 4217, of the price table. */
  currency: z.string().nullable(),
  /** Executions that are in it. */
  executions: z.int().min(0),
});

export type CostModel = z.infer<typeof costModelSchema>;
export type RunCost = z.infer<typeof runCostSchema>;
