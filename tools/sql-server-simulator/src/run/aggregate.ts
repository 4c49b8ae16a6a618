import type { ExpressionOf } from '../sql/ast.ts';
import { fitDecimal, toInteger } from '../types/convert.ts';
import { hashText, sortKeyOf, type SortKey } from '../types/compare.ts';
import { outsideSubset, SqlError } from '../types/sql-error.ts';
import { decimal, family, nvarchar, type SqlType, types, type Value, valueText } from '../types/sql-type.ts';
import type { Compiled, Env } from './context.ts';
import { as } from './function-kit.ts';

const aggregates = new Set([
  'COUNT',
  'COUNT_BIG',
  'SUM',
  'AVG',
  'MIN',
  'MAX',
  'STRING_AGG',
  'STDEV',
  'VAR',
  'CHECKSUM_AGG',
]);

export function isAggregate(name: string): boolean {
  return aggregates.has(name);
}

export interface Accumulator {
  add(env: Env): void;
  result(): Value;
}

export interface AggregateSpec {
  readonly type: SqlType;
  readonly start: () => Accumulator;
}

function counting(type: SqlType, operand: Compiled | undefined): AggregateSpec {
  return {
    type,
    start: () => {
      let count = 0;
      return {
        add: (env) => {
          if (operand === undefined || operand.run(env) !== null) count += 1;
        },
        result: () => (type.name === 'bigint' ? BigInt(count) : count),
      };
    },
  };
}

function sumType({ name, precision, scale }: SqlType): SqlType {
  switch (name) {
    case 'tinyint':
    case 'smallint':
    case 'int':
      return types.int;
    case 'bigint':
      return types.bigint;
    case 'decimal':
      return decimal(Math.max(38, precision), scale);
    case 'money':
    case 'smallmoney':
      return types.money;
    case 'float':
    case 'real':
      return types.float;
    default:
      throw new SqlError(8117, `Operand data type ${name} is invalid for sum operator.`);
  }
}

/** SUM and AVG; exact for exact numbers. An average of integers is cut, of decimals has at least six digits. */
function summing(operand: Compiled, average: boolean): AggregateSpec {
  const total = sumType(operand.type);
  const type = average && total.name === 'decimal' ? decimal(38, Math.max(total.scale, 6)) : total;
  const read = as(operand, operand.type.name === 'real' ? types.float : operand.type);
  const isFloat = total.name === 'float';
  return {
    type,
    start: () => {
      let exact = 0n;
      let real = 0;
      let count = 0;
      return {
        add: (env) => {
          const value = read(env);
          if (value === null) return;
          count += 1;
          if (isFloat) real += value as number;
          else exact += BigInt(value as number | bigint);
        },
        result: () => {
          if (count === 0) return null;
          if (isFloat) return average ? real / count : real;
          if (family(total) === 'decimal') {
            if (!average) return fitDecimal(exact, total);
            return (exact * 10n ** BigInt(type.scale - total.scale)) / BigInt(count);
          }
          return toInteger(average ? exact / BigInt(count) : exact, total);
        },
      };
    },
  };
}

function extreme(operand: Compiled, sign: 1 | -1): AggregateSpec {
  if (operand.type.name === 'bit')
    throw new SqlError(8117, `Operand data type bit is invalid for ${sign === 1 ? 'max' : 'min'} operator.`);
  return {
    type: operand.type,
    start: () => {
      const key = sortKeyOf(operand.type);
      let best: Value = null;
      let bestKey: SortKey = null;
      return {
        add: (env) => {
          const value = operand.run(env);
          if (value === null) return;
          const next = key(value);
          if (next === null) return;
          if (bestKey === null || (sign === 1 ? next > bestKey : next < bestKey)) {
            best = value;
            bestKey = next;
          }
        },
        result: () => best,
      };
    },
  };
}

function joining(operand: Compiled, separator: Compiled): AggregateSpec {
  const text = as(operand, nvarchar(-1));
  return {
    type: nvarchar(-1),
    start: () => {
      let parts: string | null = null;
      return {
        add: (env) => {
          const value = text(env) as string | null;
          if (value !== null) parts = parts === null ? value : parts + valueText(separator.run(env)) + value;
        },
        result: () => parts,
      };
    },
  };
}

function distinct(spec: AggregateSpec, operand: Compiled): AggregateSpec {
  return {
    type: spec.type,
    start: () => {
      const inner = spec.start();
      const key = sortKeyOf(operand.type);
      const seen = new Set<string>();
      return {
        add: (env) => {
          const hash = hashText(key(operand.run(env)));
          if (seen.has(hash)) return;
          seen.add(hash);
          inner.add(env);
        },
        result: () => inner.result(),
      };
    },
  };
}

/** Compiles an aggregate over its already compiled arguments (none for COUNT(*)). */
export function compileAggregate(call: ExpressionOf<'call'>, args: readonly Compiled[]): AggregateSpec {
  const [operand, second] = args;
  const spec = build(call, operand, second);
  return call.distinct === true && operand !== undefined ? distinct(spec, operand) : spec;
}

function build(call: ExpressionOf<'call'>, operand: Compiled | undefined, second: Compiled | undefined): AggregateSpec {
  const { name, line } = call;
  if (name === 'COUNT') return counting(types.int, operand);
  if (name === 'COUNT_BIG') return counting(types.bigint, operand);
  if (operand === undefined) throw new SqlError(174, `The ${name.toLowerCase()} function requires 1 argument(s).`, 15);
  switch (name) {
    case 'SUM':
    case 'AVG':
      return summing(operand, name === 'AVG');
    case 'MIN':
    case 'MAX':
      return extreme(operand, name === 'MAX' ? 1 : -1);
    case 'STRING_AGG':
      if (second === undefined) throw new SqlError(174, 'The string_agg function requires 2 argument(s).', 15);
      return joining(operand, second);
    default:
      throw outsideSubset(`aggregate ${name}`, line);
  }
}
