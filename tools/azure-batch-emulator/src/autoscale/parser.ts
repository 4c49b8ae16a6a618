import { FormulaSyntaxError, type Place } from './errors.ts';
import { tokensOf, type Token } from './lexer.ts';

export type Expression = Place &
  (
    | { readonly kind: 'number'; readonly value: number }
    | { readonly kind: 'text'; readonly value: string }
    | { readonly kind: 'name'; readonly name: string }
    | { readonly kind: 'call'; readonly name: string; readonly args: readonly Expression[] }
    | { readonly kind: 'member'; readonly object: Expression; readonly name: string }
    | {
        readonly kind: 'method';
        readonly object: Expression;
        readonly name: string;
        readonly args: readonly Expression[];
      }
    | { readonly kind: 'unary'; readonly operator: '-' | '!'; readonly operand: Expression }
    | { readonly kind: 'binary'; readonly operator: string; readonly left: Expression; readonly right: Expression }
    | {
        readonly kind: 'choice';
        readonly test: Expression;
        readonly yes: Expression;
        readonly no: Expression;
      }
  );

export interface Statement extends Place {
  /** The variable that takes the value; absent for a bare expression such as `stop()`. */
  readonly target?: string;
  readonly value: Expression;
}

/** Limits of a formula (Azure Batch documentation, "Create a formula to automatically scale compute nodes"). */
export const maxFormulaLength = 8192;
const maxStatements = 100;
const maxDepth = 64;

/** Binary operators from the loosest to the tightest; all group to the left. */
const levels: readonly (readonly string[])[] = [
  ['||'],
  ['&&'],
  ['==', '!='],
  ['<', '<=', '>', '>='],
  ['+', '-'],
  ['*', '/'],
];

class Reader {
  readonly #tokens: readonly Token[];
  #at = 0;
  #depth = 0;

  constructor(tokens: readonly Token[]) {
    this.#tokens = tokens;
  }

  #peek(ahead = 0): Token {
    return this.#tokens[Math.min(this.#at + ahead, this.#tokens.length - 1)] as Token;
  }

  #next(): Token {
    const token = this.#peek();
    this.#at += 1;
    return token;
  }

  #is(symbol: string, ahead = 0): boolean {
    const token = this.#peek(ahead);
    return token.kind === 'symbol' && token.text === symbol;
  }

  #expect(symbol: string): void {
    const token = this.#next();
    if (token.kind !== 'symbol' || token.text !== symbol) throw unexpected(token, `'${symbol}'`);
  }

  statements(): readonly Statement[] {
    const statements: Statement[] = [];
    while (this.#peek().kind !== 'end') {
      if (this.#is(';')) {
        this.#next();
        continue;
      }
      const { line, column, text, kind } = this.#peek();
      if (statements.length === maxStatements) {
        throw new FormulaSyntaxError({ line, column }, `A formula has at most ${maxStatements} statements`);
      }
      if (kind === 'name' && this.#is('=', 1)) {
        this.#at += 2;
        statements.push({ line, column, target: text, value: this.#expression() });
      } else {
        statements.push({ line, column, value: this.#expression() });
      }
      if (this.#peek().kind !== 'end') this.#expect(';');
    }
    return statements;
  }

  /** Bounded in depth, so that no formula exhausts the stack. */
  #nested<T>(read: () => T): T {
    this.#depth += 1;
    if (this.#depth > maxDepth) throw new FormulaSyntaxError(this.#peek(), `Expressions nest deeper than ${maxDepth}`);
    const result = read();
    this.#depth -= 1;
    return result;
  }

  #expression(): Expression {
    return this.#nested(() => {
      const test = this.#binary(0);
      if (!this.#is('?')) return test;
      const { line, column } = this.#next();
      const yes = this.#expression();
      this.#expect(':');
      return { kind: 'choice', line, column, test, yes, no: this.#expression() };
    });
  }

  #binary(level: number): Expression {
    const operators = levels[level];
    if (operators === undefined) return this.#unary();
    let left = this.#binary(level + 1);
    while (this.#peek().kind === 'symbol' && operators.includes(this.#peek().text)) {
      const { line, column, text } = this.#next();
      left = { kind: 'binary', line, column, operator: text, left, right: this.#binary(level + 1) };
    }
    return left;
  }

  #unary(): Expression {
    if (!this.#is('-') && !this.#is('!')) return this.#postfix();
    const { line, column, text } = this.#next();
    return { kind: 'unary', line, column, operator: text as '-' | '!', operand: this.#nested(() => this.#unary()) };
  }

  #postfix(): Expression {
    let object = this.#primary();
    while (this.#is('.')) {
      this.#next();
      const { kind, text: name, line, column } = this.#next();
      if (kind !== 'name') throw unexpected({ kind, text: name, line, column }, 'a member');
      const { line: fromLine, column: fromColumn } = object;
      object = this.#is('(')
        ? { kind: 'method', line: fromLine, column: fromColumn, object, name, args: this.#args() }
        : { kind: 'member', line, column, object, name };
    }
    return object;
  }

  #args(): readonly Expression[] {
    this.#expect('(');
    const args: Expression[] = [];
    while (!this.#is(')')) {
      if (args.length > 0) this.#expect(',');
      args.push(this.#expression());
    }
    this.#next();
    return args;
  }

  #primary(): Expression {
    const token = this.#next();
    const { line, column, text } = token;
    if (token.kind === 'number') return { kind: 'number', line, column, value: Number(text) };
    if (token.kind === 'text') return { kind: 'text', line, column, value: text };
    if (token.kind === 'name') {
      return this.#is('(')
        ? { kind: 'call', line, column, name: text, args: this.#args() }
        : { kind: 'name', line, column, name: text };
    }
    if (token.kind !== 'symbol' || text !== '(') throw unexpected(token, 'a value');
    const inner = this.#expression();
    this.#expect(')');
    return inner;
  }
}

function unexpected(token: Token, wanted: string): FormulaSyntaxError {
  const found = token.kind === 'end' ? 'the end of the formula' : `'${token.text}'`;
  return new FormulaSyntaxError(token, `Expected ${wanted}, found ${found}`);
}

/** Reads an autoscale formula. @throws FormulaSyntaxError */
export function parseFormula(formula: string): readonly Statement[] {
  if (formula.length > maxFormulaLength) {
    throw new FormulaSyntaxError({ line: 1, column: 1 }, `A formula has at most ${maxFormulaLength} characters`);
  }
  return new Reader(tokensOf(formula)).statements();
}
