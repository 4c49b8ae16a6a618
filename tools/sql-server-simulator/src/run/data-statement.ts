import type { Table } from '../engine/table.ts';
import { buildTable } from './table-builder.ts';
import type { Statement, StatementOf } from '../sql/ast.ts';
import { outsideSubset, SqlError } from '../types/sql-error.ts';
import { nvarchar, type SqlType, types, type Value } from '../types/sql-type.ts';
import { runDelete, runUpdate } from './change.ts';
import { type Context, emptyEnv } from './context.ts';
import { nextObjectId, register, runDdl } from './ddl.ts';
import { forJson } from './for-json.ts';
import { Inserter, runInsert } from './insert.ts';
import { runMerge } from './merge.ts';
import { compileQuery } from './query.ts';
import type { StatementResult } from './result.ts';
import { Scope } from './scope.ts';
import { type Session } from './session.ts';

/** Runs a statement that reads or writes tables or changes the schema, inside the context's transaction. */
export function runDataStatement(statement: Statement, session: Session, context: Context): StatementResult {
  const identity = {
    explicitFor: session.identityInsert,
    noted: (value: bigint) => {
      session.lastIdentity = value;
    },
  };
  switch (statement.kind) {
    case 'query':
      return runQuery(statement, context, session.tempTables);
    case 'insert':
      return runInsert(statement, context, identity);
    case 'update':
      return runUpdate(statement, context, identity);
    case 'delete':
      return runDelete(statement, context, identity);
    case 'merge':
      return runMerge(statement, context, identity);
    default:
      if (!runDdl(statement, context, session.tempTables))
        throw outsideSubset(`statement ${statement.kind}`, statement.line);
      return { kind: 'other' };
  }
}

function runQuery(statement: StatementOf<'query'>, context: Context, tempTables: Map<string, Table>): StatementResult {
  const { query } = statement;
  const compiled = compileQuery(query, new Scope(context));
  const { body } = query;
  if (body.kind === 'select' && body.into !== undefined)
    return selectInto(
      statement,
      compiled.columns,
      compiled.run(emptyEnv).map(({ values }) => values),
      context,
      tempTables,
    );
  const assigns = body.kind === 'select' && body.items.some(({ variable }) => variable !== undefined);
  const rows = compiled.run(emptyEnv).map(({ values }) => values);
  if (assigns) return { kind: 'select', count: rows.length };
  if (statement.forJson !== undefined) {
    const text = forJson(compiled.columns, rows, statement.forJson);
    return {
      kind: 'select',
      columns: [{ name: 'JSON_F52E2B61-18A1-11d1-B105-00805F49916B', type: nvarchar(-1) }],
      rows: text === null ? [] : [[text]],
      count: rows.length,
    };
  }
  return { kind: 'select', columns: compiled.columns, rows, count: rows.length };
}

function selectInto(
  statement: StatementOf<'query'>,
  columns: readonly { readonly name: string; readonly type: SqlType; readonly nullable?: boolean }[],
  rows: readonly Value[][],
  context: Context,
  tempTables: Map<string, Table>,
): StatementResult {
  const { body, line } = statement.query;
  if (body.kind !== 'select' || body.into === undefined) throw outsideSubset('SELECT INTO', line);
  const { into } = body;
  const definitions = columns.map(({ name, type, nullable }, position) => {
    if (name === '')
      throw new SqlError(1038, `An object or column name is missing or empty (column ${position + 1}).`, 15);
    return { name, type: type.name === 'null' ? types.int : type, nullable: nullable ?? true, line };
  });
  const temporary = into.name.startsWith('#');
  const table = buildTable(
    temporary ? -2 : nextObjectId(context),
    into.schema ?? 'dbo',
    into.name,
    definitions,
    [],
    !temporary,
    context,
  );
  register(table, context, tempTables);
  const inserter = new Inserter(table, undefined, context, { explicitFor: undefined, noted: () => undefined });
  const convert = inserter.converters(columns.map(({ type }) => type));
  for (const values of rows)
    inserter.insert(
      values.map((value) => ({ value })),
      convert,
    );
  return { kind: 'insert', count: rows.length };
}
