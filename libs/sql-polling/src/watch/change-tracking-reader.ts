import type { ResultSet, SqlRunner } from '../client/statement.ts';
import { SqlError } from '../client/errors.ts';
import type { ChangeTrackingDefinition } from '../definition/schema.ts';
import { sourceRow } from '../outbox/rows.ts';
import { changeTrackingOwn, changeTrackingPage, changeTrackingState, tablePage } from '../statements/watch.ts';
import { cellText, requiredText } from '../values.ts';
import { hashOfFields, type Change, type ChangePage, type ChangeReader, type Gap } from './change.ts';

interface Position {
  /** Changes up to and including this version are done … */
  readonly version: string;
  /** … or, of this very version, only those up to this key. */
  readonly key: string | null;
}

/**
 * Follows change tracking: the net change of each row since a version, deletes included. The position is a version and,
 * within the changes of one transaction (which share a version), a key.
 */
export function changeTrackingReader(runner: SqlRunner, definition: ChangeTrackingDefinition): ChangeReader {
  const name = definition.table;
  /** @throws SqlError `ENOTRACKING` when change tracking is off or hidden, which is NULL and would compare false */
  const stateOf = (set: ResultSet | undefined): { oldest: bigint; current: bigint; life: string | null } => {
    const oldest = cellText('oldest', set?.rows[0]?.['oldest']);
    const current = cellText('current', set?.rows[0]?.['current']);
    if (oldest === null || current === null) {
      throw new SqlError('change-tracking-state', {
        code: 'ENOTRACKING',
        message: `change tracking of ${name} is off, or the login lacks VIEW CHANGE TRACKING on it`,
      });
    }
    return { oldest: BigInt(oldest), current: BigInt(current), life: cellText('life', set?.rows[0]?.['life']) };
  };
  // Rows of one transaction share a version, and two of them may be asking for the same key: the content tells them apart.
  const changeOf = (row: ResultSet['rows'][number], stamp: (hash: string) => string): Change => {
    const key = requiredText(definition.key, row['rowKey']);
    const source = sourceRow(definition, row);
    const hash = hashOfFields(source);
    return { key, stamp: stamp(hash), hash, row: source, locate: { rowKey: key } };
  };
  return {
    begin: async () => {
      const { resultSets } = await runner.query(changeTrackingState(definition), {});
      const { current, life } = stateOf(resultSets[0]);
      const follow: Position = { version: String(current), key: null };
      return { scan: JSON.stringify(null), follow: JSON.stringify(follow), life };
    },
    scan: async (position, limit, until) => {
      const afterKey = JSON.parse(position) as string | null;
      const since = until === undefined ? undefined : (JSON.parse(until) as Position).version;
      const statement = tablePage(definition, { isFirst: afterKey === null, isUntil: since !== undefined });
      const values = { limit, ...(afterKey === null ? {} : { afterKey }), ...(since === undefined ? {} : { since }) };
      const { resultSets } = await runner.query(statement, values);
      const life = cellText('life', resultSets[0]?.rows[0]?.['life']);
      const changes = (resultSets[1]?.rows ?? []).map((row) => changeOf(row, (hash) => `scan.${hash.slice(0, 16)}`));
      const next = changes.at(-1)?.key ?? afterKey;
      const more = changes.length >= limit;
      return { outcome: 'page', changes, deleted: [], position: JSON.stringify(next), more, life, whole: false };
    },
    follow: async (position, limit): Promise<ChangePage | Gap> => {
      const from = JSON.parse(position) as Position;
      // A version that is half done is asked for again: the changes of one transaction are one version.
      const since = BigInt(from.version) - (from.key === null ? 0n : 1n);
      const { resultSets } = await runner.query(changeTrackingPage(definition), {
        limit,
        since: String(since),
        afterVersion: from.version,
        afterKey: from.key,
      });
      const { oldest, current, life } = stateOf(resultSets[0]);
      const at = (version: bigint): string => `version ${version}`;
      if (since < oldest) {
        return {
          outcome: 'gap',
          reason: `change tracking of ${name} goes back to ${at(oldest)} only, and the cursor is at ${at(since)}: its retention ran out, the table was truncated, or tracking was switched off and on`,
        };
      }
      if (BigInt(from.version) > current) {
        return {
          outcome: 'gap',
          reason: `the database is at ${at(current)}, before the cursor at ${from.version}: it was restored, or failed over to an older copy`,
        };
      }
      const rows = resultSets[1]?.rows ?? [];
      const deletes = rows.filter((row) => cellText('operation', row['operation'])?.trim() === 'D');
      const changes = rows
        .filter((row) => !deletes.includes(row))
        .map((row) => changeOf(row, (hash) => `ct.${requiredText('version', row['version'])}.${hash.slice(0, 16)}`));
      const last = rows.at(-1);
      const more = rows.length >= limit;
      const next: Position =
        more && last !== undefined
          ? { version: requiredText('version', last['version']), key: requiredText(definition.key, last['rowKey']) }
          : { version: String(current), key: null };
      return {
        outcome: 'page',
        changes,
        deleted: deletes.map((row) => requiredText(definition.key, row['rowKey'])),
        position: JSON.stringify(next),
        more,
        life,
        whole: false,
      };
    },
    own: { sql: changeTrackingOwn(definition), parameters: { rowKey: 'nvarchar(400)' } },
    ownRow: (result, change) => {
      const row = result?.rows[0];
      if (row === undefined) return undefined;
      const source = sourceRow(definition, row);
      return hashOfFields(source) === change.hash ? source : undefined;
    },
  };
}
