import type { IndexEntry, IndexRange } from '../engine/ordered-index.ts';
import type { Row, Values } from '../engine/row.ts';
import type { Index, Table } from '../engine/table.ts';
import { hashText, type SortKey } from '../types/compare.ts';
import { SqlError } from '../types/sql-error.ts';
import type { AccessPath } from './access-path.ts';
import type { Context, Env, Predicate } from './context.ts';
import type { ReadMode } from './read-mode.ts';

/** Visits rows by setting `env.rows[i]` and `env.refs[i]`; `visit` gives true to stop. Gives whether it was stopped. */
export type Iterate = (env: Env, visit: () => boolean) => boolean;

export interface Candidate {
  readonly values: Values;
  readonly ref: Row | undefined;
}

/** Ends a statement that would keep the single-threaded simulator busy for minutes. */
export function spend(context: Context): void {
  context.budget -= 1;
  if (context.budget < 0) throw new SqlError(50_998, 'the simulator stops a statement after 50 million row visits', 16);
}

function stillMatches(index: Index, key: readonly SortKey[], row: Row, values: Values): boolean {
  if (row.writer === undefined && row.head?.older === undefined) return true;
  return index.accepts(values) && index.keyOf(values).every((part, position) => part === key[position]);
}

/** Rows of a table in the order of its primary key, or of the chosen index. */
export function scanTable(
  table: Table,
  mode: ReadMode,
  path: AccessPath | undefined,
  context: Context,
  env: Env,
  take: (values: Values, row: Row) => boolean,
): boolean {
  mode.enter();
  const primary = table.primary;
  const index = path?.index ?? primary;
  if (index === undefined) {
    for (const row of table.rows.values()) {
      spend(context);
      const values = mode.view(row);
      if (values !== null && take(values, row)) return true;
    }
    return false;
  }
  const wanted: readonly IndexRange[] = path?.ranges(env) ?? [{ prefix: [] }];
  const backwards = path?.backwards === true;
  const visit = ({ key, row }: IndexEntry): boolean => {
    spend(context);
    const values = mode.view(row);
    return values !== null && stillMatches(index, key, row, values) && take(values, row);
  };
  if (path?.ordered === true && wanted.length > 1) return index.tree.scanMerged(wanted, backwards, visit);
  for (const range of wanted) if (index.tree.scan(range, backwards, visit)) return true;
  return false;
}

function passes(filters: readonly Predicate[], env: Env): boolean {
  for (const filter of filters) if (filter(env) !== true) return false;
  return true;
}

/** A leaf over candidates that some function lists, filtered. */
export function filteredLeaf(
  source: number,
  list: (env: Env, take: (values: Values, ref: Row | undefined) => boolean) => boolean,
  filters: readonly Predicate[],
): Iterate {
  return (env, visit) =>
    list(env, (values, ref) => {
      env.rows[source] = values;
      env.refs[source] = ref;
      return passes(filters, env) && visit();
    });
}

export interface HashJoin {
  readonly inner: readonly ((env: Env) => SortKey)[];
  readonly outer: readonly ((env: Env) => SortKey)[];
  /** Filters that read only this source: applied while the table is built. */
  readonly own: readonly Predicate[];
}

function keyText(readers: readonly ((env: Env) => SortKey)[], env: Env): string | undefined {
  let text = '';
  for (const read of readers) {
    const key = read(env);
    if (key === null) return undefined;
    const part = hashText(key);
    text += `${part.length}:${part}`;
  }
  return text;
}

/** A leaf that hashes its candidates on the first visit and then looks up the matches of each outer row. */
export function hashedLeaf(
  source: number,
  list: (env: Env, take: (values: Values, ref: Row | undefined) => boolean) => boolean,
  filters: readonly Predicate[],
  join: HashJoin,
): Iterate {
  let table: Map<string, Candidate[]> | undefined;
  const build = (env: Env): Map<string, Candidate[]> => {
    const built = new Map<string, Candidate[]>();
    list(env, (values, ref) => {
      env.rows[source] = values;
      if (!passes(join.own, env)) return false;
      const key = keyText(join.inner, env);
      if (key === undefined) return false;
      const bucket = built.get(key);
      if (bucket === undefined) built.set(key, [{ values, ref }]);
      else bucket.push({ values, ref });
      return false;
    });
    return built;
  };
  return (env, visit) => {
    table ??= build(env);
    const key = keyText(join.outer, env);
    if (key === undefined) return false;
    for (const { values, ref } of table.get(key) ?? []) {
      env.rows[source] = values;
      env.refs[source] = ref;
      if (passes(filters, env) && visit()) return true;
    }
    return false;
  };
}
