import type { PlacedEvent, StoredEvent } from '../events/stored-event.ts';
import type { SegmentDirectory } from './directory.ts';
import { checkPosition, type PartitionInfo, type StartPosition } from './position.ts';
import { encodeRecord, type LogRecord } from './record.ts';
import { openSegments } from './recovery.ts';
import { Segment } from './segment.ts';
import { encodeSegmentHeader, segmentName, type SegmentStart } from './segment-header.ts';
import { Tail } from './tail.ts';

export interface LogOptions {
  readonly now: () => number;
  /** A segment is closed once it holds this many bytes. */
  readonly segmentBytes: number;
  /** Whole segments whose last event is older are deleted. */
  readonly retentionMs: number;
  /** Oldest segments are deleted while the log holds more than this. */
  readonly retentionBytes: number;
}

export interface AppendReceipt {
  readonly firstSequence: number;
  readonly lastSequence: number;
}

interface Waiting {
  readonly events: readonly StoredEvent[];
  readonly attributes: Readonly<Record<string, unknown>>;
  readonly resolve: (receipt: AppendReceipt) => void;
  readonly reject: (error: unknown) => void;
}

/** Thrown by `append` after the log could not be brought back to its last durable state; only a restart helps. */
export class LogFailedError extends Error {
  constructor(cause: unknown) {
    super(`the partition's log failed and takes no more events: ${String(cause)}`, { cause });
    this.name = 'LogFailedError';
  }
}

const groupBytes = 8 * 1024 * 1024;
const tailBytes = 4 * 1024 * 1024;

/**
 * The durable log of one partition.
 *
 * Publications that wait while a commit is under way go to disk together in the next one: one write, one sync. Only
 * then do sequence numbers become visible, to readers and to the producer alike, so nothing that was seen can vanish.
 */
export class PartitionLog {
  readonly #directory: SegmentDirectory;
  readonly #options: LogOptions;
  readonly #segments: Segment[];
  readonly #listeners = new Set<() => void>();
  readonly #tail = new Tail(tailBytes);
  #waiting: Waiting[] = [];
  #work: Promise<void> = Promise.resolve();
  #committing = false;
  #failure: LogFailedError | undefined;
  /** Bytes of a torn tail that recovery cut off. */
  readonly recoveredBytes: number;

  private constructor(directory: SegmentDirectory, options: LogOptions, segments: Segment[], recoveredBytes: number) {
    this.#directory = directory;
    this.#options = options;
    this.#segments = segments;
    this.recoveredBytes = recoveredBytes;
  }

  /**
   * `onRecord` sees every record that is found, oldest first.
   *
   * @throws CorruptLogError when something other than the tail of the last segment is damaged.
   */
  static async open(
    directory: SegmentDirectory,
    options: LogOptions,
    onRecord: (record: LogRecord) => void = () => undefined,
  ): Promise<PartitionLog> {
    const segments: Segment[] = [];
    try {
      const recoveredBytes = await openSegments(directory, segments, onRecord);
      const log = new PartitionLog(directory, options, segments, recoveredBytes);
      if (segments.length === 0) {
        await log.#begin({ baseSequence: 0, basePosition: 0, lastOffset: -1, lastEnqueuedMs: 0 });
      }
      return log;
    } catch (error) {
      await Promise.all(segments.map((segment) => segment.file.close()));
      throw error;
    }
  }

  get info(): PartitionInfo {
    const active = this.#active;
    const beginSequence = this.#segments[0]?.start.baseSequence ?? 0;
    return {
      beginSequence,
      lastSequence: active.nextSequence - 1,
      lastOffset: active.lastOffset,
      lastEnqueuedMs: active.lastEnqueuedMs,
      isEmpty: active.nextSequence === beginSequence,
    };
  }

  /** Undefined while the log takes events. */
  get failure(): Error | undefined {
    return this.#failure;
  }

  /** Called after every commit. Gives back how to stop. */
  onCommit(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /**
   * Appends one publication, whole or not at all. Resolves once it is durable.
   *
   * @throws LogFailedError when the disk failed and the log could not be repaired; other errors leave it usable.
   */
  append(events: readonly StoredEvent[], attributes: Readonly<Record<string, unknown>> = {}): Promise<AppendReceipt> {
    if (events.length === 0) return Promise.reject(new RangeError('a publication needs at least one event'));
    return new Promise((resolve, reject) => {
      this.#waiting.push({ events, attributes, resolve, reject });
      if (this.#committing) return;
      this.#committing = true;
      this.#work = this.#work.then(() => this.#commitAll());
    });
  }

  /**
   * The sequence number from which a reader at `position` goes on; positions before the oldest event mean the oldest.
   *
   * @throws PositionPastEndError
   */
  async find(position: StartPosition): Promise<number> {
    const { info } = this;
    checkPosition(position, info);
    const next = info.lastSequence + 1;
    switch (position.kind) {
      case 'earliest':
        return info.beginSequence;
      case 'latest':
        return next;
      case 'sequence':
        return Math.max(info.beginSequence, position.inclusive ? position.sequence : position.sequence + 1);
      case 'offset': {
        const { offset, inclusive } = position;
        return this.#firstNot((event) => (inclusive ? event.offset < offset : event.offset <= offset), next);
      }
      case 'time': {
        const { unixMs, inclusive } = position;
        return this.#firstNot((event) => (inclusive ? event.enqueuedMs < unixMs : event.enqueuedMs <= unixMs), next);
      }
    }
  }

  /** Committed events from `from` on, in order; at least one if there is one, otherwise within both limits. */
  async read(from: number, maxEvents: number, maxBytes: number): Promise<readonly PlacedEvent[]> {
    const events: PlacedEvent[] = [];
    let bytes = 0;
    const take = (record: LogRecord): boolean => {
      for (const event of record.events) {
        if (event.sequence < from) continue;
        if (events.length > 0 && (events.length >= maxEvents || bytes >= maxBytes)) return false;
        events.push(event);
        bytes += event.bare.length + event.annotations.length;
      }
      return true;
    };
    if (from >= this.#active.nextSequence) return events;
    const recent = this.#tail.from(from);
    if (recent !== undefined) {
      for (const record of recent) if (!take(record)) break;
      return events;
    }
    const segment = this.#segments.findLast((candidate) => candidate.start.baseSequence <= from) ?? this.#segments[0];
    if (segment === undefined) return events;
    for await (const record of segment.records(segment.seek((entry) => entry.sequence <= from))) {
      if (!take(record)) break;
    }
    // Retention may have taken the segment from under the reader, who goes on with the oldest that is left.
    if (events.length === 0 && segment.removed && this.#segments[0] !== segment) {
      return this.read(from, maxEvents, maxBytes);
    }
    const following = this.#segments[this.#segments.indexOf(segment) + 1];
    return events.length === 0 && following !== undefined && !following.isEmpty
      ? this.read(following.start.baseSequence, maxEvents, maxBytes)
      : events;
  }

  /** Deletes whole segments that are past retention. The numbering goes on where it was. */
  trim(): Promise<void> {
    const trimmed = this.#work.then(() => this.#trimNow());
    this.#work = trimmed.catch(() => undefined);
    return trimmed;
  }

  async close(): Promise<void> {
    await this.#work;
    await Promise.all(this.#segments.map((segment) => segment.file.close()));
  }

  get #active(): Segment {
    const active = this.#segments.at(-1);
    if (active === undefined) throw new Error('a log without segments: opened outside of PartitionLog.open');
    return active;
  }

  async #begin(start: SegmentStart): Promise<void> {
    const name = segmentName(start.basePosition);
    this.#segments.push(new Segment(name, start, await this.#directory.create(name, encodeSegmentHeader(start))));
  }

  async #roll(): Promise<void> {
    const full = this.#active;
    const { nextSequence, endPosition, lastOffset, lastEnqueuedMs } = full;
    await this.#begin({ baseSequence: nextSequence, basePosition: endPosition, lastOffset, lastEnqueuedMs });
    await full.file.seal();
  }

  async #commitAll(): Promise<void> {
    while (this.#waiting.length > 0) {
      const group = this.#takeGroup();
      try {
        if (this.#failure !== undefined) throw this.#failure;
        if (!this.#active.isEmpty && this.#active.size >= this.#options.segmentBytes) await this.#roll();
        const records = await this.#write(group);
        for (const [index, waiting] of group.entries()) waiting.resolve(receiptOf(records[index]));
        for (const listener of this.#listeners) listener();
      } catch (error) {
        for (const waiting of group) waiting.reject(error);
      }
    }
    this.#committing = false;
  }

  #takeGroup(): Waiting[] {
    let bytes = 0;
    let count = 0;
    for (const { events } of this.#waiting) {
      if (count > 0 && bytes >= groupBytes) break;
      for (const event of events) bytes += event.bare.length + event.annotations.length;
      count += 1;
    }
    return this.#waiting.splice(0, count);
  }

  async #write(group: readonly Waiting[]): Promise<readonly LogRecord[]> {
    const active = this.#active;
    const syncedTo = active.endPosition;
    const enqueuedMs = Math.max(this.#options.now(), active.lastEnqueuedMs);
    let position = syncedTo;
    let baseSequence = active.nextSequence;
    const chunks: Buffer[] = [];
    const records: LogRecord[] = [];
    for (const { events, attributes } of group) {
      const { bytes, record } = encodeRecord({ position, syncedTo, baseSequence, enqueuedMs, attributes, events });
      chunks.push(bytes);
      records.push(record);
      position += bytes.length;
      baseSequence += events.length;
    }
    const sizeBefore = active.size;
    try {
      await active.file.append(chunks.length === 1 ? (chunks[0] ?? Buffer.alloc(0)) : Buffer.concat(chunks));
    } catch (error) {
      // After a failed sync nobody knows what is on disk; only a durable cut back to the last commit makes it known.
      await active.file.truncate(sizeBefore).catch((cause: unknown) => {
        this.#failure = new LogFailedError(cause);
      });
      throw this.#failure ?? error;
    }
    for (const record of records) {
      active.note(record);
      this.#tail.push(record);
    }
    return records;
  }

  /** The first event that `isBefore` denies, which must be monotone in sequence; `next` when there is none. */
  async #firstNot(
    isBefore: (event: { readonly offset: number; readonly enqueuedMs: number }) => boolean,
    next: number,
  ): Promise<number> {
    for (const segment of this.#segments.slice()) {
      if (segment.isEmpty || isBefore({ offset: segment.lastOffset, enqueuedMs: segment.lastEnqueuedMs })) continue;
      for await (const record of segment.records(segment.seek(isBefore))) {
        const found = record.events.find((event) => !isBefore(event));
        if (found !== undefined) return found.sequence;
      }
    }
    return next;
  }

  async #trimNow(): Promise<void> {
    const oldestAllowed = this.#options.now() - this.#options.retentionMs;
    const active = this.#active;
    if (!active.isEmpty && active.lastEnqueuedMs < oldestAllowed) await this.#roll();
    let bytes = this.#segments.reduce((sum, segment) => sum + segment.size, 0);
    while (this.#segments.length > 1) {
      const [first] = this.#segments;
      if (first === undefined) return;
      if (first.lastEnqueuedMs >= oldestAllowed && bytes <= this.#options.retentionBytes) return;
      // Only what is gone from the disk is gone from the log: a failing disk is tried again at the next trim.
      first.removed = true;
      try {
        await this.#directory.remove(first.name);
      } catch (error) {
        first.removed = false;
        throw error;
      }
      bytes -= first.size;
      this.#segments.shift();
      await first.file.close();
      this.#tail.dropBefore(this.#segments[0]?.start.baseSequence ?? 0);
    }
  }
}

function receiptOf(record: LogRecord | undefined): AppendReceipt {
  const first = record?.events[0];
  const last = record?.events.at(-1);
  if (first === undefined || last === undefined) throw new Error('a publication needs at least one event');
  return { firstSequence: first.sequence, lastSequence: last.sequence };
}
