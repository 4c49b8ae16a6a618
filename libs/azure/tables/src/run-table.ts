import { gunzipSync, gzipSync } from 'node:zlib';
import {
  isLive,
  ledgerTables,
  parseContractText,
  runRecordSchema,
  runRowKeys,
  type RunRecord,
  type RunState,
} from '@xva/contracts';
import { filterText, TableStore, type StoredRow, type TableRow, type TableStoreOptions } from './table-store.ts';

export interface StoredRun {
  readonly record: RunRecord;
  readonly etag: string;
}

/** What a run must be to be listed; dates are as-of dates, `YYYY-MM-DD`. */
export interface RunFilter {
  readonly states?: readonly RunState[] | undefined;
  readonly book?: string | undefined;
  readonly cut?: string | undefined;
  readonly scenario?: string | undefined;
  readonly desk?: string | undefined;
  /** One partition. */
  readonly asOf?: string | undefined;
  readonly from?: string | undefined;
  readonly to?: string | undefined;
}

const partitionOf = (date: string): string => filterText(date.replaceAll('-', ''));

function termsOf(filter: RunFilter, after: string | undefined): readonly string[] {
  const { states = [], asOf, from, to } = filter;
  const named = (['book', 'cut', 'scenario', 'desk'] as const).flatMap((name) => {
    const value = filter[name];
    return value === undefined ? [] : [`${name} eq ${filterText(value)}`];
  });
  const behind = after === undefined ? undefined : runRowKeys(after);
  return [
    ...(asOf === undefined ? [] : [`PartitionKey eq ${partitionOf(asOf)}`]),
    ...(from === undefined ? [] : [`PartitionKey ge ${partitionOf(from)}`]),
    ...(to === undefined ? [] : [`PartitionKey le ${partitionOf(to)}`]),
    ...named,
    ...(states.length === 0 ? [] : [`(${states.map((state) => `state eq ${filterText(state)}`).join(' or ')})`]),
    ...(behind === undefined
      ? []
      : [
          `(PartitionKey gt ${filterText(behind.partitionKey)} or (PartitionKey eq ${filterText(behind.partitionKey)} and RowKey gt ${filterText(behind.rowKey)}))`,
        ]),
  ];
}

/** An entity holds at most 1 MiB; above this the record is stored compressed (a plan of thousands of shards). */
const compressAboveLength = 64 * 1024;

/** A run that is ending has still something to clean up until `finishedAt` is set. */
function isOpen(record: RunRecord): boolean {
  return isLive(record.state) || (['failed', 'cancelled'].includes(record.state) && record.finishedAt === null);
}

/**
 * JSON in ASCII: Azurite mangles a character whose UTF-8 bytes fall on two network chunks of a long body, and messages
 * of the engine may hold any text.
 */
function asciiJson(value: unknown): string {
  return JSON.stringify(value).replaceAll(
    /[\u0080-\uffff]/g,
    (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
}

export function runToRow(record: RunRecord): TableRow {
  const text = asciiJson(record);
  const long = text.length > compressAboveLength;
  return {
    ...runRowKeys(record.runId),
    properties: {
      state: record.state,
      book: record.requestKey.book,
      cut: record.requestKey.cut,
      scenario: record.requestKey.scenario,
      desk: record.desk,
      priority: record.priority,
      createdAt: record.createdAt,
      updatedAt: record.updatedAt,
      open: isOpen(record),
      ...(long ? { recordGzip: gzipSync(text).toString('base64') } : { record: text }),
    },
  };
}

/** @throws ContractError when the row holds no valid run record. */
export function rowToRun(row: StoredRow): StoredRun {
  const { record, recordGzip } = row.properties;
  const text =
    typeof recordGzip === 'string'
      ? gunzipSync(Buffer.from(recordGzip, 'base64')).toString()
      : typeof record === 'string'
        ? record
        : '';
  return { record: parseContractText(runRecordSchema, text, `run record ${row.rowKey}`), etag: row.etag };
}

export interface RunTableOptions extends Omit<TableStoreOptions, 'table'> {
  /** Told of a row that holds no valid record, when a list comes upon it; the list goes on without. */
  readonly onUnreadable?: ((runId: string, error: unknown) => void) | undefined;
}

const openPartition = 'open';
/** An index row younger than this may be ahead of its record: it stays whatever the record says. */
const indexGraceMs = 60_000;
const readersAtOnce = 16;

/** The run records (table `runs`, partition = as-of date) and pins of the ledger account. */
export class RunTable {
  readonly #runs: TableStore;
  readonly #open: TableStore;
  readonly #pins: TableStore;
  readonly #onUnreadable: (runId: string, error: unknown) => void;
  /** Runs that were open before there was an index: looked for once in a process's life. */
  #wholeTableSeen = false;

  constructor(options: RunTableOptions) {
    this.#runs = new TableStore({ ...options, table: ledgerTables.runs });
    this.#open = new TableStore({ ...options, table: ledgerTables.openRuns });
    this.#onUnreadable = options.onUnreadable ?? (() => undefined);
    this.#pins = new TableStore({ ...options, table: ledgerTables.pins });
  }

  async ensure(): Promise<void> {
    await Promise.all([this.#runs.ensure(), this.#open.ensure(), this.#pins.ensure()]);
  }

  /** Writes the record unless the run has one: of two writers one wins. */
  async insert(record: RunRecord): Promise<{ outcome: 'created'; etag: string } | { outcome: 'exists' }> {
    if (isOpen(record)) await this.#index(record.runId);
    return this.#runs.insert(runToRow(record));
  }

  async get(runId: string): Promise<StoredRun | undefined> {
    const { partitionKey, rowKey } = runRowKeys(runId);
    const row = await this.#runs.get(partitionKey, rowKey);
    return row === undefined ? undefined : rowToRun(row);
  }

  /** The new ETag, or undefined when the record is no longer the version `etag`. */
  async swap(record: RunRecord, etag: string): Promise<string | undefined> {
    // The only way back: a run that was over is queued again.
    if (record.state === 'queued') await this.#index(record.runId);
    const result = await this.#runs.replace(runToRow(record), etag);
    return result.outcome === 'replaced' ? result.etag : undefined;
  }

  /** As `swap`, told as true or false. */
  async replace(record: RunRecord, etag: string): Promise<boolean> {
    return (await this.swap(record, etag)) !== undefined;
  }

  /** Every record (or those changed since), tombstones included, in key order; memory does not grow with their number. */
  async *list(changedSince?: Date): AsyncGenerator<StoredRun> {
    const filter = changedSince === undefined ? undefined : `updatedAt ge ${filterText(changedSince.toISOString())}`;
    for await (const row of this.#runs.query({ filter })) yield rowToRun(row);
  }

  /** The index row goes first: a row without an open record is found and removed, an open record without a row is not. */
  async #index(runId: string): Promise<void> {
    await this.#open.put({ partitionKey: openPartition, rowKey: runId, properties: { at: new Date().toISOString() } });
  }

  /**
   * Records of runs that are live, or that ended but may still have something open in Batch, by the index of open runs;
   * the first list of a process also looks through the whole table. A row that holds no valid record is told of and left out.
   *
   * @param skip runs that need not be read
   */
  async *listOpen(skip: (runId: string) => boolean = () => false): AsyncGenerator<StoredRun> {
    const seen = new Set<string>();
    let batch: StoredRow[] = [];
    for await (const row of this.#open.query({ filter: `PartitionKey eq ${filterText(openPartition)}` })) {
      seen.add(row.rowKey);
      if (skip(row.rowKey)) continue;
      batch.push(row);
      if (batch.length < readersAtOnce) continue;
      yield* await this.#readOpen(batch);
      batch = [];
    }
    yield* await this.#readOpen(batch);
    if (this.#wholeTableSeen) return;
    for await (const row of this.#runs.query({ filter: 'open eq true' })) {
      if (seen.has(row.rowKey)) continue;
      await this.#index(row.rowKey);
      const run = this.#tryRead(row);
      if (run !== undefined && !skip(row.rowKey)) yield run;
    }
    this.#wholeTableSeen = true;
  }

  async #readOpen(rows: readonly StoredRow[]): Promise<readonly StoredRun[]> {
    const found = await Promise.all(
      rows.map(async (index) => {
        const { partitionKey, rowKey } = runRowKeys(index.rowKey);
        const row = await this.#runs.get(partitionKey, rowKey);
        const run = row === undefined ? undefined : this.#tryRead(row);
        if (run !== undefined && isOpen(run.record)) return run;
        const unreadable = row !== undefined && run === undefined;
        const old = Date.now() - Date.parse(String(index.properties['at'])) > indexGraceMs;
        if (old && !unreadable) await this.#open.delete(openPartition, index.rowKey, index.etag);
        return undefined;
      }),
    );
    return found.filter((run) => run !== undefined);
  }

  #tryRead(row: StoredRow): StoredRun | undefined {
    try {
      return rowToRun(row);
    } catch (error) {
      this.#onUnreadable(row.rowKey, error);
      return undefined;
    }
  }

  /**
   * At most `limit` records that fit the filter, in key order behind the run `after`, and whether there are more. A key
   * and no token of the service stands between two pages, so that runs that come or go meanwhile shift nothing.
   */
  async after(
    filter: RunFilter,
    after: string | undefined,
    limit: number,
  ): Promise<{ readonly runs: readonly StoredRun[]; readonly more: boolean }> {
    const terms = termsOf(filter, after);
    const options = { pageSize: limit + 1, filter: terms.length === 0 ? undefined : terms.join(' and ') };
    const runs: StoredRun[] = [];
    for await (const row of this.#runs.query(options)) {
      if (runs.length === limit) return { runs, more: true };
      const run = this.#tryRead(row);
      if (run !== undefined) runs.push(run);
    }
    return { runs, more: false };
  }

  async isPinned(runId: string): Promise<boolean> {
    return (await this.#pins.get('run', runId)) !== undefined;
  }

  async pin(runId: string, by: string, reason: string): Promise<void> {
    await this.#pins.put({ partitionKey: 'run', rowKey: runId, properties: { by, reason } });
  }

  async unpin(runId: string): Promise<void> {
    await this.#pins.delete('run', runId);
  }

  async check(): Promise<string> {
    return this.#runs.check();
  }
}
