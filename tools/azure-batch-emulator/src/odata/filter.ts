import { parseTime } from '../time.ts';

/** A literal of a filter; a time is in microseconds since the epoch. */
export type Literal =
  | { readonly kind: 'text'; readonly value: string }
  | { readonly kind: 'number'; readonly value: number }
  | { readonly kind: 'boolean'; readonly value: boolean }
  | { readonly kind: 'time'; readonly value: number };

export const operators = ['eq', 'ne', 'gt', 'ge', 'lt', 'le'] as const;
export type Operator = (typeof operators)[number];

export type Filter =
  | { readonly kind: 'and'; readonly left: Filter; readonly right: Filter }
  | { readonly kind: 'or'; readonly left: Filter; readonly right: Filter }
  | { readonly kind: 'compare'; readonly property: string; readonly operator: Operator; readonly literal: Literal }
  | { readonly kind: 'startswith'; readonly property: string; readonly prefix: string };

/** Thrown when a filter is not in the grammar, with the place where reading stopped. */
export class FilterSyntaxError extends Error {
  override readonly name = 'FilterSyntaxError';
  readonly at: number;
  constructor(reason: string, at: number) {
    super(`${reason} at position ${at + 1}`);
    this.at = at;
  }
}

interface Token {
  readonly kind: 'word' | 'text' | 'number' | 'time' | '(' | ')' | ',' | 'end';
  readonly text: string;
  readonly at: number;
}

const maxLength = 8192;
/** Parentheses deeper than this are refused, so that a hostile filter cannot exhaust the stack. */
const maxDepth = 64;

const patterns: readonly [RegExp, Token['kind']][] = [
  [/datetime'((?:[^']|'')*)'/iy, 'time'],
  [/'((?:[^']|'')*)'/y, 'text'],
  [/(-?\d+)(?![\w.])/y, 'number'],
  [/([A-Za-z_][\w/]*)/y, 'word'],
];

/** Splits a filter into tokens. @throws FilterSyntaxError */
export function tokenize(source: string): readonly Token[] {
  if (source.length > maxLength) throw new FilterSyntaxError(`a filter has at most ${maxLength} characters`, maxLength);
  const tokens: Token[] = [];
  let at = 0;
  while (at < source.length) {
    const char = source[at] ?? '';
    if (/\s/.test(char)) {
      at += 1;
      continue;
    }
    if (char === '(' || char === ')' || char === ',') {
      tokens.push({ kind: char, text: char, at });
      at += 1;
      continue;
    }
    let found = false;
    for (const [pattern, kind] of patterns) {
      pattern.lastIndex = at;
      const match = pattern.exec(source);
      if (match === null) continue;
      const inner = match[1] ?? '';
      tokens.push({ kind, text: kind === 'text' || kind === 'time' ? inner.replaceAll("''", "'") : inner, at });
      at = pattern.lastIndex;
      found = true;
      break;
    }
    if (!found) throw new FilterSyntaxError(`unexpected ${JSON.stringify(char)}`, at);
  }
  tokens.push({ kind: 'end', text: '', at: source.length });
  return tokens;
}

/** Recursive descent: or := and ('or' and)*; and := unit ('and' unit)*; unit := '(' or ')' | startswith | comparison. */
class Reader {
  readonly #tokens: readonly Token[];
  #index = 0;
  #depth = 0;

  constructor(source: string) {
    this.#tokens = tokenize(source);
  }

  #next(): Token {
    const token = this.#tokens[this.#index] ?? { kind: 'end', text: '', at: 0 };
    if (token.kind !== 'end') this.#index += 1;
    return token;
  }

  #takeWord(word: string): boolean {
    const token = this.#tokens[this.#index];
    if (token?.kind !== 'word' || token.text !== word) return false;
    this.#index += 1;
    return true;
  }

  #expect(kind: Token['kind'], wanted: string): Token {
    const token = this.#next();
    if (token.kind !== kind) throw new FilterSyntaxError(`expected ${wanted}`, token.at);
    return token;
  }

  all(): Filter {
    const filter = this.#or();
    this.#expect('end', "'and', 'or' or the end");
    return filter;
  }

  #or(): Filter {
    let left = this.#and();
    while (this.#takeWord('or')) left = { kind: 'or', left, right: this.#and() };
    return left;
  }

  #and(): Filter {
    let left = this.#unit();
    while (this.#takeWord('and')) left = { kind: 'and', left, right: this.#unit() };
    return left;
  }

  #unit(): Filter {
    const token = this.#next();
    if (token.kind === '(') {
      this.#depth += 1;
      if (this.#depth > maxDepth) throw new FilterSyntaxError(`parentheses nest deeper than ${maxDepth}`, token.at);
      const inner = this.#or();
      this.#expect(')', "')'");
      this.#depth -= 1;
      return inner;
    }
    if (token.kind !== 'word') throw new FilterSyntaxError("expected a property, startswith or '('", token.at);
    if (token.text === 'startswith') {
      this.#expect('(', "'('");
      const property = this.#expect('word', 'a property').text;
      this.#expect(',', "','");
      const prefix = this.#expect('text', 'a quoted string').text;
      this.#expect(')', "')'");
      return { kind: 'startswith', property, prefix };
    }
    const operator = this.#expect('word', `one of ${operators.join(', ')}`);
    if (!(operators as readonly string[]).includes(operator.text)) {
      throw new FilterSyntaxError(`expected one of ${operators.join(', ')}`, operator.at);
    }
    return {
      kind: 'compare',
      property: token.text,
      operator: operator.text as Operator,
      literal: this.#literal(),
    };
  }

  #literal(): Literal {
    const token = this.#next();
    if (token.kind === 'text') return { kind: 'text', value: token.text };
    if (token.kind === 'number') return { kind: 'number', value: Number(token.text) };
    if (token.kind === 'word' && (token.text === 'true' || token.text === 'false')) {
      return { kind: 'boolean', value: token.text === 'true' };
    }
    if (token.kind === 'time') {
      const value = parseTime(token.text);
      if (value === undefined) throw new FilterSyntaxError('a DateTime is ISO 8601 or RFC 1123', token.at);
      return { kind: 'time', value };
    }
    throw new FilterSyntaxError('expected a literal', token.at);
  }
}

/** Parses the `$filter` language of Batch lists. @throws FilterSyntaxError */
export function parseFilter(source: string): Filter {
  return new Reader(source).all();
}
