/** A property holds at most 64 KiB of UTF-16, which is 32 Ki units (Table service data model, String). */
export const maxTextLength = 32 * 1024;

export type PropertyValue = string | number | boolean | Date;
export type Properties = Readonly<Record<string, PropertyValue>>;

const continued = /^(.+)__([1-9][0-9]*)$/;

/** Cuts without parting a surrogate pair, since half of one has no UTF-8 form. */
function pieces(text: string): readonly string[] {
  const found: string[] = [];
  for (let start = 0; start < text.length;) {
    let end = Math.min(start + maxTextLength, text.length);
    const last = text.charCodeAt(end - 1);
    if (end < text.length && last >= 0xd800 && last <= 0xdbff) end -= 1;
    found.push(text.slice(start, end));
    start = end;
  }
  return found;
}

/**
 * Spreads text that is too long for one property over `name`, `name__1`, `name__2` …
 *
 * @throws RangeError for a name that looks like a continuation.
 */
export function splitLongText(properties: Properties): Record<string, PropertyValue> {
  const split: Record<string, PropertyValue> = {};
  for (const [name, value] of Object.entries(properties)) {
    if (continued.test(name)) throw new RangeError(`property name ${name} is kept for long text`);
    if (typeof value !== 'string' || value.length <= maxTextLength) split[name] = value;
    else for (const [index, piece] of pieces(value).entries()) split[index === 0 ? name : `${name}__${index}`] = piece;
  }
  return split;
}

/** The inverse of `splitLongText`. */
export function joinLongText(properties: Properties): Record<string, PropertyValue> {
  const joined: Record<string, PropertyValue> = {};
  const tails = new Map<string, Map<number, string>>();
  for (const [name, value] of Object.entries(properties)) {
    const match = continued.exec(name);
    const [, head, index] = match ?? [];
    if (head === undefined || typeof value !== 'string') {
      joined[name] = value;
      continue;
    }
    const tail = tails.get(head) ?? new Map<number, string>();
    tails.set(head, tail.set(Number(index), value));
  }
  for (const [name, tail] of tails) {
    const first = joined[name];
    const rest = Array.from({ length: tail.size }, (_piece, index) => tail.get(index + 1) ?? '');
    joined[name] = [typeof first === 'string' ? first : '', ...rest].join('');
  }
  return joined;
}
