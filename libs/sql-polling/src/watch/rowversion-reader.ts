import type { ResultSet, SqlRunner } from '../client/statement.ts';
import type { RowversionDefinition } from '../definition/schema.ts';
import { sourceRow } from '../outbox/rows.ts';
import type { ReadConsistency } from '../statements/details.ts';
import { rowversionOwn, rowversionPage } from '../statements/watch.ts';
import { cellText, requiredText, ValueError } from '../values.ts';
import { hashOfFields, requestKeyOf, type Change, type ChangePage, type ChangeReader, type Gap } from './change.ts';

const versionPattern = /^0x[0-9a-f]{16}$/i;

function versionOf(column: string, text: string): bigint {
  if (!versionPattern.test(text)) throw new ValueError(column, `"${text}" is not a rowversion`);
  return BigInt(text);
}

function hex(version: bigint): string {
  return `0x${version.toString(16).padStart(16, '0').toUpperCase()}`;
}

/**
 * Follows a rowversion column. The position is the lowest version not yet seen. A rowversion is unique in its database and
 * changes with every update of the row, so a page can end anywhere; a row that changed twice is seen once, as it is.
 */
export function rowversionReader(
  runner: SqlRunner,
  definition: RowversionDefinition,
  consistency: () => Promise<ReadConsistency>,
): ChangeReader {
  const column = definition.rowVersion;
  const read = async (from: bigint, limit: number) => {
    const statement = rowversionPage(definition, await consistency());
    const { resultSets } = await runner.query(statement, { limit, from: hex(from) });
    const [head, rows] = resultSets;
    const bound = versionOf('bound', requiredText('bound', head?.rows[0]?.['bound']));
    const life = cellText('life', head?.rows[0]?.['life']);
    const changes = (rows?.rows ?? []).map((row): Change => {
      const version = versionOf(column, requiredText(column, row['version']));
      const source = sourceRow(definition, row);
      const locate = { version: hex(version) };
      return { key: requestKeyOf(source), stamp: hex(version), hash: hashOfFields(source), row: source, locate };
    });
    const more = changes.length >= limit;
    const next = more ? BigInt(changes.at(-1)?.stamp ?? '0') + 1n : bound;
    const page: ChangePage = { outcome: 'page', changes, deleted: [], position: hex(next), more, life, whole: false };
    return { bound, page };
  };
  return {
    begin: async () => {
      const { bound, page } = await read(0x7fff_ffff_ffff_ffffn, 1);
      return { scan: hex(0n), follow: hex(bound), life: page.life };
    },
    scan: async (position, limit, until) => {
      const { page } = await read(versionOf('position', position), limit);
      if (until === undefined) return page;
      const end = versionOf('position', until);
      const changes = page.changes.filter(({ stamp }) => BigInt(stamp ?? '0') < end);
      return { ...page, changes, more: page.more && BigInt(page.position) < end };
    },
    follow: async (position, limit): Promise<ChangePage | Gap> => {
      const from = versionOf('position', position);
      const { bound, page } = await read(from, limit);
      // The bound never falls in one life of a database: the lowest open transaction began above every earlier bound.
      if (bound >= from) return page;
      return {
        outcome: 'gap',
        reason: `the database is at version ${hex(bound)}, before the cursor ${hex(from)}: it was restored, or failed over to an older copy`,
      };
    },
    own: { sql: rowversionOwn(definition), parameters: { version: 'varchar(18)' } },
    ownRow: (result: ResultSet | undefined) => {
      const row = result?.rows[0];
      return row === undefined ? undefined : sourceRow(definition, row);
    },
  };
}
