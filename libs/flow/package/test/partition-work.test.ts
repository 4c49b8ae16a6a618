import { systemClock } from '@xva/runtime';
import { PartitionWork, type PartitionWorkOptions } from '../src/index.ts';

interface Numbered {
  readonly sequenceNumber: number;
}

class Bench {
  readonly handled: number[] = [];
  readonly checkpoints: number[] = [];
  readonly undecided: number[] = [];
  readonly waiting = new Map<number, () => void>();
  readonly stop = new AbortController();
  failCheckpoints = 0;

  work(change: Partial<PartitionWorkOptions<Numbered>> = {}): PartitionWork<Numbered> {
    return new PartitionWork<Numbered>({
      window: { maxParallel: 3, maxSpan: 6 },
      orderOf: () => undefined,
      handle: ({ sequenceNumber }, signal) =>
        new Promise((resolve, reject) => {
          this.waiting.set(sequenceNumber, () => {
            this.handled.push(sequenceNumber);
            resolve();
          });
          signal.addEventListener('abort', () => reject(signal.reason as Error), { once: true });
        }),
      checkpoint: ({ sequenceNumber }) => {
        if (this.failCheckpoints > 0) {
          this.failCheckpoints -= 1;
          return Promise.reject(new Error('storage is away'));
        }
        this.checkpoints.push(sequenceNumber);
        return Promise.resolve();
      },
      checkpointIntervalMs: 1,
      onCheckpointError: () => undefined,
      onUndecided: ({ sequenceNumber }) => this.undecided.push(sequenceNumber),
      clock: { ...systemClock, sleep: (_ms, signal) => systemClock.sleep(1, signal) },
      stopWorking: this.stop.signal,
      ...change,
    });
  }

  finish(sequenceNumber: number): void {
    const end = this.waiting.get(sequenceNumber);
    if (end === undefined) throw new Error(`${sequenceNumber} is not running`);
    this.waiting.delete(sequenceNumber);
    end();
  }
}

const events = (from: number, count: number): Numbered[] =>
  Array.from({ length: count }, (_unused, index) => ({ sequenceNumber: from + index }));
const settle = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, 5));

describe('PartitionWork', () => {
  it('works side by side, takes no more than the span, and checkpoints the finished prefix', async () => {
    const bench = new Bench();
    const work = bench.work();
    let taken = false;
    const taking = work.receive(events(0, 8)).then(() => (taken = true));
    await settle();
    expect([...bench.waiting.keys()]).toEqual([0, 1, 2]);
    bench.finish(2);
    bench.finish(1);
    await settle();
    expect(bench.checkpoints).toEqual([]);
    expect(taken).toBe(false);
    bench.finish(0);
    await settle();
    expect(bench.checkpoints.at(-1)).toBe(2);
    for (const number of [3, 4, 5]) bench.finish(number);
    await taking;
    await settle();
    expect(bench.checkpoints.at(-1)).toBe(5);
  });

  it('writes a checkpoint again after a failure, without waiting for another event', async () => {
    const bench = new Bench();
    const work = bench.work();
    bench.failCheckpoints = 3;
    await work.receive(events(0, 1));
    await settle();
    bench.finish(0);
    for (let round = 0; round < 100 && bench.checkpoints.length === 0; round += 1) await settle();
    expect(bench.checkpoints).toEqual([0]);
  });

  it('writes no more checkpoints than the interval allows, and the last one at a stop', async () => {
    const bench = new Bench();
    const slept: number[] = [];
    const work = bench.work({
      checkpointIntervalMs: 500,
      handle: () => Promise.resolve(),
      clock: {
        ...systemClock,
        sleep: (ms, signal) => {
          slept.push(ms);
          return systemClock.sleep(60_000, signal);
        },
      },
    });
    await work.receive(events(0, 1_000));
    await settle();
    expect(bench.checkpoints).toEqual([0]);
    expect(slept).toEqual([500]);
    await work.release('stop');
    expect(bench.checkpoints).toEqual([0, 999]);
  });

  it('at a stop finishes what runs, starts nothing, checkpoints and returns', async () => {
    const bench = new Bench();
    const work = bench.work();
    await work.receive(events(0, 5));
    await settle();
    const released = work.release('stop');
    for (const number of [0, 1, 2]) bench.finish(number);
    await released;
    expect(bench.handled).toEqual([0, 1, 2]);
    expect(bench.checkpoints.at(-1)).toBe(2);
  });

  it('at the second breath lets go of what still runs', async () => {
    const bench = new Bench();
    const work = bench.work();
    await work.receive(events(0, 3));
    await settle();
    const released = work.release('stop');
    bench.finish(0);
    bench.stop.abort(new Error('grace time is over'));
    await released;
    expect(bench.checkpoints.at(-1)).toBe(0);
    expect(bench.undecided).toEqual([]);
  });

  it('writes no checkpoint for a partition that was lost', async () => {
    const bench = new Bench();
    const work = bench.work();
    await work.receive(events(0, 3));
    await work.release('lost');
    expect(bench.checkpoints).toEqual([]);
    expect(bench.handled).toEqual([]);
  });

  it('ends a wait for room when the partition is let go', async () => {
    const bench = new Bench();
    const work = bench.work();
    const taking = work.receive(events(0, 20));
    await settle();
    await work.release('error');
    await taking;
  });

  it('never checkpoints past an event about which nothing could be decided', async () => {
    const bench = new Bench();
    const work = bench.work({
      handle: ({ sequenceNumber }) => (sequenceNumber === 1 ? Promise.reject(new Error('no key')) : Promise.resolve()),
    });
    await work.receive(events(0, 4));
    await settle();
    expect(bench.undecided).toEqual([1]);
    expect(bench.checkpoints).toEqual([0]);
    await work.release('stop');
    expect(bench.checkpoints).toEqual([0]);
  });
});
