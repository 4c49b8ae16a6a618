import { TYPES } from 'tedious';
import { Client } from './client.ts';
import { startServer, type TestServer } from './server.ts';

let server: TestServer;
let client: Client;

beforeAll(async () => {
  server = await startServer();
  client = await Client.open(server.address);
});
afterAll(async () => {
  await client.close();
  await server.stop();
});

const one = async (expression: string): Promise<unknown> => client.value(`SELECT ${expression} AS v`);

describe('values to the last digit', () => {
  it('keeps decimals, bigint, datetime2(7), datetimeoffset, binary and rowversion through a table', async () => {
    await client.query(
      `CREATE TABLE dbo.Exact (Id int PRIMARY KEY, D decimal(38,12), B bigint, M money, T datetime2(7), O datetimeoffset(7), C time(7), X varbinary(max), G uniqueidentifier, F float, V rowversion, Day date)`,
    );
    await client.query(`INSERT dbo.Exact (Id, D, B, M, T, O, C, X, G, F, Day) VALUES (1, 12345678901234567890123456.123456789012, 9223372036854775807, -922337203685477.5808,
      '2026-11-20T01:02:03.1234567', '2026-11-20T01:02:03.7654321-03:00', '23:59:59.9999999', 0xDEADBEEF00, 'aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee', 0.1, '2019-02-28')`);
    const { rows } =
      await client.query(`SELECT CONVERT(varchar(60), D) AS D, B, CONVERT(varchar(40), M, 2) AS M, CONVERT(varchar(33), T, 126) AS T, CONVERT(varchar(40), O, 126) AS O, CONVERT(varchar(20), C) AS C, X, G, F, DATALENGTH(V) AS V, Day,
      T AS T2, O AS O2 FROM dbo.Exact`);
    expect(rows[0]).toMatchObject({
      D: '12345678901234567890123456.123456789012',
      B: '9223372036854775807',
      M: '-922337203685477.5808',
      T: '2026-11-20T01:02:03.1234567',
      O: '2026-11-20T01:02:03.7654321-03:00',
      C: '23:59:59.9999999',
      X: Buffer.from('deadbeef00', 'hex'),
      G: 'AAAAAAAA-BBBB-CCCC-DDDD-EEEEEEEEEEEE',
      F: 0.1,
      V: 8,
      Day: new Date('2019-02-28T00:00:00Z'),
    });
    expect((rows[0]!['T2'] as Date).toISOString()).toBe('2026-11-20T01:02:03.123Z');
    expect((rows[0]!['T2'] as { nanosecondsDelta?: number }).nanosecondsDelta).toBeCloseTo(0.0004567, 9);
    expect((rows[0]!['O2'] as Date).toISOString()).toBe('2026-11-20T04:02:03.765Z');
  });

  it('takes typed parameters back and forth', async () => {
    const { rows } = await client.query(
      'SELECT @d AS d, @b AS b, @u AS u, @x AS x, @n AS n, @f AS f, @t AS t, @y AS y, @big AS big',
      (request) => {
        request.addParameter('d', TYPES.Decimal, '-1234567.8901', { precision: 18, scale: 4 });
        request.addParameter('b', TYPES.Bit, true);
        request.addParameter('u', TYPES.UniqueIdentifier, '0F8FAD5B-D9CB-469F-A165-70867728950E');
        request.addParameter('x', TYPES.VarBinary, Buffer.from([1, 2, 3]));
        request.addParameter('n', TYPES.NVarChar, null);
        request.addParameter('f', TYPES.Float, 1e-300);
        request.addParameter('t', TYPES.DateTime2, new Date('2026-01-02T03:04:05.678Z'));
        request.addParameter('y', TYPES.Date, new Date('2026-01-02T00:00:00Z'));
        request.addParameter('big', TYPES.BigInt, '-9223372036854775808');
      },
    );
    expect(rows[0]).toEqual({
      d: -1234567.8901,
      b: true,
      u: '0F8FAD5B-D9CB-469F-A165-70867728950E',
      x: Buffer.from([1, 2, 3]),
      n: null,
      f: 1e-300,
      t: new Date('2026-01-02T03:04:05.678Z'),
      y: new Date('2026-01-02T00:00:00Z'),
      big: '-9223372036854775808',
    });
  });

  it('sends long text and binary both ways', async () => {
    const text = 'Ω'.repeat(210_000);
    const { rows } = await client.query('SELECT @t AS t, DATALENGTH(@b) AS n', (request) => {
      request.addParameter('t', TYPES.NVarChar, text);
      request.addParameter('b', TYPES.VarBinary, Buffer.alloc(100_000, 7));
    });
    expect(rows[0]).toEqual({ t: text, n: '100000' });
  });
});

describe('arithmetic', () => {
  const cases: readonly (readonly [string, unknown])[] = [
    ['7 / 2', 3],
    ['-7 / 2', -3],
    ['-7 % 3', -1],
    ['7 / 2.0', 3.5],
    ['CONVERT(varchar(40), CAST(0.1 AS decimal(28,12)) + CAST(0.2 AS decimal(28,12)))', '0.300000000000'],
    ['CONVERT(varchar(50), CAST(1 AS decimal(28,12)) / CAST(3 AS decimal(28,12)))', '0.3333333333'],
    ["'a' + N'b'", 'ab'],
    ["'5' + 2", 7],
    ['1 + NULL', null],
    ['CAST(2147483647 AS bigint) + 1', '2147483648'],
    ['~5', -6],
    ['6 & 3', 2],
    ['-2147483648', -2_147_483_648],
    ['ROUND(2.567, 2)', 2.57],
    ['ABS(-4.5)', 4.5],
    ['CEILING(-1.5)', -1],
    ['FLOOR(-1.5)', -2],
    ['CAST(2.5 AS int)', 2],
    ['CAST(0.5 AS decimal(4,0))', 1],
  ];
  it.each(cases)('%s', async (expression, expected) => {
    expect(await one(expression)).toEqual(expected);
  });

  it('raises 8134 and 8115', async () => {
    expect(await client.errorNumber('SELECT 1 / 0')).toBe(8134);
    expect(await client.errorNumber('SELECT 2147483647 + 1')).toBe(8115);
    expect(await client.errorNumber('SELECT CAST(1000 AS decimal(3,0))')).toBe(8115);
    expect(await client.errorNumber('SELECT CAST(300 AS tinyint)')).toBe(220);
  });
});

describe('strings, dates and JSON', () => {
  const cases: readonly (readonly [string, unknown])[] = [
    ["CASE WHEN 'abc' = 'ABC ' THEN 1 ELSE 0 END", 1],
    ["CASE WHEN 'abc' = 'ábc' THEN 1 ELSE 0 END", 0],
    ["CASE WHEN 'abc' COLLATE Latin1_General_BIN2 = 'ABC' THEN 1 ELSE 0 END", 0],
    ["CASE WHEN 'x' <> NULL THEN 1 ELSE 0 END", 0],
    ["CASE WHEN 'a_c' LIKE 'a!_C' ESCAPE '!' THEN 1 ELSE 0 END", 1],
    ["CASE WHEN 'abc' LIKE '[a-c]%' THEN 1 ELSE 0 END", 1],
    ["LEN('ab  ')", 2],
    ["SUBSTRING('abcdef', 2, 3)", 'bcd'],
    ["CONCAT('a', NULL, 1)", 'a1'],
    ["REPLACE('aXbx', 'x', '-')", 'a-b-'],
    ["CHARINDEX('C', 'abc')", 3],
    ["ISNULL(CAST(NULL AS nvarchar(2)), 'abc')", 'ab'],
    ['COALESCE(NULL, NULL, 3)', 3],
    ["NULLIF('a', 'A')", null],
    ["IIF(1 < 2, N'yes', N'no')", 'yes'],
    [
      "CONVERT(varchar(64), HASHBYTES('SHA2_256', 'abc'), 2)",
      'BA7816BF8F01CFEA414140DE5DAE2223B00361A396177A9CB410FF61F20015AD',
    ],
    ["CONVERT(varbinary(4), '0x00ff', 1)", Buffer.from([0, 255])],
    ['CONVERT(varchar(20), 0x00FF, 1)', '0x00FF'],
    ["CONVERT(varchar(30), DATEADD(month, 1, CAST('2026-01-31' AS date)), 23)", '2026-02-28'],
    ["DATEDIFF(day, '2026-01-01T23:59:59', '2026-01-02T00:00:00')", 1],
    ["DATEDIFF(ms, '2026-01-01', '2026-01-01T00:00:01.5')", 1500],
    [
      "CONVERT(varchar(33), DATEADD(ms, 250, CAST('2026-01-01T00:00:00.1234567' AS datetime2(7))), 126)",
      '2026-01-01T00:00:00.3734567',
    ],
    ["CONVERT(varchar(40), CAST('2026-01-01T00:00:00+03:00' AS datetimeoffset), 127)", '2025-12-31T21:00:00.0000000Z'],
    ["CONVERT(varchar(30), CAST('2026-01-01T10:11:12.997' AS datetime), 121)", '2026-01-01 10:11:12.997'],
    ["TRY_CONVERT(int, 'x')", null],
    ['JSON_VALUE(\'{"a":{"b c":[1, 1.10]}}\', \'$.a."b c"[1]\')', '1.10'],
    ['JSON_QUERY(\'{"a":{"b": 1}}\', \'$.a\')', '{"b": 1}'],
    ['ISJSON(\'{"a":1}\')', 1],
    ["ISJSON('{a:1}')", 0],
    [
      'CASE WHEN SYSUTCDATETIME() BETWEEN DATEADD(minute, -1, GETUTCDATE()) AND DATEADD(minute, 1, GETUTCDATE()) THEN 1 ELSE 0 END',
      1,
    ],
    ['LEN(CONVERT(varchar(36), NEWID()))', 36],
    ["CAST('1e3' AS float)", 1000],
    ['CONVERT(varchar(30), 1234567.891, 0)', '1234567.891'],
  ];
  it.each(cases)('%s', async (expression, expected) => {
    expect(await one(expression)).toEqual(expected);
  });

  it('raises the conversion errors of the server', async () => {
    expect(await client.errorNumber("SELECT CAST('x' AS int)")).toBe(245);
    expect(await client.errorNumber("SELECT CAST('x' AS decimal(9,2))")).toBe(8114);
    expect(await client.errorNumber("SELECT CAST('31/31/2020' AS datetime2)")).toBe(241);
    expect(await client.errorNumber("SELECT CAST('x' AS uniqueidentifier)")).toBe(8169);
  });
});
