import { outsideSubset, SqlError } from '../types/sql-error.ts';
import type { ForJson, ProcedureArgument, Statement } from './ast.ts';
import type { Cursor } from './cursor.ts';
import { parseAlter, parseCreate, parseDrop, parseTableBody } from './parse-ddl.ts';
import { parseAssignmentOperator, parseDelete, parseInsert, parseMerge, parseUpdate, skipOption } from './parse-dml.ts';
import { parseExpression, parseType } from './parse-expression.ts';
import { parseCommonTables, parseObjectName, parseQuery } from './parse-query.ts';

/** Statements that T-SQL knows and the simulator refuses by name. */
const refused = new Set(
  'BACKUP BULK CHECKPOINT CLOSE DBCC DEALLOCATE DENY DISABLE ENABLE FETCH GET GO GOTO GRANT KILL LINENO MOVE OPEN READTEXT RECEIVE RECONFIGURE RESTORE REVERT REVOKE SEND SETUSER SHUTDOWN UPDATETEXT WRITETEXT'.split(
    ' ',
  ),
);

type Rule = (cursor: Cursor) => Statement;

/** The closed catalogue of statements, by first word. */
const catalogue: Readonly<Record<string, Rule>> = {
  SELECT: parseSelectStatement,
  WITH: parseWith,
  INSERT: (cursor) => parseInsert(cursor, []),
  UPDATE: (cursor) => (cursor.peek(1).upper === 'STATISTICS' ? refuseWords(cursor, 2) : parseUpdate(cursor, [])),
  DELETE: (cursor) => parseDelete(cursor, []),
  MERGE: (cursor) => parseMerge(cursor, []),
  DECLARE: parseDeclare,
  SET: parseSet,
  IF: parseIf,
  WHILE: parseWhile,
  BEGIN: parseBegin,
  COMMIT: (cursor) => parseTransactionEnd(cursor, 'commit'),
  ROLLBACK: (cursor) => parseTransactionEnd(cursor, 'rollback'),
  SAVE: parseSave,
  BREAK: (cursor) => ({ kind: 'break', line: cursor.advance().line }),
  CONTINUE: (cursor) => ({ kind: 'continue', line: cursor.advance().line }),
  RETURN: parseReturn,
  PRINT: parsePrint,
  THROW: parseThrow,
  RAISERROR: parseRaiserror,
  WAITFOR: parseWaitfor,
  EXEC: parseExecute,
  EXECUTE: parseExecute,
  USE: parseUse,
  CREATE: parseCreate,
  ALTER: parseAlter,
  DROP: parseDrop,
  TRUNCATE: parseTruncate,
};

function refuseWords(cursor: Cursor, count: number): never {
  const words = Array.from({ length: count }, (_, index) => cursor.peek(index).text).join(' ');
  throw cursor.refuse(words);
}

export function parseStatement(cursor: Cursor): Statement {
  return cursor.nested(() => {
    const { kind, upper, text } = cursor.token;
    if (kind === 'symbol' && text === '(') return parseSelectStatement(cursor);
    const rule = kind === 'word' && Object.hasOwn(catalogue, upper) ? catalogue[upper] : undefined;
    if (rule !== undefined) return rule(cursor);
    if (kind === 'word' && refused.has(upper)) throw outsideSubset(text, cursor.line);
    throw cursor.unexpected();
  });
}

/** Statements up to one of the ending words (or the end of the batch). */
function parseStatements(cursor: Cursor, ...ends: readonly string[]): Statement[] {
  const statements: Statement[] = [];
  for (;;) {
    while (cursor.takeSymbol(';'));
    if (cursor.token.kind === 'end' || cursor.isOneOf(...ends)) return statements;
    statements.push(parseStatement(cursor));
  }
}

/**
 * Parses one batch (what stands between two GO lines, which are the client's affair).
 *
 * @throws SqlError 102, 105, 113, 156, 191 for broken syntax, `not in the simulator's subset` for what is known but not done
 */
export function parseBatch(cursor: Cursor): Statement[] {
  // A procedure may be called without EXEC if it is the batch's first statement.
  if (cursor.isName() && cursor.token.kind === 'word' && /^sp_/i.test(cursor.token.text)) {
    const first = parseCall(cursor, cursor.line);
    return [first, ...parseStatements(cursor)];
  }
  return parseStatements(cursor);
}

function parseSelectStatement(cursor: Cursor): Statement {
  const { line } = cursor;
  return finishQuery(cursor, line, parseQuery(cursor));
}

function finishQuery(cursor: Cursor, line: number, query: ReturnType<typeof parseQuery>): Statement {
  const forJson = parseForJson(cursor);
  skipOption(cursor);
  return { kind: 'query', query, line, ...(forJson === undefined ? {} : { forJson }) };
}

function parseForJson(cursor: Cursor): ForJson | undefined {
  if (!cursor.takeWord('FOR')) return undefined;
  if (!cursor.takeWord('JSON', 'PATH')) throw cursor.refuse(`FOR ${cursor.token.text} ${cursor.peek(1).text}`);
  let withoutArrayWrapper = false;
  let includeNulls = false;
  let root: string | undefined;
  while (cursor.takeSymbol(',')) {
    if (cursor.takeWord('WITHOUT_ARRAY_WRAPPER')) withoutArrayWrapper = true;
    else if (cursor.takeWord('INCLUDE_NULL_VALUES')) includeNulls = true;
    else if (cursor.takeWord('ROOT'))
      root = cursor.isSymbol('(') ? cursor.parenthesized(() => cursor.advance().text) : 'root';
    else throw cursor.unexpected();
  }
  return { withoutArrayWrapper, includeNulls, ...(root === undefined ? {} : { root }) };
}

function parseWith(cursor: Cursor): Statement {
  const { line } = cursor;
  const commonTables = parseCommonTables(cursor);
  switch (cursor.token.upper) {
    case 'SELECT':
      return finishQuery(cursor, line, parseQuery(cursor, commonTables));
    case 'INSERT':
      return parseInsert(cursor, commonTables);
    case 'UPDATE':
      return parseUpdate(cursor, commonTables);
    case 'DELETE':
      return parseDelete(cursor, commonTables);
    case 'MERGE':
      return parseMerge(cursor, commonTables);
    default:
      throw cursor.unexpected();
  }
}

function parseDeclare(cursor: Cursor): Statement {
  const { line } = cursor.advance();
  if (cursor.token.kind !== 'variable') throw cursor.refuse(`DECLARE ${cursor.token.text} (cursor)`);
  if (cursor.peek(1).upper === 'TABLE' || (cursor.peek(1).upper === 'AS' && cursor.peek(2).upper === 'TABLE')) {
    const name = cursor.variable();
    cursor.takeWord('AS');
    cursor.expectWord('TABLE');
    return { kind: 'declareTable', name, ...parseTableBody(cursor), line };
  }
  const variables = cursor.list(() => {
    const name = cursor.variable();
    cursor.takeWord('AS');
    if (cursor.isWord('TABLE')) throw cursor.refuse('table variable beside others in one DECLARE');
    if (cursor.isWord('CURSOR')) throw cursor.refuse('DECLARE … CURSOR');
    const type = parseType(cursor);
    return cursor.takeSymbol('=') ? { name, type, value: parseExpression(cursor) } : { name, type };
  });
  return { kind: 'declare', variables, line };
}

/** SET options that change nothing here, with the values under which that is true. */
const inertOptions: Readonly<Record<string, readonly string[]>> = {
  ANSI_NULLS: ['ON'],
  ANSI_NULL_DFLT_ON: ['ON'],
  ANSI_NULL_DFLT_OFF: ['OFF'],
  ANSI_PADDING: ['ON'],
  ANSI_WARNINGS: ['ON'],
  ANSI_DEFAULTS: ['ON'],
  ARITHABORT: ['ON', 'OFF'],
  ARITHIGNORE: ['OFF'],
  CONCAT_NULL_YIELDS_NULL: ['ON'],
  CURSOR_CLOSE_ON_COMMIT: ['ON', 'OFF'],
  DATEFIRST: ['7'],
  DATEFORMAT: ['MDY', 'YMD'],
  FMTONLY: ['OFF'],
  IMPLICIT_TRANSACTIONS: ['OFF'],
  LANGUAGE: ['US_ENGLISH', 'ENGLISH'],
  NUMERIC_ROUNDABORT: ['OFF'],
  QUOTED_IDENTIFIER: ['ON'],
  ROWCOUNT: ['0'],
};

const isolationLevels = ['READ UNCOMMITTED', 'READ COMMITTED', 'REPEATABLE READ', 'SNAPSHOT', 'SERIALIZABLE'];

function parseSet(cursor: Cursor): Statement {
  const { line } = cursor.advance();
  if (cursor.token.kind === 'variable') {
    const name = cursor.variable();
    const operator = parseAssignmentOperator(cursor);
    return { kind: 'setVariable', name, operator, value: parseExpression(cursor), line };
  }
  if (cursor.takeWord('TRANSACTION', 'ISOLATION', 'LEVEL')) {
    const level = isolationLevels.find((words) => cursor.isWord(...words.split(' ')));
    if (level === undefined) throw cursor.unexpected();
    cursor.takeWord(...level.split(' '));
    return { kind: 'setOption', option: 'ISOLATION', value: level, line };
  }
  if (cursor.takeWord('IDENTITY_INSERT')) {
    const target = parseObjectName(cursor);
    return { kind: 'setOption', option: 'IDENTITY_INSERT', value: onOff(cursor), target, line };
  }
  const options = cursor.list(() => cursor.advance().upper);
  const sign = cursor.takeSymbol('-') ? '-' : '';
  const token = cursor.advance();
  const value = sign + (token.upper === '' ? token.text : token.upper);
  for (const option of options) checkOption(option, value, line);
  return { kind: 'setOption', option: options[0] ?? '', value, line };
}

function checkOption(option: string, value: string, line: number): void {
  if (['NOCOUNT', 'XACT_ABORT'].includes(option) && ['ON', 'OFF'].includes(value)) return;
  if (option === 'LOCK_TIMEOUT' && /^-?\d+$/.test(value)) return;
  if (option === 'DEADLOCK_PRIORITY' && (/^-?(10|\d)$/.test(value) || ['LOW', 'NORMAL', 'HIGH'].includes(value)))
    return;
  if (option === 'TEXTSIZE' && /^-?\d+$/.test(value)) return;
  const allowed = Object.hasOwn(inertOptions, option) ? inertOptions[option] : undefined;
  if (allowed?.includes(value.toUpperCase()) !== true) throw outsideSubset(`SET ${option} ${value}`, line);
}

function onOff(cursor: Cursor): string {
  if (cursor.takeWord('ON')) return 'ON';
  cursor.expectWord('OFF');
  return 'OFF';
}

function parseIf(cursor: Cursor): Statement {
  const { line } = cursor.advance();
  const condition = parseExpression(cursor);
  const then = parseStatement(cursor);
  const end = cursor.at;
  while (cursor.takeSymbol(';'));
  if (!cursor.takeWord('ELSE')) {
    cursor.at = end;
    return { kind: 'if', condition, then, line };
  }
  return { kind: 'if', condition, then, otherwise: parseStatement(cursor), line };
}

function parseWhile(cursor: Cursor): Statement {
  const { line } = cursor.advance();
  const condition = parseExpression(cursor);
  return { kind: 'while', condition, body: parseStatement(cursor), line };
}

function parseBegin(cursor: Cursor): Statement {
  const { line } = cursor.advance();
  if (cursor.isOneOf('DISTRIBUTED', 'DIALOG', 'CONVERSATION', 'ATOMIC'))
    throw cursor.refuse(`BEGIN ${cursor.token.upper}`);
  if (cursor.takeWord('TRAN') || cursor.takeWord('TRANSACTION')) {
    const name = transactionName(cursor);
    if (cursor.isWord('WITH', 'MARK')) throw cursor.refuse('BEGIN TRANSACTION … WITH MARK');
    return { kind: 'begin', line, ...(name === undefined ? {} : { name }) };
  }
  if (cursor.takeWord('TRY')) {
    const body = parseStatements(cursor, 'END');
    cursor.expectWord('END', 'TRY');
    while (cursor.takeSymbol(';'));
    cursor.expectWord('BEGIN', 'CATCH');
    const handler = parseStatements(cursor, 'END');
    cursor.expectWord('END', 'CATCH');
    return { kind: 'try', body, handler, line };
  }
  const statements = parseStatements(cursor, 'END');
  cursor.expectWord('END');
  return { kind: 'block', statements, line };
}

function transactionName(cursor: Cursor): string | undefined {
  if (cursor.token.kind === 'variable') throw cursor.refuse('transaction name in a variable');
  return cursor.isName() && !Object.hasOwn(catalogue, cursor.token.upper) ? cursor.name() : undefined;
}

function parseTransactionEnd(cursor: Cursor, kind: 'commit' | 'rollback'): Statement {
  const { line } = cursor.advance();
  if (!cursor.takeWord('TRAN') && !cursor.takeWord('TRANSACTION')) {
    cursor.takeWord('WORK');
    return { kind, line };
  }
  const name = transactionName(cursor);
  return { kind, line, ...(name === undefined ? {} : { name }) };
}

function parseSave(cursor: Cursor): Statement {
  const { line } = cursor.advance();
  if (!cursor.takeWord('TRAN')) cursor.expectWord('TRANSACTION');
  return { kind: 'save', name: cursor.name(), line };
}

/** Words and marks that end a RETURN or THROW without arguments. */
function atStatementEnd(cursor: Cursor): boolean {
  const { kind, upper, text } = cursor.token;
  return (
    kind === 'end' ||
    (kind === 'symbol' && text === ';') ||
    (kind === 'word' && (Object.hasOwn(catalogue, upper) || upper === 'END' || upper === 'ELSE'))
  );
}

function parseReturn(cursor: Cursor): Statement {
  const { line } = cursor.advance();
  return atStatementEnd(cursor) ? { kind: 'return', line } : { kind: 'return', value: parseExpression(cursor), line };
}

function parsePrint(cursor: Cursor): Statement {
  const { line } = cursor.advance();
  return { kind: 'print', value: parseExpression(cursor), line };
}

function parseThrow(cursor: Cursor): Statement {
  const { line } = cursor.advance();
  if (atStatementEnd(cursor)) return { kind: 'throw', line };
  const number = parseExpression(cursor);
  cursor.expectSymbol(',');
  const message = parseExpression(cursor);
  cursor.expectSymbol(',');
  return { kind: 'throw', number, message, state: parseExpression(cursor), line };
}

function parseRaiserror(cursor: Cursor): Statement {
  const { line } = cursor.advance();
  const [message, severity, state, ...args] = cursor.parenthesized(() => cursor.list(() => parseExpression(cursor)));
  if (message === undefined || severity === undefined || state === undefined) throw cursor.unexpected();
  if (cursor.takeWord('WITH')) {
    if (!cursor.takeWord('NOWAIT')) throw cursor.refuse(`RAISERROR … WITH ${cursor.token.text}`);
  }
  return { kind: 'raiserror', message, severity, state, args, line };
}

function parseWaitfor(cursor: Cursor): Statement {
  const { line } = cursor.advance();
  if (!cursor.takeWord('DELAY')) throw cursor.refuse(`WAITFOR ${cursor.token.text}`);
  return { kind: 'waitfor', delay: parseExpression(cursor), line };
}

function parseUse(cursor: Cursor): Statement {
  const { line } = cursor.advance();
  return { kind: 'use', database: cursor.name(), line };
}

function parseTruncate(cursor: Cursor): Statement {
  const { line } = cursor.advance();
  cursor.expectWord('TABLE');
  return { kind: 'truncate', table: parseObjectName(cursor), line };
}

function parseExecute(cursor: Cursor): Statement {
  const { line } = cursor.advance();
  if (cursor.isSymbol('(')) {
    const text = cursor.parenthesized(() => parseExpression(cursor));
    if (cursor.isOneOf('AS', 'AT')) throw cursor.refuse(`EXEC (…) ${cursor.token.upper}`);
    return { kind: 'executeText', text, line };
  }
  if (cursor.isOneOf('AS')) throw cursor.refuse('EXECUTE AS');
  if (cursor.token.kind === 'variable' && cursor.isSymbol('=', 1)) {
    const result = cursor.variable();
    cursor.advance();
    return parseCall(cursor, line, result);
  }
  return parseCall(cursor, line);
}

function parseCall(cursor: Cursor, line: number, result?: string): Statement {
  const { name } = parseObjectName(cursor);
  const args: ProcedureArgument[] = [];
  if (!atStatementEnd(cursor)) args.push(...cursor.list(() => parseArgument(cursor)));
  return { kind: 'execute', procedure: name.toLowerCase(), args, line, ...(result === undefined ? {} : { result }) };
}

function parseArgument(cursor: Cursor): ProcedureArgument {
  let name: string | undefined;
  if (cursor.token.kind === 'variable' && cursor.isSymbol('=', 1)) {
    name = cursor.variable();
    cursor.advance();
  }
  const { line, token } = cursor;
  const value =
    token.kind === 'word' && cursor.isName() && !cursor.isSymbol('(', 1)
      ? bareWord(cursor, line)
      : parseExpression(cursor);
  const output = cursor.takeWord('OUTPUT') || cursor.takeWord('OUT');
  if (output && value.kind !== 'variable')
    throw new SqlError(179, 'Cannot use the OUTPUT option when passing a constant to a stored procedure.', 15, 1, line);
  return { value, output, ...(name === undefined ? {} : { name }) };
}

/** `EXEC sp_help Orders`: a bare word is a string there. */
function bareWord(cursor: Cursor, line: number): ProcedureArgument['value'] {
  const text = cursor.name();
  return {
    kind: 'literal',
    type: { name: 'nvarchar', length: Math.max(text.length, 1), precision: 0, scale: 0 },
    value: text,
    line,
  };
}
