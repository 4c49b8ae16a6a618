import type { BulkRows } from '../run/bulk.ts';
import type { Value } from '../types/sql-type.ts';
import { ByteReader, ProtocolError } from './byte-reader.ts';
import { readTypeInfo, type WireType } from './type-info.ts';

const token = { columns: 0x81, row: 0xd1, done: 0xfd } as const;

/**
 * Reads a Bulk Load BCP message (MS-TDS 2.2.6.1): COLMETADATA, rows, DONE.
 *
 * @throws ProtocolError, SqlError for types outside the subset
 */
export function readBulkLoad(payload: Buffer): BulkRows {
  const reader = new ByteReader(payload);
  if (reader.u8() !== token.columns) throw new ProtocolError('COLMETADATA expected in a bulk load');
  const columns: { readonly name: string; readonly wire: WireType }[] = [];
  for (let left = reader.u16(); left > 0; left -= 1) {
    reader.u32();
    reader.u16();
    const wire = readTypeInfo(reader);
    if (wire.isLong) reader.ucs2(reader.u16());
    columns.push({ wire, name: reader.shortText() });
  }
  const rows: Value[][] = [];
  for (;;) {
    const next = reader.u8();
    if (next === token.done) break;
    if (next !== token.row) throw new ProtocolError(`token 0x${next.toString(16)} in a bulk load`);
    rows.push(columns.map(({ wire }) => wire.read(reader)));
  }
  return { types: columns.map(({ wire }) => wire.type), names: columns.map(({ name }) => name), rows };
}
