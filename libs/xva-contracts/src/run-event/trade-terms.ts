import { z } from 'zod';
import { currencyCode, decimalString, isoDate, tenor } from '../scalars.ts';

const indexName = z.string().regex(/^[A-Z]{3}-[A-Z0-9-]{2,30}$/, 'must be an index such as EUR-EURIBOR-6M');
const positive = decimalString.refine((text) => !text.startsWith('-') && Number(text) > 0, 'must be above zero');

/**
 * Rate swap, fixed against floating; day counts, calendars and lags come from the index's conventions. With `BRL-CDI`
 * (pré × CDI) both legs pay once: `fixedTenor` covers the whole life and the spread is 0.
 */
export const rateSwapTerms = z.strictObject({
  currency: currencyCode,
  notional: positive,
  /** Our side of the fixed leg. */
  fixedLeg: z.enum(['Pay', 'Receive']),
  fixedRate: decimalString,
  fixedTenor: tenor,
  floatIndex: indexName,
  floatSpread: decimalString,
  startDate: isoDate,
  maturityDate: isoDate,
});

/** Floating against floating in two currencies, notionals exchanged at start and end. */
export const crossCurrencySwapTerms = z.strictObject({
  payCurrency: currencyCode,
  payNotional: positive,
  payIndex: indexName,
  paySpread: decimalString,
  receiveCurrency: currencyCode,
  receiveNotional: positive,
  receiveIndex: indexName,
  receiveSpread: decimalString,
  startDate: isoDate,
  maturityDate: isoDate,
});

export const fxForwardTerms = z.strictObject({
  boughtCurrency: currencyCode,
  boughtAmount: positive,
  soldCurrency: currencyCode,
  soldAmount: positive,
  valueDate: isoDate,
});

/** Non-deliverable forward: the difference is settled in `settlementCurrency` on the fixing of `fxIndex`. */
export const fxNdfTerms = fxForwardTerms.extend({
  settlementCurrency: currencyCode,
  fixingDate: isoDate,
  /** Such as `FX-ECB-EUR-BRL`. */
  fxIndex: z.string().regex(/^FX-[A-Z0-9]+-[A-Z]{3}-[A-Z]{3}$/, 'must be an FX index such as FX-ECB-EUR-BRL'),
});

/** European option to buy `boughtAmount` against `soldAmount` (Call on the bought currency, Put on the sold one). */
export const fxOptionTerms = z.strictObject({
  boughtCurrency: currencyCode,
  boughtAmount: positive,
  soldCurrency: currencyCode,
  soldAmount: positive,
  optionType: z.enum(['Call', 'Put']),
  position: z.enum(['Long', 'Short']),
  expiryDate: isoDate,
});

/**
 * European swaption, physically settled; the underlying swap starts after `exerciseDate`. `fixedLeg` is our side of that
 * swap, whether we are long or short the option.
 */
export const swaptionTerms = rateSwapTerms.extend({
  position: z.enum(['Long', 'Short']),
  exerciseDate: isoDate,
});

/** Floating against floating in one currency, such as 6M Euribor against ESTER. */
export const basisSwapTerms = z.strictObject({
  currency: currencyCode,
  notional: positive,
  payIndex: indexName,
  paySpread: decimalString,
  receiveIndex: indexName,
  receiveSpread: decimalString,
  startDate: isoDate,
  maturityDate: isoDate,
});

/** Two exchanges of the same two currencies: what is bought on `nearDate` is sold again on `farDate`. */
export const fxSwapTerms = z.strictObject({
  nearDate: isoDate,
  /** What we buy on the near date and sell on the far one. */
  nearBoughtCurrency: currencyCode,
  nearBoughtAmount: positive,
  nearSoldCurrency: currencyCode,
  nearSoldAmount: positive,
  farDate: isoDate,
  /** Of `nearSoldCurrency`. */
  farBoughtAmount: positive,
  /** Of `nearBoughtCurrency`. */
  farSoldAmount: positive,
});

/** The trade types that the pipeline takes, each with the schema of its terms. */
export const tradeTermsSchemas = {
  BasisSwap: basisSwapTerms,
  FxSwap: fxSwapTerms,
  RateSwap: rateSwapTerms,
  CrossCurrencySwap: crossCurrencySwapTerms,
  FxForward: fxForwardTerms,
  FxNdf: fxNdfTerms,
  FxOption: fxOptionTerms,
  Swaption: swaptionTerms,
} as const;

export type TradeType = keyof typeof tradeTermsSchemas;
