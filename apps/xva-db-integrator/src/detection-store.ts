import { createHash } from 'node:crypto';
import { filterText, TableError, type StoredRow, type TableStore } from '@xva/azure-tables';
import type { Cursor, DetectionStore, KnownRow, LeadRecord, Stored } from '@xva/sql-polling';
import { z } from 'zod';

const leadKey = 'lead';

/** A request key may hold what no row key may (`/`, `\\`, `#`, `?`, 1 KiB and more). */
function rowKeyOf(key: string): string {
  return `row-${createHash('sha256').update(key).digest('hex')}`;
}

const cursorSchema = z.object({
  phase: z.enum(['baseline', 'scan', 'adopt', 'follow']),
  position: z.string(),
  followFrom: z.string(),
  incarnation: z.int().min(1),
  life: z.string().nullable(),
  fingerprint: z.string(),
  tick: z.string().nullable(),
  day: z.string().nullable().default(null),
  gap: z.object({ reason: z.string(), at: z.string() }).nullable(),
}) satisfies z.ZodType<Cursor>;

const leadSchema = z.object({
  cursor: cursorSchema,
  leader: z.string().nullable(),
  leaseMs: z.int().min(1),
}) satisfies z.ZodType<LeadRecord>;

const rowSchema = z.object({
  key: z.string(),
  requestKey: z.string(),
  version: z.string(),
  hash: z.string(),
  state: z.enum(['baseline', 'published', 'failing', 'poison', 'gone']),
  generation: z.int(),
  attempts: z.int(),
  eventId: z.string().nullable(),
  reason: z.string().nullable(),
}) satisfies z.ZodType<KnownRow>;

/** A row of table `detection` that is none of the integrator's, or of a later release. */
export class DetectionStateError extends Error {
  override readonly name = 'DetectionStateError';
  readonly definition: string;

  constructor(definition: string, rowKey: string, problem: string) {
    super(`table detection, definition ${definition}, row ${rowKey}: ${problem}`);
    this.definition = definition;
  }
}

function parse<T>(schema: z.ZodType<T>, { partitionKey, rowKey, properties, etag }: StoredRow): Stored<T> {
  const { body } = properties;
  try {
    return { value: schema.parse(JSON.parse(typeof body === 'string' ? body : '')), etag };
  } catch (error) {
    throw new DetectionStateError(partitionKey, rowKey, error instanceof Error ? error.message : String(error));
  }
}

/** JSON in ASCII: a table's text may be mangled on its way otherwise. */
function asciiJson(value: unknown): string {
  return JSON.stringify(value).replace(
    /[\u0080-\uffff]/g,
    (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
}

/** The state of definitions that only read: one partition of the ledger's table `detection` each. Made at the first write. */
export function createDetectionStore(table: TableStore): DetectionStore {
  const write = async (
    definition: string,
    rowKey: string,
    value: object,
    columns: Readonly<Record<string, string>>,
    etag: string | undefined,
  ): Promise<string | undefined> => {
    const row = { partitionKey: definition, rowKey, properties: { ...columns, body: asciiJson(value) } };
    if (etag !== undefined) {
      const replaced = await table.replace(row, etag);
      return replaced.outcome === 'replaced' ? replaced.etag : undefined;
    }
    const inserted = await withTable(table, () => table.insert(row));
    return inserted.outcome === 'created' ? inserted.etag : undefined;
  };
  const readRow = (definition: string, key: string) => absent(() => table.get(definition, rowKeyOf(key)));
  return {
    readLead: async (definition) => {
      const row = await absent(() => table.get(definition, leadKey));
      return row === undefined ? undefined : parse(leadSchema, row);
    },
    writeLead: (definition, record, etag) =>
      write(definition, leadKey, record, { leader: record.leader ?? '', phase: record.cursor.phase }, etag),
    readRows: async (definition, keys) => {
      const found = new Map<string, Stored<KnownRow>>();
      const wanted = [...new Set(keys)];
      for (let start = 0; start < wanted.length; start += readsAtOnce) {
        const rows = await Promise.all(wanted.slice(start, start + readsAtOnce).map((key) => readRow(definition, key)));
        for (const row of rows) {
          if (row === undefined) continue;
          const stored = parse(rowSchema, row);
          found.set(stored.value.key, stored);
        }
      }
      return found;
    },
    writeRow: (definition, row, etag) => write(definition, rowKeyOf(row.key), row, { state: row.state }, etag),
    checkWrite: async (definition) => {
      // Over a version that never was: who may write hears that there is none, who may not is refused before.
      await absent(() => table.replace({ partitionKey: definition, rowKey: 'check-write', properties: {} }, noVersion));
    },
    listRows: async function* (definition) {
      const filter = `PartitionKey eq ${filterText(definition)} and RowKey ge 'row-' and RowKey lt 'row.'`;
      try {
        for await (const row of table.query({ filter })) yield parse(rowSchema, row);
      } catch (error) {
        if (!(error instanceof TableError && error.code === 'TableNotFound')) throw error;
      }
    },
  };
}

const readsAtOnce = 16;
const noVersion = `W/"datetime'2000-01-01T00%3A00%3A00.0000000Z'"`;

async function absent<T>(read: () => Promise<T | undefined>): Promise<T | undefined> {
  try {
    return await read();
  } catch (error) {
    if (error instanceof TableError && error.code === 'TableNotFound') return undefined;
    throw error;
  }
}

async function withTable<T>(table: TableStore, act: () => Promise<T>): Promise<T> {
  try {
    return await act();
  } catch (error) {
    if (!(error instanceof TableError) || error.code !== 'TableNotFound') throw error;
    await table.ensure();
    return act();
  }
}
