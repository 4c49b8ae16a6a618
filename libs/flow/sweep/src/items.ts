import { z } from 'zod';
import type { RunRecord } from '@xva/contracts';

/** A thing the collector looks at, as a listing shows it. Times are ISO text. */
export type SweepItem =
  | {
      readonly kind: 'run';
      readonly id: string;
      readonly record: RunRecord;
      readonly pinned: boolean;
      readonly published: boolean;
    }
  | { readonly kind: 'run-container'; readonly id: string; readonly runId: string; readonly lastModified: string }
  | {
      readonly kind: 'job';
      readonly id: string;
      readonly runId: string;
      readonly state: string;
      readonly since: string;
    }
  | {
      readonly kind: 'object';
      readonly id: string;
      readonly size: number;
      readonly etag: string;
      readonly lastModified: string;
    }
  | {
      readonly kind: 'request';
      readonly id: string;
      readonly size: number;
      readonly etag: string;
      readonly lastModified: string;
    }
  | {
      readonly kind: 'dead-letter';
      readonly id: string;
      readonly size: number;
      readonly etag: string;
      readonly lastModified: string;
    }
  | { readonly kind: 'foreign'; readonly id: string; readonly where: string };

export type SweepKind = SweepItem['kind'];

/** What may still need an item: looked up when it is decided and again right before it goes. */
export interface SweepFacts {
  /** State of the run that owns the item: its record's, or `none` when no record exists. */
  readonly runState: RunRecord['state'] | 'none';
  readonly runPinned: boolean;
  /** Some kept run's package names this object (objects only). */
  readonly referenced: boolean;
}

export const verdictSchema = z.strictObject({
  verdict: z.enum(['keep', 'mark']),
  rule: z.string().nullable(),
  /** Stable name of the reason, such as `referenced` or `younger-than-minimum-age`. */
  reason: z.string(),
});
export type Verdict = z.infer<typeof verdictSchema>;

export const markedItemSchema = z.strictObject({
  kind: z.enum(['run', 'run-container', 'job', 'object', 'request', 'dead-letter']),
  id: z.string(),
  rule: z.string(),
  reason: z.string(),
  etag: z.string().nullable(),
  bytes: z.int().min(0),
});
export type MarkedItem = z.infer<typeof markedItemSchema>;

/** What a mark found, stored before anything is taken. */
export const sweepReportSchema = z.strictObject({
  schemaVersion: z.literal('1.0'),
  reportId: z.string(),
  policy: z.string(),
  policyHash: z.string(),
  markedAt: z.iso.datetime(),
  looked: z.int(),
  kept: z.record(z.string(), z.int()),
  totals: z.strictObject({ items: z.int(), bytes: z.int() }),
  items: z.array(markedItemSchema),
});
export type SweepReport = z.infer<typeof sweepReportSchema>;
