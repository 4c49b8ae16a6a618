import { ISOLATION_LEVEL } from 'tedious';
import { Client } from './client.ts';
import { startServer, type TestServer } from './server.ts';

let server: TestServer;
let a: Client;
let b: Client;

beforeAll(async () => {
  server = await startServer();
  a = await Client.open(server.address);
  b = await Client.open(server.address);
});
afterAll(async () => {
  await a.close();
  await b.close();
  await server.stop();
});
beforeEach(async () => {
  await a.query(`DROP TABLE IF EXISTS dbo.Q; CREATE TABLE dbo.Q (Id int NOT NULL PRIMARY KEY, Status int NOT NULL DEFAULT 0, Owner varchar(10) NULL, V rowversion, INDEX IX_Q (Status, Id));
    INSERT dbo.Q (Id) SELECT x.n * 10 + y.n FROM (VALUES (0),(1),(2),(3),(4),(5),(6),(7),(8),(9)) x(n) CROSS JOIN (VALUES (0),(1),(2),(3),(4),(5),(6),(7),(8),(9)) y(n)`);
});
afterEach(async () => {
  for (const client of [a, b])
    await client.query(
      'IF @@TRANCOUNT > 0 ROLLBACK; SET LOCK_TIMEOUT -1; SET DEADLOCK_PRIORITY NORMAL; SET TRANSACTION ISOLATION LEVEL READ COMMITTED',
    );
});

const claim = (owner: string, n: number): string =>
  `;WITH c AS (SELECT TOP (${n}) Id, Status, Owner FROM dbo.Q WITH (ROWLOCK, READPAST, UPDLOCK) WHERE Status = 0 ORDER BY Id) UPDATE c SET Status = 1, Owner = '${owner}' OUTPUT inserted.Id`;

const ids = (rows: readonly Readonly<Record<string, unknown>>[]): unknown[] => rows.map((row) => row['Id']);

describe('claims', () => {
  it('skips exactly the rows that another transaction holds, and gets them back after its rollback', async () => {
    await a.query('BEGIN TRAN');
    expect(ids((await a.query(claim('a', 4))).rows)).toEqual([0, 1, 2, 3]);
    expect(ids((await b.query(claim('b', 2))).rows)).toEqual([4, 5]);
    await a.query('ROLLBACK');
    expect(ids((await b.query(claim('b', 2))).rows)).toEqual([0, 1]);
  });

  it('never gives a row to two of four workers', async () => {
    const workers = await Promise.all(['w1', 'w2', 'w3', 'w4'].map(() => Client.open(server.address)));
    const taken: unknown[] = [];
    await Promise.all(
      workers.map(async (worker, index) => {
        for (;;) {
          const { rows } = await worker.query(claim(`w${index}`, 3));
          if (rows.length === 0) return;
          taken.push(...ids(rows));
        }
      }),
    );
    expect(taken).toHaveLength(100);
    expect(new Set(taken).size).toBe(100);
    await Promise.all(workers.map((worker) => worker.close()));
  });

  it('fences a late worker', async () => {
    await a.query(claim('a', 1));
    await b.query("UPDATE dbo.Q SET Owner = 'b' WHERE Id = 0");
    expect((await a.query("UPDATE dbo.Q SET Status = 2 WHERE Id = 0 AND Owner = 'a'")).count).toBe(0);
  });
});

describe('locks', () => {
  it('makes a reader wait for a writer, and read the committed value', async () => {
    await a.query('BEGIN TRAN; UPDATE dbo.Q SET Status = 9 WHERE Id = 7');
    const read = b.value('SELECT Status FROM dbo.Q WHERE Id = 7');
    await server.untilWaiting();
    await a.query('COMMIT');
    expect(await read).toBe(9);
  });

  it('raises 1222 after LOCK_TIMEOUT, and NOLOCK reads dirty', async () => {
    await a.query('BEGIN TRAN; UPDATE dbo.Q SET Status = 9 WHERE Id = 7');
    await b.query('SET LOCK_TIMEOUT 50');
    expect(await b.errorNumber('UPDATE dbo.Q SET Status = 8 WHERE Id = 7')).toBe(1222);
    expect(await b.value('SELECT Status FROM dbo.Q WITH (NOLOCK) WHERE Id = 7')).toBe(9);
    expect(await b.value('SELECT COUNT(*) AS n FROM dbo.Q WITH (READPAST)')).toBe(99);
  });

  it('waits for an uncommitted row with the same key, then raises 2627 or goes on', async () => {
    await a.query('BEGIN TRAN; INSERT dbo.Q (Id) VALUES (500)');
    const blocked = b.errorNumber('INSERT dbo.Q (Id) VALUES (500)');
    await server.untilWaiting();
    await a.query('COMMIT');
    expect(await blocked).toBe(2627);
  });

  it('breaks a deadlock: the one with the lower priority gets 1205', async () => {
    await b.query('SET DEADLOCK_PRIORITY LOW; BEGIN TRAN; UPDATE dbo.Q SET Status = 3 WHERE Id = 2');
    await a.query('BEGIN TRAN; UPDATE dbo.Q SET Status = 3 WHERE Id = 1');
    const victim = b.errorNumber('UPDATE dbo.Q SET Status = 4 WHERE Id = 1');
    await server.untilWaiting();
    await a.query('UPDATE dbo.Q SET Status = 4 WHERE Id = 2');
    expect(await victim).toBe(1205);
    expect(await b.value('SELECT @@TRANCOUNT AS n')).toBe(0);
    await a.query('COMMIT');
    expect(await b.value('SELECT COUNT(*) AS n FROM dbo.Q WHERE Status IN (3, 4) AND Id IN (1, 2)')).toBe(2);
  });

  it('keeps a second idempotent insert out with HOLDLOCK', async () => {
    const sql =
      'IF NOT EXISTS (SELECT 1 FROM dbo.Q WITH (UPDLOCK, HOLDLOCK) WHERE Id = 900) INSERT dbo.Q (Id) VALUES (900)';
    const write = (client: Client): Promise<unknown> => client.query(`BEGIN TRAN; ${sql}; COMMIT`);
    await Promise.all([write(a), write(b)]);
    expect(await a.value('SELECT COUNT(*) AS n FROM dbo.Q WHERE Id = 900')).toBe(1);
  });

  it('lets go of everything when the connection breaks', async () => {
    const victim = await Client.open(server.address);
    await victim.query('BEGIN TRAN; UPDATE dbo.Q SET Status = 5');
    await victim.close();
    expect(await b.value('SELECT COUNT(*) AS n FROM dbo.Q WHERE Status = 0')).toBe(100);
  });
});

describe('transactions', () => {
  it('commits, rolls back and returns to savepoints, by T-SQL and by the protocol', async () => {
    await a.query(
      'BEGIN TRAN; DELETE dbo.Q WHERE Id >= 10; SAVE TRAN s; DELETE dbo.Q; ROLLBACK TRAN s; UPDATE dbo.Q SET Status = 2; COMMIT',
    );
    expect(await b.value('SELECT COUNT(*) AS n FROM dbo.Q WHERE Status = 2')).toBe(10);
    const { connection } = a;
    await new Promise<void>((resolve, reject) =>
      connection.beginTransaction((error) => (error ? reject(error) : resolve()), '', ISOLATION_LEVEL.READ_COMMITTED),
    );
    await a.query('DELETE dbo.Q');
    await new Promise<void>((resolve, reject) =>
      connection.rollbackTransaction((error) => (error ? reject(error) : resolve())),
    );
    expect(await b.value('SELECT COUNT(*) AS n FROM dbo.Q')).toBe(10);
  });

  it('counts nesting and commits only at the outermost level', async () => {
    await a.query('BEGIN TRAN; BEGIN TRAN; DELETE dbo.Q WHERE Id = 1; COMMIT');
    expect(await a.value('SELECT @@TRANCOUNT AS n')).toBe(1);
    await a.query('ROLLBACK');
    expect(await a.value('SELECT COUNT(*) AS n FROM dbo.Q')).toBe(100);
  });

  it('undoes a failed statement whole', async () => {
    expect(await a.errorNumber('INSERT dbo.Q (Id) VALUES (200), (201), (5)')).toBe(2627);
    expect(await a.value('SELECT COUNT(*) AS n FROM dbo.Q')).toBe(100);
    expect(await a.errorNumber('UPDATE dbo.Q SET Id = 1 WHERE Id IN (1, 2, 3)')).toBe(2627);
    expect(await a.value('SELECT COUNT(DISTINCT Id) AS n FROM dbo.Q')).toBe(100);
  });

  it('rolls all back under XACT_ABORT', async () => {
    expect(
      await a.errorNumber(
        'SET XACT_ABORT ON; BEGIN TRAN; DELETE dbo.Q WHERE Id = 1; INSERT dbo.Q (Id) VALUES (2); COMMIT',
      ),
    ).toBe(2627);
    expect(await a.value('SET XACT_ABORT OFF; SELECT COUNT(*) AS n FROM dbo.Q')).toBe(100);
  });
});

describe('snapshot isolation', () => {
  it('is refused with 3952 until the database allows it', async () => {
    await a.query('ALTER DATABASE CURRENT SET ALLOW_SNAPSHOT_ISOLATION OFF; SET TRANSACTION ISOLATION LEVEL SNAPSHOT');
    expect(await a.errorNumber('SELECT * FROM dbo.Q')).toBe(3952);
  });

  it('reads one consistent state while others write, through every index', async () => {
    await a.query(
      'ALTER DATABASE CURRENT SET ALLOW_SNAPSHOT_ISOLATION ON; SET TRANSACTION ISOLATION LEVEL SNAPSHOT; BEGIN TRAN',
    );
    const look = async (): Promise<unknown[]> => [
      await a.value('SELECT COUNT(*) AS n FROM dbo.Q WHERE Status = 0'),
      await a.value('SELECT COUNT(*) AS n FROM dbo.Q WHERE Status = 6'),
      await a.value('SELECT Status FROM dbo.Q WHERE Id = 50'),
      await a.value('SELECT COUNT(*) AS n FROM dbo.Q'),
    ];
    expect(await look()).toEqual([100, 0, 0, 100]);
    await b.query(
      'UPDATE dbo.Q SET Status = 6 WHERE Id BETWEEN 40 AND 59; DELETE dbo.Q WHERE Id < 5; INSERT dbo.Q (Id) VALUES (1000)',
    );
    await b.query('BEGIN TRAN; DELETE dbo.Q WHERE Id > 90');
    expect(await look()).toEqual([100, 0, 0, 100]);
    expect(await a.errorNumber('UPDATE dbo.Q SET Owner = NULL WHERE Id = 50')).toBe(3960);
    await b.query('COMMIT');
    await a.query('SET TRANSACTION ISOLATION LEVEL READ COMMITTED');
    expect(await look()).toEqual([66, 20, 6, 86]);
  });

  it('reads committed rows without waiting under READ_COMMITTED_SNAPSHOT', async () => {
    await a.query('ALTER DATABASE CURRENT SET READ_COMMITTED_SNAPSHOT ON');
    await b.query('BEGIN TRAN; UPDATE dbo.Q SET Status = 1');
    expect(await a.value('SELECT COUNT(*) AS n FROM dbo.Q WHERE Status = 0')).toBe(100);
    await b.query('ROLLBACK');
    await a.query('ALTER DATABASE CURRENT SET READ_COMMITTED_SNAPSHOT OFF');
  });
});

describe('rowversion', () => {
  it('keeps MIN_ACTIVE_ROWVERSION below what an open transaction has stamped', async () => {
    await a.query('BEGIN TRAN; UPDATE dbo.Q SET Status = 1 WHERE Id = 1');
    await b.query('UPDATE dbo.Q SET Status = 1 WHERE Id = 2');
    expect(
      await b.value(
        'SELECT CASE WHEN MIN_ACTIVE_ROWVERSION() < @@DBTS AND MIN_ACTIVE_ROWVERSION() > (SELECT MAX(V) FROM dbo.Q WITH (READPAST) WHERE Status = 0) THEN 1 ELSE 0 END AS ok',
      ),
    ).toBe(1);
    await a.query('COMMIT');
    expect(await b.value('SELECT CASE WHEN MIN_ACTIVE_ROWVERSION() > @@DBTS THEN 1 ELSE 0 END AS ok')).toBe(1);
  });
});
