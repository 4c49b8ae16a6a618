import { dateText, datePartsOf, localTicks, offsetText, splitTicks, timeText } from './datetime.ts';
import { decimalText, rescale } from './decimal.ts';
import { outsideSubset } from './sql-error.ts';
import { family, type OffsetTime, type SqlType, type Value } from './sql-type.ts';

const monthNames = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec'];

function classicText(day: number, time: number, withTime: boolean): string {
  const { year, month, day: dayOfMonth } = datePartsOf(day);
  const date = `${monthNames[month - 1] ?? ''} ${dayOfMonth.toString().padStart(2)} ${year}`;
  if (!withTime) return date;
  const minutes = Math.floor(time / 600_000_000);
  const hour = Math.floor(minutes / 60);
  const clock = `${((hour + 11) % 12) + 1}:${(minutes % 60).toString().padStart(2, '0')}${hour < 12 ? 'AM' : 'PM'}`;
  return `${date} ${clock.padStart(7)}`;
}

/** CONVERT's styles for dates: 0, 20, 21, 23, 25, 112, 114, 120, 121, 126, 127; every other one is refused. */
function momentText(
  from: SqlType,
  day: number,
  time: number,
  offset: number | undefined,
  style: number | undefined,
): string {
  const isDate = from.name === 'date';
  const isTime = from.name === 'time';
  const old = from.name === 'datetime' || from.name === 'smalldatetime';
  const scale = from.name === 'smalldatetime' ? 0 : from.scale;
  const zone = offset === undefined ? '' : ` ${offsetText(offset)}`;
  const chosen = style ?? (old ? 0 : 121);
  switch (chosen) {
    case 0:
    case 100:
      if (!old) return momentText(from, day, time, offset, 121);
      return classicText(day, time, true);
    case 23:
      return dateText(day);
    case 112:
      return dateText(day).replaceAll('-', '');
    case 108:
    case 114:
      return timeText(time, chosen === 114 ? (old ? 3 : scale) : 0).replace('.', ':');
    case 20:
    case 120:
      return isDate ? dateText(day) : isTime ? timeText(time, 0) : `${dateText(day)} ${timeText(time, 0)}${zone}`;
    case 21:
    case 25:
    case 121:
      return isDate
        ? dateText(day)
        : isTime
          ? timeText(time, scale)
          : `${dateText(day)} ${timeText(time, scale)}${zone}`;
    case 126:
    case 127: {
      if (isDate) return dateText(day);
      // Style 126 leaves out an all-zero fraction of the old datetime only.
      const digits = old && time % 10_000_000 === 0 ? 0 : scale;
      if (isTime) return timeText(time, digits);
      const suffix = offset === undefined ? '' : chosen === 127 ? 'Z' : offsetText(offset);
      return `${dateText(day)}T${timeText(time, digits)}${suffix}`;
    }
    default:
      throw outsideSubset(`CONVERT style ${chosen}`);
  }
}

function floatText(value: number, style: number | undefined): string {
  if (style === 3)
    return value
      .toExponential(16)
      .replace(/e([+-])(\d)$/, 'e$10$2')
      .replace(/e([+-])(\d\d)$/, 'e$10$2');
  if (style !== undefined && style !== 0) throw outsideSubset(`CONVERT style ${style} of a float`);
  const short = Number(value.toPrecision(6));
  const exponent = short === 0 ? 0 : Math.floor(Math.log10(Math.abs(short)));
  if (exponent >= -5 && exponent < 6) return short.toString();
  return short
    .toExponential()
    .replace(/e([+-])(\d)$/, 'e$100$2')
    .replace(/e([+-])(\d\d)$/, 'e$10$2');
}

/**
 * Text of a type's values as CAST and CONVERT write it; `style` as in CONVERT.
 *
 * @throws SqlError the subset's refusal for a style it does not know
 */
export function toText(from: SqlType, style: number | undefined): (value: Exclude<Value, null>) => string {
  switch (family(from)) {
    case 'string':
    case 'guid':
      return (value) => value as string;
    case 'decimal':
      if (from.name === 'decimal') return (value) => decimalText(value as bigint, from.scale);
      if (style !== undefined && style !== 0 && style !== 2) throw outsideSubset(`CONVERT style ${style} of money`);
      return (value) =>
        decimalText(style === 2 ? (value as bigint) : rescale(value as bigint, 4, 2), style === 2 ? 4 : 2);
    case 'float':
      return (value) => floatText(value as number, style);
    case 'date':
      return (value) => momentText(from, value as number, 0, undefined, style);
    case 'time':
      return (value) => momentText(from, 0, value as number, undefined, style);
    case 'datetime':
      return (value) => {
        const { day, time } = splitTicks(value as bigint);
        return momentText(from, day, time, undefined, style);
      };
    case 'offset':
      return (value) => {
        const moment = value as OffsetTime;
        const { day, time } = splitTicks(style === 127 ? moment.ticks : localTicks(moment));
        return momentText(from, day, time, moment.offset, style);
      };
    case 'binary':
      return (value) => {
        const bytes = value as Uint8Array;
        if (style === 1 || style === 2)
          return `${style === 1 ? '0x' : ''}${Buffer.from(bytes).toString('hex').toUpperCase()}`;
        return Buffer.from(bytes).toString('latin1');
      };
    default:
      return (value) => (value as number | bigint).toString();
  }
}
