import { readFileSync } from 'node:fs';
import { connect } from 'node:net';
import fc from 'fast-check';
import { Request, TYPES } from 'tedious';
import { type SqlServerSimulator, startSqlServerSimulator } from '../src/index.ts';
import { Client, type ServerError } from './client.ts';

const fixture = (name: string): string => readFileSync(new URL(`./fixtures/${name}`, import.meta.url), 'utf8');

let simulator: SqlServerSimulator;
let client: Client;

beforeAll(async () => {
  simulator = await startSqlServerSimulator({
    certificate: { key: fixture('tls-key.pem'), cert: fixture('tls-cert.pem') },
  });
  client = await Client.open(simulator);
});
afterAll(async () => {
  await client.close();
  await simulator.stop();
});

const loginError = async (open: Promise<Client>): Promise<ServerError> => {
  try {
    await (await open).close();
  } catch (error) {
    return error as ServerError;
  }
  throw new Error('the login should have failed');
};

describe('login', () => {
  it('refuses a wrong password and an unknown login with 18456', async () => {
    expect((await loginError(Client.open(simulator, {}, { password: 'wrong' }))).message).toContain(
      "Login failed for user 'sa'",
    );
    expect(await loginError(Client.open(simulator, {}, { login: 'nobody' }))).toMatchObject({ code: 'ELOGIN' });
  });

  it('refuses an unknown database with 4060', async () => {
    expect((await loginError(Client.open(simulator, { database: 'elsewhere' }))).message).toContain(
      'Cannot open database "elsewhere"',
    );
  });

  it('says that it is a simulator', async () => {
    expect(await client.value('SELECT @@VERSION AS v')).toContain('not Microsoft SQL Server');
  });

  it('speaks TLS inside TDS', async () => {
    const secure = await Client.open(simulator, { encrypt: true });
    await secure.query(
      "CREATE TABLE #T (A nvarchar(max)); INSERT #T VALUES (REPLICATE(CAST(N'x' AS nvarchar(max)), 100000))",
    );
    expect(((await secure.value('SELECT A FROM #T')) as string).length).toBe(100_000);
    await secure.close();
  });

  it("speaks TLS before TDS (strict), and not with a stranger's certificate", async () => {
    const options = { encrypt: 'strict', serverName: 'localhost' } as const;
    const secure = await Client.open(simulator, {
      ...options,
      cryptoCredentialsDetails: { ca: fixture('tls-cert.pem') },
    });
    expect(await secure.value(`SELECT REPLICATE(CAST(N'x' AS nvarchar(max)), 50000) AS v`)).toHaveLength(50_000);
    await secure.close();
    expect(await loginError(Client.open(simulator, options))).toMatchObject({ code: 'ESOCKET' });
    const plain = await startSqlServerSimulator();
    expect(await loginError(Client.open(plain, options))).toMatchObject({ code: 'ESOCKET' });
    await plain.stop();
  });

  it('fails a login on demand', async () => {
    simulator.faults.arm({ point: 'login', action: { kind: 'error', number: 40_613 } });
    const error = await loginError(Client.open(simulator, { maxRetriesOnTransientErrors: 0 }));
    expect(error.message).toContain('not currently available');
    await (await Client.open(simulator)).close();
  });
});

describe('parameters and prepared statements', () => {
  it('binds parameters by name and gives output parameters back', async () => {
    const { rows, outputs } = await client.query('SELECT @a + @b AS s, @t AS t; SET @o = @a * 2', (request) => {
      request.addParameter('a', TYPES.Int, 20);
      request.addParameter('b', TYPES.Int, 22);
      request.addParameter('t', TYPES.NVarChar, 'Ünï');
      request.addOutputParameter('o', TYPES.Int);
    });
    expect(rows).toEqual([{ s: 42, t: 'Ünï' }]);
    expect(outputs).toEqual({ o: 40 });
  });

  it('prepares, executes twice and unprepares', async () => {
    const rows: unknown[] = [];
    let finished: (error?: Error | null) => void = () => undefined;
    const request = new Request('SELECT @n * @n AS square', (error) => finished(error));
    request.addParameter('n', TYPES.Int);
    request.on('row', (columns: { value: unknown }[]) => rows.push(columns[0]!.value));
    const step = async (start: () => void): Promise<void> =>
      new Promise((resolve, reject) => {
        finished = (error) => (error ? reject(error) : setImmediate(resolve));
        start();
      });
    await new Promise<void>((resolve) => {
      request.once('prepared', () => setImmediate(resolve));
      client.connection.prepare(request);
    });
    for (const n of [3, 4]) await step(() => client.connection.execute(request, { n }));
    await step(() => client.connection.unprepare(request));
    expect(rows).toEqual([9, 16]);
  });
});

describe('cancelling and resetting', () => {
  it('cancels a waiting batch and goes on with the connection', async () => {
    const request = new Request("WAITFOR DELAY '00:00:30'", () => undefined);
    const done = new Promise<ServerError>((resolve) => {
      request.callback = (error: Error | null | undefined) => resolve(error as ServerError);
    });
    client.connection.execSqlBatch(request);
    setImmediate(() => client.connection.cancel());
    expect((await done).code).toBe('ECANCEL');
    expect(await client.value('SELECT 1 AS one')).toBe(1);
  });

  it('answers a request timeout', async () => {
    const impatient = await Client.open(simulator, { requestTimeout: 200 });
    await expect(impatient.query("WAITFOR DELAY '00:00:30'")).rejects.toMatchObject({ code: 'ETIMEOUT' });
    expect(await impatient.value('SELECT 2 AS two')).toBe(2);
    await impatient.close();
  });

  it('rolls back and forgets temp tables on reset', async () => {
    const other = await Client.open(simulator);
    await other.query('CREATE TABLE #R (A int); BEGIN TRAN; SET LOCK_TIMEOUT 5');
    await new Promise<void>((resolve, reject) =>
      other.connection.reset((error) => (error ? reject(error) : resolve())),
    );
    expect((await other.query("SELECT @@TRANCOUNT AS n, OBJECT_ID('#R') AS r, @@LOCK_TIMEOUT AS t")).rows).toEqual([
      { n: 0, r: null, t: -1 },
    ]);
    await other.close();
  });
});

describe('large results', () => {
  it('streams more rows than fit in memory buffers, slowly read', async () => {
    await client.query(`CREATE TABLE dbo.Big (Id int PRIMARY KEY, Text nvarchar(200) NOT NULL);
      DECLARE @i int = 0; WHILE @i < 10 BEGIN INSERT dbo.Big VALUES (@i, REPLICATE(N'y', 200)); SET @i += 1; END
      INSERT dbo.Big SELECT a.Id + 10 * (1 + b.Id + 10 * c.Id + 100 * d.Id), a.Text FROM dbo.Big a CROSS JOIN dbo.Big b CROSS JOIN dbo.Big c CROSS JOIN dbo.Big d`);
    let rows = 0;
    await new Promise<void>((resolve, reject) => {
      const request = new Request('SELECT Id, Text FROM dbo.Big', (error) => (error ? reject(error) : resolve()));
      request.on('row', () => {
        rows += 1;
        if (rows % 2500 === 0) {
          request.pause();
          setImmediate(() => request.resume());
        }
      });
      client.connection.execSqlBatch(request);
    });
    expect(rows).toBe(10_010);
  });
});

describe('faults', () => {
  it('injects an error, latency and a dropped connection where asked', async () => {
    simulator.faults.arm({ point: 'statement', match: { tag: 'claim' }, action: { kind: 'error', number: 1205 } });
    expect(await client.errorNumber('/* claim */ SELECT 1')).toBe(1205);
    expect(await client.value('/* claim */ SELECT 1 AS x')).toBe(1);

    await client.query('CREATE TABLE dbo.Dropped (Id int PRIMARY KEY)');
    for (const after of [false, true]) {
      const victim = await Client.open(simulator);
      simulator.faults.arm({ point: 'statement', match: { kind: 'insert' }, action: { kind: 'drop', after } });
      await expect(victim.query(`INSERT dbo.Dropped VALUES (${Number(after)})`)).rejects.toThrow();
    }
    expect((await client.query('SELECT Id FROM dbo.Dropped')).rows).toEqual([{ Id: 1 }]);
  });

  it('drops a connection in the middle of a result', async () => {
    const victim = await Client.open(simulator);
    let rows = 0;
    simulator.faults.arm({ point: 'statement', match: { kind: 'query' }, action: { kind: 'dropMidResult', rows: 50 } });
    await expect(
      victim.query('SELECT Id FROM dbo.Big', (request) => request.on('row', () => (rows += 1))),
    ).rejects.toThrow();
    expect(rows).toBeLessThanOrEqual(51);
  });

  it('is armed over the control port and keeps a transcript', async () => {
    const url = `http://127.0.0.1:${simulator.controlPort}`;
    const armed = await fetch(`${url}/control/faults`, {
      method: 'POST',
      body: JSON.stringify({ point: 'statement', action: { kind: 'error', number: 40_501 } }),
    });
    expect(armed.status).toBe(201);
    expect(await client.errorNumber('SELECT 3')).toBe(40_501);
    const transcript = (await (await fetch(`${url}/control/transcript`)).json()) as { text?: string; error?: number }[];
    expect(transcript.at(-1)).toMatchObject({ text: 'SELECT 3', error: 40_501 });
    const sessions = (await (await fetch(`${url}/control/sessions`, { method: 'POST' })).json()) as {
      sessions: unknown[];
    };
    expect(sessions.sessions.length).toBeGreaterThan(0);
  });
});

describe('hostile bytes', () => {
  it('survives random input on the socket', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.uint8Array({ minLength: 1, maxLength: 300 }),
        fc.constantFrom(undefined, 0x12, 0x10, 0x01, 0x03),
        async (bytes, type) => {
          const body = Buffer.from(bytes);
          const header = Buffer.from([type ?? 0, 1, 0, 0, 0, 0, 1, 0]);
          header.writeUInt16BE(body.length + 8, 2);
          const socket = connect(simulator.port, '127.0.0.1');
          await new Promise<void>((resolve) => {
            socket.on('close', () => resolve());
            socket.on('error', () => undefined);
            socket.on('data', () => undefined);
            socket.end(type === undefined ? body : Buffer.concat([header, body]));
          });
        },
      ),
      { numRuns: 150 },
    );
    expect(await client.value('SELECT 5 AS five')).toBe(5);
  });
});
