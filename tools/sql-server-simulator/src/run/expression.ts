import { collationKind } from '../sql/parse-ddl.ts';
import { type Expression, type ExpressionOf, expressionKey } from '../sql/ast.ts';
import { converter } from '../types/convert.ts';
import { hashText, sortKeyOf } from '../types/compare.ts';
import { outsideSubset, SqlError } from '../types/sql-error.ts';
import { commonType, family, type SqlType, types, type Value } from '../types/sql-type.ts';
import { arithmetic, negate } from './arithmetic.ts';
import { comparison, comparisonKeys, like } from './compare.ts';
import type { Compiled, Env, Predicate } from './context.ts';
import { compileCall, globalVariable } from './functions.ts';
import { compileQuery } from './query.ts';
import { columnReader, type Scope } from './scope.ts';

const conditions = new Set(['compare', 'logic', 'not', 'isNull', 'between', 'in', 'inQuery', 'like', 'exists']);

export function isCondition(expression: Expression): boolean {
  return conditions.has(expression.kind);
}

/**
 * Compiles a value expression against a scope.
 *
 * @throws SqlError for unknown names (207, 4104, 137), type clashes (206, 402, …), constructs outside the subset
 */
export function compileExpression(expression: Expression, scope: Scope): Compiled {
  const slot = scope.grouping?.keys.get(expressionKey(expression));
  if (slot !== undefined) return { type: slot.type, run: (env) => env.slots[slot.slot] ?? null };
  switch (expression.kind) {
    case 'literal': {
      const { value, type } = expression;
      return { type, run: () => value };
    }
    case 'variable':
      return compileVariable(expression.name, scope);
    case 'global':
      return globalVariable(expression.name, expression.line, scope.context);
    case 'column':
      return compileColumn(expression, scope);
    case 'unary':
      return compileUnary(expression, scope);
    case 'binary':
      return arithmetic(
        expression.operator,
        compileExpression(expression.left, scope),
        compileExpression(expression.right, scope),
      );
    case 'case':
      return compileCase(expression, scope);
    case 'call':
      return compileCall(expression, scope);
    case 'cast':
      return compileCast(expression, scope);
    case 'subquery':
      return compileScalarQuery(expression, scope);
    case 'collate': {
      const operand = compileExpression(expression.operand, scope);
      const kind = collationKind(expression.collation);
      if (kind === undefined) throw outsideSubset(`collation ${expression.collation}`, expression.line);
      if (family(operand.type) !== 'string')
        throw new SqlError(447, `Expression type ${operand.type.name} is invalid for COLLATE clause.`);
      const { binaryCollation: _, ...plain } = operand.type;
      return { ...operand, type: kind === 'binary' ? { ...plain, binaryCollation: true } : plain };
    }
    case 'star':
      throw new SqlError(102, "Incorrect syntax near '*'.", 15, 1, expression.line);
    case 'default':
      throw new SqlError(156, "Incorrect syntax near the keyword 'DEFAULT'.", 15, 1, expression.line);
    default:
      throw outsideSubset(`a condition (${expression.kind}) used as a value`, expression.line);
  }
}

function compileVariable(name: string, scope: Scope): Compiled {
  const variable = scope.context.variables.get(name.toLowerCase());
  if (variable === undefined) throw new SqlError(137, `Must declare the scalar variable "${name}".`, 15, 2);
  return { type: variable.type, run: () => variable.value };
}

function compileColumn(expression: ExpressionOf<'column'>, scope: Scope): Compiled {
  const found = scope.resolve(expression.parts);
  if (scope.grouping !== undefined && found.depth === 0) {
    const name = expression.parts.join('.');
    throw new SqlError(
      8120,
      `Column '${name}' is invalid in the select list because it is not contained in either an aggregate function or the GROUP BY clause.`,
    );
  }
  return { type: found.column.type, run: columnReader(found) };
}

function compileUnary(expression: ExpressionOf<'unary'>, scope: Scope): Compiled {
  const { operand } = expression;
  // A minus before a literal makes a negative literal, so that -2147483648 is an int.
  if (expression.operator === '-' && operand.kind === 'literal' && operand.value === 2_147_483_648n)
    return { type: types.int, run: () => -2_147_483_648 };
  return negate(compileExpression(operand, scope), expression.operator);
}

function compileCase(expression: ExpressionOf<'case'>, scope: Scope): Compiled {
  const { operand } = expression;
  const subject = operand === undefined ? undefined : compileExpression(operand, scope);
  const tests = expression.whens.map(({ when }) =>
    subject === undefined ? compilePredicate(when, scope) : comparison('=', subject, compileExpression(when, scope)),
  );
  const values = expression.whens.map(({ then }) => compileExpression(then, scope));
  if (expression.otherwise !== undefined) values.push(compileExpression(expression.otherwise, scope));
  return firstThat(tests, values);
}

/** The value beside the first test that holds, or the one after the last test, or NULL; all in their common type. */
export function firstThat(tests: readonly Predicate[], values: readonly Compiled[]): Compiled {
  const type = values.reduce<SqlType>((common, { type: next }) => commonType(common, next), types.null);
  const branches = values.map(({ type: from, run }) => {
    const convert = converter(from, type);
    return (env: Env) => convert(run(env));
  });
  return {
    type,
    run: (env) => {
      const index = tests.findIndex((test) => test(env) === true);
      return branches[index === -1 ? tests.length : index]?.(env) ?? null;
    },
  };
}

function compileCast(expression: ExpressionOf<'cast'>, scope: Scope): Compiled {
  const operand = compileExpression(expression.operand, scope);
  const { type: declared, safe } = expression;
  // CAST and CONVERT without a length mean 30, where a declaration means 1.
  const style = expression.style === undefined ? undefined : compileExpression(expression.style, scope);
  const target =
    operand.type.binaryCollation === true && family(declared) === 'string'
      ? { ...declared, binaryCollation: true }
      : declared;
  const build = (number: number | undefined): ((value: Value) => Value) => {
    const convert = converter(operand.type, target, number);
    if (!safe) return convert;
    return (value) => {
      try {
        return convert(value);
      } catch (error) {
        if (error instanceof SqlError) return null;
        throw error;
      }
    };
  };
  if (style === undefined) {
    const convert = build(undefined);
    return { type: target, run: (env) => convert(operand.run(env)) };
  }
  let last: Value | undefined;
  let convert: ((value: Value) => Value) | undefined;
  return {
    type: target,
    run: (env) => {
      const number = style.run(env);
      if (number === null) return null;
      if (convert === undefined || number !== last) {
        last = number;
        convert = build(Number(number));
      }
      return convert(operand.run(env));
    },
  };
}

function compileScalarQuery(expression: ExpressionOf<'subquery'>, scope: Scope): Compiled {
  const query = compileQuery(expression.query, scope);
  const [column] = query.columns;
  if (column === undefined || query.columns.length !== 1) {
    throw new SqlError(
      116,
      'Only one expression can be specified in the select list when the subquery is not introduced with EXISTS.',
    );
  }
  let known: { readonly value: Value } | undefined;
  return {
    type: column.type,
    run: (env) => {
      if (known !== undefined) return known.value;
      const records = query.run(env, 2);
      if (records.length > 1)
        throw new SqlError(
          512,
          'Subquery returned more than 1 value. This is not permitted when the subquery follows =, !=, <, <= , >, >= or when the subquery is used as an expression.',
        );
      const value = records[0]?.values[0] ?? null;
      if (!query.correlated) known = { value };
      return value;
    },
  };
}

/** Compiles a condition. @throws SqlError 4145 for a value where a condition is due */
export function compilePredicate(expression: Expression, scope: Scope): Predicate {
  switch (expression.kind) {
    case 'compare':
      return comparison(
        expression.operator,
        compileExpression(expression.left, scope),
        compileExpression(expression.right, scope),
      );
    case 'logic':
      return compileLogic(expression, scope);
    case 'not':
      return negated(compilePredicate(expression.operand, scope), true);
    case 'isNull': {
      const operand = compileExpression(expression.operand, scope);
      return expression.negated ? (env) => operand.run(env) !== null : (env) => operand.run(env) === null;
    }
    case 'between': {
      const operand = compileExpression(expression.operand, scope);
      const low = comparison('>=', operand, compileExpression(expression.low, scope));
      const high = comparison('<=', operand, compileExpression(expression.high, scope));
      return negated((env) => conjunction(low(env), () => high(env)), expression.negated);
    }
    case 'in':
      return negated(compileIn(expression, scope), expression.negated);
    case 'inQuery':
      return negated(compileInQuery(expression, scope), expression.negated);
    case 'like': {
      const escape = expression.escape === undefined ? undefined : compileExpression(expression.escape, scope);
      return negated(
        like(compileExpression(expression.operand, scope), compileExpression(expression.pattern, scope), escape),
        expression.negated,
      );
    }
    case 'exists': {
      const query = compileQuery(expression.query, scope);
      let known: boolean | undefined;
      return (env) => {
        const found = known ?? query.run(env, 1).length > 0;
        if (!query.correlated) known = found;
        return found;
      };
    }
    default:
      throw new SqlError(
        4145,
        'An expression of non-boolean type specified in a context where a condition is expected.',
        15,
      );
  }
}

function negated(test: Predicate, negate_: boolean): Predicate {
  if (!negate_) return test;
  return (env) => {
    const result = test(env);
    return result === null ? null : !result;
  };
}

function conjunction(left: boolean | null, right: () => boolean | null): boolean | null {
  if (left === false) return false;
  const other = right();
  if (other === false) return false;
  return left === null || other === null ? null : true;
}

function compileLogic(expression: ExpressionOf<'logic'>, scope: Scope): Predicate {
  const left = compilePredicate(expression.left, scope);
  const right = compilePredicate(expression.right, scope);
  if (expression.operator === 'and') return (env) => conjunction(left(env), () => right(env));
  return (env) => {
    const a = left(env);
    if (a === true) return true;
    const b = right(env);
    if (b === true) return true;
    return a === null || b === null ? null : false;
  };
}

function compileIn(expression: ExpressionOf<'in'>, scope: Scope): Predicate {
  const operand = compileExpression(expression.operand, scope);
  const tests = expression.list.map((item) => comparison('=', operand, compileExpression(item, scope)));
  return (env) => {
    let unknown = false;
    for (const test of tests) {
      const result = test(env);
      if (result === true) return true;
      if (result === null) unknown = true;
    }
    return unknown ? null : false;
  };
}

function compileInQuery(expression: ExpressionOf<'inQuery'>, scope: Scope): Predicate {
  const operand = compileExpression(expression.operand, scope);
  const query = compileQuery(expression.query, scope);
  const [column] = query.columns;
  if (column === undefined || query.columns.length !== 1)
    throw new SqlError(
      116,
      'Only one expression can be specified in the select list when the subquery is not introduced with EXISTS.',
    );
  let cell: Value = null;
  const [left, right] = comparisonKeys(operand, { type: column.type, run: () => cell });
  let known: { readonly keys: Set<string>; readonly hasNull: boolean } | undefined;
  const collect = (env: Env): { readonly keys: Set<string>; readonly hasNull: boolean } => {
    const keys = new Set<string>();
    let hasNull = false;
    for (const { values } of query.run(env)) {
      cell = values[0] ?? null;
      const key = right(env);
      if (key === null) hasNull = true;
      else keys.add(hashText(key));
    }
    return { keys, hasNull };
  };
  return (env) => {
    const set = known ?? collect(env);
    if (!query.correlated) known = set;
    const key = left(env);
    if (key === null) return set.keys.size === 0 && !set.hasNull ? false : null;
    if (set.keys.has(hashText(key))) return true;
    return set.hasNull ? null : false;
  };
}

/** Splits `a AND b AND c` into its parts. */
export function conjuncts(expression: Expression | undefined): Expression[] {
  if (expression === undefined) return [];
  if (expression.kind === 'logic' && expression.operator === 'and')
    return [...conjuncts(expression.left), ...conjuncts(expression.right)];
  return [expression];
}

export { sortKeyOf };
