import type { CompareOperator, Expression } from '../sql/ast.ts';
import { expressionKey } from '../sql/ast.ts';
import { childrenOf } from '../sql/walk.ts';
import type { IndexRange } from '../engine/ordered-index.ts';
import type { Index, Table } from '../engine/table.ts';
import { convertValue } from '../types/convert.ts';
import { sortKeyOf, type SortKey } from '../types/compare.ts';
import { pow10, rescale } from '../types/decimal.ts';
import { family, type SqlType, type Value } from '../types/sql-type.ts';
import type { Compiled, Env, Predicate } from './context.ts';
import { compileExpression, compilePredicate, conjuncts } from './expression.ts';
import type { Scope } from './scope.ts';

/** One AND-ed part of WHERE or ON, with the sources of this query that it reads. */
export interface Conjunct {
  readonly expression: Expression;
  readonly sources: ReadonlySet<number>;
  /** Reads an outer query's columns. */
  readonly outer: boolean;
  /** Contains a query: evaluated only when all sources are bound. */
  readonly late: boolean;
  readonly predicate: Predicate;
  consumed: boolean;
}

export function conjunctOf(expression: Expression, scope: Scope): Conjunct {
  const sources = new Set<number>();
  let outer = false;
  let late = false;
  const visit = (node: Expression): void => {
    if (node.kind === 'column') {
      const found = scope.find(node.parts);
      if (found?.depth === 0) sources.add(found.source);
      else outer = true;
    }
    const { operands, queries } = childrenOf(node);
    if (queries.length > 0) late = true;
    operands.forEach(visit);
  };
  visit(expression);
  return { expression, sources, outer, late, predicate: compilePredicate(expression, scope), consumed: false };
}

/** `column operator value`, where the value reads nothing of the column's own source. */
export interface Restriction {
  readonly ordinal: number;
  readonly operator: CompareOperator | 'null';
  readonly values: readonly Compiled[];
}

const mirrored: Readonly<Record<CompareOperator, CompareOperator>> = {
  '=': '=',
  '<>': '<>',
  '<': '>',
  '<=': '>=',
  '>': '<',
  '>=': '<=',
};

function readsSource(expression: Expression, scope: Scope, source: number): boolean {
  if (expression.kind === 'column') {
    const found = scope.find(expression.parts);
    return found?.depth === 0 && found.source === source;
  }
  const { operands, queries } = childrenOf(expression);
  return queries.length > 0 || operands.some((operand) => readsSource(operand, scope, source));
}

/** What a conjunct says about single columns of a source, if an index could use it. */
export function restrictionsOf(expression: Expression, scope: Scope, source: number): Restriction[] {
  const column = (node: Expression): number | undefined => {
    if (node.kind !== 'column') return undefined;
    const found = scope.find(node.parts);
    return found?.depth === 0 && found.source === source ? found.ordinal : undefined;
  };
  const make = (node: Expression, operator: CompareOperator, values: readonly Expression[]): Restriction[] => {
    const ordinal = column(node);
    if (ordinal === undefined || values.some((value) => readsSource(value, scope, source))) return [];
    return [{ ordinal, operator, values: values.map((value) => compileExpression(value, scope)) }];
  };
  switch (expression.kind) {
    case 'compare': {
      if (expression.operator === '<>') return [];
      const direct = make(expression.left, expression.operator, [expression.right]);
      return direct.length > 0 ? direct : make(expression.right, mirrored[expression.operator], [expression.left]);
    }
    case 'between':
      return expression.negated
        ? []
        : [...make(expression.operand, '>=', [expression.low]), ...make(expression.operand, '<=', [expression.high])];
    case 'in':
      return expression.negated ? [] : make(expression.operand, '=', expression.list);
    case 'isNull': {
      const ordinal = column(expression.operand);
      return expression.negated || ordinal === undefined ? [] : [{ ordinal, operator: 'null', values: [] }];
    }
    case 'logic':
      return expression.operator === 'or' ? sharedEqualities(expression, scope, source) : [];
    default:
      return [];
  }
}

function alternatives(expression: Expression): Expression[] {
  if (expression.kind !== 'logic' || expression.operator !== 'or') return [expression];
  return [...alternatives(expression.left), ...alternatives(expression.right)];
}

/** `(Status = 1 AND …) OR (Status = 2 AND …)` says at least `Status IN (1, 2)`. */
function sharedEqualities(expression: Expression, scope: Scope, source: number): Restriction[] {
  const branches = alternatives(expression).map((branch) =>
    conjuncts(branch)
      .flatMap((part) => restrictionsOf(part, scope, source))
      .filter(({ operator }) => operator === '='),
  );
  const [first = [], ...rest] = branches;
  return first.flatMap(({ ordinal, values }) => {
    const others = rest.map((branch) => branch.find((restriction) => restriction.ordinal === ordinal));
    if (others.includes(undefined)) return [];
    return [
      { ordinal, operator: '=' as const, values: [...values, ...others.flatMap((other) => other?.values ?? [])] },
    ];
  });
}

/** Key of a value in a column's index, or undefined when the comparison cannot be done on the column's own keys. */
type ToKey = (value: Value) => SortKey | undefined;

/** @returns how values of a type are looked up in a column's index; undefined if the pair does not allow it */
function keyConverter(from: SqlType, column: SqlType): ToKey | undefined {
  const fromFamily = family(from);
  const key = sortKeyOf(column);
  const pair = `${fromFamily}>${family(column)}`;
  switch (pair) {
    case 'string>string':
      return (from.binaryCollation ?? false) === (column.binaryCollation ?? false) ? key : undefined;
    case 'binary>binary':
    case 'guid>guid':
    case 'datetime>datetime':
    case 'date>date':
    case 'time>time':
    case 'offset>offset':
    case 'bit>bit':
    case 'float>float':
      return key;
    case 'integer>integer':
    case 'bit>integer':
    case 'integer>bit':
      return column.name === 'bigint' ? (value) => BigInt(value as number | bigint) : (value) => Number(value);
    case 'integer>decimal':
    case 'bit>decimal':
      return (value) => BigInt(value as number | bigint) * pow10(column.scale);
    case 'decimal>decimal':
    case 'decimal>integer':
      return (value) => {
        const scaled = rescale(value as bigint, from.scale, column.scale, true);
        if (rescale(scaled, column.scale, from.scale) !== value && column.scale < from.scale) return undefined;
        return column.name === 'bigint' || family(column) === 'decimal' ? scaled : Number(scaled);
      };
    case 'string>guid':
    case 'string>datetime':
    case 'string>date':
    case 'string>integer':
      return (value) => key(convertValue(value, from, column));
    default:
      return undefined;
  }
}

interface Bounded {
  readonly operator: CompareOperator;
  readonly value: Compiled;
  readonly toKey: ToKey;
}

/** A chosen index and how to compute its ranges for the current outer rows. */
export interface AccessPath {
  readonly index: Index;
  readonly ranges: (env: Env) => readonly IndexRange[];
  readonly backwards: boolean;
  /** The index yields the wanted order (its ranges merged, if there are several). */
  readonly ordered: boolean;
  /** Columns fixed by equality: 0 means that other ways of joining may be better. */
  readonly fixed: number;
}

export interface WantedOrder {
  readonly ordinal: number;
  readonly descending: boolean;
}

const maxRanges = 200;

function equalities(
  index: Index,
  table: Table,
  restrictions: readonly Restriction[],
): {
  readonly prefix: readonly (readonly { readonly value?: Compiled; readonly toKey?: ToKey }[])[];
  readonly single: boolean;
} {
  const prefix: { value?: Compiled; toKey?: ToKey }[][] = [];
  let single = true;
  for (const ordinal of index.ordinals) {
    const column = table.columns[ordinal];
    if (column === undefined) break;
    let alternatives: { value?: Compiled; toKey?: ToKey }[] | undefined;
    for (const restriction of restrictions) {
      if (restriction.ordinal !== ordinal) continue;
      if (restriction.operator === 'null') alternatives = [{}];
      if (restriction.operator !== '=') continue;
      const options = restriction.values.map((value) => ({ value, toKey: keyConverter(value.type, column.type) }));
      if (options.some(({ toKey }) => toKey === undefined)) continue;
      const usable = options.map(({ value, toKey }) => (toKey === undefined ? {} : { value, toKey }));
      if (alternatives === undefined || usable.length < alternatives.length) alternatives = usable;
    }
    if (alternatives === undefined) break;
    const total = prefix.reduce((product, part) => product * part.length, alternatives.length);
    if (total > maxRanges) break;
    if (alternatives.length > 1) single = false;
    prefix.push(alternatives);
  }
  return { prefix, single };
}

function boundsOn(table: Table, ordinal: number | undefined, restrictions: readonly Restriction[]): Bounded[] {
  const column = ordinal === undefined ? undefined : table.columns[ordinal];
  if (column === undefined) return [];
  const bounds: Bounded[] = [];
  for (const { ordinal: on, operator, values } of restrictions) {
    const [value] = values;
    if (on !== ordinal || operator === '=' || operator === 'null' || value === undefined) continue;
    const toKey = keyConverter(value.type, column.type);
    if (toKey !== undefined) bounds.push({ operator, value, toKey });
  }
  return bounds;
}

/**
 * Whether, after the fixed columns, the index goes on in the wanted order; and in which direction. With several ranges
 * (`single` false) they are merged by the columns behind the fixed ones, so those must be all of the order.
 */
function orderOf(
  index: Index,
  fixed: number,
  order: readonly WantedOrder[],
  single: boolean,
): 'forward' | 'backward' | undefined {
  const fixedOrdinals = new Set(index.ordinals.slice(0, fixed));
  const wanted = order.filter(({ ordinal }) => !fixedOrdinals.has(ordinal));
  if (!single && wanted.length < order.length) return undefined;
  let direction: 'forward' | 'backward' | undefined;
  for (const [position, { ordinal, descending }] of wanted.entries()) {
    if (index.ordinals[fixed + position] !== ordinal) return undefined;
    const here = index.spec.columns[fixed + position]?.descending === descending ? 'forward' : 'backward';
    if (direction !== undefined && direction !== here) return undefined;
    direction = here;
  }
  return direction ?? 'forward';
}

function rangesOf(prefix: ReturnType<typeof equalities>['prefix'], bounds: readonly Bounded[]): AccessPath['ranges'] {
  return (env) => {
    let low: IndexRange['low'];
    let high: IndexRange['high'];
    for (const { operator, value, toKey } of bounds) {
      const raw = value.run(env);
      if (raw === null) return [];
      const key = toKey(raw);
      // No exact key (1.5 on an int column): the bound is left to the filters.
      if (key === undefined) continue;
      const bound = { value: key, inclusive: operator === '<=' || operator === '>=' };
      if (operator.startsWith('>')) low ??= bound;
      else high ??= bound;
    }
    // NULLs sort first and satisfy no comparison.
    if (low === undefined && high !== undefined) low = { value: null, inclusive: false };
    let keys: SortKey[][] = [[]];
    for (const alternatives of prefix) {
      const values: SortKey[] = [];
      for (const { value, toKey } of alternatives) {
        const raw = value?.run(env) ?? null;
        if (value !== undefined && raw === null) continue;
        const key = value === undefined || toKey === undefined ? null : toKey(raw);
        // No exact key: equal to nothing in this column.
        if (key === undefined) continue;
        if (!values.includes(key)) values.push(key);
      }
      keys = keys.flatMap((head) => values.map((value) => [...head, value]));
    }
    return keys.map((key) => ({
      prefix: key,
      ...(low === undefined ? {} : { low }),
      ...(high === undefined ? {} : { high }),
    }));
  };
}

/**
 * Picks an index by a simple score: columns fixed by equality count most, then order (when it saves a sort before TOP), then
 * a range. The conjuncts are all tested again on each row, so a path can be too wide but never wrong.
 */
export function chooseAccess(
  table: Table,
  claimed: readonly Conjunct[],
  restrictions: readonly Restriction[],
  order: readonly WantedOrder[],
  wantsFirst: boolean,
): AccessPath | undefined {
  const texts = new Set(claimed.map(({ expression }) => expressionKey(expression)));
  let best: AccessPath | undefined;
  let bestScore = 0;
  for (const index of table.indexes) {
    const { filter } = index.spec;
    if (filter !== undefined && !texts.has(expressionKey(filter.expression))) continue;
    const { prefix, single } = equalities(index, table, restrictions);
    const bounds = boundsOn(table, index.ordinals[prefix.length], restrictions);
    const direction = order.length > 0 ? orderOf(index, prefix.length, order, single) : undefined;
    const whole = index.spec.unique && prefix.length === index.ordinals.length ? 20 : 0;
    const score =
      prefix.length * 10 +
      (bounds.length > 0 ? 4 : 0) +
      (direction === undefined ? 0 : wantsFirst ? 6 : 2) +
      whole +
      (filter === undefined ? 0 : 3);
    if (score <= bestScore) continue;
    bestScore = score;
    best = {
      index,
      ranges: rangesOf(prefix, bounds),
      backwards: direction === 'backward',
      ordered: direction !== undefined,
      fixed: prefix.length,
    };
  }
  return best;
}
