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
      trace: null,
    });
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
