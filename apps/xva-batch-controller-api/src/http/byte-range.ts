/** What a `Range` header asks for: bytes from `first` to `last` (undefined = to the end), or the last so many. */
export type ByteRange = { readonly first: number; readonly last: number | undefined } | { readonly lastBytes: number };

/**
 * One range of bytes (RFC 9110, section 14.1.2). Undefined for no header and for what a server may overlook: another
 * unit, more than one range, a range that makes no sense.
 */
export function parseByteRange(header: string | undefined): ByteRange | undefined {
  const match = /^bytes=(\d{0,15})-(\d{0,15})$/.exec(header?.trim() ?? '');
  if (match === null) return undefined;
  const [, first = '', last = ''] = match;
  if (first === '') return last === '' ? undefined : { lastBytes: Number(last) };
  if (last !== '' && Number(last) < Number(first)) return undefined;
  return { first: Number(first), last: last === '' ? undefined : Number(last) };
}

/** The range as bytes that are there; undefined when it lies behind the end (416). */
export function withinSize(
  range: ByteRange,
  size: number,
): { readonly first: number; readonly last: number } | undefined {
  if ('lastBytes' in range) {
    return range.lastBytes === 0 || size === 0
      ? undefined
      : { first: Math.max(0, size - range.lastBytes), last: size - 1 };
  }
  if (range.first >= size) return undefined;
  return { first: range.first, last: Math.min(range.last ?? size - 1, size - 1) };
}
