import { FormulaSyntaxError, type Place } from './errors.ts';

export interface Token extends Place {
  readonly kind: 'number' | 'text' | 'name' | 'symbol' | 'end';
  readonly text: string;
}

const pattern =
  /(?<blank>\s+|\/\/[^\n]*|\/\*[\s\S]*?\*\/)|(?<number>(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?)|(?<name>\$?[A-Za-z_][A-Za-z0-9_]*)|(?<text>"[^"\n]*")|(?<symbol>&&|\|\||<=|>=|==|!=|[-+*/<>!?:;=(),.])/y;

/** Splits a formula into tokens; blanks and comments (`//` and `/* *\/`) part them. @throws FormulaSyntaxError */
export function tokensOf(formula: string): readonly Token[] {
  const tokens: Token[] = [];
  let at = 0;
  let line = 1;
  let lineStart = 0;
  while (at < formula.length) {
    pattern.lastIndex = at;
    const found = pattern.exec(formula);
    const place = { line, column: at - lineStart + 1 };
    if (found?.groups === undefined) {
      throw new FormulaSyntaxError(
        place,
        `Unexpected character '${String.fromCodePoint(formula.codePointAt(at) ?? 0)}'`,
      );
    }
    const [whole] = found;
    const { number, name, text, symbol } = found.groups;
    if (number !== undefined) tokens.push({ ...place, kind: 'number', text: whole });
    else if (name !== undefined) tokens.push({ ...place, kind: 'name', text: whole });
    else if (text !== undefined) tokens.push({ ...place, kind: 'text', text: whole.slice(1, -1) });
    else if (symbol !== undefined) tokens.push({ ...place, kind: 'symbol', text: whole });
    for (let index = whole.indexOf('\n'); index >= 0; index = whole.indexOf('\n', index + 1)) {
      line += 1;
      lineStart = at + index + 1;
    }
    at += whole.length;
  }
  tokens.push({ kind: 'end', text: '', line, column: at - lineStart + 1 });
  return tokens;
}
