import fc from 'fast-check';
import { relativePath } from '../scalars.ts';
import { sharedInputHashOf, type Part } from './manifest.ts';

const part = (path: string, digit: string, role: Part['role']): Part => ({
  path,
  size: 1,
  sha256: digit.repeat(64),
  role,
});

describe('sharedInputHashOf', () => {
  const parts = [
    part('Input/b.xml', 'b', 'simulation'),
    part('Input/a.xml', 'a', 'market'),
    part('Input/p.xml', 'c', 'portfolio'),
  ];

  it('does not depend on order or on the portfolio', () => {
    const hash = sharedInputHashOf(parts);
    expect(sharedInputHashOf([...parts].reverse())).toBe(hash);
    expect(sharedInputHashOf([...parts.slice(0, 2), part('Input/p.xml', 'd', 'portfolio')])).toBe(hash);
  });

  it('changes with any shared part', () => {
    const changed = [part('Input/b.xml', 'e', 'simulation'), ...parts.slice(1)];
    expect(sharedInputHashOf(changed)).not.toBe(sharedInputHashOf(parts));
  });
});

describe('relativePath', () => {
  it.each(['../x', '/x', 'a/../b', 'a//b', 'a\\b', './a', 'a/.', 'a/.hidden', 'C:/x', 'a%2fb', 'a\u0000b', 'é', ''])(
    'refuses %p',
    (path) => {
      expect(relativePath.safeParse(path).success).toBe(false);
    },
  );

  it('takes only what stays inside its folder', () => {
    fc.assert(
      fc.property(fc.string(), (text) => {
        if (!relativePath.safeParse(text).success) return;
        expect(new URL(text, 'http://host/base/').pathname).toBe(`/base/${text}`);
      }),
    );
  });
});
