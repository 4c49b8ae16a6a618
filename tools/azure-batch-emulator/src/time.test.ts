import fc from 'fast-check';
import { durationMicros, durationTicks, formatDuration, isoTime, parseTime, Stamps, unlimited } from './time.ts';

describe('times and durations', () => {
  it.each([
    ['P3Y6M4DT12H30M5S', 'P1279DT12H30M5S'],
    ['PT90M', 'PT1H30M'],
    ['PT36H', 'P1DT12H'],
    ['PT0.30S', 'PT0.3S'],
    ['P7D', 'P7D'],
    ['PT0S', 'PT0S'],
    [unlimited, unlimited],
  ])('%s is echoed as %s', (text, echoed) => {
    expect(formatDuration(durationTicks(text) ?? -1n)).toBe(echoed);
  });

  it.each(['', 'P', 'PT', 'P1DT', '1D', 'P1H', 'P-1D', 'P99999999D'])('%s is no duration', (text) => {
    expect(durationTicks(text)).toBeUndefined();
  });

  it('no limit is no limit', () => {
    expect(durationMicros(unlimited)).toBeUndefined();
    expect(durationMicros('PT1.5S')).toBe(1_500_000);
  });

  it('a time reads back as it was written, to the microsecond', () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 4_000_000_000_000_000 }), (micros) => {
        expect(parseTime(isoTime(micros))).toBe(micros);
      }),
    );
    expect(parseTime('2020-11-23T23:23:56.6365423Z')).toBe(Date.parse('2020-11-23T23:23:56.636Z') * 1000 + 542);
  });

  it('stamps rise although the clock stands still or goes back', () => {
    const clock = [5, 5, 3, 6];
    const stamps = new Stamps(() => clock.shift() ?? 0, 4999);
    expect([1, 2, 3, 4].map(() => stamps.next())).toEqual([5000, 5001, 5002, 6000]);
  });
});
