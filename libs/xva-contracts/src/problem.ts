import { z } from 'zod';

/** RFC 9457 problem details, with the list of what is wrong and the request's id. */
export const problemSchema = z.looseObject({
  type: z.string(),
  title: z.string(),
  status: z.int(),
  detail: z.string().optional(),
  instance: z.string().optional(),
  /** Stable name of the problem, such as `run-conflict`. */
  code: z.string(),
  requestId: z.string().optional(),
  errors: z.array(z.strictObject({ subject: z.string(), code: z.string(), message: z.string() })).optional(),
});

export type Problem = z.infer<typeof problemSchema>;

/** What the input API answers instead of a package: every defect at once. */
export const packageProblemSchema = problemSchema.extend({
  errors: z.array(z.strictObject({ subject: z.string(), code: z.string(), message: z.string() })),
});
