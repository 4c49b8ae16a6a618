import { randomUUID } from 'node:crypto';
import { silentLogger } from '@xva/runtime';
import { requestFieldsOf, someDetails, type RequestFields } from '@xva/testkit';
import {
  OutboxSource,
  parseDefinitions,
  SqlConnection,
  SqlPool,
  type OutboxDefinition,
  type SqlRunner,
  type Statement,
} from '../src/index.ts';
import type { RawSql, Target } from './target.ts';

export function definitionOf(yaml = ''): OutboxDefinition {
  const text = `version: 1\ndefinitions:\n  - { name: run-requests, mode: outbox, maxAttempts: 3, leaseSeconds: 60${yaml} }\n`;
  const [definition] = parseDefinitions(text, 'test.yaml');
  if (definition?.mode !== 'outbox') throw new Error('not an outbox');
  return definition;
}

const insert: Statement = {
  name: 'insert',
  sql: `INSERT INTO xva.RunRequest (Book, AsOf, Cut, Scenario, Revision, BaseCurrency, Samples, Seed, Quantile, DvaName, GridTenors, Strict, Priority, Traceparent)
OUTPUT inserted.RequestId VALUES (@book, @asOf, @cut, @scenario, @revision, @baseCurrency, @samples, @seed, @quantile, @dvaName, @grid, @strict, @priority, @traceparent)`,
  parameters: {
    book: 'nvarchar(64)',
    asOf: 'varchar(10)',
    cut: 'nvarchar(64)',
    scenario: 'nvarchar(64)',
    revision: 'int',
    baseCurrency: 'nvarchar(10)',
    samples: 'int',
    seed: 'int',
    quantile: 'varchar(42)',
    dvaName: 'nvarchar(64)',
    grid: 'nvarchar(4000)',
    strict: 'int',
    priority: 'int',
    traceparent: 'nvarchar(55)',
  },
};

export async function insertRow(runner: SqlPool, fields: RequestFields = {}): Promise<string> {
  const all = requestFieldsOf(fields);
  const values = Object.entries(all).map(([name, value]) => [name, typeof value === 'boolean' ? Number(value) : value]);
  const { resultSets } = await runner.query(
    insert,
    Object.fromEntries(values) as Record<string, string | number | null>,
  );
  return String(resultSets[0]?.rows[0]?.['RequestId']);
}

export async function emptyTables(raw: RawSql): Promise<void> {
  for (const table of ['RunRequest', 'NettingSet', 'Trade', 'Quote', 'Fixing'])
    await raw.run(`DELETE FROM xva.${table}`);
  const [set] = someDetails.nettingSets;
  const [trade] = someDetails.trades;
  await raw.run(
    `INSERT INTO xva.NettingSet (Book, NettingSetId, Counterparty) VALUES (N'RATES', N'${set!.nettingSetId}', N'${set!.counterparty}')`,
  );
  await raw.run(
    `INSERT INTO xva.Trade (Book, TradeId, NettingSetId, TradeType, Terms) VALUES (N'RATES', N'${trade!.tradeId}', N'${trade!.nettingSetId}', N'${trade!.tradeType}', N'${trade!.terms}')`,
  );
  await raw.run(
    `INSERT INTO xva.Quote (AsOf, Cut, Scenario, QuoteKey, QuoteValue) VALUES ('2026-09-30', N'EOD', N'BASE', N'FX/RATE/EUR/USD', 1.1)`,
  );
  await raw.run(
    `INSERT INTO xva.Fixing (IndexName, FixingDate, FixingValue) VALUES (N'EUR-ESTER', '2026-09-29', 0.0193)`,
  );
}

export function openPool(target: Target, size = 4): SqlPool {
  return new SqlPool(() => SqlConnection.connect(target.options), size);
}

export function sourceOn(pool: SqlRunner, definition = definitionOf()): OutboxSource {
  return new OutboxSource({ runner: pool, definition, owner: 'tests', newToken: randomUUID, logger: silentLogger });
}
