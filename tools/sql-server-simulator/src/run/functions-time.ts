import { converter } from '../types/convert.ts';
import {
  datePartsOf,
  dayNumber,
  joinTicks,
  localTicks,
  maxDay,
  roundToDatetime,
  splitTicks,
  ticksPerDay,
  ticksPerSecond,
} from '../types/datetime.ts';
import { outsideSubset, SqlError } from '../types/sql-error.ts';
import { family, nvarchar, type OffsetTime, type SqlType, types, type Value, valueText } from '../types/sql-type.ts';
import { type Compiled, emptyEnv } from './context.ts';
import { argument, as, type CallSite, define, type FunctionSpec, strict } from './function-kit.ts';

type Unit =
  | 'year'
  | 'quarter'
  | 'month'
  | 'week'
  | 'day'
  | 'dayofyear'
  | 'weekday'
  | 'hour'
  | 'minute'
  | 'second'
  | 'millisecond'
  | 'microsecond'
  | 'nanosecond'
  | 'tzoffset';

const unitNames: Readonly<Record<string, Unit>> = {
  year: 'year',
  yy: 'year',
  yyyy: 'year',
  quarter: 'quarter',
  qq: 'quarter',
  q: 'quarter',
  month: 'month',
  mm: 'month',
  m: 'month',
  week: 'week',
  wk: 'week',
  ww: 'week',
  day: 'day',
  dd: 'day',
  d: 'day',
  dayofyear: 'dayofyear',
  dy: 'dayofyear',
  y: 'dayofyear',
  weekday: 'weekday',
  dw: 'weekday',
  w: 'weekday',
  hour: 'hour',
  hh: 'hour',
  minute: 'minute',
  mi: 'minute',
  n: 'minute',
  second: 'second',
  ss: 'second',
  s: 'second',
  millisecond: 'millisecond',
  ms: 'millisecond',
  microsecond: 'microsecond',
  mcs: 'microsecond',
  nanosecond: 'nanosecond',
  ns: 'nanosecond',
  tzoffset: 'tzoffset',
  tz: 'tzoffset',
};

/** Ticks of 100 ns of the units with a fixed length. */
const unitTicks: Partial<Record<Unit, bigint>> = {
  week: 7n * ticksPerDay,
  day: ticksPerDay,
  dayofyear: ticksPerDay,
  weekday: ticksPerDay,
  hour: 3600n * ticksPerSecond,
  minute: 60n * ticksPerSecond,
  second: ticksPerSecond,
  millisecond: 10_000n,
  microsecond: 10n,
};

function unitOf(part: Compiled, site: CallSite): Unit {
  const name = valueText(part.run(emptyEnv));
  const unit = Object.hasOwn(unitNames, name.toLowerCase()) ? unitNames[name.toLowerCase()] : undefined;
  if (unit === undefined) throw outsideSubset(`${site.name} with datepart ${name}`, site.line);
  return unit;
}

const unitMonths: Partial<Record<Unit, number>> = { year: 12, quarter: 3, month: 1 };

/** Strings stand for datetime2(7) in date functions. */
function momentType(type: SqlType): SqlType {
  const kind = family(type);
  if (kind === 'string') return types.datetime2;
  if (kind === 'null' || kind === 'integer') return types.datetime;
  return type;
}

function ticksOf(value: Exclude<Value, null>, type: SqlType): bigint {
  switch (family(type)) {
    case 'date':
      return joinTicks(value as number, 0);
    case 'time':
      return BigInt(value as number);
    case 'offset':
      return localTicks(value as OffsetTime);
    default:
      return value as bigint;
  }
}

function fromTicks(ticks: bigint, original: Exclude<Value, null>, type: SqlType): Value {
  const { day, time } = splitTicks(ticks);
  if (family(type) !== 'time' && (day < 0 || day > maxDay)) {
    throw new SqlError(517, `Adding a value to a '${type.name}' column caused an overflow.`, 16);
  }
  switch (family(type)) {
    case 'date':
      return day;
    case 'time':
      return time;
    case 'offset': {
      const { offset } = original as OffsetTime;
      return { ticks: ticks - BigInt(offset) * 60n * ticksPerSecond, offset };
    }
    default:
      return type.name === 'datetime' ? roundToDatetime(ticks) : ticks;
  }
}

function addMonths(ticks: bigint, months: number): bigint {
  const { day, time } = splitTicks(ticks);
  const { year, month, day: dayOfMonth } = datePartsOf(day);
  const index = year * 12 + month - 1 + months;
  const newYear = Math.floor(index / 12);
  const newMonth = index - newYear * 12 + 1;
  for (let last = dayOfMonth; last > 27; last -= 1) {
    const found = dayNumber(newYear, newMonth, last);
    if (found !== undefined) return joinTicks(found, time);
  }
  const found = dayNumber(newYear, newMonth, Math.min(dayOfMonth, 28));
  if (found === undefined) throw new SqlError(517, "Adding a value to a 'datetime2' column caused an overflow.");
  return joinTicks(found, time);
}

function add(unit: Unit, count: bigint, ticks: bigint, site: CallSite): bigint {
  const fixed = unitTicks[unit];
  if (fixed !== undefined) return ticks + fixed * count;
  if (unit === 'nanosecond') return ticks + (count + (count < 0n ? -50n : 50n)) / 100n;
  const months = unitMonths[unit];
  if (months === undefined) throw outsideSubset(`${site.name} with datepart ${unit}`, site.line);
  return addMonths(ticks, months * Number(count));
}

function floorDivide(value: bigint, by: bigint): bigint {
  const quotient = value / by;
  return value % by < 0n ? quotient - 1n : quotient;
}

/** DATEDIFF counts boundaries crossed, not full units. */
function difference(unit: Unit, from: bigint, to: bigint, site: CallSite): bigint {
  if (unit === 'nanosecond') return (to - from) * 100n;
  if (unit === 'week') {
    // Weeks begin on Sunday whatever DATEFIRST says; 0001-01-01 was a Monday.
    const week = (ticks: bigint): bigint => floorDivide(ticks / ticksPerDay + 1n, 7n);
    return week(to) - week(from);
  }
  const fixed = unitTicks[unit];
  if (fixed !== undefined) return floorDivide(to, fixed) - floorDivide(from, fixed);
  const index = (ticks: bigint): number => {
    const { year, month } = datePartsOf(splitTicks(ticks).day);
    if (unit === 'year') return year;
    return unit === 'quarter' ? year * 4 + Math.floor((month - 1) / 3) : year * 12 + month;
  };
  if (!['year', 'quarter', 'month'].includes(unit))
    throw outsideSubset(`${site.name} with datepart ${unit}`, site.line);
  return BigInt(index(to) - index(from));
}

function partOf(unit: Unit, ticks: bigint, offset: number, site: CallSite): number {
  const { day, time } = splitTicks(ticks);
  const { year, month, day: dayOfMonth } = datePartsOf(day);
  const firstDay = dayNumber(year, 1, 1) ?? day;
  switch (unit) {
    case 'year':
      return year;
    case 'quarter':
      return Math.floor((month - 1) / 3) + 1;
    case 'month':
      return month;
    case 'day':
      return dayOfMonth;
    case 'dayofyear':
      return day - firstDay + 1;
    case 'weekday':
      return ((day + 1) % 7) + 1;
    case 'week':
      return Math.floor((day - firstDay + ((firstDay + 1) % 7)) / 7) + 1;
    case 'hour':
      return Math.floor(time / 36_000_000_000);
    case 'minute':
      return Math.floor(time / 600_000_000) % 60;
    case 'second':
      return Math.floor(time / 10_000_000) % 60;
    case 'millisecond':
      return Math.floor(time / 10_000) % 1000;
    case 'microsecond':
      return Math.floor(time / 10) % 1_000_000;
    case 'nanosecond':
      return (time % 10_000_000) * 100;
    case 'tzoffset':
      return offset;
    default:
      throw outsideSubset(`${site.name} with datepart ${String(unit)}`, site.line);
  }
}

function clock(type: SqlType): FunctionSpec {
  return define(0, 0, (_, { context }) => {
    const convert = converter(types.datetime2, type);
    return { type, run: () => convert(context.now) };
  });
}

function datePart(unit: Unit | undefined): FunctionSpec {
  const count = unit === undefined ? 2 : 1;
  return define(count, count, (args, site) => {
    const wanted = unit ?? unitOf(argument(args, 0), site);
    const operand = argument(args, count - 1);
    const type = momentType(operand.type);
    return strict(types.int, [as(operand, type)], (value: Exclude<Value, null>) =>
      partOf(wanted, ticksOf(value, type), family(type) === 'offset' ? (value as OffsetTime).offset : 0, site),
    );
  });
}

function dateDifference(type: SqlType): FunctionSpec {
  return define(3, 3, (args, site) => {
    const unit = unitOf(argument(args, 0), site);
    // Offsets do not matter here: the server compares instants in UTC.
    const utc = (operand: Compiled): Compiled => {
      const moment = momentType(operand.type);
      return strict(types.bigint, [as(operand, moment)], (value: Exclude<Value, null>) =>
        family(moment) === 'offset' ? (value as OffsetTime).ticks : ticksOf(value, moment),
      );
    };
    return strict(type, [utc(argument(args, 1)).run, utc(argument(args, 2)).run], (from: bigint, to: bigint) => {
      const count = difference(unit, from, to, site);
      if (type.name === 'bigint') return count;
      if (count > 2_147_483_647n || count < -2_147_483_648n) {
        throw new SqlError(
          535,
          'The datediff function resulted in an overflow. The number of dateparts separating two date/time instances is too large. Try to use datediff with a less precise datepart.',
        );
      }
      return Number(count);
    });
  });
}

export const timeFunctions: Readonly<Record<string, FunctionSpec>> = {
  SYSUTCDATETIME: clock(types.datetime2),
  // The simulated server's clock stands on UTC, so local time is the same.
  SYSDATETIME: clock(types.datetime2),
  SYSDATETIMEOFFSET: clock(types.datetimeoffset),
  GETUTCDATE: clock(types.datetime),
  GETDATE: clock(types.datetime),
  DATEADD: define(3, 3, (args, site) => {
    const unit = unitOf(argument(args, 0), site);
    const operand = argument(args, 2);
    const type = momentType(operand.type);
    return strict(
      type,
      [as(argument(args, 1), types.bigint), as(operand, type)],
      (count: bigint, value: Exclude<Value, null>) =>
        fromTicks(add(unit, count, ticksOf(value, type), site), value, type),
    );
  }),
  DATEDIFF: dateDifference(types.int),
  DATEDIFF_BIG: dateDifference(types.bigint),
  DATEPART: datePart(undefined),
  YEAR: datePart('year'),
  MONTH: datePart('month'),
  DAY: datePart('day'),
  EOMONTH: define(1, 2, (args) => {
    const months = args[1];
    return strict(
      types.date,
      [as(argument(args, 0), types.date), months === undefined ? () => 0 : as(months, types.int)],
      (day: number, count: number) => {
        const { year, month } = datePartsOf(
          splitTicks(addMonths(joinTicks(day - datePartsOf(day).day + 1, 0), count + 1)).day,
        );
        return (dayNumber(year, month, 1) ?? 1) - 1;
      },
    );
  }),
  DATEFROMPARTS: define(3, 3, (args) =>
    strict(
      types.date,
      args.map((arg) => as(arg, types.int)),
      (year: number, month: number, day: number) => {
        const found = dayNumber(year, month, day);
        if (found === undefined)
          throw new SqlError(
            289,
            'Cannot construct data type date, some of the arguments have values which are not valid.',
          );
        return found;
      },
    ),
  ),
  SWITCHOFFSET: define(2, 2, (args) =>
    strict(
      types.datetimeoffset,
      [as(argument(args, 0), types.datetimeoffset), as(argument(args, 1), nvarchar(10))],
      (value: OffsetTime, zone: string) => {
        const match = /^([+-])(\d\d):(\d\d)$/.exec(zone);
        if (match === null)
          throw new SqlError(9812, 'The timezone provided to builtin function switchoffset is invalid.');
        return { ticks: value.ticks, offset: (match[1] === '-' ? -1 : 1) * (Number(match[2]) * 60 + Number(match[3])) };
      },
    ),
  ),
  TODATETIMEOFFSET: define(2, 2, (args) =>
    strict(
      types.datetimeoffset,
      [as(argument(args, 0), types.datetime2), as(argument(args, 1), nvarchar(10))],
      (ticks: bigint, zone: string) => {
        const match = /^([+-])(\d\d):(\d\d)$/.exec(zone);
        if (match === null)
          throw new SqlError(9812, 'The timezone provided to builtin function todatetimeoffset is invalid.');
        const offset = (match[1] === '-' ? -1 : 1) * (Number(match[2]) * 60 + Number(match[3]));
        return { ticks: ticks - BigInt(offset) * 60n * ticksPerSecond, offset };
      },
    ),
  ),
};
