import fc from 'fast-check';
import { IdentifierError, normaliseDecimal, quoteIdentifier, quoteTable, rowVersionHex } from '../src/index.ts';
import { cellText, integerText, requiredText } from '../src/values.ts';

describe('decimals', () => {
  it.each([
    ['2.500000000000', '2.5'],
    ['0.000000000000', '0'],
    ['-0.000', '0'],
    ['.5', '0.5'],
    ['-.50', '-0.5'],
    ['100', '100'],
    ['007.10', '7.1'],
    ['+3.0', '3'],
    ['12345678901234567890.123456789012', '12345678901234567890.123456789012'],
  ])('%s is %s', (text, normal) => {
    expect(normaliseDecimal(text)).toBe(normal);
  });

  it.each(['', '.', 'n/a', '1e5', '0x10', '1,5', '--1'])('"%s" stays as it is, for the refusal', (text) => {
    expect(normaliseDecimal(text)).toBe(text);
  });

  it('keep their value to the last digit, in one form', () => {
    const digits = fc.stringMatching(/^[0-9]{1,28}$/);
    fc.assert(
      fc.property(fc.boolean(), digits, digits, fc.nat(6), (negative, whole, fraction, zeros) => {
        const text = `${negative ? '-' : ''}${whole}.${fraction}`;
        const normal = normaliseDecimal(text);
        expect(normaliseDecimal(`${text}${'0'.repeat(zeros)}`)).toBe(normal);
        expect(normaliseDecimal(normal)).toBe(normal);
        const scale = 30;
        const scaled = (value: string): bigint => {
          const [, sign, a = '0', b = ''] = /^(-?)(\d+)(?:\.(\d+))?$/.exec(value) ?? [];
          return BigInt(`${a}${b.padEnd(scale, '0')}`) * (sign === '-' ? -1n : 1n);
        };
        expect(scaled(normal)).toBe(scaled(text));
      }),
    );
  });
});

describe('cells', () => {
  it('keep every digit of a bigint', () => {
    expect(integerText('Id', '9223372036854775807')).toBe('9223372036854775807');
    expect(integerText('Id', 7)).toBe('7');
    expect(() => integerText('Id', 2 ** 60)).toThrow('column Id');
    expect(() => integerText('Id', '1.5')).toThrow('not an integer');
  });

  it('lose the padding of char columns only', () => {
    expect(cellText('Book', 'RATES   ')).toBe('RATES');
    expect(cellText('Book', ' RATES')).toBe(' RATES');
    expect(cellText('Book', null)).toBeNull();
    expect(() => requiredText('Book', null)).toThrow('column Book: is NULL');
    expect(() => cellText('At', new Date(0))).toThrow('must be converted to text');
  });

  it('order rowversions as text', () => {
    const text = [1n, 255n, 256n, 2n ** 63n].map((value) => {
      const bytes = Buffer.alloc(8);
      bytes.writeBigUInt64BE(value);
      return rowVersionHex('RowVer', bytes);
    });
    expect(text[0]).toBe('0x0000000000000001');
    expect([...text].sort()).toEqual(text);
    expect(() => rowVersionHex('RowVer', Buffer.alloc(4))).toThrow('8 bytes');
  });
});

describe('identifiers', () => {
  it('are put in brackets', () => {
    expect(quoteTable('xva.RunRequest')).toBe('[xva].[RunRequest]');
    expect(quoteIdentifier('Data de referência')).toBe('[Data de referência]');
  });

  it.each(['', 'a]b', "a'b", 'a;b', 'a--b]', 'a\nb', ' a', 'a ', '1a', 'x'.repeat(129), 'a"b', '@p'])(
    'refuse %j',
    (name) => {
      expect(() => quoteIdentifier(name)).toThrow(IdentifierError);
    },
  );

  it('have at most a schema', () => {
    expect(() => quoteTable('server.db.xva.T')).toThrow(IdentifierError);
  });
});
