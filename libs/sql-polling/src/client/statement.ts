/** Types of parameters that the product's statements use. Dates travel as text (`yyyy-mm-dd`) and are converted in SQL. */
export type ParameterType = 'int' | 'bigint' | 'uniqueidentifier' | `nvarchar(${number})` | `varchar(${number})`;

/** One T-SQL text under a name for logs and errors. Values only ever go in as parameters. */
export interface Statement {
  readonly name: string;
  readonly sql: string;
  readonly parameters: Readonly<Record<string, ParameterType>>;
}

export type ParameterValue = string | number | null;

/** A cell as tedious gives it. bigint comes as text, rowversion as bytes; decimals are converted to text in SQL. */
export type Cell = string | number | boolean | null | Date | Buffer;

export interface ResultSet {
  readonly columns: readonly { readonly name: string; readonly type: string }[];
  readonly rows: readonly Readonly<Record<string, Cell>>[];
}

export interface QueryResult {
  readonly resultSets: readonly ResultSet[];
  /** Rows that the statements touched, in all. */
  readonly rowCount: number;
}

/** What the adapter needs of a connection or a pool. */
export interface SqlRunner {
  query(
    statement: Statement,
    values: Readonly<Record<string, ParameterValue>>,
    options?: { readonly maxRows?: number },
  ): Promise<QueryResult>;
}
