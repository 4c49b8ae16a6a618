import { z } from 'zod';
import { requestKeySchema } from '../run-event/request-key.ts';
import { eventId, idToken, runId, schemaVersion, sha256, taskId, timestamp } from '../scalars.ts';
import { reasonSchema, runOutcomeSchema, runStateSchema } from './run-record.ts';

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
  shards: z.int(),
  reasons: z.array(reasonSchema),
  jobs: z.array(z.strictObject({ jobId: z.string(), poolId: z.string(), attempt: z.int() })),
  /** Blob container in the work account. */
  container: z.string(),
  createdAt: timestamp,
  updatedAt: timestamp,
  startedAt: timestamp.nullable(),
  finishedAt: timestamp.nullable(),
  version: z.int(),
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
});

export const runPageSchema = z.strictObject({
  items: z.array(runViewSchema),
  /** Pass it back as `?page=`; absent on the last page. */
  nextPage: z.string().optional(),
});

export type RunView = z.infer<typeof runViewSchema>;
export type RunProgress = z.infer<typeof runProgressSchema>;
export type RunPage = z.infer<typeof runPageSchema>;
