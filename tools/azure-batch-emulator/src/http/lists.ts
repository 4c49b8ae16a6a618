import { FilterSyntaxError, parseFilter, type Filter } from '../odata/filter.ts';
import { check, FilterNotAllowedError, toSql, type Condition } from '../odata/compile.ts';
import type { FilterTable } from '../odata/properties.ts';
import { refusal, type BatchError } from '../wire/errors.ts';
import { metadata, type Call, type Reply } from './call.ts';

export function badQuery(name: string, value: string, reason: string): BatchError {
  return refusal('InvalidQueryParameterValue', {
    QueryParameterName: name,
    QueryParameterValue: value.length > 300 ? `${value.slice(0, 300)}…` : value,
    Reason: reason,
  });
}

/** The request's `$filter`, checked against what its list allows. @throws BatchError */
export function filterOf(call: Call, table: FilterTable): Filter | undefined {
  const text = call.query.get('$filter');
  if (text === undefined || text.trim() === '') return undefined;
  try {
    const filter = parseFilter(text);
    check(filter, table);
    return filter;
  } catch (error) {
    if (error instanceof FilterSyntaxError || error instanceof FilterNotAllowedError) {
      throw badQuery('$filter', text, error.message);
    }
    throw error;
  }
}

export function conditionOf(call: Call, table: FilterTable): Condition | undefined {
  const filter = filterOf(call, table);
  return filter === undefined ? undefined : toSql(filter, table);
}

/** Names of `$select`, or undefined for all. */
export function selectOf(call: Call): ReadonlySet<string> | undefined {
  const text = call.query.get('$select');
  if (text === undefined || text.trim() === '') return undefined;
  return new Set(text.split(',').map((name) => name.trim()));
}

/** Whether `$expand` asks for stats; it may ask for nothing else. @throws BatchError */
export function expandsStats(call: Call): boolean {
  const text = call.query.get('$expand');
  if (text === undefined || text === '') return false;
  if (text !== 'stats') throw badQuery('$expand', text, 'only stats can be expanded');
  return true;
}

/** Keeps the selected top-level properties; `odata.metadata` always stays. */
export function pick(
  entity: Record<string, unknown>,
  select: ReadonlySet<string> | undefined,
): Record<string, unknown> {
  if (select === undefined) return entity;
  return Object.fromEntries(Object.entries(entity).filter(([name]) => select.has(name) || name === 'odata.metadata'));
}

export interface Page {
  /** The number after which this page starts (0 = from the beginning). */
  readonly after: number;
  readonly size: number;
}

/** @throws BatchError for maxresults outside 1..1000 or a foreign $skiptoken */
export function pageOf(call: Call): Page {
  const max = call.query.get('maxresults');
  const size = max === undefined ? 1000 : Number(max);
  if (!Number.isInteger(size) || max === '') throw badQuery('maxresults', max ?? '', 'it is not an integer');
  if (size < 1 || size > 1000) {
    throw refusal('OutOfRangeQueryParameterValue', {
      QueryParameterName: 'maxresults',
      QueryParameterValue: String(size),
      MinimumAllowed: '1',
      MaximumAllowed: '1000',
    });
  }
  const token = call.query.get('$skiptoken');
  if (token === undefined) return { after: 0, size };
  if (!/^n[0-9a-z]{1,10}$/.test(token)) throw badQuery('$skiptoken', token, 'it was not issued by this service');
  return { after: Number.parseInt(token.slice(1), 36), size };
}

/**
 * Answers one page. `rows` holds up to one row more than the page, which tells that there is another page.
 */
export function listReply<T>(
  call: Call,
  path: string,
  kind: string,
  page: Page,
  rows: readonly T[],
  numberOf: (row: T) => number,
  render: (row: T) => Record<string, unknown>,
): Reply {
  const shown = rows.slice(0, page.size);
  const last = shown.at(-1);
  const more = rows.length > page.size && last !== undefined;
  const query = new URLSearchParams([...call.query].filter(([name]) => name !== '$skiptoken'));
  if (more) query.set('$skiptoken', `n${numberOf(last).toString(36)}`);
  return {
    status: 200,
    json: {
      ...metadata(call, kind),
      value: shown.map(render),
      ...(more ? { 'odata.nextLink': `${call.base}${path}?${query.toString().replaceAll('+', '%20')}` } : {}),
    },
  };
}
