import type { Cell, ResultSet } from '../client/statement.ts';
import { SqlError } from '../client/errors.ts';
import { requestFields, type PollingDefinition, type RequestField } from '../definition/schema.ts';
import { asOfDate, businessCalendar, CalendarRangeError, joint } from '../calendar/business-calendar.ts';
import { localDate, type IsoDate } from '../calendar/dates.ts';
import { asOfRuleOf, columnOf } from '../statements/request-columns.ts';
import { detailColumns } from '../statements/details.ts';
import { cellText, normaliseDecimal, requiredText, ValueError } from '../values.ts';

/** A request row by the contract's field names, and where each comes from, for messages. */
export interface SourceRow {
  readonly fields: Readonly<Record<RequestField, string | number | boolean | null>>;
  readonly columns: Readonly<Record<RequestField, string>>;
}

export interface DetailRows {
  readonly nettingSets: readonly { nettingSetId: string; counterparty: string; csa: string | null }[];
  readonly trades: readonly { tradeId: string; nettingSetId: string; tradeType: string; terms: string }[];
  readonly quotes: readonly { key: string; value: string }[];
  readonly fixings: readonly { index: string; date: string; value: string }[];
}

type Row = Readonly<Record<string, Cell>>;

/**
 * A row's fields by the contract's names. `today` is the local date of the poll, for a rule of a `query` definition.
 *
 * @throws ValueError for a cell that would lose something; CalendarRangeError for a day that no calendar knows
 */
export function sourceRow(definition: PollingDefinition, row: Row, today?: IsoDate): SourceRow {
  const fields = requestFields.map((field) => {
    const source = definition.mapping[field];
    if (typeof source === 'object' && 'businessDaysBack' in source) {
      return [field, asOfByRule(definition, today ?? createdOn(definition, row['asOf']))];
    }
    if (typeof source === 'object') return [field, source.value];
    const cell = row[field];
    if (typeof cell === 'number' || typeof cell === 'boolean') return [field, cell];
    const text = cellText(source, cell);
    return [field, text !== null && field === 'quantile' ? normaliseDecimal(text) : text];
  });
  const columns = requestFields.map((field) => [field, columnOf(definition, field) ?? `constant ${field}`]);
  return {
    fields: Object.fromEntries(fields) as SourceRow['fields'],
    columns: Object.fromEntries(columns) as SourceRow['columns'],
  };
}

/** Whether an error says what is wrong with one row, rather than with the table or the way to it. */
export function isRowFault(error: unknown): error is ValueError | CalendarRangeError {
  return error instanceof ValueError || error instanceof CalendarRangeError;
}

function createdOn({ schedule: { timezone } }: PollingDefinition, createdAt: Cell | undefined): IsoDate {
  const instant = new Date(`${requiredText('createdAt', createdAt)}Z`);
  if (Number.isNaN(instant.getTime())) throw new ValueError('createdAt', 'is no instant');
  return localDate(instant, timezone);
}

/** The as-of date that the definition's rule gives on a local date, or null without a rule. @throws CalendarRangeError */
export function asOfByRule(definition: PollingDefinition, today: IsoDate): IsoDate | null {
  const rule = asOfRuleOf(definition);
  if (rule === undefined) return null;
  const calendars = rule.calendars.map((name) => businessCalendar(name, definition.calendarRules));
  return asOfDate(rule.businessDaysBack, today, joint(calendars));
}

const textTypes = /char|text/i;

/** Types whose text is not the stored number: binary fractions, and money, which prints two digits. */
export const lossyTypes = /^(float|real|money|smallmoney)/i;

function need(set: ResultSet | undefined, names: readonly string[], query: string): readonly Row[] {
  const present = set?.columns.map(({ name }) => name) ?? [];
  const absent = names.filter((name) => !present.includes(name));
  if (set === undefined || absent.length > 0) {
    throw new SqlError(`detail query ${query}`, {
      code: 'ESHAPE',
      message: `has no column ${absent.join(', ')} (it has ${present.join(', ')})`,
    });
  }
  for (const column of set.columns.filter(({ name }) => ['value', 'date'].includes(name))) {
    if (!textTypes.test(column.type)) {
      throw new SqlError(`detail query ${query}`, {
        code: 'ESHAPE',
        message: `column ${column.name} is ${column.type}: convert it to text, or digits would be lost`,
      });
    }
  }
  return set.rows;
}

/**
 * Detail result sets as rows of text.
 *
 * @throws SqlError `ESHAPE` for a missing column or a number that is not text; ValueError for NULL where none may be.
 */
export function detailRows(sets: readonly ResultSet[]): DetailRows {
  const [nettingSets, trades, quotes, fixings] = sets;
  return {
    nettingSets: need(nettingSets, detailColumns.nettingSets, 'nettingSets').map((row) => ({
      nettingSetId: requiredText('nettingSets.nettingSetId', row['nettingSetId']),
      counterparty: requiredText('nettingSets.counterparty', row['counterparty']),
      csa: cellText('nettingSets.csa', row['csa']),
    })),
    trades: need(trades, detailColumns.trades, 'trades').map((row) => ({
      tradeId: requiredText('trades.tradeId', row['tradeId']),
      nettingSetId: requiredText('trades.nettingSetId', row['nettingSetId']),
      tradeType: requiredText('trades.tradeType', row['tradeType']),
      terms: requiredText('trades.terms', row['terms']),
    })),
    quotes: need(quotes, detailColumns.quotes, 'quotes').map((row) => ({
      key: requiredText('quotes.key', row['key']),
      value: normaliseDecimal(requiredText('quotes.value', row['value'])),
    })),
    fixings: need(fixings, detailColumns.fixings, 'fixings').map((row) => ({
      index: requiredText('fixings.index', row['index']),
      date: requiredText('fixings.date', row['date']),
      value: normaliseDecimal(requiredText('fixings.value', row['value'])),
    })),
  };
}
