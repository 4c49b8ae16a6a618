import { etagOf, parseTime, type Micros } from '../time.ts';
import { BatchError, refusal } from '../wire/errors.ts';
import { header, type Call } from './call.ts';

const names = ['if-match', 'if-none-match', 'if-modified-since', 'if-unmodified-since'] as const;

/** Entity tags come bare or quoted, also weak: compare what is inside. */
function tagsOf(value: string): readonly string[] {
  return value.split(',').map((tag) => tag.trim().replace(/^W\//, '').replaceAll('"', ''));
}

/**
 * Checks the conditional headers of a request against an entity.
 *
 * @throws BatchError 412 for a write, 304 for a read whose condition does not hold; 400 for several or malformed ones
 */
export function checkConditions(call: Call, modified: Micros, kind: 'read' | 'write'): void {
  const given = names.filter((name) => header(call, name) !== undefined);
  if (given.length === 0) return;
  if (given.length > 1) throw refusal('MultipleConditionHeadersNotSupported');
  const name = given[0] as (typeof names)[number];
  const value = header(call, name) ?? '';
  if (!holds(name, value, modified)) {
    const error = refusal('ConditionNotMet');
    const unchanged = kind === 'read' && (name === 'if-none-match' || name === 'if-modified-since');
    throw unchanged ? new BatchError(304, error.code, error.message) : error;
  }
}

function holds(name: (typeof names)[number], value: string, modified: Micros): boolean {
  if (name === 'if-match') return value.trim() === '*' || tagsOf(value).includes(etagOf(modified));
  if (name === 'if-none-match') return value.trim() !== '*' && !tagsOf(value).includes(etagOf(modified));
  const date = parseTime(value);
  if (date === undefined) throw refusal('InvalidHeaderValue', { HeaderName: name, HeaderValue: value });
  // The header has whole seconds: compare what the client could have read from last-modified.
  const seconds = Math.floor(modified / 1_000_000) * 1_000_000;
  return name === 'if-modified-since' ? seconds > date : seconds <= date;
}
