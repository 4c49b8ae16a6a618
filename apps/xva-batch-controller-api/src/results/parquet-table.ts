import {
  parquetMetadataAsync,
  parquetReadObjects,
  type AsyncBuffer,
  type FileMetaData,
  type SchemaElement,
} from 'hyparquet';
import { compressors } from 'hyparquet-compressors';
import { columnView, type ColumnView } from './tables.ts';

/** A cell: numbers as the engine's doubles, whole numbers exact, dates as `YYYY-MM-DD`. */
export type Cell = string | number | bigint | boolean | null;
export type Row = readonly Cell[];

export interface ParquetTable {
  readonly name: string;
  readonly columns: readonly ColumnView[];
  readonly count: number;
  /** Rows in the table's order; memory holds a window of them. */
  rows(keep?: (row: Row) => boolean): AsyncGenerator<Row>;
}

/** Part of a stored file. */
export type ReadBytes = (offset: number, count: number) => Promise<Uint8Array>;

/** Thrown for a file that is no table of ours. */
export class TableFormatError extends Error {
  override readonly name = 'TableFormatError';
  readonly table: string;

  constructor(table: string, message: string) {
    super(`table ${table}: ${message}`);
    this.table = table;
  }
}

const rowsAtATime = 5_000;

function bufferOf(size: number, read: ReadBytes): AsyncBuffer {
  return {
    byteLength: size,
    slice: async (start, end = size) => {
      const bytes = await read(start, end - start);
      return bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.byteLength) as ArrayBuffer;
    },
  };
}

function typeOf(element: SchemaElement): ColumnView['type'] | undefined {
  if (element.type === 'DOUBLE') return 'double';
  if (element.type === 'BOOLEAN') return 'bool';
  if (element.converted_type === 'DATE' || element.logical_type?.type === 'DATE') return 'date';
  if (element.type === 'INT64') return 'int64';
  if (element.converted_type === 'UTF8' || element.logical_type?.type === 'STRING') return 'string';
  return undefined;
}

function columnsOf(table: string, metadata: FileMetaData, baseCurrency: string): readonly ColumnView[] {
  return metadata.schema.slice(1).map((element) => {
    const type = typeOf(element);
    if (type === undefined || (element.num_children ?? 0) > 0)
      throw new TableFormatError(table, `column ${element.name} has a type that is not known here`);
    return columnView(table, element.name, type, baseCurrency);
  });
}

function cellOf(table: string, { name, type }: ColumnView, value: unknown): Cell {
  if (value === null || value === undefined) return null;
  if (type === 'date' && value instanceof Date) return value.toISOString().slice(0, 10);
  if (type === 'double' && typeof value === 'number' && Number.isFinite(value)) return value;
  if (type === 'int64' && typeof value === 'bigint') return value;
  if (type === 'bool' && typeof value === 'boolean') return value;
  if (type === 'string' && typeof value === 'string') return value;
  throw new TableFormatError(table, `column ${name} holds a value that is no ${type}`);
}

/** Opens a Parquet file of the engine. @throws TableFormatError */
export async function openParquetTable(
  name: string,
  size: number,
  read: ReadBytes,
  baseCurrency: string,
): Promise<ParquetTable> {
  const file = bufferOf(size, read);
  const metadata = await parquetMetadataAsync(file).catch(() => {
    throw new TableFormatError(name, 'it does not read as Parquet');
  });
  const columns = columnsOf(name, metadata, baseCurrency);
  const count = Number(metadata.num_rows);
  return {
    name,
    columns,
    count,
    rows: async function* (keep = () => true) {
      for (let rowStart = 0; rowStart < count; rowStart += rowsAtATime) {
        const rowEnd = Math.min(count, rowStart + rowsAtATime);
        const objects = await parquetReadObjects({ file, metadata, compressors, rowStart, rowEnd });
        for (const object of objects) {
          const row = columns.map((column) => cellOf(name, column, object[column.name]));
          if (keep(row)) yield row;
        }
      }
    },
  };
}
