import type { StatementOf } from '../sql/ast.ts';
import { SqlError } from '../types/sql-error.ts';
import type { SqlType, Value } from '../types/sql-type.ts';
import { requireTable } from './bind.ts';
import type { Context } from './context.ts';
import { Inserter } from './insert.ts';
import type { Session } from './session.ts';

/** Rows of a bulk load as they came over the wire. */
export interface BulkRows {
  readonly types: readonly SqlType[];
  readonly names: readonly string[];
  readonly rows: readonly (readonly Value[])[];
}

/** Announced by INSERT BULK, until the rows come. */
export type BulkTarget = StatementOf<'insertBulk'>;

/**
 * Inserts the rows of a bulk load. Unlike the server, which leaves CHECK and FOREIGN KEY aside unless told otherwise, it
 * always checks them.
 *
 * @throws SqlError 4022 when no INSERT BULK came before, 4816 when the rows' columns are others than it said
 */
export function loadBulk(target: BulkTarget | undefined, bulk: BulkRows, session: Session, context: Context): number {
  if (target === undefined)
    throw new SqlError(4022, 'Bulk load data was expected but not sent. The batch will be terminated.');
  const { columns, keepNulls } = target;
  if (columns.length !== bulk.names.length)
    throw new SqlError(4816, 'Invalid column type from bcp client for colid 1.');
  const table = requireTable(target.table, context);
  const inserter = new Inserter(table, columns, context, {
    explicitFor: session.identityInsert,
    noted: (value) => {
      session.lastIdentity = value;
    },
  });
  const convert = inserter.converters(bulk.types);
  for (const values of bulk.rows) {
    inserter.insert(
      values.map((value) => (value === null && !keepNulls ? 'default' : { value })),
      convert,
    );
  }
  inserter.finish();
  return bulk.rows.length;
}
