import { z } from 'zod';
import { requestKeySchema } from '../run-event/request-key.ts';
import { eventId, idToken, runId, schemaVersion, sha256, taskId, timestamp, traceparent } from '../scalars.ts';

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

/** What a shard is to compute, frozen at the first write of the record. `cost` is in core-seconds by the cost model. */
export const plannedShardSchema = z.strictObject({
  taskId,
  nettingSets: z.array(idToken).min(1),
  costSeconds: z.number().min(0),
});

export const planSchema = z.strictObject({
  schemaVersion,
  sharedInputHash: sha256,
  shards: z.array(plannedShardSchema).min(1).max(9999),
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
});

export const attemptSchema = z.strictObject({
  attempt: z.int().min(1),
  /** `<runId>-a<attempt>` */
  jobId: z.string().max(64),
  poolId: z.string().max(64),
  tasks: z.array(taskId),
  reason: z.string(),
  startedAt: timestamp,
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
  state: runStateSchema,
  outcome: runOutcomeSchema.nullable(),
  /** Current attempt: the fencing token of publishing. */
  attempt: z.int().min(1),
  plan: planSchema,
  attempts: z.array(attemptSchema),
  accepted: z.array(acceptedBundleSchema),
  merged: acceptedBundleSchema.nullable(),
  /** Reactivations so far per task id. */
  retries: z.record(z.string(), z.int()),
  reasons: z.array(reasonSchema),
  container: z.string(),
  createdAt: timestamp,
  updatedAt: timestamp,
  startedAt: timestamp.nullable(),
  finishedAt: timestamp.nullable(),
  /** Counts every change: the id of the run's server-sent events. */
  version: z.int().min(1),
});

export type PlannedShard = z.infer<typeof plannedShardSchema>;
export type Plan = z.infer<typeof planSchema>;
export type AcceptedBundle = z.infer<typeof acceptedBundleSchema>;
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
