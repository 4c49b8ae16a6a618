import { z } from 'zod';
import { partSchema } from '../input-package/manifest.ts';
import { eventId, idToken, relativePath, runId, schemaVersion, sha256, taskId } from '../scalars.ts';

const common = {
  schemaVersion,
  runId,
  eventId,
  attempt: z.int().min(1),
  taskId,
  packageId: sha256,
  sharedInputHash: sha256,
};

/** One shard: the whole package lies under `parts[].path`; the runner cuts the portfolio to these netting sets. */
export const shardSpecSchema = z.strictObject({
  ...common,
  kind: z.literal('shard'),
  parts: z.array(partSchema).min(1),
  nettingSets: z.array(idToken).min(1),
  /** Only these trades of the one netting set: the bundle is a cube, not numbers. */
  trades: z.array(idToken).min(1).optional(),
});

/** The merge: the accepted bundle of every shard, by exact name and hash, and the manifest that says what must come. */
export const mergeSpecSchema = z.strictObject({
  ...common,
  kind: z.literal('merge'),
  manifestPath: relativePath,
  /** The whole package, when a netting set was split by trade: its numbers are computed from the cubes. */
  parts: z.array(partSchema).min(1).optional(),
  bundles: z
    .array(
      z.strictObject({
        taskId,
        attempt: z.int().min(1),
        bundleId: z.uuid(),
        path: relativePath,
        sha256,
        nettingSets: z.array(idToken).min(1),
        trades: z.array(idToken).min(1).optional(),
      }),
    )
    .min(1),
});

/** `task.json` in a task's working directory. Nothing in it varies by time, so that writing it twice is the same act. */
export const taskSpecSchema = z.discriminatedUnion('kind', [shardSpecSchema, mergeSpecSchema]);

export type ShardSpec = z.infer<typeof shardSpecSchema>;
export type MergeSpec = z.infer<typeof mergeSpecSchema>;
export type TaskSpec = z.infer<typeof taskSpecSchema>;

/** `out/progress.json`, replaced atomically while the task runs. */
export const taskProgressSchema = z.strictObject({
  schemaVersion,
  phase: z.enum(['starting', 'market', 'simulation', 'xva', 'accepting', 'writing', 'merging', 'done']),
  /** Steps done and steps in all, as the engine counts them. */
  done: z.int().min(0),
  total: z.int().min(0),
  updatedAt: z.iso.datetime(),
});

export type TaskProgress = z.infer<typeof taskProgressSchema>;
