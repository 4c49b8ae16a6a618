import { SqlError } from '../types/sql-error.ts';
import type { SqlType, Value } from '../types/sql-type.ts';
import type { CommonTable } from '../sql/ast.ts';
import type { Context, Env } from './context.ts';

export interface ColumnInfo {
  readonly name: string;
  readonly type: SqlType;
  readonly nullable?: boolean;
  readonly identity?: boolean;
}

export interface ScopeSource {
  /** Alias or table name; empty for what cannot be named. */
  readonly alias: string;
  readonly schema?: string;
  readonly columns: readonly ColumnInfo[];
}

export interface Found {
  readonly depth: number;
  readonly source: number;
  readonly ordinal: number;
  readonly column: ColumnInfo;
}

/** How expressions over a grouped query are read: grouping expressions and aggregates live in slots. */
export interface Grouping {
  readonly keys: ReadonlyMap<string, { readonly slot: number; readonly type: SqlType }>;
  readonly aggregate: (call: unknown) => { readonly slot: number; readonly type: SqlType };
}

/** Names visible at a place of a statement: this query's sources, then the outer query's. */
export class Scope {
  readonly context: Context;
  readonly parent: Scope | undefined;
  readonly sources: ScopeSource[] = [];
  readonly commonTables: ReadonlyMap<string, CommonTable>;
  /** Set while the select list of a grouped query is compiled. */
  grouping: Grouping | undefined;
  /** Gives the slot of a window function; absent where none may stand. */
  window: ((call: unknown) => { readonly slot: number; readonly type: SqlType }) | undefined;
  /** True once anything inside has read a column of an outer query. */
  usesOuter = false;

  constructor(context: Context, parent?: Scope, commonTables?: ReadonlyMap<string, CommonTable>) {
    this.context = context;
    this.parent = parent;
    this.commonTables = commonTables ?? parent?.commonTables ?? new Map();
  }

  #here(parts: readonly string[]): Omit<Found, 'depth'> | undefined {
    const name = parts.at(-1)?.toLowerCase() ?? '';
    const alias = parts.at(-2)?.toLowerCase();
    const schema = parts.at(-3)?.toLowerCase();
    let found: Omit<Found, 'depth'> | undefined;
    for (const [source, info] of this.sources.entries()) {
      if (alias !== undefined && info.alias.toLowerCase() !== alias) continue;
      if (schema !== undefined && info.schema?.toLowerCase() !== schema) continue;
      const ordinal = info.columns.findIndex((column) => column.name.toLowerCase() === name);
      const column = info.columns[ordinal];
      if (column === undefined) continue;
      if (found !== undefined) throw new SqlError(209, `Ambiguous column name '${parts.at(-1) ?? ''}'.`);
      found = { source, ordinal, column };
    }
    return found;
  }

  /** @returns where the column is, or undefined; marks scopes whose query thereby depends on an outer one */
  find(parts: readonly string[]): Found | undefined {
    const here = this.#here(parts);
    if (here !== undefined) return { ...here, depth: 0 };
    const outer = this.parent?.find(parts);
    if (outer === undefined) return undefined;
    this.usesOuter = true;
    return { ...outer, depth: outer.depth + 1 };
  }

  /** @throws SqlError 207 or 4104 when there is no such column, 209 when there are two */
  resolve(parts: readonly string[]): Found {
    const found = this.find(parts);
    if (found !== undefined) return found;
    if (parts.length > 1) throw new SqlError(...unbound(this, parts));
    throw new SqlError(207, `Invalid column name '${parts[0] ?? ''}'.`);
  }
}

function unbound(scope: Scope, parts: readonly string[]): [number, string] {
  const alias = parts.at(-2)?.toLowerCase();
  for (let at: Scope | undefined = scope; at !== undefined; at = at.parent) {
    if (at.sources.some((source) => source.alias.toLowerCase() === alias))
      return [207, `Invalid column name '${parts.at(-1) ?? ''}'.`];
  }
  return [4104, `The multi-part identifier "${parts.join('.')}" could not be bound.`];
}

/** Reads a column from the environment of a row. */
export function columnReader({ depth, source, ordinal }: Found): (env: Env) => Value {
  if (depth === 0) return (env) => env.rows[source]?.[ordinal] ?? null;
  if (depth === 1) return (env) => env.parent?.rows[source]?.[ordinal] ?? null;
  return (env) => {
    let at: Env | undefined = env;
    for (let level = 0; level < depth; level += 1) at = at?.parent;
    return at?.rows[source]?.[ordinal] ?? null;
  };
}
