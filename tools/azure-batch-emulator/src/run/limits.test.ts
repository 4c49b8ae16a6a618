import { findProgram, withLimits } from './limits.ts';

describe('limits of a task', () => {
  it('are set by prlimit, or by the shell where that is absent, or not at all', () => {
    const argv = ['/bin/true', 'x y'];
    expect(withLimits(argv, {}, '/usr/bin/prlimit')).toBe(argv);
    expect(withLimits(argv, { memoryBytes: 1 }, '/usr/bin/prlimit')).toBe(argv);
    const limits = { openFiles: 10, cpuSeconds: 2, fileBytes: 1000 };
    expect(withLimits(argv, limits, '/usr/bin/prlimit')).toEqual(['/usr/bin/prlimit', '--nofile=10', '--cpu=2', '--fsize=1000', '--', ...argv]); // prettier-ignore
    expect(withLimits(argv, limits, undefined)).toEqual(['/bin/sh', '-c', 'ulimit -n 10 && ulimit -t 2 && ulimit -f 2 && exec "$@"', 'sh', ...argv]); // prettier-ignore
  });

  it('look for programs as the system does', () => {
    expect(findProgram('sh', '/nowhere:/bin', '/')).toBe('/bin/sh');
    expect(findProgram('./bin/sh', undefined, '/')).toBe('/bin/sh');
    expect(findProgram('bin', '/', '/')).toBeUndefined();
    expect(findProgram('no-such-program', '/bin', '/')).toBeUndefined();
  });
});
