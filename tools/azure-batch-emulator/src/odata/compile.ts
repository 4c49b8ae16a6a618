import type { Filter, Literal, Operator } from './filter.ts';
import type { FilterProperty, FilterTable } from './properties.ts';

/** Thrown when a filter names a property, operator or literal that its list does not allow. */
export class FilterNotAllowedError extends Error {
  override readonly name = 'FilterNotAllowedError';
}

export interface Condition {
  readonly sql: string;
  readonly values: readonly (string | number)[];
}

const symbols: Readonly<Record<Operator, string>> = { eq: '=', ne: 'IS NOT', gt: '>', ge: '>=', lt: '<', le: '<=' };
const wantedLiteral = {
  key: 'text',
  enum: 'text',
  text: 'text',
  time: 'time',
  number: 'number',
  boolean: 'boolean',
} as const;

function propertyOf(table: FilterTable, name: string): FilterProperty {
  const property = Object.hasOwn(table, name) ? table[name] : undefined;
  if (property === undefined) throw new FilterNotAllowedError(`property ${name} cannot be filtered in this list`);
  return property;
}

/** The literal as it is stored: string values compare without case, except file names. */
function stored(property: FilterProperty, name: string, literal: Literal): string | number {
  if (literal.kind !== wantedLiteral[property.kind]) {
    throw new FilterNotAllowedError(`property ${name} is compared with a ${wantedLiteral[property.kind]} literal`);
  }
  if (literal.kind === 'text') return property.kind === 'text' ? literal.value : literal.value.toLowerCase();
  return literal.kind === 'boolean' ? Number(literal.value) : literal.value;
}

function checked(
  filter: Exclude<Filter, { kind: 'and' } | { kind: 'or' }>,
  table: FilterTable,
): { property: FilterProperty; value: string | number } {
  const property = propertyOf(table, filter.property);
  if (filter.kind === 'startswith') {
    if (property.startswith !== true) {
      throw new FilterNotAllowedError(`property ${filter.property} does not allow startswith`);
    }
    return { property, value: stored(property, filter.property, { kind: 'text', value: filter.prefix }) };
  }
  if (!property.operators.includes(filter.operator)) {
    throw new FilterNotAllowedError(`property ${filter.property} does not allow ${filter.operator}`);
  }
  return { property, value: stored(property, filter.property, filter.literal) };
}

/**
 * A filter as an SQL condition over the list's columns. `ne` holds for an absent value, the other comparisons do not.
 *
 * @throws FilterNotAllowedError
 */
export function toSql(filter: Filter, table: FilterTable): Condition {
  if (filter.kind === 'and' || filter.kind === 'or') {
    const left = toSql(filter.left, table);
    const right = toSql(filter.right, table);
    return {
      sql: `(${left.sql} ${filter.kind.toUpperCase()} ${right.sql})`,
      values: [...left.values, ...right.values],
    };
  }
  const { property, value } = checked(filter, table);
  if (filter.kind === 'startswith') {
    return { sql: `substr(${property.column}, 1, length(?)) = ?`, values: [value, value] };
  }
  return { sql: `${property.column} ${symbols[filter.operator]} ?`, values: [value] };
}

/** The same meaning over a record of columns (files have no table). @throws FilterNotAllowedError */
export function matches(
  filter: Filter,
  table: FilterTable,
  record: Readonly<Record<string, string | number | null>>,
): boolean {
  if (filter.kind === 'and') return matches(filter.left, table, record) && matches(filter.right, table, record);
  if (filter.kind === 'or') return matches(filter.left, table, record) || matches(filter.right, table, record);
  const { property, value } = checked(filter, table);
  const held = record[property.column] ?? null;
  if (filter.kind === 'startswith') return typeof held === 'string' && held.startsWith(String(value));
  if (filter.operator === 'ne') return held !== value;
  if (held === null) return false;
  if (filter.operator === 'eq') return held === value;
  if (filter.operator === 'gt') return held > value;
  if (filter.operator === 'ge') return held >= value;
  return filter.operator === 'lt' ? held < value : held <= value;
}

/** Checks names, operators and literals of the whole filter before any row is read. @throws FilterNotAllowedError */
export function check(filter: Filter, table: FilterTable): void {
  toSql(filter, table);
}
