import { z } from 'zod';
import { eventId, runId } from '../scalars.ts';

/** What a stored thing is, for the collector. */
export const retentionClasses = [
  'request',
  'object',
  'task-input',
  'bundle',
  'log',
  'result',
  'dead-letter',
  'checkpoint',
  'claim-check',
] as const;

/**
 * Labels that the collector reads: metadata of blobs and containers, of Batch jobs and tasks. Shared objects carry no
 * run's label, since many runs use them.
 */
export const retentionLabelsSchema = z.strictObject({
  xva_class: z.enum(retentionClasses),
  xva_run_id: runId.optional(),
  xva_event_id: eventId.optional(),
  /** Which environment a job or container belongs to, where several share an account. */
  xva_environment: z
    .string()
    .regex(/^[a-z0-9-]{1,40}$/)
    .optional(),
});

export type RetentionLabels = z.infer<typeof retentionLabelsSchema>;
export type RetentionClass = (typeof retentionClasses)[number];

/** Metadata names used beside the labels, the same in Storage, Batch and the task's environment. */
export const traceLabel = 'traceparent';
