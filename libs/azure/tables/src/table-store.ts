import {
  TableClient,
  type TableEntityResult,
  type TableServiceClientOptions,
  type TransactionAction,
} from '@azure/data-tables';
import { DefaultAzureCredential } from '@azure/identity';
import { TableError, translateError } from './errors.ts';
import { joinLongText, splitLongText, type Properties } from './long-text.ts';

export interface TableStoreOptions {
  readonly table: string;
  /** `https://<account>.table.core.windows.net` with the process's Entra identity, or else a connection string. */
  readonly accountUrl?: string | undefined;
  readonly connectionString?: string | undefined;
  /** Tries after the first, by the SDK's own policy (it honours Retry-After). */
  readonly maxRetries?: number | undefined;
}

export interface TableRow {
  readonly partitionKey: string;
  readonly rowKey: string;
  readonly properties: Properties;
}

export interface StoredRow extends TableRow {
  /** For `replace` and `delete`; changes with every write. */
  readonly etag: string;
}

export interface QueryOptions {
  /** OData filter; build it with `odata` of the SDK or `filterText` so that values are quoted. */
  readonly filter?: string | undefined;
  /** Names of properties to return; absent = all. */
  readonly select?: readonly string[] | undefined;
  /** 1 to 1000, which is what the service gives at most. */
  readonly pageSize?: number | undefined;
}

export type InsertOutcome = { readonly outcome: 'created'; readonly etag: string } | { readonly outcome: 'exists' };
export type ReplaceOutcome =
  { readonly outcome: 'replaced'; readonly etag: string } | { readonly outcome: 'changed' | 'absent' };

/** The client waits for ever for an answer that never comes; whether the transaction was done is unknown then. */
const transactionTimeoutMs = 5_000;

/** Text as an OData literal: `'O''Neil'`. */
export function filterText(value: string): string {
  return `'${value.replaceAll("'", "''")}'`;
}

function clientFor(options: TableStoreOptions): TableClient {
  const { table, accountUrl, connectionString } = options;
  const retryOptions = { maxRetries: options.maxRetries ?? 3, retryDelayInMs: 100, maxRetryDelayInMs: 2_000 };
  if (accountUrl !== undefined && connectionString === undefined) {
    const settings: TableServiceClientOptions = {
      retryOptions,
      allowInsecureConnection: accountUrl.startsWith('http://'),
    };
    return new TableClient(accountUrl, table, new DefaultAzureCredential(), settings);
  }
  if (connectionString !== undefined && accountUrl === undefined) {
    const allowInsecureConnection =
      /TableEndpoint=http:|DefaultEndpointsProtocol=http;|UseDevelopmentStorage=true/i.test(connectionString);
    return TableClient.fromConnectionString(connectionString, table, { retryOptions, allowInsecureConnection });
  }
  throw new TableError(table, 'BadOptions', 400, 'give either an account URL or a connection string');
}

/**
 * One table of an account, by Entra identity or connection string. Conditions and their outcomes are in the results;
 * what cannot be helped is a TableError. Text longer than a property may be is spread over several.
 */
export class TableStore {
  readonly table: string;
  readonly #client: TableClient;

  /** @throws TableError when neither or both of URL and connection string are given. */
  constructor(options: TableStoreOptions) {
    this.table = options.table;
    this.#client = clientFor(options);
  }

  /** Creates the table unless it is there. */
  async ensure(): Promise<void> {
    await this.#call(() => this.#client.createTable());
  }

  async insert(row: TableRow): Promise<InsertOutcome> {
    try {
      const { etag } = await this.#call(() => this.#client.createEntity(toEntity(row)));
      return { outcome: 'created', etag: etag ?? '' };
    } catch (error) {
      if (error instanceof TableError && error.code === 'EntityAlreadyExists') return { outcome: 'exists' };
      throw error;
    }
  }

  async get(partitionKey: string, rowKey: string): Promise<StoredRow | undefined> {
    try {
      return fromEntity(await this.#call(() => this.#client.getEntity(partitionKey, rowKey)));
    } catch (error) {
      if (error instanceof TableError && error.status === 404 && error.code !== 'TableNotFound') return undefined;
      throw error;
    }
  }

  /** Writes the row over the version `etag`; `changed` when another one is there now. */
  async replace(row: TableRow, etag: string): Promise<ReplaceOutcome> {
    try {
      const written = await this.#call(() => this.#client.updateEntity(toEntity(row), 'Replace', { etag }));
      return { outcome: 'replaced', etag: written.etag ?? '' };
    } catch (error) {
      if (error instanceof TableError && error.status === 412) return { outcome: 'changed' };
      if (error instanceof TableError && error.status === 404 && error.code !== 'TableNotFound')
        return { outcome: 'absent' };
      throw error;
    }
  }

  /**
   * Inserts rows and, in the same transaction, the guard: over its version `etag`, or as a new row without one. `changed`
   * when the guard is another version by now or any of the rows exists; then nothing was written. All rows share a
   * partition, 100 with the guard at most (Table service, Performing Entity Group Transactions).
   *
   * @throws TableError; `retryable` also when no answer came, or not all of it: whether it was done is unknown then
   */
  async appendTogether(
    rows: readonly TableRow[],
    guard: { readonly row: TableRow; readonly etag: string | undefined },
  ): Promise<{ readonly outcome: 'done' | 'changed' }> {
    const entity = toEntity(guard.row);
    const actions: TransactionAction[] = [
      guard.etag === undefined ? ['create', entity] : ['update', entity, 'Replace', { etag: guard.etag }],
      ...rows.map((row): TransactionAction => ['create', toEntity(row)]),
    ];
    try {
      const options = { abortSignal: AbortSignal.timeout(transactionTimeoutMs) };
      const { subResponses } = await this.#call(() => this.#client.submitTransaction(actions, options));
      // 202 says that the request was read; each part says that its row was written.
      const written = subResponses.filter(({ status }) => status >= 200 && status < 300).length;
      if (written < actions.length) throw this.#incomplete(`${written} of ${actions.length} parts came`);
      return { outcome: 'done' };
    } catch (error) {
      if (error instanceof Error && /sub-response/.test(error.message)) throw this.#incomplete(error.message);
      if (error instanceof Error && error.name === 'AbortError') {
        const message = `no answer to a transaction in ${transactionTimeoutMs} ms`;
        throw new TableError(this.table, 'Timeout', 0, message, undefined, error);
      }
      if (!(error instanceof TableError)) throw error;
      if (error.status === 412 || error.code === 'EntityAlreadyExists') return { outcome: 'changed' };
      throw error;
    }
  }

  #incomplete(what: string): TableError {
    return new TableError(this.table, 'IncompleteAnswer', 0, `the answer to a transaction was cut: ${what}`);
  }

  /** Writes the row whatever is there. */
  async put(row: TableRow): Promise<void> {
    await this.#call(() => this.#client.upsertEntity(toEntity(row), 'Replace'));
  }

  /** Deletes the row, or only its version `etag`. */
  async delete(partitionKey: string, rowKey: string, etag = '*'): Promise<'deleted' | 'changed' | 'absent'> {
    try {
      await this.#call(() => this.#client.deleteEntity(partitionKey, rowKey, { etag }));
      return 'deleted';
    } catch (error) {
      if (error instanceof TableError && error.status === 412) return 'changed';
      if (error instanceof TableError && error.status === 404 && error.code !== 'TableNotFound') return 'absent';
      throw error;
    }
  }

  /** Rows in key order, page by page: memory does not grow with their number. */
  async *query(options: QueryOptions = {}): AsyncGenerator<StoredRow> {
    let continuation: string | undefined;
    do {
      const page = await this.queryPage(options, continuation);
      yield* page.rows;
      continuation = page.continuation;
    } while (continuation !== undefined);
  }

  /** One page of rows and, unless it is the last, what to give to get the next one. A page may be empty and not the last. */
  async queryPage(
    options: QueryOptions = {},
    continuation?: string,
  ): Promise<{ rows: readonly StoredRow[]; continuation: string | undefined }> {
    const { filter, select, pageSize } = options;
    return this.#call(async () => {
      const queryOptions = {
        ...(filter === undefined ? {} : { filter }),
        ...(select === undefined ? {} : { select: ['PartitionKey', 'RowKey', ...select] }),
      };
      const settings = {
        maxPageSize: pageSize ?? 1000,
        ...(continuation === undefined ? {} : { continuationToken: continuation }),
      };
      const first = await this.#client.listEntities({ queryOptions }).byPage(settings).next();
      if (first.done === true) return { rows: [], continuation: undefined };
      return { rows: first.value.map(fromEntity), continuation: first.value.continuationToken };
    });
  }

  /** One cheap authenticated request, for health checks. */
  async check(): Promise<string> {
    await this.queryPage({ pageSize: 1, filter: `PartitionKey eq ''` });
    return this.table;
  }

  async #call<T>(operation: () => Promise<T>): Promise<T> {
    try {
      return await operation();
    } catch (error) {
      throw translateError(error, this.table);
    }
  }
}

function toEntity({ partitionKey, rowKey, properties }: TableRow): { partitionKey: string; rowKey: string } {
  return { ...splitLongText(properties), partitionKey, rowKey };
}

function fromEntity(entity: TableEntityResult<Record<string, unknown>>): StoredRow {
  const { partitionKey, rowKey, etag, timestamp: _timestamp, ...rest } = entity;
  const plain = Object.fromEntries(
    Object.entries(rest).filter(
      ([name, value]) =>
        !name.startsWith('odata.') && (['string', 'number', 'boolean'].includes(typeof value) || value instanceof Date),
    ),
  ) as Properties;
  return { partitionKey: partitionKey ?? '', rowKey: rowKey ?? '', etag, properties: joinLongText(plain) };
}
