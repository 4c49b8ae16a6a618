import { cpuBetween, parseStat, ProcessChangedError, readCpu, ticksOfTree, type ProcessStat } from './cpu-time.ts';

const stat = (pid: number, parent: number, ownTicks: number, childTicks: number): ProcessStat => ({
  pid,
  parent,
  ownTicks,
  childTicks,
  startTicks: 1,
});

describe('parseStat', () => {
  it('reads past a name with blanks and brackets', () => {
    const line = '4242 (node (main) x) S 17 4242 4242 0 -1 4194560 9 0 0 0 100 20 7 3 20 0 11 0 98765 1000 5 18446';
    expect(parseStat(line)).toEqual({ pid: 4242, parent: 17, ownTicks: 120, childTicks: 10, startTicks: 98765 });
  });
});

describe('ticksOfTree', () => {
  it('adds living and ended descendants once each', () => {
    const stats = [stat(1, 0, 5, 2), stat(2, 1, 10, 1), stat(3, 2, 100, 0), stat(9, 8, 1000, 0)];
    expect(ticksOfTree(1, stats)).toBe(118);
    expect(ticksOfTree(7, stats)).toBe(0);
  });
});

describe('readCpu', () => {
  it('measures this very process, and says when one is gone', () => {
    const me = { name: 'me', pid: process.pid, runsTasks: false };
    const before = readCpu([me]);
    for (let until = process.cpuUsage().user + 300_000; process.cpuUsage().user < until;) Math.sqrt(until);
    const used = cpuBetween(before, readCpu([me])).services['me'] ?? 0;
    expect(used).toBeGreaterThan(0.2);
    // Above the largest pid that Linux gives (2^22).
    expect(() => readCpu([{ name: 'nobody', pid: 2 ** 22 + 1, runsTasks: false }])).toThrow(/nobody .*is gone/);
  });

  it('refuses to compare a process with its successor', () => {
    const reading = { services: { a: 1 }, engine: 0, startTicks: { a: 5 } };
    expect(() => cpuBetween(reading, { ...reading, startTicks: { a: 6 } })).toThrow(ProcessChangedError);
    expect(cpuBetween(reading, { services: { a: 3 }, engine: 2, startTicks: { a: 5 } })).toEqual({
      services: { a: 2 },
      engine: 2,
    });
  });
});
