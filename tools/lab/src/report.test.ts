import { alignColumns, formatDuration } from './report.ts';

describe('what the lab prints', () => {
  it('aligns numbers to the right and names to the left', () => {
    expect(
      alignColumns([
        ['Set', 'Name', 'CVA'],
        ['NS1', 'Longer name', '1.00'],
        ['NS2', 'B', '100.00'],
      ]),
    ).toBe(['Set  Name            CVA', 'NS1  Longer name    1.00', 'NS2  B            100.00'].join('\n'));
  });

  it.each([
    [4.4, '4 ms'],
    [1234, '1.23 s'],
    [61_234, '61.2 s'],
  ])('%p ms reads %p', (ms, text) => expect(formatDuration(ms)).toBe(text));
});
