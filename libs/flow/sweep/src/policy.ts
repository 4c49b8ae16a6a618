import { z } from 'zod';

const seconds = z
  .int()
  .min(0)
  .max(10 * 365 * 86_400);

/**
 * What the collector may take. Every default is safe: a class without a rule is never touched, and nothing younger than
 * `minimumAgeSeconds` goes whatever a rule says.
 */
export const sweepPolicySchema = z.strictObject({
  schemaVersion: z.literal('1.0'),
  name: z.string().regex(/^[a-z0-9-]{1,40}$/),
  minimumAgeSeconds: seconds.default(86_400),
  /** A sweep takes only what a report not older than this marked. */
  reportMaxAgeSeconds: seconds.default(3_600),
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
  rules: z
    .strictObject({
      /** A finished run's container and jobs, so long after its end; its published result stays. */
      runs: z.strictObject({ retainSeconds: seconds }).optional(),
      /** Run containers and jobs of this pipeline that no run record knows. */
      orphanedRuns: z.strictObject({ retainSeconds: seconds }).optional(),
      /** Jobs left active though their run is over. */
      leakedJobs: z.strictObject({ retainSeconds: seconds }).optional(),
      /** Shared objects that no package of a kept run names. */
      objects: z.strictObject({ retainSeconds: seconds }).optional(),
      /** Frozen requests without a kept run; keep them longer than the hub keeps events. */
      requests: z.strictObject({ retainSeconds: seconds }).optional(),
      deadLetters: z.strictObject({ retainSeconds: seconds }).optional(),
    })
    .prefault({})
    .refine(
      ({ requests, deadLetters }) =>
        requests === undefined || (deadLetters !== undefined && requests.retainSeconds >= deadLetters.retainSeconds),
      'requests must be kept at least as long as dead letters: a letter without its frozen request cannot be replayed',
    ),
});

export type SweepPolicy = z.infer<typeof sweepPolicySchema>;
export type SweepRule = keyof SweepPolicy['rules'];
