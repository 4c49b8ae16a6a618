import type { Sample } from '../store/accounting.ts';
import type { Micros } from '../time.ts';
import { FormulaEvaluationError, InsufficientSamplesError, type Place } from './errors.ts';
import { double, doubleVec, timeinterval, timestamp, type Value } from './values.ts';

/** Metrics that a formula reads (documented table of read-only variables), without their `$`. */
export const metricNames = [
  'CPUPercent', 'WallClockSeconds', 'MemoryBytes', 'DiskBytes', 'DiskReadBytes', 'DiskWriteBytes', 'DiskReadOps',
  'DiskWriteOps', 'NetworkInBytes', 'NetworkOutBytes', 'SampleNodeCount', 'ActiveTasks', 'RunningTasks', 'PendingTasks',
  'SucceededTasks', 'FailedTasks', 'CurrentDedicatedNodes', 'CurrentLowPriorityNodes', 'PreemptedNodeCount',
  'UsableNodeCount',
] as const; // prettier-ignore
export type MetricName = (typeof metricNames)[number];

/** Metrics that also stand for their present value where a double is wanted. */
export const presentMetrics: ReadonlySet<string> = new Set([
  'SampleNodeCount', 'CurrentDedicatedNodes', 'CurrentLowPriorityNodes', 'PreemptedNodeCount', 'UsableNodeCount',
]); // prettier-ignore

export interface History {
  readonly now: Micros;
  /** Time between two samples. */
  readonly period: Micros;
  /** The oldest first. */
  readonly samples: readonly Sample[];
}

interface Span {
  readonly from: Micros;
  readonly to: Micros;
}

function momentOf(place: Place, value: Value, now: Micros): Micros {
  if (value.kind === 'timestamp') return value.at;
  if (value.kind === 'timeinterval') return now - value.length;
  throw new FormulaEvaluationError(place, `Expected a timestamp or a timeinterval, found a ${value.kind}`);
}

/** From one moment (or that long ago) to another, or to now; in whichever order they are given. */
function spanOf(place: Place, args: readonly Value[], now: Micros): Span {
  const [first, second] = args.map((arg) => momentOf(place, arg, now));
  const one = first ?? now;
  const other = second ?? now;
  return { from: Math.min(one, other), to: Math.max(one, other) };
}

function within(history: History, { from, to }: Span): readonly Sample[] {
  return history.samples.filter(({ at }) => at > from && at <= to);
}

/** Samples that there are, in percent of those that there could be. */
function percentOf(history: History, span: Span): number {
  const possible = Math.max(1, Math.floor((span.to - span.from) / history.period));
  return Math.min(100, Math.round((within(history, span).length / possible) * 100));
}

function getSample(place: Place, metric: string, args: readonly Value[], history: History): Value {
  const valuesOf = (samples: readonly Sample[]): Value => doubleVec(samples.map(({ metrics }) => metrics[metric] ?? 0));
  const [first, second, third] = args;
  if (first?.kind === 'double') {
    if (args.length > 1 || first.value < 1) {
      throw new FormulaEvaluationError(place, 'GetSample takes one positive number of samples');
    }
    const count = Math.floor(first.value);
    const samples = history.samples.slice(-count);
    if (samples.length < count) {
      throw new InsufficientSamplesError(place, metric, 100, Math.floor((samples.length / count) * 100));
    }
    return valuesOf(samples);
  }
  const percent = second?.kind === 'double' ? second : third;
  const span = spanOf(place, percent === second ? args.slice(0, 1) : args.slice(0, 2), history.now);
  const extra = args.length > (percent === second ? 2 : 3);
  if (first === undefined || extra || (percent !== undefined && percent.kind !== 'double')) {
    throw new FormulaEvaluationError(place, 'GetSample takes (count), (start [, percent]) or (start, end [, percent])');
  }
  // Without a percentage some data must be there: an empty vector has no average.
  const wanted = percent?.value ?? 1;
  const received = percentOf(history, span);
  const samples = within(history, span);
  if (received < wanted || samples.length === 0) throw new InsufficientSamplesError(place, metric, wanted, received);
  return valuesOf(samples);
}

/** Calls a method of a metric. @throws FormulaEvaluationError, InsufficientSamplesError */
export function callMethod(
  place: Place,
  metric: string,
  name: string,
  args: readonly Value[],
  history: History,
): Value {
  if (name === 'GetSample') return getSample(place, metric, args, history);
  if (name === 'GetSamplePercent') {
    if (args.length < 1 || args.length > 2)
      throw new FormulaEvaluationError(place, 'GetSamplePercent takes (start [, end])');
    return double(percentOf(history, spanOf(place, args, history.now)));
  }
  if (args.length > 0) throw new FormulaEvaluationError(place, `Method ${name} takes no arguments`);
  if (name === 'GetSamplePeriod') return timeinterval(history.period);
  if (name === 'Count') return double(history.samples.length);
  if (name === 'HistoryBeginTime') return timestamp(history.samples[0]?.at ?? history.now);
  throw new FormulaEvaluationError(place, `A metric has no method ${name}`);
}
