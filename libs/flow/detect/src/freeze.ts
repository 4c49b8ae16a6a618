import {
  canonicalJson,
  ContractError,
  csaSchema,
  deriveEventId,
  deriveRunId,
  frozenRequestSchema,
  parseContract,
  sha256Hex,
} from '@xva/contracts';
import type { FrozenRequest, FrozenTrade, RequestKey, RunSettings } from '@xva/contracts';
import type { DetailRows } from './ports.ts';
import type { RequestExtras } from './request.ts';

/** A frozen request as it lies in Storage, and what the event says of it. */
export interface Frozen {
  readonly eventId: string;
  readonly runId: string;
  readonly key: RequestKey;
  readonly bytes: Buffer;
  readonly sha256: string;
  readonly tradeCount: number;
  readonly nettingSetCount: number;
}

export interface Identity {
  readonly eventId: string;
  readonly runId: string;
}

/** Ids of what a row asks for; in `outbox` mode its revision is the version. */
export function identityOf(definition: string, key: RequestKey, version = String(key.revision)): Identity {
  const eventId = deriveEventId(definition, key, version);
  return { eventId, runId: deriveRunId(eventId, key) };
}

/**
 * The terms of a trade: the JSON object that the text holds, else `{ raw: text }` for the input API to refuse by the trade's
 * name. A number that JSON reading would round (or that has no canonical form) makes it raw too: terms carry decimals as text.
 */
export function parseTerms(text: string): FrozenTrade['terms'] {
  let value: unknown;
  try {
    value = JSON.parse(text);
    canonicalJson(value);
  } catch {
    return { raw: text };
  }
  const isObject = typeof value === 'object' && value !== null && !Array.isArray(value);
  return isObject ? (value as FrozenTrade['terms']) : { raw: text };
}

/**
 * The CSA that the text holds, else `{ raw: text }` for the input API to refuse that netting set alone, with each fault by
 * name. Empty text and JSON's `null` are no CSA. Text beyond the contract's bound is cut and refused all the same.
 */
function parseCsa(text: string | null): FrozenRequest['nettingSets'][number]['csa'] {
  if (text === null || text.trim() === '') return null;
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    value = undefined;
  }
  const read = csaSchema.nullable().safeParse(value);
  return read.success ? read.data : { raw: text.slice(0, mostRawCsa).toWellFormed() };
}

const mostRawCsa = 20_000;

/** By id, and by the whole row where ids repeat, so that the same rows give the same bytes in whatever order they came. */
function inOrder<T>(items: readonly T[], id: (item: T) => string): readonly T[] {
  const compare = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0);
  return [...items].sort((a, b) => compare(id(a), id(b)) || compare(JSON.stringify(a), JSON.stringify(b)));
}

/**
 * The frozen request's canonical bytes.
 *
 * @throws ContractError or NotCanonicalError naming what in the rows has no place in the contract (an id that is too long,
 * text that is not well-formed)
 */
export function freezeRequest(
  identity: Identity,
  key: RequestKey,
  settings: RunSettings,
  details: DetailRows,
  extras: RequestExtras = {},
): Frozen {
  const request = {
    schemaVersion: '1.0',
    eventId: identity.eventId,
    requestKey: key,
    settings,
    nettingSets: inOrder(details.nettingSets, (row) => row.nettingSetId).map((row) => ({
      id: row.nettingSetId,
      counterparty: row.counterparty,
      csa: parseCsa(row.csa),
    })),
    trades: inOrder(details.trades, (row) => row.tradeId).map(({ tradeId, nettingSetId, tradeType, terms }) => ({
      tradeId,
      nettingSetId,
      tradeType,
      terms: parseTerms(terms),
    })),
    quotes: inOrder(details.quotes, (row) => row.key).map(({ key, value }) => ({ key, value })),
    fixings: inOrder(details.fixings, (row) => `${row.index} ${row.date}`).map(({ index, date, value }) => ({
      index,
      date,
      value,
    })),
    ...extras,
  };
  return describeFrozen(checkNamed(request), Buffer.from(canonicalJson(request), 'utf8'));
}

type Draft = Readonly<Record<'nettingSets' | 'trades' | 'quotes' | 'fixings', readonly object[]>>;

/** As the contract says it, but with ids instead of positions: `nettingSets[NS_A].csa`. */
function checkNamed(request: Draft): FrozenRequest {
  try {
    return parseContract(frozenRequestSchema, request, `the request's data`);
  } catch (error) {
    if (!(error instanceof ContractError)) throw error;
    const issues = error.issues.map(({ path, message }) => {
      const named = path.replace(/^([a-zA-Z]+)\[(\d+)\]/, (place, list: keyof Draft, index: string) => {
        const item = request[list][Number(index)] as Readonly<Record<string, string>> | undefined;
        return `${list}[${item?.['id'] ?? item?.['tradeId'] ?? item?.['key'] ?? item?.['index'] ?? place}]`;
      });
      return { path: named, message };
    });
    throw new ContractError(error.what, issues);
  }
}

/** A stored frozen request. @throws ContractError when the bytes are none */
export function readFrozen(bytes: Uint8Array): Frozen & { readonly settings: RunSettings } {
  const buffer = Buffer.from(bytes);
  const value: unknown = JSON.parse(buffer.toString('utf8'));
  const request = parseContract(frozenRequestSchema, value, 'the stored request');
  return { ...describeFrozen(request, buffer), settings: request.settings };
}

function describeFrozen(request: FrozenRequest, bytes: Buffer): Frozen {
  return {
    eventId: request.eventId,
    runId: deriveRunId(request.eventId, request.requestKey),
    key: request.requestKey,
    bytes,
    sha256: sha256Hex(bytes),
    tradeCount: request.trades.length,
    nettingSetCount: request.nettingSets.length,
  };
}
