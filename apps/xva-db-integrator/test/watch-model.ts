import {
  hashOfFields,
  Lead,
  requestKeyOf,
  WatchSource,
  type Change,
  type ChangePage,
  type ChangeReader,
  type DetectionStore,
  type Gap,
  type KnownRow,
  type LeadRecord,
  type Stored,
  type WatchDefinition,
} from '@xva/sql-polling';
import { sourceRowOf, someDetails } from '@xva/testkit';

export type Mode = 'rowversion' | 'changeTracking' | 'query';

interface ModelRow {
  content: number;
  version: number;
}

/** A database in memory: one table, versions that count, open transactions, and restores of what it was. */
export class ModelDatabase {
  rows = new Map<number, ModelRow>();
  /** Last version given out; a restore takes it back. */
  version = 0;
  /** Versions stamped by transactions that are not committed, with what they will write. */
  open: { readonly key: number; readonly content: number; readonly version: number }[] = [];
  deletes: { readonly key: number; readonly version: number }[] = [];
  oldestTracked = 0;
  life = 1;
  #backups: { rows: Map<number, ModelRow>; version: number }[] = [];
  /** By key: every content that the table has shown, in order; the same one twice in a row is one. */
  readonly shown = new Map<number, (number | null)[]>();

  write(key: number, content: number): void {
    this.version += 1;
    this.rows.set(key, { content, version: this.version });
    this.deletes = this.deletes.filter((one) => one.key !== key);
    this.#show(key, content);
  }

  /** Stamps now, commits later: the version is below what others commit meanwhile. */
  stamp(key: number, content: number): void {
    if (this.open.some((one) => one.key === key)) return;
    this.version += 1;
    this.open.push({ key, content, version: this.version });
  }

  commit(): void {
    const [first] = this.open.splice(0, 1);
    if (first === undefined) return;
    this.rows.set(first.key, { content: first.content, version: first.version });
    this.deletes = this.deletes.filter((one) => one.key !== first.key);
    this.#show(first.key, first.content);
  }

  remove(key: number): void {
    if (!this.rows.delete(key)) return;
    this.version += 1;
    this.deletes.push({ key, version: this.version });
    this.#show(key, null);
  }

  backUp(): void {
    this.#backups.push({ rows: new Map([...this.rows].map(([key, row]) => [key, { ...row }])), version: this.version });
  }

  restore(): void {
    const backup = this.#backups.pop();
    if (backup === undefined) return;
    this.life += 1;
    this.open = [];
    this.rows = backup.rows;
    this.version = backup.version;
    this.deletes = [];
    this.oldestTracked = 0;
    for (const key of this.shown.keys()) this.#show(key, this.rows.get(key)?.content ?? null);
  }

  /** Change tracking's clean-up. */
  expire(): void {
    this.oldestTracked = this.version;
    this.deletes = [];
  }

  #show(key: number, content: number | null): void {
    const contents = this.shown.get(key) ?? [];
    if (contents.at(-1) !== content) contents.push(content);
    this.shown.set(key, contents);
  }
}

function rowOf(key: number, content: number) {
  return sourceRowOf({ revision: key, samples: content });
}

function changeOf(key: number, { content, version }: ModelRow, stamp: string | null): Change {
  const row = rowOf(key, content);
  return {
    key: requestKeyOf(row),
    stamp,
    hash: hashOfFields(row),
    row,
    locate: { key: String(key), version: String(version) },
  };
}

/** What the SQL of a mode gives, on the model. */
export function modelReader(database: ModelDatabase, mode: Mode): ChangeReader {
  const all = () => [...database.rows].sort(([, a], [, b]) => a.version - b.version);
  const bound = () => Math.min(database.version + 1, ...database.open.map(({ version }) => version));
  const page = (
    changes: readonly Change[],
    position: number,
    more: boolean,
    deleted: readonly string[] = [],
  ): ChangePage => ({
    outcome: 'page',
    changes,
    deleted,
    position: String(position),
    more,
    life: mode === 'query' ? null : String(database.life),
    whole: mode === 'query',
  });
  const rowversions = (from: number, limit: number): ChangePage => {
    const found = all().filter(([, { version }]) => version >= from && version < bound());
    const some = found.slice(0, limit);
    const more = some.length >= limit;
    const next = more ? (some.at(-1)?.[1].version ?? 0) + 1 : bound();
    return page(
      some.map(([key, row]) => changeOf(key, row, `v${row.version}`)),
      next,
      more,
    );
  };
  const whole = () =>
    page(
      all().map(([key, row]) => changeOf(key, row, null)),
      0,
      false,
    );
  const gap = (reason: string): Gap => ({ outcome: 'gap', reason });
  return {
    begin: () =>
      Promise.resolve({
        scan: '0',
        follow: String(mode === 'rowversion' ? bound() : database.version),
        life: String(database.life),
      }),
    scan: (position, limit, until) => {
      if (mode === 'query') return Promise.resolve(whole());
      if (mode === 'rowversion') {
        const { changes, ...rest } = rowversions(Number(position), limit);
        const isBefore = ({ locate }: Change) => until === undefined || Number(locate['version']) < Number(until);
        return Promise.resolve({ ...rest, changes: changes.filter(isBefore) });
      }
      const keys = [...database.rows]
        .sort(([a], [b]) => a - b)
        .filter(([key, { version }]) => key > Number(position) && (until === undefined || version <= Number(until)));
      const some = keys.slice(0, limit);
      const changes = some.map(([key, row]) => {
        const change = changeOf(key, row, null);
        return { ...change, stamp: `scan.${change.hash}` };
      });
      return Promise.resolve(page(changes, some.at(-1)?.[0] ?? Number(position), some.length >= limit));
    },
    follow: (position, limit) => {
      const from = Number(position);
      if (mode === 'query') return Promise.resolve(whole());
      if (mode === 'rowversion') {
        return Promise.resolve(bound() < from ? gap('restored') : rowversions(from, limit));
      }
      if (from < database.oldestTracked) return Promise.resolve(gap('cleaned up'));
      if (from > database.version) return Promise.resolve(gap('restored'));
      // In change tracking a version is given at the commit: what is stamped and open has none yet.
      const behind = [...all().map(([key, { version }]) => ({ key, version })), ...database.deletes]
        .filter(({ version }) => version > from)
        .sort((a, b) => a.version - b.version);
      const some = behind.slice(0, limit);
      const more = some.length >= limit;
      const changed = some.flatMap(({ key }) => {
        const row = database.rows.get(key);
        return row === undefined ? [] : [changeOf(key, row, `v${row.version}`)];
      });
      const deleted = some.flatMap(({ key }) => (database.rows.has(key) ? [] : [requestKeyOf(rowOf(key, 0))]));
      return Promise.resolve(page(changed, more ? (some.at(-1)?.version ?? from) : database.version, more, deleted));
    },
    own: { sql: '', parameters: {} },
    ownRow: (_result, change) => {
      const key = Number(change.locate['key']);
      const now = database.rows.get(key);
      if (now === undefined) return undefined;
      const row = rowOf(key, now.content);
      const isSame =
        mode === 'rowversion' ? String(now.version) === change.locate['version'] : hashOfFields(row) === change.hash;
      return isSame ? row : undefined;
    },
  };
}

/** Conditional writes in memory. */
export class FakeDetectionStore implements DetectionStore {
  #etags = 0;
  lead: Stored<LeadRecord> | undefined;
  onLead: (record: LeadRecord) => void = () => undefined;
  readonly rows = new Map<string, Stored<KnownRow>>();

  checkWrite(): Promise<void> {
    return Promise.resolve();
  }

  readLead(): Promise<Stored<LeadRecord> | undefined> {
    return Promise.resolve(this.lead);
  }

  writeLead(_definition: string, value: LeadRecord, etag: string | undefined): Promise<string | undefined> {
    if (this.lead?.etag !== etag) return Promise.resolve(undefined);
    this.lead = { value, etag: this.#next() };
    this.onLead(value);
    return Promise.resolve(this.lead.etag);
  }

  readRows(_definition: string, keys: readonly string[]): Promise<ReadonlyMap<string, Stored<KnownRow>>> {
    const found = keys.flatMap((key) => {
      const row = this.rows.get(key);
      return row === undefined ? [] : [[key, row] as const];
    });
    return Promise.resolve(new Map(found));
  }

  writeRow(_definition: string, value: KnownRow, etag: string | undefined): Promise<string | undefined> {
    if (this.rows.get(value.key)?.etag !== etag) return Promise.resolve(undefined);
    const stored = { value, etag: this.#next() };
    this.rows.set(value.key, stored);
    return Promise.resolve(stored.etag);
  }

  async *listRows(): AsyncGenerator<Stored<KnownRow>> {
    await Promise.resolve();
    yield* [...this.rows.values()];
  }

  #next(): string {
    this.#etags += 1;
    return `etag-${this.#etags}`;
  }
}

export const leaseMs = 1_000;

/** A source on the model; `call` stands between it and everything outside. */
export function modelSource(
  database: ModelDatabase,
  store: FakeDetectionStore,
  mode: Mode,
  definition: WatchDefinition,
  name: string,
  monotonicMs: () => number,
  call: <T>(name: string, effect: () => Promise<T>) => Promise<T>,
): WatchSource {
  const inner = modelReader(database, mode);
  const reader: ChangeReader = {
    ...inner,
    begin: () => call('begin', () => inner.begin()),
    scan: (position, limit, until) => call('scan', () => inner.scan(position, limit, until)),
    follow: (position, limit) => call('follow', () => inner.follow(position, limit)),
  };
  const guarded: DetectionStore = {
    readLead: () => call('readLead', () => store.readLead()),
    writeLead: (at, value, etag) => call('writeLead', () => store.writeLead(at, value, etag)),
    readRows: (at, keys) => call('readRows', () => store.readRows(at, keys)),
    writeRow: (at, value, etag) => call('writeRow', () => store.writeRow(at, value, etag)),
    listRows: () => store.listRows(),
    checkWrite: () => store.checkWrite(),
  };
  return new WatchSource({
    runner: {
      // The model's reader looks at the database itself; the other four results are the usual details.
      query: () =>
        call('details', () =>
          Promise.resolve({ resultSets: [{ columns: [], rows: [] }, ...detailSets()], rowCount: 0 }),
        ),
    },
    definition,
    reader,
    store: guarded,
    lead: new Lead({ store: guarded, definition: definition.name, name, leaseMs, monotonicMs }),
    fingerprint: mode,
    consistency: () => Promise.resolve('snapshot'),
    now: () => new Date(0),
    monotonicMs,
    onGap: () => undefined,
  });
}

function detailSets() {
  return [someDetails.nettingSets, someDetails.trades, someDetails.quotes, someDetails.fixings].map((rows) => ({
    columns: Object.keys(rows[0] ?? {}).map((name) => ({ name, type: 'NVarChar' })),
    rows: rows.map((row) => ({ ...row })),
  }));
}
