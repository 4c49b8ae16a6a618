import { SqlError } from '../types/sql-error.ts';

export type TokenKind = 'word' | 'quoted' | 'string' | 'nstring' | 'number' | 'binary' | 'variable' | 'symbol' | 'end';

export interface Token {
  readonly kind: TokenKind;
  /** Decoded content: quotes gone, doubled quotes single; a variable keeps its @. */
  readonly text: string;
  /** Upper case for words (keywords are not case-sensitive), empty for all else. */
  readonly upper: string;
  readonly start: number;
  readonly end: number;
  readonly line: number;
}

const wordStart = /[\p{L}_#]/u;
const wordShape = /[\p{L}\p{N}_@#$]*/uy;
const numberShape = /(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?/y;
const hexShape = /0[xX][0-9a-fA-F]*/y;
const twoCharacter = new Set([
  '<=',
  '>=',
  '<>',
  '!=',
  '!<',
  '!>',
  '+=',
  '-=',
  '*=',
  '/=',
  '%=',
  '&=',
  '|=',
  '^=',
  '::',
]);
const oneCharacter = new Set('+-*/%&|^~=<>(),.;:!$');

class Lexer {
  readonly text: string;
  at = 0;
  line = 1;
  readonly tokens: Token[] = [];
  constructor(text: string) {
    this.text = text;
  }

  match(shape: RegExp, at = this.at): string {
    shape.lastIndex = at;
    return shape.exec(this.text)?.[0] ?? '';
  }

  push(kind: TokenKind, text: string, end: number): void {
    const upper = kind === 'word' ? text.toUpperCase() : '';
    this.tokens.push({ kind, text, upper, start: this.at, end, line: this.line });
    for (let index = this.at; index < end; index += 1) if (this.text.charCodeAt(index) === 10) this.line += 1;
    this.at = end;
  }

  /** Skips white space and comments; block comments nest. */
  skip(): void {
    for (;;) {
      const code = this.text.charCodeAt(this.at);
      if (code === 10) this.line += 1;
      if (code <= 32 || code === 0xa0 || code === 0xfeff) this.at += 1;
      else if (this.text.startsWith('--', this.at)) {
        const end = this.text.indexOf('\n', this.at);
        this.at = end === -1 ? this.text.length : end;
      } else if (this.text.startsWith('/*', this.at)) this.blockComment();
      else return;
    }
  }

  blockComment(): void {
    const startLine = this.line;
    let depth = 0;
    do {
      if (this.at >= this.text.length) throw new SqlError(113, "Missing end comment mark '*/'.", 15, 1, startLine);
      if (this.text.startsWith('/*', this.at)) {
        depth += 1;
        this.at += 2;
      } else if (this.text.startsWith('*/', this.at)) {
        depth -= 1;
        this.at += 2;
      } else {
        if (this.text.charCodeAt(this.at) === 10) this.line += 1;
        this.at += 1;
      }
    } while (depth > 0);
  }

  /** Delimited text with its closing mark doubled inside: 'it''s', [a]]b], "a""b". */
  delimited(kind: TokenKind, open: number, close: string): void {
    let end = open;
    for (;;) {
      end = this.text.indexOf(close, end);
      if (end === -1) {
        const shown = this.text.slice(open, open + 40);
        throw new SqlError(105, `Unclosed quotation mark after the character string '${shown}'.`, 15, 1, this.line);
      }
      if (this.text[end + 1] !== close) break;
      end += 2;
    }
    this.push(kind, this.text.slice(open, end).replaceAll(close + close, close), end + 1);
  }

  next(): boolean {
    this.skip();
    const { text, at } = this;
    if (at >= text.length) return false;
    const character = text[at] ?? '';
    if (character === "'") this.delimited('string', at + 1, "'");
    else if ((character === 'N' || character === 'n') && text[at + 1] === "'") this.delimited('nstring', at + 2, "'");
    else if (character === '[') this.delimited('quoted', at + 1, ']');
    else if (character === '"') this.delimited('quoted', at + 1, '"');
    else if (character === '@')
      this.push('variable', this.match(/@@?[\p{L}\p{N}_@#$]*/uy), at + this.match(/@@?[\p{L}\p{N}_@#$]*/uy).length);
    else if (character === '0' && (text[at + 1] === 'x' || text[at + 1] === 'X'))
      this.push('binary', this.match(hexShape).slice(2), at + this.match(hexShape).length);
    else if (/\d/.test(character) || (character === '.' && /\d/.test(text[at + 1] ?? ''))) {
      const number = this.match(numberShape);
      this.push('number', number, at + number.length);
    } else if (wordStart.test(String.fromCodePoint(text.codePointAt(at) ?? 0))) {
      const word = this.match(wordShape);
      this.push('word', word === '' ? character : word, at + Math.max(word.length, 1));
    } else if (twoCharacter.has(text.slice(at, at + 2))) this.push('symbol', text.slice(at, at + 2), at + 2);
    else if (oneCharacter.has(character)) this.push('symbol', character, at + 1);
    else throw new SqlError(102, `Incorrect syntax near '${character}'.`, 15, 1, this.line);
    return true;
  }
}

/**
 * Splits a batch into tokens; the last one has kind `end`.
 *
 * @throws SqlError 102 (no such character), 105 (unclosed quote), 113 (unclosed comment)
 */
export function tokenize(text: string): Token[] {
  const lexer = new Lexer(text);
  while (lexer.next());
  lexer.push('end', '', lexer.at);
  return lexer.tokens;
}
