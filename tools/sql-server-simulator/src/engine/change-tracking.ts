import type { Value } from '../types/sql-type.ts';
import type { Row, Values } from './row.ts';
import type { Table } from './table.ts';

export type ChangeOperation = 'I' | 'U' | 'D';

/** One row's change by one committed transaction. All changes of a transaction have its version. */
export interface TrackedChange {
  readonly version: number;
  readonly operation: ChangeOperation;
  /** Values of the primary key, in its order. */
  readonly key: readonly Value[];
  readonly atMs: number;
  /** Commit that it became visible with; 0 for what was read from the store. */
  readonly seq: number;
}

export interface TrackingSettings {
  readonly retention: number;
  readonly unit: 'DAYS' | 'HOURS' | 'MINUTES';
  readonly autoCleanup: boolean;
}

export interface StoredTracking {
  readonly version: number;
  readonly settings: TrackingSettings;
  readonly tables: readonly { readonly id: number; readonly beginVersion: number; readonly minValidVersion: number }[];
}

interface TrackedTable {
  readonly beginVersion: number;
  minValidVersion: number;
  changes: TrackedChange[];
}

/** What CHANGETABLE(CHANGES …) says of one row: the net of its changes since a version. */
export interface NetChange {
  readonly version: number;
  readonly creationVersion: number | null;
  readonly operation: ChangeOperation;
  readonly key: readonly Value[];
}

const unitMs = { DAYS: 86_400_000, HOURS: 3_600_000, MINUTES: 60_000 } as const;

function keyText(key: readonly Value[]): string {
  return JSON.stringify(key, (_name, value: unknown) => (typeof value === 'bigint' ? `${value}n` : value));
}

/** The key's values in a row. */
export function primaryKeyOf(table: Table, values: Values): readonly Value[] {
  return (table.primary?.ordinals ?? []).map((ordinal) => values[ordinal] ?? null);
}

/**
 * Change tracking of one database: a counter of committed transactions that changed tracked tables, and per table which
 * rows they changed (About Change Tracking, SQL Server documentation).
 */
export class ChangeTracking {
  settings: TrackingSettings | undefined;
  version = 0;
  readonly tables = new Map<number, TrackedTable>();
  /** Versions by the commit that made them, for readers of snapshots. */
  #commits: { readonly seq: number; readonly version: number }[] = [];

  load(stored: StoredTracking, changesOf: (tableId: number) => readonly TrackedChange[]): void {
    this.settings = stored.settings;
    this.version = stored.version;
    for (const { id, beginVersion, minValidVersion } of stored.tables)
      this.tables.set(id, { beginVersion, minValidVersion, changes: [...changesOf(id)] });
  }

  stored(): StoredTracking | undefined {
    if (this.settings === undefined) return undefined;
    const tables = [...this.tables].map(([id, { beginVersion, minValidVersion }]) => ({
      id,
      beginVersion,
      minValidVersion,
    }));
    return { version: this.version, settings: this.settings, tables };
  }

  /** What a commit adds, by table; empty when it touches no tracked one. */
  changesOf(
    rows: Iterable<readonly [Row, { readonly table: Table }]>,
    seq: number,
    atMs: number,
  ): ReadonlyMap<Table, readonly TrackedChange[]> {
    const found = new Map<Table, TrackedChange[]>();
    const version = this.version + 1;
    const add = (table: Table, operation: ChangeOperation, values: Values): void => {
      const changes = found.get(table) ?? [];
      changes.push({ version, operation, key: primaryKeyOf(table, values), atMs, seq });
      found.set(table, changes);
    };
    for (const [row, { table }] of rows) {
      if (!this.tables.has(table.id)) continue;
      const before = row.head?.values ?? null;
      const after = row.current;
      if (before === null && after !== null) add(table, 'I', after);
      else if (before !== null && after === null) add(table, 'D', before);
      else if (before !== null && after !== null && before !== after) {
        if (keyText(primaryKeyOf(table, before)) === keyText(primaryKeyOf(table, after))) add(table, 'U', after);
        else {
          add(table, 'D', before);
          add(table, 'I', after);
        }
      }
    }
    return found;
  }

  /** Makes a commit's changes visible. */
  publish(changes: ReadonlyMap<Table, readonly TrackedChange[]>, seq: number): void {
    if (changes.size === 0) return;
    this.version += 1;
    this.#commits.push({ seq, version: this.version });
    for (const [table, some] of changes) {
      const tracked = this.tables.get(table.id);
      // Not spread: a transaction may change more rows than a call takes arguments.
      for (const change of some) tracked?.changes.push(change);
    }
  }

  enable(table: Table): void {
    this.tables.set(table.id, { beginVersion: this.version, minValidVersion: this.version, changes: [] });
  }

  /** All that was known of the table's rows is void: TRUNCATE, or the end of tracking and its new begin. */
  reset(table: Table): void {
    const tracked = this.tables.get(table.id);
    if (tracked === undefined) return;
    this.version += 1;
    tracked.minValidVersion = this.version;
    tracked.changes = [];
  }

  /** Forgets changes up to and including a version. */
  forget(tableId: number, version: number): void {
    const tracked = this.tables.get(tableId);
    if (tracked === undefined) return;
    tracked.minValidVersion = Math.max(tracked.minValidVersion, Math.min(version, this.version));
    tracked.changes = tracked.changes.filter((change) => change.version > tracked.minValidVersion);
  }

  /** Drops what is older than the retention. Whether anything was. */
  cleanUp(nowMs: number): boolean {
    const { settings } = this;
    if (settings?.autoCleanup !== true) return false;
    const oldestMs = nowMs - settings.retention * unitMs[settings.unit];
    let any = false;
    for (const [id, { changes }] of this.tables) {
      // Asked at every commit: as a rule the first change, the oldest, is young still.
      if ((changes[0]?.atMs ?? oldestMs) >= oldestMs) continue;
      const last = changes.findLast(({ atMs }) => atMs < oldestMs);
      if (last === undefined) continue;
      this.forget(id, last.version);
      any = true;
    }
    return any;
  }

  /** CHANGE_TRACKING_CURRENT_VERSION(), as a snapshot sees it; undefined when the database does not track. */
  currentVersion(snapshot: number | undefined): number | undefined {
    if (this.settings === undefined) return undefined;
    if (snapshot === undefined) return this.version;
    // The first commit after the snapshot; they are in order.
    let [low, high] = [0, this.#commits.length];
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((this.#commits[middle]?.seq ?? 0) > snapshot) high = middle;
      else low = middle + 1;
    }
    const later = this.#commits[low];
    return later === undefined ? this.version : later.version - 1;
  }

  minValidVersion(tableId: number): number | undefined {
    return this.settings === undefined ? undefined : this.tables.get(tableId)?.minValidVersion;
  }

  /**
   * Net changes after `since`, one per row. A row that was inserted and deleted again since then is none; deleted and
   * inserted again, it is an update.
   */
  netChanges(tableId: number, since: number, snapshot: number | undefined): readonly NetChange[] {
    const byKey = new Map<string, TrackedChange[]>();
    for (const change of this.tables.get(tableId)?.changes ?? []) {
      if (change.version <= since || (snapshot !== undefined && change.seq > snapshot)) continue;
      const text = keyText(change.key);
      byKey.set(text, [...(byKey.get(text) ?? []), change]);
    }
    return [...byKey.values()].flatMap((changes): NetChange[] => {
      const first = changes[0];
      const last = changes.at(-1);
      if (first === undefined || last === undefined) return [];
      const inserted = changes.findLast(({ operation }) => operation === 'I');
      const { version, key } = last;
      const creationVersion = inserted?.version ?? null;
      if (last.operation === 'D')
        return first.operation === 'I' ? [] : [{ version, creationVersion: null, operation: 'D', key }];
      if (first.operation === 'I') return [{ version, creationVersion, operation: 'I', key }];
      return [{ version, creationVersion, operation: 'U', key }];
    });
  }

  /** Commits that no open snapshot can lie before any more. */
  prune(oldestSnapshot: number): void {
    this.#commits = this.#commits.filter(({ seq }) => seq > oldestSnapshot);
  }
}
