import { z } from 'zod';
import { currencyCode, decimalString, eventId, idToken, isoDate, schemaVersion, sha256, tenor } from '../scalars.ts';
import { requestKeySchema } from './request-key.ts';

/** CSA terms of a netting set. Amounts are in `currency`. */
export const csaSchema = z.strictObject({
  currency: currencyCode,
  /** Overnight index that remunerates collateral, such as `EUR-ESTER`. */
  index: z.string().min(1).max(40),
  thresholdPay: decimalString,
  thresholdReceive: decimalString,
  minimumTransferPay: decimalString,
  minimumTransferReceive: decimalString,
  independentAmountHeld: decimalString,
  marginPeriodOfRisk: tenor,
  callFrequency: tenor,
  /** `Bilateral`, `CallOnly` (we only receive) or `PostOnly` (we only post). */
  direction: z.enum(['Bilateral', 'CallOnly', 'PostOnly']),
  spreadPay: decimalString,
  spreadReceive: decimalString,
});

/**
 * A CSA that fits no `csaSchema`, as the row says it: the input API refuses its netting set with each fault by name. It must
 * never become `null`, which means that there is no CSA.
 */
export const rawCsaSchema = z.strictObject({ raw: z.string().max(20_000) });

export const nettingSetSchema = z.strictObject({
  id: z.string().max(200),
  counterparty: z.string().max(200),
  csa: z.union([csaSchema, rawCsaSchema]).nullable(),
});

/**
 * A trade as the row says it. `terms` is not judged here: the input API checks it against the trade type's schema and a
 * bad one refuses its netting set with a message that names the trade. Text that is no JSON object travels as `{ raw }`.
 */
export const frozenTradeSchema = z.strictObject({
  tradeId: z.string().max(200),
  nettingSetId: z.string().max(200),
  tradeType: z.string().max(200),
  terms: z.record(z.string(), z.json()),
});

export const runSettingsSchema = z.strictObject({
  baseCurrency: currencyCode,
  samples: z.int().min(2).max(1_000_000),
  seed: z.int().min(1).max(2_147_483_647),
  /** PFE quantile in (0, 1), such as `0.95`. */
  quantile: decimalString,
  /** Our own default curve's name, for DVA. */
  dvaName: idToken,
  /** Dates of the exposure grid as periods from the as-of date; absent = the generator's default grid. */
  grid: z.array(tenor).min(1).max(500).optional(),
  /** With `strict`, one refused netting set refuses the whole run. */
  strict: z.boolean(),
  priority: z.int().min(-1000).max(1000),
  /** With `true` the package can be rerun on half the samples and another seed, which gives each netting set an error bar. */
  errorBars: z.boolean().optional(),
});

/** Quotes and fixings that the input API holds under a name and the request's as-of date; the request's own are added. */
export const marketSnapshotRefSchema = z.strictObject({
  name: idToken,
  /** When given, a snapshot of another content is refused. */
  sha256: sha256.optional(),
});

/** Whose default curve and recovery rate stand for a name that has none; `reason` goes into the provenance. */
export const creditProxySchema = z.strictObject({
  name: idToken,
  proxy: idToken,
  reason: z.string().min(1).max(200),
});

/**
 * One netting set as it is and with other trades, on the simulation that the whole request would have. The package holds the
 * two: `<id>` and `<id>.whatif`.
 */
export const whatIfSchema = z.strictObject({
  nettingSetId: z.string().max(200),
  addTrades: z
    .array(
      z.strictObject({
        tradeId: z.string().max(200),
        tradeType: z.string().max(200),
        terms: z.record(z.string(), z.json()),
      }),
    )
    .max(1000),
  removeTradeIds: z.array(z.string().max(200)).max(10_000),
});

/** All that the first detector of an event read, stored once as `requests/<eventId>.json`; re-reading never happens. */
export const frozenRequestSchema = z.strictObject({
  schemaVersion,
  eventId,
  requestKey: requestKeySchema,
  settings: runSettingsSchema,
  nettingSets: z.array(nettingSetSchema).max(100_000),
  trades: z.array(frozenTradeSchema).max(1_000_000),
  /** Market quotes under the engine's keys, such as `IR_SWAP/RATE/EUR/2D/1D/5Y`. */
  quotes: z.array(z.strictObject({ key: z.string().min(1).max(200), value: z.string().max(60) })).max(1_000_000),
  fixings: z
    .array(z.strictObject({ index: z.string().min(1).max(60), date: isoDate, value: z.string().max(60) }))
    .max(1_000_000),
  marketSnapshot: marketSnapshotRefSchema.optional(),
  creditProxies: z.array(creditProxySchema).min(1).max(100_000).optional(),
  whatIf: whatIfSchema.optional(),
});

export type Csa = z.infer<typeof csaSchema>;
export type RawCsa = z.infer<typeof rawCsaSchema>;
export type WhatIf = z.infer<typeof whatIfSchema>;
export type NettingSet = z.infer<typeof nettingSetSchema>;
export type FrozenTrade = z.infer<typeof frozenTradeSchema>;
export type RunSettings = z.infer<typeof runSettingsSchema>;
export type FrozenRequest = z.infer<typeof frozenRequestSchema>;
