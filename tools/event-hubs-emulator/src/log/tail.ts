import type { LogRecord } from './record.ts';

/** What the objects around a record and around each of its events take beside their bytes. */
const recordOverhead = 300;
const eventOverhead = 500;

function costOf({ byteLength, events }: LogRecord): number {
  return byteLength + recordOverhead + events.length * eventOverhead;
}

/**
 * The youngest records of a log, contiguous up to its end and bounded in the memory that they take, so that readers who
 * keep up never touch the disk.
 */
export class Tail {
  readonly #records: LogRecord[] = [];
  readonly #maxBytes: number;
  #bytes = 0;

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
  }

  push(record: LogRecord): void {
    this.#records.push(record);
    this.#bytes += costOf(record);
    while (this.#records.length > 1 && this.#bytes > this.#maxBytes) this.#shift();
  }

  /** The records from the one that holds `sequence` on, or undefined when that one is too old to be here. */
  from(sequence: number): readonly LogRecord[] | undefined {
    const oldest = this.#records[0]?.events[0]?.sequence;
    if (oldest === undefined || sequence < oldest) return undefined;
    let low = 0;
    let high = this.#records.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((this.#records[middle]?.events.at(-1)?.sequence ?? 0) < sequence) low = middle + 1;
      else high = middle;
    }
    return this.#records.slice(low);
  }

  dropBefore(sequence: number): void {
    while (this.#records.length > 0 && (this.#records[0]?.events[0]?.sequence ?? sequence) < sequence) this.#shift();
  }

  #shift(): void {
    const gone = this.#records.shift();
    if (gone !== undefined) this.#bytes -= costOf(gone);
  }
}
