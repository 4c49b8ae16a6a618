/** A calendar date, `YYYY-MM-DD`, of the proleptic Gregorian calendar; it has no time zone. */
export type IsoDate = string;

const dayMs = 86_400_000;

/** Days since 1970-01-01. @throws RangeError for what is no date */
export function dayNumber(date: IsoDate): number {
  const at = /^\d{4}-\d{2}-\d{2}$/.test(date) ? Date.parse(`${date}T00:00:00Z`) : NaN;
  // Date.parse takes 2026-02-30 for the second of March in some engines.
  if (Number.isNaN(at) || new Date(at).toISOString().slice(0, 10) !== date) {
    throw new RangeError(`${date} is no date (YYYY-MM-DD)`);
  }
  return at / dayMs;
}

export function plusDays(date: IsoDate, days: number): IsoDate {
  return new Date((dayNumber(date) + days) * dayMs).toISOString().slice(0, 10);
}

/** 1 (Monday) to 7 (Sunday), as ISO 8601 counts. */
export function weekdayOf(date: IsoDate): number {
  return ((((dayNumber(date) + 3) % 7) + 7) % 7) + 1;
}

const formats = new Map<string, Intl.DateTimeFormat>();

/** The date on the wall of `timezone` (IANA) at an instant. */
export function localDate(instant: Date, timezone: string): IsoDate {
  let format = formats.get(timezone);
  if (format === undefined) {
    const parts = { year: 'numeric', month: '2-digit', day: '2-digit' } as const;
    format = new Intl.DateTimeFormat('en-CA', { timeZone: timezone, calendar: 'gregory', ...parts });
    formats.set(timezone, format);
  }
  return format.format(instant);
}
