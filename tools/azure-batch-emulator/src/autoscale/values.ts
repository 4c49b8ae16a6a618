import type { Micros } from '../time.ts';
import { FormulaEvaluationError, type Place } from './errors.ts';

export type Value =
  | { readonly kind: 'double'; readonly value: number }
  | { readonly kind: 'doubleVec'; readonly values: readonly number[] }
  | { readonly kind: 'string'; readonly value: string }
  | { readonly kind: 'timestamp'; readonly at: Micros }
  /** Microseconds; 100 ns is a tenth. */
  | { readonly kind: 'timeinterval'; readonly length: number }
  /** A metric: its samples are asked for by methods. */
  | { readonly kind: 'metric'; readonly name: string };

export const double = (value: number): Value => ({ kind: 'double', value });
export const doubleVec = (values: readonly number[]): Value => ({ kind: 'doubleVec', values });
export const timeinterval = (length: number): Value => ({ kind: 'timeinterval', length });
export const timestamp = (at: Micros): Value => ({ kind: 'timestamp', at });

const second = 1_000_000;
const day = 86_400 * second;

export const constants: Readonly<Record<string, Value>> = {
  TimeInterval_Zero: timeinterval(0),
  TimeInterval_100ns: timeinterval(0.1),
  TimeInterval_Microsecond: timeinterval(1),
  TimeInterval_Millisecond: timeinterval(1000),
  TimeInterval_Second: timeinterval(second),
  TimeInterval_Minute: timeinterval(60 * second),
  TimeInterval_Hour: timeinterval(3600 * second),
  TimeInterval_Day: timeinterval(day),
  TimeInterval_Week: timeinterval(7 * day),
  TimeInterval_Year: timeinterval(365 * day),
  ...Object.fromEntries(
    ['requeue', 'terminate', 'taskcompletion', 'retaineddata'].map((value) => [value, { kind: 'string', value }]),
  ),
};

const arithmetic: Readonly<Record<string, (left: number, right: number) => number>> = {
  '+': (left, right) => left + right,
  '-': (left, right) => left - right,
  '*': (left, right) => left * right,
  '/': (left, right) => left / right,
};

type Ordered = number | string;
const comparisons: Readonly<Record<string, (left: Ordered, right: Ordered) => boolean>> = {
  '<': (left, right) => left < right,
  '<=': (left, right) => left <= right,
  '==': (left, right) => left === right,
  '>=': (left, right) => left >= right,
  '>': (left, right) => left > right,
  '!=': (left, right) => left !== right,
};

function orderOf(value: Value): Ordered | undefined {
  if (value.kind === 'double' || value.kind === 'string') return value.value;
  if (value.kind === 'timestamp') return value.at;
  return value.kind === 'timeinterval' ? value.length : undefined;
}

function calculate(operator: string, left: Value, right: Value): Value | undefined {
  const compute = arithmetic[operator] as (left: number, right: number) => number;
  const scale = operator === '*' || operator === '/';
  const shift = operator === '+' || operator === '-';
  if (left.kind === 'double' && right.kind === 'double') return double(compute(left.value, right.value));
  if (left.kind === 'doubleVec' && right.kind === 'double') {
    return doubleVec(left.values.map((value) => compute(value, right.value)));
  }
  if (left.kind === 'doubleVec' && right.kind === 'doubleVec' && left.values.length === right.values.length) {
    return doubleVec(left.values.map((value, index) => compute(value, right.values[index] ?? NaN)));
  }
  if (left.kind === 'double' && right.kind === 'timeinterval' && operator === '*') {
    return timeinterval(left.value * right.length);
  }
  if (left.kind === 'timeinterval' && right.kind === 'double' && scale) {
    return timeinterval(compute(left.length, right.value));
  }
  if (left.kind === 'timeinterval' && right.kind === 'timeinterval' && shift) {
    return timeinterval(compute(left.length, right.length));
  }
  if (left.kind === 'timeinterval' && right.kind === 'timestamp' && operator === '+') {
    return timestamp(left.length + right.at);
  }
  if (left.kind === 'timestamp' && right.kind === 'timeinterval' && operator === '+') {
    return timestamp(left.at + right.length);
  }
  if (left.kind === 'timestamp' && right.kind === 'timestamp' && operator === '-') {
    return timeinterval(left.at - right.at);
  }
  return undefined;
}

/** The operations of the documented table, and no others. @throws FormulaEvaluationError */
export function operate(place: Place, operator: string, left: Value, right: Value): Value {
  const compare = comparisons[operator];
  if (compare !== undefined && left.kind === right.kind) {
    const [first, second] = [orderOf(left), orderOf(right)];
    if (first !== undefined && second !== undefined) return double(Number(compare(first, second)));
  }
  const result = compare === undefined ? calculate(operator, left, right) : undefined;
  if (result !== undefined) return result;
  const lengths = left.kind === 'doubleVec' && right.kind === 'doubleVec' ? ' of different lengths' : '';
  throw new FormulaEvaluationError(
    place,
    `Operator ${operator} does not take ${left.kind} and ${right.kind}${lengths}`,
  );
}

const members: Readonly<Record<string, (date: Date) => number>> = {
  year: (date) => date.getUTCFullYear(),
  month: (date) => date.getUTCMonth() + 1,
  day: (date) => date.getUTCDate(),
  weekday: (date) => date.getUTCDay(),
  hour: (date) => date.getUTCHours(),
  minute: (date) => date.getUTCMinutes(),
  second: (date) => date.getUTCSeconds(),
};

/** A member of a timestamp, in UTC; `weekday` counts from Sunday = 0. @throws FormulaEvaluationError */
export function memberOf(place: Place, value: Value, name: string): Value {
  const read = Object.hasOwn(members, name) ? members[name] : undefined;
  if (value.kind !== 'timestamp' || read === undefined) {
    throw new FormulaEvaluationError(place, `A ${value.kind} has no member ${name}`);
  }
  return double(read(new Date(value.at / 1000)));
}

/** A value as the results of an evaluation show it. */
export function show(value: Value): string {
  if (value.kind === 'double') return String(value.value);
  if (value.kind === 'doubleVec') return `[${value.values.join(',')}]`;
  if (value.kind === 'string') return value.value;
  if (value.kind === 'metric') return `$${value.name}`;
  if (value.kind === 'timestamp') return new Date(value.at / 1000).toISOString();
  const total = Math.trunc(Math.abs(value.length) / second);
  const two = (number: number): string => String(number).padStart(2, '0');
  const clock = [total / 3600, (total / 60) % 60, total % 60].map(Math.trunc);
  const days = Math.trunc(total / 86_400);
  const time = [(clock[0] ?? 0) % 24, clock[1] ?? 0, clock[2] ?? 0].map(two).join(':');
  return `${value.length < 0 ? '-' : ''}${days === 0 ? '' : `${days}.`}${time}`;
}
