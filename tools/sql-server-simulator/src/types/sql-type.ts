import { outsideSubset, SqlError } from './sql-error.ts';

export type TypeName =
  | 'null'
  | 'bit'
  | 'tinyint'
  | 'smallint'
  | 'int'
  | 'bigint'
  | 'smallmoney'
  | 'money'
  | 'decimal'
  | 'real'
  | 'float'
  | 'date'
  | 'time'
  | 'smalldatetime'
  | 'datetime'
  | 'datetime2'
  | 'datetimeoffset'
  | 'char'
  | 'varchar'
  | 'nchar'
  | 'nvarchar'
  | 'binary'
  | 'varbinary'
  | 'rowversion'
  | 'uniqueidentifier';

export type Family =
  | 'null'
  | 'bit'
  | 'integer'
  | 'decimal'
  | 'float'
  | 'date'
  | 'time'
  | 'datetime'
  | 'offset'
  | 'string'
  | 'binary'
  | 'guid';

/** An instant with its offset: `ticks` of 100 ns since 0001-01-01 in UTC, `offset` in minutes. */
export interface OffsetTime {
  readonly ticks: bigint;
  readonly offset: number;
}

/**
 * A value at run time; its static type says how to read it. bit and tinyint…int: number; bigint: bigint; decimal and
 * money: bigint scaled by 10^scale; float: number; strings and uniqueidentifier (upper case): string; binary:
 * Uint8Array; date: days since 0001-01-01; time: ticks of 100 ns since midnight; datetime2 and kin: bigint ticks.
 */
export type Value = null | number | bigint | string | Uint8Array | OffsetTime;

export interface SqlType {
  readonly name: TypeName;
  /** Characters (n/varchar) or bytes (binary); -1 is max; 0 where it means nothing. */
  readonly length: number;
  readonly precision: number;
  readonly scale: number;
  /** True for a BIN2 collation; otherwise strings compare case-insensitively and accent-sensitively. */
  readonly binaryCollation?: boolean;
}

const families: Readonly<Record<TypeName, Family>> = {
  null: 'null',
  bit: 'bit',
  tinyint: 'integer',
  smallint: 'integer',
  int: 'integer',
  bigint: 'integer',
  smallmoney: 'decimal',
  money: 'decimal',
  decimal: 'decimal',
  real: 'float',
  float: 'float',
  date: 'date',
  time: 'time',
  smalldatetime: 'datetime',
  datetime: 'datetime',
  datetime2: 'datetime',
  datetimeoffset: 'offset',
  char: 'string',
  varchar: 'string',
  nchar: 'string',
  nvarchar: 'string',
  binary: 'binary',
  varbinary: 'binary',
  rowversion: 'binary',
  uniqueidentifier: 'guid',
};

/** Data type precedence, lowest first (T-SQL reference, "Data type precedence"). */
const precedence: readonly TypeName[] = [
  'null',
  'binary',
  'varbinary',
  'rowversion',
  'char',
  'varchar',
  'nchar',
  'nvarchar',
  'uniqueidentifier',
  'bit',
  'tinyint',
  'smallint',
  'int',
  'bigint',
  'smallmoney',
  'money',
  'decimal',
  'real',
  'float',
  'time',
  'date',
  'smalldatetime',
  'datetime',
  'datetime2',
  'datetimeoffset',
];

export function family(type: SqlType): Family {
  return families[type.name];
}

function plain(name: TypeName, length = 0, precision = 0, scale = 0): SqlType {
  return { name, length, precision, scale };
}

export const types = {
  null: plain('null'),
  bit: plain('bit'),
  tinyint: plain('tinyint', 0, 3),
  smallint: plain('smallint', 0, 5),
  int: plain('int', 0, 10),
  bigint: plain('bigint', 0, 19),
  float: plain('float', 0, 53),
  money: plain('money', 0, 19, 4),
  date: plain('date'),
  datetime: plain('datetime', 0, 0, 3),
  datetime2: plain('datetime2', 0, 0, 7),
  datetimeoffset: plain('datetimeoffset', 0, 0, 7),
  uniqueidentifier: plain('uniqueidentifier'),
  rowversion: plain('rowversion', 8),
  sysname: plain('nvarchar', 128),
} as const satisfies Record<string, SqlType>;

export function nvarchar(length: number): SqlType {
  return plain('nvarchar', length > 4000 ? -1 : length);
}
export function varchar(length: number): SqlType {
  return plain('varchar', length > 8000 ? -1 : length);
}
export function varbinary(length: number): SqlType {
  return plain('varbinary', length > 8000 ? -1 : length);
}
export function decimal(precision: number, scale: number): SqlType {
  return plain('decimal', 0, precision, scale);
}

const aliases: Readonly<Record<string, TypeName>> = {
  integer: 'int',
  dec: 'decimal',
  numeric: 'decimal',
  timestamp: 'rowversion',
  character: 'char',
};

/**
 * Builds a type from its declaration, for example `decimal(28, 8)`.
 *
 * @throws SqlError outside the subset for unknown types, 1001 or 2716 for lengths out of range
 */
export function declaredType(rawName: string, args: readonly (number | 'max')[], line: number): SqlType {
  const lower = rawName.toLowerCase();
  if (lower === 'sysname') return types.sysname;
  const name = aliases[lower] ?? lower;
  if (!Object.hasOwn(families, name) || name === 'null') throw outsideSubset(`data type ${rawName}`, line);
  const [first, second] = args;
  switch (name as TypeName) {
    case 'decimal': {
      const precision = first === undefined ? 18 : Number(first);
      const scale = second === undefined ? 0 : Number(second);
      if (!(precision >= 1 && precision <= 38))
        throw new SqlError(
          1001,
          `Line ${line}: Length or precision specification ${precision} is invalid.`,
          15,
          1,
          line,
        );
      if (!(scale >= 0 && scale <= precision))
        throw new SqlError(192, 'The scale must be less than or equal to the precision.', 15, 1, line);
      return plain('decimal', 0, precision, scale);
    }
    case 'time':
    case 'datetime2':
    case 'datetimeoffset': {
      const scale = first === undefined ? 7 : Number(first);
      if (!(scale >= 0 && scale <= 7))
        throw new SqlError(1002, `Line ${line}: Specified scale ${scale} is invalid.`, 15, 1, line);
      return plain(name as TypeName, 0, 0, scale);
    }
    case 'float':
      return first !== undefined && Number(first) <= 24 ? plain('real', 0, 24) : plain('float', 0, 53);
    case 'char':
    case 'varchar':
    case 'nchar':
    case 'nvarchar':
    case 'binary':
    case 'varbinary': {
      if (first === 'max') return plain(name as TypeName, -1);
      const length = first ?? 1;
      const limit = name.startsWith('n') ? 4000 : 8000;
      if (length < 1 || length > limit)
        throw new SqlError(
          2717,
          `The size (${length}) given to the type '${rawName}' exceeds the maximum allowed (${limit}).`,
          15,
          1,
          line,
        );
      return plain(name as TypeName, length);
    }
    case 'rowversion':
      return types.rowversion;
    case 'money':
      return types.money;
    case 'smallmoney':
      return plain('smallmoney', 0, 10, 4);
    case 'datetime':
      return types.datetime;
    case 'real':
      return plain('real', 0, 24);
    case 'tinyint':
      return types.tinyint;
    case 'smallint':
      return types.smallint;
    case 'int':
      return types.int;
    case 'bigint':
      return types.bigint;
    default:
      return plain(name as TypeName);
  }
}

/** @returns the declaration's text, `decimal(28,8)`: for messages, sys.types and INFORMATION_SCHEMA */
export function typeText(type: SqlType): string {
  switch (type.name) {
    case 'decimal':
      return `decimal(${type.precision},${type.scale})`;
    case 'time':
    case 'datetime2':
    case 'datetimeoffset':
      return `${type.name}(${type.scale})`;
    case 'char':
    case 'varchar':
    case 'nchar':
    case 'nvarchar':
    case 'binary':
    case 'varbinary':
      return `${type.name}(${type.length === -1 ? 'max' : type.length})`;
    default:
      return type.name;
  }
}

function longer(left: SqlType, right: SqlType): number {
  return left.length === -1 || right.length === -1 ? -1 : Math.max(left.length, right.length);
}

/**
 * The type in which two operands meet (comparison, CASE, UNION, COALESCE).
 *
 * @throws SqlError 206 when the families never meet
 */
export function commonType(left: SqlType, right: SqlType): SqlType {
  const leftRank = precedence.indexOf(left.name);
  const rightRank = precedence.indexOf(right.name);
  const [high, low] = leftRank >= rightRank ? [left, right] : [right, left];
  if (low.name === 'null') return high;
  const highFamily = family(high);
  const lowFamily = family(low);
  const clash =
    (highFamily === 'guid' && !['guid', 'string', 'binary'].includes(lowFamily)) ||
    (['date', 'time'].includes(highFamily) && !['date', 'time', 'string'].includes(lowFamily)) ||
    (highFamily === 'date' && lowFamily === 'time') ||
    (['datetime', 'offset'].includes(highFamily) &&
      high.name !== 'datetime' &&
      ['integer', 'decimal', 'float', 'bit', 'binary'].includes(lowFamily));
  if (clash) throw new SqlError(206, `Operand type clash: ${low.name} is incompatible with ${high.name}`, 16, 2);
  if (highFamily === 'decimal' && high.name === 'decimal') {
    const other = asDecimal(low);
    const scale = Math.max(high.scale, other.scale);
    const whole = Math.max(high.precision - high.scale, other.precision - other.scale);
    return boundedDecimal(whole + scale, scale);
  }
  if (highFamily === 'string') {
    const binary = high.binaryCollation === true || low.binaryCollation === true;
    const length = lowFamily === 'string' ? longer(high, low) : high.length;
    const limit = high.name.startsWith('n') ? 4000 : 8000;
    return { ...high, length: length > limit ? -1 : length, ...(binary ? { binaryCollation: true } : {}) };
  }
  if (highFamily === 'binary')
    return {
      ...high,
      name: high.name === 'rowversion' && low.name !== 'rowversion' ? 'varbinary' : high.name,
      length: longer(high, low),
    };
  if (['time', 'datetime', 'offset'].includes(highFamily) && ['time', 'datetime', 'offset'].includes(lowFamily))
    return { ...high, scale: Math.max(high.scale, low.scale) };
  return high;
}

/** @returns the decimal type that holds every value of an exact numeric type */
export function asDecimal(type: SqlType): SqlType {
  switch (type.name) {
    case 'bit':
      return decimal(1, 0);
    case 'tinyint':
      return decimal(3, 0);
    case 'smallint':
      return decimal(5, 0);
    case 'int':
      return decimal(10, 0);
    case 'bigint':
      return decimal(19, 0);
    case 'money':
    case 'smallmoney':
    case 'decimal':
      return decimal(type.precision, type.scale);
    default:
      return decimal(38, 6);
  }
}

/** Decimal of at most 38 digits: the scale gives way to the integral digits (down to 6), as SQL Server's rules say. */
export function boundedDecimal(precision: number, scale: number): SqlType {
  if (precision <= 38) return decimal(precision, scale);
  const whole = precision - scale;
  return decimal(38, Math.max(Math.min(scale, 38 - whole), Math.min(scale, 6)));
}

export function rank(type: SqlType): number {
  return precedence.indexOf(type.name);
}

/** @returns a value as plain text, for messages and for what is text already; NULL gives `fallback` */
export function valueText(value: Value, fallback = ''): string {
  if (value === null) return fallback;
  if (typeof value === 'string') return value;
  if (value instanceof Uint8Array) return `0x${Buffer.from(value).toString('hex')}`;
  return typeof value === 'object' ? value.ticks.toString() : value.toString();
}
