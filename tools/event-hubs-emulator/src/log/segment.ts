import type { SegmentFile } from './directory.ts';
import { findLaterCommit, scanRecord, type LogRecord } from './record.ts';
import { segmentHeaderBytes, type SegmentStart } from './segment-header.ts';

/** Thrown when acknowledged data cannot be read back: the log refuses to open rather than to lose it silently. */
export class CorruptLogError extends Error {
  readonly segment: string;
  readonly position: number;

  constructor(segment: string, position: number, reason: string) {
    super(`segment ${segment} is damaged at byte ${position}: ${reason}`);
    this.name = 'CorruptLogError';
    this.segment = segment;
    this.position = position;
  }
}

interface IndexEntry {
  readonly filePosition: number;
  readonly sequence: number;
  readonly offset: number;
  readonly enqueuedMs: number;
}

const indexEveryBytes = 64 * 1024;
const chunkBytes = 512 * 1024;

/**
 * A segment: header, then records. It knows what of it is committed (durable), and keeps a sparse index in memory, an
 * entry about every 64 KiB, which is built while recovery checks every record.
 */
export class Segment {
  readonly name: string;
  readonly start: SegmentStart;
  readonly #file: SegmentFile;
  readonly #index: IndexEntry[] = [];
  nextSequence: number;
  lastOffset: number;
  lastEnqueuedMs: number;
  removed = false;

  constructor(name: string, start: SegmentStart, file: SegmentFile) {
    this.name = name;
    this.start = start;
    this.#file = file;
    this.nextSequence = start.baseSequence;
    this.lastOffset = start.lastOffset;
    this.lastEnqueuedMs = start.lastEnqueuedMs;
  }

  get file(): SegmentFile {
    return this.#file;
  }

  get size(): number {
    return this.#file.size;
  }

  /** Stream position after the last committed record. */
  get endPosition(): number {
    return this.start.basePosition + this.#file.size - segmentHeaderBytes;
  }

  get isEmpty(): boolean {
    return this.nextSequence === this.start.baseSequence;
  }

  /** Counts a committed record in. */
  note(record: LogRecord): void {
    const first = record.events[0];
    const last = record.events.at(-1);
    if (first === undefined || last === undefined) return;
    const filePosition = record.position - this.start.basePosition + segmentHeaderBytes;
    const indexed = this.#index.at(-1);
    if (indexed === undefined || filePosition - indexed.filePosition >= indexEveryBytes) {
      const { sequence, offset, enqueuedMs } = first;
      this.#index.push({ filePosition, sequence, offset, enqueuedMs });
    }
    this.nextSequence = last.sequence + 1;
    this.lastOffset = last.offset;
    this.lastEnqueuedMs = last.enqueuedMs;
  }

  /** Checks every record. A torn tail (only where `mayCut`) is cut off and the number of bytes cut is returned. */
  async recover(mayCut: boolean, onRecord: (record: LogRecord) => void): Promise<number> {
    let at = segmentHeaderBytes;
    let buffer = await this.#file.read(at, chunkBytes);
    let consumed = 0;
    for (;;) {
      const found = scanRecord(buffer, consumed, this.start.basePosition + at + consumed - segmentHeaderBytes);
      if (found.kind === 'record') {
        const sequence = found.record.events[0]?.sequence;
        if (sequence !== this.nextSequence) {
          const text = `sequence number ${sequence ?? 'none'} where ${this.nextSequence} was due`;
          throw new CorruptLogError(this.name, at + consumed, text);
        }
        this.note(found.record);
        onRecord(found.record);
        consumed += found.record.byteLength;
        continue;
      }
      const position = at + consumed;
      const remaining = this.#file.size - position;
      if (remaining === 0) return 0;
      if (found.kind === 'short' && found.bytes <= remaining) {
        at = position;
        buffer = await this.#file.read(at, Math.max(chunkBytes, found.bytes));
        consumed = 0;
        continue;
      }
      if (!mayCut) throw new CorruptLogError(this.name, position, 'a later segment exists, so this is no torn tail');
      const rest = await this.#file.read(position, remaining);
      const streamPosition = this.start.basePosition + position - segmentHeaderBytes;
      const later = findLaterCommit(rest, 0, streamPosition);
      if (later !== -1) {
        const text = `an intact record at byte ${position + later} shows that this place had been committed`;
        throw new CorruptLogError(this.name, position, text);
      }
      await this.#file.truncate(position);
      return remaining;
    }
  }

  /** File position from which to look for the first event that `isBefore` says no to, by the sparse index. */
  seek(isBefore: (entry: IndexEntry) => boolean): number {
    let low = 0;
    let high = this.#index.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      const entry = this.#index[middle];
      if (entry !== undefined && isBefore(entry)) low = middle + 1;
      else high = middle;
    }
    return this.#index[Math.max(0, low - 1)]?.filePosition ?? segmentHeaderBytes;
  }

  /** The committed records from a record boundary on; ends early when the segment is removed meanwhile. */
  async *records(from: number): AsyncGenerator<LogRecord, void> {
    let at = from;
    let wanted = chunkBytes;
    while (at < this.#file.size && !this.removed) {
      const buffer = await this.#readUnlessRemoved(at, wanted);
      if (buffer === undefined) return;
      let consumed = 0;
      for (;;) {
        const found = scanRecord(buffer, consumed, this.start.basePosition + at + consumed - segmentHeaderBytes);
        if (found.kind === 'record') {
          consumed += found.record.byteLength;
          yield found.record;
          continue;
        }
        if (found.kind === 'broken') throw new CorruptLogError(this.name, at + consumed, 'checksum fails on reading');
        if (consumed === 0 && buffer.length < wanted && found.bytes > buffer.length) return;
        wanted = Math.max(chunkBytes, found.bytes);
        break;
      }
      at += consumed;
    }
  }

  async #readUnlessRemoved(at: number, length: number): Promise<Buffer | undefined> {
    try {
      return await this.#file.read(at, length);
    } catch (error) {
      if (this.removed) return undefined;
      throw error;
    }
  }
}
