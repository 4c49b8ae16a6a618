import type { ParameterType, ParameterValue, Statement } from '../client/statement.ts';
import type { OutboxDefinition, PollingDefinition } from '../definition/schema.ts';
import { quoteTable } from '../identifiers.ts';
import { claimNames, rowStatus } from './claim.ts';
import { detailsBatch, type ReadConsistency } from './details.ts';
import { requestColumns } from './request-columns.ts';

/**
 * Rows that one statement takes. Few sizes, so that a server keeps few plans; places that are left over hold NULL, which
 * equals no row. The largest stays far below the 2,100 parameters of a request.
 */
export const mostPageRows = 256;
const pageSizes = [4, 16, 64, mostPageRows];

/** The smallest size that takes so many rows. */
function pageSizeFor(rows: number): number {
  return pageSizes.find((size) => size >= rows) ?? mostPageRows;
}

type PageColumns = Readonly<Record<string, ParameterType>>;

/** `(VALUES (@id0, @token0), …) AS page (id, token)`, and the parameters in it. */
function pageOf(columns: PageColumns, size: number): { readonly values: string; readonly parameters: PageColumns } {
  const names = Object.keys(columns);
  const places = Array.from({ length: size }, (_, place) => names.map((name) => `@${name}${place}`).join(', '));
  return {
    values: `(VALUES (${places.join('), (')})) AS page (${names.join(', ')})`,
    parameters: Object.fromEntries(
      Array.from({ length: size }, (_, place) =>
        Object.entries(columns).map(([name, type]): [string, ParameterType] => [`${name}${place}`, type]),
      ).flat(),
    ),
  };
}

/** Statements by size: their texts are long, and there are few. */
export function ofEverySize(make: (size: number) => Statement): (rows: number) => Statement {
  const made = new Map<number, Statement>();
  return (rows) => {
    const size = pageSizeFor(rows);
    const statement = made.get(size) ?? make(size);
    made.set(size, statement);
    return statement;
  };
}

/** What goes into the places of a page. */
export function pageValues(
  rows: readonly Readonly<Record<string, ParameterValue>>[],
  names: readonly string[],
): Record<string, ParameterValue> {
  const size = pageSizeFor(rows.length);
  const entries = Array.from({ length: size }, (_, place) =>
    names.map((name): [string, ParameterValue] => [`${name}${place}`, rows[place]?.[name] ?? null]),
  );
  return Object.fromEntries(entries.flat());
}

export const completedColumns = ['id', 'token', 'event'] as const;
export const ownColumns = ['id', 'token'] as const;

/**
 * `complete` of many rows, each fenced by its own token. The count of rows says whether all were still theirs: which one
 * was not, the statement for one row tells, which may be repeated after this one.
 */
export function completePage(definition: OutboxDefinition, size: number): Statement {
  const c = claimNames(definition);
  const page = pageOf({ id: 'bigint', token: 'uniqueidentifier', event: 'varchar(32)' }, size);
  return {
    name: `complete-${size}`,
    sql: `UPDATE claimed SET ${c.status} = ${rowStatus.published}, ${c.eventId} = page.event, ${c.publishedAt} = SYSUTCDATETIME(), ${c.lockedUntil} = NULL, ${c.lastError} = NULL
FROM ${page.values} INNER JOIN ${quoteTable(definition.table)} AS claimed ON claimed.${c.id} = page.id
WHERE claimed.${c.leaseToken} = page.token AND claimed.${c.status} IN (${rowStatus.claimed}, ${rowStatus.published})`,
    parameters: page.parameters,
  };
}

/** Rows under their leases and, once for all of them, the details that they share, as of one instant. */
export function detailsPage(definition: OutboxDefinition, consistency: ReadConsistency, size: number): Statement {
  const c = claimNames(definition);
  const page = pageOf({ id: 'bigint', token: 'uniqueidentifier' }, size);
  const own = `SELECT claimed.${c.id} AS [requestId], ${requestColumns(definition, 'claimed.')} FROM ${page.values} INNER JOIN ${quoteTable(definition.table)} AS claimed ON claimed.${c.id} = page.id WHERE claimed.${c.leaseToken} = page.token AND claimed.${c.status} = ${rowStatus.claimed}`;
  const { name, ...batch } = detailsBatch(definition, consistency, own, page.parameters);
  return { ...batch, name: `${name}-${size}` };
}

/** Whether details can be the same for two rows: a query of the definition's own may ask for what is the row's alone. */
export function areDetailsShared({ details }: PollingDefinition): boolean {
  return Object.values(details).every(
    ({ sql }) => sql === undefined || !/@(revision|requestId|leaseToken)\b/i.test(sql),
  );
}
