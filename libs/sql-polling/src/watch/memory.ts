import type { Change, ChangePage } from './change.ts';
import { LeadLostError } from './lead.ts';
import { remembered, type VersionedChange } from './news.ts';
import type { DetectionStore, KnownRow, Stored } from './state.ts';

/** A change and what was known of its key before. */
export interface Work {
  readonly change: VersionedChange;
  known: Stored<KnownRow> | undefined;
  /** By the process's own forward clock. */
  restsUntilMs: number;
  /** That it is being tried is on its way to the store; false when another process wrote something else. */
  noting?: Promise<boolean> | undefined;
}

type Now = Parameters<typeof remembered>[2];

/** Rows that fire nothing are remembered so many at a time. */
const silentWrites = 16;

/** What is known of a definition's rows; every write is conditional, so that a former leader overwrites nothing. */
export class RowMemory {
  readonly #store: DetectionStore;
  readonly #definition: string;
  /** All of it, where every page is the whole; only the leader writes. */
  #all: Map<string, Stored<KnownRow>> | undefined;

  constructor(store: DetectionStore, definition: string) {
    this.#store = store;
    this.#definition = definition;
  }

  async of(page: ChangePage): Promise<ReadonlyMap<string, Stored<KnownRow>>> {
    if (!page.whole) {
      const keys = [...page.changes.map((change: Change) => change.key), ...page.deleted];
      return keys.length === 0 ? new Map() : this.#store.readRows(this.#definition, keys);
    }
    if (this.#all === undefined) {
      const all = new Map<string, Stored<KnownRow>>();
      for await (const row of this.#store.listRows(this.#definition)) all.set(row.value.key, row);
      this.#all = all;
    }
    return this.#all;
  }

  /** False when another process wrote something else: this one leads no more. */
  async remember(work: Work, now: Now): Promise<boolean> {
    const written = await this.#write(remembered(work.change, work.known?.value, now), work.known?.etag);
    if (written !== undefined) work.known = written;
    return written !== undefined;
  }

  /** Rows that fire nothing: their content is taken note of. @throws LeadLostError */
  async rememberSilently(rows: readonly Work[]): Promise<void> {
    for (let start = 0; start < rows.length; start += silentWrites) {
      const some = rows.slice(start, start + silentWrites);
      const written = await Promise.all(
        some.map((work) => this.remember(work, work.known?.value ?? { state: 'baseline' })),
      );
      if (written.includes(false)) throw new LeadLostError(this.#definition);
    }
  }

  /** @throws LeadLostError */
  async markGone(rows: Iterable<Stored<KnownRow>>): Promise<void> {
    const present = [...rows].filter((row) => row.value.state !== 'gone');
    for (let start = 0; start < present.length; start += silentWrites) {
      const some = present.slice(start, start + silentWrites);
      const written = await Promise.all(some.map(({ value, etag }) => this.#write({ ...value, state: 'gone' }, etag)));
      if (written.includes(undefined)) throw new LeadLostError(this.#definition);
    }
  }

  forget(): void {
    this.#all = undefined;
  }

  async #write(row: KnownRow, etag: string | undefined): Promise<Stored<KnownRow> | undefined> {
    const newEtag = await this.#store.writeRow(this.#definition, row, etag);
    let stored = newEtag === undefined ? undefined : { value: row, etag: newEtag };
    if (stored === undefined) {
      const there = (await this.#store.readRows(this.#definition, [row.key])).get(row.key);
      // Our own earlier write, whose answer was lost.
      if (there?.value.version === row.version && there.value.state === row.state) stored = there;
    }
    if (stored !== undefined) this.#all?.set(row.key, stored);
    return stored;
  }
}
