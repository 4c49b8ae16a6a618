import type { ExpressionOf } from '../sql/ast.ts';
import { compareKeys, hashText, sortKeyOf, type SortKey } from '../types/compare.ts';
import { outsideSubset, SqlError } from '../types/sql-error.ts';
import { type SqlType, types, type Value } from '../types/sql-type.ts';
import { compileAggregate, isAggregate } from './aggregate.ts';
import type { Compiled, Env } from './context.ts';
import { compileExpression } from './expression.ts';
import type { Scope } from './scope.ts';

export interface WindowFunction {
  readonly type: SqlType;
  /** Fills the slot of every row. */
  readonly compute: (rows: readonly Env[]) => void;
}

interface Sorter {
  readonly key: (env: Env) => SortKey;
  readonly descending: boolean;
}

function compareBy(sorters: readonly Sorter[]): (left: readonly SortKey[], right: readonly SortKey[]) => number {
  return (left, right) => {
    for (const [position, { descending }] of sorters.entries()) {
      const order = compareKeys(left[position] ?? null, right[position] ?? null);
      if (order !== 0) return descending ? -order : order;
    }
    return 0;
  };
}

type Fill = (partition: readonly Env[], samePeer: (index: number) => boolean) => void;

function ranking(name: string, slot: number): Fill {
  return (partition, samePeer) => {
    let rank = 0;
    partition.forEach((env, index) => {
      if (name === 'ROW_NUMBER') rank = index + 1;
      else if (!samePeer(index)) rank = name === 'RANK' ? index + 1 : rank + 1;
      env.slots[slot] = BigInt(rank);
    });
  };
}

function neighbour(
  name: string,
  slot: number,
  operand: Compiled,
  distance: number,
  fallback: Compiled | undefined,
): Fill {
  const step = name === 'LAG' ? -distance : distance;
  return (partition) => {
    const values: Value[] = partition.map((env, index) => {
      const other = partition[index + step];
      return other === undefined ? (fallback?.run(env) ?? null) : operand.run(other);
    });
    partition.forEach((env, index) => {
      env.slots[slot] = values[index] ?? null;
    });
  };
}

/** Aggregate over the partition; with ORDER BY a running one up to the row's last peer (the default frame). */
function running(
  call: ExpressionOf<'call'>,
  slot: number,
  args: readonly Compiled[],
  ordered: boolean,
): { readonly type: SqlType; readonly fill: Fill } {
  const spec = compileAggregate(call, args);
  return {
    type: spec.type,
    fill: (partition, samePeer) => {
      const total = spec.start();
      if (!ordered) {
        for (const env of partition) total.add(env);
        const result = total.result();
        for (const env of partition) env.slots[slot] = result;
        return;
      }
      for (let start = 0; start < partition.length;) {
        let end = start + 1;
        while (end < partition.length && samePeer(end)) end += 1;
        for (let index = start; index < end; index += 1) total.add(partition[index] as Env);
        const result = total.result();
        for (let index = start; index < end; index += 1) (partition[index] as Env).slots[slot] = result;
        start = end;
      }
    },
  };
}

/** Compiles `name(…) OVER (PARTITION BY … ORDER BY …)`, whose result goes to a slot of each row. */
export function compileWindow(call: ExpressionOf<'call'>, slot: number, scope: Scope): WindowFunction {
  const { name, line, over } = call;
  if (over === undefined) throw new SqlError(10753, `The function '${name}' must have an OVER clause.`, 15);
  const sorter = (compiled: Compiled, descending: boolean): Sorter => {
    const key = sortKeyOf(compiled.type);
    return { key: (env) => key(compiled.run(env)), descending };
  };
  const partitionKeys = over.partition.map((expression) => sorter(compileExpression(expression, scope), false));
  const sorters = over.order.map(({ expression, descending }) =>
    sorter(compileExpression(expression, scope), descending),
  );
  const args = call.args.filter(({ kind }) => kind !== 'star').map((arg) => compileExpression(arg, scope));
  const { type, fill } = build();
  const compare = compareBy(sorters);
  return {
    type,
    compute: (rows) => {
      const partitions = new Map<string, { env: Env; keys: SortKey[] }[]>();
      for (const env of rows) {
        const text = partitionKeys.map(({ key }) => hashText(key(env))).join('\u0001');
        const entry = { env, keys: sorters.map(({ key }) => key(env)) };
        const found = partitions.get(text);
        if (found === undefined) partitions.set(text, [entry]);
        else found.push(entry);
      }
      for (const entries of partitions.values()) {
        if (sorters.length > 0) entries.sort((left, right) => compare(left.keys, right.keys));
        fill(
          entries.map(({ env }) => env),
          (index) => index > 0 && compare(entries[index - 1]?.keys ?? [], entries[index]?.keys ?? []) === 0,
        );
      }
    },
  };

  function build(): { readonly type: SqlType; readonly fill: Fill } {
    if (name === 'ROW_NUMBER' || name === 'RANK' || name === 'DENSE_RANK') {
      if (sorters.length === 0)
        throw new SqlError(4112, `The function '${name}' must have an OVER clause with ORDER BY.`);
      return { type: types.bigint, fill: ranking(name, slot) };
    }
    if (isAggregate(name)) return running(call, slot, args, sorters.length > 0);
    const [operand, distance, fallback] = args;
    if ((name === 'LAG' || name === 'LEAD') && operand !== undefined) {
      const steps =
        distance === undefined ? 1 : Number(distance.run({ rows: [], refs: [], parent: undefined, slots: [] }));
      return { type: operand.type, fill: neighbour(name, slot, operand, steps, fallback) };
    }
    throw outsideSubset(`window function ${name}`, line);
  }
}
