import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { startSqlServerSimulator } from '../src/index.ts';
import { Client } from './client.ts';
import { simulated, startServer, type TestServer } from './server.ts';

let server: TestServer;
let a: Client;
let b: Client;

beforeAll(async () => {
  server = await startServer();
  a = await Client.open(server.address);
  b = await Client.open(server.address);
  await a.query(`ALTER DATABASE CURRENT SET ALLOW_SNAPSHOT_ISOLATION ON`);
});
afterAll(async () => {
  await a.close();
  await b.close();
  await server.stop();
});
beforeEach(async () => {
  await a.query(`DROP TABLE IF EXISTS dbo.T; CREATE TABLE dbo.T (Id int NOT NULL PRIMARY KEY, Amount int NOT NULL)`);
});

const version = async (client = a): Promise<number> =>
  Number(await client.value('SELECT CHANGE_TRACKING_CURRENT_VERSION() AS v'));
const minValid = async (): Promise<unknown> =>
  a.value(`SELECT CHANGE_TRACKING_MIN_VALID_VERSION(OBJECT_ID(N'dbo.T')) AS v`);

/** `operation key` in the order of version and key. */
async function changes(since: number, client = a): Promise<readonly string[]> {
  const { rows } = await client.query(
    `SELECT ct.SYS_CHANGE_OPERATION AS op, ct.Id AS Id FROM CHANGETABLE(CHANGES dbo.T, ${since}) AS ct ORDER BY ct.SYS_CHANGE_VERSION, ct.Id`,
  );
  return rows.map((row) => `${String(row['op'])} ${String(row['Id'])}`);
}

describe('before it is switched on', () => {
  it('the functions give NULL and the table is refused', async () => {
    expect(await minValid()).toBeNull();
    await expect(changes(0)).rejects.toMatchObject({ number: 22105 });
  });

  it('a table needs the database first', async () => {
    if (!simulated) return;
    const other = await startSqlServerSimulator();
    const client = await Client.open({ ...other, host: '127.0.0.1', database: 'xva' });
    expect(await client.value('SELECT CHANGE_TRACKING_CURRENT_VERSION() AS v')).toBeNull();
    await client.query('CREATE TABLE dbo.T (Id int NOT NULL PRIMARY KEY)');
    await expect(client.query('ALTER TABLE dbo.T ENABLE CHANGE_TRACKING')).rejects.toThrow('disabled for database');
    await client.close();
    await other.stop();
  });
});

describe('change tracking', () => {
  beforeAll(async () => {
    await a.query('ALTER DATABASE CURRENT SET CHANGE_TRACKING = ON (CHANGE_RETENTION = 2 DAYS, AUTO_CLEANUP = OFF)');
  });
  beforeEach(async () => {
    await a.query('ALTER TABLE dbo.T ENABLE CHANGE_TRACKING');
  });

  it('gives the net change of each row since a version', async () => {
    const start = await version();
    await a.query('INSERT dbo.T VALUES (1, 10), (2, 20), (3, 30)');
    expect(await version()).toBe(start + 1);
    expect(await changes(start)).toEqual(['I 1', 'I 2', 'I 3']);
    const second = await version();
    await a.query('UPDATE dbo.T SET Amount = 11 WHERE Id = 1; UPDATE dbo.T SET Amount = 12 WHERE Id = 1');
    await a.query('DELETE dbo.T WHERE Id = 2');
    expect(await changes(second)).toEqual(['U 1', 'D 2']);
    expect(await changes(start)).toEqual(['I 3', 'I 1']);
    expect(await changes(await version())).toEqual([]);
    // A key that changes is a row less and a row more.
    const third = await version();
    await a.query('UPDATE dbo.T SET Id = 4 WHERE Id = 3');
    expect([...(await changes(third))].sort()).toEqual(['D 3', 'I 4']);
  });

  it('gives all changes of a transaction one version, when it commits', async () => {
    const start = await version();
    await a.query('BEGIN TRAN; INSERT dbo.T VALUES (1, 1)');
    await b.query('INSERT dbo.T VALUES (9, 9)');
    expect(await version(b)).toBe(start + 1);
    expect(await changes(start, b)).toEqual(['I 9']);
    await a.query('INSERT dbo.T VALUES (2, 2); COMMIT');
    const { rows } = await a.query(
      `SELECT DISTINCT SYS_CHANGE_VERSION AS v, SYS_CHANGE_CREATION_VERSION AS c FROM CHANGETABLE(CHANGES dbo.T, ${start + 1}) AS ct`,
    );
    expect(rows).toEqual([{ v: String(start + 2), c: String(start + 2) }]);
    await a.query('BEGIN TRAN; INSERT dbo.T VALUES (3, 3); ROLLBACK');
    expect(await version()).toBe(start + 2);
  });

  it('is read in a snapshot together with the rows', async () => {
    const start = await version();
    await a.query('INSERT dbo.T VALUES (1, 10)');
    await a.query('SET TRANSACTION ISOLATION LEVEL SNAPSHOT; BEGIN TRAN; SELECT COUNT(*) AS n FROM dbo.T');
    await b.query('UPDATE dbo.T SET Amount = 11; INSERT dbo.T VALUES (2, 20)');
    expect(await version()).toBe(start + 1);
    const { rows } = await a.query(
      `SELECT ct.Id, t.Amount FROM CHANGETABLE(CHANGES dbo.T, ${start}) AS ct LEFT JOIN dbo.T AS t ON t.Id = ct.Id`,
    );
    expect(rows).toEqual([{ Id: 1, Amount: 10 }]);
    await a.query('COMMIT; SET TRANSACTION ISOLATION LEVEL READ COMMITTED');
    expect(await changes(start)).toHaveLength(2);
  });

  it('takes a variable for the version, joins to what is left, and sorts by columns of both', async () => {
    const start = await version();
    await a.query('INSERT dbo.T VALUES (1, 10), (2, 20)');
    await a.query('DELETE dbo.T WHERE Id = 1; UPDATE dbo.T SET Amount = 21 WHERE Id = 2');
    const { rows } = await a.query(
      `DECLARE @since bigint = ${start}; SELECT TOP (10) ct.Id, t.Amount FROM CHANGETABLE(CHANGES dbo.T, @since) AS ct LEFT JOIN dbo.T AS t ON t.Id = ct.Id WHERE ct.SYS_CHANGE_VERSION > @since ORDER BY ct.SYS_CHANGE_VERSION DESC`,
    );
    expect(rows).toEqual([{ Id: 2, Amount: 21 }]);
  });

  it('TRUNCATE makes older versions invalid', async () => {
    await a.query('INSERT dbo.T VALUES (1, 10)');
    const before = await version();
    await a.query('TRUNCATE TABLE dbo.T');
    expect(Number(await minValid())).toBeGreaterThan(before);
    await a.query('INSERT dbo.T VALUES (1, 10)');
    expect(await changes(Number(await minValid()))).toEqual(['I 1']);
  });

  it('switched off and on again begins anew', async () => {
    await a.query('INSERT dbo.T VALUES (1, 10)');
    await expect(a.query('ALTER TABLE dbo.T ENABLE CHANGE_TRACKING')).rejects.toMatchObject({ number: 4996 });
    await a.query('ALTER TABLE dbo.T DISABLE CHANGE_TRACKING');
    expect(await minValid()).toBeNull();
    await expect(a.query('ALTER TABLE dbo.T DISABLE CHANGE_TRACKING')).rejects.toMatchObject({ number: 4998 });
    await a.query('ALTER TABLE dbo.T ENABLE CHANGE_TRACKING');
    expect(await minValid()).toBe(String(await version()));
  });

  it('refuses what it cannot track', async () => {
    await a.query('DROP TABLE IF EXISTS dbo.NoKey; CREATE TABLE dbo.NoKey (Id int NULL)');
    await expect(a.query('ALTER TABLE dbo.NoKey ENABLE CHANGE_TRACKING')).rejects.toMatchObject({ number: 4997 });
    if (!simulated) return;
    for (const text of [
      'ALTER TABLE dbo.NoKey ENABLE CHANGE_TRACKING WITH (TRACK_COLUMNS_UPDATED = ON)',
      'SELECT * FROM CHANGETABLE(VERSION dbo.T, (Id), (1)) AS c',
      'ALTER DATABASE CURRENT SET CHANGE_TRACKING = ON (SOMETHING = 1)',
    ]) {
      await expect(a.query(text)).rejects.toThrow("not in the simulator's subset");
    }
  });
});

describe('retention and durability', () => {
  it('survives a restart, and forgets what is older than the retention', async () => {
    if (!simulated) return;
    const dataDirectory = mkdtempSync(join(tmpdir(), 'sql-tracking-'));
    let nowMs = Date.parse('2026-09-30T12:00:00Z');
    const open = async () => {
      const simulator = await startSqlServerSimulator({ dataDirectory, now: () => nowMs });
      const client = await Client.open({ ...simulator, host: '127.0.0.1', database: 'xva' });
      return { simulator, client };
    };
    let { simulator, client } = await open();
    await client.query(
      'CREATE TABLE dbo.T (Id bigint NOT NULL, Part nvarchar(5) NOT NULL, CONSTRAINT PK PRIMARY KEY (Id, Part))',
    );
    await client.query('ALTER DATABASE CURRENT SET CHANGE_TRACKING = ON (CHANGE_RETENTION = 60 MINUTES)');
    await client.query('ALTER TABLE dbo.T ENABLE CHANGE_TRACKING');
    await client.query(`INSERT dbo.T VALUES (9007199254740993, N'é'), (2, N'b')`);
    await client.close();
    await simulator.stop();
    ({ simulator, client } = await open());
    const read = async () =>
      (await client.query('SELECT ct.Id, ct.Part FROM CHANGETABLE(CHANGES dbo.T, 0) AS ct ORDER BY Id')).rows;
    expect(await read()).toEqual([
      { Id: '2', Part: 'b' },
      { Id: '9007199254740993', Part: 'é' },
    ]);
    nowMs += 61 * 60_000;
    await client.query(`INSERT dbo.T VALUES (3, N'c')`);
    expect(await read()).toEqual([{ Id: '3', Part: 'c' }]);
    const oldest = `SELECT CHANGE_TRACKING_MIN_VALID_VERSION(OBJECT_ID(N'dbo.T')) AS v`;
    expect(await client.value(oldest)).toBe('1');
    const expire = `http://127.0.0.1:${simulator.controlPort}/control/expire-changes`;
    const answer = await fetch(expire, { method: 'POST', body: JSON.stringify({ table: 'dbo.T' }) });
    expect(await answer.json()).toEqual({ minValidVersion: 2 });
    await client.close();
    await simulator.stop();
    ({ simulator, client } = await open());
    expect(await client.value(oldest)).toBe('2');
    expect(await read()).toEqual([]);
    const { rows } = await client.query(
      'SELECT retention_period, retention_period_units_desc AS unit FROM sys.change_tracking_databases',
    );
    expect(rows).toEqual([{ retention_period: 60, unit: 'MINUTES' }]);
    await client.close();
    await simulator.stop();
    rmSync(dataDirectory, { recursive: true });
  });
});
