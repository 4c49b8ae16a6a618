import { declaredType, decimal, nvarchar, types, varbinary, varchar, type SqlType } from '../types/sql-type.ts';
import { parseDecimal } from '../types/decimal.ts';
import { SqlError } from '../types/sql-error.ts';
import type { ArithmeticOperator, CompareOperator, Expression, OrderItem, Query, Window } from './ast.ts';
import type { Cursor } from './cursor.ts';
import { parseQuery } from './parse-query.ts';

const comparisons: Readonly<Record<string, CompareOperator>> = {
  '=': '=',
  '<>': '<>',
  '!=': '<>',
  '<': '<',
  '<=': '<=',
  '>': '>',
  '>=': '>=',
  '!<': '>=',
  '!>': '<=',
};

/** Any expression, conditions included: the compiler, not the grammar, tells values from conditions. */
export function parseExpression(cursor: Cursor): Expression {
  return cursor.nested(() => parseOr(cursor));
}

function parseOr(cursor: Cursor): Expression {
  let left = parseAnd(cursor);
  while (cursor.isWord('OR')) {
    const { line } = cursor.advance();
    left = { kind: 'logic', operator: 'or', left, right: parseAnd(cursor), line };
  }
  return left;
}

function parseAnd(cursor: Cursor): Expression {
  let left = parseNot(cursor);
  while (cursor.isWord('AND')) {
    const { line } = cursor.advance();
    left = { kind: 'logic', operator: 'and', left, right: parseNot(cursor), line };
  }
  return left;
}

function parseNot(cursor: Cursor): Expression {
  if (!cursor.isWord('NOT')) return parsePredicate(cursor);
  const { line } = cursor.advance();
  return { kind: 'not', operand: cursor.nested(() => parseNot(cursor)), line };
}

function parsePredicate(cursor: Cursor): Expression {
  const { line } = cursor;
  if (cursor.takeWord('EXISTS')) return { kind: 'exists', query: cursor.parenthesized(() => parseQuery(cursor)), line };
  const operand = parseAdditive(cursor);
  const symbol = cursor.token.kind === 'symbol' ? cursor.token.text : '';
  if (Object.hasOwn(comparisons, symbol)) {
    cursor.advance();
    if (cursor.isOneOf('ALL', 'ANY', 'SOME')) throw cursor.refuse(`comparison with ${cursor.token.upper} (subquery)`);
    return { kind: 'compare', operator: comparisons[symbol] ?? '=', left: operand, right: parseAdditive(cursor), line };
  }
  if (cursor.takeWord('IS')) {
    const negated = cursor.takeWord('NOT');
    if (cursor.isWord('DISTINCT')) throw cursor.refuse('IS DISTINCT FROM');
    cursor.expectWord('NULL');
    return { kind: 'isNull', operand, negated, line };
  }
  const negated = cursor.isWord('NOT') && ['IN', 'LIKE', 'BETWEEN'].includes(cursor.peek(1).upper);
  if (negated) cursor.advance();
  if (cursor.takeWord('BETWEEN')) {
    const low = parseAdditive(cursor);
    cursor.expectWord('AND');
    return { kind: 'between', operand, low, high: parseAdditive(cursor), negated, line };
  }
  if (cursor.takeWord('LIKE')) {
    const pattern = parseAdditive(cursor);
    const escape = cursor.takeWord('ESCAPE') ? parseAdditive(cursor) : undefined;
    return { kind: 'like', operand, pattern, negated, line, ...(escape === undefined ? {} : { escape }) };
  }
  if (cursor.takeWord('IN')) {
    return cursor.parenthesized((): Expression => {
      if (cursor.isOneOf('SELECT', 'WITH'))
        return { kind: 'inQuery', operand, query: parseQuery(cursor), negated, line };
      return { kind: 'in', operand, list: cursor.list(() => parseExpression(cursor)), negated, line };
    });
  }
  return operand;
}

function parseAdditive(cursor: Cursor): Expression {
  let left = parseMultiplicative(cursor);
  for (;;) {
    const operator = ['+', '-', '&', '|', '^'].find((symbol) => cursor.isSymbol(symbol));
    if (operator === undefined) return left;
    const { line } = cursor.advance();
    left = { kind: 'binary', operator: operator as ArithmeticOperator, left, right: parseMultiplicative(cursor), line };
  }
}

function parseMultiplicative(cursor: Cursor): Expression {
  let left = parseUnary(cursor);
  for (;;) {
    const operator = ['*', '/', '%'].find((symbol) => cursor.isSymbol(symbol));
    if (operator === undefined) return left;
    const { line } = cursor.advance();
    left = { kind: 'binary', operator: operator as ArithmeticOperator, left, right: parseUnary(cursor), line };
  }
}

function parseUnary(cursor: Cursor): Expression {
  const operator = (['-', '+', '~'] as const).find((symbol) => cursor.isSymbol(symbol));
  if (operator === undefined) return parsePostfix(cursor);
  const { line } = cursor.advance();
  return { kind: 'unary', operator, operand: cursor.nested(() => parseUnary(cursor)), line };
}

function parsePostfix(cursor: Cursor): Expression {
  let operand = parsePrimary(cursor);
  for (;;) {
    const { line } = cursor;
    if (cursor.takeWord('COLLATE')) operand = { kind: 'collate', operand, collation: cursor.name(), line };
    else if (cursor.isWord('AT', 'TIME', 'ZONE')) throw cursor.refuse('AT TIME ZONE');
    else return operand;
  }
}

function integerLiteral(text: string, line: number): Expression {
  const whole = BigInt(text);
  if (whole <= 2_147_483_647n) return { kind: 'literal', type: types.int, value: Number(whole), line };
  const digits = text.replace(/^0+/, '').length;
  if (digits > 38)
    throw new SqlError(
      1007,
      `The number '${text}' is out of the range for numeric representation (maximum precision 38).`,
      15,
      1,
      line,
    );
  return { kind: 'literal', type: decimal(digits, 0), value: whole, line };
}

function numberLiteral(text: string, line: number): Expression {
  if (/[eE]/.test(text)) return { kind: 'literal', type: types.float, value: Number(text), line };
  if (/^\d+$/.test(text)) return integerLiteral(text, line);
  const parsed = parseDecimal(text);
  if (parsed === undefined) throw new SqlError(102, `Incorrect syntax near '${text}'.`, 15, 1, line);
  const digits = Math.max(text.replace('.', '').replace(/^0+(?=\d)/, '').length, parsed.scale, 1);
  if (digits > 38)
    throw new SqlError(
      1007,
      `The number '${text}' is out of the range for numeric representation (maximum precision 38).`,
      15,
      1,
      line,
    );
  return { kind: 'literal', type: decimal(digits, parsed.scale), value: parsed.value, line };
}

function parsePrimary(cursor: Cursor): Expression {
  const { kind, text, line, upper } = cursor.token;
  switch (kind) {
    case 'number':
      cursor.advance();
      return numberLiteral(text, line);
    case 'string':
      cursor.advance();
      return { kind: 'literal', type: varchar(Math.max(text.length, 1)), value: text, line };
    case 'nstring':
      cursor.advance();
      return { kind: 'literal', type: nvarchar(Math.max(text.length, 1)), value: text, line };
    case 'binary': {
      cursor.advance();
      const bytes = Buffer.from(text.length % 2 === 1 ? `0${text}` : text, 'hex');
      return { kind: 'literal', type: varbinary(Math.max(bytes.length, 1)), value: bytes, line };
    }
    case 'variable':
      cursor.advance();
      return text.startsWith('@@')
        ? { kind: 'global', name: text.toUpperCase(), line }
        : { kind: 'variable', name: text, line };
    case 'symbol':
      if (text === '*') {
        cursor.advance();
        return { kind: 'star', qualifier: [], line };
      }
      if (text === '$' && cursor.peek(1).upper === 'ACTION') {
        cursor.advance();
        cursor.advance();
        return { kind: 'column', parts: ['$action'], line };
      }
      if (text !== '(') throw cursor.unexpected();
      return cursor.nested(() =>
        cursor.parenthesized((): Expression => {
          if (cursor.isOneOf('SELECT', 'WITH')) return { kind: 'subquery', query: parseQuery(cursor), line };
          return parseExpression(cursor);
        }),
      );
    case 'quoted':
      return parseNameOrCall(cursor);
    case 'word':
      return parseWord(cursor, upper, line);
    default:
      throw cursor.unexpected();
  }
}

/** Functions whose names are reserved words. */
const reservedFunctions = new Set(['COALESCE', 'NULLIF', 'LEFT', 'RIGHT']);

function parseWord(cursor: Cursor, upper: string, line: number): Expression {
  switch (upper) {
    case 'NULL':
      cursor.advance();
      return { kind: 'literal', type: types.null, value: null, line };
    case 'DEFAULT':
      cursor.advance();
      return { kind: 'default', line };
    case 'CASE':
      return cursor.nested(() => parseCase(cursor));
    case 'CURRENT_TIMESTAMP':
      cursor.advance();
      return { kind: 'call', name: 'GETDATE', args: [], line };
    case 'CAST':
    case 'TRY_CAST':
      if (!cursor.isSymbol('(', 1)) break;
      cursor.advance();
      return cursor.parenthesized((): Expression => {
        const operand = parseExpression(cursor);
        cursor.expectWord('AS');
        return { kind: 'cast', operand, type: parseType(cursor), safe: upper === 'TRY_CAST', line };
      });
    case 'CONVERT':
    case 'TRY_CONVERT':
      cursor.advance();
      return cursor.parenthesized((): Expression => {
        const type = parseType(cursor);
        cursor.expectSymbol(',');
        const operand = parseExpression(cursor);
        const style = cursor.takeSymbol(',') ? parseExpression(cursor) : undefined;
        return {
          kind: 'cast',
          operand,
          type,
          safe: upper === 'TRY_CONVERT',
          line,
          ...(style === undefined ? {} : { style }),
        };
      });
    default:
  }
  if (reservedFunctions.has(upper) && cursor.isSymbol('(', 1)) return parseNameOrCall(cursor, true);
  return parseNameOrCall(cursor);
}

function parseCase(cursor: Cursor): Expression {
  const { line } = cursor.advance();
  const operand = cursor.isWord('WHEN') ? undefined : parseExpression(cursor);
  const whens: { when: Expression; then: Expression }[] = [];
  while (cursor.takeWord('WHEN')) {
    const when = parseExpression(cursor);
    cursor.expectWord('THEN');
    whens.push({ when, then: parseExpression(cursor) });
  }
  if (whens.length === 0) throw cursor.unexpected();
  const otherwise = cursor.takeWord('ELSE') ? parseExpression(cursor) : undefined;
  cursor.expectWord('END');
  return {
    kind: 'case',
    whens,
    line,
    ...(operand === undefined ? {} : { operand }),
    ...(otherwise === undefined ? {} : { otherwise }),
  };
}

function parseNameOrCall(cursor: Cursor, anyWord = false): Expression {
  const { line } = cursor;
  const parts = [anyWord ? cursor.advance().text : cursor.name()];
  if (cursor.isSymbol('(')) return parseCall(cursor, parts[0] ?? '', line);
  while (cursor.takeSymbol('.')) {
    if (cursor.takeSymbol('*')) return { kind: 'star', qualifier: parts, line };
    const { kind } = cursor.token;
    if (kind !== 'word' && kind !== 'quoted') throw cursor.unexpected();
    parts.push(cursor.advance().text);
  }
  if (cursor.isSymbol('(')) throw cursor.refuse(`function or method ${parts.join('.')}()`);
  return { kind: 'column', parts, line };
}

/** First argument of these is a bare word (datepart), not a column. */
const datePartFunctions = new Set(['DATEADD', 'DATEDIFF', 'DATEDIFF_BIG', 'DATEPART', 'DATENAME', 'DATETRUNC']);

function parseCall(cursor: Cursor, rawName: string, line: number): Expression {
  const name = rawName.toUpperCase();
  cursor.expectSymbol('(');
  const distinct = cursor.takeWord('DISTINCT');
  const args: Expression[] = [];
  if (datePartFunctions.has(name)) {
    const part = cursor.name();
    args.push({ kind: 'literal', type: types.sysname, value: part, line });
    cursor.expectSymbol(',');
  }
  if (!cursor.isSymbol(')')) args.push(...cursor.list(() => parseExpression(cursor)));
  cursor.expectSymbol(')');
  if (cursor.isWord('WITHIN', 'GROUP')) throw cursor.refuse(`${name} … WITHIN GROUP`);
  const over = cursor.takeWord('OVER') ? cursor.parenthesized(() => parseWindow(cursor)) : undefined;
  return { kind: 'call', name, args, line, ...(distinct ? { distinct } : {}), ...(over === undefined ? {} : { over }) };
}

function parseWindow(cursor: Cursor): Window {
  const partition = cursor.takeWord('PARTITION', 'BY') ? cursor.list(() => parseExpression(cursor)) : [];
  const order = cursor.takeWord('ORDER', 'BY') ? parseOrder(cursor) : [];
  if (cursor.isOneOf('ROWS', 'RANGE')) throw cursor.refuse(`window frame ${cursor.token.upper}`);
  return { partition, order };
}

export function parseOrder(cursor: Cursor): OrderItem[] {
  return cursor.list(() => {
    const expression = parseExpression(cursor);
    const descending = cursor.takeWord('DESC');
    if (!descending) cursor.takeWord('ASC');
    return { expression, descending };
  });
}

/** A data type with its arguments: `nvarchar(max)`, `decimal(28, 8)`, `sys.sysname`. */
export function parseType(cursor: Cursor): SqlType {
  const { line } = cursor;
  let name = cursor.name();
  if (name.toLowerCase() === 'sys' && cursor.takeSymbol('.')) name = cursor.name();
  if (name.toLowerCase() === 'double' && cursor.takeWord('PRECISION')) name = 'float';
  if (name.toLowerCase() === 'national' || name.toLowerCase() === 'cursor') throw cursor.refuse(`data type ${name}`);
  const args: (number | 'max')[] = [];
  if (cursor.isSymbol('(')) {
    cursor.parenthesized(() => {
      args.push(
        ...cursor.list((): number | 'max' => {
          if (cursor.takeWord('MAX')) return 'max';
          if (cursor.token.kind !== 'number') throw cursor.unexpected();
          return Number(cursor.advance().text);
        }),
      );
    });
  }
  return declaredType(name, args, line);
}

export type { Query };
