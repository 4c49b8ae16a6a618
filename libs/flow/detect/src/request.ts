import { ContractError, frozenRequestSchema, parseContract, requestKeySchema, runSettingsSchema } from '@xva/contracts';
import type { FrozenRequest, RequestKey, RunSettings } from '@xva/contracts';
import type { RequestField, SourceRow } from './ports.ts';

/** What a request may say beside its settings: where its market comes from, whose credit stands for whose, what to try. */
export type RequestExtras = Pick<FrozenRequest, 'marketSnapshot' | 'creditProxies' | 'whatIf'>;

const extrasSchema = frozenRequestSchema.pick({ marketSnapshot: true, creditProxies: true, whatIf: true });

export type RequestReading =
  | {
      readonly outcome: 'valid';
      readonly key: RequestKey;
      readonly settings: RunSettings;
      readonly extras: RequestExtras;
      readonly trace: string | null;
    }
  /** Every fault, each with the column it is in. */
  | { readonly outcome: 'invalid'; readonly reason: string };

type Value = SourceRow['fields'][RequestField];

/** bigint columns arrive as digits; what is no integer stays as it is and is refused by the contract. */
function asInteger(value: Value): Value {
  const number = typeof value === 'string' && /^-?\d{1,16}$/.test(value) ? Number(value) : value;
  return typeof number === 'number' && !Number.isSafeInteger(number) ? String(number) : number;
}

function asFlag(value: Value): Value {
  if (value === 1 || value === '1' || value === 'true') return true;
  if (value === 0 || value === '0' || value === 'false') return false;
  return value;
}

function asText(value: Value): Value {
  return typeof value === 'number' ? String(value) : value;
}

function asGrid(value: Value): unknown {
  if (value === null || value === '') return undefined;
  return typeof value === 'string' ? value.split(',').map((tenor) => tenor.trim()) : value;
}

/** Nothing in the column is nothing asked for. */
function isEmpty(value: Value): value is null | '' {
  return value === null || (typeof value === 'string' && value.trim() === '');
}

/** The JSON that a column holds; text that is none stays text, which the contract refuses. */
function asJson(value: Value): unknown {
  if (typeof value !== 'string') return value;
  try {
    return JSON.parse(value) as unknown;
  } catch {
    return value;
  }
}

/** A snapshot by its name alone, or as `{"name": …, "sha256": …}`. */
function asSnapshot(value: Value): unknown {
  const found = asJson(value);
  return typeof found === 'string' || typeof found === 'number' ? { name: String(value).trim() } : found;
}

function faults(parse: () => void, columns: SourceRow['columns']): readonly string[] {
  try {
    parse();
    return [];
  } catch (error) {
    if (!(error instanceof ContractError)) throw error;
    return error.issues.map(({ path, message }) => {
      const field = /^[A-Za-z]+/.exec(path)?.[0] as RequestField | undefined;
      return field === undefined ? message : `${columns[field]} (${path}): ${message}`;
    });
  }
}

/** Request key and settings of a row, judged by the contracts; faults are named by column, all at once. */
export function readRequest(row: SourceRow): RequestReading {
  const { fields, columns } = row;
  const key = {
    book: asText(fields.book),
    asOf: fields.asOf,
    cut: asText(fields.cut),
    scenario: asText(fields.scenario),
    revision: asInteger(fields.revision),
  };
  const settings = {
    baseCurrency: fields.baseCurrency,
    samples: asInteger(fields.samples),
    seed: asInteger(fields.seed),
    quantile: asText(fields.quantile),
    dvaName: asText(fields.dvaName),
    ...(asGrid(fields.grid) === undefined ? {} : { grid: asGrid(fields.grid) }),
    strict: asFlag(fields.strict),
    priority: asInteger(fields.priority),
    ...(isEmpty(fields.errorBars) ? {} : { errorBars: asFlag(fields.errorBars) }),
  };
  const extras = {
    ...(isEmpty(fields.marketSnapshot) ? {} : { marketSnapshot: asSnapshot(fields.marketSnapshot) }),
    ...(isEmpty(fields.creditProxies) ? {} : { creditProxies: asJson(fields.creditProxies) }),
    ...(isEmpty(fields.whatIf) ? {} : { whatIf: asJson(fields.whatIf) }),
  };
  const found = [
    ...faults(() => parseContract(requestKeySchema, key, 'request key'), columns),
    ...faults(() => parseContract(runSettingsSchema, settings, 'settings'), columns),
    ...faults(() => parseContract(extrasSchema, extras, 'request'), columns),
    ...quantileFaults(settings.quantile, columns),
  ];
  if (found.length > 0) return { outcome: 'invalid', reason: `the request row is not valid: ${found.join('; ')}` };
  const trace = typeof fields.traceparent === 'string' && fields.traceparent !== '' ? fields.traceparent : null;
  return {
    outcome: 'valid',
    key: key as RequestKey,
    settings: settings as RunSettings,
    extras: extras as RequestExtras,
    trace,
  };
}

/** The contract's type is any decimal; a quantile lies strictly between 0 and 1. */
function quantileFaults(quantile: unknown, columns: SourceRow['columns']): readonly string[] {
  if (typeof quantile !== 'string' || !/^-?\d+(\.\d+)?$/.test(quantile)) return [];
  const inside = /^0\.\d*[1-9]\d*$/.test(quantile);
  return inside ? [] : [`${columns.quantile} (quantile): ${quantile} is not between 0 and 1`];
}
