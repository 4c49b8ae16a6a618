import type {
  CommonTable,
  Expression,
  JoinType,
  ObjectName,
  OpenJsonColumn,
  Query,
  QueryBody,
  SelectCore,
  SelectItem,
  TableHint,
  TableSource,
  Top,
} from './ast.ts';
import type { Cursor } from './cursor.ts';
import { parseExpression, parseOrder, parseType } from './parse-expression.ts';

/** `WITH a AS (…), b(c) AS (…)`, if one comes next. */
export function parseCommonTables(cursor: Cursor): CommonTable[] {
  if (!cursor.isWord('WITH')) return [];
  cursor.advance();
  if (cursor.isWord('XMLNAMESPACES')) throw cursor.refuse('WITH XMLNAMESPACES');
  return cursor.list((): CommonTable => {
    const { line } = cursor;
    const name = cursor.name();
    const columns = cursor.isSymbol('(') ? parseNames(cursor) : undefined;
    cursor.expectWord('AS');
    const query = cursor.parenthesized(() => parseQuery(cursor));
    return { name, query, line, ...(columns === undefined ? {} : { columns }) };
  });
}

export function parseNames(cursor: Cursor): string[] {
  return cursor.parenthesized(() => cursor.list(() => cursor.name()));
}

export function parseQuery(cursor: Cursor, ctes?: readonly CommonTable[]): Query {
  return cursor.nested(() => {
    const { line } = cursor;
    const commonTables = ctes ?? parseCommonTables(cursor);
    const body = parseBody(cursor);
    const orderBy = cursor.takeWord('ORDER', 'BY') ? parseOrder(cursor) : [];
    let offset: Expression | undefined;
    let fetch: Expression | undefined;
    if (cursor.takeWord('OFFSET')) {
      offset = parseExpression(cursor);
      if (!cursor.takeWord('ROWS')) cursor.expectWord('ROW');
      if (cursor.takeWord('FETCH')) {
        if (!cursor.takeWord('NEXT')) cursor.expectWord('FIRST');
        fetch = parseExpression(cursor);
        if (!cursor.takeWord('ROWS')) cursor.expectWord('ROW');
        cursor.expectWord('ONLY');
      }
    }
    return {
      with: commonTables,
      body,
      orderBy,
      line,
      ...(offset === undefined ? {} : { offset }),
      ...(fetch === undefined ? {} : { fetch }),
    };
  });
}

function parseBody(cursor: Cursor): QueryBody {
  let left = parseIntersect(cursor);
  for (;;) {
    const { line } = cursor;
    if (cursor.takeWord('UNION')) {
      const operator = cursor.takeWord('ALL') ? 'unionAll' : 'union';
      left = { kind: 'set', operator, left, right: parseIntersect(cursor), line };
    } else if (cursor.takeWord('EXCEPT'))
      left = { kind: 'set', operator: 'except', left, right: parseIntersect(cursor), line };
    else return left;
  }
}

function parseIntersect(cursor: Cursor): QueryBody {
  let left = parseTerm(cursor);
  while (cursor.isWord('INTERSECT')) {
    const { line } = cursor.advance();
    left = { kind: 'set', operator: 'intersect', left, right: parseTerm(cursor), line };
  }
  return left;
}

function parseTerm(cursor: Cursor): QueryBody {
  if (cursor.isSymbol('(')) return cursor.nested(() => cursor.parenthesized(() => parseBody(cursor)));
  return parseSelect(cursor);
}

export function parseTop(cursor: Cursor): Top | undefined {
  if (!cursor.takeWord('TOP')) return undefined;
  let count: Expression;
  if (cursor.isSymbol('(')) count = cursor.parenthesized(() => parseExpression(cursor));
  else if (cursor.token.kind === 'number' || cursor.token.kind === 'variable') {
    const { kind, text, line } = cursor.advance();
    count =
      kind === 'variable'
        ? { kind: 'variable', name: text, line }
        : {
            kind: 'literal',
            type: { name: 'bigint', length: 0, precision: 19, scale: 0 },
            value: BigInt(Math.trunc(Number(text))),
            line,
          };
  } else throw cursor.unexpected();
  const percent = cursor.takeWord('PERCENT');
  const ties = cursor.takeWord('WITH', 'TIES');
  return { count, percent, ties };
}

function parseSelect(cursor: Cursor): SelectCore {
  const { line } = cursor;
  cursor.expectWord('SELECT');
  const distinct = cursor.takeWord('DISTINCT');
  if (!distinct) cursor.takeWord('ALL');
  const top = parseTop(cursor);
  const items = cursor.list(() => parseItem(cursor));
  const into = cursor.takeWord('INTO') ? parseObjectName(cursor) : undefined;
  const from = cursor.takeWord('FROM') ? parseFrom(cursor) : undefined;
  const where = cursor.takeWord('WHERE') ? parseExpression(cursor) : undefined;
  let groupBy: Expression[] = [];
  if (cursor.takeWord('GROUP', 'BY')) {
    if (cursor.isOneOf('ROLLUP', 'CUBE', 'GROUPING')) throw cursor.refuse(`GROUP BY ${cursor.token.upper}`);
    groupBy = cursor.list(() => parseExpression(cursor));
  }
  const having = cursor.takeWord('HAVING') ? parseExpression(cursor) : undefined;
  return {
    kind: 'select',
    distinct,
    items,
    groupBy,
    line,
    ...(top === undefined ? {} : { top }),
    ...(into === undefined ? {} : { into }),
    ...(from === undefined ? {} : { from }),
    ...(where === undefined ? {} : { where }),
    ...(having === undefined ? {} : { having }),
  };
}

/** One item of SELECT or OUTPUT: `expression [AS alias]`, `alias = expression`, `@v = expression`, `t.*`. */
export function parseItem(cursor: Cursor): SelectItem {
  const { line } = cursor;
  if (cursor.token.kind === 'variable' && cursor.isSymbol('=', 1)) {
    const variable = cursor.advance().text;
    cursor.advance();
    return { expression: parseExpression(cursor), variable, line };
  }
  if (cursor.token.kind === 'variable' && /^[-+*/%&|^]=$/.test(cursor.peek(1).text))
    throw cursor.refuse('SELECT @v += …');
  if (cursor.isName() && cursor.isSymbol('=', 1)) {
    const alias = cursor.name();
    cursor.advance();
    return { expression: parseExpression(cursor), alias, line };
  }
  const expression = parseExpression(cursor);
  if (cursor.takeWord('AS')) {
    const { kind, text } = cursor.token;
    if (kind === 'string' || kind === 'nstring') {
      cursor.advance();
      return { expression, alias: text, line };
    }
    return { expression, alias: cursor.name(), line };
  }
  if (cursor.isName() && expression.kind !== 'star') return { expression, alias: cursor.name(), line };
  return { expression, line };
}

/** `[database.][schema.]name`; four parts (linked servers) are refused. */
export function parseObjectName(cursor: Cursor): ObjectName {
  const { line } = cursor;
  const parts: string[] = [cursor.name()];
  while (cursor.takeSymbol('.')) {
    if (cursor.isSymbol('.')) parts.push('');
    else parts.push(cursor.name());
  }
  if (parts.length > 3) throw cursor.refuse('four-part name (linked server)');
  const name = parts.at(-1) ?? '';
  const schema = parts.at(-2);
  const database = parts.at(-3);
  return {
    name,
    line,
    ...(schema === undefined || schema === '' ? {} : { schema }),
    ...(database === undefined ? {} : { database }),
  };
}

export function parseFrom(cursor: Cursor): TableSource {
  let left = parseJoined(cursor);
  while (cursor.isSymbol(',')) {
    const { line } = cursor.advance();
    left = { kind: 'join', type: 'cross', left, right: parseJoined(cursor), line };
  }
  return left;
}

function joinType(cursor: Cursor): JoinType | undefined {
  if (cursor.takeWord('CROSS', 'JOIN')) return 'cross';
  if (cursor.takeWord('CROSS', 'APPLY')) return 'crossApply';
  if (cursor.takeWord('OUTER', 'APPLY')) return 'outerApply';
  const start = cursor.at;
  let type: JoinType = 'inner';
  if (cursor.takeWord('INNER')) type = 'inner';
  else if (cursor.takeWord('LEFT')) type = 'left';
  else if (cursor.takeWord('RIGHT')) type = 'right';
  else if (cursor.takeWord('FULL')) type = 'full';
  if (cursor.at > start) cursor.takeWord('OUTER');
  if (cursor.isOneOf('LOOP', 'HASH', 'MERGE') && cursor.peek(1).upper === 'JOIN') cursor.advance();
  if (cursor.takeWord('JOIN')) return type;
  cursor.at = start;
  return undefined;
}

export function parseJoined(cursor: Cursor): TableSource {
  let left = parseSource(cursor);
  for (;;) {
    const { line } = cursor;
    const type = joinType(cursor);
    if (type === undefined) return left;
    if (type === 'cross' || type === 'crossApply' || type === 'outerApply') {
      left = { kind: 'join', type, left, right: parseSource(cursor), line };
      continue;
    }
    const right = cursor.nested(() => parseJoined(cursor));
    cursor.expectWord('ON');
    left = { kind: 'join', type, left, right, on: parseExpression(cursor), line };
  }
}

export function parseAlias(cursor: Cursor): string | undefined {
  if (cursor.takeWord('AS')) return cursor.name();
  return cursor.isName() ? cursor.name() : undefined;
}

function parseSource(cursor: Cursor): TableSource {
  const { line, token } = cursor;
  if (token.kind === 'variable') {
    const name = cursor.variable();
    const alias = parseAlias(cursor);
    return { kind: 'tableVariable', name, line, ...(alias === undefined ? {} : { alias }) };
  }
  if (cursor.isSymbol('(')) return cursor.nested(() => parseParenthesizedSource(cursor, line));
  if (cursor.isWord('OPENJSON')) return parseOpenJson(cursor, line);
  if (cursor.isWord('CHANGETABLE')) return parseChangeTable(cursor, line);
  for (const word of ['OPENROWSET', 'OPENQUERY', 'OPENXML', 'OPENDATASOURCE', 'FREETEXTTABLE', 'CONTAINSTABLE']) {
    if (cursor.isWord(word)) throw cursor.refuse(word);
  }
  const name = parseObjectName(cursor);
  if (cursor.isSymbol('(') && name.schema === undefined && !['NOLOCK', 'READPAST'].includes(cursor.peek(1).upper)) {
    const args = cursor.parenthesized(() => (cursor.isSymbol(')') ? [] : cursor.list(() => parseExpression(cursor))));
    const alias = parseAlias(cursor);
    return { kind: 'function', name: name.name.toUpperCase(), args, line, ...(alias === undefined ? {} : { alias }) };
  }
  if (cursor.isWord('FOR', 'SYSTEM_TIME')) throw cursor.refuse('FOR SYSTEM_TIME');
  const alias = parseAlias(cursor);
  if (cursor.isOneOf('TABLESAMPLE', 'PIVOT', 'UNPIVOT')) throw cursor.refuse(cursor.token.upper);
  const hints = parseHints(cursor);
  return { kind: 'table', name, hints, line, ...(alias === undefined ? {} : { alias }) };
}

function parseParenthesizedSource(cursor: Cursor, line: number): TableSource {
  if (cursor.peek(1).upper === 'VALUES' && cursor.peek(1).kind === 'word') {
    cursor.advance();
    cursor.advance();
    const rows = cursor.list(() => cursor.parenthesized(() => cursor.list(() => parseExpression(cursor))));
    cursor.expectSymbol(')');
    const alias = parseAlias(cursor);
    if (alias === undefined) throw cursor.unexpected();
    return { kind: 'values', rows, alias, columns: parseNames(cursor), line };
  }
  cursor.advance();
  if (!cursor.isOneOf('SELECT', 'WITH') && !cursor.isSymbol('(')) {
    const inner = parseFrom(cursor);
    cursor.expectSymbol(')');
    return inner;
  }
  const query = parseQuery(cursor);
  cursor.expectSymbol(')');
  const alias = parseAlias(cursor);
  if (alias === undefined) throw cursor.unexpected();
  const columns = cursor.isSymbol('(') ? parseNames(cursor) : undefined;
  return { kind: 'derived', query, alias, line, ...(columns === undefined ? {} : { columns }) };
}

/** `CHANGETABLE(CHANGES table, since) AS alias`; the alias is not optional. */
function parseChangeTable(cursor: Cursor, line: number): TableSource {
  cursor.advance();
  const [table, since] = cursor.parenthesized(() => {
    if (cursor.isWord('VERSION')) throw cursor.refuse('CHANGETABLE(VERSION …)');
    cursor.expectWord('CHANGES');
    const name = parseObjectName(cursor);
    cursor.expectSymbol(',');
    return [name, parseExpression(cursor)] as const;
  });
  const alias = parseAlias(cursor);
  if (alias === undefined) throw cursor.unexpected();
  return { kind: 'changes', table, since, alias, line };
}

function parseOpenJson(cursor: Cursor, line: number): TableSource {
  cursor.advance();
  const [json, path] = cursor.parenthesized(
    () => [parseExpression(cursor), cursor.takeSymbol(',') ? parseExpression(cursor) : undefined] as const,
  );
  let columns: OpenJsonColumn[] | undefined;
  if (cursor.isWord('WITH') && cursor.isSymbol('(', 1)) {
    cursor.advance();
    columns = cursor.parenthesized(() =>
      cursor.list(() => {
        const name = cursor.name();
        const type = parseType(cursor);
        const columnPath =
          cursor.token.kind === 'string' || cursor.token.kind === 'nstring' ? cursor.advance().text : undefined;
        const asJson = cursor.takeWord('AS', 'JSON');
        return { name, type, asJson, ...(columnPath === undefined ? {} : { path: columnPath }) };
      }),
    );
  }
  const alias = parseAlias(cursor);
  return {
    kind: 'openJson',
    json,
    line,
    ...(path === undefined ? {} : { path }),
    ...(columns === undefined ? {} : { columns }),
    ...(alias === undefined ? {} : { alias }),
  };
}

const knownHints = new Set<string>([
  'NOLOCK',
  'READUNCOMMITTED',
  'READPAST',
  'UPDLOCK',
  'XLOCK',
  'HOLDLOCK',
  'SERIALIZABLE',
  'REPEATABLEREAD',
  'ROWLOCK',
  'PAGLOCK',
  'TABLOCK',
  'TABLOCKX',
  'READCOMMITTED',
  'READCOMMITTEDLOCK',
  'NOWAIT',
  'FORCESEEK',
  'FORCESCAN',
  'INDEX',
  'SNAPSHOT',
] satisfies TableHint[]);

/** `WITH (ROWLOCK, READPAST)` or the old `(NOLOCK)`. */
export function parseHints(cursor: Cursor): TableHint[] {
  const old = cursor.isSymbol('(') && ['NOLOCK', 'READPAST', 'UPDLOCK', 'HOLDLOCK'].includes(cursor.peek(1).upper);
  if (!old && !(cursor.isWord('WITH') && cursor.isSymbol('(', 1))) return [];
  if (!old) cursor.advance();
  return cursor.parenthesized(() => {
    const hints: TableHint[] = [];
    do {
      const { upper } = cursor.token;
      if (!knownHints.has(upper)) throw cursor.refuse(`table hint ${cursor.token.text}`);
      cursor.advance();
      if (upper === 'INDEX') {
        const single = cursor.takeSymbol('=') && !cursor.isSymbol('(');
        if (single) cursor.advance();
        else cursor.parenthesized(() => cursor.list(() => cursor.advance()));
      }
      hints.push(upper as TableHint);
    } while (cursor.takeSymbol(',') || knownHints.has(cursor.token.upper));
    return hints;
  });
}
