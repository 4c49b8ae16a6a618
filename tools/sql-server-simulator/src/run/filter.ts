import type { FilterCompiler } from '../engine/database.ts';
import type { IndexSpec } from '../engine/table.ts';
import type { Context } from './context.ts';
import { compilePredicate } from './expression.ts';
import { Scope } from './scope.ts';

/** A filter reads columns and literals only, so it compiles without a session. */
const bareContext = { variables: new Map(), tableVariables: new Map() } as unknown as Context;

export const compileFilter: FilterCompiler = (table, spec: IndexSpec) => {
  if (spec.filter === undefined) return () => true;
  const scope = new Scope(bareContext);
  scope.sources.push({ alias: table.name, columns: table.columns.map(({ name, type }) => ({ name, type })) });
  const predicate = compilePredicate(spec.filter.expression, scope);
  return (values) => predicate({ rows: [[...values]], refs: [], parent: undefined, slots: [] }) === true;
};
