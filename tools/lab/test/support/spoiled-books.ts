import { tradeOf, withSettings, type DraftBook } from './books.ts';

/** A defect of netting set NS_ALDER in the small book, and what the message about it must say. */
export interface SpoiledBook {
  readonly what: string;
  readonly book: string;
  readonly code: string;
  readonly tradeId: string | null;
  /** What the message must name. */
  readonly names: readonly string[];
  /** The defect is in quotes or fixings. */
  readonly withMarket?: boolean;
  readonly spoil: (draft: DraftBook) => void;
}

export const spoiledBooks: readonly SpoiledBook[] = [
  {
    what: 'an unknown trade type',
    book: 'BAD-TYPE',
    code: 'unknown-trade-type',
    tradeId: 'FXO_0000',
    names: ['FXO_0000', 'FxBarrier'],
    spoil: (draft) => void (tradeOf(draft, 'FXO_0000').tradeType = 'FxBarrier'),
  },
  {
    what: 'a trade whose terms are no JSON',
    book: 'BAD-TERMS',
    code: 'bad-terms',
    tradeId: 'FXO_0000',
    names: ['FXO_0000', 'no JSON object'],
    spoil: (draft) => void (tradeOf(draft, 'FXO_0000').terms = '{"boughtCurrency": "USD", '),
  },
  {
    what: 'a duplicate trade id',
    book: 'BAD-TWICE',
    code: 'duplicate-trade-id',
    tradeId: 'IRS_0000',
    names: ['IRS_0000'],
    spoil: (draft) => void draft.trades.push({ ...tradeOf(draft, 'IRS_0000') }),
  },
  {
    what: 'a netting set without definition',
    book: 'BAD-SET',
    code: 'unknown-netting-set',
    tradeId: 'IRS_0000',
    names: ['IRS_0000', 'NS_ALDER'],
    spoil: (draft) => void (draft.nettingSets = draft.nettingSets.filter((set) => set.id !== 'NS_ALDER')),
  },
  {
    what: 'a CSA that is no JSON',
    book: 'BAD-CSA',
    code: 'bad-csa',
    tradeId: null,
    names: ['NS_ALDER', 'CSA'],
    spoil: (draft) => {
      for (const set of draft.nettingSets) if (set.id === 'NS_ALDER') set.csa = 'threshold: none';
    },
  },
  {
    what: 'a missing quote',
    book: 'BAD-QUOTE',
    code: 'missing-default-curve',
    tradeId: null,
    names: ['HAZARD_RATE/RATE/ALDER_ENERGY/SR/EUR/5Y'],
    withMarket: true,
    spoil: (draft) => {
      withSettings(draft, { scenario: 'HOLE' });
      draft.quotes = draft.quotes.filter((quote) => quote.key !== 'HAZARD_RATE/RATE/ALDER_ENERGY/SR/EUR/5Y');
      for (const quote of draft.quotes) quote.scenario = 'HOLE';
      draft.fixings = [];
    },
  },
  {
    what: 'a missing fixing',
    book: 'BAD-FIXING',
    code: 'missing-fixing',
    tradeId: null,
    names: ['EUR-EURIBOR-6M', '2026-05-13'],
    withMarket: true,
    spoil: (draft) => {
      draft.fixings = draft.fixings.filter(
        (fixing) => fixing.date !== '2026-05-13' && fixing.index === 'EUR-EURIBOR-6M',
      );
      draft.quotes = [];
    },
  },
];

/** The small book as if NS_ALDER had never been in it. */
export function withoutAlder(draft: DraftBook): void {
  draft.nettingSets = draft.nettingSets.filter((set) => set.id !== 'NS_ALDER');
  draft.trades = draft.trades.filter((trade) => trade.nettingSetId !== 'NS_ALDER');
}
