import { z } from 'zod';
import { eventId, runId, schemaVersion, sha256, timestamp } from '../scalars.ts';
import { requestKeySchema } from './request-key.ts';

/** `waiting` for someone; `replayed` = became a job after all; `discarded` = closed without one. */
export const letterStates = ['waiting', 'replayed', 'discarded'] as const;
export type LetterState = (typeof letterStates)[number];

/** The event's id; `raw-…` (from the bytes' hash) when it could not be read; with a suffix for another event of that id. */
export const letterId = z.string().regex(/^([0-9a-f]{32}|raw-[0-9a-f]{32})(-[0-9a-f]{12})?$/, 'must be a letter id');

/** An event that could not become a job, with all that is needed to understand it and to bring it back. */
export const deadLetterSchema = z.strictObject({
  schemaVersion,
  id: letterId,
  state: z.enum(letterStates),
  eventId: eventId.nullable(),
  runId: runId.nullable(),
  requestKey: requestKeySchema.nullable(),
  traceId: z.string().nullable(),
  /** The message's bytes: as text when they are UTF-8, else in base64. */
  event: z.strictObject({ encoding: z.enum(['utf8', 'base64']), data: z.string() }),
  /** Hash of the event without what varies from one publishing to the next (time, trace). */
  contentSha256: sha256,
  source: z
    .strictObject({
      partitionId: z.string(),
      sequenceNumber: z.int(),
      offset: z.string(),
      enqueuedAt: timestamp,
    })
    .nullable(),
  reason: z.string(),
  message: z.string(),
  defects: z.array(z.strictObject({ subject: z.string(), code: z.string(), message: z.string() })),
  /** How often it ended here. */
  attempts: z.int().min(1),
  firstSeen: timestamp,
  lastSeen: timestamp,
  /** What happened to it, oldest first, at most the last 20. */
  history: z.array(z.strictObject({ at: timestamp, what: z.string(), detail: z.string() })),
});
export type DeadLetter = z.infer<typeof deadLetterSchema>;

/**
 * The facts of a letter that its blob's metadata repeat, so that a listing alone answers most questions: the collector's
 * (its state) and a person's (reason, book, time).
 */
export const letterLabelsSchema = z.strictObject({
  xva_letter_state: z.enum(letterStates),
  xva_letter_reason: z.string().regex(/^[a-z0-9-]{1,60}$/),
  xva_letter_seen: timestamp,
  xva_letter_attempts: z.string().regex(/^[1-9][0-9]{0,8}$/),
  /** Absent when the event could not be read. */
  xva_letter_book: z.string().optional(),
});
export type LetterLabels = z.infer<typeof letterLabelsSchema>;

export function letterLabelsOf(letter: DeadLetter): Readonly<Record<string, string>> {
  return {
    xva_letter_state: letter.state,
    xva_letter_reason: letter.reason,
    xva_letter_seen: letter.lastSeen,
    xva_letter_attempts: String(letter.attempts),
    ...(letter.requestKey === null ? {} : { xva_letter_book: letter.requestKey.book }),
  } satisfies LetterLabels;
}
