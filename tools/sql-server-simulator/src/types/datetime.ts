import type { OffsetTime } from './sql-type.ts';

export const ticksPerSecond = 10_000_000n;
export const ticksPerDay = 864_000_000_000n;
const ticksPerDayNumber = 864_000_000_000;
/** Days from 0001-01-01 to 1970-01-01. */
export const unixEpochDay = 719_162;
export const maxDay = 3_652_058;

/** @returns days since 0001-01-01 (proleptic Gregorian), or undefined when it is no date */
export function dayNumber(year: number, month: number, day: number): number | undefined {
  if (year < 1 || year > 9999 || month < 1 || month > 12 || day < 1) return undefined;
  const date = new Date(0);
  date.setUTCFullYear(year, month - 1, day);
  if (date.getUTCMonth() !== month - 1) return undefined;
  return Math.round(date.getTime() / 86_400_000) + unixEpochDay;
}

export interface DateParts {
  readonly year: number;
  readonly month: number;
  readonly day: number;
}

export function datePartsOf(day: number): DateParts {
  const date = new Date((day - unixEpochDay) * 86_400_000);
  return { year: date.getUTCFullYear(), month: date.getUTCMonth() + 1, day: date.getUTCDate() };
}

export function splitTicks(ticks: bigint): { readonly day: number; readonly time: number } {
  let day = ticks / ticksPerDay;
  let time = ticks - day * ticksPerDay;
  if (time < 0n) {
    day -= 1n;
    time += ticksPerDay;
  }
  return { day: Number(day), time: Number(time) };
}

export function joinTicks(day: number, time: number): bigint {
  return BigInt(day) * ticksPerDay + BigInt(time);
}

function pad(value: number, width: number): string {
  return value.toString().padStart(width, '0');
}

export function dateText(day: number): string {
  const { year, month, day: dayOfMonth } = datePartsOf(day);
  return `${pad(year, 4)}-${pad(month, 2)}-${pad(dayOfMonth, 2)}`;
}

/** @returns `hh:mm:ss` and, with a scale above 0, exactly that many fraction digits */
export function timeText(time: number, scale: number): string {
  const seconds = Math.floor(time / 10_000_000);
  const fraction = pad(time - seconds * 10_000_000, 7).slice(0, scale);
  const clock = `${pad(Math.floor(seconds / 3600), 2)}:${pad(Math.floor(seconds / 60) % 60, 2)}:${pad(seconds % 60, 2)}`;
  return scale === 0 ? clock : `${clock}.${fraction}`;
}

export function offsetText(offset: number): string {
  const size = Math.abs(offset);
  return `${offset < 0 ? '-' : '+'}${pad(Math.floor(size / 60), 2)}:${pad(size % 60, 2)}`;
}

/** Rounds ticks of 100 ns to `scale` fraction digits, half up. */
export function roundTicks(ticks: bigint, scale: number): bigint {
  if (scale >= 7) return ticks;
  const unit = 10n ** BigInt(7 - scale);
  return ((ticks + unit / 2n) / unit) * unit;
}

/** The old datetime keeps thirds of a hundredth: its millisecond ends in 0, 3 or 7. */
export function roundToDatetime(ticks: bigint): bigint {
  const { day, time } = splitTicks(ticks);
  const thirds = Math.round((time * 300) / 10_000_000);
  return joinTicks(day, Math.round((thirds * 10_000_000) / 300 / 10_000) * 10_000);
}

export interface ParsedMoment {
  readonly day: number | undefined;
  readonly time: number | undefined;
  readonly offset: number | undefined;
}

const moment =
  /^\s*(?:(\d{4})-(\d{1,2})-(\d{1,2})|(\d{4})(\d{2})(\d{2}))?(?:[T ]?\s*(\d{1,2}):(\d{2})(?::(\d{2})(?:\.(\d{1,9}))?)?)?\s*(Z|[+-]\d{2}:\d{2})?\s*$/i;

/** Parses ISO 8601 and ODBC forms (`2026-01-02T03:04:05.1234567+01:00`, `20260102`); undefined when it is none. */
export function parseMoment(text: string): ParsedMoment | undefined {
  const match = moment.exec(text);
  if (match === null || text.trim() === '') return undefined;
  const [, y1, m1, d1, y2, m2, d2, hour, minute, second, fraction, zone] = match;
  const year = y1 ?? y2;
  let day: number | undefined;
  if (year !== undefined) {
    day = dayNumber(Number(year), Number(m1 ?? m2), Number(d1 ?? d2));
    if (day === undefined) return undefined;
  }
  let time: number | undefined;
  if (hour !== undefined) {
    if (Number(hour) > 23 || Number(minute) > 59 || Number(second ?? 0) > 59) return undefined;
    const digits = (fraction ?? '').padEnd(8, '0');
    const ticks = Number(digits.slice(0, 7)) + (Number(digits[7]) >= 5 ? 1 : 0);
    time = ((Number(hour) * 60 + Number(minute)) * 60 + Number(second ?? 0)) * 10_000_000 + ticks;
  }
  if (day === undefined && time === undefined) return undefined;
  let offset: number | undefined;
  if (zone !== undefined) {
    if (time === undefined) return undefined;
    offset =
      zone.toUpperCase() === 'Z'
        ? 0
        : (zone.startsWith('-') ? -1 : 1) * (Number(zone.slice(1, 3)) * 60 + Number(zone.slice(4, 6)));
    if (Math.abs(offset) > 840) return undefined;
  }
  return { day, time: time === undefined ? undefined : Math.min(time, ticksPerDayNumber - 1), offset };
}

export function localTicks(value: OffsetTime): bigint {
  return value.ticks + BigInt(value.offset) * 60n * ticksPerSecond;
}

/** @returns 100 ns ticks since 0001-01-01 of a UNIX time in nanoseconds */
export function ticksOfUnixNanoseconds(nanoseconds: bigint): bigint {
  return nanoseconds / 100n + BigInt(unixEpochDay) * ticksPerDay;
}
