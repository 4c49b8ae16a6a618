import { outsideSubset, SqlError } from '../types/sql-error.ts';
import { type Token, tokenize } from './lexer.ts';

/** Words that cannot be a name without brackets: they end an alias-less table or expression. */
export const reserved = new Set(
  'ADD ALL ALTER BACKUP BULK CHECKPOINT DBCC KILL RECONFIGURE RESTORE REVERT SHUTDOWN AND ANY AS ASC AUTHORIZATION BEGIN BETWEEN BREAK BY CASE CHECK CLOSE COALESCE COLLATE COLUMN COMMIT CONSTRAINT CONTAINS CONTINUE CONVERT CREATE CROSS CURRENT_TIMESTAMP CURSOR DEALLOCATE DECLARE DEFAULT DELETE DENY DESC DISTINCT DROP ELSE END ESCAPE EXCEPT EXEC EXECUTE EXISTS FETCH FOR FOREIGN FROM FULL FUNCTION GOTO GRANT GROUP HAVING HOLDLOCK IDENTITY IF IN INDEX INNER INSERT INTERSECT INTO IS JOIN KEY LEFT LIKE MERGE NOT NULL NULLIF OF OFF ON OPEN OPTION OR ORDER OUTER OVER PERCENT PIVOT PRIMARY PRINT PROC PROCEDURE RAISERROR REFERENCES RETURN REVOKE RIGHT ROLLBACK SAVE SCHEMA SELECT SET TABLE TABLESAMPLE THEN TO TOP TRAN TRANSACTION TRIGGER TRUNCATE TRY_CONVERT UNION UNIQUE UNPIVOT UPDATE USE USER VALUES VIEW WAITFOR WHEN WHERE WHILE WITH'.split(
    ' ',
  ),
);

const maxDepth = 150;

/** The parser's place in the tokens, with the small questions every rule asks. */
export class Cursor {
  readonly text: string;
  readonly tokens: readonly Token[];
  at = 0;
  depth = 0;

  constructor(text: string) {
    this.text = text;
    this.tokens = tokenize(text);
  }

  get token(): Token {
    return this.peek(0);
  }

  peek(ahead: number): Token {
    const token = this.tokens[Math.min(this.at + ahead, this.tokens.length - 1)];
    if (token === undefined) throw new Error('the lexer gives at least the end token');
    return token;
  }

  get line(): number {
    return this.token.line;
  }

  advance(): Token {
    const token = this.token;
    if (token.kind !== 'end') this.at += 1;
    return token;
  }

  isWord(...words: readonly string[]): boolean {
    return words.every((word, index) => {
      const token = this.peek(index);
      return token.kind === 'word' && token.upper === word;
    });
  }

  isOneOf(...words: readonly string[]): boolean {
    return this.token.kind === 'word' && words.includes(this.token.upper);
  }

  isSymbol(symbol: string, ahead = 0): boolean {
    const token = this.peek(ahead);
    return token.kind === 'symbol' && token.text === symbol;
  }

  /** Consumes the words if all of them come next. */
  takeWord(...words: readonly string[]): boolean {
    if (!this.isWord(...words)) return false;
    this.at += words.length;
    return true;
  }

  takeSymbol(symbol: string): boolean {
    if (!this.isSymbol(symbol)) return false;
    this.at += 1;
    return true;
  }

  expectWord(...words: readonly string[]): void {
    for (const word of words) if (!this.takeWord(word)) throw this.unexpected();
  }

  expectSymbol(symbol: string): void {
    if (!this.takeSymbol(symbol)) throw this.unexpected();
  }

  isName(): boolean {
    const { kind, upper } = this.token;
    return kind === 'quoted' || (kind === 'word' && !reserved.has(upper));
  }

  name(): string {
    if (!this.isName()) throw this.unexpected();
    return this.advance().text;
  }

  variable(): string {
    if (this.token.kind !== 'variable' || this.token.text.startsWith('@@')) throw this.unexpected();
    return this.advance().text;
  }

  unexpected(): SqlError {
    const { kind, text, upper, line } = this.token;
    if (kind === 'end') {
      const near = this.tokens[this.at - 1]?.text ?? '';
      return new SqlError(102, `Incorrect syntax near '${near}'.`, 15, 1, line);
    }
    if (kind === 'word' && reserved.has(upper))
      return new SqlError(156, `Incorrect syntax near the keyword '${text}'.`, 15, 1, line);
    return new SqlError(102, `Incorrect syntax near '${text.slice(0, 100)}'.`, 15, 1, line);
  }

  refuse(construct: string): SqlError {
    return outsideSubset(construct, this.line);
  }

  /** Runs a rule one level deeper: hostile nesting ends in error 191 instead of a stack overflow. */
  nested<T>(rule: () => T): T {
    this.depth += 1;
    if (this.depth > maxDepth) {
      throw new SqlError(
        191,
        'Some part of your SQL statement is nested too deeply. Rewrite the query or break it up into smaller queries.',
        15,
        1,
        this.line,
      );
    }
    try {
      return rule();
    } finally {
      this.depth -= 1;
    }
  }

  list<T>(item: () => T): T[] {
    const items = [item()];
    while (this.takeSymbol(',')) items.push(item());
    return items;
  }

  parenthesized<T>(rule: () => T): T {
    this.expectSymbol('(');
    const result = rule();
    this.expectSymbol(')');
    return result;
  }

  /** The source text of what a rule consumed: kept for defaults, checks and filters. */
  capture<T>(rule: () => T): { readonly value: T; readonly text: string } {
    const start = this.token.start;
    const value = rule();
    const end = this.tokens[this.at - 1]?.end ?? start;
    return { value, text: this.text.slice(start, end) };
  }
}
