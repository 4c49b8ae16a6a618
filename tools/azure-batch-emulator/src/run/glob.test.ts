import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { findFiles } from './glob.ts';
import { blobName, expandVariables } from './output-files.ts';

describe('an output file pattern', () => {
  const root = mkdtempSync(join(tmpdir(), 'glob-'));
  const wd = join(root, 'task', 'wd');
  beforeAll(() => {
    const files = [
      '../stdout.txt',
      'a.txt',
      'b1.bin',
      'b2.bin',
      '.hidden',
      'out/x.txt',
      'out/deep/y.txt',
      'out/.git/z.txt',
      '../../secret.txt',
      'out+/w.txt',
    ];
    for (const file of files) {
      mkdirSync(dirname(join(wd, file)), { recursive: true });
      writeFileSync(join(wd, file), file);
    }
    symlinkSync('/etc/passwd', join(wd, 'link.txt'));
  });
  afterAll(() => rmSync(root, { recursive: true, force: true }));

  it.each([
    ['../stdout.txt', ['stdout.txt']],
    ['../std*.txt', ['stdout.txt']],
    ['*.txt', ['a.txt']],
    ['*', ['a.txt', 'b1.bin', 'b2.bin']],
    ['b[1].bin', ['b1.bin']],
    ['b[!1].bin', ['b2.bin']],
    ['b?.bin', ['b1.bin', 'b2.bin']],
    ['.hidden', ['.hidden']],
    ['**/*.txt', ['a.txt', 'out+/w.txt', 'out/deep/y.txt', 'out/x.txt']],
    ['out/**', ['deep/y.txt', 'x.txt']],
    ['out/*.txt', ['x.txt']],
    ['out+/*', ['w.txt']],
    ['../../secret.txt', []],
    ['../../*', []],
    ['nothing*', []],
  ])('%s', async (pattern, names) => {
    const found = await findFiles(pattern, wd, join(root, 'task'));
    expect(found.map(({ name }) => name)).toEqual(names);
  });

  it('names blobs by prefix with a wildcard and by name without', () => {
    const match = { file: '/x/y.txt', name: 'deep/y.txt' };
    expect(blobName('out/**', 'logs/t1/', match)).toBe('logs/t1/deep/y.txt');
    expect(blobName('out/**', undefined, match)).toBe('deep/y.txt');
    expect(blobName('../stdout.txt', 'logs/t1.txt', match)).toBe('logs/t1.txt');
    expect(expandVariables('$A/${B}/$C', { A: 'a', B: 'b' })).toBe('a/b/$C');
  });
});
