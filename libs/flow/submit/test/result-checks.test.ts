import type { Manifest, ResultSummary, RunRecord } from '@xva/contracts';
import { summaryProblems } from '../src/result-checks.ts';

const bar = { measure: 'cva', currency: 'EUR', standardError: 1.5, halfSampleValue: 8 } as const;
type Bars = readonly (Omit<typeof bar, 'currency'> & { readonly currency: string })[] | undefined;

/** A summary of these netting sets (CVA by id) with a total, of a package of the same; `compared` makes it a what-if. */
function totalProblems(cva: Readonly<Record<string, number>>, total: number, compared = false): readonly string[] {
  const values = { npv: 0, cva: 0, dva: 0, fba: 0, fca: 0, fva: 0, colva: null };
  const same = { runId: 'r', eventId: 'e', packageId: 'p', requestKey: {} };
  const head = { asOf: '2026-09-30', samples: 16, seed: 1 };
  const ids = Object.keys(cva);
  const summary = {
    ...same,
    ...head,
    currency: 'EUR',
    outcome: 'complete',
    totals: { ...values, cva: total },
    nettingSets: ids.map((id) => ({ ...values, id, cva: cva[id] })),
    coverage: { nettingSets: { requested: ids.length, published: ids.length } },
    rejections: [],
    warnings: [],
    shards: [],
  } as unknown as ResultSummary;
  const manifest = {
    ...head,
    baseCurrency: 'EUR',
    parts: [{ role: 'setup' }],
    nettingSets: ids.map((id) => ({ id })),
    refusedNettingSets: [],
    ...(compared ? { provenance: { whatIf: { without: ids[0], with: ids[1] } } } : {}),
  } as unknown as Manifest;
  return summaryProblems(summary, { ...same, accepted: [], strict: false } as unknown as RunRecord, manifest);
}

describe('totals of a summary', () => {
  it('are the sums of the netting sets, of a what-if without the side that nobody holds', () => {
    expect(totalProblems({ A: 10, B: 5 }, 15)).toEqual([]);
    expect(totalProblems({ A: 10, B: 5 }, 10)).toEqual(['total cva is 10, its netting sets add up to 15']);
    expect(totalProblems({ A: 10, 'A.whatif': 5 }, 10, true)).toEqual([]);
    expect(totalProblems({ A: 10, 'A.whatif': 5 }, 15, true)).toEqual([
      'total cva is 15, its netting sets add up to 10',
    ]);
  });
});

/** What is said of error bars in a summary whose one netting set has these, of a package that asks for them or not. */
function problems(asked: boolean, errorBars: Bars, warnings: readonly string[] = []): readonly string[] {
  const key = { book: 'RATES', asOf: '2026-09-30', cut: 'EOD', scenario: 'BASE', revision: 1 };
  const values = { npv: 1, cva: 10, dva: 0, fba: 0, fca: 0, fva: 0, colva: null };
  const same = { runId: 'r', eventId: 'e', packageId: 'p', requestKey: key };
  const summary = {
    ...same,
    asOf: '2026-09-30',
    currency: 'EUR',
    outcome: 'complete',
    samples: 16,
    seed: 1,
    totals: values,
    nettingSets: [{ ...values, id: 'NS_A', ...(errorBars === undefined ? {} : { errorBars }) }],
    coverage: { nettingSets: { requested: 1, published: 1 } },
    rejections: [],
    warnings: warnings.map((subject) => ({ code: 'no-error-bars', subject, message: 'm' })),
    shards: [],
  } as unknown as ResultSummary;
  const manifest = {
    asOf: '2026-09-30',
    baseCurrency: 'EUR',
    samples: 16,
    seed: 1,
    parts: [{ role: asked ? 'error-bar-setup' : 'setup' }],
    nettingSets: [{ id: 'NS_A' }],
    refusedNettingSets: [],
  } as unknown as Manifest;
  return summaryProblems(summary, { ...same, accepted: [], strict: false } as unknown as RunRecord, manifest);
}

describe('error bars in a summary', () => {
  it('are there exactly when the package asks for them, or a warning says why not', () => {
    expect(problems(true, [bar])).toEqual([]);
    expect(problems(false, undefined)).toEqual([]);
    expect(problems(true, undefined, ['NS_A'])).toEqual([]);
    expect(problems(true, undefined, ['NS_B'])).toEqual(['netting set NS_A has no error bars and no word why']);
    expect(problems(false, [bar])).toEqual(['netting set NS_A has error bars that nobody asked for']);
  });

  it("are in the summary's currency, one per measure", () => {
    expect(problems(true, [{ ...bar, currency: 'USD' }])).toEqual(['error bar cva of NS_A is in USD']);
    expect(problems(true, [bar, bar])).toEqual(['netting set NS_A has two error bars of one measure']);
  });
});
