import { z } from 'zod';
import { canonicalJson, sha256Hex } from '../canonical-json.ts';
import { requestKeySchema } from '../run-event/request-key.ts';
import {
  currencyCode,
  decimalString,
  eventId,
  idToken,
  isoDate,
  relativePath,
  schemaVersion,
  sha256,
} from '../scalars.ts';

export const partRoles = [
  'setup',
  'market',
  'fixings',
  'conventions',
  'curve-config',
  'todays-market',
  'pricing-engine',
  'simulation',
  'netting',
  'portfolio',
  // With `errorBars`: the setup and simulation of the rerun on half the samples and another seed.
  'error-bar-setup',
  'error-bar-simulation',
] as const;

/** One file of the engine's input, stored once by its content as `objects/<sha256>`. */
export const partSchema = z.strictObject({
  path: relativePath,
  size: z.int().min(0),
  sha256,
  role: z.enum(partRoles),
});

/** Why something of the request was left out: the netting set that goes, and the thing that is wrong, by name. */
export const refusalSchema = z.strictObject({
  nettingSetId: z.string(),
  tradeId: z.string().nullable(),
  /** The defect class, such as `unknown-trade-type`. */
  code: z.string().regex(/^[a-z0-9-]{3,60}$/),
  /** The thing at fault: a trade id, quote key, index, field. */
  subject: z.string(),
  message: z.string(),
});

export const packagedTradeSchema = z.strictObject({
  tradeId: idToken,
  tradeType: z.string(),
  /** Cost of one pricing on one path and date, in nanoseconds of one core (cost model of the engine's docs). */
  costNanos: z.int().min(0),
});

export const packagedNettingSetSchema = z.strictObject({
  id: idToken,
  counterparty: idToken,
  collateralised: z.boolean(),
  trades: z.array(packagedTradeSchema).min(1),
  /** Sum of absolute notionals in base currency at spot. */
  grossNotional: decimalString,
});

/** Where the numbers come from that no part tells: the market snapshot, who stands for whom, what a what-if compares. */
export const provenanceSchema = z.strictObject({
  /** The snapshot that was read, if any; quotes and fixings of the package that are the request's own are not of it. */
  marketSnapshot: z
    .strictObject({ name: idToken, asOf: isoDate, sha256, quotes: z.int().min(0), fixings: z.int().min(0) })
    .nullable(),
  /** Every name with a default curve, sorted. `curveOf` is another name where a proxy stands in. */
  credit: z.array(
    z.strictObject({
      name: idToken,
      curveOf: idToken,
      kind: z.enum(['hazard-rates', 'cds-spreads']),
      reason: z.string().nullable(),
    }),
  ),
  whatIf: z
    .strictObject({
      without: idToken,
      with: idToken,
      addedTradeIds: z.array(idToken),
      removedTradeIds: z.array(idToken),
    })
    .nullable(),
});

/**
 * What an input package consists of. Only text, integers and booleans, so that the canonical bytes are the same in
 * every language; `packageId` is the SHA-256 of those bytes and is therefore not in it.
 */
export const manifestSchema = z.strictObject({
  schemaVersion,
  eventId,
  requestKey: requestKeySchema,
  asOf: isoDate,
  baseCurrency: currencyCode,
  samples: z.int(),
  seed: z.int(),
  quantile: decimalString,
  gridDates: z.int().min(1),
  strict: z.boolean(),
  priority: z.int(),
  generator: z.strictObject({ name: z.string(), version: z.string() }),
  engine: z.strictObject({ name: z.string(), version: z.string() }),
  /** Sorted by path. */
  parts: z.array(partSchema).min(1).max(200),
  /** Hash of `[[path, sha256], …]` of every part but the portfolio: shards with different values never merge. */
  sharedInputHash: sha256,
  /** Sorted by id. */
  nettingSets: z.array(packagedNettingSetSchema).min(1),
  /** Netting sets of the request that are not in the package. Sorted by id. */
  refusedNettingSets: z.array(
    z.strictObject({ id: z.string(), tradeCount: z.int().min(0), grossNotional: decimalString.nullable() }),
  ),
  refusals: z.array(refusalSchema),
  warnings: z.array(z.strictObject({ code: z.string(), subject: z.string(), message: z.string() })),
  provenance: provenanceSchema.optional(),
});

export type Part = z.infer<typeof partSchema>;
export type PartRole = (typeof partRoles)[number];
export type Refusal = z.infer<typeof refusalSchema>;
export type PackagedTrade = z.infer<typeof packagedTradeSchema>;
export type PackagedNettingSet = z.infer<typeof packagedNettingSetSchema>;
export type Provenance = z.infer<typeof provenanceSchema>;
export type Manifest = z.infer<typeof manifestSchema>;

/** The manifest's bytes as they are stored (`objects/<packageId>`) and hashed. */
export function manifestBytes(manifest: Manifest): string {
  return canonicalJson(manifest);
}

/** SHA-256 of the canonical manifest. */
export function packageIdOf(manifest: Manifest): string {
  return sha256Hex(manifestBytes(manifest));
}

/** The hash that all shards of a run must share. */
export function sharedInputHashOf(parts: readonly Part[]): string {
  const shared = parts.filter((part) => part.role !== 'portfolio').map((part) => [part.path, part.sha256] as const);
  return sha256Hex(canonicalJson([...shared].sort(([a], [b]) => (a < b ? -1 : 1))));
}
