import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { sqlSimulatorLogin, startSqlSimulatorProcess, type SqlSimulatorProcess } from '@xva/testkit';
import { insertRequest, LabSql, loadBook, requestState, type BookRows } from './load-book.ts';

const folder = fileURLToPath(new URL('../sql/', import.meta.url));

function book(quotes = 3): BookRows {
  const day = { asOf: '2026-09-30', cut: 'EOD', scenario: 'BASE' };
  return {
    requests: [
      {
        ...day,
        book: 'SMALL',
        revision: 1,
        baseCurrency: 'EUR',
        samples: 50,
        seed: 42,
        quantile: '0.95',
        dvaName: 'LAB_BANK',
        grid: ['1W', '1M'],
        strict: false,
        priority: 0,
      },
    ],
    nettingSets: [
      { book: 'SMALL', id: 'NS_A', counterparty: 'ALDER', csa: null },
      { book: 'SMALL', id: 'NS_B', counterparty: 'BALTIC', csa: { currency: 'EUR' } },
    ],
    trades: [
      { book: 'SMALL', tradeId: 'T1', nettingSetId: 'NS_A', tradeType: 'FxForward', terms: { note: "it's" } },
      { book: 'SMALL', tradeId: 'T1', nettingSetId: 'NS_A', tradeType: 'FxForward', terms: 'no JSON' },
    ],
    quotes: Array.from({ length: quotes }, (_, index) => ({
      ...day,
      key: `Q/${index}`,
      value: `${index}.000000000001`,
    })),
    fixings: [{ index: 'EUR-ESTER', date: '2026-09-29', value: '0.0193' }],
  };
}

describe('loading a book', () => {
  let simulator: SqlSimulatorProcess;
  let sql: LabSql;
  beforeAll(async () => {
    simulator = await startSqlSimulatorProcess();
    sql = await LabSql.connect({ ...sqlSimulatorLogin, host: simulator.host, port: simulator.port });
    await sql.runFile(`${folder}01-schema.sql`);
  }, 60_000);
  afterAll(async () => {
    sql.close();
    await simulator.stop();
  });

  it('can apply the schema twice', async () => {
    await sql.runFile(`${folder}01-schema.sql`);
  });

  it('replaces what the tables hold of the book, to the last digit', async () => {
    await loadBook(sql, book(5));
    await loadBook(sql, book());
    const quotes = await sql.query(
      'SELECT QuoteKey, CONVERT(varchar(42), QuoteValue) AS V FROM xva.Quote ORDER BY QuoteKey',
    );
    expect(quotes).toEqual([0, 1, 2].map((index) => ({ QuoteKey: `Q/${index}`, V: `${index}.000000000001` })));
    expect(await sql.query('SELECT NettingSetId, Csa FROM xva.NettingSet ORDER BY NettingSetId')).toEqual([
      { NettingSetId: 'NS_A', Csa: null },
      { NettingSetId: 'NS_B', Csa: '{"currency":"EUR"}' },
    ]);
    expect(await sql.query('SELECT TradeId, Terms FROM xva.Trade ORDER BY RowId')).toEqual([
      { TradeId: 'T1', Terms: '{"note":"it\'s"}' },
      { TradeId: 'T1', Terms: 'no JSON' },
    ]);
    expect(await sql.query('SELECT IndexName FROM xva.Fixing')).toHaveLength(1);
  });

  it('leaves everything as it was when a row is refused', async () => {
    await loadBook(sql, book());
    const [quote] = book().quotes;
    const rounded = { ...book(), quotes: [{ ...quote!, value: '1.1234567890123' }] };
    await expect(loadBook(sql, rounded)).rejects.toThrow("Q/0: 1.1234567890123 has more than the column's 12 decimals");
    const broken = { ...book(), fixings: [{ index: 'EUR-ESTER', date: '2026-02-30', value: '1' }] };
    await expect(loadBook(sql, broken)).rejects.toThrow();
    expect(await sql.query('SELECT QuoteKey FROM xva.Quote')).toHaveLength(3);
    expect(await sql.query('SELECT IndexName FROM xva.Fixing')).toHaveLength(1);
  });

  it('loads 5,000 quotes in less than two seconds', async () => {
    const started = performance.now();
    await loadBook(sql, book(5_000));
    expect(performance.now() - started).toBeLessThan(2_000);
    const [count] = await sql.query('SELECT COUNT(*) AS n FROM xva.Quote');
    expect(count).toEqual({ n: 5_000 });
  }, 30_000);

  it('asks for a run once per revision, and follows it', async () => {
    const [request] = book().requests;
    const requestId = await insertRequest(sql, request!);
    expect(await requestState(sql, requestId)).toEqual({ state: 'new', eventId: null, lastError: null, attempts: 0 });
    await expect(insertRequest(sql, request!)).rejects.toMatchObject({ number: 2627 });
    expect(await insertRequest(sql, { ...request!, revision: 2 })).not.toBe(requestId);
    expect(await requestState(sql, '999999')).toBeUndefined();
    const scripts = ['03-rights', '04-rights-rowversion', '05-rights-change-tracking', '06-rights-query'];
    for (const script of scripts) {
      const text = readFileSync(`${folder}${script}.sql`, 'utf8');
      expect(text).not.toMatch(/GRANT (INSERT|DELETE|CONTROL|ALTER)/);
      // Only the queue in the table writes to it.
      if (script !== '03-rights') expect(text).not.toMatch(/GRANT UPDATE/);
    }
  });
});
