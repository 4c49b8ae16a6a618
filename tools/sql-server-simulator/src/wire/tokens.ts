import type { ColumnInfo } from '../run/scope.ts';
import type { SqlType, Value } from '../types/sql-type.ts';
import type { SqlError } from '../types/sql-error.ts';
import type { ByteWriter } from './byte-writer.ts';
import { collation, valueWriter, writeTypeInfo } from './type-info.ts';

export const serverName = 'SQL-SIMULATOR';

/** DONE status bits (MS-TDS 2.2.7.6). */
export const doneStatus = { final: 0x00, more: 0x01, error: 0x02, count: 0x10, attention: 0x20 } as const;

export const doneToken = { done: 0xfd, proc: 0xfe, inProc: 0xff } as const;

/** curCmd values that clients show. */
export const commandCode: Readonly<Record<string, number>> = {
  select: 0xc1,
  insert: 0xc3,
  delete: 0xc4,
  update: 0xc5,
  merge: 0x117,
  other: 0,
};

export function writeDone(out: ByteWriter, token: number, status: number, command = 0, count = 0): void {
  out.u8(token).u16(status).u16(command).u64(BigInt(count));
}

function envText(out: ByteWriter, type: number, next: string, old: string): void {
  out
    .u8(0xe3)
    .u16(3 + (next.length + old.length) * 2)
    .u8(type)
    .shortText(next)
    .shortText(old);
}

function envBytes(out: ByteWriter, type: number, next: Buffer, old: Buffer): void {
  out
    .u8(0xe3)
    .u16(3 + next.length + old.length)
    .u8(type)
    .u8(next.length)
    .bytes(next)
    .u8(old.length)
    .bytes(old);
}

export function writeDatabase(out: ByteWriter, next: string, old: string): void {
  envText(out, 1, next, old);
}

/** ENVCHANGE 8 begin (new descriptor), 9 commit and 10 rollback (old descriptor). */
export function writeTransaction(out: ByteWriter, event: 'begin' | 'commit' | 'rollback', descriptor: Buffer): void {
  const none = Buffer.alloc(0);
  if (event === 'begin') envBytes(out, 8, descriptor, none);
  else envBytes(out, event === 'commit' ? 9 : 10, none, descriptor);
}

export function writeResetAck(out: ByteWriter): void {
  envBytes(out, 18, Buffer.alloc(0), Buffer.alloc(0));
}

function writeMessage(
  out: ByteWriter,
  token: number,
  number: number,
  state: number,
  severity: number,
  message: string,
  line: number,
): void {
  const text = message.slice(0, 4000);
  const size = 4 + 1 + 1 + 2 + text.length * 2 + 1 + serverName.length * 2 + 1 + 4;
  out
    .u8(token)
    .u16(size)
    .i32(number)
    .u8(state)
    .u8(severity)
    .longText(text)
    .shortText(serverName)
    .shortText('')
    .u32(line);
}

export function writeError(out: ByteWriter, error: SqlError): void {
  writeMessage(out, 0xaa, error.number, error.state, error.severity, error.message, Math.max(error.line, 1));
}

export function writeInfo(
  out: ByteWriter,
  number: number,
  severity: number,
  state: number,
  message: string,
  line = 1,
): void {
  writeMessage(out, 0xab, number, state, severity, message, line);
}

/** What follows a good LOGIN7 (order as servers send it), up to and without DONE. */
export function writeLoginAck(out: ByteWriter, database: string, packetSize: number): void {
  writeDatabase(out, database, 'master');
  writeInfo(out, 5701, 0, 2, `Changed database context to '${database}'.`);
  envBytes(out, 7, collation, Buffer.alloc(0));
  envText(out, 2, 'us_english', '');
  writeInfo(out, 5703, 0, 1, 'Changed language setting to us_english.');
  const program = 'SQL Server simulator';
  out
    .u8(0xad)
    .u16(1 + 4 + 1 + program.length * 2 + 4)
    .u8(1)
    .bytes(Buffer.from([0x74, 0, 0, 4]))
    .shortText(program)
    .bytes(Buffer.from([16, 0, 0, 0]));
  envText(out, 4, String(packetSize), '4096');
}

function userType(type: SqlType): number {
  return type.name === 'rowversion' ? 80 : 0;
}

export function writeColumns(out: ByteWriter, columns: readonly ColumnInfo[]): void {
  out.u8(0x81).u16(columns.length);
  for (const { name, type, nullable, identity } of columns) {
    out.u32(userType(type)).u16(((nullable ?? true) ? 0x01 : 0) | (identity === true ? 0x10 : 0x08));
    writeTypeInfo(out, type);
    out.shortText(name);
  }
}

/** Writer of rows with these columns: NBCROW when a row has a NULL, ROW otherwise. */
export function rowWriter(columns: readonly ColumnInfo[]): (out: ByteWriter, values: readonly Value[]) => void {
  const writers = columns.map(({ type }) => valueWriter(type));
  const bitmap = Buffer.alloc(Math.ceil(columns.length / 8));
  return (out, values) => {
    let nulls = 0;
    bitmap.fill(0);
    for (let at = 0; at < writers.length; at += 1) {
      if (values[at] !== null) continue;
      nulls += 1;
      bitmap[at >> 3] = (bitmap[at >> 3] ?? 0) | (1 << (at & 7));
    }
    if (nulls === 0) {
      out.u8(0xd1);
      for (let at = 0; at < writers.length; at += 1) writers[at]?.(out, values[at] ?? null);
      return;
    }
    out.u8(0xd2).bytes(bitmap);
    for (let at = 0; at < writers.length; at += 1) {
      const value = values[at] ?? null;
      if (value !== null) writers[at]?.(out, value);
    }
  };
}

export function writeReturnValue(out: ByteWriter, ordinal: number, name: string, type: SqlType, value: Value): void {
  out.u8(0xac).u16(ordinal).shortText(name).u8(1).u32(userType(type)).u16(1);
  writeTypeInfo(out, type);
  valueWriter(type)(out, value);
}

export function writeReturnStatus(out: ByteWriter, status: number): void {
  out.u8(0x79).i32(status);
}
