export {
  asOfDate,
  builtInCalendars,
  businessCalendar,
  CalendarRangeError,
  joint,
  UnknownCalendarError,
  type BusinessCalendar,
  type CalendarRule,
} from './calendar/business-calendar.ts';
export { dayNumber, localDate, plusDays, weekdayOf, type IsoDate } from './calendar/dates.ts';
export { SqlConnection, type Encryption, type SqlConnectionOptions } from './client/connection.ts';
export { SqlError, type SqlErrorKind } from './client/errors.ts';
export { SqlPool } from './client/pool.ts';
export type { QueryResult, SqlRunner, Statement } from './client/statement.ts';
export { DefinitionFileError, parseDefinitions, type DefinitionIssue } from './definition/load.ts';
export {
  pollingDefinitionSchema,
  requestFields,
  type ChangeTrackingDefinition,
  type OutboxDefinition,
  type PollingDefinition,
  type QueryDefinition,
  type RequestField,
  type RowversionDefinition,
  type WatchDefinition,
} from './definition/schema.ts';
export { IdentifierError, quoteIdentifier, quoteTable } from './identifiers.ts';
export type { RowState } from './outbox/row-state.ts';
export * from './outbox/source.ts';
export type { DetailRows, SourceRow } from './outbox/rows.ts';
export {
  cronTicks,
  dueTicks,
  onBusinessDays,
  scheduleTicks,
  ticksMeanwhile,
  type DueTicks,
  type Ticks,
} from './schedule/ticks.ts';
export { afterPoll, openWindow, type PollFinding, type PollingWindow, type WindowState } from './schedule/window.ts';
export type { AsOfRange, PastRow } from './past.ts';
export { rowStatus } from './statements/claim.ts';
export { sessionSql } from './statements/session.ts';
export {
  hashOfFields,
  requestKeyOf,
  type Change,
  type ChangePage,
  type ChangeReader,
  type Gap,
} from './watch/change.ts';
export { DefinitionStateError } from './watch/errors.ts';
export * from './watch/lead.ts';
export { openWatch, type OpenWatchOptions } from './watch/open.ts';
export { watchCrashPoints, type WatchCrashPoint } from './watch/inspection.ts';
export { WatchSource } from './watch/source.ts';
export type { Cursor, DetectionStore, KnownRow, LeadRecord, Stored } from './watch/state.ts';
export { normaliseDecimal, rowVersionHex, ValueError } from './values.ts';
