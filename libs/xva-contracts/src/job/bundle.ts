import { z } from 'zod';
import { eventId, idToken, relativePath, runId, schemaVersion, sha256, taskId } from '../scalars.ts';

/** A netting set (or trade) that the engine ran but whose numbers were not accepted. */
export const rejectionSchema = z.strictObject({
  nettingSetId: z.string(),
  tradeId: z.string().nullable(),
  code: z.string(),
  message: z.string(),
});

export const engineInfoSchema = z.strictObject({
  name: z.string(),
  version: z.string(),
  runner: z.string(),
  python: z.string(),
  platform: z.string(),
  cpuModel: z.string(),
  imageDigest: z.string().nullable(),
});

/**
 * `bundle.json`, the first entry of a task's output `bundle-<bundleId>.tar`. The runner invents the bundle id, so two
 * executions of one task (requeue, preemption, a node believed dead) can never mix.
 */
export const bundleSchema = z.strictObject({
  schemaVersion,
  bundleId: z.uuid(),
  /** `cube`: simulated values of some trades of one netting set, for the merge; no numbers yet. */
  kind: z.enum(['shard', 'cube', 'merge']),
  runId,
  eventId,
  attempt: z.int().min(1),
  taskId,
  packageId: sha256,
  sharedInputHash: sha256,
  /** Netting sets whose numbers are in the tables (a cube: whose values are in it). */
  nettingSets: z.array(idToken),
  /** A cube's trades. */
  trades: z.array(idToken).optional(),
  rejections: z.array(rejectionSchema),
  warnings: z.array(z.strictObject({ code: z.string(), subject: z.string(), message: z.string() })),
  engine: engineInfoSchema,
  files: z.array(z.strictObject({ path: relativePath, size: z.int().min(0), sha256, rows: z.int().min(0).nullable() })),
  /** The merge names the bundles that it used. */
  inputs: z.array(z.strictObject({ taskId, bundleId: z.uuid(), sha256 })),
  /** Seconds of wall clock by phase, of the engine's CPU (`engine.cpu`), and of pricing (`pricing.<trade type>`). */
  timings: z.record(z.string(), z.number()),
});

/** `out/report-<bundleId>.json`, written however the task ends. */
export const taskReportSchema = z.strictObject({
  schemaVersion,
  runId,
  attempt: z.int().min(1),
  taskId,
  exitCode: z.int(),
  exitClass: z.string(),
  message: z.string(),
  rejections: z.array(rejectionSchema),
  bundleId: z.uuid().nullable(),
});

export type Rejection = z.infer<typeof rejectionSchema>;
export type Bundle = z.infer<typeof bundleSchema>;
export type TaskReport = z.infer<typeof taskReportSchema>;
