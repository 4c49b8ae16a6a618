import { TYPES } from 'tedious';
import { outsideSubsetNumber } from '../src/index.ts';
import { Client, type ServerError } from './client.ts';
import { simulated, startServer, type TestServer } from './server.ts';

let server: TestServer;
let client: Client;

beforeAll(async () => {
  server = await startServer();
  client = await Client.open(server.address);
  await client.query(`
    CREATE TABLE dbo.Book (Id int IDENTITY(1,1) NOT NULL CONSTRAINT PK_Book PRIMARY KEY, Code varchar(20) NOT NULL CONSTRAINT UQ_Book UNIQUE, Desk nvarchar(20) NULL, Limit decimal(18,2) NOT NULL CONSTRAINT DF_Limit DEFAULT (100), CONSTRAINT CK_Limit CHECK (Limit >= 0));
    CREATE TABLE dbo.Trade (Id bigint NOT NULL PRIMARY KEY, BookId int NOT NULL CONSTRAINT FK_Trade_Book REFERENCES dbo.Book (Id), Notional decimal(28,8) NOT NULL, Terms nvarchar(max) NULL CONSTRAINT CK_Terms CHECK (Terms IS NULL OR ISJSON(Terms) = 1), INDEX IX_Trade_Book (BookId, Id));
    INSERT dbo.Book (Code, Desk) VALUES ('RATES', N'Lisboa'), ('FX', N'São Paulo'), ('EMPTY', NULL);
    INSERT dbo.Trade VALUES (1, 1, 100.5, N'{"type":"swap","legs":[{"rate":0.0310}]}'), (2, 1, 200.25, NULL), (3, 2, 50, N'{"type":"fx"}');`);
});
afterAll(async () => {
  await client.close();
  await server.stop();
});

const rows = async (sql: string): Promise<readonly object[]> => (await client.query(sql)).rows;

describe('queries', () => {
  it('joins, groups and orders', async () => {
    expect(
      await rows(
        `SELECT b.Code, COUNT(t.Id) AS n, SUM(t.Notional) AS total FROM dbo.Book b LEFT JOIN dbo.Trade AS t ON t.BookId = b.Id GROUP BY b.Code HAVING COUNT(*) > 0 ORDER BY b.Code DESC`,
      ),
    ).toEqual([
      { Code: 'RATES', n: 2, total: 300.75 },
      { Code: 'FX', n: 1, total: 50 },
      { Code: 'EMPTY', n: 0, total: null },
    ]);
  });

  it('joins right and full, and compares hash and nested joins', async () => {
    expect(
      await rows(
        'SELECT t.Id, b.Code FROM dbo.Trade t RIGHT JOIN dbo.Book b ON b.Id = t.BookId AND t.Id > 1 ORDER BY b.Id',
      ),
    ).toEqual([
      { Id: '2', Code: 'RATES' },
      { Id: '3', Code: 'FX' },
      { Id: null, Code: 'EMPTY' },
    ]);
    expect(
      await rows(
        'SELECT a.x, b.y FROM (VALUES (1),(2)) a(x) FULL JOIN (VALUES (2),(3)) b(y) ON a.x = b.y ORDER BY COALESCE(a.x, b.y)',
      ),
    ).toEqual([
      { x: 1, y: null },
      { x: 2, y: 2 },
      { x: null, y: 3 },
    ]);
    expect(
      await rows(
        'SELECT COUNT(*) AS n FROM dbo.Trade a JOIN dbo.Trade b ON a.Notional + 0 = b.Notional JOIN dbo.Book c ON c.Id = b.BookId',
      ),
    ).toEqual([{ n: 3 }]);
  });

  it('reads JSON by row with CROSS APPLY', async () => {
    expect(
      await rows(
        `SELECT t.Id, j.kind, l.rate FROM dbo.Trade t CROSS APPLY OPENJSON(t.Terms) WITH (kind nvarchar(20) '$.type', legs nvarchar(max) '$.legs' AS JSON) j OUTER APPLY OPENJSON(j.legs) WITH (rate varchar(20)) l ORDER BY t.Id`,
      ),
    ).toEqual([
      { Id: '1', kind: 'swap', rate: '0.0310' },
      { Id: '3', kind: 'fx', rate: null },
    ]);
    expect(await rows(`SELECT [key], value, type FROM OPENJSON(N'[1,"b",null]')`)).toEqual([
      { key: '0', value: '1', type: 2 },
      { key: '1', value: 'b', type: 1 },
      { key: '2', value: null, type: 0 },
    ]);
  });

  it('takes subqueries, EXISTS, IN, CASE, CTEs, set operators and windows', async () => {
    expect(
      await rows(
        `SELECT Code FROM dbo.Book b WHERE EXISTS (SELECT 1 FROM dbo.Trade t WHERE t.BookId = b.Id AND t.Notional > 100) AND Id IN (SELECT BookId FROM dbo.Trade)`,
      ),
    ).toEqual([{ Code: 'RATES' }]);
    expect(await rows(`SELECT Code FROM dbo.Book WHERE Id NOT IN (SELECT BookId FROM dbo.Trade)`)).toEqual([
      { Code: 'EMPTY' },
    ]);
    expect(
      await rows(
        `WITH x AS (SELECT Id, ROW_NUMBER() OVER (PARTITION BY BookId ORDER BY Notional DESC) AS rn, SUM(Notional) OVER (PARTITION BY BookId) AS s FROM dbo.Trade) SELECT Id, s FROM x WHERE rn = 1 ORDER BY Id`,
      ),
    ).toEqual([
      { Id: '2', s: 300.75 },
      { Id: '3', s: 50 },
    ]);
    expect(await rows(`SELECT 1 AS n UNION ALL SELECT 1 UNION SELECT 2 EXCEPT SELECT 3 ORDER BY n DESC`)).toEqual([
      { n: 2 },
      { n: 1 },
    ]);
    expect(
      await rows(
        `SELECT b.Code, (SELECT MAX(t.Notional) FROM dbo.Trade t WHERE t.BookId = b.Id) AS top1, CASE b.Code WHEN 'fx' THEN 'spot' ELSE 'other' END AS k FROM dbo.Book b WHERE b.Desk IS NOT NULL ORDER BY 1`,
      ),
    ).toEqual([
      { Code: 'FX', top1: 50, k: 'spot' },
      { Code: 'RATES', top1: 200.25, k: 'other' },
    ]);
  });

  it('pages with TOP, OFFSET and FETCH, DISTINCT and WITH TIES', async () => {
    expect(await rows('SELECT TOP (2) Id FROM dbo.Trade ORDER BY Id DESC')).toEqual([{ Id: '3' }, { Id: '2' }]);
    expect(
      (
        await client.query('SELECT Id FROM dbo.Trade ORDER BY Id OFFSET @o ROWS FETCH NEXT @n ROWS ONLY', (request) => {
          request.addParameter('o', TYPES.Int, 1);
          request.addParameter('n', TYPES.Int, 1);
        })
      ).rows,
    ).toEqual([{ Id: '2' }]);
    expect(await rows('SELECT DISTINCT BookId FROM dbo.Trade ORDER BY BookId')).toEqual([{ BookId: 1 }, { BookId: 2 }]);
    expect(await rows('SELECT TOP (1) WITH TIES BookId FROM dbo.Trade ORDER BY BookId')).toHaveLength(2);
  });

  it('writes FOR JSON PATH', async () => {
    const { rows: found } = await client.query(
      `SELECT Code AS [book.code], Limit AS lim, Desk AS desk FROM dbo.Book WHERE Id IN (1, 3) ORDER BY Id FOR JSON PATH`,
    );
    expect(JSON.parse(Object.values(found[0]!)[0] as string)).toEqual([
      { book: { code: 'RATES' }, lim: 100, desk: 'Lisboa' },
      { book: { code: 'EMPTY' }, lim: 100 },
    ]);
  });

  it('answers catalog views', async () => {
    expect(
      await rows(
        `SELECT t.name FROM sys.tables t JOIN sys.schemas s ON s.schema_id = t.schema_id WHERE s.name = N'dbo' AND t.name LIKE N'Tr%'`,
      ),
    ).toEqual([{ name: 'Trade' }]);
    expect(
      await rows(
        `SELECT COLUMN_NAME, DATA_TYPE, NUMERIC_PRECISION, NUMERIC_SCALE, IS_NULLABLE FROM INFORMATION_SCHEMA.COLUMNS WHERE TABLE_NAME = 'Trade' AND ORDINAL_POSITION = 3`,
      ),
    ).toEqual([
      { COLUMN_NAME: 'Notional', DATA_TYPE: 'decimal', NUMERIC_PRECISION: 28, NUMERIC_SCALE: 8, IS_NULLABLE: 'NO' },
    ]);
    expect(await rows(`SELECT snapshot_isolation_state AS s FROM sys.databases WHERE name = DB_NAME()`)).toEqual([
      { s: 0 },
    ]);
    expect(
      await rows(
        `SELECT HAS_PERMS_BY_NAME('dbo.Trade', 'OBJECT', 'SELECT') AS a, HAS_PERMS_BY_NAME('dbo.Nope', 'OBJECT', 'SELECT') AS b`,
      ),
    ).toEqual([{ a: 1, b: null }]);
  });
});

describe('changes', () => {
  beforeEach(async () => {
    await client.query(
      `DROP TABLE IF EXISTS dbo.Work; CREATE TABLE dbo.Work (Id int IDENTITY(1,1) PRIMARY KEY, Status int NOT NULL DEFAULT 0, Owner nvarchar(20) NULL, Tries int NOT NULL DEFAULT (0), V rowversion, INDEX IX_Work (Status, Id)); INSERT dbo.Work (Owner) SELECT N'w' FROM (VALUES (1),(2),(3),(4),(5)) v(n)`,
    );
  });

  it('claims through a CTE in order, with OUTPUT of old and new values', async () => {
    const { rows: found } = await client.query(
      `;WITH c AS (SELECT TOP (@n) Id, Status, Owner, Tries FROM dbo.Work WITH (ROWLOCK, READPAST, UPDLOCK) WHERE Status = 0 ORDER BY Id)
       UPDATE c SET Status = 1, Owner = @w, Tries += 1 OUTPUT inserted.Id, deleted.Status AS old, inserted.Status AS new, inserted.Tries`,
      (request) => {
        request.addParameter('n', TYPES.Int, 2);
        request.addParameter('w', TYPES.NVarChar, 'me');
      },
    );
    expect(found).toEqual([
      { Id: 1, old: 0, new: 1, Tries: 1 },
      { Id: 2, old: 0, new: 1, Tries: 1 },
    ]);
    expect(await rows(`SELECT Id FROM dbo.Work WHERE Owner = 'ME'`)).toHaveLength(2);
  });

  it('claims with UPDATE TOP, deletes with OUTPUT, joins in FROM', async () => {
    expect(
      (await client.query('UPDATE TOP (2) dbo.Work SET Status = 7 OUTPUT inserted.Id WHERE Status = 0')).count,
    ).toBe(2);
    expect(
      await rows(
        "DELETE w OUTPUT deleted.Id, x.note FROM dbo.Work w JOIN (VALUES (1, N'a'), (9, N'b')) x(id, note) ON x.id = w.Id",
      ),
    ).toEqual([{ Id: 1, note: 'a' }]);
    expect(
      (
        await client.query(
          "UPDATE w SET Owner = x.o FROM dbo.Work AS w INNER JOIN (SELECT 3 AS id, N'new' AS o) x ON x.id = w.Id",
        )
      ).count,
    ).toBe(1);
    expect(await rows('SELECT Owner FROM dbo.Work WHERE Id = 3')).toEqual([{ Owner: 'new' }]);
    expect(
      await rows('WITH d AS (SELECT TOP (1) Id FROM dbo.Work ORDER BY Id DESC) DELETE FROM d OUTPUT deleted.Id'),
    ).toEqual([{ Id: 5 }]);
  });

  it('keeps OUTPUT INTO a table variable', async () => {
    expect(
      await rows(
        `DECLARE @t TABLE (Id int PRIMARY KEY, V binary(8)); UPDATE dbo.Work SET Status = 2 OUTPUT inserted.Id, inserted.V INTO @t (Id, V) WHERE Id < 3; SELECT COUNT(*) AS n, MIN(DATALENGTH(V)) AS d FROM @t`,
      ),
    ).toEqual([{ n: 2, d: 8 }]);
  });

  it('inserts from queries, defaults and with IDENTITY_INSERT', async () => {
    expect(await rows('INSERT dbo.Work OUTPUT inserted.Id, inserted.Tries DEFAULT VALUES')).toEqual([
      { Id: 6, Tries: 0 },
    ]);
    expect(Number(await client.value("INSERT dbo.Work (Owner) VALUES (N'z'); SELECT SCOPE_IDENTITY() AS id"))).toBe(7);
    expect(await client.errorNumber('INSERT dbo.Work (Id) VALUES (50)')).toBe(544);
    await client.query(
      'SET IDENTITY_INSERT dbo.Work ON; INSERT dbo.Work (Id) VALUES (50); SET IDENTITY_INSERT dbo.Work OFF',
    );
    expect(await rows('INSERT dbo.Work (Owner) OUTPUT inserted.Id VALUES (NULL)')).toEqual([{ Id: 51 }]);
    expect(await client.errorNumber('INSERT dbo.Work (V) VALUES (0x01)')).toBe(273);
  });

  it('merges', async () => {
    expect(
      await rows(`MERGE dbo.Work WITH (HOLDLOCK) AS t USING (VALUES (1, N'upd'), (100, N'ins')) AS s (Id, Owner) ON t.Id = s.Id
        WHEN MATCHED THEN UPDATE SET Owner = s.Owner WHEN NOT MATCHED THEN INSERT (Owner) VALUES (s.Owner) OUTPUT $action AS act, inserted.Owner;`),
    ).toEqual([
      { act: 'UPDATE', Owner: 'upd' },
      { act: 'INSERT', Owner: 'ins' },
    ]);
  });

  it('swaps unique keys in one statement', async () => {
    await client.query('CREATE TABLE #K (K int PRIMARY KEY); INSERT #K VALUES (1), (2), (3); UPDATE #K SET K = K + 1');
    expect(await rows('SELECT K FROM #K')).toEqual([{ K: 2 }, { K: 3 }, { K: 4 }]);
    await client.query('DROP TABLE #K');
  });
});

describe('errors, with the numbers of the server', () => {
  const cases: readonly (readonly [number, string])[] = [
    [2627, "INSERT dbo.Book (Code) VALUES ('RATES')"],
    [2627, 'INSERT dbo.Trade VALUES (1, 1, 1, NULL)'],
    [547, 'INSERT dbo.Trade VALUES (9, 99, 1, NULL)'],
    [547, "INSERT dbo.Book (Code, Limit) VALUES ('N', -1)"],
    [547, "INSERT dbo.Trade VALUES (9, 1, 1, N'{bad')"],
    [547, 'DELETE dbo.Book WHERE Id = 1'],
    [515, 'INSERT dbo.Book (Code) VALUES (NULL)'],
    [2628, "INSERT dbo.Book (Code) VALUES (REPLICATE('x', 21))"],
    [208, 'SELECT * FROM dbo.Nowhere'],
    [207, 'SELECT Nope FROM dbo.Book'],
    [4104, 'SELECT z.Id FROM dbo.Book b'],
    [209, 'SELECT Id FROM dbo.Book a JOIN dbo.Trade b ON a.Id = b.BookId'],
    [102, 'SELECT ((1'],
    [156, 'SELECT * FROM WHERE 1 = 1'],
    [137, 'SELECT @missing'],
    [1087, 'SELECT * FROM @missing'],
    [8120, 'SELECT Code, COUNT(*) FROM dbo.Book'],
    [512, 'SELECT (SELECT Id FROM dbo.Trade)'],
    [3902, 'COMMIT'],
    [3903, 'ROLLBACK'],
    [2714, 'CREATE TABLE dbo.Book (A int)'],
    [2812, 'EXEC dbo.Missing'],
    [4145, 'SELECT 1 WHERE 1'],
    [206, "SELECT CAST(1 AS uniqueidentifier) WHERE CAST('2020-01-01' AS date) = 1"],
    [650, 'SET TRANSACTION ISOLATION LEVEL SERIALIZABLE; SELECT * FROM dbo.Book WITH (READPAST)'],
  ];
  afterEach(() => client.query('SET TRANSACTION ISOLATION LEVEL READ COMMITTED'));
  it.each(cases)('%d: %s', async (number, sql) => {
    expect(await client.errorNumber(sql)).toBe(number);
  });

  it('goes on after a failed statement, and stops at a failed conversion', async () => {
    await client.query('CREATE TABLE #L (N int PRIMARY KEY)');
    expect(await client.errorNumber('INSERT #L VALUES (1); INSERT #L VALUES (1); INSERT #L VALUES (2)')).toBe(2627);
    expect(await rows('SELECT N FROM #L')).toHaveLength(2);
    expect(
      await client.errorNumber("INSERT #L VALUES (3); INSERT #L VALUES (CAST('x' AS int)); INSERT #L VALUES (4)"),
    ).toBe(245);
    expect(await rows('SELECT N FROM #L')).toHaveLength(3);
    await client.query('SET XACT_ABORT ON; DROP TABLE #L; SET XACT_ABORT OFF');
  });

  it('runs TRY, CATCH, THROW and RAISERROR', async () => {
    const { rows: found, messages } =
      await client.query(`BEGIN TRY INSERT dbo.Book (Code) VALUES ('FX'); SELECT 'not here' AS x; END TRY
      BEGIN CATCH SELECT ERROR_NUMBER() AS n, XACT_STATE() AS s; RAISERROR('note %d of %s', 10, 1, 5, 'six'); END CATCH; PRINT N'done'`);
    expect(found).toEqual([{ n: 2627, s: 0 }]);
    expect(messages).toEqual(['note 5 of six', 'done']);
    expect(await client.errorNumber("BEGIN TRY THROW 51234, N'mine', 3; END TRY BEGIN CATCH THROW; END CATCH")).toBe(
      51_234,
    );
  });
});

(simulated ? describe : describe.skip)('what is outside the subset', () => {
  const cases: readonly (readonly [string, string])[] = [
    ['CREATE PROCEDURE p AS SELECT 1', 'CREATE PROCEDURE'],
    ["EXEC sp_getapplock @Resource = N'a', @LockMode = 'Exclusive'", 'procedure sp_getapplock'],
    ["EXEC xp_cmdshell N'ls'", 'procedure xp_cmdshell'],
    ['CREATE TRIGGER t ON dbo.Book AFTER INSERT AS SELECT 1', 'CREATE TRIGGER'],
    ['GRANT SELECT ON dbo.Book TO public', 'GRANT'],
    ['DECLARE c CURSOR FOR SELECT 1', 'cursor'],
    ['SELECT * FROM dbo.Book FOR XML AUTO', 'FOR XML'],
    ["SELECT FORMAT(1, N'N')", 'function FORMAT'],
    ['SELECT * FROM dbo.Book WITH (NOEXPAND)', 'table hint NOEXPAND'],
    ["SELECT * FROM OPENROWSET(BULK 'x', SINGLE_CLOB) a", 'OPENROWSET'],
    ['SELECT * FROM [srv].[db].[dbo].[t]', 'linked server'],
    ['WITH r AS (SELECT 1 AS n UNION ALL SELECT n + 1 FROM r) SELECT n FROM r', 'recursive common table expression'],
    ['CREATE TABLE dbo.X (A int, B AS A + 1)', 'computed column B'],
    ['CREATE TABLE dbo.X (A xml)', 'data type xml'],
    ['SELECT * FROM sys.dm_exec_requests', 'catalog view sys.dm_exec_requests'],
    ['SET ANSI_NULLS OFF', 'SET ANSI_NULLS OFF'],
    ['SELECT CONVERT(varchar(30), GETUTCDATE(), 103)', 'CONVERT style 103'],
    ['WAITFOR (RECEIVE * FROM dbo.Q)', 'WAITFOR ('],
  ];
  it.each(cases)('refuses by name: %s', async (sql, named) => {
    let error: ServerError | undefined;
    await client
      .query(`\n${sql}`)
      .catch(
        (reason: unknown) => (error = (reason instanceof AggregateError ? reason.errors[0] : reason) as ServerError),
      );
    expect(error?.number).toBe(outsideSubsetNumber);
    expect(error?.message).toContain("not in the simulator's subset");
    expect(error?.message).toContain(named);
  });
});

describe('scopes', () => {
  it('ends SET options and #temp tables with the dynamic SQL that made them', async () => {
    await client.query('SET LOCK_TIMEOUT 1234; CREATE TABLE #Inner (A int)', (request) =>
      request.addParameter('unused', TYPES.Int, 1),
    );
    expect(await rows("SELECT @@LOCK_TIMEOUT AS t, OBJECT_ID('tempdb..#Inner') AS o")).toEqual([{ t: -1, o: null }]);
    expect(
      await rows(
        `DECLARE @n int; EXEC sp_executesql N'SELECT @o = COUNT(*) FROM dbo.Book WHERE Id > @i', N'@i int, @o int OUTPUT', @i = 1, @o = @n OUTPUT; SELECT @n AS n`,
      ),
    ).toEqual([{ n: 2 }]);
  });
});

describe('schema scripts', () => {
  it('runs idempotent set-up scripts twice', async () => {
    const script = `SET NOCOUNT ON; SET XACT_ABORT ON;
      IF SCHEMA_ID(N'lab') IS NULL EXEC (N'CREATE SCHEMA lab');
      IF NOT EXISTS (SELECT 1 FROM sys.schemas WHERE name = N'lab2') EXEC('CREATE SCHEMA lab2 AUTHORIZATION dbo');
      IF OBJECT_ID(N'lab.Run', N'U') IS NULL
      BEGIN
        CREATE TABLE lab.Run (
          RunId uniqueidentifier NOT NULL CONSTRAINT DF_Run_Id DEFAULT NEWID() CONSTRAINT PK_Run PRIMARY KEY NONCLUSTERED,
          Book varchar(40) COLLATE Latin1_General_BIN2 NOT NULL, AsOf date NOT NULL, Revision int NOT NULL CONSTRAINT DF_Run_Revision DEFAULT (1),
          CreatedAt datetime2(7) NOT NULL CONSTRAINT DF_Run_At DEFAULT (SYSUTCDATETIME()), RowVer rowversion NOT NULL,
          CONSTRAINT UQ_Run UNIQUE CLUSTERED (Book, AsOf, Revision), INDEX IX_Run_At NONCLUSTERED (CreatedAt DESC));
        CREATE UNIQUE NONCLUSTERED INDEX UX_Run_First ON lab.Run (Book) INCLUDE (AsOf) WHERE Revision = 1 WITH (FILLFACTOR = 90);
      END;
      IF COL_LENGTH(N'lab.Run', N'Note') IS NULL ALTER TABLE lab.Run ADD Note nvarchar(100) NULL, Tries int NOT NULL CONSTRAINT DF_Run_Tries DEFAULT (0);
      ALTER DATABASE CURRENT SET ALLOW_SNAPSHOT_ISOLATION ON;`;
    await client.query(script);
    await client.query(script);
    await client.query(
      "SET NOCOUNT OFF; SET XACT_ABORT OFF; INSERT lab.Run (Book, AsOf) VALUES ('A', '2026-01-02'); INSERT lab.Run (Book, AsOf, Revision) VALUES ('A', '2026-01-02', 2)",
    );
    expect(await client.errorNumber("INSERT lab.Run (Book, AsOf) VALUES ('A', '2026-01-05')")).toBe(2601);
    expect(await client.errorNumber("INSERT lab.Run (Book, AsOf, Revision) VALUES ('A', '2026-01-02', 2)")).toBe(2627);
    await client.query("INSERT lab.Run (Book, AsOf) VALUES ('a', '2026-01-02')");
    expect(await rows('SELECT Book, Revision, Tries FROM lab.Run ORDER BY Book, Revision')).toEqual([
      { Book: 'A', Revision: 1, Tries: 0 },
      { Book: 'A', Revision: 2, Tries: 0 },
      { Book: 'a', Revision: 1, Tries: 0 },
    ]);
  });

  it('rolls schema changes back with the transaction', async () => {
    await client.query(
      'BEGIN TRAN; CREATE TABLE dbo.Gone (A int); INSERT dbo.Gone VALUES (1); ALTER TABLE dbo.Gone ADD B int NULL; ROLLBACK',
    );
    expect(await client.value("SELECT OBJECT_ID('dbo.Gone') AS id")).toBeNull();
  });
});
