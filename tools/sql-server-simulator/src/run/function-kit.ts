import { converter } from '../types/convert.ts';
import { SqlError } from '../types/sql-error.ts';
import type { SqlType, Value } from '../types/sql-type.ts';
import type { Compiled, Context, Env } from './context.ts';

/** What a function's compiler gets besides its compiled arguments. */
export interface CallSite {
  readonly name: string;
  readonly line: number;
  readonly context: Context;
}

export interface FunctionSpec {
  readonly min: number;
  readonly max: number;
  readonly compile: (args: readonly Compiled[], site: CallSite) => Compiled;
}

export function define(min: number, max: number, compile: FunctionSpec['compile']): FunctionSpec {
  return { min, max, compile };
}

/** The argument at a position that the arity check guarantees. */
export function argument(args: readonly Compiled[], position: number): Compiled {
  const found = args[position];
  if (found === undefined) throw new SqlError(174, 'The function requires more arguments.', 15);
  return found;
}

/** The argument's value converted to a type. */
export function as(operand: Compiled, type: SqlType): (env: Env) => Value {
  const convert = converter(operand.type, type);
  return (env) => convert(operand.run(env));
}

/** A function of values that is NULL as soon as one of them is. */
export function strict(
  type: SqlType,
  readers: readonly ((env: Env) => Value)[],
  work: (...values: never[]) => Value,
): Compiled {
  return {
    type,
    run: (env) => {
      const values: Value[] = [];
      for (const read of readers) {
        const value = read(env);
        if (value === null) return null;
        values.push(value);
      }
      return work(...(values as never[]));
    },
  };
}
