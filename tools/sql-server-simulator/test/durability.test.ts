import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { DataInUseError, startSqlServerSimulator } from '../src/index.ts';
import { type Address, Client } from './client.ts';

const main = fileURLToPath(new URL('../src/main.ts', import.meta.url));
const children: ChildProcess[] = [];
let directory: string;

beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), 'sql-simulator-'));
});
afterAll(() => {
  for (const child of children) if (child.exitCode === null) child.kill('SIGKILL');
  rmSync(directory, { recursive: true, force: true });
});

async function run(): Promise<{ child: ChildProcess; address: Address }> {
  const child = spawn(
    process.execPath,
    [
      '--conditions=@xva/source',
      '--disable-warning=ExperimentalWarning',
      main,
      '--data',
      directory,
      '--exit-with-parent',
    ],
    { stdio: ['pipe', 'pipe', 'inherit'] },
  );
  children.push(child);
  const lines = createInterface({ input: child.stdout });
  for await (const line of lines) {
    const ready = JSON.parse(line) as { endpoints: { tds: string } };
    return {
      child,
      address: { port: Number(new URL(ready.endpoints.tds).port), login: 'sa', password: 'Simulator-1' },
    };
  }
  throw new Error('the simulator ended before it was ready');
}

async function kill(child: ChildProcess): Promise<void> {
  const gone = new Promise((resolve) => child.once('exit', resolve));
  child.kill('SIGKILL');
  await gone;
}

describe('kill -9', () => {
  it('keeps everything committed and nothing else, several times over', async () => {
    let { child, address } = await run();
    let client = await Client.open(address);
    await client.query(`CREATE TABLE dbo.D (Id int IDENTITY(1,1) PRIMARY KEY, Round int NOT NULL, Amount decimal(28,12) NOT NULL CHECK (Amount > 0), Note nvarchar(20) NOT NULL DEFAULT N'é', At datetimeoffset(7) NULL, V rowversion, INDEX IX_D (Round));
      ALTER DATABASE CURRENT SET ALLOW_SNAPSHOT_ISOLATION ON; ALTER TABLE dbo.D ADD Extra varbinary(8) NULL`);
    for (let round = 1; round <= 3; round += 1) {
      await client.query(
        `BEGIN TRAN; INSERT dbo.D (Round, Amount, At, Extra) VALUES (${round}, 1234567890123456.123456789012, '2026-01-01T00:00:00.1234567+02:00', 0x0${round}); UPDATE dbo.D SET Note = N'r${round}' WHERE Round = ${round}; COMMIT`,
      );
      await client.query(
        `BEGIN TRAN; INSERT dbo.D (Round, Amount) VALUES (${round}, 7); UPDATE dbo.D SET Amount = 1; CREATE TABLE dbo.Uncommitted (A int)`,
      );
      await kill(child);
      ({ child, address } = await run());
      client = await Client.open(address);
      const { rows } = await client.query(
        `SELECT Round, CONVERT(varchar(60), Amount) AS Amount, Note, CONVERT(varchar(40), At, 126) AS At, Extra FROM dbo.D ORDER BY Id`,
      );
      expect(rows).toEqual(
        Array.from({ length: round }, (_, index) => ({
          Round: index + 1,
          Amount: '1234567890123456.123456789012',
          Note: `r${index + 1}`,
          At: '2026-01-01T00:00:00.1234567+02:00',
          Extra: Buffer.from([index + 1]),
        })),
      );
      expect(await client.value("SELECT OBJECT_ID('dbo.Uncommitted') AS id")).toBeNull();
    }
    expect(await client.errorNumber('INSERT dbo.D (Round, Amount) VALUES (1, -1)')).toBe(547);
    expect(await client.value('SELECT COUNT(*) AS n FROM dbo.D WHERE Round = 2')).toBe(1);
    expect(await client.value('SELECT snapshot_isolation_state AS s FROM sys.databases')).toBe(1);
    expect(await client.value('SELECT COUNT(DISTINCT V) AS n FROM dbo.D')).toBe(3);
    await kill(child);
  });

  it('loses no acknowledged insert when it is killed under load', async () => {
    const { child, address } = await run();
    const client = await Client.open(address);
    await client.query('CREATE TABLE dbo.Load (Id int PRIMARY KEY)');
    let acknowledged = -1;
    const writing = (async () => {
      for (let id = 0; ; id += 1) {
        await client.query(`INSERT dbo.Load VALUES (${id})`);
        acknowledged = id;
        if (id === 150) child.kill('SIGKILL');
      }
    })();
    await expect(writing).rejects.toThrow();
    const again = await run();
    const reader = await Client.open(again.address);
    const kept = (await reader.query('SELECT COUNT(*) AS n, MAX(Id) AS m FROM dbo.Load')).rows[0] as {
      n: number;
      m: number;
    };
    expect(kept.m).toBeGreaterThanOrEqual(acknowledged);
    expect(kept.n).toBe(kept.m + 1);
    await kill(again.child);
  });

  it('stops with its parent', async () => {
    const { child } = await run();
    const gone = new Promise((resolve) => child.once('exit', resolve));
    child.stdin!.end();
    expect(await gone).toBe(0);
  });
});

it('lets one process at a time use a directory', async () => {
  const simulator = await startSqlServerSimulator({ dataDirectory: directory });
  await expect(startSqlServerSimulator({ dataDirectory: directory })).rejects.toThrow(DataInUseError);
  await simulator.stop();
});
