import { compareKeys, type SortKey } from '../types/compare.ts';
import type { Row } from './row.ts';

export type IndexKey = readonly SortKey[];

export interface IndexEntry {
  readonly key: IndexKey;
  readonly row: Row;
}

export interface Bound {
  readonly value: SortKey;
  readonly inclusive: boolean;
}

/** Part of an index: rows whose first columns equal `prefix`, and whose next column lies between the bounds. */
export interface IndexRange {
  readonly prefix: IndexKey;
  readonly low?: Bound;
  readonly high?: Bound;
}

type EntryTest = (entry: IndexEntry) => boolean;

const chunkSize = 512;

/**
 * Sorted entries in chunks of at most 512: a two-level B-tree. Inserting moves at most one chunk, so a million rows stay
 * cheap. Duplicate keys are ordered by row id; an entry is found again by key and row.
 */
export class OrderedIndex {
  readonly #descending: readonly boolean[];
  #chunks: IndexEntry[][] = [[]];
  size = 0;

  constructor(descending: readonly boolean[]) {
    this.#descending = descending;
  }

  #compare(left: IndexKey, right: IndexKey, columns: number): number {
    for (let column = 0; column < columns; column += 1) {
      const order = compareKeys(left[column] ?? null, right[column] ?? null);
      if (order !== 0) return this.#descending[column] === true ? -order : order;
    }
    return 0;
  }

  #compareEntry(entry: IndexEntry, key: IndexKey, rowId: number): number {
    const order = this.#compare(entry.key, key, this.#descending.length);
    return order === 0 ? entry.row.id - rowId : order;
  }

  /** First position for which `before` is false, as [chunk, index in chunk]. */
  #search(before: (entry: IndexEntry) => boolean): [number, number] {
    let low = 0;
    let high = this.#chunks.length - 1;
    while (low < high) {
      const middle = (low + high) >> 1;
      const last = this.#chunks[middle]?.at(-1);
      if (last !== undefined && before(last)) low = middle + 1;
      else high = middle;
    }
    const chunk = this.#chunks[low] ?? [];
    let from = 0;
    let to = chunk.length;
    while (from < to) {
      const middle = (from + to) >> 1;
      const entry = chunk[middle];
      if (entry !== undefined && before(entry)) from = middle + 1;
      else to = middle;
    }
    return [low, from];
  }

  /** Adds an entry; adding the same key and row again changes nothing. */
  add(key: IndexKey, row: Row): void {
    const [chunkIndex, at] = this.#search((entry) => this.#compareEntry(entry, key, row.id) < 0);
    const chunk = this.#chunks[chunkIndex];
    if (chunk === undefined) return;
    const found = chunk[at];
    if (found !== undefined && this.#compareEntry(found, key, row.id) === 0) return;
    chunk.splice(at, 0, { key, row });
    this.size += 1;
    if (chunk.length > chunkSize) this.#chunks.splice(chunkIndex + 1, 0, chunk.splice(chunk.length >> 1));
  }

  remove(key: IndexKey, row: Row): void {
    const [chunkIndex, at] = this.#search((entry) => this.#compareEntry(entry, key, row.id) < 0);
    const chunk = this.#chunks[chunkIndex];
    const found = chunk?.[at];
    if (chunk === undefined || found === undefined || this.#compareEntry(found, key, row.id) !== 0) return;
    chunk.splice(at, 1);
    this.size -= 1;
    if (chunk.length === 0 && this.#chunks.length > 1) this.#chunks.splice(chunkIndex, 1);
  }

  clear(): void {
    this.#chunks = [[]];
    this.size = 0;
  }

  /** Tests for the edges of a range: what lies before it, and what does not lie behind it. */
  #edges(range: IndexRange): { readonly before: EntryTest; readonly notAfter: EntryTest } {
    const width = range.prefix.length;
    const descending = this.#descending[width] === true;
    const first = descending ? range.high : range.low;
    const last = descending ? range.low : range.high;
    const side = (entry: IndexEntry, bound: Bound): number => {
      const order = compareKeys(entry.key[width] ?? null, bound.value);
      return descending ? -order : order;
    };
    return {
      before: (entry) => {
        const order = this.#compare(entry.key, range.prefix, width);
        if (order !== 0) return order < 0;
        if (first === undefined) return false;
        const edge = side(entry, first);
        return first.inclusive ? edge < 0 : edge <= 0;
      },
      notAfter: (entry) => {
        const order = this.#compare(entry.key, range.prefix, width);
        if (order !== 0) return order < 0;
        if (last === undefined) return true;
        const edge = side(entry, last);
        return last.inclusive ? edge <= 0 : edge < 0;
      },
    };
  }

  /**
   * Visits the entries of a range in order (or backwards) until `visit` gives true, and tells whether it did. The index
   * must not change meanwhile.
   */
  scan(range: IndexRange, backwards: boolean, visit: EntryTest): boolean {
    const next = this.#walk(range, backwards);
    for (let entry = next(); entry !== undefined; entry = next()) if (visit(entry)) return true;
    return false;
  }

  /** Visits several ranges with prefixes of one length as one, in the order of the columns behind the prefix. */
  scanMerged(ranges: readonly IndexRange[], backwards: boolean, visit: EntryTest): boolean {
    const heads = ranges.flatMap((range) => {
      const next = this.#walk(range, backwards);
      const entry = next();
      return entry === undefined ? [] : [{ entry, next }];
    });
    const width = ranges[0]?.prefix.length ?? 0;
    while (heads.length > 0) {
      let best = 0;
      for (let at = 1; at < heads.length; at += 1) {
        const order = this.#compareTail(heads[at]?.entry, heads[best]?.entry, width);
        if (backwards ? order > 0 : order < 0) best = at;
      }
      const head = heads[best];
      if (head === undefined || visit(head.entry)) return true;
      const following = head.next();
      if (following === undefined) heads.splice(best, 1);
      else head.entry = following;
    }
    return false;
  }

  #compareTail(left: IndexEntry | undefined, right: IndexEntry | undefined, width: number): number {
    if (left === undefined || right === undefined) return 0;
    for (let column = width; column < this.#descending.length; column += 1) {
      const order = compareKeys(left.key[column] ?? null, right.key[column] ?? null);
      if (order !== 0) return this.#descending[column] === true ? -order : order;
    }
    return left.row.id - right.row.id;
  }

  /** Gives the entries of a range one by one, then undefined. */
  #walk(range: IndexRange, backwards: boolean): () => IndexEntry | undefined {
    const { before, notAfter } = this.#edges(range);
    let [chunk, at] = this.#search(backwards ? notAfter : before);
    if (!backwards) {
      return () => {
        while (chunk < this.#chunks.length && at >= (this.#chunks[chunk]?.length ?? 0)) {
          chunk += 1;
          at = 0;
        }
        const entry = this.#chunks[chunk]?.[at];
        at += 1;
        return entry !== undefined && notAfter(entry) ? entry : undefined;
      };
    }
    return () => {
      while (chunk >= 0 && at <= 0) {
        chunk -= 1;
        at = this.#chunks[chunk]?.length ?? 0;
      }
      at -= 1;
      const entry = this.#chunks[chunk]?.[at];
      return entry !== undefined && !before(entry) ? entry : undefined;
    };
  }
}
