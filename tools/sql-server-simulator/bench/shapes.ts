import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { TYPES } from 'tedious';
import { startSqlServerSimulator } from '../src/index.ts';
import { Client } from '../test/client.ts';

/** Prints what the product's statement shapes cost over the wire, on a data file: claims, completion, detail reads, inserts. */
const directory = mkdtempSync(join(tmpdir(), 'sql-simulator-bench-'));
const simulator = await startSqlServerSimulator({ dataDirectory: directory });
const client = await Client.open(simulator);

async function measure(name: string, times: number, work: (round: number) => Promise<unknown>): Promise<void> {
  const spent: number[] = [];
  for (let round = 0; round < times; round += 1) {
    const start = performance.now();
    await work(round);
    spent.push(performance.now() - start);
  }
  spent.sort((left, right) => left - right);
  const at = (part: number): string =>
    (spent[Math.min(Math.floor(spent.length * part), spent.length - 1)] ?? 0).toFixed(2);
  process.stdout.write(`${name.padEnd(46)} n=${times}  p50 ${at(0.5)} ms  p95 ${at(0.95)} ms\n`);
}

await client.query(`ALTER DATABASE CURRENT SET ALLOW_SNAPSHOT_ISOLATION ON;
  CREATE TABLE dbo.RunRequest (RequestId bigint IDENTITY(1,1) PRIMARY KEY, Book varchar(40) NOT NULL, Revision int NOT NULL, Status varchar(12) NOT NULL DEFAULT 'pending', NotBefore datetime2(7) NOT NULL DEFAULT SYSUTCDATETIME(), LeaseUntil datetime2(7) NULL, LeaseToken uniqueidentifier NULL, Attempts int NOT NULL DEFAULT 0, RowVer rowversion, INDEX IX_Claim (Status, RequestId));
  CREATE TABLE dbo.Quote (AsOf date NOT NULL, QuoteKey varchar(80) NOT NULL, Value decimal(28,12) NOT NULL, PRIMARY KEY (AsOf, QuoteKey));
  CREATE TABLE dbo.Trade (TradeId varchar(40) PRIMARY KEY, Book varchar(40) NOT NULL, Terms nvarchar(max) NOT NULL CHECK (ISJSON(Terms) = 1), INDEX IX_Trade_Book (Book))`);
const values = (count: number, row: (index: number) => string): string =>
  Array.from({ length: count }, (_, index) => row(index)).join(',');
for (let block = 0; block < 20; block += 1)
  await client.query(
    `INSERT dbo.RunRequest (Book, Revision) VALUES ${values(1000, (index) => `('B${block}', ${index})`)}`,
  );
for (let block = 0; block < 5; block += 1)
  await client.query(
    `INSERT dbo.Quote VALUES ${values(1000, (index) => `('2026-11-20', 'IR_SWAP/RATE/EUR/${block}/${index}', ${index}.123456789012)`)}`,
  );
await client.query(
  `INSERT dbo.Trade VALUES ${values(1000, (index) => `('T${index}', 'B${index % 10}', N'{"type":"swap","notional":"${index}.25","legs":[{"rate":"0.031"}]}')`)}`,
);

const claimed: string[] = [];
const claim = `/* claim */ ;WITH c AS (SELECT TOP (@n) RequestId, Status, LeaseUntil, LeaseToken, Attempts FROM dbo.RunRequest WITH (ROWLOCK, READPAST, UPDLOCK) WHERE Status = 'pending' AND NotBefore <= SYSUTCDATETIME() ORDER BY RequestId)
  UPDATE c SET Status = 'claimed', LeaseUntil = DATEADD(second, @lease, SYSUTCDATETIME()), LeaseToken = @token, Attempts += 1 OUTPUT inserted.RequestId, inserted.Attempts`;
await measure('claim 1 of 20,000', 500, async () => {
  const { rows } = await client.query(claim, (request) => {
    request.addParameter('n', TYPES.Int, 1);
    request.addParameter('lease', TYPES.Int, 60);
    request.addParameter('token', TYPES.UniqueIdentifier, '0F8FAD5B-D9CB-469F-A165-70867728950E');
  });
  claimed.push(String(rows[0]?.['RequestId']));
});
await measure('complete with fencing', 500, async (round) => {
  const { count } = await client.query(
    `UPDATE dbo.RunRequest SET Status = 'done', LeaseToken = NULL WHERE RequestId = @id AND LeaseToken = @token`,
    (request) => {
      request.addParameter('id', TYPES.BigInt, claimed[round]);
      request.addParameter('token', TYPES.UniqueIdentifier, '0F8FAD5B-D9CB-469F-A165-70867728950E');
    },
  );
  if (count !== 1) throw new Error('the fence should have let this through');
});
await measure('claim with OR over expired leases', 100, async () => {
  await client.query(`;WITH c AS (SELECT TOP (1) * FROM dbo.RunRequest WITH (ROWLOCK, READPAST, UPDLOCK) WHERE (Status = 'pending' AND NotBefore <= SYSUTCDATETIME()) OR (Status = 'claimed' AND LeaseUntil < SYSUTCDATETIME()) ORDER BY RequestId)
    UPDATE c SET Status = 'claimed', LeaseUntil = DATEADD(second, 60, SYSUTCDATETIME()) OUTPUT inserted.RequestId`);
});
await measure('SELECT 5,000 quotes as text', 30, () =>
  client.query(
    `SELECT QuoteKey, CONVERT(varchar(50), Value) AS Value FROM dbo.Quote WHERE AsOf = '2026-11-20' ORDER BY QuoteKey`,
  ),
);
await measure('SELECT 100 trades of a book', 200, () =>
  client.query(`SELECT TradeId, Terms FROM dbo.Trade WHERE Book = 'B3' ORDER BY TradeId`),
);
await measure('SNAPSHOT: begin, three reads, commit', 100, async () => {
  await client.query(
    `SET TRANSACTION ISOLATION LEVEL SNAPSHOT; BEGIN TRAN; SELECT * FROM dbo.RunRequest WHERE RequestId = 7; SELECT TradeId, Terms FROM dbo.Trade WHERE Book = 'B3'; SELECT COUNT(*) AS n FROM dbo.Quote; COMMIT; SET TRANSACTION ISOLATION LEVEL READ COMMITTED`,
  );
});
await measure('INSERT one request', 500, () => client.query(`INSERT dbo.RunRequest (Book, Revision) VALUES ('Z', 1)`));
await measure('empty poll', 500, () =>
  client.query(`SELECT TOP (1) RequestId FROM dbo.RunRequest WITH (READPAST) WHERE Status = 'none' ORDER BY RequestId`),
);
process.stdout.write(`resident ${(process.memoryUsage().rss / 2 ** 20).toFixed(0)} MB\n`);
await client.close();
await simulator.stop();
rmSync(directory, { recursive: true, force: true });
