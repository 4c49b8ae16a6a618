import type { Expression, Query } from './ast.ts';

/** Direct operands of an expression; queries inside are given apart. */
export function childrenOf(expression: Expression): {
  readonly operands: readonly Expression[];
  readonly queries: readonly Query[];
} {
  switch (expression.kind) {
    case 'unary':
    case 'not':
    case 'isNull':
    case 'collate':
      return { operands: [expression.operand], queries: [] };
    case 'binary':
    case 'compare':
    case 'logic':
      return { operands: [expression.left, expression.right], queries: [] };
    case 'between':
      return { operands: [expression.operand, expression.low, expression.high], queries: [] };
    case 'in':
      return { operands: [expression.operand, ...expression.list], queries: [] };
    case 'inQuery':
      return { operands: [expression.operand], queries: [expression.query] };
    case 'like':
      return {
        operands: [
          expression.operand,
          expression.pattern,
          ...(expression.escape === undefined ? [] : [expression.escape]),
        ],
        queries: [],
      };
    case 'exists':
    case 'subquery':
      return { operands: [], queries: [expression.query] };
    case 'case':
      return {
        operands: [
          ...(expression.operand === undefined ? [] : [expression.operand]),
          ...expression.whens.flatMap(({ when, then }) => [when, then]),
          ...(expression.otherwise === undefined ? [] : [expression.otherwise]),
        ],
        queries: [],
      };
    case 'call':
      return {
        operands: [
          ...expression.args,
          ...(expression.over === undefined
            ? []
            : [...expression.over.partition, ...expression.over.order.map((item) => item.expression)]),
        ],
        queries: [],
      };
    case 'cast':
      return {
        operands: [expression.operand, ...(expression.style === undefined ? [] : [expression.style])],
        queries: [],
      };
    default:
      return { operands: [], queries: [] };
  }
}

/** @returns whether the test holds for the expression or anything in it, queries excluded */
export function someExpression(expression: Expression, test: (expression: Expression) => boolean): boolean {
  return test(expression) || childrenOf(expression).operands.some((operand) => someExpression(operand, test));
}
