import { randomUUID } from 'node:crypto';
import type { DatabaseSync, StatementSync } from 'node:sqlite';
import { openStore } from '@xva/emulator-kit';
import { parseExpressionText } from '../sql/parser.ts';
import { family, type OffsetTime, type SqlType, type Value } from '../types/sql-type.ts';
import type { StoredTracking, TrackedChange } from './change-tracking.ts';
import type { Schema } from './database.ts';
import type { Values } from './row.ts';
import type { CheckSpec, Column, ForeignSpec, IndexSpec, StoredExpression, Table } from './table.ts';

export interface StoredTable {
  readonly id: number;
  readonly schema: string;
  readonly name: string;
  readonly createdAt: string;
  readonly columns: readonly Column[];
  readonly indexes: readonly IndexSpec[];
  readonly checks: readonly CheckSpec[];
  readonly foreignKeys: readonly ForeignSpec[];
}

export interface CatalogState {
  readonly snapshotAllowed: boolean;
  readonly readCommittedSnapshot: boolean;
  readonly nextObjectId: number;
  readonly schemas: readonly Schema[];
  readonly tables: readonly StoredTable[];
  readonly tracking?: StoredTracking | undefined;
}

export interface StoredState {
  readonly catalog: CatalogState;
  readonly counters: {
    readonly dbts: string;
    readonly trackingVersion: number;
    readonly identities: Readonly<Record<number, string>>;
  };
}

/** What the catalog of a live database offers for writing. */
interface LiveCatalog {
  readonly snapshotAllowed: boolean;
  readonly readCommittedSnapshot: boolean;
  readonly nextObjectId: number;
  readonly schemas: ReadonlyMap<string, Schema>;
  readonly tables: ReadonlyMap<string, Table>;
  readonly tracking: { stored(): StoredTracking | undefined };
}

export interface CommitBatch {
  readonly rows: readonly { readonly table: Table; readonly id: number; readonly values: Values | null }[];
  readonly dbts: bigint;
  readonly identities: readonly Table[];
  readonly tracked: ReadonlyMap<Table, readonly TrackedChange[]>;
  readonly trackingVersion: number;
  readonly catalog?: LiveCatalog;
}

/**
 * Where a database lives between runs. The engine works in memory and hands over whole commits, so nothing uncommitted is
 * ever written and a kill -9 leaves exactly what was acknowledged.
 */
export interface DatabaseStore {
  /** Names this life of the database; a restore gives another. */
  readonly recoveryFork: string;
  load(): StoredState | undefined;
  rows(table: Table): Iterable<readonly [number, Values]>;
  /** Tracked changes of a table, oldest first. */
  changes(tableId: number): readonly TrackedChange[];
  /** Writes all of it or nothing. */
  commit(batch: CommitBatch): void;
  close(): void;
}

const migrations = [
  `CREATE TABLE catalog (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
   CREATE TABLE identities (table_id INTEGER PRIMARY KEY, value TEXT NOT NULL);
   CREATE TABLE rows (table_id INTEGER NOT NULL, row_id INTEGER NOT NULL, data TEXT NOT NULL, PRIMARY KEY (table_id, row_id)) WITHOUT ROWID;`,
  `CREATE TABLE changes (table_id INTEGER NOT NULL, version INTEGER NOT NULL, operation TEXT NOT NULL, key TEXT NOT NULL, at INTEGER NOT NULL);
   CREATE INDEX changes_by_table ON changes (table_id, version);`,
];

type Cell = null | number | string | readonly [string, number];

function encodeCell(value: Value): Cell {
  if (value === null || typeof value === 'number' || typeof value === 'string') return value;
  if (typeof value === 'bigint') return value.toString();
  if (value instanceof Uint8Array) return Buffer.from(value).toString('base64');
  return [value.ticks.toString(), value.offset];
}

function cellDecoder(type: SqlType): (cell: Cell) => Value {
  const kind = family(type);
  if (kind === 'decimal' || kind === 'datetime' || type.name === 'bigint')
    return (cell) => (cell === null ? null : BigInt(cell as string));
  if (kind === 'binary') return (cell) => (cell === null ? null : Buffer.from(cell as string, 'base64'));
  if (kind === 'offset') {
    return (cell) => {
      if (cell === null) return null;
      const [ticks, offset] = cell as [string, number];
      return { ticks: BigInt(ticks), offset } satisfies OffsetTime;
    };
  }
  return (cell) => cell as Value;
}

/** A key's value with its kind, since it is read back without its column. */
type TaggedCell = readonly ['null' | 'number' | 'text' | 'integer' | 'bytes' | 'offset', Cell];

function encodeTagged(value: Value): TaggedCell {
  const cell = encodeCell(value);
  if (value === null) return ['null', cell];
  if (typeof value === 'number') return ['number', cell];
  if (typeof value === 'string') return ['text', cell];
  if (typeof value === 'bigint') return ['integer', cell];
  return [value instanceof Uint8Array ? 'bytes' : 'offset', cell];
}

function decodeTagged([kind, cell]: TaggedCell): Value {
  if (kind === 'integer') return BigInt(cell as string);
  if (kind === 'bytes') return Buffer.from(cell as string, 'base64');
  if (kind === 'offset') {
    const [ticks, offset] = cell as [string, number];
    return { ticks: BigInt(ticks), offset };
  }
  return cell as Value;
}

function writeStored(name: string, value: unknown): unknown {
  if (name === 'expression') return undefined;
  return typeof value === 'bigint' ? `${value}` : value;
}

function readExpression<T extends StoredExpression>(stored: Omit<T, 'expression'> & { readonly text: string }): T {
  return { ...stored, expression: parseExpressionText(stored.text) } as unknown as T;
}

function readTable(raw: StoredTable): StoredTable {
  return {
    ...raw,
    columns: raw.columns.map((column) => ({
      ...column,
      identity:
        column.identity === undefined
          ? undefined
          : {
              seed: BigInt(column.identity.seed as unknown as string),
              increment: BigInt(column.identity.increment as unknown as string),
            },
      default: column.default === undefined ? undefined : readExpression(column.default),
    })),
    indexes: raw.indexes.map((index) => ({
      ...index,
      filter: index.filter === undefined ? undefined : readExpression(index.filter),
    })),
    checks: raw.checks.map((check) => readExpression(check)),
  };
}

/** The store on SQLite: one file per database, one SQLite transaction per commit. */
export class SqliteStore implements DatabaseStore {
  readonly recoveryFork: string;
  readonly #db: DatabaseSync;
  readonly #put: StatementSync;
  readonly #delete: StatementSync;
  readonly #name: StatementSync;
  readonly #identity: StatementSync;
  readonly #change: StatementSync;

  /** @param file path, or `:memory:` for a database that ends with the process */
  constructor(file: string) {
    this.#db = openStore(file, migrations);
    this.#put = this.#db.prepare('INSERT OR REPLACE INTO rows VALUES (?, ?, ?)');
    this.#delete = this.#db.prepare('DELETE FROM rows WHERE table_id = ? AND row_id = ?');
    this.#name = this.#db.prepare('INSERT OR REPLACE INTO catalog VALUES (?, ?)');
    this.#identity = this.#db.prepare('INSERT OR REPLACE INTO identities VALUES (?, ?)');
    this.#change = this.#db.prepare('INSERT INTO changes VALUES (?, ?, ?, ?, ?)');
    const fork = this.#db.prepare(`SELECT value FROM catalog WHERE name = 'recovery_fork'`).get();
    this.recoveryFork = (fork?.['value'] as string | undefined) ?? randomUUID().toUpperCase();
    if (fork === undefined) this.#name.run('recovery_fork', this.recoveryFork);
  }

  load(): StoredState | undefined {
    const entries = new Map(
      (this.#db.prepare('SELECT name, value FROM catalog').all() as { name: string; value: string }[]).map(
        ({ name, value }) => [name, value],
      ),
    );
    const text = entries.get('catalog');
    if (text === undefined) return undefined;
    const raw = JSON.parse(text) as CatalogState;
    const identities = this.#db.prepare('SELECT table_id, value FROM identities').all() as {
      table_id: number;
      value: string;
    }[];
    return {
      catalog: { ...raw, tables: raw.tables.map(readTable) },
      counters: {
        dbts: entries.get('dbts') ?? '2000',
        trackingVersion: Number(entries.get('tracking_version') ?? '0'),
        identities: Object.fromEntries(identities.map(({ table_id, value }) => [table_id, value])),
      },
    };
  }

  *rows(table: Table): Iterable<readonly [number, Values]> {
    const decoders = table.columns.map(({ type }) => cellDecoder(type));
    const found = this.#db
      .prepare('SELECT row_id, data FROM rows WHERE table_id = ? ORDER BY row_id')
      .iterate(table.id);
    for (const { row_id, data } of found as Iterable<{ row_id: number; data: string }>) {
      const cells = JSON.parse(data) as Cell[];
      yield [row_id, decoders.map((decode, ordinal) => decode(cells[ordinal] ?? null))];
    }
  }

  changes(tableId: number): readonly TrackedChange[] {
    const rows = this.#db
      .prepare('SELECT version, operation, key, at FROM changes WHERE table_id = ? ORDER BY version, rowid')
      .all(tableId) as { version: number; operation: TrackedChange['operation']; key: string; at: number }[];
    return rows.map(({ version, operation, key, at }) => ({
      version,
      operation,
      key: (JSON.parse(key) as TaggedCell[]).map(decodeTagged),
      atMs: at,
      seq: 0,
    }));
  }

  commit(batch: CommitBatch): void {
    this.#db.exec('BEGIN');
    try {
      for (const { table, id, values } of batch.rows) {
        if (values === null) this.#delete.run(table.id, id);
        else this.#put.run(table.id, id, JSON.stringify(values.map(encodeCell)));
      }
      for (const table of batch.identities) this.#identity.run(table.id, String(table.lastIdentity));
      this.#name.run('dbts', batch.dbts.toString());
      for (const [table, changes] of batch.tracked)
        for (const { version, operation, key, atMs } of changes)
          this.#change.run(table.id, version, operation, JSON.stringify(key.map(encodeTagged)), atMs);
      this.#name.run('tracking_version', String(batch.trackingVersion));
      if (batch.catalog !== undefined) this.#writeCatalog(batch.catalog);
      this.#db.exec('COMMIT');
    } catch (error) {
      if (this.#db.isTransaction) this.#db.exec('ROLLBACK');
      throw error;
    }
  }

  #writeCatalog(live: LiveCatalog): void {
    const tables = [...live.tables.values()].filter(({ durable }) => durable);
    const state: CatalogState = {
      snapshotAllowed: live.snapshotAllowed,
      readCommittedSnapshot: live.readCommittedSnapshot,
      nextObjectId: live.nextObjectId,
      tracking: live.tracking.stored(),
      schemas: [...live.schemas.values()],
      tables: tables.map((table) => ({
        id: table.id,
        schema: table.schema,
        name: table.name,
        createdAt: table.createdAt,
        columns: table.columns,
        indexes: table.indexes.map(({ spec }) => spec),
        checks: table.checks,
        foreignKeys: table.foreignKeys,
      })),
    };
    this.#name.run('catalog', JSON.stringify(state, writeStored));
    const tracked = new Map((state.tracking?.tables ?? []).map(({ id, minValidVersion }) => [id, minValidVersion]));
    for (const { table_id: id } of this.#db.prepare('SELECT DISTINCT table_id FROM changes').all() as {
      table_id: number;
    }[])
      this.#db
        .prepare('DELETE FROM changes WHERE table_id = ? AND version <= ?')
        .run(id, tracked.get(id) ?? Number.MAX_SAFE_INTEGER);
    const known = JSON.stringify(tables.map(({ id }) => id));
    for (const name of ['rows', 'identities'])
      this.#db.prepare(`DELETE FROM ${name} WHERE table_id NOT IN (SELECT value FROM json_each(?))`).run(known);
  }

  close(): void {
    this.#db.close();
  }
}
