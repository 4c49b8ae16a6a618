import { z } from 'zod';
import { requestKeySchema } from '../run-event/request-key.ts';
import { eventId, idToken, runId, schemaVersion, sha256, taskId, timestamp } from '../scalars.ts';
import { runCostSchema } from './cost.ts';
import { poolClassSchema, reasonSchema, runOutcomeSchema, runRecordSchema, runStateSchema } from './run-record.ts';

/** What `GET /v1/runs/{runId}` answers. */
export const runViewSchema = z.strictObject({
  schemaVersion,
  runId,
  eventId,
  requestKey: requestKeySchema,
  packageId: sha256,
  state: runStateSchema,
  outcome: runOutcomeSchema.nullable(),
  attempt: z.int(),
  priority: z.int(),
  deadline: timestamp.nullable(),
  deadlineMissedAt: timestamp.nullable(),
  /** Who the run is charged to. */
  desk: z.string(),
  submittedBy: z.string(),
  paused: runRecordSchema.shape.paused.unwrap(),
  /** What it waits for now. */
  waiting: runRecordSchema.shape.waiting.unwrap(),
  shards: z.int(),
  /** Shards whose bundle is accepted. */
  accepted: z.int(),
  /** CPU seconds that the plan predicts for all shards. */
  plannedCpuSeconds: z.number(),
  cost: runCostSchema
    .nullable()
    .describe('by the executions that Batch told of; time that was lost with a preempted node is not in it'),
  reasons: z.array(reasonSchema),
  jobs: z.array(
    z.strictObject({
      jobId: z.string(),
      poolId: z.string(),
      poolClass: poolClassSchema,
      attempt: z.int(),
      reason: z.string(),
      tasks: z.int(),
      submittedAt: timestamp.nullable(),
      endedAt: timestamp.nullable(),
    }),
  ),
  /** Blob container in the work account. */
  container: z.string(),
  createdAt: timestamp,
  updatedAt: timestamp,
  startedAt: timestamp.nullable(),
  firstTaskAt: timestamp.nullable(),
  finishedAt: timestamp.nullable(),
  version: z.int(),
});

/** What `POST /v1/plans` answers: what a run of this request would be, without making one. */
export const planViewSchema = z.strictObject({
  schemaVersion,
  runId,
  packageId: sha256,
  /** State of the run when there is one already: it keeps the plan that it has. */
  existing: runStateSchema.nullable(),
  shards: z.array(
    z.strictObject({
      taskId,
      nettingSets: z.array(idToken),
      /** Only these trades of the one netting set. */
      trades: z.array(idToken).optional(),
      cpuSeconds: z.number(),
    }),
  ),
  predicted: z.strictObject({
    /** CPU seconds of all shards together, and of the longest. */
    cpuSeconds: z.number(),
    longestShardCpuSeconds: z.number(),
    /** Shards of past runs that the cost model was learnt from; 0 = the built-in figures. */
    learntFromShards: z.int(),
  }),
  cost: z.strictObject({
    nodeHours: z.number(),
    /** Null = the pool has no price. */
    amount: z.number().nullable(),
    currency: z.string().nullable(),
    unit: z.literal('node-hour'),
    pricePerNodeHour: z.number().nullable(),
  }),
  pool: z.strictObject({ poolId: z.string(), poolClass: poolClassSchema, slots: z.int() }),
  eta: z.strictObject({
    /** Seconds until its first task may start behind what is admitted already, and until it is published. */
    startsInSeconds: z.number(),
    endsInSeconds: z.number(),
    endsAt: timestamp,
    /** Null = no deadline was asked for. */
    meetsDeadline: z.boolean().nullable(),
  }),
  /** Why a submission of it would be refused; empty = it would be taken. */
  refusals: z.array(z.strictObject({ code: z.string(), subject: z.string(), message: z.string() })),
});

/** What `GET /v1/runs/{runId}/progress` answers. */
export const runProgressSchema = z.strictObject({
  schemaVersion,
  runId,
  state: runStateSchema,
  percent: z.number().min(0).max(100),
  tasks: z.array(
    z.strictObject({
      taskId,
      attempt: z.int(),
      state: z.enum(['waiting', 'active', 'preparing', 'running', 'succeeded', 'failed', 'accepted']),
      nettingSets: z.array(idToken),
      phase: z.string().nullable(),
      percent: z.number().min(0).max(100),
      exitCode: z.int().nullable(),
      startTime: timestamp.nullable(),
      endTime: timestamp.nullable(),
      nodeId: z.string().nullable(),
    }),
  ),
  /** When the run is likely to be published, from the plan's costs and what is done; null = not under way, or over. */
  eta: timestamp.nullable(),
});

export const runPageSchema = z.strictObject({
  items: z.array(runViewSchema),
  /** Pass it back as `?page=`; absent on the last page. */
  nextPage: z.string().optional(),
});

export type RunView = z.infer<typeof runViewSchema>;
export type PlanView = z.infer<typeof planViewSchema>;
export type RunProgress = z.infer<typeof runProgressSchema>;
export type RunPage = z.infer<typeof runPageSchema>;
