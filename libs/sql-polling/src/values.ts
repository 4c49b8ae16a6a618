import type { Cell } from './client/statement.ts';

/** Thrown when a cell has a type that the adapter does not carry without loss. */
export class ValueError extends Error {
  override readonly name = 'ValueError';
  readonly column: string;

  constructor(column: string, problem: string) {
    super(`column ${column}: ${problem}`);
    this.column = column;
  }
}

/**
 * A decimal's text in one form: no exponent, no leading `+`, a digit before the point, no zeros at the end, no minus zero.
 * Text that is no decimal number is returned as it is, for the contract to refuse by name.
 */
export function normaliseDecimal(text: string): string {
  const match = /^([+-]?)(\d*)(?:\.(\d*))?$/.exec(text.trim());
  if (match === null) return text;
  const [, sign, whole = '', fraction = ''] = match;
  if (whole === '' && fraction === '') return text;
  const digits = whole.replace(/^0+(?=\d)/, '') || '0';
  const decimals = fraction.replace(/0+$/, '');
  const unsigned = decimals === '' ? digits : `${digits}.${decimals}`;
  return sign === '-' && unsigned !== '0' ? `-${unsigned}` : unsigned;
}

/** Text of a cell; trailing spaces go, as SQL Server ignores them in comparisons and char columns are padded with them. */
export function cellText(column: string, cell: Cell | undefined): string | null {
  if (cell === null || cell === undefined) return null;
  if (typeof cell === 'string') return cell.replace(/ +$/, '');
  if (typeof cell === 'number' || typeof cell === 'boolean') return String(cell);
  throw new ValueError(column, 'dates and binary values must be converted to text in SQL');
}

/** @throws ValueError for NULL too */
export function requiredText(column: string, cell: Cell | undefined): string {
  const text = cellText(column, cell);
  if (text === null) throw new ValueError(column, 'is NULL');
  return text;
}

/** An integer's digits: bigint comes as text, smaller types as numbers. @throws ValueError */
export function integerText(column: string, cell: Cell | undefined): string {
  const text = requiredText(column, cell);
  if (!/^-?\d+$/.test(text) || (typeof cell === 'number' && !Number.isSafeInteger(cell))) {
    throw new ValueError(column, `"${text}" is not an integer`);
  }
  return text;
}

/** A rowversion (8 bytes) as `0x` and 16 hex digits, which order as the versions do. @throws ValueError */
export function rowVersionHex(column: string, cell: Cell | undefined): string {
  if (!Buffer.isBuffer(cell) || cell.length !== 8) throw new ValueError(column, 'is not a rowversion of 8 bytes');
  return `0x${cell.toString('hex')}`;
}
