import fc from 'fast-check';
import { PartitionWindow } from '../src/index.ts';

interface Numbered {
  readonly sequenceNumber: number;
  readonly book: string;
}

const step = fc.oneof(
  fc.record({
    act: fc.constant('add' as const),
    gap: fc.integer({ min: 1, max: 3 }),
    book: fc.constantFrom('A', 'B', 'C'),
  }),
  fc.record({ act: fc.constant('start' as const) }),
  fc.record({ act: fc.constant('finish' as const), pick: fc.nat(100) }),
  fc.record({ act: fc.constant('checkpoint' as const) }),
);

describe('PartitionWindow', () => {
  it('checkpoints only what is done without a gap, keeps its limits, and the order within a book', () => {
    fc.assert(
      fc.property(
        fc.array(step, { maxLength: 200 }),
        fc.record({ maxParallel: fc.integer({ min: 1, max: 5 }), maxSpan: fc.integer({ min: 1, max: 12 }) }),
        fc.boolean(),
        (steps, options, ordered) => {
          const window = new PartitionWindow<Numbered>(options);
          const added: Numbered[] = [];
          const running: Numbered[] = [];
          const done = new Set<number>();
          const started: Numbered[] = [];
          let checkpoint = -1;
          let next = 0;
          for (const current of steps) {
            if (current.act === 'add' && window.room > 0) {
              next += current.gap;
              const event = { sequenceNumber: next, book: current.book };
              expect(window.add(event, ordered ? event.book : undefined)).toBe(true);
              expect(window.add(event, undefined)).toBe(false);
              added.push(event);
            } else if (current.act === 'start') {
              const event = window.start();
              if (event !== undefined) {
                running.push(event);
                started.push(event);
              } else if (!ordered && running.length < options.maxParallel) {
                expect(added.length).toBe(started.length);
              }
            } else if (current.act === 'finish' && running.length > 0) {
              const [event] = running.splice(current.pick % running.length, 1);
              window.finish(event!);
              done.add(event!.sequenceNumber);
            } else if (current.act === 'checkpoint') {
              const event = window.takeCheckpoint();
              if (event !== undefined) {
                expect(event.sequenceNumber).toBeGreaterThan(checkpoint);
                checkpoint = event.sequenceNumber;
              }
            }
            expect(running.length).toBeLessThanOrEqual(options.maxParallel);
            expect(window.running).toBe(running.length);
            expect(window.size).toBeLessThanOrEqual(options.maxSpan);
            const covered = added.filter(({ sequenceNumber }) => sequenceNumber <= checkpoint);
            expect(covered.every(({ sequenceNumber }) => done.has(sequenceNumber))).toBe(true);
            if (ordered) {
              const books = running.map(({ book }) => book);
              expect(new Set(books).size).toBe(books.length);
            }
          }
          if (ordered) {
            for (const book of ['A', 'B', 'C']) {
              const order = started.filter((event) => event.book === book).map((event) => event.sequenceNumber);
              expect(order).toEqual([...order].sort((a, b) => a - b));
            }
          }
        },
      ),
    );
  });

  it('reaches the end whatever the order in which events finish', () => {
    fc.assert(
      fc.property(fc.shuffledSubarray([0, 1, 2, 3, 4, 5, 6, 7], { minLength: 8 }), (order) => {
        const window = new PartitionWindow({ maxParallel: 8, maxSpan: 8 });
        const events = order.map((_unused, index) => ({ sequenceNumber: index }));
        for (const event of events) window.add(event, undefined);
        while (window.start() !== undefined);
        let last = -1;
        for (const index of order) {
          window.finish(events[index]!);
          last = window.takeCheckpoint()?.sequenceNumber ?? last;
        }
        expect(last).toBe(7);
        expect(window.size).toBe(0);
      }),
    );
  });
});
