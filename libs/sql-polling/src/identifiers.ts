/** Thrown for a table or column name that is not on the allow-list of characters. */
export class IdentifierError extends Error {
  override readonly name = 'IdentifierError';
  readonly identifier: string;

  constructor(identifier: string) {
    super(`"${identifier}" is not a plain SQL name (letters, digits, _ $ # @ - and inner spaces, at most 128)`);
    this.identifier = identifier;
  }
}

const plainName = /^[\p{L}_][\p{L}\p{N}_$#@-]*( [\p{L}\p{N}_$#@-]+)*$/u;

export function isPlainIdentifier(name: string): boolean {
  return name.length <= 128 && plainName.test(name);
}

/**
 * A name in brackets, as QUOTENAME gives it. The allow-list already keeps brackets out; they are doubled all the same.
 *
 * @throws IdentifierError
 */
export function quoteIdentifier(name: string): string {
  if (!isPlainIdentifier(name)) throw new IdentifierError(name);
  return `[${name.replaceAll(']', ']]')}]`;
}

/** `schema.table` (or a table alone) in brackets. @throws IdentifierError */
export function quoteTable(name: string): string {
  const parts = name.split('.');
  if (parts.length > 2) throw new IdentifierError(name);
  return parts.map(quoteIdentifier).join('.');
}
