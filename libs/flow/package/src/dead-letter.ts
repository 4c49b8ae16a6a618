import { canonicalHash, sha256Hex, type DeadLetter, type RunEvent } from '@xva/contracts';
import { parseTraceparent } from '@xva/runtime';
import type { Defect, StepFailure } from './failures.ts';
import type { EventSource, ReceivedEvent } from './ports.ts';

const historyLength = 20;

/** Identity and content hash of an event, read or not: what decides whether two messages are the same one. */
export function identify(bytes: Uint8Array, event: RunEvent | undefined): { id: string; contentSha256: string } {
  if (event === undefined) {
    const contentSha256 = sha256Hex(bytes);
    return { id: `raw-${contentSha256.slice(0, 32)}`, contentSha256 };
  }
  // The subject only repeats the key as free text, which may have no canonical form.
  const { id, source, type, data } = event;
  return { id, contentSha256: canonicalHash({ id, source, type, data }) };
}

export interface Rejected {
  readonly received: ReceivedEvent;
  /** Undefined when it could not be read. */
  readonly event: RunEvent | undefined;
  readonly failure: StepFailure;
  readonly now: Date;
}

/** The letter for an event: a new one, or what is stored with one attempt more. The same event is always the same letter. */
export function writeLetter(
  id: string,
  contentSha256: string,
  rejected: Rejected,
  stored: DeadLetter | undefined,
): DeadLetter {
  const { received, event, failure } = rejected;
  const at = rejected.now.toISOString();
  const entry = { at, what: failure.reason, detail: failure.message.slice(0, 2_000) };
  return {
    schemaVersion: '1.0',
    id,
    state: 'waiting',
    eventId: event?.id ?? null,
    runId: event?.data.runId ?? null,
    requestKey: event?.data.requestKey ?? null,
    traceId: parseTraceparent(event?.traceparent)?.traceId ?? null,
    event: stored?.event ?? encode(received.bytes),
    contentSha256,
    source: sourceOf(received.source) ?? stored?.source ?? null,
    reason: failure.reason,
    message: failure.message.slice(0, 10_000),
    defects: failure.defects.map(toPlain),
    attempts: (stored?.attempts ?? 0) + 1,
    firstSeen: stored?.firstSeen ?? at,
    lastSeen: at,
    history: [...(stored?.history ?? []), entry].slice(-historyLength),
  };
}

/** The letter after someone dealt with it. */
export function closeLetter(
  letter: DeadLetter,
  state: 'replayed' | 'discarded',
  detail: string,
  now: Date,
): DeadLetter {
  const entry = { at: now.toISOString(), what: state, detail };
  return { ...letter, state, history: [...letter.history, entry].slice(-historyLength) };
}

export function letterBytes(letter: DeadLetter): Uint8Array {
  return Buffer.from(letter.event.data, letter.event.encoding);
}

function encode(bytes: Uint8Array): DeadLetter['event'] {
  try {
    return { encoding: 'utf8', data: new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes) };
  } catch {
    return { encoding: 'base64', data: Buffer.from(bytes).toString('base64') };
  }
}

function sourceOf(source: EventSource | null): DeadLetter['source'] {
  return source === null ? null : { ...source };
}

function toPlain({ subject, code, message }: Defect): Defect {
  return { subject, code, message };
}
