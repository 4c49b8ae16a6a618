import type { Value } from '../types/sql-type.ts';
import type { Holder } from './locks.ts';
import type { Transaction } from './transaction.ts';

/** One version of a row's values by column ordinal; never changed once it is in a row. */
export type Values = readonly Value[];

/** A committed version; `values` null means deleted as of `seq`. */
export interface Version {
  readonly values: Values | null;
  readonly seq: number;
  older: Version | undefined;
}

/**
 * A row with what is committed (`head` and, while a snapshot needs them, older versions) and what its writer has made of
 * it so far (`current`). Without a writer, current is the head's values.
 */
export class Row {
  readonly id: number;
  current: Values | null;
  writer: Transaction | undefined;
  head: Version | undefined;
  holders: Holder[] | undefined;

  constructor(id: number, current: Values | null) {
    this.id = id;
    this.current = current;
  }
}

/** What a reader of a snapshot sees: the newest version committed up to `seq`. */
export function asOf(row: Row, seq: number): Values | null {
  let version = row.head;
  while (version !== undefined && version.seq > seq) version = version.older;
  return version?.values ?? null;
}
