import type {
  ArithmeticOperator,
  Assignment,
  CommonTable,
  DmlTarget,
  Expression,
  InsertSource,
  MergeWhen,
  OutputClause,
  Statement,
} from './ast.ts';
import type { Cursor } from './cursor.ts';
import { parseExpression, parseType } from './parse-expression.ts';
import {
  parseAlias,
  parseFrom,
  parseHints,
  parseItem,
  parseNames,
  parseObjectName,
  parseQuery,
  parseTop,
} from './parse-query.ts';

const compound = /^[-+*/%&|^]=$/;

/** `=` or a compound assignment (`+=`); gives the arithmetic operator. */
export function parseAssignmentOperator(cursor: Cursor): '=' | ArithmeticOperator {
  if (cursor.takeSymbol('=')) return '=';
  const { kind, text } = cursor.token;
  if (kind !== 'symbol' || !compound.test(text)) throw cursor.unexpected();
  cursor.advance();
  return text.slice(0, 1) as ArithmeticOperator;
}

function parseTarget(cursor: Cursor): DmlTarget {
  const { line } = cursor;
  if (cursor.token.kind === 'variable') return { kind: 'variable', name: cursor.variable(), line };
  for (const word of ['OPENROWSET', 'OPENQUERY']) if (cursor.isWord(word)) throw cursor.refuse(word);
  return { kind: 'object', name: parseObjectName(cursor), hints: parseHints(cursor), line };
}

export function parseOutput(cursor: Cursor): OutputClause | undefined {
  const { line } = cursor;
  if (!cursor.takeWord('OUTPUT')) return undefined;
  const items = cursor.list(() => parseItem(cursor));
  if (!cursor.takeWord('INTO')) return { items, line };
  const target = parseTarget(cursor);
  const columns = cursor.isSymbol('(') ? parseNames(cursor) : undefined;
  return { items, into: { target, ...(columns === undefined ? {} : { columns }) }, line };
}

function parseAssignment(cursor: Cursor): Assignment {
  const { line } = cursor;
  if (cursor.token.kind === 'variable') {
    const variable = cursor.variable();
    const operator = parseAssignmentOperator(cursor);
    if (operator === '=' && cursor.isName() && cursor.isSymbol('=', 1)) {
      const column = [cursor.name()];
      cursor.advance();
      return { variable, column, operator: '=', value: parseExpression(cursor), line };
    }
    return { variable, operator, value: parseExpression(cursor), line };
  }
  const column = [cursor.name()];
  while (cursor.takeSymbol('.')) column.push(cursor.name());
  if (cursor.isSymbol('(')) throw cursor.refuse(`method call ${column.join('.')}() in SET`);
  return { column, operator: parseAssignmentOperator(cursor), value: parseExpression(cursor), line };
}

export function parseInsert(cursor: Cursor, commonTables: readonly CommonTable[]): Statement {
  const { line } = cursor.advance();
  const top = parseTop(cursor);
  cursor.takeWord('INTO');
  if (cursor.takeWord('BULK')) return parseInsertBulk(cursor, line);
  const target = parseTarget(cursor);
  const columns = cursor.isSymbol('(') ? parseNames(cursor) : undefined;
  const output = parseOutput(cursor);
  return {
    kind: 'insert',
    with: commonTables,
    target,
    source: parseInsertSource(cursor),
    line,
    ...(top === undefined ? {} : { top }),
    ...(columns === undefined ? {} : { columns }),
    ...(output === undefined ? {} : { output }),
  };
}

/** `INSERT BULK table (column type …, …) [WITH (options)]`, which a client sends ahead of a bulk load's rows. */
function parseInsertBulk(cursor: Cursor, line: number): Statement {
  const table = parseObjectName(cursor);
  const columns: string[] = [];
  cursor.parenthesized(() =>
    cursor.list(() => {
      columns.push(cursor.name());
      parseType(cursor);
      if (cursor.takeWord('COLLATE')) cursor.name();
      if (cursor.takeWord('NOT')) cursor.expectWord('NULL');
      else cursor.takeWord('NULL');
    }),
  );
  let keepNulls = false;
  if (cursor.takeWord('WITH')) {
    cursor.parenthesized(() =>
      cursor.list(() => {
        const option = cursor.name().toUpperCase();
        if (option === 'KEEP_NULLS') keepNulls = true;
        else if (!['CHECK_CONSTRAINTS', 'FIRE_TRIGGERS', 'TABLOCK'].includes(option))
          throw cursor.refuse(`INSERT BULK … WITH (${option})`);
      }),
    );
  }
  return { kind: 'insertBulk', table, columns, keepNulls, line };
}

function parseInsertSource(cursor: Cursor): InsertSource {
  if (cursor.takeWord('DEFAULT')) {
    cursor.expectWord('VALUES');
    return { kind: 'defaults' };
  }
  if (cursor.takeWord('VALUES')) {
    return {
      kind: 'values',
      rows: cursor.list(() => cursor.parenthesized(() => cursor.list(() => parseExpression(cursor)))),
    };
  }
  if (cursor.isOneOf('EXEC', 'EXECUTE')) throw cursor.refuse('INSERT … EXEC');
  return { kind: 'query', query: parseQuery(cursor) };
}

function parseWhere(cursor: Cursor): Expression | undefined {
  if (!cursor.takeWord('WHERE')) return undefined;
  if (cursor.isWord('CURRENT', 'OF')) throw cursor.refuse('WHERE CURRENT OF');
  return parseExpression(cursor);
}

/** `OPTION (RECOMPILE, MAXDOP 1)`: plans do not exist here, so the hints are read and dropped. */
export function skipOption(cursor: Cursor): void {
  if (!cursor.takeWord('OPTION')) return;
  cursor.parenthesized(() =>
    cursor.list(() => {
      while (!cursor.isSymbol(',') && !cursor.isSymbol(')')) {
        if (cursor.isWord('MAXRECURSION')) throw cursor.refuse('OPTION (MAXRECURSION)');
        if (cursor.token.kind === 'end') throw cursor.unexpected();
        if (cursor.isSymbol('(')) cursor.parenthesized(() => cursor.list(() => parseExpression(cursor)));
        else cursor.advance();
      }
    }),
  );
}

export function parseUpdate(cursor: Cursor, commonTables: readonly CommonTable[]): Statement {
  const { line } = cursor.advance();
  const top = parseTop(cursor);
  const target = parseTarget(cursor);
  cursor.expectWord('SET');
  const set = cursor.list(() => parseAssignment(cursor));
  const output = parseOutput(cursor);
  const from = cursor.takeWord('FROM') ? parseFrom(cursor) : undefined;
  const where = parseWhere(cursor);
  skipOption(cursor);
  return {
    kind: 'update',
    with: commonTables,
    target,
    set,
    line,
    ...(top === undefined ? {} : { top }),
    ...(output === undefined ? {} : { output }),
    ...(from === undefined ? {} : { from }),
    ...(where === undefined ? {} : { where }),
  };
}

export function parseDelete(cursor: Cursor, commonTables: readonly CommonTable[]): Statement {
  const { line } = cursor.advance();
  const top = parseTop(cursor);
  cursor.takeWord('FROM');
  const target = parseTarget(cursor);
  const output = parseOutput(cursor);
  const from = cursor.takeWord('FROM') ? parseFrom(cursor) : undefined;
  const where = parseWhere(cursor);
  skipOption(cursor);
  return {
    kind: 'delete',
    with: commonTables,
    target,
    line,
    ...(top === undefined ? {} : { top }),
    ...(output === undefined ? {} : { output }),
    ...(from === undefined ? {} : { from }),
    ...(where === undefined ? {} : { where }),
  };
}

export function parseMerge(cursor: Cursor, commonTables: readonly CommonTable[]): Statement {
  const { line } = cursor.advance();
  if (cursor.isWord('TOP')) throw cursor.refuse('MERGE TOP');
  cursor.takeWord('INTO');
  const target = parseTarget(cursor);
  const alias = cursor.isWord('USING') ? undefined : parseAlias(cursor);
  const hints = target.kind === 'object' ? [...target.hints, ...parseHints(cursor)] : [];
  cursor.expectWord('USING');
  const source = parseFrom(cursor);
  cursor.expectWord('ON');
  const on = parseExpression(cursor);
  const whens: MergeWhen[] = [];
  while (cursor.isWord('WHEN')) whens.push(parseWhen(cursor));
  const output = parseOutput(cursor);
  skipOption(cursor);
  if (!cursor.isSymbol(';')) throw cursor.unexpected();
  return {
    kind: 'merge',
    with: commonTables,
    target: target.kind === 'object' ? { ...target, hints } : target,
    source,
    on,
    whens,
    line,
    ...(alias === undefined ? {} : { alias }),
    ...(output === undefined ? {} : { output }),
  };
}

function parseWhen(cursor: Cursor): MergeWhen {
  const { line } = cursor.advance();
  let match: MergeWhen['match'] = 'matched';
  if (cursor.takeWord('NOT', 'MATCHED', 'BY', 'SOURCE')) match = 'notMatchedBySource';
  else if (cursor.takeWord('NOT', 'MATCHED', 'BY', 'TARGET') || cursor.takeWord('NOT', 'MATCHED')) match = 'notMatched';
  else cursor.expectWord('MATCHED');
  const condition = cursor.takeWord('AND') ? parseExpression(cursor) : undefined;
  cursor.expectWord('THEN');
  return { match, action: parseAction(cursor, match), line, ...(condition === undefined ? {} : { condition }) };
}

function parseAction(cursor: Cursor, match: MergeWhen['match']): MergeWhen['action'] {
  if (match === 'notMatched') {
    cursor.expectWord('INSERT');
    const columns = cursor.isSymbol('(') ? parseNames(cursor) : [];
    if (cursor.takeWord('DEFAULT')) {
      cursor.expectWord('VALUES');
      return { kind: 'insert', columns };
    }
    cursor.expectWord('VALUES');
    return { kind: 'insert', columns, values: cursor.parenthesized(() => cursor.list(() => parseExpression(cursor))) };
  }
  if (cursor.takeWord('DELETE')) return { kind: 'delete' };
  cursor.expectWord('UPDATE', 'SET');
  return { kind: 'update', set: cursor.list(() => parseAssignment(cursor)) };
}
