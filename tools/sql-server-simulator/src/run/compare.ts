import type { CompareOperator } from '../sql/ast.ts';
import { converter } from '../types/convert.ts';
import { sortKeyOf, type SortKey } from '../types/compare.ts';
import { rescale } from '../types/decimal.ts';
import { commonType, family, type SqlType, type Value, valueText } from '../types/sql-type.ts';
import type { Compiled, Env, Predicate } from './context.ts';

function isExact(type: SqlType): boolean {
  return ['bit', 'integer', 'decimal'].includes(family(type));
}

/** Both operands as keys whose primitive order is the comparison's: exact for every pair of exact numerics. */
export function comparisonKeys(
  left: Compiled,
  right: Compiled,
): readonly [(env: Env) => SortKey, (env: Env) => SortKey] {
  const common = commonType(left.type, right.type);
  if (
    isExact(left.type) &&
    isExact(right.type) &&
    (family(left.type) === 'decimal' || family(right.type) === 'decimal')
  ) {
    const scale = Math.max(left.type.scale, right.type.scale);
    const scaled = (operand: Compiled): ((env: Env) => SortKey) => {
      const from = operand.type.scale;
      return (env) => {
        const value = operand.run(env);
        return value === null ? null : rescale(BigInt(value as number | bigint), from, scale);
      };
    };
    return [scaled(left), scaled(right)];
  }
  const target = family(common) === 'string' || family(common) === 'binary' ? { ...common, length: -1 } : common;
  const side = (operand: Compiled): ((env: Env) => SortKey) => {
    const key = sortKeyOf(target);
    if (
      family(operand.type) === family(target) &&
      (operand.type.name === target.name || family(target) === 'string' || family(target) === 'binary')
    ) {
      return (env) => key(operand.run(env));
    }
    const convert = converter(operand.type, target);
    return (env) => key(convert(operand.run(env)));
  };
  return [side(left), side(right)];
}

export function comparison(operator: CompareOperator, left: Compiled, right: Compiled): Predicate {
  const [l, r] = comparisonKeys(left, right);
  const test = keyTest(operator);
  return (env) => {
    const a = l(env);
    if (a === null) return null;
    const b = r(env);
    return b === null ? null : test(a, b);
  };
}

function keyTest(operator: CompareOperator): (a: Exclude<SortKey, null>, b: Exclude<SortKey, null>) => boolean {
  switch (operator) {
    case '=':
      return (a, b) => a === b;
    case '<>':
      return (a, b) => a !== b;
    case '<':
      return (a, b) => a < b;
    case '<=':
      return (a, b) => a <= b;
    case '>':
      return (a, b) => a > b;
    case '>=':
      return (a, b) => a >= b;
  }
}

const special = /[.*+?^${}()|\\/]/g;

/** Builds the test of a LIKE pattern: %, _, [set], [^set], escape character; case-insensitive unless BIN2. */
function likeTest(pattern: string, escape: string | undefined, binary: boolean): RegExp {
  let source = '^';
  for (let at = 0; at < pattern.length; at += 1) {
    const character = pattern[at] ?? '';
    if (escape !== undefined && character === escape && at + 1 < pattern.length)
      source += (pattern[++at] ?? '').replace(/[[\].*+?^${}()|\\/-]/g, '\\$&');
    else if (character === '%') source += '[^]*';
    else if (character === '_') source += '[^]';
    else if (character === '[' && pattern.includes(']', at + 2)) {
      const end = pattern.indexOf(']', at + 2);
      const set = pattern.slice(at + 1, end);
      const negated = set.startsWith('^');
      source += `[${negated ? '^' : ''}${set.slice(negated ? 1 : 0).replace(/[\\\][^]/g, '\\$&')}]`;
      at = end;
    } else source += character.replace(special, '\\$&').replace(/[[\]]/g, '\\$&');
  }
  return new RegExp(`${source}[ ]*$`, binary ? 'u' : 'iu');
}

export function like(operand: Compiled, pattern: Compiled, escape: Compiled | undefined): Predicate {
  const text = converter(operand.type, { name: 'nvarchar', length: -1, precision: 0, scale: 0 });
  const binary = operand.type.binaryCollation === true;
  let lastPattern: Value = null;
  let lastEscape: Value = null;
  let test = /^$/;
  return (env) => {
    const value = text(operand.run(env));
    const wanted = pattern.run(env);
    const mark = escape?.run(env) ?? null;
    if (value === null || wanted === null) return null;
    if (wanted !== lastPattern || mark !== lastEscape) {
      test = likeTest(valueText(wanted), mark === null ? undefined : (mark as string), binary);
      lastPattern = wanted;
      lastEscape = mark;
    }
    return test.test(value as string);
  };
}
