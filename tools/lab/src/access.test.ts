import { sampleRows } from './access.ts';

describe('a sample book', () => {
  it('is found by the name that its rows have, and refused by name otherwise', async () => {
    const [upper, lower] = await Promise.all([sampleRows('SMALL'), sampleRows('small')]);
    expect(upper).toEqual(lower);
    expect(upper.trades.length).toBeGreaterThan(0);
    await expect(sampleRows('nope')).rejects.toThrow('no sample book is called nope; there are demo, small');
  });
});
