import type { Clock } from '@xva/runtime';
import { chained, genesis, type AuditEntry, type AuditHead, type AuditLine } from './line.ts';

type Properties = Readonly<Record<string, string | number | boolean | Date>>;

export interface AuditRow {
  readonly partitionKey: string;
  readonly rowKey: string;
  readonly properties: Properties;
}

type Stored = AuditRow & { readonly etag: string };

/** What the audit needs of its table: a partition changes as a whole or not at all. */
export interface AuditRows {
  get(partitionKey: string, rowKey: string): Promise<Stored | undefined>;
  replace(row: AuditRow, etag: string): Promise<{ readonly outcome: 'replaced' | 'changed' | 'absent' }>;
  query(options: { readonly filter: string }): AsyncIterable<Stored>;
  /** Inserts rows of one partition and inserts or replaces one more, all or nothing. */
  appendTogether(
    rows: readonly AuditRow[],
    guard: { readonly row: AuditRow; readonly etag: string | undefined },
  ): Promise<{ readonly outcome: 'done' | 'changed' }>;
}

const headRow = 'head';
/** A table transaction takes 100 entities (Table service, Entity Group Transactions): the head is one of them. */
const maxLinesTogether = 99;
const maxTries = 50;

export function rowKeyOf(sequence: number): string {
  return String(sequence).padStart(12, '0');
}

function toRow(line: AuditLine): AuditRow {
  const { before, after, ...rest } = line;
  const texts = { ...(before === null ? {} : { before }), ...(after === null ? {} : { after }) };
  return { partitionKey: line.day, rowKey: rowKeyOf(line.sequence), properties: { ...rest, ...texts } };
}

export function lineOf({ partitionKey, properties }: AuditRow): AuditLine {
  const { before, after, ...rest } = properties as unknown as Omit<AuditLine, 'before' | 'after'> & {
    readonly before?: string;
    readonly after?: string;
  };
  return { ...rest, day: partitionKey, before: before ?? null, after: after ?? null };
}

export function headOf({ partitionKey, properties }: AuditRow): AuditHead {
  return { ...(properties as unknown as AuditHead), day: partitionKey };
}

function toHeadRow({ day, ...rest }: AuditHead): AuditRow {
  return { partitionKey: day, rowKey: headRow, properties: rest };
}

function opened(day: string, opening: string): AuditHead {
  return { day, sequence: 0, hash: opening, opening, closedBy: '' };
}

interface Waiting {
  readonly entry: AuditEntry;
  readonly resolve: (line: AuditLine) => void;
  readonly reject: (error: unknown) => void;
}

/** Thrown when so many others append at a time that a line found no place. */
export class AuditBusyError extends Error {
  override readonly name = 'AuditBusyError';
  readonly retryable = true;
}

/**
 * The append-only audit. Lines that come together are written together, each chained to the one before; of several
 * replicas that append at a time one wins and the others go on from there. Nothing here can change or delete a line.
 */
export class AuditLog {
  readonly #rows: AuditRows;
  readonly #clock: Clock;
  readonly #waiting: Waiting[] = [];
  #isWriting = false;

  constructor(rows: AuditRows, clock: Clock) {
    this.#rows = rows;
    this.#clock = clock;
  }

  /** Resolves when the line is in the table. */
  append(entry: Omit<AuditEntry, 'at'>): Promise<AuditLine> {
    const at = this.#clock.now().toISOString();
    const appended = new Promise<AuditLine>((resolve, reject) =>
      this.#waiting.push({ entry: { ...entry, at }, resolve, reject }),
    );
    if (!this.#isWriting) void this.#drain();
    return appended;
  }

  async #drain(): Promise<void> {
    this.#isWriting = true;
    // One turn later, so that what is asked for in the same moment goes together.
    await Promise.resolve();
    while (this.#waiting.length > 0) {
      const batch = this.#waiting.splice(0, maxLinesTogether);
      try {
        const lines = await this.#write(batch.map(({ entry }) => entry));
        for (const [index, { resolve }] of batch.entries()) resolve(lines[index] as AuditLine);
      } catch (error) {
        for (const { reject } of batch) reject(error);
      }
    }
    // In the same turn as the last look at what waits: a line that comes later starts anew.
    this.#isWriting = false;
  }

  async #write(entries: readonly AuditEntry[]): Promise<readonly AuditLine[]> {
    for (let tries = 0; tries < maxTries; tries += 1) {
      const { head, etag } = await this.#openHead();
      const lines: AuditLine[] = [];
      for (const entry of entries) {
        const last = lines.at(-1);
        lines.push(chained(entry, head.day, (last?.sequence ?? head.sequence) + 1, last?.hash ?? head.hash));
      }
      const last = lines.at(-1);
      if (last === undefined) return [];
      const next = { ...head, sequence: last.sequence, hash: last.hash };
      try {
        const { outcome } = await this.#rows.appendTogether(lines.map(toRow), { row: toHeadRow(next), etag });
        if (outcome === 'done') return lines;
      } catch (error) {
        // An answer that was lost leaves open whether the lines are there: the hash of the last one tells.
        if ((error as { readonly retryable?: unknown }).retryable !== true) throw error;
        const there = await this.#rows.get(last.day, rowKeyOf(last.sequence));
        if (there !== undefined && lineOf(there).hash === last.hash) return lines;
      }
    }
    throw new AuditBusyError(`no place for a line of the audit in ${maxTries} tries`);
  }

  /** The head of the day to which lines are appended: today's, or the latest that is open. */
  async #openHead(): Promise<{ readonly head: AuditHead; readonly etag: string | undefined }> {
    let day = this.#clock.now().toISOString().slice(0, 10);
    for (;;) {
      const stored = await this.#rows.get(day, headRow);
      if (stored !== undefined) {
        const head = headOf(stored);
        if (head.closedBy === '') return { head, etag: stored.etag };
        day = head.closedBy;
        continue;
      }
      const before = await this.#latest();
      if (before === undefined) return { head: opened(day, genesis), etag: undefined };
      const { head } = before;
      // A replica whose clock runs ahead may have begun a later day: the chain goes on there.
      // Begun by another replica between the two looks: never may a day be closed by itself.
      if (head.day === day) continue;
      if (head.day > day) day = head.day;
      else if (head.closedBy !== '' && head.closedBy !== day) day = head.closedBy;
      else if (head.closedBy === day || (await this.#close(before, day)))
        return { head: opened(day, head.hash), etag: undefined };
    }
  }

  async #latest(): Promise<{ readonly head: AuditHead; readonly etag: string } | undefined> {
    let latest: Stored | undefined;
    for await (const row of this.#rows.query({ filter: `RowKey eq '${headRow}'` })) {
      if (latest === undefined || row.partitionKey > latest.partitionKey) latest = row;
    }
    return latest === undefined ? undefined : { head: headOf(latest), etag: latest.etag };
  }

  /** After this no line can come to that day. */
  async #close(found: { readonly head: AuditHead; readonly etag: string }, by: string): Promise<boolean> {
    return (await this.#rows.replace(toHeadRow({ ...found.head, closedBy: by }), found.etag)).outcome === 'replaced';
  }

  /** Heads of all days that are kept, in order. */
  async heads(): Promise<readonly AuditHead[]> {
    const heads: AuditHead[] = [];
    for await (const row of this.#rows.query({ filter: `RowKey eq '${headRow}'` })) heads.push(headOf(row));
    return heads.sort((a, b) => (a.day < b.day ? -1 : 1));
  }

  /** Days of which there is a head or a first line, in order. */
  async days(): Promise<readonly string[]> {
    const days = new Set<string>();
    const filter = `RowKey eq '${headRow}' or RowKey le '${rowKeyOf(2)}'`;
    for await (const row of this.#rows.query({ filter })) days.add(row.partitionKey);
    return [...days].sort();
  }

  /** Lines of one day, in order. */
  async *lines(day: string): AsyncGenerator<AuditLine> {
    const filter = `PartitionKey eq '${day}' and RowKey ge '${rowKeyOf(0)}' and RowKey le '${rowKeyOf(1e12 - 1)}'`;
    for await (const row of this.#rows.query({ filter })) yield lineOf(row);
  }
}
