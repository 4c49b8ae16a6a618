import { appendFileSync } from 'node:fs';

export interface TranscriptEntry {
  readonly at: string;
  readonly [field: string]: unknown;
}

/** The last `capacity` requests that an emulator answered, for tests and for people; also appended to a file if asked. */
export class Transcript {
  readonly #entries: TranscriptEntry[] = [];
  readonly #capacity: number;
  readonly #file: string | undefined;

  constructor(capacity = 10_000, file?: string) {
    this.#capacity = capacity;
    this.#file = file;
  }

  add(fields: Readonly<Record<string, unknown>>, now: Date = new Date()): void {
    const entry: TranscriptEntry = { at: now.toISOString(), ...fields };
    this.#entries.push(entry);
    if (this.#entries.length > this.#capacity) this.#entries.splice(0, this.#entries.length - this.#capacity);
    if (this.#file !== undefined) appendFileSync(this.#file, `${JSON.stringify(entry)}\n`);
  }

  entries(): readonly TranscriptEntry[] {
    return this.#entries;
  }

  clear(): void {
    this.#entries.length = 0;
  }
}
