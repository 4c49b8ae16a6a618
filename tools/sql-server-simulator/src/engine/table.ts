import { outsideSubset } from '../types/sql-error.ts';
import { sortKeyOf, type SortKey } from '../types/compare.ts';
import type { Expression } from '../sql/ast.ts';
import type { SqlType, Value } from '../types/sql-type.ts';
import type { Holder, Lockable } from './locks.ts';
import { type IndexKey, OrderedIndex } from './ordered-index.ts';
import type { Row } from './row.ts';
import { type Values } from './row.ts';

export interface StoredExpression {
  readonly text: string;
  readonly expression: Expression;
}

export interface Column {
  readonly name: string;
  readonly type: SqlType;
  readonly nullable: boolean;
  readonly identity: { readonly seed: bigint; readonly increment: bigint } | undefined;
  readonly default: (StoredExpression & { readonly name: string }) | undefined;
}

export interface IndexSpec {
  readonly name: string;
  readonly kind: 'primary' | 'unique' | 'index';
  readonly unique: boolean;
  readonly columns: readonly { readonly name: string; readonly descending: boolean }[];
  readonly include: readonly string[];
  readonly filter: StoredExpression | undefined;
}

export interface CheckSpec extends StoredExpression {
  readonly name: string;
  readonly column: string | undefined;
}

export interface ForeignSpec {
  readonly name: string;
  readonly columns: readonly string[];
  readonly targetId: number;
  readonly targetColumns: readonly string[];
}

/** An index with its tree. `accepts` is the compiled WHERE of a filtered index. */
export class Index {
  readonly spec: IndexSpec;
  readonly ordinals: readonly number[];
  readonly tree: OrderedIndex;
  readonly accepts: (values: Values) => boolean;
  readonly keys: readonly ((value: Value) => SortKey)[];

  constructor(spec: IndexSpec, columns: readonly Column[], accepts: (values: Values) => boolean) {
    this.spec = spec;
    this.ordinals = spec.columns.map(({ name }) =>
      columns.findIndex((column) => column.name.toLowerCase() === name.toLowerCase()),
    );
    this.tree = new OrderedIndex(spec.columns.map(({ descending }) => descending));
    this.accepts = accepts;
    this.keys = this.ordinals.map((ordinal) => {
      const column = columns[ordinal];
      if (column === undefined) throw outsideSubset(`index ${spec.name} over a missing column`);
      return sortKeyOf(column.type);
    });
  }

  keyOf(values: Values): IndexKey {
    return this.ordinals.map((ordinal, position) => this.keys[position]?.(values[ordinal] ?? null) ?? null);
  }
}

function sameKey(left: IndexKey, right: IndexKey): boolean {
  return left.every((part, position) => part === right[position]);
}

export interface TableInit {
  readonly id: number;
  readonly schema: string;
  readonly name: string;
  readonly columns: readonly Column[];
  /** Kept in the data file; false for table variables and #temp tables. */
  readonly durable: boolean;
}

/** A table: its rows, its indexes, its lock. Rows change only through a transaction (write.ts). */
export class Table implements Lockable {
  readonly id: number;
  schema: string;
  name: string;
  columns: readonly Column[];
  readonly durable: boolean;
  indexes: Index[] = [];
  checks: CheckSpec[] = [];
  foreignKeys: ForeignSpec[] = [];
  readonly rows = new Map<number, Row>();
  nextRowId = 1;
  /** Last identity value given; undefined before the first. Not rolled back, as on the server. */
  lastIdentity: bigint | undefined;
  holders: Holder[] | undefined;
  readonly createdAt: string;

  constructor(init: TableInit, createdAt: string) {
    this.id = init.id;
    this.schema = init.schema;
    this.name = init.name;
    this.columns = init.columns;
    this.durable = init.durable;
    this.createdAt = createdAt;
  }

  get primary(): Index | undefined {
    return this.indexes.find((index) => index.spec.kind === 'primary');
  }

  ordinalOf(name: string): number {
    const lower = name.toLowerCase();
    return this.columns.findIndex((column) => column.name.toLowerCase() === lower);
  }

  get qualifiedName(): string {
    return `${this.schema}.${this.name}`;
  }

  addToIndexes(row: Row, values: Values): void {
    for (const index of this.indexes) if (index.accepts(values)) index.tree.add(index.keyOf(values), row);
  }

  /**
   * Takes values that no version of the row holds any longer out of the indexes, and the row out of the table when
   * nothing of it is left.
   */
  retire(row: Row, discarded: readonly Values[]): void {
    const kept: Values[] = [];
    if (row.current !== null) kept.push(row.current);
    for (let version = row.head; version !== undefined; version = version.older)
      if (version.values !== null) kept.push(version.values);
    for (const values of discarded) {
      if (kept.includes(values)) continue;
      for (const index of this.indexes) {
        const key = index.keyOf(values);
        if (!kept.some((other) => index.accepts(other) && sameKey(index.keyOf(other), key)))
          index.tree.remove(key, row);
      }
    }
    if (kept.length === 0 && row.writer === undefined) this.rows.delete(row.id);
  }

  /** Fills an index that was added to a table with rows. */
  fill(index: Index): void {
    index.tree.clear();
    for (const row of this.rows.values()) {
      if (row.current !== null && index.accepts(row.current)) index.tree.add(index.keyOf(row.current), row);
      for (let version = row.head; version !== undefined; version = version.older) {
        if (version.values !== null && index.accepts(version.values)) index.tree.add(index.keyOf(version.values), row);
      }
    }
  }
}
