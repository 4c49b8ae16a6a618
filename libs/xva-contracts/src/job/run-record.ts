import { z } from 'zod';
import { requestKeySchema } from '../run-event/request-key.ts';
import { eventId, idToken, runId, schemaVersion, sha256, taskId, timestamp, traceparent } from '../scalars.ts';
import { costModelSchema, runCostSchema } from './cost.ts';

export * from './cost.ts';

/**
 * Desired state of a run. `queued → submitting → running → publishing → done`; `failed` and `cancelled` end it;
 * `sweeping → swept` is the collector's, and a swept record is the tombstone that keeps an old event from running again.
 */
export const runStates = [
  'queued',
  'submitting',
  'running',
  'publishing',
  'done',
  'failed',
  'cancelled',
  'sweeping',
  'swept',
] as const;
export const runStateSchema = z.enum(runStates);
export type RunState = z.infer<typeof runStateSchema>;

export const runOutcomeSchema = z.enum(['complete', 'partial', 'failed', 'cancelled']);

/** What a shard is to compute, frozen at the first write of the record. `costSeconds` is CPU seconds by the cost model. */
export const plannedShardSchema = z.strictObject({
  taskId,
  nettingSets: z.array(idToken).min(1),
  /**
   * Only these trades of the one netting set: the shard simulates their values (a cube), and the merge computes the
   * netting set's numbers from all its cubes. Absent = every trade of the sets.
   */
  trades: z.array(idToken).min(1).optional(),
  costSeconds: z.number().min(0),
});

export const planSchema = z.strictObject({
  schemaVersion,
  sharedInputHash: sha256,
  shards: z.array(plannedShardSchema).min(1).max(9999),
  /** The cost model that the plan was made with: a stored plan is reused, never recomputed. */
  model: costModelSchema.nullable().default(null),
});

/** A bundle that was checked and is the one that counts for its task. */
export const acceptedBundleSchema = z.strictObject({
  taskId,
  attempt: z.int().min(1),
  bundleId: z.uuid(),
  /** Path in the run's container. */
  blob: z.string(),
  sha256,
  size: z.int().min(0),
  /** Name, version and runner of the engine that made it: bundles of two engines never merge. */
  engine: z.string().nullable().default(null),
  /** CPU seconds that the engine took; null = it did not say. */
  cpuSeconds: z.number().min(0).nullable().default(null),
  /** Seconds of pricing by trade type, of those. */
  pricingSeconds: z.record(z.string(), z.number().min(0)).default({}),
});

/** `spot` nodes may be taken away at any time; `large` ones have more memory per slot. */
export const poolClasses = ['spot', 'dedicated', 'large'] as const;
export const poolClassSchema = z.enum(poolClasses);

export const attemptSchema = z.strictObject({
  attempt: z.int().min(1),
  /** `<runId>-a<attempt>` */
  jobId: z.string().max(64),
  poolId: z.string().max(64),
  poolClass: poolClassSchema.default('dedicated'),
  /** Container image of the engine; null = the command of the node. */
  image: z.string().nullable().default(null),
  /** What this attempt is to run. A task belongs to the latest attempt that names it. */
  tasks: z.array(taskId),
  reason: z.string(),
  /** When it was decided; nothing is in Batch before. */
  startedAt: timestamp,
  /** When its job was first seen to be there; null = not yet. */
  submittedAt: timestamp.nullable().default(null),
  /** When its job was ended, since nothing more was to be expected of it; null = it may be active. */
  endedAt: timestamp.nullable().default(null),
  /** Priority that its job has in Batch. */
  priority: z.int().default(0),
  /** Of its pool, when it was decided: what a slot-second costs. Null = the pool has no price. */
  slotsPerNode: z.int().min(1).default(1),
  pricePerNodeHour: z.number().min(0).nullable().default(null),
});

export const reasonSchema = z.strictObject({
  at: timestamp,
  code: z.string(),
  subject: z.string(),
  message: z.string(),
});

/** The one row per run that says what should be. Written before Batch is touched; changed by compare-and-swap only. */
export const runRecordSchema = z.strictObject({
  schemaVersion,
  runId,
  eventId,
  requestKey: requestKeySchema,
  packageId: sha256,
  strict: z.boolean(),
  priority: z.int(),
  deadline: timestamp.nullable(),
  traceparent: traceparent.nullable(),
  submittedBy: z.string(),
  /** Who the run's slots are charged to: the authenticated desk of the submitter. */
  desk: z.string().min(1).max(64).default('none'),
  /** Nothing new starts while a run is paused; tasks that run go on. */
  paused: z.strictObject({ by: z.string(), at: timestamp }).nullable().default(null),
  /** The jobs of a paused run were disabled, or are about to be: they must be enabled before anything else goes on. */
  held: z.boolean().default(false),
  /** What the run, or the part of it that is not in Batch yet, waits for now; null = nothing. */
  waiting: z.strictObject({ code: z.string(), message: z.string(), since: timestamp }).nullable().default(null),
  /** When it was noticed that the deadline had passed; null = it was met so far, or there is none. */
  deadlineMissedAt: timestamp.nullable().default(null),
  state: runStateSchema,
  outcome: runOutcomeSchema.nullable(),
  /** Current attempt: the fencing token of publishing. */
  attempt: z.int().min(1),
  plan: planSchema,
  attempts: z.array(attemptSchema),
  accepted: z.array(acceptedBundleSchema),
  merged: acceptedBundleSchema.nullable(),
  /** Counted failures so far per task id, all attempts together. */
  retries: z.record(z.string(), z.int()),
  /** End time of the failure that was counted last, per task id: what makes a second count of the same one impossible. */
  lastFailures: z.record(z.string(), timestamp).default({}),
  /** Attempts that were given up because their job was lost, since somebody last asked for a retry. */
  lostAttempts: z.int().min(0).default(0),
  /** What the run used so far, executions that failed included. */
  cost: runCostSchema.nullable().default(null),
  reasons: z.array(reasonSchema),
  container: z.string(),
  createdAt: timestamp,
  updatedAt: timestamp,
  /** When the first tasks were in Batch. */
  startedAt: timestamp.nullable(),
  /** When the first task began to run on a node, as Batch told. */
  firstTaskAt: timestamp.nullable().default(null),
  finishedAt: timestamp.nullable(),
  /** Counts every change: the id of the run's server-sent events. */
  version: z.int().min(1),
});

export type PlannedShard = z.infer<typeof plannedShardSchema>;
export type Plan = z.infer<typeof planSchema>;
export type AcceptedBundle = z.infer<typeof acceptedBundleSchema>;
export type PoolClass = z.infer<typeof poolClassSchema>;
export type Attempt = z.infer<typeof attemptSchema>;
export type Reason = z.infer<typeof reasonSchema>;
export type RunRecord = z.infer<typeof runRecordSchema>;
export type RunOutcome = z.infer<typeof runOutcomeSchema>;

export const finalStates: ReadonlySet<RunState> = new Set<RunState>([
  'done',
  'failed',
  'cancelled',
  'sweeping',
  'swept',
]);

/** Something of the run may still need its packages, container and jobs. */
export function isLive(state: RunState): boolean {
  return !finalStates.has(state);
}
