import { parseTime, type Micros } from '../time.ts';
import { FormulaEvaluationError, type Place } from './errors.ts';
import { double, doubleVec, timestamp, type Value } from './values.ts';

export interface FunctionContext {
  readonly now: Micros;
  /** In [0, 1). */
  readonly random: () => number;
}

/** Thrown by `stop()`: the formula ends here and what was set so far counts. */
export class StopEvaluation extends Error {
  override readonly name = 'StopEvaluation';
}

function fail(place: Place, message: string): never {
  throw new FormulaEvaluationError(place, message);
}

/** All doubles and vectors of the arguments as one vector. */
function listOf(place: Place, name: string, args: readonly Value[]): number[] {
  return args.flatMap((arg) => {
    if (arg.kind === 'double') return [arg.value];
    if (arg.kind === 'doubleVec') return [...arg.values];
    return fail(place, `Function ${name} does not take a ${arg.kind}`);
  });
}

const mean = (values: readonly number[]): number => values.reduce((sum, value) => sum + value, 0) / values.length;

/** Functions of a list that give a double; `empty` says what the empty list gives, if anything. */
const aggregates: Readonly<Record<string, { of: (values: readonly number[]) => number; empty?: number }>> = {
  avg: { of: mean },
  len: { of: (values) => values.length, empty: 0 },
  max: { of: (values) => values.reduce((most, value) => Math.max(most, value)) },
  min: { of: (values) => values.reduce((least, value) => Math.min(least, value)) },
  norm: { of: (values) => Math.sqrt(values.reduce((sum, value) => sum + value * value, 0)), empty: 0 },
  range: {
    of: (values) =>
      values.reduce((most, value) => Math.max(most, value)) - values.reduce((least, value) => Math.min(least, value)),
  },
  std: {
    of: (values) => {
      const centre = mean(values);
      const squares = values.reduce((sum, value) => sum + (value - centre) ** 2, 0);
      return values.length === 1 ? 0 : Math.sqrt(squares / (values.length - 1));
    },
  },
  sum: { of: (values) => values.reduce((sum, value) => sum + value, 0), empty: 0 },
};

/** Functions that work on each component; one double gives a double. */
const componentwise: Readonly<Record<string, (value: number) => number>> = {
  ceil: Math.ceil,
  exp: Math.exp,
  floor: Math.floor,
  lg: Math.log2,
  ln: Math.log,
  log: Math.log10,
  round: Math.round,
};

/** W3C-DTF (a year, a month, a day, or a full time with its zone) or RFC 1123. */
function readTime(text: string): Micros | undefined {
  if (/^\d{4}(-\d{2}(-\d{2})?)?$/.test(text)) {
    const at = Date.parse(`${text}${'-01'.repeat(3 - text.split('-').length)}T00:00:00Z`);
    return Number.isNaN(at) ? undefined : at * 1000;
  }
  const short = /^(\d{4}-\d{2}-\d{2}T\d{2}:\d{2})(Z|[+-]\d{2}:\d{2})$/.exec(text);
  return parseTime(short === null ? text : `${short[1] ?? ''}:00${short[2] ?? ''}`);
}

function exactly(place: Place, name: string, args: readonly Value[], count: number): void {
  if (args.length !== count) fail(place, `Function ${name} takes ${count} argument${count === 1 ? '' : 's'}`);
}

function vectorAndNumber(place: Place, name: string, args: readonly Value[]): readonly [readonly number[], number] {
  exactly(place, name, args, 2);
  const [vector, number] = args;
  if (vector?.kind !== 'doubleVec' || number?.kind !== 'double')
    fail(place, `Function ${name} takes a doubleVec and a double`);
  return [vector.values, number.value];
}

/** Calls a predefined function. @throws FormulaEvaluationError, StopEvaluation */
export function callFunction(place: Place, name: string, args: readonly Value[], context: FunctionContext): Value {
  const aggregate = Object.hasOwn(aggregates, name) ? aggregates[name] : undefined;
  if (aggregate !== undefined) {
    const values = listOf(place, name, args);
    if (values.length > 0) return double(aggregate.of(values));
    return aggregate.empty === undefined
      ? fail(place, `Function ${name} has no value for an empty list`)
      : double(aggregate.empty);
  }
  const component = Object.hasOwn(componentwise, name) ? componentwise[name] : undefined;
  if (component !== undefined) {
    const [only] = args;
    if (args.length === 1 && only?.kind === 'double') return double(component(only.value));
    return doubleVec(listOf(place, name, args).map(component));
  }
  switch (name) {
    case 'rand':
      exactly(place, name, args, 0);
      return double(context.random());
    case 'stop':
      exactly(place, name, args, 0);
      throw new StopEvaluation();
    case 'time': {
      const [text] = args;
      if (text === undefined || (text.kind === 'string' && text.value === '')) return timestamp(context.now);
      if (args.length > 1 || text.kind !== 'string') fail(place, 'Function time takes one string');
      const at = readTime(text.value);
      return at === undefined ? fail(place, `'${text.value}' is neither W3C-DTF nor RFC 1123`) : timestamp(at);
    }
    case 'val': {
      const [values, index] = vectorAndNumber(place, name, args);
      const value = values[Math.trunc(index)];
      return value === undefined || index < 0
        ? fail(place, `Index ${index} is outside the vector of ${values.length}`)
        : double(value);
    }
    case 'percentile': {
      const [values, percent] = vectorAndNumber(place, name, args);
      if (values.length === 0 || !(percent >= 0 && percent <= 100)) {
        fail(place, 'Function percentile takes a vector with elements and a number from 0 to 100');
      }
      const sorted = [...values].sort((left, right) => left - right);
      return double(sorted[Math.max(0, Math.ceil((percent / 100) * sorted.length) - 1)] ?? 0);
    }
    default:
      return fail(place, `There is no function ${name}`);
  }
}
