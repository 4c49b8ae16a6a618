import { binaryKey, collationKey } from './collation.ts';
import { family, type OffsetTime, type SqlType, type Value } from './sql-type.ts';

/** A value as a primitive whose `<` and `===` are the order and equality of its type. */
export type SortKey = null | number | bigint | string;

function guidKey(text: string): string {
  // uniqueidentifier compares its last six bytes first, then backwards by group.
  return `${text.slice(24)}${text.slice(19, 23)}${text.slice(16, 18)}${text.slice(14, 16)}${text.slice(11, 13)}${text.slice(9, 11)}${text.slice(6, 8)}${text.slice(4, 6)}${text.slice(2, 4)}${text.slice(0, 2)}`;
}

function binarySortKey(value: Uint8Array): string {
  let end = value.length;
  while (end > 0 && value[end - 1] === 0) end -= 1;
  return Buffer.from(value.buffer, value.byteOffset, end).toString('latin1');
}

/** @returns the function from a type's values to sort keys; strings remember the last one (predicates repeat values) */
export function sortKeyOf(type: SqlType): (value: Value) => SortKey {
  switch (family(type)) {
    case 'string': {
      const key = type.binaryCollation === true ? binaryKey : collationKey;
      let lastText: string | undefined;
      let lastKey = '';
      return (value) => {
        if (value === null) return null;
        if (value !== lastText) {
          lastText = value as string;
          lastKey = key(lastText);
        }
        return lastKey;
      };
    }
    case 'guid':
      return (value) => (value === null ? null : guidKey(value as string));
    case 'binary':
      return (value) => (value === null ? null : binarySortKey(value as Uint8Array));
    case 'offset':
      return (value) => (value === null ? null : (value as OffsetTime).ticks);
    default:
      return (value) => value as SortKey;
  }
}

/** Order of two sort keys of one type; NULL comes first. */
export function compareKeys(left: SortKey, right: SortKey): number {
  if (left === right) return 0;
  if (left === null) return -1;
  if (right === null) return 1;
  return left < right ? -1 : left > right ? 1 : 0;
}

/** @returns a text that is equal for equal keys of one type: for hashing in joins, GROUP BY and DISTINCT */
export function hashText(key: SortKey): string {
  return key === null
    ? '\u0000N'
    : typeof key === 'string'
      ? key
      : typeof key === 'bigint'
        ? key.toString()
        : String(key === 0 ? 0 : key);
}
