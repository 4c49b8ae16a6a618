import {
  ContractError,
  frozenRequestSchema,
  parseContractText,
  sha256Hex,
  type FrozenRequest,
  type RunEvent,
  type RunSettings,
} from '@xva/contracts';
import { StepFailure } from './failures.ts';
import type { WorkObjects } from './ports.ts';

/** What the answer to a request is compared with. */
export interface RequestFacts {
  readonly settings: RunSettings;
  readonly trades: readonly AskedTrade[];
}

/** A trade that the package must hold or say something of. */
export interface AskedTrade {
  readonly tradeId: string;
  readonly nettingSetId: string;
  /** Of a trade on the other side of a what-if: the trade that it repeats, under whose name a warning comes. */
  readonly copyOf?: string;
}

/** All trades of the request; of a what-if those of the one netting set, as it is and with the other trades. */
export function askedTrades({ trades, whatIf }: Pick<FrozenRequest, 'trades' | 'whatIf'>): readonly AskedTrade[] {
  if (whatIf === undefined) return trades;
  const { nettingSetId, addTrades, removeTradeIds } = whatIf;
  const before = trades.filter((trade) => trade.nettingSetId === nettingSetId);
  const removed = new Set(removeTradeIds);
  const after = [...before.filter(({ tradeId }) => !removed.has(tradeId)), ...addTrades];
  const copies = after.map(({ tradeId }) => ({
    tradeId: `${tradeId}.whatif`,
    nettingSetId: `${nettingSetId}.whatif`,
    copyOf: tradeId,
  }));
  return [...before, ...copies];
}

export interface FrozenBytes {
  readonly bytes: Uint8Array;
  readonly facts: RequestFacts;
}

/**
 * The frozen request that the event points to, exactly as it was frozen.
 *
 * @throws StepFailure `poison`: `request-too-large`, `request-missing`, `request-differs` (size or hash), `request-invalid`.
 */
export async function loadRequest(event: RunEvent, objects: WorkObjects, maxBytes: number): Promise<FrozenBytes> {
  const { requestBlob, requestBytes, requestSha256 } = event.data;
  if (requestBytes > maxBytes) {
    throw new StepFailure(
      'poison',
      'request-too-large',
      `${requestBlob} has ${requestBytes} bytes, at most ${maxBytes}`,
    );
  }
  const bytes = await objects.readRequest(requestBlob.slice('requests/'.length), requestBytes + 1);
  if (bytes === undefined) throw new StepFailure('poison', 'request-missing', `${requestBlob} is not there`);
  if (bytes.length !== requestBytes || sha256Hex(bytes) !== requestSha256) {
    const size = bytes.length > requestBytes ? `more than ${requestBytes}` : String(bytes.length);
    throw new StepFailure(
      'poison',
      'request-differs',
      `${requestBlob} has ${size} bytes and another hash than the event says (${requestBytes}, ${requestSha256})`,
    );
  }
  return { bytes, facts: readFacts(bytes, event) };
}

function readFacts(bytes: Uint8Array, event: RunEvent): RequestFacts {
  try {
    const text = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('utf8');
    const request = parseContractText(frozenRequestSchema, text, event.data.requestBlob);
    const { eventId, settings } = request;
    if (eventId === event.id) return { settings, trades: askedTrades(request) };
    throw new StepFailure('poison', 'request-differs', `${event.data.requestBlob} is the request of event ${eventId}`);
  } catch (error) {
    if (!(error instanceof ContractError)) throw error;
    const defects = error.issues.map(({ path, message }) => ({ subject: path, code: 'request-invalid', message }));
    throw new StepFailure('poison', 'request-invalid', error.message, { defects: defects.slice(0, 200) });
  }
}
