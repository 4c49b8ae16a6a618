import type { Statement } from '../client/statement.ts';
import type { DetailName, OutboxDefinition, PollingDefinition } from '../definition/schema.ts';
import { quoteIdentifier, quoteTable } from '../identifiers.ts';
import { claimNames, rowStatus } from './claim.ts';
import { requestColumns } from './request-columns.ts';

/** How request and details are read as of one instant. */
export type ReadConsistency = 'snapshot' | 'serializable';

/** Order of the result sets after the request row's own. */
export const detailOrder: readonly DetailName[] = ['nettingSets', 'trades', 'quotes', 'fixings'];

/** Names that each detail query's columns must have, its own or generated. */
export const detailColumns: Readonly<Record<DetailName, readonly string[]>> = {
  nettingSets: ['nettingSetId', 'counterparty', 'csa'],
  trades: ['tradeId', 'nettingSetId', 'tradeType', 'terms'],
  quotes: ['key', 'value'],
  fixings: ['index', 'date', 'value'],
};

/** The four detail queries: the definition's own text, or one on its tables and columns. */
export function detailQueries(definition: PollingDefinition): Readonly<Record<DetailName, string>> {
  const { nettingSets, trades, quotes, fixings } = definition.details;
  const q = quoteIdentifier;
  const asOf = 'CONVERT(date, @asOf, 23)';
  const n = nettingSets.columns;
  const t = trades.columns;
  const u = quotes.columns;
  const f = fixings.columns;
  return {
    nettingSets:
      nettingSets.sql ??
      `SELECT ${q(n.nettingSetId)} AS [nettingSetId], ${q(n.counterparty)} AS [counterparty], ${q(n.csa)} AS [csa] FROM ${quoteTable(nettingSets.table)} WHERE ${q(n.book)} = @book`,
    trades:
      trades.sql ??
      `SELECT ${q(t.tradeId)} AS [tradeId], ${q(t.nettingSetId)} AS [nettingSetId], ${q(t.tradeType)} AS [tradeType], ${q(t.terms)} AS [terms] FROM ${quoteTable(trades.table)} WHERE ${q(t.book)} = @book`,
    quotes:
      quotes.sql ??
      `SELECT ${q(u.key)} AS [key], CONVERT(varchar(42), ${q(u.value)}) AS [value] FROM ${quoteTable(quotes.table)} WHERE ${q(u.asOf)} = ${asOf} AND ${q(u.cut)} = @cut AND ${q(u.scenario)} = @scenario`,
    fixings:
      fixings.sql ??
      `SELECT ${q(f.index)} AS [index], CONVERT(varchar(10), ${q(f.date)}, 23) AS [date], CONVERT(varchar(42), ${q(f.value)}) AS [value] FROM ${quoteTable(fixings.table)} WHERE ${q(f.date)} <= ${asOf} AND ${q(f.date)} >= DATEADD(day, -@fixingDays, ${asOf})`,
  };
}

/**
 * The request row (only under its lease) and its details, as of one instant, in one round trip: five result sets.
 *
 * `snapshot` locks nothing. `serializable` is for databases that do not allow it: every row and range read stays locked
 * until the commit, so nothing can slip in between two of the reads; REPEATABLE READ would let new rows do so, which may
 * put a writer's new quotes beside its old trades.
 */
export function detailsStatement(definition: OutboxDefinition, consistency: ReadConsistency): Statement {
  const c = claimNames(definition);
  const own = `SELECT ${c.id} AS [requestId], ${requestColumns(definition)} FROM ${quoteTable(definition.table)} WHERE ${c.id} = @requestId AND ${c.leaseToken} = @leaseToken AND ${c.status} = ${rowStatus.claimed}`;
  return detailsBatch(definition, consistency, own, { requestId: 'bigint', leaseToken: 'uniqueidentifier' });
}

/** The same for any statement that gives the request's own row; `parameters` are those of `own` alone. */
export function detailsBatch(
  definition: PollingDefinition,
  consistency: ReadConsistency,
  own: string,
  parameters: Statement['parameters'],
): Statement {
  const queries = detailQueries(definition);
  return {
    name: `details-${consistency}`,
    sql: `SET TRANSACTION ISOLATION LEVEL ${consistency === 'snapshot' ? 'SNAPSHOT' : 'SERIALIZABLE'};
BEGIN TRANSACTION;
${[own, ...detailOrder.map((name) => queries[name])].join('\n;\n')}
;
COMMIT TRANSACTION;
SET TRANSACTION ISOLATION LEVEL READ COMMITTED;`,
    parameters: {
      ...parameters,
      book: 'nvarchar(200)',
      asOf: 'varchar(10)',
      cut: 'nvarchar(200)',
      scenario: 'nvarchar(200)',
      revision: 'int',
      fixingDays: 'int',
    },
  };
}
