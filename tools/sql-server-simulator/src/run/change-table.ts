import { SqlError } from '../types/sql-error.ts';
import { type SqlType, types } from '../types/sql-type.ts';
import type { TableSource } from '../sql/ast.ts';
import { requireTable } from './bind.ts';
import type { Compiled, Context, Env } from './context.ts';
import type { Values } from '../engine/row.ts';
import { as } from './function-kit.ts';
import type { ColumnInfo } from './scope.ts';
import { visibleCommit } from './visible-commit.ts';

const binary = (length: number): SqlType => ({ name: 'varbinary', length, precision: 0, scale: 0 });
const operation: SqlType = { name: 'nchar', length: 1, precision: 0, scale: 0 };

/**
 * CHANGETABLE(CHANGES table, since): the changed rows' keys and how they changed.
 *
 * @throws SqlError 22105 when the table is not tracked
 */
export function changeTable(
  node: Extract<TableSource, { kind: 'changes' }>,
  since: Compiled,
  context: Context,
): {
  readonly columns: readonly ColumnInfo[];
  readonly list: (env: Env, take: (values: Values, ref: undefined) => boolean) => boolean;
} {
  const table = requireTable(node.table, context);
  const { database } = context;
  const { tracking } = database;
  if (!tracking.tables.has(table.id))
    throw new SqlError(22105, `Change tracking is not enabled on table '${table.qualifiedName}'.`);
  const from = as(since, types.bigint);
  const key = table.primary?.spec.columns.map(({ name }) => table.columns[table.ordinalOf(name)]) ?? [];
  return {
    columns: [
      { name: 'SYS_CHANGE_VERSION', type: types.bigint },
      { name: 'SYS_CHANGE_CREATION_VERSION', type: types.bigint },
      { name: 'SYS_CHANGE_OPERATION', type: operation },
      { name: 'SYS_CHANGE_COLUMNS', type: binary(4100) },
      { name: 'SYS_CHANGE_CONTEXT', type: binary(128) },
      ...key.flatMap((column) => (column === undefined ? [] : [{ name: column.name, type: column.type }])),
    ],
    list: (env, take) => {
      const value = from(env) as bigint | null;
      // NULL asks for everything that is tracked.
      const changes = tracking.netChanges(table.id, value === null ? -1 : Number(value), visibleCommit(context));
      return changes.some((change) =>
        take(
          [
            BigInt(change.version),
            change.creationVersion === null ? null : BigInt(change.creationVersion),
            change.operation,
            null,
            null,
            ...change.key,
          ],
          undefined,
        ),
      );
    },
  };
}
