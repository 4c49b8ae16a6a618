import type { ResultSummary } from '@xva/contracts';
import { resultText } from '../src/verbs/result-text.ts';

const numbers = { npv: -1234567.891234567, cva: 1e-7, dva: 0, fba: 0, fca: 0, fva: 0, colva: null };
const bar = { measure: 'cva', currency: 'EUR', standardError: 12.000000000000002, halfSampleValue: 3 } as const;

describe('a result for people', () => {
  it('has every digit with its currency, error bars, and what was refused', () => {
    const text = resultText({
      currency: 'EUR',
      outcome: 'partial',
      totals: numbers,
      nettingSets: [{ id: 'NS_A', counterparty: 'CPTY', ...numbers, errorBars: [bar] }],
      coverage: { nettingSets: { published: 1, requested: 2 } },
      rejections: [
        { nettingSetId: 'NS_B', tradeId: 'T1', code: 'bad-terms', message: 'fixedRate 2.31' },
        { nettingSetId: 'NS_C', tradeId: null, code: 'bad-csa', message: 'no CSA' },
      ],
    } as unknown as ResultSummary);
    expect(text).toMatch(/NETTING SET +COUNTERPARTY +NPV EUR +CVA EUR/);
    expect(text).toMatch(/NS_A +CPTY +-1234567\.891234567 +1e-7/);
    expect(text).toMatch(/NS_A +CVA +12\.000000000000002 EUR/);
    expect(text).toContain('partial: 1 of 2 netting sets');
    expect(text).toContain('refused: NS_B/T1 bad-terms: fixedRate 2.31');
    expect(text).toContain('refused: NS_C bad-csa: no CSA');
  });
});
