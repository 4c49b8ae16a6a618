import fc from 'fast-check';
import { advanceSequence, judgeSequence, ProducerTable } from './producers.ts';

const store =
  (lastSequence = 0): (() => Promise<{ lastSequence: number }>) =>
  () =>
    Promise.resolve({ lastSequence });

describe('idempotent producers of a partition', () => {
  it('count round after 2^31 - 1, and tell a repeat from a gap on both sides of it', () => {
    const most = 2 ** 31 - 1;
    expect(advanceSequence(most, 1)).toBe(0);
    for (const last of [0, 5, 1000, most - 1, most]) {
      const next = advanceSequence(last, 1);
      expect(judgeSequence(last, next, 7)).toBe('next');
      expect(judgeSequence(last, last, 1)).toBe('duplicate');
      expect(judgeSequence(last, last, 2)).toBe('outOfOrder');
      expect(judgeSequence(last, advanceSequence(last, 2), 1)).toBe('outOfOrder');
    }
  });

  it('store every publication once, in order, however often and in whatever pattern it is sent again', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.record({ count: fc.integer({ min: 1, max: 4 }), copies: fc.integer({ min: 1, max: 3 }) }), {
          minLength: 1,
          maxLength: 12,
        }),
        fc.array(fc.boolean(), { minLength: 60, maxLength: 60 }),
        async (batches, losses) => {
          const table = new ProducerTable();
          const { producerId, epoch, sequence } = table.attach(
            { producerId: 7, epoch: undefined, sequence: undefined },
            0,
            1,
          );
          const stored: number[] = [];
          let next = sequence + 1;
          let turn = 0;
          for (const { count, copies } of batches) {
            const numbers = Array.from({ length: count }, (_, index) => next + index);
            const send = (): Promise<'stored' | 'duplicate'> =>
              table.publish({ producerId, epoch, sequence: next }, count, async () => {
                await new Promise((resolve) => setImmediate(resolve));
                // A disk that fails stores nothing; the producer sends again.
                if (losses[turn++ % losses.length] === true) throw new Error('EIO');
                stored.push(...numbers);
                return { lastSequence: stored.length - 1 };
              });
            const outcomes = await Promise.allSettled(Array.from({ length: copies }, send));
            if (outcomes.every(({ status }) => status === 'rejected')) {
              let tries = 0;
              for (; tries < 200; tries += 1) if ((await send().catch(() => 'failed')) !== 'failed') break;
              if (tries === 200) return;
            }
            next += count;
          }
          expect(stored).toEqual(Array.from({ length: next - 1 }, (_, index) => index + 1));
        },
      ),
      { numRuns: 100 },
    );
  });

  it('shut lower epochs out, at the attach and at the next publication', async () => {
    const table = new ProducerTable();
    const low = table.attach({ producerId: 1, epoch: 1, sequence: 10 }, 0, 1);
    expect(low).toEqual({ producerId: 1, epoch: 1, sequence: 10 });
    expect(await table.publish({ ...low, sequence: 11 }, 2, store(1))).toBe('stored');
    const high = table.attach({ producerId: 1, epoch: 3, sequence: undefined }, 0, 1);
    expect(high.sequence).toBe(0);
    await expect(table.publish({ ...low, sequence: 13 }, 1, store())).rejects.toThrow("higher epoch '3'");
    expect(() => table.attach({ producerId: 1, epoch: 2, sequence: 0 }, 0, 1)).toThrow("higher epoch '3'");
  });

  it('answer an attach with what the producer knows while it is behind, and with what is stored when it is ahead', async () => {
    const table = new ProducerTable();
    const { producerId } = table.attach({ producerId: undefined, epoch: undefined, sequence: undefined }, 0, 1);
    await table.publish({ producerId, epoch: 0, sequence: 1 }, 8, store(7));
    const attach = (sequence: number | undefined): number =>
      table.attach({ producerId, epoch: 0, sequence }, 0, 1).sequence;
    expect([attach(undefined), attach(5), attach(8), attach(20)]).toEqual([8, 5, 8, 8]);
    // Once its events have left the log the producer is nobody's: its own word counts.
    expect(table.attach({ producerId, epoch: 0, sequence: 20 }, 8, 1).sequence).toBe(20);
  });

  it('refuse numbers that cannot be right, by name', () => {
    const table = new ProducerTable();
    expect(() => table.attach({ producerId: 1, epoch: -1, sequence: 0 }, 0, 1)).toThrow('com.microsoft:producer-epoch');
    expect(() => table.attach({ producerId: 1, epoch: 0, sequence: 2 ** 31 }, 0, 1)).toThrow(
      'producer-sequence-number',
    );
    expect(() => table.attach({ producerId: NaN, epoch: 0, sequence: 1 }, 0, 1)).toThrow("producer-id is 'NaN'");
  });
});
