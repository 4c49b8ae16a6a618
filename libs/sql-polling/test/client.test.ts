import { readFileSync } from 'node:fs';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { sessionSql, SqlConnection, SqlError, SqlPool, type QueryResult } from '../src/index.ts';
import { tediousConfiguration } from '../src/client/connection.ts';
import { translateSqlError } from '../src/client/errors.ts';

const statement = { name: 'ping', sql: 'SELECT 1', parameters: {} };

describe('errors of SQL Server', () => {
  it.each([
    [1205, 'deadlock', true],
    [1222, 'lock-timeout', true],
    [10928, 'throttled', true],
    [49918, 'throttled', true],
    [40197, 'failover', true],
    [40613, 'failover', true],
    [4060, 'login', false],
    [18456, 'login', false],
    [229, 'rights', false],
    [208, 'shape', false],
    [2627, 'statement', false],
  ])('%i is %s', (number, kind, retryable) => {
    const error = translateSqlError('claim', Object.assign(new Error('text'), { code: 'EREQUEST', number, class: 14 }));
    expect(error).toMatchObject({ kind, retryable, number, statement: 'claim' });
  });

  it.each([
    ['ESOCKET', 'connection', true],
    ['ECLOSE', 'connection', true],
    ['ETIMEOUT', 'timeout', true],
    ['ELOGIN', 'login', false],
  ])('without a number: %s is %s', (code, kind, retryable) => {
    expect(translateSqlError('claim', Object.assign(new Error('text'), { code }))).toMatchObject({ kind, retryable });
  });

  it('of several the one that decides counts, and severity 20 ends the connection', () => {
    const first = Object.assign(new Error('victim'), { code: 'EREQUEST', number: 1205, class: 13 });
    const last = Object.assign(new Error('terminated'), { code: 'EREQUEST', number: 3621, class: 0 });
    expect(translateSqlError('claim', new AggregateError([last, first]))).toMatchObject({ number: 1205 });
    const fatal = Object.assign(new Error('fatal'), { code: 'EREQUEST', number: 21, class: 21 });
    expect(translateSqlError('claim', fatal)).toMatchObject({ kind: 'connection', retryable: true });
  });

  it('tell a server that is not there', async () => {
    const options = {
      host: '127.0.0.1',
      port: 1,
      database: 'xva',
      user: 'u',
      password: 'hush',
      encrypt: 'false' as const,
      trustServerCertificate: false,
      connectTimeoutMs: 2_000,
      requestTimeoutMs: 1_000,
      deadlineMs: 2_000,
      sessionSql: 'SELECT 1',
      appName: 'test',
    };
    const error = await SqlConnection.connect(options).catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(SqlError);
    expect(error).toMatchObject({ kind: 'connection', retryable: true, statement: 'connect' });
    expect(JSON.stringify(error)).not.toContain('hush');
  });
});

describe('a connection', () => {
  const options = {
    host: 'sql.bank.example',
    port: 1433,
    database: 'risk',
    user: 'u',
    password: 'p',
    trustServerCertificate: false,
    connectTimeoutMs: 1,
    requestTimeoutMs: 2,
    deadlineMs: 3,
    sessionSql: sessionSql(500),
    appName: 'test',
  };

  it.each([
    ['true', true],
    ['strict', 'strict'],
    ['false', false],
  ] as const)('with encryption %s', (encrypt, expected) => {
    const { options: sent } = tediousConfiguration({ ...options, encrypt });
    expect(sent).toMatchObject({ encrypt: expected, trustServerCertificate: false, maxRetriesOnTransientErrors: 0 });
  });

  it('checks the certificate against the authority and name that it is given', () => {
    const caFile = fileURLToPath(import.meta.url);
    const { options: sent } = tediousConfiguration({ ...options, encrypt: 'true', caFile, serverName: 'db.example' });
    expect(sent).toMatchObject({
      serverName: 'db.example',
      cryptoCredentialsDetails: { ca: readFileSync(caFile, 'utf8') },
    });
  });

  it('loses every deadlock and waits for no lock long', () => {
    expect(options.sessionSql).toMatch(/SET LOCK_TIMEOUT 500;\s+SET DEADLOCK_PRIORITY LOW;/);
    expect(() => sessionSql(Number.NaN)).toThrow(RangeError);
  });
});

describe('the pool', () => {
  function fakes() {
    const made: { broken: boolean; closed: boolean; busy: number; done: ((result: QueryResult) => void)[] }[] = [];
    let failNext = false;
    const pool = new SqlPool(() => {
      if (failNext) {
        failNext = false;
        return Promise.reject(new SqlError('connect', { code: 'ESOCKET', message: 'no' }));
      }
      const state = { broken: false, closed: false, busy: 0, done: [] as ((result: QueryResult) => void)[] };
      made.push(state);
      return Promise.resolve({
        get broken() {
          return state.broken;
        },
        close: () => {
          state.closed = true;
        },
        query: () => {
          state.busy += 1;
          expect(state.busy).toBe(1);
          return new Promise<QueryResult>((resolve) =>
            state.done.push((result) => {
              state.busy -= 1;
              resolve(result);
            }),
          );
        },
      });
    }, 2);
    const empty: QueryResult = { resultSets: [], rowCount: 0 };
    return { made, pool, empty, failOnce: () => (failNext = true) };
  }

  it('keeps to its size, gives waiting requests the next free connection, and reuses', async () => {
    const { made, pool, empty } = fakes();
    const asked = [1, 2, 3].map(() => pool.query(statement, {}));
    await nextTurn();
    expect(made.map((one) => one.done.length)).toEqual([1, 1]);
    made[0]!.done[0]!(empty);
    await asked[0];
    await nextTurn();
    expect(made[0]!.done).toHaveLength(2);
    made[0]!.done[1]!(empty);
    made[1]!.done[0]!(empty);
    await Promise.all(asked);
    expect(made).toHaveLength(2);
    pool.close();
    expect(made.every((one) => one.closed)).toBe(true);
    await expect(pool.query(statement, {})).rejects.toMatchObject({ code: 'EPOOLCLOSED' });
  });

  it('throws a broken connection away and survives a failed login', async () => {
    const { made, pool, empty, failOnce } = fakes();
    const first = pool.query(statement, {});
    await nextTurn();
    made[0]!.broken = true;
    made[0]!.done[0]!(empty);
    await first;
    expect(made[0]!.closed).toBe(true);
    failOnce();
    await expect(pool.query(statement, {})).rejects.toMatchObject({ code: 'ESOCKET' });
    const again = pool.query(statement, {});
    await nextTurn();
    made[1]!.done[0]!(empty);
    await again;
    pool.close();
  });
});
