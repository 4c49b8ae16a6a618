const powers: bigint[] = [1n];

/** @returns 10^n, from a table that grows as needed */
export function pow10(n: number): bigint {
  while (powers.length <= n) powers.push((powers.at(-1) ?? 1n) * 10n);
  return powers[n] ?? 1n;
}

/** Moves a scaled integer to another scale; dropped digits round half away from zero (or are cut with `truncate`). */
export function rescale(value: bigint, from: number, to: number, truncate = false): bigint {
  if (to >= from) return value * pow10(to - from);
  const divisor = pow10(from - to);
  const quotient = value / divisor;
  if (truncate) return quotient;
  const rest = value - quotient * divisor;
  const twice = rest < 0n ? -rest * 2n : rest * 2n;
  if (twice < divisor) return quotient;
  return value < 0n ? quotient - 1n : quotient + 1n;
}

/** @returns the plain text of a scaled integer, with exactly `scale` fraction digits */
export function decimalText(value: bigint, scale: number): string {
  if (scale === 0) return value.toString();
  const negative = value < 0n;
  const digits = (negative ? -value : value).toString().padStart(scale + 1, '0');
  return `${negative ? '-' : ''}${digits.slice(0, -scale)}.${digits.slice(-scale)}`;
}

export interface ParsedDecimal {
  readonly value: bigint;
  readonly scale: number;
}

const shape = /^\s*([+-]?)(\d*)(?:\.(\d*))?\s*$/;

/** Parses plain decimal text without loss; undefined when it is none. Exponents are no decimals in T-SQL. */
export function parseDecimal(text: string): ParsedDecimal | undefined {
  const match = shape.exec(text);
  if (match === null) return undefined;
  const whole = match[2] ?? '';
  const fraction = match[3] ?? '';
  if (whole === '' && fraction === '') return undefined;
  const magnitude = BigInt(`${whole}${fraction}`);
  return { value: match[1] === '-' ? -magnitude : magnitude, scale: fraction.length };
}

/** Exact decimal value of a float at the given scale, via its shortest text of at most 17 digits. */
export function decimalOfFloat(value: number, scale: number): bigint {
  const [mantissa = '0', exponentText = '0'] = value.toExponential().split('e');
  const exponent = Number(exponentText);
  const parsed = parseDecimal(mantissa) ?? { value: 0n, scale: 0 };
  const target = parsed.scale - exponent;
  return target >= 0 ? rescale(parsed.value, target, scale) : parsed.value * pow10(-target) * pow10(scale);
}

/** @returns number of decimal digits of the magnitude */
export function digitCount(value: bigint): number {
  return (value < 0n ? -value : value).toString().length;
}
