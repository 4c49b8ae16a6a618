import { readFileSync } from 'node:fs';
import { DefinitionFileError, parseDefinitions } from '../src/index.ts';
import { sourceRow } from '../src/outbox/rows.ts';
import { requestColumns } from '../src/statements/request-columns.ts';

function issuesOf(text: string): readonly string[] {
  try {
    parseDefinitions(text, 'polling.yaml');
  } catch (error) {
    if (error instanceof DefinitionFileError) {
      return error.issues.map(({ line, path, message }) => `${line} ${path}: ${message}`);
    }
    throw error;
  }
  return [];
}

describe('the example in the page of a mode', () => {
  it.each(['outbox', 'rowversion', 'change-tracking', 'query'])('%s is taken as it stands', (name) => {
    const page = readFileSync(new URL(`../../../docs/detection/${name}.md`, import.meta.url), 'utf8');
    const example = /```yaml\n(.*?)```/s.exec(page)?.[1] ?? '';
    const [definition] = parseDefinitions(`version: 1\ndefinitions:\n${example.replace(/^/gm, '  ')}`, `${name}.md`);
    expect(definition?.mode.toLowerCase()).toBe(name.replace('-', ''));
  });
});

describe('a definition file', () => {
  it('needs no more than a name and a mode', () => {
    const [definition] = parseDefinitions(
      'version: 1\ndefinitions:\n  - name: run-requests\n    mode: outbox\n',
      'polling.yaml',
    );
    expect(definition).toMatchObject({
      name: 'run-requests',
      schedule: { cron: '* * * * *', timezone: 'UTC', misfire: 'last', overlap: 'skip' },
      window: { lengthMs: 60_000, minDelayMs: 200, maxDelayMs: 1_000 },
      table: 'xva.RunRequest',
      columns: { id: 'RequestId', status: 'Status' },
      mapping: { grid: 'GridTenors' },
      details: { quotes: { table: 'xva.Quote', columns: { value: 'QuoteValue' } } },
      batchSize: 20,
      leaseSeconds: 60,
      maxAttempts: 5,
    });
  });

  it('asks for no column of what few tables hold, until one is named', () => {
    const head = 'version: 1\ndefinitions:\n  - name: a\n    mode: outbox\n';
    const [plain] = parseDefinitions(head, 'p.yaml');
    const rare = ['errorBars', 'marketSnapshot', 'creditProxies', 'whatIf'];
    for (const field of rare) expect(requestColumns(plain!)).not.toContain(field);
    expect(sourceRow(plain!, {}).fields).toMatchObject(Object.fromEntries(rare.map((field) => [field, null])));
    const mapping = '    mapping: { errorBars: { value: true }, marketSnapshot: Snapshot, whatIf: WhatIf }\n';
    const [asked] = parseDefinitions(head + mapping, 'p.yaml');
    expect(requestColumns(asked!)).toContain('[Snapshot] AS [marketSnapshot], [WhatIf] AS [whatIf]');
    const { fields, columns } = sourceRow(asked!, { marketSnapshot: 'EOD', whatIf: null });
    expect(fields).toMatchObject({ errorBars: true, marketSnapshot: 'EOD', creditProxies: null, whatIf: null });
    expect(columns).toMatchObject({ marketSnapshot: 'Snapshot', errorBars: 'constant errorBars' });
  });

  it('may be JSON', () => {
    expect(parseDefinitions('{"version":1,"definitions":[{"name":"a","mode":"outbox"}]}', 'p.json')).toHaveLength(1);
  });

  it('names every fault with its line, all together', () => {
    const text = `version: 1
definitions:
  - name: Run Requests
    mode: outbox
    schedule:
      cron: "61 * * * *"
      timezone: UTC
    window:
      minDelayMs: 500
      maxDelayMs: 100
    table: "xva.RunRequest]; DROP TABLE xva.Trade--"
    batchsize: 10
  - name: second
    mode: outbox
    schedule: { cron: "* * * * *", timezone: Europe/Lissabon }
    leaseSeconds: 1
    mapping:
      priority: { value: 1.5 }
      books: Book
    details:
      quotes:
        sql: SELECT QuoteKey AS [key] FROM xva.Quote WHERE AsOf = @date
      trades:
        sql: |
          SELECT 1; DROP TABLE xva.Trade
  - name: second
    mode: changeTracking
`;
    const issues = issuesOf(text);
    const expected = [
      /^3 definitions\[0\]\.name: must be 1 to 40 of a-z/,
      /^6 definitions\[0\]\.schedule\.cron: "61 \* \* \* \*": /,
      /^10 definitions\[0\]\.window\.maxDelayMs: must not be below minDelayMs$/,
      /^11 definitions\[0\]\.table: must be a plain name/,
      /^12 definitions\[0\]\.batchsize: there is no such setting$/,
      /^15 definitions\[1\]\.schedule\.timezone: "Europe\/Lissabon" is no IANA time zone$/,
      /^16 definitions\[1\]\.leaseSeconds: /,
      /^18 definitions\[1\]\.mapping\.priority: /,
      /^19 definitions\[1\]\.mapping\.books: there is no such setting$/,
      /^22 definitions\[1\]\.details\.quotes\.sql: @date is no parameter; there are @book, @asOf/,
      /^24 definitions\[1\]\.details\.trades\.sql: must be one statement, without ;$/,
      /^26 definitions\[2\]\.start: must be said: now \(/,
    ];
    for (const pattern of expected) expect(issues).toContainEqual(expect.stringMatching(pattern));
    expect(issues).toHaveLength(expected.length);
  });

  it('names the modes that there are, and what each needs', () => {
    const ofMode = (more: string) => issuesOf(`version: 1\ndefinitions:\n  - name: a\n${more}`);
    expect(ofMode('    mode: cdc\n')).toEqual([
      '4 definitions[0].mode: must be outbox, rowversion, changeTracking or query',
    ]);
    expect(ofMode('    mode: rowversion\n')).toEqual([expect.stringContaining('start: must be said: now')]);
    expect(ofMode('    mode: query\n    start: now\n')).toEqual([expect.stringContaining('definitions[0].sql')]);
    expect(ofMode('    mode: rowversion\n    start: now\n    columns: { id: Id }\n')).toEqual([
      '6 definitions[0].columns: there is no such setting',
    ]);
    expect(ofMode('    mode: query\n    start: now\n    sql: SELECT 1 AS A WHERE @x > @today\n')).toEqual([
      expect.stringContaining('@x is no parameter; there are @today, @asOf'),
    ]);
    expect(ofMode('    mode: query\n    start: now\n    sql: SELECT 1 AS A WHERE @asOf > @today\n')).toEqual([
      expect.stringContaining('@asOf is the date of the rule in mapping.asOf, and there is none'),
    ]);
    const rule = '    mapping: { asOf: { businessDaysBack: 1, calendars: [TARGET] } }\n';
    expect(ofMode(`    mode: rowversion\n    start: now\n${rule}`)).toEqual([
      '6 definitions[0].mapping.asOf: rowversion takes the as-of date from a column, or a constant',
    ]);
    expect(ofMode(`    mode: outbox\n${rule.replace('TARGET', 'TARGETT')}`)).toEqual([
      expect.stringMatching(/^5 .*calendars\[0\]: there is no calendar "TARGETT"; there are TARGET/),
    ]);
    const calendars =
      'version: 1\ncalendars:\n  A: { add: [2026-02-30] }\n  B: { joins: [B] }\ndefinitions:\n  - { name: a, mode: outbox }\n';
    expect(issuesOf(calendars)).toEqual([
      '3 calendars.A.add[0]: must be a date, YYYY-MM-DD',
      '4 calendars.B: calendars join in a circle: B → B',
    ]);
    expect(issuesOf(calendars.replace('2026-02-30', '2026-02-28'))).toEqual([
      '4 calendars.B: calendars join in a circle: B → B',
    ]);
  });

  it('takes a SELECT whose strings, names, comments and hints only look like statements', () => {
    const sql =
      "SELECT 'drop; @x' AS Book, [Delete], UpdatedAt, LastUpdate, @@VERSION AS v /* set; */ FROM a INNER MERGE JOIN b ON a.[set] = b.id WHERE d = @today";
    const read = () =>
      parseDefinitions(
        JSON.stringify({ version: 1, definitions: [{ name: 'a', mode: 'query', start: 'now', sql }] }),
        'a',
      );
    expect(read).not.toThrow();
  });

  it('refuses two definitions of one name, which would give two events one id', () => {
    const issues = issuesOf('version: 1\ndefinitions:\n  - { name: a, mode: outbox }\n  - { name: a, mode: outbox }\n');
    expect(issues).toEqual(['4 definitions[1].name: "a" is the name of another definition']);
  });

  it('tells broken YAML and repeated keys by line', () => {
    expect(issuesOf('version: 1\ndefinitions:\n  - name: "a\n')[0]).toMatch(/^\d /);
    expect(issuesOf('version: 1\nversion: 1\ndefinitions: []\n')).toContainEqual(
      expect.stringMatching(/^2 : .*unique/),
    );
    expect(issuesOf('')).not.toEqual([]);
    expect(issuesOf('- 1')).not.toEqual([]);
  });
});
