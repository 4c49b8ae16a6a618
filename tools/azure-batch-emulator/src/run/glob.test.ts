import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import fc from 'fast-check';
import { findFiles, globMatcher } from './glob.ts';
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
    symlinkSync(root, join(wd, 'outside'));
    symlinkSync(join(wd, 'out'), join(wd, 'inside'));
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
    ['outside/*', []],
    ['inside/*', ['x.txt']],
    ['[z-a]*', []],
    ['[!z-a]*.bin', ['b1.bin', 'b2.bin']],
    ['[', []],
    ['\\*', []],
    ['\0*', []],
  ])('%j', async (pattern, names) => {
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

describe('a pattern', () => {
  it.each([
    ['a*b?c', 'axxbyc', true],
    ['a*b?c', 'axx/byc', false],
    ['*.gif', '.a.gif', false],
    ['.*.gif', '.a.gif', true],
    ['?a', '.a', false],
    ['[.]a', '.a', false],
    ['abc[*]', 'abc*', true],
    ['abc[*]', 'abcd', false],
    ['[]x]', ']', true],
    ['[!]x]', ']', false],
    ['[!]x]', 'y', true],
    ['[a-]', '-', true],
    ['[a-c_]', '_', true],
    ['[a', '[a', true],
    ['**/x', 'x', true],
    ['**/x', 'a/b/x', true],
    ['**/x', 'ax', false],
    ['**/x', '.git/x', false],
    ['a/**/x', 'a/x', true],
    ['a/**', 'a/b/c', true],
    ['a/**', 'a/.b/c', false],
    ['**.txt', 'a/b.txt', true],
    ['***/x', 'a/x', true],
    ['?', '\u{1F600}', true],
    ['', 'a', false],
  ])('%j on %j: %s', (pattern, path, expected) => {
    expect(globMatcher(pattern)(path)).toBe(expected);
  });

  it('agrees with a plain recursive definition', () => {
    const slow = (pattern: string, path: string, start = true): boolean => {
      const [head, next] = [pattern[0] ?? '', path[0] ?? ''];
      if (pattern === '') return path === '';
      if (head === '*') {
        if (slow(pattern.slice(1), path, start)) return true;
        return next !== '' && next !== '/' && !(start && next === '.') && slow(pattern, path.slice(1), false);
      }
      if (next === '') return false;
      const one = head === '?' ? next !== '/' && !(start && next === '.') : head === next;
      return one && slow(pattern.slice(1), path.slice(1), next === '/');
    };
    const word = (chars: string[]) =>
      fc.array(fc.constantFrom(...chars), { maxLength: 9 }).map((some) => some.join(''));
    fc.assert(
      fc.property(word(['a', 'b', '.', '/', '?', '*']), word(['a', 'b', '.', '/']), (pattern, path) => {
        fc.pre(!pattern.includes('**'));
        expect(globMatcher(pattern)(path)).toBe(slow(pattern, path));
      }),
      { numRuns: 2_000 },
    );
  });

  // Such patterns would keep an expression that backtracks busy for longer than anyone waits: the whole service with it.
  it.each(['*a'.repeat(200), '**/'.repeat(200) + 'b', '**'.repeat(5) + '*a*a*a*a*a*b', '[ab]*'.repeat(100) + 'c'])(
    'with many stars ends: %#',
    (pattern) => expect(globMatcher(pattern)(`${'a'.repeat(250)}/${'a'.repeat(250)}`)).toBe(false),
    20_000,
  );
});
