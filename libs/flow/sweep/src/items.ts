import { z } from 'zod';
import { ledgerContainers, workContainers, type LetterState, type RunRecord } from '@xva/contracts';
import type { BlobRule } from './policy.ts';

export interface BlobPlace {
  readonly account: 'work' | 'ledger';
  readonly container: string;
}

/** What every blob tells about itself. Times are ISO text. */
export interface BlobOwnFacts {
  readonly id: string;
  readonly size: number;
  readonly etag: string;
  readonly lastModified: string;
  /** `legal-hold`, `immutable` or `leased`. */
  readonly hold?: string | undefined;
  readonly metadata: Readonly<Record<string, string>>;
}

export interface JobItem {
  readonly kind: 'job';
  readonly id: string;
  /** Undefined for a job that is not this pipeline's. */
  readonly runId: string | undefined;
  readonly state: string;
  readonly since: string;
  readonly poolId: string;
  readonly metadata: Readonly<Record<string, string>>;
  readonly terminateReason: string | undefined;
  /** Looked up only when it decides: nothing of the job is active or running. */
  readonly nothingToRun?: boolean;
  /** Looked up only when it decides: results and logs are safe in Storage. */
  readonly safe?: boolean;
}

export interface TaskItem {
  readonly kind: 'task';
  /** `<jobId>/<taskId>` */
  readonly id: string;
  readonly job: JobItem;
  readonly finding: 'blocked' | 'silent' | 'lost-node';
  /** Since when it is in that condition. */
  readonly since: string;
  readonly detail: string;
}

/** A thing the collector looks at, as a listing shows it. */
export type SweepItem =
  | {
      readonly kind: 'run';
      readonly id: string;
      readonly record: RunRecord;
      readonly published: boolean;
      readonly newest: boolean;
    }
  | {
      readonly kind: 'run-container';
      readonly id: string;
      readonly runId: string;
      readonly lastModified: string;
      readonly metadata: Readonly<Record<string, string>>;
    }
  | JobItem
  | TaskItem
  | (BlobOwnFacts & { readonly kind: 'object' })
  | (BlobOwnFacts & { readonly kind: 'request' })
  | (BlobOwnFacts & { readonly kind: 'quarantined' })
  | (BlobOwnFacts & { readonly kind: 'dead-letter'; readonly state: LetterState })
  | (BlobOwnFacts & {
      readonly kind: 'log' | 'result';
      readonly place: BlobPlace;
      readonly runId: string;
      readonly newest: boolean;
      readonly over: string | null;
    })
  | (BlobOwnFacts & {
      readonly kind: 'blob';
      readonly place: BlobPlace;
      readonly rule: BlobRule;
      readonly tags: Readonly<Record<string, string>>;
      readonly lastAccessed: string | undefined;
      readonly newest: boolean;
    })
  | { readonly kind: 'schedule'; readonly id: string; readonly state: string; readonly since: string }
  | {
      readonly kind: 'pool';
      readonly id: string;
      readonly nodes: number;
      readonly steady: boolean;
      /** Undefined = something is on it, or waits for it. */
      readonly idleSince: string | undefined;
    }
  | { readonly kind: 'preparation'; readonly id: string; readonly job: JobItem; readonly since: string }
  | { readonly kind: 'foreign'; readonly id: string; readonly where: string };

export type SweepKind = SweepItem['kind'];

/** What may still need an item: looked up when it is decided and again right before it goes. */
export interface SweepFacts {
  /** State of the run that owns the item: its record's, or `none` when no record exists. */
  readonly runState: RunRecord['state'] | 'none';
  readonly pinned: boolean;
  /** Some kept run's package names this object (objects only). */
  readonly referenced: boolean;
}

export const sweepActions = ['delete', 'terminate', 'requeue', 'resize', 'report'] as const;
export type SweepAction = (typeof sweepActions)[number];

export interface Verdict {
  readonly verdict: 'keep' | 'mark';
  readonly rule: string | null;
  /** Stable name of the reason, such as `referenced` or `younger-than-minimum-age`. */
  readonly reason: string;
  readonly action: SweepAction;
}

export const markedKinds = [
  'run',
  'task',
  'preparation',
  'job',
  'schedule',
  'pool',
  'run-container',
  'log',
  'result',
  'request',
  'dead-letter',
  'blob',
  'object',
  'quarantined',
] as const;

export const markedItemSchema = z.strictObject({
  kind: z.enum(markedKinds),
  id: z.string(),
  rule: z.string(),
  reason: z.string(),
  action: z.enum(sweepActions),
  etag: z.string().nullable(),
  bytes: z.int().min(0),
  tasks: z.int().min(0),
  /** Where a blob lies, when its kind does not say. */
  place: z.strictObject({ account: z.enum(['work', 'ledger']), container: z.string() }).optional(),
  /** A blob's run, as its label or its place says. */
  runId: z.string().optional(),
});
export type MarkedItem = z.infer<typeof markedItemSchema>;

const total = z.strictObject({ items: z.int(), bytes: z.int(), tasks: z.int() });

/** What a mark found, stored before anything is taken; its items are in pages beside it. */
export const sweepReportSchema = z.strictObject({
  schemaVersion: z.literal('1.1'),
  reportId: z.string().regex(/^[a-z0-9-]{1,80}$/),
  policy: z.string(),
  policyHash: z.string(),
  environment: z.string().nullable(),
  markedAt: z.iso.datetime(),
  looked: z.int(),
  kept: z.record(z.string(), z.int()),
  totals: total,
  classes: z.record(z.string(), total),
  /** What is spared each month, as far as the policy gives prices. */
  saved: z.strictObject({ currency: z.string(), perMonth: z.number() }).nullable(),
  /** What could not be looked at, and why: nothing of it is marked. */
  notes: z.array(z.string()),
  pages: z.int(),
});
export type SweepReport = z.infer<typeof sweepReportSchema>;

/** The place of a marked blob. */
export function placeOf(item: Pick<MarkedItem, 'kind' | 'place'>): BlobPlace | undefined {
  if (item.place !== undefined) return item.place;
  switch (item.kind) {
    case 'object':
      return { account: 'work', container: workContainers.objects };
    case 'request':
      return { account: 'work', container: workContainers.requests };
    case 'dead-letter':
      return { account: 'ledger', container: ledgerContainers.deadLetters };
    case 'quarantined':
      return { account: 'ledger', container: ledgerContainers.quarantine };
    default:
      return undefined;
  }
}

/** Where logs go that must outlive their run's container. */
export const keptLogs: BlobPlace = { account: 'ledger', container: 'logs' };
