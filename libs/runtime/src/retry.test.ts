import fc from 'fast-check';
import { parseRetryAfterMs, systemClock, type Clock } from './clock.ts';
import { retry, retryDelayMs, type RetryPolicy } from './retry.ts';

function fakeClock(): Clock & { slept: number[] } {
  let now = 0;
  const slept: number[] = [];
  return {
    slept,
    now: () => new Date(now),
    sleep: (ms) => {
      slept.push(ms);
      now += ms;
      return Promise.resolve();
    },
  };
}
const policy: RetryPolicy = { maxAttempts: 5, baseDelayMs: 100, maxDelayMs: 1000, deadlineMs: 60_000 };

describe('retry', () => {
  it('gives the result of the first try that succeeds', async () => {
    const clock = fakeClock();
    const operation = async (attempt: number): Promise<number> => {
      if (attempt < 3) throw new Error('busy');
      return attempt;
    };
    await expect(retry(operation, { policy, clock, random: () => 0.5, judge: () => ({ retry: true }) })).resolves.toBe(
      3,
    );
    expect(clock.slept).toEqual([50, 100]);
  });

  it('throws the last error as it came when judged final, used up or late', async () => {
    const boom = new Error('boom');
    const fail = (): Promise<never> => Promise.reject(boom);
    const options = { clock: fakeClock(), random: () => 1 };
    await expect(retry(fail, { ...options, policy, judge: () => ({ retry: false }) })).rejects.toBe(boom);
    await expect(retry(fail, { ...options, policy, judge: () => ({ retry: true }) })).rejects.toBe(boom);
    const late = { ...policy, maxAttempts: 1000, deadlineMs: 1500 };
    await expect(retry(fail, { ...options, policy: late, judge: () => ({ retry: true }) })).rejects.toBe(boom);
  });

  it('never waits less than it was asked to, nor more than the cap otherwise', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 200 }),
        fc.double({ min: 0, max: 0.999, noNaN: true }),
        fc.nat(60_000),
        (attempt, draw, asked) => {
          expect(retryDelayMs(policy, attempt, () => draw, asked)).toBeGreaterThanOrEqual(asked);
          expect(retryDelayMs(policy, attempt, () => draw)).toBeLessThanOrEqual(policy.maxDelayMs);
        },
      ),
    );
  });

  it('stops waiting when the signal aborts', async () => {
    const controller = new AbortController();
    const operation = (): Promise<never> => Promise.reject(new Error('busy'));
    const slow = { ...policy, baseDelayMs: 50_000, maxDelayMs: 50_000 };
    const running = retry(operation, {
      policy: slow,
      clock: systemClock,
      random: () => 1,
      judge: () => ({ retry: true }),
      signal: controller.signal,
      onRetry: () => setImmediate(() => controller.abort(new Error('stop'))),
    });
    await expect(running).rejects.toThrow('stop');
  });
});

describe('parseRetryAfterMs', () => {
  const now = new Date('2026-01-01T00:00:00Z');
  it.each([
    ['0', 0],
    ['30', 30_000],
    ['Thu, 01 Jan 2026 00:00:10 GMT', 10_000],
    ['Thu, 01 Jan 2020 00:00:10 GMT', 0],
    ['soon', undefined],
    ['', undefined],
    [null, undefined],
  ])('%p → %p', (value, expected) => {
    expect(parseRetryAfterMs(value, now)).toBe(expected);
  });
});
