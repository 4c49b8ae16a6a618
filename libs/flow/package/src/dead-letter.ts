import { canonicalHash, requestKeySchema, scalars, sha256Hex, type RunEvent } from '@xva/contracts';
import { parseTraceparent } from '@xva/runtime';
import { z } from 'zod';
import type { Defect, StepFailure } from './failures.ts';
import type { EventSource, ReceivedEvent } from './ports.ts';

const defectSchema = z.strictObject({ subject: z.string(), code: z.string(), message: z.string() });

/** An event that could not become a job, with all that is needed to understand it and to bring it back. */
export const deadLetterSchema = z.strictObject({
  schemaVersion: scalars.schemaVersion,
  /** The event's id; `raw-…` (from the bytes' hash) when it could not be read. */
  id: z.string().regex(/^([0-9a-f]{32}|raw-[0-9a-f]{32})(-[0-9a-f]{12})?$/),
  /** `waiting` for someone; `replayed` = became a job after all; `discarded` = closed without one. */
  state: z.enum(['waiting', 'replayed', 'discarded']),
  eventId: scalars.eventId.nullable(),
  runId: scalars.runId.nullable(),
  requestKey: requestKeySchema.nullable(),
  traceId: z.string().nullable(),
  /** The message's bytes: as text when they are UTF-8, else in base64. */
  event: z.strictObject({ encoding: z.enum(['utf8', 'base64']), data: z.string() }),
  /** Hash of the event without what varies from one publishing to the next (time, trace). */
  contentSha256: scalars.sha256,
  source: z
    .strictObject({
      partitionId: z.string(),
      sequenceNumber: z.int(),
      offset: z.string(),
      enqueuedAt: scalars.timestamp,
    })
    .nullable(),
  reason: z.string(),
  message: z.string(),
  defects: z.array(defectSchema),
  /** How often it ended here. */
  attempts: z.int().min(1),
  firstSeen: scalars.timestamp,
  lastSeen: scalars.timestamp,
  /** What happened to it, oldest first, at most the last 20. */
  history: z.array(z.strictObject({ at: scalars.timestamp, what: z.string(), detail: z.string() })),
});
export type DeadLetter = z.infer<typeof deadLetterSchema>;

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
