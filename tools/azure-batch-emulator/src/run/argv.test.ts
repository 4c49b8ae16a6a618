import fc from 'fast-check';
import { CommandLineError, splitCommandLine } from './argv.ts';

describe('a command line', () => {
  it.each([
    ['/bin/sh -c "echo hi"', ['/bin/sh', '-c', 'echo hi']],
    [`sh -c 'a "b" $C | d'`, ['sh', '-c', 'a "b" $C | d']],
    ['a  b\t c\n', ['a', 'b', 'c']],
    ['a "" b', ['a', '', 'b']],
    [String.raw`a "say \"x\" \\ \n" b`, ['a', String.raw`say "x" \ \n`, 'b']],
    [String.raw`C:\dir\x a\ b \'q\"`, [String.raw`C:\dir\x`, 'a b', `'q"`]],
    ['a"b c"d', ['ab cd']],
    ['$HOME *.txt', ['$HOME', '*.txt']],
    ['  ', []],
  ])('%s', (line, words) => {
    expect(splitCommandLine(line)).toEqual(words);
  });

  it('gives back what was quoted', () => {
    fc.assert(
      fc.property(fc.array(fc.string(), { minLength: 1 }), (words) => {
        const line = words.map((word) => `"${word.replace(/["\\]/g, '\\$&')}"`).join(' ');
        expect(splitCommandLine(line)).toEqual(words);
      }),
    );
  });

  it.each(['a "b', "a 'b"])('%s is not closed', (line) => {
    expect(() => splitCommandLine(line)).toThrow(CommandLineError);
  });
});
