import { z } from 'zod';
import { idToken, isoDate } from '../scalars.ts';

/**
 * What a run is asked for: the business key plus its revision, unique in SQL. The same revision is the same run;
 * the next revision is a new run, on purpose.
 */
export const requestKeySchema = z.strictObject({
  book: idToken,
  asOf: isoDate,
  /** The cut of the day, such as `EOD` or `NY-1200`. */
  cut: idToken,
  /** `BASE`, or the name of the scenario that the quotes hold. */
  scenario: idToken,
  revision: z.int().min(1).max(1_000_000),
});

export type RequestKey = z.infer<typeof requestKeySchema>;

/** The key as one readable text, for logs and subjects: `RATES/2026-09-30/EOD/BASE/1`. */
export function formatRequestKey(key: RequestKey): string {
  return `${key.book}/${key.asOf}/${key.cut}/${key.scenario}/${key.revision}`;
}
