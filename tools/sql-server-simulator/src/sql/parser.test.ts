import fc from 'fast-check';
import { SqlError } from '../types/sql-error.ts';
import { tokenize } from './lexer.ts';
import { parse, parseParameters } from './parser.ts';

const kinds = (sql: string): string[] => parse(sql).map(({ kind }) => kind);

describe('lexer', () => {
  it('reads quotes, brackets, nested comments, numbers and lines', () => {
    const tokens = tokenize(
      'SELECT N\'it\'\'s\' [a]]b] "c""d" 0xAF 1.5e-3 .5 @v @@ROWCOUNT #t -- x\n/* a /* b */ c */ <>',
    );
    expect(tokens.map(({ kind, text }) => `${kind}:${text}`)).toEqual([
      'word:SELECT',
      "nstring:it's",
      'quoted:a]b',
      'quoted:c"d',
      'binary:AF',
      'number:1.5e-3',
      'number:.5',
      'variable:@v',
      'variable:@@ROWCOUNT',
      'word:#t',
      'symbol:<>',
      'end:',
    ]);
    expect(tokens.at(-1)?.line).toBe(2);
  });

  it('is linear on hostile input', () => {
    const started = performance.now();
    for (const text of [
      '('.repeat(100_000),
      "'".repeat(99_999),
      '/*'.repeat(50_000),
      'a '.repeat(100_000),
      '['.repeat(100_000),
    ]) {
      try {
        parse(text);
      } catch (error) {
        expect(error).toBeInstanceOf(SqlError);
      }
    }
    expect(performance.now() - started).toBeLessThan(5_000);
  });
});

describe('parser', () => {
  it('splits a batch without separators', () => {
    expect(
      kinds(
        'DECLARE @a int = 1, @b nvarchar(max) SET @a += 2 IF @a > 1 SELECT 1 ELSE BEGIN PRINT 1 END WHILE 1 = 0 BREAK SELECT 2 AS x UPDATE t SET a = 1 DELETE FROM t COMMIT TRAN',
      ),
    ).toEqual(['declare', 'setVariable', 'if', 'while', 'query', 'update', 'delete', 'commit']);
  });

  it('binds operators as T-SQL does', () => {
    const [statement] = parse('SELECT 1 WHERE NOT a = 1 + 2 * 3 AND b = 2 OR c = 3');
    expect(statement).toMatchObject({
      query: {
        body: {
          where: {
            operator: 'or',
            left: {
              operator: 'and',
              left: { kind: 'not', operand: { kind: 'compare', right: { operator: '+', right: { operator: '*' } } } },
            },
          },
        },
      },
    });
  });

  it('keeps hints, OUTPUT INTO and table constructors', () => {
    expect(
      parse('INSERT INTO dbo.t (a, b) OUTPUT inserted.a INTO @x (a) VALUES (1, DEFAULT), (2, NULL)')[0],
    ).toMatchObject({
      kind: 'insert',
      columns: ['a', 'b'],
      output: { into: { target: { kind: 'variable', name: '@x' } } },
      source: {
        rows: [
          [{}, { kind: 'default' }],
          [{}, {}],
        ],
      },
    });
    expect(
      parse('SELECT * FROM dbo.t AS x WITH (ROWLOCK, READPAST, INDEX(ix)) OPTION (RECOMPILE, MAXDOP 1)')[0],
    ).toMatchObject({ query: { body: { from: { hints: ['ROWLOCK', 'READPAST', 'INDEX'] } } } });
  });

  it('names the line of what it refuses', () => {
    expect(() => parse('SELECT 1\nSELECT 2\nBACKUP DATABASE x TO DISK = 1')).toThrow(
      "not in the simulator's subset: BACKUP (line 3)",
    );
  });

  it('reads parameter lists', () => {
    expect(parseParameters('@a int, @b nvarchar(4000) OUTPUT, @c decimal(28, 12) = 1.5')).toMatchObject([
      { name: '@a', output: false },
      { output: true, type: { length: 4000 } },
      { type: { precision: 28, scale: 12 }, default: {} },
    ]);
    expect(parseParameters(' ')).toEqual([]);
  });
});

describe('fuzzing', () => {
  const words =
    "SELECT FROM WHERE AND OR NOT IN LIKE BETWEEN EXISTS CASE WHEN THEN ELSE END CAST AS CONVERT TOP WITH UPDATE SET INSERT INTO VALUES DELETE OUTPUT inserted deleted MERGE USING ON MATCHED JOIN LEFT CROSS APPLY OPENJSON GROUP BY ORDER HAVING UNION ALL OFFSET ROWS FETCH NEXT ONLY CREATE TABLE INDEX UNIQUE PRIMARY KEY FOREIGN REFERENCES CHECK DEFAULT CONSTRAINT ALTER ADD DROP IF BEGIN TRAN COMMIT ROLLBACK TRY CATCH THROW DECLARE EXEC NULL IS int nvarchar a b t @v @t ( ) , ; . = <> + - * / % 1 2.5 'x' N'y' 0xFF [q] OVER PARTITION ROW_NUMBER COUNT".split(
      ' ',
    );

  it('never does anything but parse or raise a SqlError, on random tokens and on random text', () => {
    const attempt = (text: string): void => {
      try {
        parse(text);
      } catch (error) {
        if (!(error instanceof SqlError)) throw error;
      }
    };
    fc.assert(
      fc.property(fc.array(fc.constantFrom(...words), { maxLength: 40 }), (tokens) => attempt(tokens.join(' '))),
      { numRuns: 3000 },
    );
    fc.assert(fc.property(fc.string({ unit: 'binary', maxLength: 200 }), attempt), { numRuns: 2000 });
  });
});
