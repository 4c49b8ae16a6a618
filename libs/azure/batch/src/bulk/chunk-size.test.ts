import fc from 'fast-check';
import { ChunkSize, maxBytes } from './chunk-size.ts';

describe('the size of a collection', () => {
  it('finds any limit of the service with few refusals, and then keeps near it', () => {
    fc.assert(
      fc.property(fc.integer({ min: 2_000, max: 2_000_000 }), (allowed) => {
        const size = new ChunkSize();
        let refusals = 0;
        for (let sent = 0; sent < 60; sent += 1) {
          const bytes = size.limit;
          if (bytes <= allowed) size.accepted(bytes);
          else {
            refusals += 1;
            expect(size.refused(bytes)).toBe(true);
          }
        }
        expect(refusals).toBeLessThanOrEqual(16);
        expect(size.limit).toBeLessThanOrEqual(allowed);
        expect(size.limit).toBeGreaterThanOrEqual(Math.min(maxBytes, allowed) * 0.85);
      }),
    );
  });

  it('does not believe a refusal of what has passed before', () => {
    const size = new ChunkSize();
    size.accepted(50_000);
    expect(size.refused(50_000)).toBe(false);
    expect(size.limit).toBe(maxBytes);
  });

  it('forgets a refusal when more passes later', () => {
    const size = new ChunkSize();
    size.refused(30_000);
    expect(size.limit).toBe(15_000);
    size.accepted(31_000);
    expect(size.limit).toBe(maxBytes);
  });
});
