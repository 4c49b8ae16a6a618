import { execFile, execFileSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import sql from 'mssql';
import { TYPES } from 'tedious';
import { type SqlServerSimulator, startSqlServerSimulator } from '../src/index.ts';
import { Client } from './client.ts';

/*
 * The same short story through clients that the simulator was not written against: a table, an insert with awkward values, a
 * claim, a transaction that is rolled back, an error by its number.
 */
const root = fileURLToPath(new URL('../../../', import.meta.url));
const fixture = (name: string): string => readFileSync(new URL(`./fixtures/${name}`, import.meta.url), 'utf8');
const run = promisify(execFile);

let simulator: SqlServerSimulator;

beforeAll(async () => {
  simulator = await startSqlServerSimulator({
    certificate: { key: fixture('tls-key.pem'), cert: fixture('tls-cert.pem') },
  });
});
afterAll(() => simulator.stop());

const claim = `;WITH c AS (SELECT TOP (2) * FROM dbo.Story WITH (ROWLOCK, READPAST, UPDLOCK) WHERE Status = 0 ORDER BY Id) UPDATE c SET Status = 1 OUTPUT inserted.Id AS Id`;

describe('mssql', () => {
  it('pools, prepares, runs transactions and bulk loads', async () => {
    const pool = await new sql.ConnectionPool({
      server: '127.0.0.1',
      port: simulator.port,
      user: simulator.login,
      password: simulator.password,
      database: 'xva',
      options: { encrypt: true, trustServerCertificate: true },
      pool: { max: 4 },
    }).connect();
    await pool.query(
      'CREATE TABLE dbo.Story (Id int NOT NULL PRIMARY KEY, Name nvarchar(40) NULL, Amount decimal(28,8) NOT NULL, Status int NOT NULL DEFAULT 0)',
    );
    const table = new sql.Table('dbo.Story');
    table.columns.add('Id', sql.Int, { nullable: false });
    table.columns.add('Name', sql.NVarChar(40), { nullable: true });
    table.columns.add('Amount', sql.Decimal(28, 8), { nullable: false });
    for (let id = 1; id <= 500; id += 1) table.rows.add(id, id % 7 === 0 ? null : `Ünï ${id}`, id + 0.5);
    expect((await pool.request().bulk(table)).rowsAffected).toBe(500);
    const sums = await pool.query(
      'SELECT COUNT(*) AS n, COUNT(Name) AS names, CONVERT(varchar(40), SUM(Amount)) AS total, SUM(Status) AS status FROM dbo.Story',
    );
    expect(sums.recordset[0]).toEqual({ n: 500, names: 429, total: '125500.00000000', status: 0 });
    const transaction = new sql.Transaction(pool);
    await transaction.begin();
    await new sql.Request(transaction).query('DELETE dbo.Story');
    await transaction.rollback();
    const prepared = new sql.PreparedStatement(pool);
    prepared.input('id', sql.Int);
    await prepared.prepare('SELECT Name FROM dbo.Story WHERE Id = @id');
    expect((await prepared.execute({ id: 3 })).recordset).toEqual([{ Name: 'Ünï 3' }]);
    await prepared.unprepare();
    const claims = await Promise.all([pool.query(claim), pool.query(claim), pool.query(claim)]);
    const ids = claims.flatMap(({ recordset }) => (recordset as { Id: number }[]).map(({ Id }) => Id));
    expect([...ids].sort((a, b) => a - b)).toEqual([1, 2, 3, 4, 5, 6]);
    await expect(pool.query('INSERT dbo.Story VALUES (1, NULL, 1, 0)')).rejects.toMatchObject({ number: 2627 });
    await pool.close();
  });
});

describe('bulk load', () => {
  const columns =
    "Id int NOT NULL PRIMARY KEY, Note nvarchar(max) NULL DEFAULT N'none', At datetime2(7) NULL, Data varbinary(50) NULL";

  it('keeps every digit and character, fills defaults, and leaves nothing behind when a row is refused', async () => {
    const client = await Client.open(simulator);
    await client.query(`CREATE TABLE dbo.Loaded (${columns})`);
    const load = (rows: readonly (readonly unknown[])[], keepNulls: boolean): Promise<number> =>
      new Promise((resolve, reject) => {
        const bulk = client.connection.newBulkLoad('dbo.Loaded', { keepNulls }, (error, count) =>
          error ? reject(error) : resolve(count ?? 0),
        );
        bulk.addColumn('Id', TYPES.Int, { nullable: false });
        bulk.addColumn('Note', TYPES.NVarChar, { nullable: true, length: Infinity });
        bulk.addColumn('Data', TYPES.VarBinary, { nullable: true, length: 50 });
        client.connection.execBulkLoad(
          bulk,
          rows.map((row) => [...row]),
        );
      });
    const long = 'ü😀'.repeat(20_000);
    expect(
      await load(
        [
          [1, long, Buffer.from([0, 255])],
          [2, null, null],
        ],
        true,
      ),
    ).toBe(2);
    expect(await load([[3, null, null]], false)).toBe(1);
    const { rows } = await client.query('SELECT Id, Note, Data FROM dbo.Loaded ORDER BY Id');
    expect(rows).toEqual([
      { Id: 1, Note: long, Data: Buffer.from([0, 255]) },
      { Id: 2, Note: null, Data: null },
      { Id: 3, Note: 'none', Data: null },
    ]);
    await expect(
      load(
        [
          [4, 'x', null],
          [1, 'y', null],
        ],
        true,
      ),
    ).rejects.toMatchObject({ number: 2627 });
    expect(await client.value('SELECT COUNT(*) AS n FROM dbo.Loaded')).toBe(3);
    await client.close();
  });
});

const python = `${root}.venv/bin/python`;
const packages = `${root}.venv/clients/sql`;

const story = (connect: string, parameter: string): string => `
import datetime, decimal, sys
${connect}
cursor = connection.cursor()
cursor.execute("CREATE TABLE #P (Id int NOT NULL PRIMARY KEY, Name nvarchar(40) NULL, Amount decimal(28,8) NOT NULL, At datetime2(7) NULL, Status int NOT NULL DEFAULT 0)")
for number in range(1, 6):
    cursor.execute("INSERT INTO #P (Id, Name, Amount, At) VALUES (${parameter}, ${parameter}, ${parameter}, ${parameter})", (number, "Ünï %d" % number, decimal.Decimal("12345678901234567890.12345678"), datetime.datetime(2026, 9, 30, 18, 0, number)))
connection.commit()
cursor.execute("SELECT Id, Name, Amount, At FROM #P WHERE Id = 3")
row = cursor.fetchone()
assert row == (3, "Ünï 3", decimal.Decimal("12345678901234567890.12345678"), datetime.datetime(2026, 9, 30, 18, 0, 3)), row
cursor.execute(";WITH c AS (SELECT TOP (2) * FROM #P WITH (ROWLOCK, READPAST, UPDLOCK) WHERE Status = 0 ORDER BY Id) UPDATE c SET Status = 1 OUTPUT inserted.Id AS Id")
assert sorted(one[0] for one in cursor.fetchall()) == [1, 2]
connection.rollback()
cursor.execute("SELECT SUM(Status) FROM #P")
assert cursor.fetchone()[0] == 0
try:
    cursor.execute("INSERT INTO #P (Id, Amount) VALUES (1, 1)")
    raise SystemExit("a duplicate key was taken")
except Exception as error:
    assert "2627" in repr(error) or "Violation of PRIMARY KEY" in repr(error), repr(error)
connection.close()
print("told")
`;

describe('Python', () => {
  const tell = async (name: string, text: string): Promise<string> => {
    if (!existsSync(packages)) throw new Error(`${name} is not installed: node tools/bootstrap.mjs test installs it`);
    const { stdout } = await run(python, ['-c', text], { env: { ...process.env, PYTHONPATH: packages } });
    return stdout.trim();
  };

  it('pymssql', async () => {
    const connect = `import pymssql
connection = pymssql.connect(server="127.0.0.1", port="${simulator.port}", user="${simulator.login}", password="${simulator.password}", database="xva", tds_version="7.4")`;
    expect(await tell('pymssql', story(connect, '%s'))).toBe('told');
  });

  it('python-tds', async () => {
    const connect = `import pytds
connection = pytds.connect(dsn="127.0.0.1", port=${simulator.port}, user="${simulator.login}", password="${simulator.password}", database="xva", autocommit=False)`;
    expect(await tell('python-tds', story(connect, '%s'))).toBe('told');
  });
});

function isInstalled(program: string): boolean {
  try {
    execFileSync('sh', ['-c', `command -v ${program}`], { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
}

describe('FreeTDS', () => {
  const test = isInstalled('tsql') ? it : it.skip;
  test('tsql (where it is installed)', async () => {
    const address = ['-H', '127.0.0.1', '-p', String(simulator.port), '-U', simulator.login, '-P', simulator.password];
    const child = run('tsql', [...address, '-D', 'xva'], { env: { ...process.env, TDSVER: '7.4' } });
    child.child.stdin?.end(`SELECT Name FROM (VALUES (N'told')) AS s (Name)\nGO\nSELECT 1/0 AS boom\nGO\nexit\n`);
    const { stdout, stderr } = await child;
    expect(stdout).toContain('told');
    expect(stdout + stderr).toContain('8134');
  });
});
