import type { ArithmeticOperator } from '../sql/ast.ts';
import { converter, fitDecimal, toInteger } from '../types/convert.ts';
import { pow10, rescale } from '../types/decimal.ts';
import { ticksPerDay } from '../types/datetime.ts';
import { SqlError } from '../types/sql-error.ts';
import {
  asDecimal,
  boundedDecimal,
  commonType,
  family,
  nvarchar,
  type SqlType,
  types,
  type Value,
  varbinary,
  varchar,
} from '../types/sql-type.ts';
import type { Compiled, Env } from './context.ts';

function divideByZero(): SqlError {
  return new SqlError(8134, 'Divide by zero error encountered.');
}

/** Applies `work` to two operands unless one of them is NULL. */
function both<T extends Value>(
  left: (env: Env) => Value,
  right: (env: Env) => Value,
  work: (a: T, b: T) => Value,
): (env: Env) => Value {
  return (env) => {
    const a = left(env);
    if (a === null) return null;
    const b = right(env);
    return b === null ? null : work(a as T, b as T);
  };
}

function cast(operand: Compiled, type: SqlType): (env: Env) => Value {
  const convert = converter(operand.type, type);
  return (env) => convert(operand.run(env));
}

function concatenation(left: Compiled, right: Compiled): Compiled {
  const common = commonType(left.type, right.type);
  const wide = common.name.startsWith('n');
  const max = left.type.length === -1 || right.type.length === -1;
  const length = max ? -1 : left.type.length + right.type.length;
  const sized = max
    ? { ...common, length: -1 }
    : { ...(wide ? nvarchar(Math.min(length, 4000)) : varchar(Math.min(length, 8000))) };
  const type = common.binaryCollation === true ? { ...sized, binaryCollation: true } : sized;
  return { type, run: both<string>(left.run, right.run, (a, b) => a + b) };
}

function integers(operator: ArithmeticOperator, left: Compiled, right: Compiled, type: SqlType): Compiled {
  const big = type.name === 'bigint';
  const l = cast(left, type);
  const r = cast(right, type);
  const work = (a: bigint, b: bigint): bigint => {
    switch (operator) {
      case '+':
        return a + b;
      case '-':
        return a - b;
      case '*':
        return a * b;
      case '/':
        if (b === 0n) throw divideByZero();
        return a / b;
      case '%':
        if (b === 0n) throw divideByZero();
        return a % b;
      case '&':
        return a & b;
      case '|':
        return a | b;
      case '^':
        return a ^ b;
    }
  };
  if (big) return { type, run: both<bigint>(l, r, (a, b) => toInteger(work(a, b), type)) };
  if (operator === '+') return { type, run: both<number>(l, r, (a, b) => toInteger(a + b, type)) };
  if (operator === '-') return { type, run: both<number>(l, r, (a, b) => toInteger(a - b, type)) };
  return { type, run: both<number>(l, r, (a, b) => toInteger(work(BigInt(a), BigInt(b)), type)) };
}

/** Result precision and scale by SQL Server's table ("Precision, scale, and length"). */
export function decimalResult(operator: ArithmeticOperator, left: SqlType, right: SqlType): SqlType {
  const { precision: p1, scale: s1 } = left;
  const { precision: p2, scale: s2 } = right;
  switch (operator) {
    case '*':
      return boundedDecimal(p1 + p2 + 1, s1 + s2);
    case '/': {
      const scale = Math.max(6, s1 + p2 + 1);
      return boundedDecimal(p1 - s1 + s2 + scale, scale);
    }
    case '%': {
      const scale = Math.max(s1, s2);
      return boundedDecimal(Math.min(p1 - s1, p2 - s2) + scale, scale);
    }
    default: {
      const scale = Math.max(s1, s2);
      return boundedDecimal(Math.max(p1 - s1, p2 - s2) + scale + 1, scale);
    }
  }
}

function decimals(operator: ArithmeticOperator, left: Compiled, right: Compiled, money: boolean): Compiled {
  const lt = asDecimal(left.type);
  const rt = asDecimal(right.type);
  const type = money ? types.money : decimalResult(operator, lt, rt);
  const l = cast(left, lt);
  const r = cast(right, rt);
  const common = Math.max(lt.scale, rt.scale);
  const work = (a: bigint, b: bigint): bigint => {
    switch (operator) {
      case '+':
      case '-': {
        const x = rescale(a, lt.scale, common);
        const y = rescale(b, rt.scale, common);
        return rescale(operator === '+' ? x + y : x - y, common, type.scale);
      }
      case '*':
        return rescale(a * b, lt.scale + rt.scale, type.scale);
      case '/':
        if (b === 0n) throw divideByZero();
        return (a * pow10(type.scale + rt.scale)) / (b * pow10(lt.scale));
      case '%': {
        if (b === 0n) throw divideByZero();
        return rescale(rescale(a, lt.scale, common) % rescale(b, rt.scale, common), common, type.scale);
      }
      default:
        throw new SqlError(8117, `Operand data type numeric is invalid for operator '${operator}'.`);
    }
  };
  return { type, run: both<bigint>(l, r, (a, b) => fitDecimal(work(a, b), type)) };
}

function floats(operator: ArithmeticOperator, left: Compiled, right: Compiled, type: SqlType): Compiled {
  const work = (a: number, b: number): number => {
    switch (operator) {
      case '+':
        return a + b;
      case '-':
        return a - b;
      case '*':
        return a * b;
      case '/':
        if (b === 0) throw divideByZero();
        return a / b;
      default:
        throw new SqlError(
          402,
          `The data types ${left.type.name} and ${right.type.name} are incompatible in the ${operator} operator.`,
        );
    }
  };
  const check = (value: number): number => {
    if (!Number.isFinite(value))
      throw new SqlError(8115, 'Arithmetic overflow error converting expression to data type float.', 16, 2);
    return type.name === 'real' ? Math.fround(value) : value;
  };
  return { type, run: both<number>(cast(left, type), cast(right, type), (a, b) => check(work(a, b))) };
}

/**
 * Compiles `left operator right`.
 *
 * @throws SqlError 402 or 206 when the types do not go together
 */
export function arithmetic(operator: ArithmeticOperator, left: Compiled, right: Compiled): Compiled {
  const common = commonType(left.type, right.type);
  switch (family(common)) {
    case 'null':
      return { type: types.int, run: () => null };
    case 'string':
      if (operator !== '+')
        throw new SqlError(
          402,
          `The data types ${left.type.name} and ${right.type.name} are incompatible in the ${operator === '-' ? 'subtract' : operator} operator.`,
        );
      return concatenation(
        { ...left, run: cast(left, { ...common, length: -1 }) },
        { ...right, run: cast(right, { ...common, length: -1 }) },
      );
    case 'bit':
    case 'integer':
      return integers(operator, left, right, common.name === 'bit' ? types.tinyint : common);
    case 'decimal':
      return decimals(operator, left, right, common.name !== 'decimal');
    case 'float':
      return floats(operator, left, right, common);
    case 'binary':
      if (operator === '+') {
        const length = left.type.length === -1 || right.type.length === -1 ? -1 : left.type.length + right.type.length;
        return {
          type: varbinary(length === -1 ? 9000 : length),
          run: both<Uint8Array>(left.run, right.run, (a, b) => Buffer.concat([a, b])),
        };
      }
      break;
    case 'datetime':
      if (common.name === 'datetime' && (operator === '+' || operator === '-') && family(right.type) === 'integer') {
        const sign = operator === '+' ? 1n : -1n;
        return {
          type: common,
          run: both(left.run, right.run, (a, b) => (a as bigint) + sign * BigInt(b as number) * ticksPerDay),
        };
      }
      break;
    default:
  }
  throw new SqlError(
    402,
    `The data types ${left.type.name} and ${right.type.name} are incompatible in the ${operator === '+' ? 'add' : operator === '-' ? 'subtract' : operator} operator.`,
  );
}

export function negate(operand: Compiled, operator: '-' | '+' | '~'): Compiled {
  const { type } = operand;
  if (operator === '+') return operand;
  const zero: Compiled = { type: type.name === 'null' ? types.int : type, run: () => 0 };
  switch (family(type)) {
    case 'null':
      return { type: types.int, run: () => null };
    case 'integer': {
      const wide = type.name === 'tinyint' ? types.smallint : type;
      if (operator === '~') {
        return {
          type,
          run: (env) =>
            mapValue(operand.run(env), (value) =>
              typeof value === 'bigint'
                ? ~value
                : type.name === 'tinyint'
                  ? 255 - (value as number)
                  : ~(value as number),
            ),
        };
      }
      return {
        type: wide,
        run: (env) =>
          mapValue(operand.run(env), (value) =>
            toInteger(typeof value === 'bigint' ? -value : -(value as number), wide),
          ),
      };
    }
    case 'decimal':
      return { type, run: (env) => mapValue(operand.run(env), (value) => -(value as bigint)) };
    case 'float':
      return { type, run: (env) => mapValue(operand.run(env), (value) => -(value as number)) };
    case 'string':
    case 'bit':
      return arithmetic('-', { ...zero, type: types.int }, operand);
    default:
      throw new SqlError(8117, `Operand data type ${type.name} is invalid for minus operator.`);
  }
}

function mapValue(value: Value, work: (value: Exclude<Value, null>) => Value): Value {
  return value === null ? null : work(value);
}
