import type { Expression, ProcedureArgument, Statement } from './ast.ts';
import { Cursor } from './cursor.ts';
import { parseExpression, parseType } from './parse-expression.ts';
import { parseBatch } from './parse-statement.ts';
import type { SqlType } from '../types/sql-type.ts';

/** @throws SqlError for broken syntax or for a statement outside the subset */
export function parse(text: string): readonly Statement[] {
  return parseBatch(new Cursor(text));
}

/** Parses one expression, for example a stored default. */
export function parseExpressionText(text: string): Expression {
  const cursor = new Cursor(text);
  const expression = parseExpression(cursor);
  if (cursor.token.kind !== 'end') throw cursor.unexpected();
  return expression;
}

export interface ParameterDeclaration {
  readonly name: string;
  readonly type: SqlType;
  readonly output: boolean;
  readonly default?: Expression;
}

/** Parses sp_executesql's parameter list: `@a int, @b nvarchar(10) OUTPUT`. */
export function parseParameters(text: string): readonly ParameterDeclaration[] {
  if (text.trim() === '') return [];
  const cursor = new Cursor(text);
  const parameters = cursor.list((): ParameterDeclaration => {
    const name = cursor.variable();
    cursor.takeWord('AS');
    const type = parseType(cursor);
    const value = cursor.takeSymbol('=') ? parseExpression(cursor) : undefined;
    const output = cursor.takeWord('OUTPUT') || cursor.takeWord('OUT');
    return { name, type, output, ...(value === undefined ? {} : { default: value }) };
  });
  if (cursor.token.kind !== 'end') throw cursor.unexpected();
  return parameters;
}

/** Keeps what was parsed last: the pollers of this world send the same text every second. */
class TextCache<T> {
  readonly #entries = new Map<string, T>();
  readonly #parse: (text: string) => T;
  readonly #capacity: number;

  constructor(parse: (text: string) => T, capacity: number) {
    this.#parse = parse;
    this.#capacity = capacity;
  }

  parse(text: string): T {
    const known = this.#entries.get(text);
    if (known !== undefined) {
      this.#entries.delete(text);
      this.#entries.set(text, known);
      return known;
    }
    const parsed = this.#parse(text);
    if (text.length < 100_000) this.#entries.set(text, parsed);
    const oldest = this.#entries.keys().next();
    if (this.#entries.size > this.#capacity && oldest.done !== true) this.#entries.delete(oldest.value);
    return parsed;
  }
}

/** Batches, and the parameter lists of sp_executesql. */
export class ParseCache {
  readonly #batches = new TextCache(parse, 512);
  readonly #parameters = new TextCache(parseParameters, 512);

  parse(text: string): readonly Statement[] {
    return this.#batches.parse(text);
  }

  parameters(text: string): readonly ParameterDeclaration[] {
    return this.#parameters.parse(text);
  }
}

export type { ProcedureArgument };
