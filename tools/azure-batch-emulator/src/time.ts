/** Microseconds since the Unix epoch: fits a SQLite integer and a double exactly, and is finer than any client reads. */
export type Micros = number;

/** Gives strictly increasing times, so that a time can also serve as an entity's version (its ETag). */
export class Stamps {
  #last: Micros;
  readonly #now: () => number;

  /** @param now milliseconds since the epoch · @param floor the last time already given out (from the durable state) */
  constructor(now: () => number, floor: Micros = 0) {
    this.#now = now;
    this.#last = floor;
  }

  next(): Micros {
    this.#last = Math.max(Math.floor(this.#now() * 1000), this.#last + 1);
    return this.#last;
  }
}

/** `2020-11-23T23:23:56.63654Z`: trailing zeros of the fraction are trimmed, as the service does. */
export function isoTime(micros: Micros): string {
  const seconds = new Date(Math.floor(micros / 1000)).toISOString().slice(0, 19);
  const fraction = String(micros % 1_000_000)
    .padStart(6, '0')
    .replace(/0+$/, '');
  return fraction === '' ? `${seconds}Z` : `${seconds}.${fraction}Z`;
}

/** RFC 1123 date of a `last-modified` header (whole seconds, rounded down). */
export function httpDate(micros: Micros): string {
  return new Date(Math.floor(micros / 1000)).toUTCString();
}

export function etagOf(micros: Micros): string {
  return `0x8D${micros.toString(16).toUpperCase()}`;
}

/** Reads ISO 8601 (fractions to the microsecond) or RFC 1123; undefined when it is neither. */
export function parseTime(text: string): Micros | undefined {
  const iso = /^(\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2})(?:\.(\d+))?(Z|[+-]\d{2}:\d{2})$/i.exec(text);
  if (iso !== null) {
    const whole = Date.parse(`${iso[1] ?? ''}${iso[3] ?? 'Z'}`);
    return Number.isNaN(whole) ? undefined : whole * 1000 + Number((iso[2] ?? '').padEnd(6, '0').slice(0, 6));
  }
  if (!/^[A-Za-z]{3}, \d{1,2} [A-Za-z]{3} \d{4} \d{2}:\d{2}:\d{2} GMT$/.test(text)) return undefined;
  const whole = Date.parse(text);
  return Number.isNaN(whole) ? undefined : whole * 1000;
}

const ticksPerSecond = 10_000_000n;
const ticksPerDay = 86_400n * ticksPerSecond;
const maxTicks = 9_223_372_036_854_775_807n;

/** "No limit", as the service echoes it: the longest .NET TimeSpan. */
export const unlimited = 'P10675199DT2H48M5.4775807S';

/** ISO 8601 duration in 100 ns ticks (a year is 365 days, a month 30), or undefined when malformed or too long. */
export function durationTicks(text: string): bigint | undefined {
  const pattern =
    /^P(?:(\d{1,9})Y)?(?:(\d{1,9})M)?(?:(\d{1,9})W)?(?:(\d{1,9})D)?(?:T(?:(\d{1,12})H)?(?:(\d{1,12})M)?(?:(\d{1,12})(?:\.(\d{1,7}))?S)?)?$/;
  const found = pattern.exec(text);
  if (found === null || /^P$|T$/.test(text)) return undefined;
  const part = (index: number): bigint => BigInt(found[index] ?? '0');
  const days = part(1) * 365n + part(2) * 30n + part(3) * 7n + part(4);
  const seconds = part(5) * 3600n + part(6) * 60n + part(7);
  const ticks = days * ticksPerDay + seconds * ticksPerSecond + BigInt((found[8] ?? '').padEnd(7, '0'));
  return ticks > maxTicks ? undefined : ticks;
}

/** Writes ticks as .NET does: `P1279DT12H30M5S`, `PT0S`. */
export function formatDuration(ticks: bigint): string {
  const days = ticks / ticksPerDay;
  const seconds = (ticks % ticksPerDay) / ticksPerSecond;
  const fraction = String(ticks % ticksPerSecond)
    .padStart(7, '0')
    .replace(/0+$/, '');
  const parts: [bigint, string][] = [
    [seconds / 3600n, 'H'],
    [(seconds / 60n) % 60n, 'M'],
  ];
  let clock = parts.map(([count, unit]) => (count === 0n ? '' : `${count}${unit}`)).join('');
  const rest = seconds % 60n;
  if (rest !== 0n || fraction !== '') clock += `${rest}${fraction === '' ? '' : `.${fraction}`}S`;
  if (days === 0n && clock === '') return 'PT0S';
  return `P${days === 0n ? '' : `${days}D`}${clock === '' ? '' : `T${clock}`}`;
}

/** A duration in microseconds, or undefined when it is "no limit" (longer than any process will live). */
export function durationMicros(text: string): Micros | undefined {
  const ticks = durationTicks(text);
  return ticks === undefined || ticks > 36_500n * ticksPerDay ? undefined : Number(ticks / 10n);
}
