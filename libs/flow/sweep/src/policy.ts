import { z } from 'zod';
import { letterStates, retentionClasses } from '@xva/contracts';
import { policyFaults } from './policy-faults.ts';

const seconds = z
  .int()
  .min(0)
  .max(10 * 365 * 86_400);
const label = z.string().regex(/^[a-z0-9-]{1,40}$/, 'must be 1 to 40 of a-z, 0-9 and -');
const labels = z.record(z.string().regex(/^[A-Za-z_][A-Za-z0-9_]{0,127}$/, 'must be a metadata name'), z.string());
/** False: the class goes without a copy in quarantine. */
const quarantine = z.boolean().default(true);
const retention = { retainSeconds: seconds };

/** Which jobs a rule is about; without it, those of this pipeline. */
const where = z
  .strictObject({
    pools: z.array(z.string().min(1)).min(1).optional(),
    /** Terminate reasons, such as `AllTasksComplete`. */
    reasons: z.array(z.string().min(1)).min(1).optional(),
    /** Jobs of another owner, by how their ids begin. */
    idPrefix: z.string().min(3, 'must be at least 3 characters: a shorter one matches what nobody meant').optional(),
    metadata: labels.optional(),
  })
  .prefault({});

/** Blobs of a container that is not the pipeline's own. All that is given must hold. */
export const blobRuleSchema = z.strictObject({
  name: label,
  account: z.enum(['work', 'ledger']),
  container: z.string().regex(/^[a-z0-9](-?[a-z0-9])+$/, 'must be the name of one container'),
  prefix: z.string().max(1024).default(''),
  /** Since the blob was last written. */
  ...retention,
  /** Since it was last read; needs the account's access tracking, without it nothing is taken. */
  unusedSeconds: seconds.optional(),
  metadata: labels.optional(),
  /** Blob index tags. */
  tags: z.record(z.string(), z.string()).optional(),
  class: z.enum(retentionClasses).optional(),
  /** States of the run that the blob's `xva_run_id` names; `none` = no such run. */
  runStates: z
    .array(z.enum(['done', 'failed', 'cancelled', 'swept', 'none']))
    .min(1)
    .optional(),
  /** Keep the newest so many per `xva_book`; without that label a blob is kept. */
  keepLastPerBook: z.int().min(1).max(10_000).optional(),
  /** Says that all of the container is meant, since nothing else here narrows it. */
  wholeContainer: z.boolean().default(false),
  quarantine,
});
export type BlobRule = z.infer<typeof blobRuleSchema>;

const graphRules = {
  /** A finished run's container and jobs, so long after its end; its published result stays. */
  runs: z
    .strictObject({
      ...retention,
      states: z
        .array(z.enum(['done', 'failed', 'cancelled']))
        .min(1)
        .optional(),
      books: z.array(z.string().min(1)).min(1).optional(),
      /** Keep the newest so many finished runs of each book. */
      keepLastPerBook: z.int().min(1).max(10_000).optional(),
      quarantine,
    })
    .optional(),
  /** Run containers and jobs of this pipeline that no run record knows. */
  orphanedRuns: z.strictObject({ ...retention, quarantine }).optional(),
  /** Jobs left active though their run is over. */
  leakedJobs: z
    .strictObject({ ...retention, action: z.enum(['delete', 'terminate', 'report']).default('delete') })
    .optional(),
  /** Shared objects that no package of a kept run names. */
  objects: z.strictObject({ ...retention, quarantine }).optional(),
  /** Frozen requests without a kept run; keep them longer than the hub keeps events. */
  requests: z.strictObject({ ...retention, quarantine }).optional(),
  /** `retainSeconds` counts for letters that wait, `closedRetainSeconds` for those replayed or discarded. */
  deadLetters: z
    .strictObject({
      ...retention,
      closedRetainSeconds: seconds.optional(),
      states: z.array(z.enum(letterStates)).min(1).optional(),
      quarantine,
    })
    .optional(),
  /** Published results of runs that are swept. */
  results: z
    .strictObject({ ...retention, keepLastPerBook: z.int().min(1).max(10_000).optional(), quarantine })
    .optional(),
  /** A finished run's logs: sooner than the run, or moved out of its container when it goes before them. */
  logs: z.strictObject({ ...retention, quarantine }).optional(),
} as const;

const batchRules = {
  /** Completed jobs, when what they made is safe in Storage; their run stays. */
  completedJobs: z.strictObject({ ...retention, where }).optional(),
  /** Jobs active for so long with nothing to run. */
  idleJobs: z
    .strictObject({ ...retention, where, action: z.enum(['terminate', 'delete', 'report']).default('terminate') })
    .optional(),
  /** Tasks that wait for ever, since a task they depend on failed so long ago. */
  blockedTasks: z
    .strictObject({ ...retention, where, action: z.enum(['terminate', 'delete', 'report']).default('report') })
    .optional(),
  /** Tasks that run without a word about their progress for so long. */
  silentTasks: z
    .strictObject({
      ...retention,
      where,
      action: z.enum(['terminate', 'requeue', 'delete', 'report']).default('report'),
    })
    .optional(),
  /** Tasks that run, as Batch says, on a node that is gone or unusable for so long. */
  lostNodeTasks: z
    .strictObject({
      ...retention,
      where,
      action: z.enum(['terminate', 'requeue', 'delete', 'report']).default('report'),
    })
    .optional(),
  /** Job schedules that are over, or disabled for so long. */
  schedules: z
    .strictObject({
      ...retention,
      idPrefix: z.string().min(3).default('xva-'),
      action: z.enum(['delete', 'terminate', 'report']).default('report'),
    })
    .optional(),
  /** Pools whose nodes had nothing to do for so long; only those named. */
  idlePools: z
    .strictObject({
      ...retention,
      pools: z.array(z.string().regex(/^[A-Za-z0-9_-]{1,64}$/, 'must be the id of one pool')).min(1),
      action: z.enum(['resize', 'report']).default('report'),
    })
    .optional(),
  /** Preparation tasks that still hold a node though their job is over. */
  preparationTasks: z
    .strictObject({ ...retention, where, action: z.enum(['delete', 'report']).default('report') })
    .optional(),
} as const;

/**
 * What the collector may take. Every default is safe: a class without a rule is never touched, and nothing younger than
 * `minimumAgeSeconds` goes whatever a rule says.
 */
export const sweepPolicySchema = z
  .strictObject({
    schemaVersion: z.literal('1.0'),
    name: label,
    /**
     * Whose things these are, when several environments share a Batch or Storage account: only what carries this label is
     * taken as an orphan. Without it, only what carries none.
     */
    environment: label.optional(),
    minimumAgeSeconds: seconds.default(86_400),
    /** A sweep takes only what a report not older than this marked. */
    reportMaxAgeSeconds: seconds.default(3_600),
    /** Between the record's `sweeping` and the end of the run's container: who read the record before may still write. */
    settleSeconds: z.number().min(0).max(600).default(5),
    /** Above any of these the sweep stops and asks for the report's approval. */
    ceiling: z
      .strictObject({
        items: z.int().min(1).default(1_000),
        bytes: z
          .int()
          .min(1)
          .default(100 * 1024 ** 3),
        /** Of the items looked at. */
        percent: z.number().min(0).max(100).default(50),
      })
      .prefault({}),
    /** `auto`: the account's own soft delete where it keeps blobs at least so long, else a copy. */
    quarantine: z
      .strictObject({
        mode: z.enum(['auto', 'copy', 'off']).default('auto'),
        keepSeconds: seconds.min(1).default(7 * 86_400),
      })
      .prefault({}),
    /** For the report's estimate of what is saved. */
    prices: z
      .strictObject({
        currency: z.string().regex(/^[A-Z]{3}$/, 'must be a currency code such as EUR'),
        gibMonth: z.number().min(0),
        /** An idle node of a pool, per hour. */
        nodeHour: z.number().min(0).default(0),
      })
      .optional(),
    rules: z.strictObject({ ...graphRules, ...batchRules }).prefault({}),
    blobs: z.array(blobRuleSchema).max(100).default([]),
  })
  .superRefine((policy, context) => {
    for (const { path, message } of policyFaults(policy))
      context.addIssue({ code: 'custom', path: [...path], message });
  });

export type SweepPolicy = z.infer<typeof sweepPolicySchema>;
export type SweepRule = keyof SweepPolicy['rules'];
