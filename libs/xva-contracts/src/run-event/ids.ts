import { createHash } from 'node:crypto';
import { canonicalHash } from '../canonical-json.ts';
import type { RequestKey } from './request-key.ts';

/**
 * CloudEvents id of what a polling definition detected: 128 bits of the hash of definition, key and version.
 *
 * `version` is the request's revision in `outbox` mode (never the row's rowversion, which the claim itself bumps);
 * the value plus the database's incarnation in `rowversion` and `changeTracking` mode; the cursor's generation counter
 * in `query` mode (A→B→A is three events).
 */
export function deriveEventId(definition: string, key: Omit<RequestKey, 'revision'>, version: string): string {
  const { book, asOf, cut, scenario } = key;
  return canonicalHash([definition, { book, asOf, cut, scenario }, version]).slice(0, 32);
}

const base32Digits = 'abcdefghijklmnopqrstuvwxyz234567';

/** The first `length` digits of five bits each. */
function base32(bytes: Uint8Array, length: number): string {
  let text = '';
  let held = 0;
  let heldBits = 0;
  for (const byte of bytes) {
    held = (held << 8) | byte;
    heldBits += 8;
    while (heldBits >= 5 && text.length < length) {
      heldBits -= 5;
      text += base32Digits[(held >> heldBits) & 31] ?? '';
    }
    held &= (1 << heldBits) - 1;
  }
  return text;
}

/**
 * Run id from the event id alone (as-of date and book are parts of what the event id hashes and only make it readable):
 * `xva-<yyyymmdd>-<book, at most 12>-<70 bits>`, at most 40 characters of `[a-z0-9-]`, so that it fits Batch ids
 * (64, case-insensitive) and container names (63) with what is added to it.
 */
export function deriveRunId(eventId: string, key: Pick<RequestKey, 'book' | 'asOf'>): string {
  const slug = key.book
    .toLowerCase()
    .replaceAll(/[^a-z0-9]+/g, '-')
    .slice(0, 12)
    .replaceAll(/^-+|-+$/g, '');
  const hash = createHash('sha256').update(`run:${eventId}`).digest().subarray(0, 10);
  return `xva-${key.asOf.replaceAll('-', '')}-${slug === '' ? 'book' : slug}-${base32(hash, 14)}`;
}
