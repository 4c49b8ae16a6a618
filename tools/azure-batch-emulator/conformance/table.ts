import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import * as prettier from 'prettier';
import { clients, type Client, type Step } from './scenario.ts';

const readme = join(import.meta.dirname, '../README.md');
const begin = '<!-- conformance:begin -->';
const end = '<!-- conformance:end -->';

/** How many steps of an operation a client made with the wanted result; undefined = it does not offer the operation. */
export type Counts = ReadonlyMap<string, number>;

/** `added` is not a result to look at twice: what was refused is told by its code, the rest as done or read. */
function outcomes(steps: readonly Step[]): string {
  const words = steps.map(({ see, expect }) =>
    typeof expect === 'string'
      ? expect
      : typeof expect === 'boolean'
        ? String(expect)
        : see === undefined
          ? 'done'
          : 'read',
  );
  return [...new Set(words)].join(', ');
}

function cells(line: string): string[] {
  return line
    .split('|')
    .slice(1, -1)
    .map((cell) => cell.trim());
}

/**
 * The table as Markdown. A machine without `az` keeps its column, and the version in its head, as they stand in `committed`;
 * so does one with another version that gives the same results.
 */
export async function renderTable(
  steps: readonly Step[],
  results: ReadonlyMap<Client, Counts>,
  versions: Readonly<Record<Client, string | undefined>>,
  committed: string,
): Promise<string> {
  const old = committed
    .split('\n')
    .filter((line) => line.startsWith('|'))
    .map(cells);
  const oldAz = new Map(old.slice(2).map((row) => [row[0], row.at(-1) ?? '']));
  const operations = [...new Set(steps.map(({ op }) => op))];
  const cell = (client: Client, op: string): string => {
    const counts = results.get(client);
    if (counts === undefined) return oldAz.get(op) ?? 'not run yet';
    const count = counts.get(op);
    return count === undefined ? 'not offered' : `same (${count})`;
  };
  const sameAz = results.has('az') && operations.every((op) => cell('az', op) === oldAz.get(op));
  const azHead = old[0]?.at(-1);
  const head = [
    'operation',
    'results',
    `JavaScript ${versions.js ?? ''}`,
    `Python ${versions.python14 ?? ''}`,
    `Python ${versions.python15 ?? ''}`,
    azHead !== undefined && (sameAz || !results.has('az')) ? azHead : `az, last run with ${versions.az ?? 'none yet'}`,
  ];
  const rows = operations.map((op) => [
    op,
    outcomes(steps.filter((step) => step.op === op)),
    ...clients.map((client) => cell(client, op)),
  ]);
  const lines = [head, head.map(() => '---'), ...rows].map((row) => `| ${row.join(' | ')} |`);
  const options = { ...(await prettier.resolveConfig(readme)), parser: 'markdown' };
  return (await prettier.format(lines.join('\n'), options)).trim();
}

export function committedTable(): string {
  const text = readFileSync(readme, 'utf8');
  const from = text.indexOf(begin);
  const to = text.indexOf(end);
  if (from < 0 || to < from) throw new Error(`the README of the emulator has lost its markers ${begin} … ${end}`);
  return text.slice(from + begin.length, to).trim();
}

/** Replaces what is between the markers and nothing else. */
export function writeTable(table: string): void {
  const text = readFileSync(readme, 'utf8');
  const head = text.slice(0, text.indexOf(begin) + begin.length);
  writeFileSync(readme, `${head}\n\n${table}\n\n${text.slice(text.indexOf(end))}`);
}
