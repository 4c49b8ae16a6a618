import fc from 'fast-check';
import { csvLine, printable, printableJson } from './text.ts';

describe('text for people', () => {
  it.each<[string, string]>([
    ['a normal Text, with ümlaut', 'a normal Text, with ümlaut'],
    ['\u001b[2Jgone', '\\u001b[2Jgone'],
    ['two\r\nlines', 'two\\u000d\\u000alines'],
    ['\u009b31m', '\\u009b31m'],
    ['abc\u202etxt.exe', 'abc\\u202etxt.exe'],
    ['\ud800', '\\ud800'],
    ['a\ud83d\ude00b', 'a\ud83d\ude00b'],
  ])('%j is printed as %j', (text, expected) => {
    expect(printable(text)).toBe(expected);
  });

  it('JSON stays JSON of the same value, on lines that a terminal only shows', () => {
    fc.assert(
      fc.property(fc.jsonValue(), fc.string({ unit: 'binary' }), (value, text) => {
        const shown = printableJson({ value, text, esc: '\u001b\u009b\u202e' }, 2);
        expect(JSON.parse(shown)).toEqual(JSON.parse(JSON.stringify({ value, text, esc: '\u001b\u009b\u202e' })));
        for (const line of shown.split('\n')) expect(printable(line)).toBe(line);
      }),
    );
  });

  it.each<[readonly (string | number | null)[], string]>([
    [['a', 1, null, 'b'], 'a,1,,b'],
    [['=1+1', '+cmd', '-2', '@x', ' =1'], `'=1+1,'+cmd,'-2,'@x,' =1`],
    [['say "hi", you'], '"say ""hi"", you"'],
    [['\t=1', 'a\r\nb'], '\\u0009=1,a\\u000d\\u000ab'],
    [[-5], '-5'],
  ])('%j is the CSV line %s', (cells, expected) => {
    expect(csvLine(cells)).toBe(expected);
  });
});
