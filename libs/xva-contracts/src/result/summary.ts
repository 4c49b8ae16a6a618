import { z } from 'zod';
import { engineInfoSchema, rejectionSchema } from '../job/bundle.ts';
import { requestKeySchema } from '../run-event/request-key.ts';
import {
  currencyCode,
  decimalString,
  eventId,
  idToken,
  isoDate,
  runId,
  schemaVersion,
  sha256,
  taskId,
} from '../scalars.ts';

/** Value adjustments in the summary's base currency, as the engine's doubles print them to the last digit. */
export const xvaMeasuresSchema = z.strictObject({
  npv: z.number(),
  cva: z.number(),
  dva: z.number(),
  fba: z.number(),
  fca: z.number(),
  /** FBA − FCA. */
  fva: z.number(),
  /** Collateralised netting sets only, else null. */
  colva: z.number().nullable(),
});

/** Simulated figures that can have an error bar. */
export const errorBarMeasures = ['cva', 'dva', 'fba', 'fca', 'fva', 'colva', 'baselEpe', 'baselEepe'] as const;

/**
 * The standard error of one simulated figure, an amount in `currency`: |figure − the same from half the samples| / √3. One
 * draw: read the bars of many netting sets, or of several measures, together.
 */
export const errorBarSchema = z.strictObject({
  measure: z.enum(errorBarMeasures),
  currency: currencyCode,
  standardError: z.number().min(0),
  halfSampleValue: z.number(),
});

export const nettingSetSummarySchema = xvaMeasuresSchema.extend({
  id: idToken,
  counterparty: idToken,
  collateralised: z.boolean(),
  trades: z.int().min(1),
  baselEpe: z.number(),
  baselEepe: z.number(),
  /** Highest value of the PFE profile. */
  peakPfe: z.number(),
  /** Only where the request's settings ask for them; a set that could have none is named in the warnings (`no-error-bars`). */
  errorBars: z.array(errorBarSchema).min(1).optional(),
});

/**
 * `summary.json` of a merged run. Totals are over the published netting sets (of a what-if: without its hypothetical
 * side): CVA, DVA, FBA, FCA, COLVA and NPV add;
 * EPE, EEPE and PFE never do and have no total.
 */
export const resultSummarySchema = z.strictObject({
  schemaVersion,
  runId,
  eventId,
  requestKey: requestKeySchema,
  packageId: sha256,
  asOf: isoDate,
  currency: currencyCode,
  outcome: z.enum(['complete', 'partial']),
  samples: z.int(),
  seed: z.int(),
  quantile: decimalString,
  gridDates: z.int(),
  totals: xvaMeasuresSchema,
  nettingSets: z.array(nettingSetSummarySchema).min(1),
  coverage: z.strictObject({
    nettingSets: z.strictObject({ requested: z.int(), published: z.int() }),
    trades: z.strictObject({ requested: z.int(), published: z.int() }),
    /** Base currency at spot; `requested` leaves out refused sets whose notional cannot be known. */
    grossNotional: z.strictObject({ requested: decimalString, published: decimalString }),
    absNpv: z.strictObject({ published: z.number() }),
  }),
  rejections: z.array(rejectionSchema),
  warnings: z.array(z.strictObject({ code: z.string(), subject: z.string(), message: z.string() })),
  engine: engineInfoSchema,
  shards: z.array(z.strictObject({ taskId, bundleId: z.uuid(), sha256 })),
});

export type ResultSummary = z.infer<typeof resultSummarySchema>;

/** `results/<runId>/published.json`: written once, last; the reader sees all or nothing. */
export const publishedSchema = z.strictObject({
  schemaVersion,
  runId,
  eventId,
  packageId: sha256,
  attempt: z.int().min(1),
  outcome: z.enum(['complete', 'partial']),
  bundleId: z.uuid(),
  files: z.array(z.strictObject({ name: z.string(), blob: z.string(), size: z.int(), sha256 })).min(1),
});

export type Published = z.infer<typeof publishedSchema>;
