import type { Expression, TableSource } from '../sql/ast.ts';
import type { Row } from '../engine/row.ts';
import { type Value } from '../types/sql-type.ts';
import { chooseAccess, type Conjunct, conjunctOf, type Restriction, restrictionsOf } from './access-path.ts';
import { comparisonKeys } from './compare.ts';
import { type Compiled, type Env } from './context.ts';
import { compileExpression, conjuncts } from './expression.ts';
import { filteredLeaf, hashedLeaf, type HashJoin, type Iterate, scanTable } from './leaf.ts';
import type { Scope } from './scope.ts';

import { Binder, type FromOptions, type Lister, type Source } from './bind.ts';
export interface FromPlan {
  readonly iterate: Iterate;
  /** The rows come in the wanted order already. */
  readonly ordered: boolean;
  /** Sources whose result rows must be locked, with the mode. */
  readonly locks: readonly { readonly source: number; readonly mode: 'S' | 'U' | 'X' }[];
  readonly sources: readonly Source[];
}

interface Node {
  readonly iterate: Iterate;
  readonly sources: ReadonlySet<number>;
  readonly ordered: boolean;
}

class Planner extends Binder {
  /** Conditions that can be tested once `bound` and this source are known; they are consumed here. */
  claim(usable: readonly Conjunct[], bound: ReadonlySet<number>, source: number): Conjunct[] {
    const claimed = usable.filter(
      (conjunct) =>
        !conjunct.consumed && !conjunct.late && [...conjunct.sources].every((at) => at === source || bound.has(at)),
    );
    for (const conjunct of claimed) conjunct.consumed = true;
    return claimed;
  }

  leaf(node: TableSource, usable: readonly Conjunct[], bound: ReadonlySet<number>, first: boolean): Node {
    const source = this.bySource.get(node);
    if (source === undefined) throw new Error('every source was bound');
    const { index, table, mode } = source;
    const { context } = this.scope;
    const claimed = this.claim(usable, bound, index);
    const filters = claimed.map(({ predicate }) => predicate);
    const sources = new Set([index]);
    const restrictions: Restriction[] =
      table === undefined ? [] : claimed.flatMap(({ expression }) => restrictionsOf(expression, this.scope, index));
    const order = first && index === 0 ? this.options.order() : [];
    const path =
      table === undefined ? undefined : chooseAccess(table, claimed, restrictions, order, this.options.wantsFirst);
    const list: Lister =
      table !== undefined && mode !== undefined
        ? (env, take) => scanTable(table, mode, path, context, env, take)
        : (source.list ?? (() => false));
    const join =
      bound.size === 0 || source.lateral || (path?.fixed ?? 0) > 0 ? undefined : this.hashJoin(claimed, bound, index);
    if (join !== undefined) {
      const plain: Lister =
        table !== undefined && mode !== undefined
          ? (env, take) => scanTable(table, mode, undefined, context, env, take)
          : list;
      return { iterate: hashedLeaf(index, plain, filters, join), sources, ordered: false };
    }
    return { iterate: filteredLeaf(index, list, filters), sources, ordered: path?.ordered === true };
  }

  /** Equalities between this source and the ones bound before it, if there are any. */
  hashJoin(claimed: readonly Conjunct[], bound: ReadonlySet<number>, source: number): HashJoin | undefined {
    const inner: HashJoin['inner'][number][] = [];
    const outer: HashJoin['outer'][number][] = [];
    for (const { expression } of claimed) {
      if (expression.kind !== 'compare' || expression.operator !== '=') continue;
      const left = conjunctSources(expression.left, this.scope);
      const right = conjunctSources(expression.right, this.scope);
      const isInner = (found: ReadonlySet<number>): boolean => found.size === 1 && found.has(source);
      const isOuter = (found: ReadonlySet<number>): boolean =>
        found.size > 0 && [...found].every((at) => bound.has(at));
      const swap = isInner(right) && isOuter(left);
      if (!swap && !(isInner(left) && isOuter(right))) continue;
      const [mine, other]: [Compiled, Compiled] = [
        compileExpression(swap ? expression.right : expression.left, this.scope),
        compileExpression(swap ? expression.left : expression.right, this.scope),
      ];
      const [mineKey, otherKey] = comparisonKeys(mine, other);
      inner.push(mineKey);
      outer.push(otherKey);
    }
    if (inner.length === 0) return undefined;
    const own = claimed
      .filter(({ sources, outer: readsOuter }) => !readsOuter && sources.size === 1 && sources.has(source))
      .map(({ predicate }) => predicate);
    return { inner, outer, own };
  }

  plan(node: TableSource, usable: readonly Conjunct[], bound: ReadonlySet<number>, first: boolean): Node {
    if (node.kind !== 'join') return this.leaf(node, usable, bound, first);
    switch (node.type) {
      case 'inner':
      case 'cross':
      case 'crossApply': {
        const on = conjuncts(node.on).map((expression) => conjunctOf(expression, this.scope));
        const all = [...usable, ...on];
        const left = this.plan(node.left, all, bound, first);
        const right = this.plan(node.right, all, new Set([...bound, ...left.sources]), false);
        const residual = on.filter(({ consumed }) => !consumed).map(({ predicate }) => predicate);
        return {
          sources: new Set([...left.sources, ...right.sources]),
          ordered: left.ordered,
          iterate: (env, visit) =>
            left.iterate(env, () => right.iterate(env, () => residual.every((test) => test(env) === true) && visit())),
        };
      }
      case 'left':
      case 'outerApply':
        return this.outerJoin(node.left, node.right, node, usable, bound, first);
      case 'right':
        return this.outerJoin(node.right, node.left, node, usable, bound, false);
      case 'full':
        return this.fullJoin(node, bound);
    }
  }

  clear(env: Env, sources: ReadonlySet<number>): void {
    for (const source of sources) {
      env.rows[source] = [];
      env.refs[source] = undefined;
    }
  }

  /** The preserved side's rows all come; the other side is NULL where nothing matches. */
  outerJoin(
    preserved: TableSource,
    other: TableSource,
    node: Extract<TableSource, { kind: 'join' }>,
    usable: readonly Conjunct[],
    bound: ReadonlySet<number>,
    first: boolean,
  ): Node {
    const left = this.plan(preserved, usable, bound, first);
    const on = conjuncts(node.on).map((expression) => conjunctOf(expression, this.scope));
    const right = this.plan(other, on, new Set([...bound, ...left.sources]), false);
    const residual = on.filter(({ consumed }) => !consumed).map(({ predicate }) => predicate);
    return {
      sources: new Set([...left.sources, ...right.sources]),
      ordered: left.ordered,
      iterate: (env, visit) =>
        left.iterate(env, () => {
          const found = { any: false };
          const stopped = right.iterate(env, () => {
            if (!residual.every((test) => test(env) === true)) return false;
            found.any = true;
            return visit();
          });
          if (found.any) return stopped;
          this.clear(env, right.sources);
          return visit();
        }),
    };
  }

  fullJoin(node: Extract<TableSource, { kind: 'join' }>, bound: ReadonlySet<number>): Node {
    const left = this.plan(node.left, [], bound, false);
    const right = this.plan(node.right, [], bound, false);
    const on = conjuncts(node.on).map((expression) => conjunctOf(expression, this.scope).predicate);
    const at = [...right.sources];
    const restore = (
      env: Env,
      found: readonly { readonly values: Value[] | undefined; readonly ref: Row | undefined }[],
    ): void => {
      at.forEach((source, position) => {
        env.rows[source] = found[position]?.values ?? [];
        env.refs[source] = found[position]?.ref;
      });
    };
    const iterate: Iterate = (env, visit) => {
      const others: { readonly found: { values: Value[] | undefined; ref: Row | undefined }[]; matched: boolean }[] =
        [];
      right.iterate(env, () => {
        others.push({
          found: at.map((source) => ({ values: env.rows[source] as Value[] | undefined, ref: env.refs[source] })),
          matched: false,
        });
        return false;
      });
      const stopped = left.iterate(env, () => {
        let matched = false;
        for (const other of others) {
          restore(env, other.found);
          if (!on.every((test) => test(env) === true)) continue;
          matched = true;
          other.matched = true;
          if (visit()) return true;
        }
        if (matched) return false;
        this.clear(env, right.sources);
        return visit();
      });
      if (stopped) return true;
      this.clear(env, left.sources);
      return others.some((other) => {
        if (other.matched) return false;
        restore(env, other.found);
        return visit();
      });
    };
    return { sources: new Set([...left.sources, ...right.sources]), ordered: false, iterate };
  }
}

/** Sources whose columns an expression reads. */
function conjunctSources(expression: Expression, scope: Scope): ReadonlySet<number> {
  // IS NULL makes a condition of any value without reading more.
  return conjunctOf({ kind: 'isNull', operand: expression, negated: false, line: expression.line }, scope).sources;
}

/** Binds and plans a FROM clause together with the WHERE conditions, which are tested as early as their sources allow. */
export function planFrom(
  from: TableSource | undefined,
  where: ReturnType<typeof conjuncts>,
  scope: Scope,
  options: FromOptions,
): FromPlan {
  const planner = new Planner(scope, options);
  if (from !== undefined) planner.bind(from, false);
  const conditions = where.map((expression) => conjunctOf(expression, scope));
  const node: Node =
    from === undefined
      ? { iterate: (_, visit) => visit(), sources: new Set(), ordered: false }
      : planner.plan(from, conditions, new Set(), true);
  const residual = conditions.filter(({ consumed }) => !consumed).map(({ predicate }) => predicate);
  const locks = planner.sources.flatMap(({ index, mode }) =>
    mode?.lock === undefined ? [] : [{ source: index, mode: mode.lock }],
  );
  return {
    sources: planner.sources,
    ordered: node.ordered,
    locks,
    iterate:
      residual.length === 0
        ? node.iterate
        : (env, visit) => node.iterate(env, () => residual.every((test) => test(env) === true) && visit()),
  };
}
