import { Cron } from 'croner';
import { z } from 'zod';
import { businessCalendar, type CalendarRule } from '../calendar/business-calendar.ts';
import { dayNumber } from '../calendar/dates.ts';
import { isPlainIdentifier } from '../identifiers.ts';

/** What a request row says, by the contract's names. */
export const requestFields = [
  'book',
  'asOf',
  'cut',
  'scenario',
  'revision',
  'baseCurrency',
  'samples',
  'seed',
  'quantile',
  'dvaName',
  'grid',
  'strict',
  'priority',
  'traceparent',
  'errorBars',
  'marketSnapshot',
  'creditProxies',
  'whatIf',
] as const;
export type RequestField = (typeof requestFields)[number];

const column = z.string().refine(isPlainIdentifier, 'must be a plain column name');
const table = z
  .string()
  .refine(
    (name) => name.split('.').length <= 2 && name.split('.').every(isPlainIdentifier),
    'must be a plain name such as xva.RunRequest',
  );

/**
 * The as-of date by rule: so many business days (in all of the calendars) before the day that counts, which is the local
 * date of the poll in `query` mode and that of the row's `createdAt` in `outbox` mode, in the schedule's zone.
 */
const asOfRule = z.strictObject({
  businessDaysBack: z.int().min(0).max(250),
  calendars: z.array(z.string()).min(1).max(10),
});

const constant = z.strictObject({ value: z.union([z.string(), z.int(), z.boolean(), z.null()]) });
/** A column's name, or a constant for what the table does not hold. */
const source = z.union([column, constant], 'must be a column name, or { value: … } for a constant');

const mapping = z.strictObject({
  book: source.default('Book'),
  asOf: z
    .union(
      [column, constant, asOfRule],
      'must be a column name, { value: … } or { businessDaysBack: …, calendars: […] }',
    )
    .default('AsOf'),
  cut: source.default('Cut'),
  scenario: source.default('Scenario'),
  revision: source.default('Revision'),
  baseCurrency: source.default('BaseCurrency'),
  samples: source.default('Samples'),
  seed: source.default('Seed'),
  quantile: source.default('Quantile'),
  dvaName: source.default('DvaName'),
  grid: source.default('GridTenors'),
  strict: source.default('Strict'),
  priority: source.default('Priority'),
  traceparent: source.default('Traceparent'),
  // What few tables hold: a column only where the definition names one.
  errorBars: source.default({ value: null }),
  marketSnapshot: source.default({ value: null }),
  creditProxies: source.default({ value: null }),
  whatIf: source.default({ value: null }),
} satisfies Record<RequestField, z.ZodType>);

const claimColumns = z.strictObject({
  id: column.default('RequestId'),
  status: column.default('Status'),
  notBefore: column.default('NotBefore'),
  lockedUntil: column.default('LockedUntil'),
  leaseToken: column.default('LeaseToken'),
  leaseOwner: column.default('LeaseOwner'),
  attempts: column.default('Attempts'),
  lastError: column.default('LastError'),
  eventId: column.default('EventId'),
  publishedAt: column.default('PublishedAt'),
  createdAt: column.default('CreatedAt'),
});

function unknownParameters(sql: string, known: readonly string[]): ReadonlySet<string> {
  const used = [...bareSql(sql).matchAll(/(?<!@)@([A-Za-z_][A-Za-z0-9_]*)/g)].map((match) => match[1] ?? '');
  return new Set(used.filter((name) => !known.includes(name)));
}

/** Reserved words that begin a statement, or make a SELECT write; T-SQL needs no `;` between two statements. */
const otherStatements =
  /(?<![\w@#$])(insert|update|delete|merge(?!\s+(?:join|union))|into|exec|execute|waitfor|drop|alter|create|truncate|set|declare|begin|commit|rollback|save|if|while|goto|return|print|raiserror|use|grant|revoke|deny|kill|backup|restore|shutdown|dbcc|bulk)(?![\w@#$])/i;

/** The text without strings, quoted names and comments, in which any word may stand. */
function bareSql(sql: string): string {
  return sql.replace(/'(?:[^']|'')*'|"(?:[^"]|"")*"|\[(?:[^\]]|\]\])*\]|--[^\n]*|\/\*[\s\S]*?\*\//g, ' ');
}

/** One SELECT, and nothing else. */
const oneSelect = z
  .string()
  .max(20_000)
  .refine((sql) => /^\s*(select|with)\b/i.test(bareSql(sql)), 'must be one SELECT')
  .refine((sql) => !bareSql(sql).includes(';'), 'must be one statement, without ;')
  .refine((sql) => !/\/\*|\*\//.test(bareSql(sql)), 'has a comment without an end')
  .superRefine((sql, context) => {
    const bare = bareSql(sql);
    const [word] = otherStatements.exec(bare) ?? [];
    // One fault, one message.
    if (word === undefined || bare.includes(';')) return;
    context.addIssue({ code: 'custom', message: `must be one SELECT: ${word.toUpperCase()} is none of it` });
  });

const detailParameters = ['book', 'asOf', 'cut', 'scenario', 'revision', 'requestId', 'fixingDays'];

/** A query of the definition's own: one SELECT on the named parameters, its result columns named as the contract's. */
const ownQuery = oneSelect.superRefine((sql, context) => {
  for (const name of unknownParameters(sql, detailParameters)) {
    const known = detailParameters.map((one) => `@${one}`).join(', ');
    context.addIssue({ code: 'custom', message: `@${name} is no parameter; there are ${known}` });
  }
});

/** `columns` must take an absent value, so that a table with our names needs no list. */
function detail<C extends z.ZodType>(defaultTable: string, columns: C) {
  return z.strictObject({ table: table.default(defaultTable), columns, sql: ownQuery.optional() });
}

const details = z.strictObject({
  nettingSets: detail(
    'xva.NettingSet',
    z
      .strictObject({
        book: column.default('Book'),
        nettingSetId: column.default('NettingSetId'),
        counterparty: column.default('Counterparty'),
        csa: column.default('Csa'),
      })
      .prefault({}),
  ).prefault({}),
  trades: detail(
    'xva.Trade',
    z
      .strictObject({
        book: column.default('Book'),
        tradeId: column.default('TradeId'),
        nettingSetId: column.default('NettingSetId'),
        tradeType: column.default('TradeType'),
        terms: column.default('Terms'),
      })
      .prefault({}),
  ).prefault({}),
  quotes: detail(
    'xva.Quote',
    z
      .strictObject({
        asOf: column.default('AsOf'),
        cut: column.default('Cut'),
        scenario: column.default('Scenario'),
        key: column.default('QuoteKey'),
        value: column.default('QuoteValue'),
      })
      .prefault({}),
  ).prefault({}),
  fixings: detail(
    'xva.Fixing',
    z
      .strictObject({
        index: column.default('IndexName'),
        date: column.default('FixingDate'),
        value: column.default('FixingValue'),
      })
      .prefault({}),
  ).prefault({}),
});

const schedule = z
  .strictObject({
    /** Five or six fields (seconds first), as croner reads them. */
    cron: z.string(),
    /** IANA name, such as `Europe/Lisbon`: the wall clock that the fields speak of. */
    timezone: z.string().default('UTC'),
    /** What to do about ticks that passed while nobody looked: run each, the last one only, or none. */
    misfire: z.enum(['all', 'last', 'none']).default('last'),
    /** A tick that comes while the one before still runs: dropped, or run once when that one ends. */
    overlap: z.enum(['skip', 'queue']).default('skip'),
    /** Ticks whose local date is a holiday in any of these do not exist. */
    calendars: z.array(z.string()).max(10).default([]),
  })
  .superRefine(({ cron, timezone }, context) => {
    try {
      new Intl.DateTimeFormat('en', { timeZone: timezone });
    } catch {
      context.addIssue({ code: 'custom', path: ['timezone'], message: `"${timezone}" is no IANA time zone` });
      return;
    }
    try {
      const job = new Cron(cron, { timezone, paused: true, mode: '5-or-6-parts' });
      if (job.nextRun() === null) throw new Error('never comes due');
    } catch (error) {
      context.addIssue({ code: 'custom', path: ['cron'], message: `"${cron}": ${(error as Error).message}` });
    }
  });

/** On a tick the table is asked again and again, quickly while rows come and ever slower while none do (the long poll). */
const window = z
  .strictObject({
    lengthMs: z.int().min(0).max(86_400_000).default(60_000),
    minDelayMs: z.int().min(5).max(60_000).default(200),
    maxDelayMs: z.int().min(5).max(600_000).default(1_000),
    /** `windowEnd`: go on until the window is over; `rows`: stop once rows came and all were worked off. */
    until: z.enum(['windowEnd', 'rows']).default('windowEnd'),
  })
  .refine(({ minDelayMs, maxDelayMs }) => minDelayMs <= maxDelayMs, {
    path: ['maxDelayMs'],
    message: 'must not be below minDelayMs',
  });

/** What every mode has. */
const common = {
  /** Part of every event's id: with another name the same row is another event. */
  name: z.string().regex(/^[a-z][a-z0-9-]{0,39}$/, 'must be 1 to 40 of a-z 0-9 -'),
  enabled: z.boolean().default(true),
  schedule: schedule.prefault({ cron: '* * * * *' }),
  window: window.prefault({}),
  mapping: mapping.prefault({}),
  details: details.prefault({}),
  /** At most so many new rows, and as many whose lease ran out, in one claim. */
  batchSize: z.int().min(1).max(1_000).default(20),
  leaseSeconds: z.int().min(2).max(3_600).default(60),
  /** A row whose worker vanished so often becomes poison. A failing hub or store does not count. */
  maxAttempts: z.int().min(1).max(100).default(5),
  lastErrorLength: z.int().min(100).max(4_000).default(4_000),
  /** Fixings from so many days before the as-of date up to it. */
  fixingDays: z.int().min(0).max(20_000).default(400),
  /** A detail query that gives more rows is refused. */
  maxDetailRows: z.int().min(1).max(1_000_000).default(1_000_000),
};

/** Whether rows that are there at the very first start ask for runs: nobody can guess that. */
const start = z.enum(['now', 'beginning'], {
  error: 'must be said: now (rows that are there already fire nothing) or beginning (they do)',
});

const outboxSchema = z.strictObject({
  ...common,
  mode: z.literal('outbox'),
  table: table.default('xva.RunRequest'),
  columns: claimColumns.prefault({}),
});

const rowversionSchema = z.strictObject({
  ...common,
  mode: z.literal('rowversion'),
  start,
  table: table.default('xva.RunRequest'),
  /** The table's rowversion column. */
  rowVersion: column.default('RowVer'),
});

const changeTrackingSchema = z.strictObject({
  ...common,
  mode: z.literal('changeTracking'),
  start,
  table: table.default('xva.RunRequest'),
  /** The table's primary key, one column. */
  key: column.default('RequestId'),
});

/** The condition: one SELECT on `@today` and `@asOf`, whose result columns carry the names of `mapping`. */
const conditionQuery = oneSelect.superRefine((sql, context) => {
  for (const name of unknownParameters(sql, ['today', 'asOf'])) {
    context.addIssue({ code: 'custom', message: `@${name} is no parameter; there are @today, @asOf` });
  }
});

const querySchema = z.strictObject({
  ...common,
  mode: z.literal('query'),
  start,
  sql: conditionQuery,
  /** A result with more rows is refused: a condition is no table. */
  maxRows: z.int().min(1).max(10_000).default(1_000),
});

export const pollingDefinitionSchema = z
  .discriminatedUnion('mode', [outboxSchema, rowversionSchema, changeTrackingSchema, querySchema], {
    error: 'must be outbox, rowversion, changeTracking or query',
  })
  .superRefine((definition, context) => {
    const { mode, mapping } = definition;
    const isRule = typeof mapping.asOf === 'object' && 'businessDaysBack' in mapping.asOf;
    if (isRule && mode !== 'outbox' && mode !== 'query') {
      const path = ['mapping', 'asOf'];
      context.addIssue({ code: 'custom', path, message: `${mode} takes the as-of date from a column, or a constant` });
    }
    if (!isRule && mode === 'query' && /(?<!@)@asOf\b/i.test(definition.sql)) {
      const message = '@asOf is the date of the rule in mapping.asOf, and there is none: use @today, or give the rule';
      context.addIssue({ code: 'custom', path: ['sql'], message });
    }
  });

const isoDate = z.string().refine((text) => {
  try {
    dayNumber(text);
    return true;
  } catch {
    return false;
  }
}, 'must be a date, YYYY-MM-DD');

/** A calendar of the file's own, or corrections to a built-in one of that name. */
const calendarRule = z
  .strictObject({
    joins: z.array(z.string()).max(10).default([]),
    add: z.array(isoDate).max(2_000).default([]),
    remove: z.array(isoDate).max(2_000).default([]),
  })
  .superRefine(({ add, remove }, context) => {
    for (const date of add.filter((one) => remove.includes(one))) {
      context.addIssue({ code: 'custom', path: ['add'], message: `${date} is also in remove` });
    }
  }) satisfies z.ZodType<CalendarRule>;

export const definitionFileSchema = z
  .strictObject({
    version: z.literal(1),
    calendars: z.record(z.string().regex(/^[A-Za-z][A-Za-z0-9_-]{0,39}$/), calendarRule).default({}),
    definitions: z.array(pollingDefinitionSchema).min(1).max(100),
  })
  .superRefine(({ definitions, calendars }, context) => {
    const known = (name: string, path: PropertyKey[]) => {
      try {
        businessCalendar(name, calendars);
      } catch (error) {
        context.addIssue({ code: 'custom', path, message: (error as Error).message });
      }
    };
    for (const name of Object.keys(calendars)) known(name, ['calendars', name]);
    definitions.forEach(({ schedule: { calendars: names }, mapping: { asOf } }, index) => {
      names.forEach((name, at) => known(name, ['definitions', index, 'schedule', 'calendars', at]));
      const ofRule = typeof asOf === 'object' && 'calendars' in asOf ? asOf.calendars : [];
      ofRule.forEach((name, at) => known(name, ['definitions', index, 'mapping', 'asOf', 'calendars', at]));
    });
    definitions.forEach(({ name }, index) => {
      const first = definitions.findIndex((other) => other.name === name);
      if (first < index) {
        const path = ['definitions', index, 'name'];
        context.addIssue({ code: 'custom', path, message: `"${name}" is the name of another definition` });
      }
    });
  });

interface FromFile {
  /** What the file says of calendars. */
  readonly calendarRules?: Readonly<Record<string, CalendarRule>>;
}

export type OutboxDefinition = z.infer<typeof outboxSchema> & FromFile;
export type RowversionDefinition = z.infer<typeof rowversionSchema> & FromFile;
export type ChangeTrackingDefinition = z.infer<typeof changeTrackingSchema> & FromFile;
export type QueryDefinition = z.infer<typeof querySchema> & FromFile;
/** The modes that only read: their cursor lives in Storage. */
export type WatchDefinition = RowversionDefinition | ChangeTrackingDefinition | QueryDefinition;
export type PollingDefinition = OutboxDefinition | WatchDefinition;
export type DetailName = keyof PollingDefinition['details'];
