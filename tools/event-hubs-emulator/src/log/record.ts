import { crc32 } from 'node:zlib';
import type { PlacedEvent, StoredEvent } from '../events/stored-event.ts';

/**
 * One publication in the log. Big-endian:
 *
 *     u32 length of what follows the checksum · u32 CRC-32 of it ·
 *     u32 magic · u64 syncedTo · u64 base sequence · u64 enqueued (Unix ms) ·
 *     u32 attribute bytes, attributes (JSON) · u32 event count ·
 *     per event: u32 header bytes · u32 annotation count · u32 annotation bytes · u32 bare bytes, then those bytes
 *
 * A publication is one record, so that a batch is kept whole or not at all. `syncedTo` is the stream position that was
 * known to be on disk when the record was written. It tells a torn tail from damage: a broken record before the
 * `syncedTo` of an intact later one had been acknowledged, so cutting there would lose data.
 */
export interface LogRecord {
  /** Position of the record's first byte in the partition's stream of records. */
  readonly position: number;
  readonly byteLength: number;
  readonly syncedTo: number;
  readonly attributes: Readonly<Record<string, unknown>>;
  readonly events: readonly PlacedEvent[];
}

export interface RecordDraft {
  readonly position: number;
  readonly syncedTo: number;
  readonly baseSequence: number;
  readonly enqueuedMs: number;
  /** What the log must remember about a publication besides its events, for example a producer's own sequence number. */
  readonly attributes: Readonly<Record<string, unknown>>;
  readonly events: readonly StoredEvent[];
}

export const recordPrefixBytes = 8;
const magic = 0x58454852; // "XEHR"
const fixedBytes = 4 + 8 + 8 + 8 + 4;
const eventHeadBytes = 16;
const maxRecordBytes = 64 * 1024 * 1024;

/** What stands at a place in a segment. */
export type ScanResult =
  | { readonly kind: 'record'; readonly record: LogRecord }
  /** The buffer ends before the record does; `bytes` is what the record needs in all, as far as known. */
  | { readonly kind: 'short'; readonly bytes: number }
  | { readonly kind: 'broken' };

/** Encodes a record and gives it back as readers will see it. */
export function encodeRecord(draft: RecordDraft): { readonly bytes: Buffer; readonly record: LogRecord } {
  const attributes = Buffer.from(JSON.stringify(draft.attributes), 'utf8');
  const size = draft.events.reduce(
    (sum, event) => sum + eventHeadBytes + event.header.length + event.annotations.length + event.bare.length,
    recordPrefixBytes + fixedBytes + attributes.length + 4,
  );
  // Memory of its own: a slice of Node's shared pool would keep 64 KB alive for as long as a reader may want this record.
  const bytes = Buffer.allocUnsafeSlow(size);
  let at = recordPrefixBytes;
  at = bytes.writeUInt32BE(magic, at);
  at = bytes.writeBigUInt64BE(BigInt(draft.syncedTo), at);
  at = bytes.writeBigUInt64BE(BigInt(draft.baseSequence), at);
  at = bytes.writeBigUInt64BE(BigInt(draft.enqueuedMs), at);
  at = bytes.writeUInt32BE(attributes.length, at);
  at += attributes.copy(bytes, at);
  at = bytes.writeUInt32BE(draft.events.length, at);
  for (const event of draft.events) {
    at = bytes.writeUInt32BE(event.header.length, at);
    at = bytes.writeUInt32BE(event.annotationCount, at);
    at = bytes.writeUInt32BE(event.annotations.length, at);
    at = bytes.writeUInt32BE(event.bare.length, at);
    at += event.header.copy(bytes, at);
    at += event.annotations.copy(bytes, at);
    at += event.bare.copy(bytes, at);
  }
  bytes.writeUInt32BE(size - recordPrefixBytes, 0);
  bytes.writeUInt32BE(crc32(bytes.subarray(recordPrefixBytes)), 4);
  return { bytes, record: parse(bytes, draft.position) };
}

/** Reads the record at `at`; `position` is the stream position of that byte. Never throws on bad bytes. */
export function scanRecord(buffer: Buffer, at: number, position: number): ScanResult {
  const available = buffer.length - at;
  if (available < recordPrefixBytes) return { kind: 'short', bytes: recordPrefixBytes };
  const length = buffer.readUInt32BE(at);
  if (length < fixedBytes + 4 || length > maxRecordBytes) return { kind: 'broken' };
  const total = recordPrefixBytes + length;
  if (available < total) return { kind: 'short', bytes: total };
  const body = buffer.subarray(at + recordPrefixBytes, at + total);
  if (body.readUInt32BE(0) !== magic || crc32(body) !== buffer.readUInt32BE(at + 4)) return { kind: 'broken' };
  return { kind: 'record', record: parse(buffer.subarray(at, at + total), position) };
}

/**
 * Looks for an intact record anywhere after a broken one whose `syncedTo` says that the broken one had been on disk.
 * Gives its position in the buffer, or -1: then what is broken is only a torn tail.
 */
export function findLaterCommit(buffer: Buffer, from: number, positionOfBuffer: number): number {
  const pattern = Buffer.alloc(4);
  pattern.writeUInt32BE(magic, 0);
  let hit = buffer.indexOf(pattern, from + recordPrefixBytes + 1);
  while (hit !== -1) {
    const start = hit - recordPrefixBytes;
    const found = scanRecord(buffer, start, positionOfBuffer + start);
    if (found.kind === 'record' && found.record.syncedTo > positionOfBuffer + from) return start;
    hit = buffer.indexOf(pattern, hit + 1);
  }
  return -1;
}

/** Parses a record whose checksum holds. */
function parse(bytes: Buffer, position: number): LogRecord {
  let at = recordPrefixBytes + 4;
  const syncedTo = Number(bytes.readBigUInt64BE(at));
  const baseSequence = Number(bytes.readBigUInt64BE(at + 8));
  const enqueuedMs = Number(bytes.readBigUInt64BE(at + 16));
  const attributeBytes = bytes.readUInt32BE(at + 24);
  at += 28;
  const attributes = JSON.parse(bytes.toString('utf8', at, at + attributeBytes)) as Record<string, unknown>;
  at += attributeBytes;
  const count = bytes.readUInt32BE(at);
  at += 4;
  const events: PlacedEvent[] = [];
  for (let index = 0; index < count; index += 1) {
    // The first event stands at the record itself, so that a partition's first offset is 0.
    const offset = index === 0 ? position : position + at;
    const headerEnd = at + eventHeadBytes + bytes.readUInt32BE(at);
    const annotationsEnd = headerEnd + bytes.readUInt32BE(at + 8);
    const bareEnd = annotationsEnd + bytes.readUInt32BE(at + 12);
    events.push({
      header: bytes.subarray(at + eventHeadBytes, headerEnd),
      annotationCount: bytes.readUInt32BE(at + 4),
      annotations: bytes.subarray(headerEnd, annotationsEnd),
      bare: bytes.subarray(annotationsEnd, bareEnd),
      sequence: baseSequence + index,
      offset,
      enqueuedMs,
    });
    at = bareEnd;
  }
  return { position, byteLength: bytes.length, syncedTo, attributes, events };
}
