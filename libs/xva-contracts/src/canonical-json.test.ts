import fc from 'fast-check';
import { canonicalJson, NotCanonicalError, sha256Hex } from './canonical-json.ts';

const plainJson = fc.jsonValue({ maxDepth: 4 }).filter((value) => !/[0-9](\.|e)[0-9-]/.test(JSON.stringify(value)));

function reversed(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(reversed);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(
    Object.entries(value)
      .reverse()
      .map(([key, member]) => [key, reversed(member)]),
  );
}

describe('canonicalJson', () => {
  it('does not depend on key order and reads back as the same value', () => {
    fc.assert(
      fc.property(plainJson, (value) => {
        let text: string;
        try {
          text = canonicalJson(value);
        } catch (error) {
          expect(error).toBeInstanceOf(NotCanonicalError);
          return;
        }
        expect(canonicalJson(reversed(value))).toBe(text);
        expect(canonicalJson(JSON.parse(text))).toBe(text);
      }),
      { numRuns: 500 },
    );
  });

  it('orders keys above U+FFFF as Python does', () => {
    expect(canonicalJson({ '\u{10000}': 1, '\uffff': 2 })).toBe('{"\uffff":2,"\u{10000}":1}');
  });

  it.each([
    [{ a: 1.5 }, '.a'],
    [{ a: [Number.NaN] }, '.a[0]'],
    [{ a: 2 ** 53 }, '.a'],
    [{ a: '\ud800' }, '.a'],
    [{ a: 1n }, '.a'],
  ])('refuses %p by path', (value, path) => {
    expect(() => canonicalJson(value)).toThrow(expect.objectContaining({ name: 'NotCanonicalError', path }) as Error);
  });

  it('hashes as SHA-256 in lower-case hex', () => {
    expect(sha256Hex('')).toBe('e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855');
  });
});
