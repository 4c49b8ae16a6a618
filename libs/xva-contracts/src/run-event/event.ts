import { z } from 'zod';
import { eventId, runId, schemaVersion, sha256, timestamp, traceparent } from '../scalars.ts';
import { requestKeySchema } from './request-key.ts';

export const runRequestedType = 'com.xvalab.run.requested.v1';

/** The thin data of a run event: key facts, and where the frozen request lies with its hash. */
export const runRequestedDataSchema = z.strictObject({
  schemaVersion,
  runId,
  requestKey: requestKeySchema,
  /** Blob path in the work account: `requests/<eventId>.json`. */
  requestBlob: z.string().regex(/^requests\/[0-9a-f]{32}\.json$/),
  requestSha256: sha256,
  requestBytes: z.int().min(2),
  tradeCount: z.int().min(0),
  nettingSetCount: z.int().min(0),
});

/** CloudEvents 1.0, structured JSON; `traceparent` is the Distributed Tracing extension. */
export const runEventSchema = z.strictObject({
  specversion: z.literal('1.0'),
  id: eventId,
  /** `/xva-db-integrator/<definition>` */
  source: z.string().regex(/^\/[A-Za-z0-9_./-]+$/),
  type: z.literal(runRequestedType),
  /** The request key as text; the partition key is its book. */
  subject: z.string().min(1).max(400),
  time: timestamp,
  datacontenttype: z.literal('application/json'),
  dataschema: z.string().optional(),
  traceparent,
  data: runRequestedDataSchema,
});

export type RunRequestedData = z.infer<typeof runRequestedDataSchema>;
export type RunEvent = z.infer<typeof runEventSchema>;
