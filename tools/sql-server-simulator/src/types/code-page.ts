/** Windows-1252 in 0x80…0x9F; elsewhere it equals Latin-1. */
const upper =
  '\u20ac\u0081\u201a\u0192\u201e\u2026\u2020\u2021\u02c6\u2030\u0160\u2039\u0152\u008d\u017d\u008f\u0090\u2018\u2019\u201c\u201d\u2022\u2013\u2014\u02dc\u2122\u0161\u203a\u0153\u009d\u017e\u0178';
const toByte = new Map(Array.from(upper).map((character, index) => [character.charCodeAt(0), 0x80 + index]));

const ascii = /^[\u0000-\u007f]*$/;

/** @returns the bytes of a varchar (code page 1252); characters outside it become `?`, as on the server */
export function encode1252(text: string): Buffer {
  if (ascii.test(text)) return Buffer.from(text, 'latin1');
  const bytes = Buffer.alloc(text.length);
  for (let index = 0; index < text.length; index += 1) {
    const code = text.charCodeAt(index);
    bytes[index] = code < 0x80 || (code >= 0xa0 && code <= 0xff) ? code : (toByte.get(code) ?? 0x3f);
  }
  return bytes;
}

export function decode1252(bytes: Buffer): string {
  const text = bytes.toString('latin1');
  return ascii.test(text) ? text : text.replace(/[\u0080-\u009f]/g, (c) => upper[c.charCodeAt(0) - 0x80] ?? '?');
}

/** @returns the text as a varchar column keeps it */
export function through1252(text: string): string {
  return ascii.test(text) ? text : decode1252(encode1252(text));
}
