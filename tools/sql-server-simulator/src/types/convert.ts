import { through1252 } from './code-page.ts';
import {
  joinTicks,
  localTicks,
  parseMoment,
  roundTicks,
  roundToDatetime,
  ticksPerSecond,
  splitTicks,
} from './datetime.ts';
import { decimalOfFloat, decimalText, digitCount, parseDecimal, pow10, rescale } from './decimal.ts';
import { outsideSubset, SqlError } from './sql-error.ts';
import { toText } from './to-text.ts';
import { family, type OffsetTime, type SqlType, typeText, type Value, valueText } from './sql-type.ts';

export type Converter = (value: Value) => Value;

const integerRange: Readonly<Record<string, readonly [number, number]>> = {
  tinyint: [0, 255],
  smallint: [-32_768, 32_767],
  int: [-2_147_483_648, 2_147_483_647],
};
const bigintMax = 9_223_372_036_854_775_807n;
const bigintMin = -9_223_372_036_854_775_808n;

function overflow(to: SqlType): SqlError {
  return new SqlError(
    8115,
    `Arithmetic overflow error converting expression to data type ${to.name === 'decimal' ? 'numeric' : to.name}.`,
    16,
    2,
  );
}

function failed(value: Value, from: SqlType, to: SqlType): SqlError {
  const target = family(to);
  if (['date', 'time', 'datetime', 'offset'].includes(target)) {
    return new SqlError(241, 'Conversion failed when converting date and/or time from character string.');
  }
  if (target === 'guid')
    return new SqlError(8169, 'Conversion failed when converting from a character string to uniqueidentifier.', 16, 2);
  if (target === 'decimal' || target === 'float' || to.name === 'bigint') {
    return new SqlError(
      8114,
      `Error converting data type ${from.name} to ${to.name === 'decimal' ? 'numeric' : to.name}.`,
      16,
      5,
    );
  }
  return new SqlError(
    245,
    `Conversion failed when converting the ${from.name} value '${valueText(value)}' to data type ${to.name}.`,
  );
}

/** Puts an exact whole number into an integer type. */
export function toInteger(value: bigint | number, to: SqlType): number | bigint {
  if (to.name === 'bigint') {
    const big = BigInt(value);
    if (big < bigintMin || big > bigintMax) throw overflow(to);
    return big;
  }
  const small = Number(value);
  const [low, high] = integerRange[to.name] ?? [0, 0];
  if (small < low || small > high) {
    if (to.name === 'int') throw overflow(to);
    throw new SqlError(220, `Arithmetic overflow error for data type ${to.name}, value = ${small}.`);
  }
  return small;
}

/** Checks a scaled integer against the precision of its type. */
export function fitDecimal(value: bigint, to: SqlType): bigint {
  if (digitCount(value) > to.precision && value !== 0n) throw overflow(to);
  return value;
}

function cutString(text: string, to: SqlType): string {
  const narrow = to.name === 'varchar' || to.name === 'char' ? through1252(text) : text;
  const cut = to.length > 0 && narrow.length > to.length ? narrow.slice(0, to.length) : narrow;
  return (to.name === 'char' || to.name === 'nchar') && to.length > 0 ? cut.padEnd(to.length) : cut;
}

function cutBinary(bytes: Uint8Array, to: SqlType): Uint8Array {
  const cut = to.length > 0 && bytes.length > to.length ? bytes.subarray(0, to.length) : bytes;
  if ((to.name === 'binary' || to.name === 'rowversion') && to.length > cut.length) {
    const padded = new Uint8Array(to.length);
    padded.set(cut);
    return padded;
  }
  return cut;
}

function integerOf(value: Exclude<Value, null>, from: SqlType, to: SqlType): bigint | number {
  switch (family(from)) {
    case 'bit':
    case 'integer':
      return value as number | bigint;
    case 'decimal':
      return rescale(value as bigint, from.scale, 0, from.name === 'decimal');
    case 'float': {
      const whole = Math.trunc(value as number);
      if (!Number.isFinite(whole) || Math.abs(whole) > 1e19) throw overflow(to);
      return BigInt(whole);
    }
    case 'string': {
      const text = (value as string).trim();
      if (text === '') return 0;
      if (!/^[+-]?\d+$/.test(text)) throw failed(value, from, to);
      const whole = BigInt(text);
      const range = integerRange[to.name];
      if (range !== undefined && (whole < range[0] || whole > range[1]))
        throw new SqlError(248, `The conversion of the ${from.name} value '${text}' overflowed an ${to.name} column.`);
      return whole;
    }
    case 'binary':
      return BigInt.asIntN(
        64,
        BigInt(
          `0x0${Buffer.from(value as Uint8Array)
            .toString('hex')
            .slice(-16)}`,
        ),
      );
    default:
      throw new SqlError(529, `Explicit conversion from data type ${from.name} to ${to.name} is not allowed.`, 16, 2);
  }
}

function decimalOf(value: Exclude<Value, null>, from: SqlType, to: SqlType): bigint {
  switch (family(from)) {
    case 'bit':
    case 'integer':
      return BigInt(value as number | bigint) * pow10(to.scale);
    case 'decimal':
      return rescale(value as bigint, from.scale, to.scale);
    case 'float':
      if (!Number.isFinite(value) || Math.abs(value as number) >= 1e38) throw overflow(to);
      return decimalOfFloat(value as number, to.scale);
    case 'string': {
      const text = to.name === 'decimal' ? (value as string) : (value as string).replaceAll(',', '').replace('$', '');
      const parsed = parseDecimal(text);
      if (parsed === undefined) throw failed(value, from, to);
      return rescale(parsed.value, parsed.scale, to.scale);
    }
    default:
      throw new SqlError(529, `Explicit conversion from data type ${from.name} to ${to.name} is not allowed.`, 16, 2);
  }
}

function floatOf(value: Exclude<Value, null>, from: SqlType, to: SqlType): number {
  switch (family(from)) {
    case 'bit':
    case 'integer':
    case 'float':
      return Number(value);
    case 'decimal':
      return Number(decimalText(value as bigint, from.scale));
    case 'string': {
      const text = (value as string).trim();
      if (text === '') return 0;
      if (!/^[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?$/.test(text)) throw failed(value, from, to);
      return Number(text);
    }
    default:
      throw new SqlError(529, `Explicit conversion from data type ${from.name} to ${to.name} is not allowed.`, 16, 2);
  }
}

interface Moment {
  readonly day: number;
  readonly time: number;
  readonly offset: number;
}

const day1900 = 693_595;

function momentOf(value: Exclude<Value, null>, from: SqlType, to: SqlType): Moment {
  switch (family(from)) {
    case 'date':
      return { day: value as number, time: 0, offset: 0 };
    case 'time':
      return { day: day1900, time: value as number, offset: 0 };
    case 'datetime':
      return { ...splitTicks(value as bigint), offset: 0 };
    case 'offset':
      return { ...splitTicks(localTicks(value as OffsetTime)), offset: (value as OffsetTime).offset };
    case 'string': {
      if ((value as string).trim() === '') return { day: day1900, time: 0, offset: 0 };
      const parsed = parseMoment(value as string);
      if (parsed === undefined) throw failed(value, from, to);
      return { day: parsed.day ?? day1900, time: parsed.time ?? 0, offset: parsed.offset ?? 0 };
    }
    default:
      if (to.name === 'datetime' && (family(from) === 'integer' || family(from) === 'bit'))
        return { day: day1900 + Number(value), time: 0, offset: 0 };
      throw new SqlError(529, `Explicit conversion from data type ${from.name} to ${to.name} is not allowed.`, 16, 2);
  }
}

function binaryOf(value: Exclude<Value, null>, from: SqlType, to: SqlType, style: number | undefined): Uint8Array {
  switch (family(from)) {
    case 'binary':
      return value as Uint8Array;
    case 'string': {
      const text = value as string;
      if (style === 1 || style === 2) {
        const hex = style === 1 ? text.replace(/^0x/i, '') : text;
        if ((style === 1 && !/^0x/i.test(text)) || hex.length % 2 === 1 || !/^[0-9a-f]*$/i.test(hex)) {
          throw new SqlError(8114, `Error converting data type ${from.name} to ${to.name}.`, 16, 5);
        }
        return Buffer.from(hex, 'hex');
      }
      return from.name.startsWith('n') ? Buffer.from(text, 'utf16le') : Buffer.from(text, 'latin1');
    }
    case 'integer':
    case 'bit': {
      const width = { bit: 1, tinyint: 1, smallint: 2, int: 4, bigint: 8 }[from.name as 'int'];
      const hex = BigInt.asUintN(width * 8, BigInt(value as number))
        .toString(16)
        .padStart(width * 2, '0');
      const bytes = Buffer.from(hex, 'hex');
      if (to.length > 0 && to.name !== 'varbinary' && bytes.length < to.length)
        return Buffer.concat([Buffer.alloc(to.length - bytes.length), bytes]);
      return to.length > 0 && bytes.length > to.length ? bytes.subarray(bytes.length - to.length) : bytes;
    }
    case 'guid': {
      const hex = (value as string).replaceAll('-', '');
      const bytes = Buffer.from(hex, 'hex');
      return Buffer.concat([
        bytes.subarray(0, 4).reverse(),
        bytes.subarray(4, 6).reverse(),
        bytes.subarray(6, 8).reverse(),
        bytes.subarray(8),
      ]);
    }
    default:
      throw outsideSubset(`conversion from ${from.name} to ${to.name}`);
  }
}

const guidShape = /^\{?([0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12})\}?$/i;

function converterTo(from: SqlType, to: SqlType, style: number | undefined): (value: Exclude<Value, null>) => Value {
  switch (family(to)) {
    case 'null':
      return (value) => value;
    case 'bit':
      return (value) => {
        if (typeof value === 'string') {
          const word = value.trim().toLowerCase();
          if (word === 'true') return 1;
          if (word === 'false') return 0;
        }
        return family(from) === 'float' || family(from) === 'decimal'
          ? Number(Number(value) !== 0)
          : Number(integerOf(value, from, to) != 0); // eslint-disable-line eqeqeq
      };
    case 'integer':
      return (value) => toInteger(integerOf(value, from, to), to);
    case 'decimal':
      return (value) => fitDecimal(decimalOf(value, from, to), to);
    case 'float':
      return to.name === 'real'
        ? (value) => Math.fround(floatOf(value, from, to))
        : (value) => floatOf(value, from, to);
    case 'date':
      return (value) => momentOf(value, from, to).day;
    case 'time':
      return (value) => {
        const rounded = Number(roundTicks(BigInt(momentOf(value, from, to).time), to.scale));
        return rounded >= 864_000_000_000 ? 0 : rounded;
      };
    case 'datetime':
      return (value) => {
        const { day, time } = momentOf(value, from, to);
        const ticks = joinTicks(day, time);
        if (to.name === 'datetime') return roundToDatetime(ticks);
        if (to.name === 'smalldatetime')
          return ((ticks + 30n * ticksPerSecond) / (60n * ticksPerSecond)) * 60n * ticksPerSecond;
        return roundTicks(ticks, to.scale);
      };
    case 'offset':
      return (value) => {
        const { day, time, offset } = momentOf(value, from, to);
        return { ticks: roundTicks(joinTicks(day, time), to.scale) - BigInt(offset) * 60n * ticksPerSecond, offset };
      };
    case 'string': {
      const text = toText(from, style);
      const isText = family(from) === 'string' || family(from) === 'binary';
      return (value) => {
        const result = text(value);
        if (!isText && to.length > 0 && result.length > to.length) {
          if (family(from) === 'integer' || family(from) === 'bit')
            return '*'.padEnd(to.name.endsWith('char') && !to.name.includes('var') ? to.length : 1);
          throw family(from) === 'guid'
            ? new SqlError(8170, 'Insufficient result space to convert uniqueidentifier value to char.', 16, 2)
            : family(from) === 'decimal'
              ? new SqlError(8115, `Arithmetic overflow error converting numeric to data type ${to.name}.`, 16, 5)
              : new SqlError(8152, 'String or binary data would be truncated.', 16, 10);
        }
        return cutString(result, to);
      };
    }
    case 'binary':
      return (value) => cutBinary(binaryOf(value, from, to, style), to);
    case 'guid':
      return (value) => {
        if (value instanceof Uint8Array) {
          const b = Buffer.concat([Buffer.from(value), Buffer.alloc(16)]).subarray(0, 16);
          const hex = Buffer.concat([
            b.subarray(0, 4).reverse(),
            b.subarray(4, 6).reverse(),
            b.subarray(6, 8).reverse(),
            b.subarray(8),
          ])
            .toString('hex')
            .toUpperCase();
          return hex.replace(/^(.{8})(.{4})(.{4})(.{4})/, '$1-$2-$3-$4-');
        }
        const match = typeof value === 'string' ? guidShape.exec(value.trim()) : null;
        if (match === null) throw failed(value, from, to);
        return (match[1] ?? '').toUpperCase();
      };
  }
}

function sameType(from: SqlType, to: SqlType): boolean {
  return (
    from.name === to.name && from.length === to.length && from.precision === to.precision && from.scale === to.scale
  );
}

/**
 * Conversion of values from one static type to another; `style` as in CONVERT. NULL stays NULL.
 *
 * @throws SqlError by the converter, when a value does not fit (220, 241, 245, 248, 8114, 8115, 8169, …)
 */
export function converter(from: SqlType, to: SqlType, style?: number): Converter {
  if (sameType(from, to) && style === undefined) return (value) => value;
  if (from.name === 'null') return () => null;
  const convert = converterTo(from, to, style);
  return (value) => (value === null ? null : convert(value));
}

export function convertValue(value: Value, from: SqlType, to: SqlType): Value {
  return converter(from, to)(value);
}

/** Converter for storing into a column or variable: too long text or binary is an error (2628) instead of a cut. */
export function storing(from: SqlType, to: SqlType, truncated: (shown: string) => SqlError): Converter {
  const convert = converter(from, to);
  const bounded = to.length > 0 && (family(to) === 'string' || family(to) === 'binary') && to.name !== 'rowversion';
  if (!bounded || (from.name === to.name && from.length > 0 && from.length <= to.length)) return convert;
  const limit = to.length;
  const check = (value: Value): void => {
    if (typeof value === 'string' && value.length > limit && value.slice(limit).trimEnd() !== '')
      throw truncated(value.slice(0, limit));
    if (value instanceof Uint8Array && value.length > limit) throw truncated('');
  };
  const applies = family(from) === family(to);
  return (value) => {
    if (applies) check(value);
    return convert(value);
  };
}

export { typeText };
