import { z } from 'zod';
import { requestKeySchema } from '../run-event/request-key.ts';
import { eventId, schemaVersion, sha256, timestamp } from '../scalars.ts';

/** Body of `POST /v1/runs`. The run id is derived from it; the same body again is the same run. */
export const jobRequestSchema = z.strictObject({
  schemaVersion,
  eventId,
  requestKey: requestKeySchema,
  /** The manifest lies in the work account as `objects/<packageId>`. */
  packageId: sha256,
  /** Runs that wait for slots start by priority, high first. */
  priority: z.int().min(-1000).max(1000),
  /** When the numbers are needed; a run that misses it goes on and says so. */
  deadline: timestamp.optional(),
  /** Most shards the plan may have. */
  maxShards: z.int().min(1).max(9999).optional(),
});

export type JobRequest = z.infer<typeof jobRequestSchema>;
