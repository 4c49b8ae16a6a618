import { csvLine } from '@xva/runtime';
import type { Cell, ParquetTable, Row } from './parquet-table.ts';

/** Which rows are asked for: the value that a column must have. */
export type RowFilter = Readonly<Record<string, string>>;

export function keeps(table: ParquetTable, filter: RowFilter): (row: Row) => boolean {
  const wanted = Object.entries(filter).map(
    ([name, value]) => [table.columns.findIndex((column) => column.name === name), value] as const,
  );
  return (row) => wanted.every(([at, value]) => row[at] === value);
}

/** A number to the last digit (a double's shortest text that reads back as the same double; whole numbers exact). */
function jsonCell(cell: Cell): string {
  return typeof cell === 'bigint' ? cell.toString() : JSON.stringify(cell);
}

/** A spreadsheet calculates what begins like a formula: text is guarded, numbers never are. */
function csvCell(cell: Cell): string | number | null {
  if (typeof cell === 'bigint') return Number.isSafeInteger(Number(cell)) ? Number(cell) : cell.toString();
  return typeof cell === 'boolean' ? String(cell) : cell;
}

const linesTogether = 256;

async function* gathered(lines: AsyncIterable<string>): AsyncGenerator<string> {
  let some: string[] = [];
  for await (const line of lines) {
    some.push(line);
    if (some.length < linesTogether) continue;
    yield some.join('');
    some = [];
  }
  if (some.length > 0) yield some.join('');
}

/** RFC 4180, in UTF-8. Money has its currency in a column: of the table, or else in `currency`, added last. */
export function csvOf(table: ParquetTable, filter: RowFilter): AsyncGenerator<string> {
  const names = table.columns.map(({ name }) => name);
  const base = table.columns.find(({ currency }) => currency !== null)?.currency ?? null;
  const added = base !== null && !names.includes('baseCurrency') ? base : null;
  return gathered(
    (async function* () {
      yield `${csvLine([...names, ...(added === null ? [] : ['currency'])])}\r\n`;
      for await (const row of table.rows(keeps(table, filter)))
        yield `${csvLine([...row.map(csvCell), ...(added === null ? [] : [added])])}\r\n`;
    })(),
  );
}

/** `{ …head, columns, rows }`, each row a list in the order of the columns. */
export function jsonOf(
  table: ParquetTable,
  head: Readonly<Record<string, unknown>>,
  filter: RowFilter,
): AsyncGenerator<string> {
  return gathered(
    (async function* () {
      const start = JSON.stringify({ ...head, table: table.name, columns: table.columns });
      yield `${start.slice(0, -1)},"rows":[`;
      let between = '';
      for await (const row of table.rows(keeps(table, filter))) {
        yield `${between}[${row.map(jsonCell).join(',')}]`;
        between = ',';
      }
      yield ']}';
    })(),
  );
}

export interface Profile {
  readonly scope: string;
  readonly nettingSetId: string;
  readonly id: string;
  readonly dates: string[];
  /** By column name, aligned with `dates`. */
  readonly series: Record<string, (number | null)[]>;
}

/** Exposure profiles of one netting set (and of its trades, which are stand-alone), one series per measure. */
export async function profilesOf(table: ParquetTable, filter: RowFilter): Promise<readonly Profile[]> {
  const at = (name: string): number => table.columns.findIndex((column) => column.name === name);
  const [scope, set, id, date] = ['scope', 'nettingSetId', 'id', 'date'].map(at) as [number, number, number, number];
  const measures = table.columns.flatMap(({ name, type }, index) => (type === 'double' ? [{ name, index }] : []));
  const profiles = new Map<string, Profile>();
  for await (const row of table.rows(keeps(table, filter))) {
    const key = JSON.stringify([row[scope], row[set], row[id]]);
    const profile = profiles.get(key) ?? {
      ...{ scope: String(row[scope]), nettingSetId: String(row[set]), id: String(row[id]) },
      dates: [],
      series: Object.fromEntries(measures.map(({ name }) => [name, []])),
    };
    profiles.set(key, profile);
    profile.dates.push(String(row[date]));
    for (const { name, index } of measures) profile.series[name]?.push(row[index] as number | null);
  }
  return [...profiles.values()];
}
