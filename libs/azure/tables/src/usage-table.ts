import { costModelSchema, ledgerTables, parseContractText, type CostModel } from '@xva/contracts';
import { filterText, TableStore, type TableStoreOptions } from './table-store.ts';

type Options = Omit<TableStoreOptions, 'table'>;

export interface UsageEntry {
  readonly runId: string;
  readonly desk: string;
  readonly at: Date;
  readonly slotSeconds: number;
  /** Null = the pool had no price. */
  readonly amount: number | null;
  readonly currency: string | null;
}

/** Day of the entry, `20260930`: what is asked for is always the recent past. */
const dayOf = (at: Date): string => at.toISOString().slice(0, 10).replaceAll('-', '');

/** Table `usage`: slot-seconds and cost per run, partition = the day (UTC), row = the run. */
export class UsageTable {
  readonly #rows: TableStore;

  constructor(options: Options) {
    this.#rows = new TableStore({ ...options, table: ledgerTables.usage });
  }

  async ensure(): Promise<void> {
    await this.#rows.ensure();
  }

  /** Writing a run again on the same day replaces what was there; on another day the latest counts. */
  async put({ runId, desk, at, slotSeconds, amount, currency }: UsageEntry): Promise<void> {
    const price = amount === null || currency === null ? {} : { amount, currency };
    await this.#rows.put({
      partitionKey: dayOf(at),
      rowKey: runId,
      // A whole number would come back as another type than one with decimals: both are kept as text.
      properties: { desk, at: at.toISOString(), slotSeconds: String(slotSeconds), ...stringified(price) },
    });
  }

  /** Entries not older than `from`, in no order. */
  async *since(from: Date): AsyncGenerator<UsageEntry> {
    const filter = `PartitionKey ge ${filterText(dayOf(from))} and PartitionKey lt 'a' and at ge ${filterText(from.toISOString())}`;
    for await (const { rowKey, properties } of this.#rows.query({ filter })) {
      const { desk, at, slotSeconds, amount, currency } = properties;
      yield {
        runId: rowKey,
        desk: String(desk),
        at: new Date(String(at)),
        slotSeconds: Number(slotSeconds),
        amount: amount === undefined ? null : Number(amount),
        currency: currency === undefined ? null : String(currency),
      };
    }
  }
}

function stringified(values: Readonly<Record<string, string | number>>): Record<string, string> {
  return Object.fromEntries(Object.entries(values).map(([name, value]) => [name, String(value)]));
}

const modelKey = { partitionKey: 'model', rowKey: 'cost' } as const;

/** The cost model as it was learnt so far: one row of table `usage`, in a partition of its own. */
export class CostModelTable {
  readonly #rows: TableStore;

  constructor(options: Options) {
    this.#rows = new TableStore({ ...options, table: ledgerTables.usage });
  }

  async ensure(): Promise<void> {
    await this.#rows.ensure();
  }

  async read(): Promise<{ readonly model: CostModel; readonly etag: string } | undefined> {
    const row = await this.#rows.get(modelKey.partitionKey, modelKey.rowKey);
    if (row === undefined) return undefined;
    const model = parseContractText(costModelSchema, String(row.properties['json']), 'cost model');
    return { model, etag: row.etag };
  }

  /** False when another version is there. @param etag undefined = there is none yet */
  async write(model: CostModel, etag: string | undefined): Promise<boolean> {
    const row = { ...modelKey, properties: { json: JSON.stringify(model) } };
    if (etag === undefined) return (await this.#rows.insert(row)).outcome === 'created';
    return (await this.#rows.replace(row, etag)).outcome === 'replaced';
  }
}
