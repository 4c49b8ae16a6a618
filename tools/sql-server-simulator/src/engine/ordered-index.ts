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

  /** Visits the entries of a range in order (or backwards) until `visit` gives true, and tells whether it did. The index must not change meanwhile. */
  scan(range: IndexRange, backwards: boolean, visit: (entry: IndexEntry) => boolean): boolean {
    const width = range.prefix.length;
    const descending = this.#descending[width] === true;
    const first = descending ? range.high : range.low;
    const last = descending ? range.low : range.high;
    const side = (entry: IndexEntry, bound: Bound): number => {
      const order = compareKeys(entry.key[width] ?? null, bound.value);
      return descending ? -order : order;
    };
    const beforeRange = (entry: IndexEntry): boolean => {
      const order = this.#compare(entry.key, range.prefix, width);
      if (order !== 0) return order < 0;
      if (first === undefined) return false;
      const edge = side(entry, first);
      return first.inclusive ? edge < 0 : edge <= 0;
    };
    const notAfterRange = (entry: IndexEntry): boolean => {
      const order = this.#compare(entry.key, range.prefix, width);
      if (order !== 0) return order < 0;
      if (last === undefined) return true;
      const edge = side(entry, last);
      return last.inclusive ? edge <= 0 : edge < 0;
    };
    return backwards
      ? this.#scanBack(beforeRange, notAfterRange, visit)
      : this.#scanForward(beforeRange, notAfterRange, visit);
  }

  #scanForward(
    before: (e: IndexEntry) => boolean,
    notAfter: (e: IndexEntry) => boolean,
    visit: (e: IndexEntry) => boolean,
  ): boolean {
    let [chunkIndex, at] = this.#search(before);
    for (; chunkIndex < this.#chunks.length; chunkIndex += 1, at = 0) {
      const chunk = this.#chunks[chunkIndex] ?? [];
      for (; at < chunk.length; at += 1) {
        const entry = chunk[at];
        if (entry === undefined || !notAfter(entry)) return false;
        if (visit(entry)) return true;
      }
    }
    return false;
  }

  #scanBack(
    before: (e: IndexEntry) => boolean,
    notAfter: (e: IndexEntry) => boolean,
    visit: (e: IndexEntry) => boolean,
  ): boolean {
    let [chunkIndex, at] = this.#search(notAfter);
    for (; chunkIndex >= 0; chunkIndex -= 1) {
      const chunk = this.#chunks[chunkIndex] ?? [];
      for (at = Math.min(at, chunk.length) - 1; at >= 0; at -= 1) {
        const entry = chunk[at];
        if (entry === undefined || before(entry)) return false;
        if (visit(entry)) return true;
      }
      at = Number.MAX_SAFE_INTEGER;
    }
    return false;
  }
}
