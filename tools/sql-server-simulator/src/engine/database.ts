import { SqlError } from '../types/sql-error.ts';
import { ChangeTracking, type TrackedChange } from './change-tracking.ts';
import type { WaitGraph } from './locks.ts';
import { asOf, Row, type Values } from './row.ts';
import type { DatabaseStore, StoredTable } from './store.ts';
import { Index, Table, type IndexSpec } from './table.ts';
import type { Transaction } from './transaction.ts';

/** Compiles the WHERE of a filtered index (the compiler lives above this layer). */
export type FilterCompiler = (
  table: Pick<Table, 'columns' | 'schema' | 'name'>,
  spec: IndexSpec,
) => (values: Values) => boolean;

export interface Schema {
  readonly id: number;
  readonly name: string;
}

type Changes = ReadonlyMap<Row, { readonly table: Table; readonly discarded: readonly Values[] }>;

/** One database: schemas, tables, counters, and the open transactions on it. */
export class Database {
  readonly name: string;
  readonly id: number;
  readonly waits: WaitGraph;
  readonly compileFilter: FilterCompiler;
  readonly #store: DatabaseStore;
  readonly schemas = new Map<string, Schema>();
  readonly tables = new Map<string, Table>();
  snapshotAllowed = false;
  readCommittedSnapshot = false;
  nextObjectId = 1000;
  /** Last rowversion used (@@DBTS). */
  dbts = 2000n;
  commitSeq = 0;
  readonly active = new Set<Transaction>();
  readonly tracking = new ChangeTracking();
  readonly #now: () => number;
  #toPrune = new Map<Row, Table>();

  constructor(
    id: number,
    name: string,
    store: DatabaseStore,
    waits: WaitGraph,
    compileFilter: FilterCompiler,
    now: () => number,
  ) {
    this.id = id;
    this.name = name;
    this.waits = waits;
    this.compileFilter = compileFilter;
    this.#store = store;
    this.#now = now;
    this.schemas.set('dbo', { id: 1, name: 'dbo' });
    this.#load();
  }

  get recoveryFork(): string {
    return this.#store.recoveryFork;
  }

  #load(): void {
    const state = this.#store.load();
    if (state === undefined) return;
    this.snapshotAllowed = state.catalog.snapshotAllowed;
    this.readCommittedSnapshot = state.catalog.readCommittedSnapshot;
    this.nextObjectId = state.catalog.nextObjectId;
    this.dbts = BigInt(state.counters.dbts);
    if (state.catalog.tracking !== undefined)
      this.tracking.load({ ...state.catalog.tracking, version: state.counters.trackingVersion }, (id) =>
        this.#store.changes(id),
      );
    for (const schema of state.catalog.schemas) this.schemas.set(schema.name.toLowerCase(), schema);
    for (const stored of state.catalog.tables) this.#restore(stored, state.counters.identities[stored.id]);
    for (const table of this.tables.values()) {
      for (const [id, values] of this.#store.rows(table)) {
        const row = new Row(id, values);
        row.head = { values, seq: 0, older: undefined };
        table.rows.set(id, row);
        table.addToIndexes(row, values);
        table.nextRowId = Math.max(table.nextRowId, id + 1);
      }
    }
  }

  #restore(stored: StoredTable, identity: string | undefined): void {
    const table = new Table({ ...stored, durable: true }, stored.createdAt);
    table.indexes = stored.indexes.map((spec) => new Index(spec, table.columns, this.compileFilter(table, spec)));
    table.checks = [...stored.checks];
    table.foreignKeys = [...stored.foreignKeys];
    if (identity !== undefined) table.lastIdentity = BigInt(identity);
    this.tables.set(table.qualifiedName.toLowerCase(), table);
  }

  table(schema: string, name: string): Table | undefined {
    return this.tables.get(`${schema}.${name}`.toLowerCase());
  }

  /** Makes a transaction's changes durable, then visible. */
  commit(changes: Changes, schemaChanged: boolean, truncated: ReadonlySet<Table>): void {
    const cleaned = this.tracking.tables.size > 0 && this.tracking.cleanUp(this.#now());
    const resets = [...truncated].filter((table) => this.tracking.tables.has(table.id));
    const tracked = this.tracking.changesOf(
      [...changes].filter(([, { table }]) => !truncated.has(table)),
      this.commitSeq + 1,
      this.#now(),
    );
    for (const table of resets) this.tracking.reset(table);
    this.#persist(changes, schemaChanged || cleaned || resets.length > 0, tracked);
    this.tracking.publish(tracked, this.commitSeq + 1);
    if (changes.size > 0) this.publish(changes);
  }

  /** Forgets tracked changes of a table, as clean-up after the retention does. */
  expireTracking(table: Table): void {
    this.tracking.forget(table.id, this.tracking.version);
    this.#persist(new Map(), true, new Map());
  }

  /** Writes a transaction's durable changes as one transaction of the store, before anyone sees them. */
  #persist(changes: Changes, schemaChanged: boolean, tracked: ReadonlyMap<Table, readonly TrackedChange[]>): void {
    const touched = new Set<Table>();
    const rows = [...changes].filter(([, { table }]) => table.durable);
    for (const [, { table }] of rows) touched.add(table);
    if (rows.length === 0 && !schemaChanged) return;
    this.#store.commit({
      rows: rows.map(([row, { table }]) => ({ table, id: row.id, values: row.current })),
      dbts: this.dbts,
      identities: [...touched].filter((table) => table.lastIdentity !== undefined),
      tracked,
      trackingVersion: this.tracking.version + (tracked.size > 0 ? 1 : 0),
      ...(schemaChanged ? { catalog: this } : {}),
    });
  }

  /** Makes the current values of the rows the committed ones. */
  publish(changes: Changes): void {
    this.commitSeq += 1;
    const oldest = this.#oldestSnapshot();
    for (const [row, { table, discarded }] of changes) {
      const previous = row.head;
      row.head = { values: row.current, seq: this.commitSeq, older: oldest === undefined ? undefined : previous };
      row.writer = undefined;
      const gone = [...discarded];
      if (oldest !== undefined) this.#toPrune.set(row, table);
      else if (previous !== undefined && previous.values !== null) gone.push(previous.values);
      if (gone.length > 0 || row.current === null) table.retire(row, gone);
    }
  }

  #oldestSnapshot(): number | undefined {
    let oldest: number | undefined;
    for (const { snapshot } of this.active)
      if (snapshot !== undefined && (oldest === undefined || snapshot < oldest)) oldest = snapshot;
    return oldest;
  }

  transactionEnded(transaction: Transaction): void {
    this.active.delete(transaction);
    if (transaction.snapshot !== undefined && this.#toPrune.size > 0) this.#prune();
    this.waits.ended(transaction);
  }

  /** Drops versions that no open snapshot can see any more. */
  #prune(): void {
    const oldest = this.#oldestSnapshot() ?? this.commitSeq;
    this.tracking.prune(oldest);
    for (const [row, table] of this.#toPrune) {
      let version = row.head;
      while (version !== undefined && version.seq > oldest) version = version.older;
      const gone: Values[] = [];
      for (let old = version?.older; old !== undefined; old = old.older) if (old.values !== null) gone.push(old.values);
      if (version !== undefined) version.older = undefined;
      if (row.head === version) this.#toPrune.delete(row);
      if (gone.length > 0 || row.current === null) table.retire(row, gone);
    }
  }

  /**
   * What a SNAPSHOT transaction sees of a row.
   *
   * @throws SqlError 3952 when the database does not allow snapshot isolation
   */
  snapshotView(row: Row, transaction: Transaction): Values | null {
    if (row.writer === transaction) return row.current;
    return asOf(row, this.snapshotOf(transaction));
  }

  snapshotOf(transaction: Transaction): number {
    if (transaction.snapshot === undefined) {
      if (!this.snapshotAllowed) {
        throw new SqlError(
          3952,
          `Snapshot isolation transaction failed accessing database '${this.name}' because snapshot isolation is not allowed in this database. Use ALTER DATABASE to allow snapshot isolation.`,
        );
      }
      transaction.snapshot = this.commitSeq;
    }
    return transaction.snapshot;
  }

  nextRowversion(transaction: Transaction): Uint8Array {
    this.dbts += 1n;
    transaction.firstRowversion ??= this.dbts;
    return rowversionBytes(this.dbts);
  }

  minActiveRowversion(): bigint {
    let lowest = this.dbts + 1n;
    for (const { firstRowversion } of this.active)
      if (firstRowversion !== undefined && firstRowversion < lowest) lowest = firstRowversion;
    return lowest;
  }

  close(): void {
    this.#store.close();
  }
}

export function rowversionBytes(value: bigint): Uint8Array {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64BE(value);
  return bytes;
}
