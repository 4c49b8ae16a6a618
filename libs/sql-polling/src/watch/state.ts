/** Where a definition that only reads stands. One per definition, kept in Storage together with who leads. */
export interface Cursor {
  /**
   * `baseline`: all rows are being read, and none fires (the first start with `start: now`); `scan`: all rows are being
   * read, and those that are news fire (the first start with `start: beginning`, and after a gap); `adopt`: the same after
   * the definition changed, but a key that is known already fires nothing; `follow`: changes only.
   */
  readonly phase: 'baseline' | 'scan' | 'adopt' | 'follow';
  /** Of the reader; see `phase`. */
  readonly position: string;
  /** Where to follow from when the scan is done. */
  readonly followFrom: string;
  /** Counts the lives of the database: a restore repeats versions, and stamps of different lives must not meet. */
  readonly incarnation: number;
  /** The database's own name for its present life (`recovery_fork_guid`); null where the login may not see it. */
  readonly life: string | null;
  /** What the position is a position in: that of another table or condition cannot be gone on from. */
  readonly fingerprint: string;
  /** The schedule's last tick that was worked off (ISO 8601), so that a restart or another leader knows which were missed. */
  readonly tick: string | null;
  /** The latest local date that a condition was asked for; null in the other modes. */
  readonly day: string | null;
  /** The last gap, for people: why everything was read again, and when. */
  readonly gap: { readonly reason: string; readonly at: string } | null;
}

/** The cursor with the lead on it. */
export interface LeadRecord {
  readonly cursor: Cursor;
  /** Who leads, one name per process; null when nobody does. */
  readonly leader: string | null;
  readonly leaseMs: number;
}

/** What is remembered of one row. */
export interface KnownRow {
  readonly key: string;
  /** Book, as-of date, cut, scenario and revision as JSON, for people and ranges of dates. */
  readonly requestKey: string;
  /** The change that was handled last, or is being tried. */
  readonly version: string;
  readonly hash: string;
  /**
   * `baseline`: was there before the start; `published`; `failing`: being tried, or will be again; `poison`: put aside until it changes
   * or a person replays it; `gone`: deleted, or no longer in the condition's result.
   */
  readonly state: 'baseline' | 'published' | 'failing' | 'poison' | 'gone';
  /** Changes of this key so far. */
  readonly generation: number;
  readonly attempts: number;
  readonly eventId: string | null;
  /** Why it is `failing` or `poison`. */
  readonly reason: string | null;
}

export interface Stored<T> {
  readonly value: T;
  readonly etag: string;
}

/** Small state in Storage; every write is conditional. Rows are listed in no order. */
export interface DetectionStore {
  readLead(definition: string): Promise<Stored<LeadRecord> | undefined>;
  /** Writes over the version `etag` (undefined: only if there is none yet); the new etag, or undefined when another was faster. */
  writeLead(definition: string, record: LeadRecord, etag: string | undefined): Promise<string | undefined>;
  readRows(definition: string, keys: readonly string[]): Promise<ReadonlyMap<string, Stored<KnownRow>>>;
  writeRow(definition: string, row: KnownRow, etag: string | undefined): Promise<string | undefined>;
  listRows(definition: string): AsyncIterable<Stored<KnownRow>>;
  /** Rejects, as a write would, when this identity may not write; changes nothing. */
  checkWrite(definition: string): Promise<void>;
}
