import { dayNumber, plusDays, weekdayOf, type IsoDate } from './dates.ts';
import { holidays, holidayYears } from './generated/holidays.ts';

/** The calendars that come with the package: the QuantLib ones of the engine's wheel, as data. */
export type BuiltInCalendar = keyof typeof holidays;
export const builtInCalendars = Object.keys(holidays) as readonly BuiltInCalendar[];

/** What a definition file says of one calendar: its own, or what it corrects in a built-in one. */
export interface CalendarRule {
  /** Closed when any of these is; a built-in name that the rule itself carries is always among them. */
  readonly joins: readonly string[];
  /** Dates that are holidays too. */
  readonly add: readonly IsoDate[];
  /** Dates that are business days after all (weekends too). */
  readonly remove: readonly IsoDate[];
}

export interface BusinessCalendar {
  readonly name: string;
  /** @throws CalendarRangeError for a year that the tables do not hold */
  readonly isBusinessDay: (date: IsoDate) => boolean;
}

/** A date for which nobody can say whether it is a business day. */
export class CalendarRangeError extends Error {
  override readonly name = 'CalendarRangeError';
  readonly calendar: string;
  readonly date: IsoDate;

  constructor(calendar: string, date: IsoDate) {
    super(
      `${calendar} knows the years ${holidayYears[0]} to ${holidayYears[1]}, not ${date}: ` +
        'a later release of the package brings later years',
    );
    this.calendar = calendar;
    this.date = date;
  }
}

/** A name that is neither built in nor in the definition file, or rules that join each other in a circle. */
export class UnknownCalendarError extends Error {
  override readonly name = 'UnknownCalendarError';
  readonly calendar: string;

  constructor(calendar: string, message: string) {
    super(message);
    this.calendar = calendar;
  }
}

const [firstYear, lastYear] = holidayYears;
const parsed = new Map<BuiltInCalendar, ReadonlySet<IsoDate>>();

function holidaysOf(name: BuiltInCalendar): ReadonlySet<IsoDate> {
  let days = parsed.get(name);
  if (days === undefined) {
    const years = Object.entries(holidays[name] as Readonly<Record<string, string>>);
    days = new Set(years.flatMap(([year, list]) => list.split(' ').map((day) => `${year}-${day}`)));
    parsed.set(name, days);
  }
  return days;
}

function builtIn(name: BuiltInCalendar): BusinessCalendar {
  const closed = holidaysOf(name);
  return {
    name,
    isBusinessDay: (date) => {
      const year = Number(date.slice(0, 4));
      dayNumber(date);
      if (year < firstYear || year > lastYear) throw new CalendarRangeError(name, date);
      return weekdayOf(date) <= 5 && !closed.has(date);
    },
  };
}

function isBuiltIn(name: string): name is BuiltInCalendar {
  return Object.hasOwn(holidays, name);
}

/**
 * The calendar of that name, with the corrections of a definition file.
 *
 * @throws UnknownCalendarError naming what is known
 */
export function businessCalendar(
  name: string,
  rules: Readonly<Record<string, CalendarRule>> = {},
  within: readonly string[] = [],
): BusinessCalendar {
  if (within.includes(name)) {
    throw new UnknownCalendarError(name, `calendars join in a circle: ${[...within, name].join(' → ')}`);
  }
  const rule = Object.hasOwn(rules, name) ? rules[name] : undefined;
  const base = isBuiltIn(name) ? [builtIn(name)] : [];
  if (rule === undefined) {
    const [only] = base;
    if (only !== undefined) return only;
    const known = [...builtInCalendars, ...Object.keys(rules).filter((one) => !isBuiltIn(one))].join(', ');
    throw new UnknownCalendarError(name, `there is no calendar "${name}"; there are ${known}`);
  }
  const joined = [...base, ...rule.joins.map((other) => businessCalendar(other, rules, [...within, name]))];
  const add = new Set(rule.add);
  const remove = new Set(rule.remove);
  return {
    name,
    isBusinessDay: (date) => {
      if (remove.has(date)) return true;
      if (add.has(date)) return false;
      if (joined.length === 0) return weekdayOf(date) <= 5;
      return joined.every((calendar) => calendar.isBusinessDay(date));
    },
  };
}

/** Open when every one of them is. */
export function joint(calendars: readonly BusinessCalendar[]): BusinessCalendar {
  return {
    name: calendars.map(({ name }) => name).join('+'),
    isBusinessDay: (date) => calendars.every((calendar) => calendar.isBusinessDay(date)),
  };
}

/** A rule may close every day; nobody looks further than this. */
const furthestDays = 3_660;

/**
 * The as-of date of a rule at a local date: `T` is that date or, when it is no business day, the last one before it;
 * `T-n` the n-th business day strictly before it (so T-1 of a Saturday, Sunday or Monday is the Friday).
 *
 * @throws CalendarRangeError beyond the tables, or when ten years before hold no business day
 */
export function asOfDate(businessDaysBack: number, local: IsoDate, calendar: BusinessCalendar): IsoDate {
  let date = local;
  if (businessDaysBack === 0 && calendar.isBusinessDay(date)) return date;
  let left = Math.max(1, businessDaysBack);
  for (let days = 0; days < furthestDays; days += 1) {
    date = plusDays(date, -1);
    if (calendar.isBusinessDay(date)) left -= 1;
    if (left === 0) return date;
  }
  throw new CalendarRangeError(calendar.name, date);
}
