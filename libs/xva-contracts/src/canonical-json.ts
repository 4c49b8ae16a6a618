import { createHash } from 'node:crypto';

/** A value that JSON can carry. */
export type JsonValue = null | boolean | number | string | readonly JsonValue[] | { readonly [key: string]: JsonValue };

/** Thrown when a value has no canonical form: a number that is not a safe integer, or something that JSON lacks. */
export class NotCanonicalError extends Error {
  override readonly name = 'NotCanonicalError';
  readonly path: string;

  constructor(path: string, problem: string) {
    super(`${path || '$'}: ${problem}`);
    this.path = path;
  }
}

/**
 * One byte sequence per value: keys sorted by code point, no white space, integers only (the subset of RFC 8785 on which
 * TypeScript and Python agree without a number formatter; decimals travel as strings).
 *
 * @throws NotCanonicalError for fractions, unsafe integers, undefined inside arrays and lone surrogates.
 */
export function canonicalJson(value: unknown, path = ''): string {
  if (value === null || typeof value === 'boolean') return JSON.stringify(value);
  if (typeof value === 'number') {
    if (!Number.isSafeInteger(value)) throw new NotCanonicalError(path, `${value} is not a safe integer`);
    return JSON.stringify(value === 0 ? 0 : value);
  }
  if (typeof value === 'string') {
    if (!value.isWellFormed()) throw new NotCanonicalError(path, 'text has a lone surrogate');
    return JSON.stringify(value);
  }
  if (Array.isArray(value)) {
    return `[${value.map((item, index) => canonicalJson(item, `${path}[${index}]`)).join(',')}]`;
  }
  if (typeof value === 'object') {
    const members = Object.entries(value)
      .filter(([, member]) => member !== undefined)
      .sort(([a], [b]) => compareCodePoints(a, b))
      .map(([key, member]) => `${canonicalJson(key, path)}:${canonicalJson(member, `${path}.${key}`)}`);
    return `{${members.join(',')}}`;
  }
  throw new NotCanonicalError(path, `a ${typeof value} has no JSON form`);
}

/** Order of Python's `sorted` on text, which is that of UTF-8 bytes; JavaScript's default orders by UTF-16 unit. */
function compareCodePoints(a: string, b: string): number {
  return Buffer.compare(Buffer.from(a), Buffer.from(b));
}

/** SHA-256 as 64 lower-case hex digits. */
export function sha256Hex(bytes: string | Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex');
}

/** SHA-256 of the canonical form. */
export function canonicalHash(value: unknown): string {
  return sha256Hex(canonicalJson(value));
}
