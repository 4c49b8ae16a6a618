import { readFileSync } from 'node:fs';
import { Connection, Request, TYPES } from 'tedious';

/** Where the lab's SQL side listens. Encryption is off: the lab's server is on this machine. */
export interface LabSqlOptions {
  readonly host: string;
  readonly port: number;
  readonly database: string;
  readonly user: string;
  readonly password: string;
  readonly encrypt?: boolean;
}

/**
 * A book as rows, one member per table, as `xva-engine sample --format rows-json` prints it. Decimals are text; `csa` and
 * `terms` are objects, or text that goes into the column as it is (to try what is no JSON).
 */
export interface BookRows {
  readonly requests: readonly RequestRow[];
  readonly nettingSets: readonly { book: string; id: string; counterparty: string; csa: object | string | null }[];
  readonly trades: readonly {
    book: string;
    tradeId: string;
    nettingSetId: string;
    tradeType: string;
    terms: object | string;
  }[];
  readonly quotes: readonly { asOf: string; cut: string; scenario: string; key: string; value: string }[];
  readonly fixings: readonly { index: string; date: string; value: string }[];
}

export interface RequestRow {
  readonly book: string;
  readonly asOf: string;
  readonly cut: string;
  readonly scenario: string;
  readonly revision: number;
  readonly baseCurrency: string;
  readonly samples: number;
  readonly seed: number;
  readonly quantile: string;
  readonly dvaName: string;
  readonly grid?: readonly string[];
  readonly strict: boolean;
  readonly priority: number;
  readonly traceparent?: string;
}

type Value = string | number | boolean | null;

/** One lab connection. Not for production: `libs/sql-polling` is. */
export class LabSql {
  readonly #connection: Connection;

  private constructor(connection: Connection) {
    this.#connection = connection;
  }

  static async connect(options: LabSqlOptions): Promise<LabSql> {
    const { host, port, database, user, password } = options;
    const connection = new Connection({
      server: host,
      authentication: { type: 'default', options: { userName: user, password } },
      options: { port, database, encrypt: options.encrypt ?? false, trustServerCertificate: true, useUTC: true },
    });
    // A lost connection fails the request under way; nobody listens when it is idle.
    connection.on('error', () => undefined);
    await new Promise<void>((resolve, reject) => {
      connection.connect((error) => (error ? reject(error) : resolve()));
    });
    return new LabSql(connection);
  }

  /** Runs one batch; the rows of all its result sets. */
  async query(sql: string, values: readonly Value[] = []): Promise<readonly Readonly<Record<string, unknown>>[]> {
    return new Promise((resolve, reject) => {
      const rows: Record<string, unknown>[] = [];
      const request = new Request(sql, (error) => (error ? reject(error) : resolve(rows)));
      request.on('row', (cells: { value: unknown; metadata: { colName: string } }[]) => {
        rows.push(Object.fromEntries(cells.map(({ value, metadata }) => [metadata.colName, value])));
      });
      values.forEach((value, index) => {
        if (typeof value === 'number') request.addParameter(`p${index}`, TYPES.Int, value);
        else if (typeof value === 'boolean') request.addParameter(`p${index}`, TYPES.Bit, value);
        // One declared length, so that the server sees one statement per chunk size and not one per value.
        else
          request.addParameter(`p${index}`, TYPES.NVarChar, value, {
            length: (value?.length ?? 0) > 4000 ? Infinity : 4000,
          });
      });
      if (values.length === 0) this.#connection.execSqlBatch(request);
      else this.#connection.execSql(request);
    });
  }

  /** Runs a T-SQL file batch by batch (`GO` on a line of its own separates them). */
  async runFile(path: string): Promise<void> {
    for (const batch of readFileSync(path, 'utf8').split(/^\s*GO\s*$/im)) {
      if (batch.trim() !== '') await this.query(batch);
    }
  }

  close(): void {
    this.#connection.close();
  }
}

/** Rows per INSERT: 200 rows of 5 values stay below the limit of 2,100 parameters. */
const chunkRows = 200;

async function insertAll(
  sql: LabSql,
  table: string,
  columns: readonly string[],
  rows: readonly (readonly Value[])[],
): Promise<void> {
  for (let start = 0; start < rows.length; start += chunkRows) {
    const chunk = rows.slice(start, start + chunkRows);
    let parameter = 0;
    const tuples = chunk.map((row) => `(${row.map(() => `@p${parameter++}`).join(', ')})`);
    await sql.query(`INSERT INTO ${table} (${columns.join(', ')}) VALUES ${tuples.join(', ')}`, chunk.flat());
  }
}

function asJsonText(value: object | string | null): string | null {
  return value === null || typeof value === 'string' ? value : JSON.stringify(value);
}

/** The columns hold 12 decimals; more would be rounded without a word. */
function exact(what: string, value: string): string {
  const decimals = /\.(\d+)$/.exec(value)?.[1]?.replace(/0+$/, '').length ?? 0;
  if (decimals > 12) throw new RangeError(`${what}: ${value} has more than the column's 12 decimals`);
  return value;
}

/**
 * Puts a book's netting sets and trades, its day's quotes and the fixings into the tables of `sql/01-schema.sql`, in place of
 * what they hold of them, in one transaction. Requests are not inserted: `insertRequest` asks for a run.
 */
export async function loadBook(sql: LabSql, rows: BookRows): Promise<void> {
  const distinct = <T extends readonly Value[]>(keys: readonly T[]): readonly T[] => [
    ...new Map(keys.map((key) => [JSON.stringify(key), key])).values(),
  ];
  await sql.query('BEGIN TRANSACTION');
  try {
    for (const [book] of distinct([...rows.nettingSets, ...rows.trades].map((row) => [row.book] as const))) {
      await sql.query('DELETE FROM xva.NettingSet WHERE Book = @p0', [book]);
      await sql.query('DELETE FROM xva.Trade WHERE Book = @p0', [book]);
    }
    for (const key of distinct(rows.quotes.map((row) => [row.asOf, row.cut, row.scenario] as const))) {
      await sql.query('DELETE FROM xva.Quote WHERE AsOf = @p0 AND Cut = @p1 AND Scenario = @p2', key);
    }
    for (const [index] of distinct(rows.fixings.map((row) => [row.index] as const))) {
      await sql.query('DELETE FROM xva.Fixing WHERE IndexName = @p0', [index]);
    }
    await insertAll(
      sql,
      'xva.NettingSet',
      ['Book', 'NettingSetId', 'Counterparty', 'Csa'],
      rows.nettingSets.map((row) => [row.book, row.id, row.counterparty, asJsonText(row.csa)]),
    );
    await insertAll(
      sql,
      'xva.Trade',
      ['Book', 'TradeId', 'NettingSetId', 'TradeType', 'Terms'],
      rows.trades.map((row) => [row.book, row.tradeId, row.nettingSetId, row.tradeType, asJsonText(row.terms)]),
    );
    await insertAll(
      sql,
      'xva.Quote',
      ['AsOf', 'Cut', 'Scenario', 'QuoteKey', 'QuoteValue'],
      rows.quotes.map((row) => [row.asOf, row.cut, row.scenario, row.key, exact(row.key, row.value)]),
    );
    await insertAll(
      sql,
      'xva.Fixing',
      ['IndexName', 'FixingDate', 'FixingValue'],
      rows.fixings.map((row) => [row.index, row.date, exact(`${row.index} ${row.date}`, row.value)]),
    );
    await sql.query('COMMIT TRANSACTION');
  } catch (error) {
    await sql.query('IF @@TRANCOUNT > 0 ROLLBACK TRANSACTION');
    throw error;
  }
}

/** Asks for a run; the new row's id. A key that is there already is refused by the table (error 2627). */
export async function insertRequest(sql: LabSql, request: RequestRow): Promise<string> {
  const rows = await sql.query(
    `INSERT INTO xva.RunRequest (Book, AsOf, Cut, Scenario, Revision, BaseCurrency, Samples, Seed, Quantile, DvaName, GridTenors, Strict, Priority, Traceparent)
OUTPUT inserted.RequestId
VALUES (@p0, @p1, @p2, @p3, @p4, @p5, @p6, @p7, @p8, @p9, @p10, @p11, @p12, @p13)`,
    [
      request.book,
      request.asOf,
      request.cut,
      request.scenario,
      request.revision,
      request.baseCurrency,
      request.samples,
      request.seed,
      request.quantile,
      request.dvaName,
      request.grid?.join(',') ?? null,
      request.strict,
      request.priority,
      request.traceparent ?? null,
    ],
  );
  return String(rows[0]?.['RequestId']);
}

export interface RequestState {
  readonly state: 'new' | 'claimed' | 'published' | 'poison';
  readonly eventId: string | null;
  readonly lastError: string | null;
  readonly attempts: number;
}

const states = { 0: 'new', 1: 'claimed', 2: 'published', 9: 'poison' } as const;

/** How far a request row is; undefined when there is none. */
export async function requestState(sql: LabSql, requestId: string): Promise<RequestState | undefined> {
  const [row] = await sql.query(
    'SELECT Status, EventId, LastError, Attempts FROM xva.RunRequest WHERE RequestId = CONVERT(bigint, @p0)',
    [requestId],
  );
  if (row === undefined) return undefined;
  return {
    state: states[Number(row['Status']) as keyof typeof states],
    eventId: row['EventId'] as string | null,
    lastError: row['LastError'] as string | null,
    attempts: Number(row['Attempts']),
  };
}
