import { decode1252, encode1252 } from '../types/code-page.ts';
import { joinTicks, splitTicks, ticksPerSecond, unixEpochDay } from '../types/datetime.ts';
import { outsideSubset } from '../types/sql-error.ts';
import { decimal, nvarchar, type OffsetTime, type SqlType, types, type Value, varbinary } from '../types/sql-type.ts';
import type { ByteReader } from './byte-reader.ts';
import { ProtocolError } from './byte-reader.ts';
import type { ByteWriter } from './byte-writer.ts';

/** SQL_Latin1_General_CP1_CI_AS. */
export const collation = Buffer.from([0x09, 0x04, 0xd0, 0x00, 0x34]);

const day1900 = 693_595;

function decimalBytes(precision: number): number {
  return precision <= 9 ? 4 : precision <= 19 ? 8 : precision <= 28 ? 12 : 16;
}

function timeBytes(scale: number): number {
  return scale <= 2 ? 3 : scale <= 4 ? 4 : 5;
}

const intSize: Partial<Record<string, number>> = { tinyint: 1, smallint: 2, int: 4, bigint: 8, null: 4 };

/** Writes TYPE_INFO (MS-TDS 2.2.5.6) of a column or parameter. */
export function writeTypeInfo(out: ByteWriter, type: SqlType): void {
  const sized = (token: number, wide: boolean): void => {
    out.u8(token).u16(type.length === -1 ? 0xffff : Math.max(type.length, 1) * (wide ? 2 : 1));
  };
  switch (type.name) {
    case 'null':
    case 'tinyint':
    case 'smallint':
    case 'int':
    case 'bigint':
      out.u8(0x26).u8(intSize[type.name] ?? 4);
      return;
    case 'bit':
      out.u8(0x68).u8(1);
      return;
    case 'real':
    case 'float':
      out.u8(0x6d).u8(type.name === 'real' ? 4 : 8);
      return;
    case 'decimal':
      out
        .u8(0x6a)
        .u8(decimalBytes(type.precision) + 1)
        .u8(type.precision)
        .u8(type.scale);
      return;
    case 'money':
    case 'smallmoney':
      out.u8(0x6e).u8(type.name === 'money' ? 8 : 4);
      return;
    case 'date':
      out.u8(0x28);
      return;
    case 'time':
      out.u8(0x29).u8(type.scale);
      return;
    case 'datetime2':
      out.u8(0x2a).u8(type.scale);
      return;
    case 'datetimeoffset':
      out.u8(0x2b).u8(type.scale);
      return;
    case 'datetime':
    case 'smalldatetime':
      out.u8(0x6f).u8(type.name === 'datetime' ? 8 : 4);
      return;
    case 'uniqueidentifier':
      out.u8(0x24).u8(16);
      return;
    case 'nvarchar':
    case 'nchar':
      sized(type.name === 'nvarchar' ? 0xe7 : 0xef, true);
      out.bytes(collation);
      return;
    case 'varchar':
    case 'char':
      sized(type.name === 'varchar' ? 0xa7 : 0xaf, false);
      out.bytes(collation);
      return;
    case 'varbinary':
      sized(0xa5, false);
      return;
    case 'binary':
    case 'rowversion':
      sized(0xad, false);
  }
}

function guidBytes(text: string): Buffer {
  const bytes = Buffer.from(text.replaceAll('-', ''), 'hex');
  return Buffer.concat([
    bytes.subarray(0, 4).reverse(),
    bytes.subarray(4, 6).reverse(),
    bytes.subarray(6, 8).reverse(),
    bytes.subarray(8),
  ]);
}

function guidText(bytes: Buffer): string {
  const hex = Buffer.concat([
    Buffer.from(bytes.subarray(0, 4)).reverse(),
    Buffer.from(bytes.subarray(4, 6)).reverse(),
    Buffer.from(bytes.subarray(6, 8)).reverse(),
    bytes.subarray(8),
  ])
    .toString('hex')
    .toUpperCase();
  return hex.replace(/^(.{8})(.{4})(.{4})(.{4})/, '$1-$2-$3-$4-');
}

function writeVariable(out: ByteWriter, bytes: Uint8Array | null, max: boolean): void {
  if (!max) {
    if (bytes === null) out.u16(0xffff);
    else out.u16(bytes.length).bytes(bytes);
    return;
  }
  // PLP: total length, one chunk, terminator (MS-TDS 2.2.5.2.3).
  if (bytes === null) out.u64(0xffff_ffff_ffff_ffffn);
  else {
    out.u64(BigInt(bytes.length));
    if (bytes.length > 0) out.u32(bytes.length).bytes(bytes);
    out.u32(0);
  }
}

function writeTicks(out: ByteWriter, time: number, scale: number): void {
  out.uint(BigInt(time) / 10n ** BigInt(7 - scale), timeBytes(scale));
}

export type ValueWriter = (out: ByteWriter, value: Value) => void;

/** Writer of one column's values, chosen once per result. */
export function valueWriter(type: SqlType): ValueWriter {
  const nullable =
    (write: (out: ByteWriter, value: Exclude<Value, null>) => void): ValueWriter =>
    (out, value) => {
      if (value === null) out.u8(0);
      else write(out, value);
    };
  const max = type.length === -1;
  switch (type.name) {
    case 'null':
      return (out) => out.u8(0);
    case 'bit':
      return nullable((out, value) => out.u8(1).u8(value as number));
    case 'tinyint':
      return nullable((out, value) => out.u8(1).u8(value as number));
    case 'smallint':
      return nullable((out, value) => out.u8(2).u16(value as number));
    case 'int':
      return nullable((out, value) => out.u8(4).i32(value as number));
    case 'bigint':
      return nullable((out, value) => out.u8(8).u64(value as bigint));
    case 'real':
      return nullable((out, value) => out.u8(4).f32(value as number));
    case 'float':
      return nullable((out, value) => out.u8(8).f64(value as number));
    case 'decimal': {
      const width = decimalBytes(type.precision);
      return nullable((out, value) => {
        const scaled = value as bigint;
        out
          .u8(width + 1)
          .u8(scaled < 0n ? 0 : 1)
          .uint(scaled < 0n ? -scaled : scaled, width);
      });
    }
    case 'money':
      return nullable((out, value) => {
        const scaled = BigInt.asUintN(64, value as bigint);
        out
          .u8(8)
          .u32(Number(scaled >> 32n))
          .u32(Number(scaled & 0xffff_ffffn));
      });
    case 'smallmoney':
      return nullable((out, value) => out.u8(4).i32(Number(value)));
    case 'date':
      return nullable((out, value) => out.u8(3).uint(BigInt(value as number), 3));
    case 'time':
      return nullable((out, value) => {
        out.u8(timeBytes(type.scale));
        writeTicks(out, value as number, type.scale);
      });
    case 'datetime2':
      return nullable((out, value) => {
        const { day, time } = splitTicks(value as bigint);
        out.u8(timeBytes(type.scale) + 3);
        writeTicks(out, time, type.scale);
        out.uint(BigInt(day), 3);
      });
    case 'datetimeoffset':
      return nullable((out, value) => {
        const { ticks, offset } = value as OffsetTime;
        const { day, time } = splitTicks(ticks);
        out.u8(timeBytes(type.scale) + 5);
        writeTicks(out, time, type.scale);
        out.uint(BigInt(day), 3).u16(offset);
      });
    case 'datetime':
      return nullable((out, value) => {
        const { day, time } = splitTicks(value as bigint);
        out
          .u8(8)
          .i32(day - day1900)
          .u32(Math.round((time * 300) / 10_000_000));
      });
    case 'smalldatetime':
      return nullable((out, value) => {
        const { day, time } = splitTicks(value as bigint);
        out
          .u8(4)
          .u16(day - day1900)
          .u16(Math.floor(time / 600_000_000));
      });
    case 'uniqueidentifier':
      return nullable((out, value) => out.u8(16).bytes(guidBytes(value as string)));
    case 'nvarchar':
    case 'nchar':
      return (out, value) => {
        if (max || value === null)
          writeVariable(out, value === null ? null : Buffer.from(value as string, 'utf16le'), max);
        else out.u16((value as string).length * 2).ucs2(value as string);
      };
    case 'varchar':
    case 'char':
      return (out, value) => writeVariable(out, value === null ? null : encode1252(value as string), max);
    case 'varbinary':
    case 'binary':
    case 'rowversion':
      return (out, value) => writeVariable(out, value as Uint8Array | null, max);
  }
}

export interface Parameter {
  readonly type: SqlType;
  readonly value: Value;
}

function readPlp(reader: ByteReader): Buffer | null {
  const total = reader.u64();
  if (total === 0xffff_ffff_ffff_ffffn) return null;
  const parts: Buffer[] = [];
  for (let size = reader.u32(); size !== 0; size = reader.u32()) parts.push(reader.bytes(size));
  return Buffer.concat(parts);
}

function readVariable(reader: ByteReader, length: number): Buffer | null {
  if (length === 0xffff) return readPlp(reader);
  const size = reader.u16();
  return size === 0xffff ? null : reader.bytes(size);
}

function lengthOf(wire: number, unit: number): number {
  return wire === 0xffff ? -1 : Math.max(Math.floor(wire / unit), 1);
}

/** A number of bytes with its length in front; undefined for NULL. */
function readSized(reader: ByteReader): ByteReader['bytes'] extends (count: number) => infer B ? B | undefined : never {
  const size = reader.u8();
  return size === 0 ? undefined : reader.bytes(size);
}

function unsigned(bytes: Buffer): bigint {
  return bytes.length === 0 ? 0n : BigInt(`0x${Buffer.from(bytes).reverse().toString('hex')}`);
}

function ticksFrom(bytes: Buffer, scale: number): number {
  return Number(unsigned(bytes) * 10n ** BigInt(7 - scale));
}

function integerType(width: number): SqlType {
  return width === 1 ? types.tinyint : width === 2 ? types.smallint : width === 4 ? types.int : types.bigint;
}

function readInteger(bytes: Buffer): Value {
  if (bytes.length === 8) return BigInt.asIntN(64, unsigned(bytes));
  if (bytes.length === 1) return bytes[0] ?? 0;
  return Number(BigInt.asIntN(bytes.length * 8, unsigned(bytes)));
}

function readMoney(bytes: Buffer): bigint {
  if (bytes.length === 4) return BigInt(bytes.readInt32LE(0));
  return BigInt.asIntN(64, (BigInt(bytes.readUInt32LE(0)) << 32n) | BigInt(bytes.readUInt32LE(4)));
}

function readOldDate(bytes: Buffer): bigint {
  if (bytes.length === 4) return joinTicks(bytes.readUInt16LE(0) + day1900, bytes.readUInt16LE(2) * 600_000_000);
  return joinTicks(
    bytes.readInt32LE(0) + day1900,
    Math.round((bytes.readUInt32LE(4) * 10_000_000) / 300 / 10_000) * 10_000,
  );
}

/** A TYPE_INFO that was read, and how its values are. */
export interface WireType {
  readonly type: SqlType;
  readonly read: (reader: ByteReader) => Value;
  /** `text`, `ntext` and `image`: their column descriptions carry a table name. */
  readonly isLong: boolean;
}

/** Reads TYPE_INFO. @throws SqlError for types outside the subset, ProtocolError for nonsense */
export function readTypeInfo(reader: ByteReader): WireType {
  const token = reader.u8();
  const sized = (type: SqlType, convert: (bytes: Buffer) => Value): WireType => ({
    type,
    isLong: false,
    read: (from) => {
      const bytes = readSized(from);
      return bytes === undefined ? null : convert(bytes);
    },
  });
  const fixed = (type: SqlType, read: (from: ByteReader) => Value): WireType => ({ type, isLong: false, read });
  const variable = (type: SqlType, length: number, convert: (bytes: Buffer) => Value): WireType =>
    fixed(type, (from) => {
      const bytes = readVariable(from, length);
      return bytes === null ? null : convert(bytes);
    });
  switch (token) {
    case 0x1f:
      return fixed(types.null, () => null);
    case 0x26:
      return sized(integerType(reader.u8()), readInteger);
    case 0x68:
      reader.u8();
      return sized(types.bit, (bytes) => (bytes[0] === 0 ? 0 : 1));
    case 0x6d: {
      const width = reader.u8();
      return sized(types.float, (bytes) => (width === 4 ? bytes.readFloatLE(0) : bytes.readDoubleLE(0)));
    }
    case 0x6a:
    case 0x6c: {
      reader.u8();
      const type = decimal(reader.u8(), reader.u8());
      return sized(type, (bytes) => (bytes[0] === 0 ? -unsigned(bytes.subarray(1)) : unsigned(bytes.subarray(1))));
    }
    case 0x6e:
      reader.u8();
      return sized(types.money, readMoney);
    case 0x6f: {
      const width = reader.u8();
      return sized(width === 4 ? { ...types.datetime, name: 'smalldatetime' } : types.datetime, readOldDate);
    }
    case 0x28:
      return sized(types.date, (bytes) => Number(unsigned(bytes)));
    case 0x29: {
      const scale = reader.u8();
      return sized({ ...types.datetime2, name: 'time', scale }, (bytes) => ticksFrom(bytes, scale));
    }
    case 0x2a: {
      const scale = reader.u8();
      return sized({ ...types.datetime2, scale }, (bytes) =>
        joinTicks(Number(unsigned(bytes.subarray(-3))), ticksFrom(bytes.subarray(0, -3), scale)),
      );
    }
    case 0x2b: {
      const scale = reader.u8();
      return sized({ ...types.datetimeoffset, scale }, (bytes) => ({
        ticks: joinTicks(Number(unsigned(bytes.subarray(-5, -2))), ticksFrom(bytes.subarray(0, -5), scale)),
        offset: bytes.readInt16LE(bytes.length - 2),
      }));
    }
    case 0x24:
      reader.u8();
      return sized(types.uniqueidentifier, guidText);
    case 0xe7:
    case 0xef: {
      const length = reader.u16();
      reader.bytes(5);
      return variable({ ...nvarchar(1), length: lengthOf(length, 2) }, length, (bytes) => bytes.toString('utf16le'));
    }
    case 0xa7:
    case 0xaf: {
      const length = reader.u16();
      reader.bytes(5);
      return variable({ ...nvarchar(1), name: 'varchar', length: lengthOf(length, 1) }, length, decode1252);
    }
    case 0xa5:
    case 0xad: {
      const length = reader.u16();
      return variable({ ...varbinary(1), length: lengthOf(length, 1) }, length, (bytes) => Buffer.from(bytes));
    }
    case 0x63:
    case 0x23:
      reader.u32();
      reader.bytes(5);
      return {
        type: nvarchar(-1),
        isLong: true,
        read: (from) => {
          const size = from.i32();
          if (size < 0) return null;
          const bytes = from.bytes(size);
          return token === 0x63 ? bytes.toString('utf16le') : decode1252(bytes);
        },
      };
    case 0x22:
      reader.u32();
      return {
        type: varbinary(9000),
        isLong: true,
        read: (from) => {
          const size = from.i32();
          return size < 0 ? null : Buffer.from(from.bytes(size));
        },
      };
    case 0x30:
      return fixed(types.tinyint, (from) => from.u8());
    case 0x32:
      return fixed(types.bit, (from) => (from.u8() === 0 ? 0 : 1));
    case 0x34:
      return fixed(types.smallint, (from) => readInteger(from.bytes(2)));
    case 0x38:
      return fixed(types.int, (from) => from.i32());
    case 0x3e:
      return fixed(types.float, (from) => from.bytes(8).readDoubleLE(0));
    case 0x7f:
      return fixed(types.bigint, (from) => BigInt.asIntN(64, from.u64()));
    case 0xf3:
      throw outsideSubset('table-valued parameter');
    case 0xf1:
    case 0x62:
      throw outsideSubset(token === 0xf1 ? 'xml parameter' : 'sql_variant parameter');
    default:
      throw new ProtocolError(`unknown type token 0x${token.toString(16)}`);
  }
}

/** Reads TYPE_INFO and the value behind it. @throws SqlError for types outside the subset, ProtocolError for nonsense */
export function readParameter(reader: ByteReader): Parameter {
  const { type, read } = readTypeInfo(reader);
  return { type, value: read(reader) };
}

export { ticksPerSecond, unixEpochDay };
