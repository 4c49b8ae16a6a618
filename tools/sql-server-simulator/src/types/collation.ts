/*
 * CI_AS without an operating system's tables: equality ignores case and trailing spaces and minds accents; order is
 * punctuation, digits, letters, then accents. Equality is what queues and keys need and is exact for Latin text; the order
 * of exotic scripts follows code points (README).
 */
const weights = new Uint16Array(128);
{
  const letters = 'abcdefghijklmnopqrstuvwxyz';
  const punctuation = [...Array(128).keys()]
    .map((code) => String.fromCharCode(code))
    .filter((c) => !/[a-z0-9]/i.test(c));
  let weight = 1;
  for (const c of punctuation) weights[c.charCodeAt(0)] = weight++;
  for (const c of '0123456789') weights[c.charCodeAt(0)] = weight++;
  for (const c of letters) {
    weights[c.charCodeAt(0)] = weight;
    weights[c.toUpperCase().charCodeAt(0)] = weight++;
  }
}

function trimmedLength(text: string): number {
  let end = text.length;
  while (end > 0 && text.charCodeAt(end - 1) === 32) end -= 1;
  return end;
}

/** @returns a key such that two texts are equal (or ordered) under CI_AS exactly when their keys are as plain strings */
export function collationKey(text: string): string {
  const end = trimmedLength(text);
  let key = '';
  for (let index = 0; index < end; index += 1) {
    const code = text.charCodeAt(index);
    if (code >= 128) return wideKey(text.slice(0, end));
    key += String.fromCharCode(weights[code] ?? 0);
  }
  return key;
}

function wideKey(text: string): string {
  let primary = '';
  let accents = '';
  for (const c of text.normalize('NFD').toLowerCase()) {
    const code = c.codePointAt(0) ?? 0;
    if (code >= 0x300 && code < 0x370) accents += String.fromCharCode(1 + primary.length) + c;
    else primary += code < 128 ? String.fromCharCode(weights[code] ?? 0) : String.fromCodePoint(Math.max(code, 256));
  }
  return accents === '' ? primary : `${primary}\u0000${accents}`;
}

/** @returns the key for a BIN2 collation: code units, trailing spaces ignored as everywhere in comparisons */
export function binaryKey(text: string): string {
  return text.slice(0, trimmedLength(text));
}
