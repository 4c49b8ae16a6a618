import { sourceRowOf } from '@xva/testkit';
import { readRequest } from '../src/index.ts';

describe('a request row', () => {
  it('becomes key and settings', () => {
    expect(readRequest(sourceRowOf({ revision: '3', priority: '-5', strict: 1, grid: '1W, 2W ,10Y' }))).toEqual({
      outcome: 'valid',
      key: { book: 'RATES', asOf: '2026-09-30', cut: 'EOD', scenario: 'BASE', revision: 3 },
      settings: {
        baseCurrency: 'EUR',
        samples: 50,
        seed: 42,
        quantile: '0.95',
        dvaName: 'LAB_BANK',
        grid: ['1W', '2W', '10Y'],
        strict: true,
        priority: -5,
      },
      extras: {},
      trace: null,
    });
  });

  it('says what few requests say: error bars, a market snapshot, credit proxies, a what-if', () => {
    const whatIf = { nettingSetId: 'NS_A', addTrades: [], removeTradeIds: ['T1'] };
    const proxies = [{ name: 'BETA', proxy: 'ALDER', reason: 'same sector' }];
    const reading = readRequest(
      sourceRowOf({
        errorBars: 1,
        marketSnapshot: 'EOD_LDN',
        creditProxies: JSON.stringify(proxies),
        whatIf: JSON.stringify(whatIf),
      }),
    );
    expect(reading).toMatchObject({
      outcome: 'valid',
      settings: { errorBars: true },
      extras: { marketSnapshot: { name: 'EOD_LDN' }, creditProxies: proxies, whatIf },
    });
    const pinned = { name: 'EOD', sha256: 'a'.repeat(64) };
    expect(readRequest(sourceRowOf({ marketSnapshot: JSON.stringify(pinned) }))).toMatchObject({
      extras: { marketSnapshot: pinned },
    });
    const empty = readRequest(sourceRowOf({ errorBars: '', marketSnapshot: ' ', creditProxies: '', whatIf: null }));
    expect(empty).toMatchObject({ outcome: 'valid', extras: {} });
    expect(empty.outcome === 'valid' && 'errorBars' in empty.settings).toBe(false);
  });

  it.each([
    ['errorBars', 'perhaps', 'ErrorBars (errorBars)'],
    ['marketSnapshot', '../EOD', 'MarketSnapshot (marketSnapshot.name)'],
    ['marketSnapshot', '{"name":"EOD","sha256":"1"}', 'MarketSnapshot (marketSnapshot.sha256)'],
    ['creditProxies', 'BETA=ALDER', 'CreditProxies (creditProxies)'],
    ['creditProxies', '[]', 'CreditProxies (creditProxies)'],
    ['whatIf', '{"nettingSetId":"NS_A"}', 'WhatIf (whatIf.addTrades)'],
    ['whatIf', '{"__proto__":', 'WhatIf (whatIf)'],
  ])('refuses %s %s by the column', (field, value, named) => {
    const reading = readRequest(sourceRowOf({ [field]: value }));
    expect(reading.outcome === 'invalid' && reading.reason).toContain(named);
  });

  it('without grid leaves the grid to the generator', () => {
    for (const grid of [null, '']) {
      const reading = readRequest(sourceRowOf({ grid }));
      expect(reading.outcome === 'valid' && 'grid' in reading.settings).toBe(false);
      expect(reading.outcome).toBe('valid');
    }
  });

  it('names every fault by its column, all at once', () => {
    const reading = readRequest(
      sourceRowOf({
        book: 'RATES/EUR',
        revision: 0,
        baseCurrency: 'euro',
        samples: 0,
        seed: null,
        quantile: '1',
        grid: '1W,soon',
        strict: 'perhaps',
      }),
    );
    const { reason } = reading as { reason: string };
    for (const column of ['Book', 'Revision', 'BaseCurrency', 'Samples', 'Seed', 'Quantile', 'Grid', 'Strict']) {
      expect(reason).toContain(`${column} (`);
    }
    expect(reason).toContain('Grid (grid[1]): must be a period');
    expect(reason).toContain('Quantile (quantile): 1 is not between 0 and 1');
  });

  it.each(['0', '0.0', '1.5', '-0.2', 'most', '1e-2'])('refuses the quantile %s', (quantile) => {
    expect(readRequest(sourceRowOf({ quantile })).outcome).toBe('invalid');
  });

  it.each(['9007199254740993', '2.5', '', 'many'])(
    'refuses the number of samples "%s" instead of rounding it',
    (samples) => {
      expect(readRequest(sourceRowOf({ samples })).outcome).toBe('invalid');
    },
  );
});
