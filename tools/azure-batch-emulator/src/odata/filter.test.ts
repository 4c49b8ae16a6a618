import { DatabaseSync } from 'node:sqlite';
import fc from 'fast-check';
import { FilterNotAllowedError, matches, toSql } from './compile.ts';
import { FilterSyntaxError, parseFilter, type Filter, type Literal } from './filter.ts';
import { filterTables } from './properties.ts';
import { isoTime } from '../time.ts';

const table = filterTables.tasks;
const word = fc.constantFrom('active', 'running', 'completed', 'success', 'a', 'ab', 'A1', "o'x", 'a%_');
const start = 1_760_000_000_000_000;
const micros = fc.integer({ min: 0, max: 5 }).map((step) => start + step * 1000);

const leaf: fc.Arbitrary<Filter> = fc.oneof(
  fc.record({
    kind: fc.constant('compare' as const),
    property: fc.constantFrom('id', 'state', 'executionInfo/result'),
    operator: fc.constantFrom('eq' as const, 'ne' as const),
    literal: word.map((value): Literal => ({ kind: 'text', value })),
  }),
  fc.record({
    kind: fc.constant('compare' as const),
    property: fc.constantFrom('creationTime', 'executionInfo/endTime'),
    operator: fc.constantFrom('eq', 'ne', 'gt', 'ge', 'lt', 'le'),
    literal: micros.map((value): Literal => ({ kind: 'time', value })),
  }),
  fc.record({
    kind: fc.constant('compare' as const),
    property: fc.constant('executionInfo/exitCode'),
    operator: fc.constantFrom('eq', 'ne', 'gt', 'ge', 'lt', 'le'),
    literal: fc.integer({ min: -2, max: 2 }).map((value): Literal => ({ kind: 'number', value })),
  }),
  fc.record({ kind: fc.constant('startswith' as const), property: fc.constant('id'), prefix: word }),
);

const filters = fc.letrec<{ node: Filter }>((tie) => ({
  node: fc.oneof(
    { maxDepth: 5 },
    leaf,
    fc.record({ kind: fc.constantFrom('and', 'or'), left: tie('node'), right: tie('node') }) as fc.Arbitrary<Filter>,
  ),
})).node;

/** Writes a filter with parentheses only where precedence asks for them, so that the parser's precedence is tested. */
function write(filter: Filter, inAnd = false): string {
  const quoted = (value: string): string => `'${value.replaceAll("'", "''")}'`;
  if (filter.kind === 'startswith') return `startswith(${filter.property}, ${quoted(filter.prefix)})`;
  if (filter.kind === 'compare') {
    const { literal } = filter;
    const shown =
      literal.kind === 'text'
        ? quoted(literal.value)
        : literal.kind === 'time'
          ? `DateTime'${isoTime(literal.value)}'`
          : String(literal.value);
    return `${filter.property} ${filter.operator} ${shown}`;
  }
  const inner = filter.kind === 'and';
  const text = `${write(filter.left, inner)} ${filter.kind} ${write(filter.right, inner)}`;
  return inAnd && filter.kind === 'or' ? `(${text})` : text;
}

const record = fc.record({
  id_key: fc.constantFrom('a', 'ab', 'a1', 'active', "o'x", 'a%_'),
  state: fc.constantFrom('active', 'running', 'completed'),
  result: fc.constantFrom('success', 'failure', null),
  created: micros,
  end_time: fc.option(micros),
  exit_code: fc.option(fc.integer({ min: -2, max: 2 })),
});

describe('a filter', () => {
  const db = new DatabaseSync(':memory:');
  db.exec(
    'CREATE TABLE tasks (id_key TEXT, state TEXT, result TEXT, created INTEGER, end_time INTEGER, exit_code INTEGER)',
  );
  afterAll(() => db.close());

  it('means the same when it is written, read back, and asked of SQL or of a record', () => {
    fc.assert(
      fc.property(filters, record, (filter, row) => {
        const parsed = parseFilter(write(filter));
        const direct = matches(filter, table, row);
        expect(matches(parsed, table, row)).toBe(direct);
        db.exec('DELETE FROM tasks');
        db.prepare('INSERT INTO tasks VALUES (?, ?, ?, ?, ?, ?)').run(
          row.id_key, row.state, row.result, row.created, row.end_time, row.exit_code,
        ); // prettier-ignore
        const { sql, values } = toSql(parsed, table);
        const found = db.prepare(`SELECT 1 FROM tasks WHERE ${sql}`).get(...values);
        expect(found !== undefined).toBe(direct);
      }),
      { numRuns: 500 },
    );
  });

  it('is read or refused, whatever the text', () => {
    const piece = fc.constantFrom(
      'id',
      'eq',
      'and',
      'or',
      '(',
      ')',
      "'x'",
      "'",
      ',',
      'startswith',
      '1',
      'true',
      '-',
      'DateTime',
      "DateTime'x'",
      '$',
      'é',
    );
    const text = fc.oneof(
      fc.string(),
      fc.array(piece, { maxLength: 30 }).map((parts) => parts.join(' ')),
    );
    fc.assert(
      fc.property(text, (source) => {
        try {
          toSql(parseFilter(source), table);
        } catch (error) {
          expect(error instanceof FilterSyntaxError || error instanceof FilterNotAllowedError).toBe(true);
        }
      }),
      { numRuns: 2000 },
    );
  });

  it.each([
    ["state eq 'Completed' and startswith(id,'A+B')", undefined],
    ["creationTime lt DateTime'Sun, 22 Nov 2026 22:24:49 GMT'", undefined],
    ["state gt 'active'", /does not allow gt/],
    ["State eq 'active'", /State cannot be filtered/],
    ["state EQ 'active'", /expected one of/],
    ["executionInfo/exitCode eq '1'", /number literal/],
    ["startswith(state,'a')", /does not allow startswith/],
    ["id eq 'a", /unexpected/],
    ["id eq 'a' id", /expected 'and', 'or' or the end/],
    [`${'('.repeat(65)}id eq 'a'${')'.repeat(65)}`, /nest deeper/],
    ["constructor eq 'a'", /cannot be filtered/],
    ['', /expected a property/],
  ])('%s', (source, refusal) => {
    const read = (): unknown => toSql(parseFilter(source), table);
    if (refusal === undefined) expect(read).not.toThrow();
    else expect(read).toThrow(refusal);
  });
});
