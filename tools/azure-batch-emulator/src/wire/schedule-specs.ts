import { durationTicks, formatDuration, isoTime, parseTime } from '../time.ts';
import { duration, identifier, invalid, object, required, text, type Check } from './shape.ts';
import { addedJobFields, coherent, nameValues } from './specs.ts';
import type { ScheduleTimes } from './spec-types.ts';

export const dateTime: Check = (value, path) => {
  const at = typeof value === 'string' ? parseTime(value) : undefined;
  if (at === undefined) throw invalid(path, value, 'it is not an ISO 8601 date and time');
  return isoTime(at);
};

/** At least this many seconds. */
const atLeast =
  (seconds: number): Check =>
  (value, path) => {
    const given = duration(value, path) as string;
    const least = BigInt(Math.round(seconds * 10_000_000));
    if ((durationTicks(given) ?? 0n) < least)
      throw invalid(path, value, `it must be at least ${formatDuration(least)}`);
    return given;
  };

export const between =
  (least: number, most: number): Check =>
  (value, path) => {
    const given = atLeast(least)(value, path) as string;
    const ticks = BigInt(most) * 10_000_000n;
    if ((durationTicks(given) ?? 0n) > ticks) throw invalid(path, value, `it must not exceed ${formatDuration(ticks)}`);
    return given;
  };

/** The shortest times that Azure takes, which a configuration may shorten. */
export interface Shortest {
  readonly scheduleSeconds: number;
  readonly autoscaleSeconds: number;
}

function scheduleFields(shortest: Shortest) {
  const times = object({
    doNotRunUntil: dateTime,
    doNotRunAfter: dateTime,
    startWindow: atLeast(shortest.scheduleSeconds),
    recurrenceInterval: atLeast(shortest.scheduleSeconds),
  });
  const schedule: Check = (value, path) => {
    const given = times(value, path) as ScheduleTimes;
    const until = parseTime(given.doNotRunUntil ?? '');
    const after = parseTime(given.doNotRunAfter ?? '');
    if (until !== undefined && after !== undefined && after <= until) {
      throw invalid(`${path}.doNotRunAfter`, given.doNotRunAfter, 'it must be later than doNotRunUntil');
    }
    return given;
  };
  return { schedule, jobSpecification: coherent(object(addedJobFields)), metadata: nameValues };
}
export const scheduleShape = (shortest: Shortest): Check => {
  const { jobSpecification, ...fields } = scheduleFields(shortest);
  return object({
    id: required(identifier),
    displayName: text({ max: 1024 }),
    ...fields,
    jobSpecification: required(jobSpecification),
  });
};
export const schedulePatchShape = (shortest: Shortest): Check => object(scheduleFields(shortest));
export const schedulePutShape = (shortest: Shortest): Check => {
  const { jobSpecification, ...fields } = scheduleFields(shortest);
  return object({ ...fields, jobSpecification: required(jobSpecification) });
};
