import { systemFunctions } from './functions-system.ts';
import { jsonFunctions } from './functions-json.ts';
import { timeFunctions } from './functions-time.ts';
import { textFunctions } from './functions-text.ts';
import type { ExpressionOf } from '../sql/ast.ts';
import { expressionKey } from '../sql/ast.ts';
import { rowversionBytes } from '../engine/database.ts';
import { converter } from '../types/convert.ts';
import { decimalOfFloat, rescale } from '../types/decimal.ts';
import { outsideSubset, SqlError } from '../types/sql-error.ts';
import {
  asDecimal,
  commonType,
  decimal,
  family,
  nvarchar,
  type SqlType,
  types,
  type Value,
  varbinary,
} from '../types/sql-type.ts';
import { isAggregate } from './aggregate.ts';
import { comparison } from './compare.ts';
import type { Compiled, Context, Env } from './context.ts';
import { compileExpression, compilePredicate, firstThat, isCondition } from './expression.ts';
import { argument, as, define, type FunctionSpec, strict } from './function-kit.ts';
import type { Scope } from './scope.ts';

const windowOnly = new Set(['ROW_NUMBER', 'RANK', 'DENSE_RANK', 'NTILE', 'LAG', 'LEAD', 'FIRST_VALUE', 'LAST_VALUE']);

/** Value functions on numbers, keeping the type of an exact number. */
function onNumber(
  onDecimal: (value: bigint, type: SqlType) => bigint,
  onFloat: (value: number) => number,
): FunctionSpec {
  return define(1, 1, (args) => {
    const operand = argument(args, 0);
    switch (family(operand.type)) {
      case 'integer':
      case 'bit': {
        const type = operand.type.name === 'bit' ? types.int : operand.type;
        return strict(type, [operand.run], (value: number | bigint) => {
          const result = onDecimal(BigInt(value), decimal(19, 0));
          return type.name === 'bigint' ? result : Number(result);
        });
      }
      case 'decimal':
        return strict(operand.type, [operand.run], (value: bigint) => onDecimal(value, operand.type));
      default:
        return strict(types.float, [as(operand, types.float)], onFloat);
    }
  });
}

function toWhole(direction: 'floor' | 'ceiling'): (value: bigint, type: SqlType) => bigint {
  return (value, { scale }) => {
    const unit = 10n ** BigInt(scale);
    const rest = ((value % unit) + unit) % unit;
    const floor = value - rest;
    return rest !== 0n && direction === 'ceiling' ? floor + unit : floor;
  };
}

const numberFunctions: Readonly<Record<string, FunctionSpec>> = {
  ABS: onNumber((value) => (value < 0n ? -value : value), Math.abs),
  FLOOR: onNumber(toWhole('floor'), Math.floor),
  CEILING: onNumber(toWhole('ceiling'), Math.ceil),
  SIGN: onNumber((value, { scale }) => (value === 0n ? 0n : value < 0n ? -1n : 1n) * 10n ** BigInt(scale), Math.sign),
  SQRT: define(1, 1, (args) =>
    strict(types.float, [as(argument(args, 0), types.float)], (value: number) => Math.sqrt(value)),
  ),
  EXP: define(1, 1, (args) =>
    strict(types.float, [as(argument(args, 0), types.float)], (value: number) => Math.exp(value)),
  ),
  LOG: define(1, 1, (args) =>
    strict(types.float, [as(argument(args, 0), types.float)], (value: number) => Math.log(value)),
  ),
  POWER: define(2, 2, (args) => {
    const operand = argument(args, 0);
    const convert = converter(types.float, family(operand.type) === 'integer' ? operand.type : types.float);
    return strict(
      family(operand.type) === 'integer' ? operand.type : types.float,
      [as(operand, types.float), as(argument(args, 1), types.float)],
      (base: number, exponent: number) => convert(base ** exponent),
    );
  }),
  ROUND: define(2, 3, (args) => {
    const operand = argument(args, 0);
    const digits = as(argument(args, 1), types.int);
    const cut = args[2] === undefined ? () => 0 : as(args[2], types.int);
    const exact = family(operand.type) === 'decimal' || family(operand.type) === 'integer';
    const type = exact ? asDecimal(operand.type) : types.float;
    const back = converter(type, exact ? operand.type : types.float);
    return strict(
      exact ? operand.type : types.float,
      [as(operand, type), digits, cut],
      (value: bigint | number, places: number, truncate: number) => {
        if (typeof value === 'number') {
          const scale = Math.max(Math.min(places, 15), 0);
          return places >= 0
            ? Number(decimalOfFloat(value, scale)) / 10 ** scale
            : Math.round(value / 10 ** -places) * 10 ** -places;
        }
        if (places >= type.scale) return back(value);
        const lost = type.scale - places;
        return back(rescale(value, lost, 0, truncate !== 0) * 10n ** BigInt(lost));
      },
    );
  }),
};

const valueFunctions: Readonly<Record<string, FunctionSpec>> = {
  COALESCE: define(2, 254, (args) =>
    firstThat(
      args.slice(0, -1).map(
        ({ run }) =>
          (env: Env) =>
            run(env) !== null,
      ),
      args,
    ),
  ),
  ISNULL: define(2, 2, (args) => {
    const first = argument(args, 0);
    const second = argument(args, 1);
    const type = first.type.name === 'null' ? second.type : first.type;
    const convert = converter(second.type, type);
    return { type, run: (env) => first.run(env) ?? convert(second.run(env)) };
  }),
  NULLIF: define(2, 2, (args) => {
    const first = argument(args, 0);
    const equal = comparison('=', first, argument(args, 1));
    return { type: first.type, run: (env) => (equal(env) === true ? null : first.run(env)) };
  }),
  GREATEST: define(1, 254, (args) => extreme(args, '>')),
  LEAST: define(1, 254, (args) => extreme(args, '<')),
  NEWID: define(0, 0, (_, { context }) => ({ type: types.uniqueidentifier, run: () => context.session.newId() })),
  NEWSEQUENTIALID: define(0, 0, (_, { context }) => ({
    type: types.uniqueidentifier,
    run: () => context.session.newId(),
  })),
  RAND: define(0, 0, (_, { context }) => ({ type: types.float, run: () => context.session.random() })),
};

function extreme(args: readonly Compiled[], operator: '>' | '<'): Compiled {
  const type = args.map((arg) => arg.type).reduce(commonType);
  const values = args.map((arg) => ({ type, run: as(arg, type) }));
  let best: Value = null;
  let next: Value = null;
  const better = comparison(operator, { type, run: () => next }, { type, run: () => best });
  return {
    type,
    run: (env) => {
      best = null;
      for (const { run } of values) {
        next = run(env);
        if (next !== null && (best === null || better(env) === true)) best = next;
      }
      return best;
    },
  };
}

const registry: Readonly<Record<string, FunctionSpec>> = {
  ...numberFunctions,
  ...valueFunctions,
  ...textFunctions,
  ...timeFunctions,
  ...jsonFunctions,
  ...systemFunctions,
};

/** @returns names of all scalar functions in the subset, for the README's check */
export function functionNames(): readonly string[] {
  return Object.keys(registry).sort();
}

export function compileCall(call: ExpressionOf<'call'>, scope: Scope): Compiled {
  const { name, line } = call;
  if (call.over !== undefined || windowOnly.has(name)) {
    if (call.over === undefined) throw new SqlError(10753, `The function '${name}' must have an OVER clause.`, 15);
    if (scope.window === undefined)
      throw new SqlError(4108, 'Windowed functions can only appear in the SELECT or ORDER BY clauses.', 15);
    return slotReader(scope.window(call));
  }
  if (isAggregate(name)) {
    if (scope.grouping === undefined)
      throw new SqlError(
        147,
        'An aggregate may not appear in the WHERE clause unless it is in a subquery contained in a HAVING clause or a select list, and the column being aggregated is an outer reference.',
        15,
      );
    return slotReader(scope.grouping.aggregate(call));
  }
  if (name === 'IIF') return compileIif(call, scope);
  const spec = Object.hasOwn(registry, name) ? registry[name] : undefined;
  if (spec === undefined) throw outsideSubset(`function ${name}`, line);
  if (call.args.length < spec.min || call.args.length > spec.max) {
    throw new SqlError(
      174,
      `The ${name.toLowerCase()} function requires ${spec.min === spec.max ? spec.min : `${spec.min} to ${spec.max}`} argument(s).`,
      15,
    );
  }
  if (call.args.some(isCondition)) throw outsideSubset(`a condition as argument of ${name}`, line);
  return spec.compile(
    call.args.map((arg) => compileExpression(arg, scope)),
    { name, line, context: scope.context },
  );
}

function slotReader({ slot, type }: { readonly slot: number; readonly type: SqlType }): Compiled {
  return { type, run: (env) => env.slots[slot] ?? null };
}

function compileIif(call: ExpressionOf<'call'>, scope: Scope): Compiled {
  const [condition, yes, no] = call.args;
  if (condition === undefined || yes === undefined || no === undefined || call.args.length !== 3)
    throw new SqlError(174, 'The iif function requires 3 argument(s).', 15);
  return firstThat([compilePredicate(condition, scope)], [compileExpression(yes, scope), compileExpression(no, scope)]);
}

export const versionText =
  'SQL Server simulator (not Microsoft SQL Server): a T-SQL subset over TDS 7.4, for tests and demonstrations';

/** `@@NAME` values in the subset. */
export function globalVariable(name: string, line: number, context: Context): Compiled {
  const { session, database } = context;
  switch (name) {
    case '@@ROWCOUNT':
      return { type: types.int, run: () => session.rowCount };
    case '@@TRANCOUNT':
      return { type: types.int, run: () => session.transactionCount };
    case '@@ERROR':
      return { type: types.int, run: () => session.lastError };
    case '@@IDENTITY':
      return { type: decimal(38, 0), run: () => session.lastIdentity ?? null };
    case '@@SPID':
      return { type: types.smallint, run: () => session.id };
    case '@@VERSION':
      return { type: nvarchar(300), run: () => versionText };
    case '@@SERVERNAME':
      return { type: nvarchar(128), run: () => 'SQL-SIMULATOR' };
    case '@@SERVICENAME':
      return { type: nvarchar(128), run: () => 'SIMULATOR' };
    case '@@DBTS':
      return { type: varbinary(8), run: () => rowversionBytes(database.dbts) };
    case '@@LOCK_TIMEOUT':
      return { type: types.int, run: () => session.lockTimeoutMs };
    case '@@NESTLEVEL':
      return { type: types.int, run: () => session.nestLevel };
    case '@@MAX_PRECISION':
      return { type: types.tinyint, run: () => 38 };
    case '@@DATEFIRST':
      return { type: types.tinyint, run: () => 7 };
    case '@@LANGUAGE':
      return { type: nvarchar(128), run: () => 'us_english' };
    case '@@OPTIONS':
      return { type: types.int, run: () => 5496 };
    default:
      throw outsideSubset(name, line);
  }
}

export { expressionKey };
