import type { StartPosition } from '../log/position.ts';

/** What a link's address names. */
export type LinkAddress =
  | { readonly kind: 'cbs' }
  | { readonly kind: 'management' }
  | { readonly kind: 'hub'; readonly hub: string; readonly partition: string | undefined }
  | { readonly kind: 'publisher'; readonly hub: string; readonly publisher: string }
  | { readonly kind: 'reader'; readonly hub: string; readonly consumerGroup: string; readonly partition: string }
  | { readonly kind: 'unknown' };

/**
 * Reads an address: `$cbs`, `$management`, `hub`, `hub/Partitions/0`, `hub/Publishers/name`,
 * `hub/ConsumerGroups/group/Partitions/0`, with or without scheme and host in front (Python sends whole URLs). Fixed words do not distinguish case.
 */
export function parseAddress(address: string): LinkAddress {
  const path = address.replace(/^[a-z]+:\/\/[^/]*\/?/i, '');
  const parts = path.split('/').filter((part) => part !== '');
  const [first = '', second = '', third = '', fourth = '', fifth = ''] = parts;
  const word = second.toLowerCase();
  if (parts.length === 1 && first === '$cbs') return { kind: 'cbs' };
  if (parts.at(-1) === '$management' && parts.length <= 2) return { kind: 'management' };
  if (parts.length === 1) return { kind: 'hub', hub: first, partition: undefined };
  if (parts.length === 3 && word === 'partitions') return { kind: 'hub', hub: first, partition: third };
  if (parts.length === 3 && word === 'publishers') return { kind: 'publisher', hub: first, publisher: third };
  if (parts.length === 5 && word === 'consumergroups' && fourth.toLowerCase() === 'partitions') {
    return { kind: 'reader', hub: first, consumerGroup: third, partition: fifth };
  }
  return { kind: 'unknown' };
}

/** Thrown when a receiver's filter is none that the service knows. */
export class FilterError extends Error {
  constructor(filter: string) {
    super(`the filter "${filter}" is not served: x-opt-offset, x-opt-sequence-number or x-opt-enqueued-time, > or >=`);
    this.name = 'FilterError';
  }
}

const filterKey = 'apache.org:selector-filter:string';
const grammar = /^amqp\.annotation\.x-opt-(offset|sequence-number|enqueued-time(?:-utc)?)\s*(>=|>)\s*'([^']*)'$/i;

/** The expression of a receiver's selector filter, undefined without one. */
export function filterExpression(filters: Readonly<Record<string, unknown>> | null | undefined): string | undefined {
  const filter = filters?.[filterKey];
  if (filter === undefined || filter === null) return undefined;
  if (typeof filter === 'string') return filter;
  const { value } = filter as { readonly value?: unknown };
  return typeof value === 'string' ? value : '';
}

/** @throws FilterError */
export function parseFilter(expression: string | undefined): StartPosition {
  if (expression === undefined) return { kind: 'earliest' };
  const [, annotation, operator, value = ''] = grammar.exec(expression.trim()) ?? [];
  const inclusive = operator === '>=';
  if (annotation === 'offset' && value === '@latest') return { kind: 'latest' };
  const number = Number(value);
  if (annotation === undefined || value === '' || !Number.isSafeInteger(number)) throw new FilterError(expression);
  if (annotation === 'offset') return { kind: 'offset', offset: number, inclusive };
  if (annotation === 'sequence-number') return { kind: 'sequence', sequence: number, inclusive };
  return { kind: 'time', unixMs: number, inclusive };
}
