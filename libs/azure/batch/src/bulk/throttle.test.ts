import { Throttle } from './throttle.ts';

describe('the window of collections in flight', () => {
  it('stays open under a few refusals', () => {
    const throttle = new Throttle(16);
    for (let reply = 0; reply < 400; reply += 1) {
      if (reply % 20 === 0) throttle.refused(reply, reply, 1_000);
      else throttle.accepted();
      expect(throttle.window).toBe(16);
    }
    expect(throttle.pausedUntilMs).toBe(0);
  });

  it.each([1, 2, 3, 4, 5])('stays open while one try in twenty fails by chance (seed %i)', (seed) => {
    let state = seed;
    const throttle = new Throttle(32);
    for (let reply = 0; reply < 2_000; reply += 1) {
      state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
      if (state / 2 ** 32 < 0.05) throttle.refused(reply, reply, 1_000);
      else throttle.accepted();
    }
    expect([throttle.window, throttle.pausedUntilMs]).toEqual([32, 0]);
  });

  it('closes to one and waits as long as asked when all are refused, and opens again', () => {
    const throttle = new Throttle(16);
    for (let time = 0; time < 100; time += 1) throttle.refused(time, time, 1_000);
    expect(throttle.window).toBe(1);
    expect(throttle.pausedUntilMs).toBe(99 + 1_000);
    for (let reply = 0; reply < 15; reply += 1) throttle.accepted();
    expect(throttle.window).toBe(16);
  });

  it('is halved once for all requests that were under way', () => {
    const throttle = new Throttle(16);
    for (let reply = 0; reply < 16; reply += 1) throttle.refused(0, 10 + reply, 100);
    expect(throttle.window).toBe(8);
  });
});
