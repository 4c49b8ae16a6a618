import fc from 'fast-check';
import { mediansByName, pairRatios, quantile, spreadOf } from './statistics.ts';

const sample = fc.array(fc.double({ min: -1e9, max: 1e9, noNaN: true }), { minLength: 1, maxLength: 40 });
const probability = fc.double({ min: 0, max: 1, noNaN: true });

describe('quantile', () => {
  it('interpolates as type 7 does', () => {
    // Reference values of R: quantile(c(15, 20, 35, 40, 50), c(.05, .25, .4, .5, .95), type = 7)
    const values = [50, 15, 40, 20, 35];
    expect([0.05, 0.25, 0.4, 0.5, 0.95].map((p) => quantile(values, p))).toEqual([16, 20, 29, 35, 48]);
    expect(quantile([1, 2], 0.5)).toBe(1.5);
    expect(quantile([7], 0.95)).toBe(7);
  });

  it('stays within the sample, grows with p, and does not depend on the order', () => {
    fc.assert(
      fc.property(sample, probability, probability, (values, one, other) => {
        const [low, high] = [quantile(values, Math.min(one, other)), quantile(values, Math.max(one, other))];
        const slack = 1e-6;
        expect(low).toBeLessThanOrEqual(high + slack);
        expect(low).toBeGreaterThanOrEqual(Math.min(...values) - slack);
        expect(high).toBeLessThanOrEqual(Math.max(...values) + slack);
        expect(quantile([...values].reverse(), one)).toBe(quantile(values, one));
      }),
    );
  });

  it('leaves the sample as it was', () => {
    const values = [3, 1, 2];
    quantile(values, 0.5);
    expect(values).toEqual([3, 1, 2]);
  });

  it('refuses what has no quantile', () => {
    expect(() => quantile([], 0.5)).toThrow(RangeError);
    expect(() => quantile([1, Number.NaN], 0.5)).toThrow(RangeError);
    expect(() => quantile([1], 1.5)).toThrow(RangeError);
    expect(() => quantile([1], Number.NaN)).toThrow(RangeError);
  });
});

describe('spreadOf', () => {
  it('gives count, extremes, quartiles and the 95th percentile', () => {
    const values = Array.from({ length: 21 }, (_, index) => index);
    expect(spreadOf(values)).toEqual({ count: 21, min: 0, p25: 5, median: 10, p75: 15, p95: 19, max: 20 });
  });
});

describe('pairRatios', () => {
  it('divides within the pair, not over all', () => {
    const pairs = [
      { bareMs: 100, pipelineMs: 110 },
      { bareMs: 1000, pipelineMs: 1000 },
    ];
    expect(pairRatios(pairs)).toEqual([1.1, 1]);
    expect(() => pairRatios([{ bareMs: 0, pipelineMs: 1 }])).toThrow(/0 ms/);
  });
});

describe('mediansByName', () => {
  it('takes each hop by itself, also one that some runs lack', () => {
    const hop = (name: string, ms: number): { name: string; ms: number } => ({ name, ms });
    expect(mediansByName([[hop('a', 1), hop('b', 10)], [hop('a', 3)], [hop('a', 2), hop('b', 20)]])).toEqual([
      hop('a', 2),
      hop('b', 15),
    ]);
  });
});
