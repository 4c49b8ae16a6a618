import { visibleCommit } from './visible-commit.ts';
import { rowversionBytes } from '../engine/database.ts';
import { outsideSubset } from '../types/sql-error.ts';
import { decimal, nvarchar, types, type Value, varbinary } from '../types/sql-type.ts';
import type { Context } from './context.ts';
import { argument, as, define, type FunctionSpec, strict } from './function-kit.ts';

const name = nvarchar(776);

/** Splits `[dbo].[My.Table]`; quotes and brackets go. */
export function splitName(text: string): string[] {
  return [...text.matchAll(/\[((?:[^\]]|\]\])*)\]|"((?:[^"]|"")*)"|([^.[\]"]+)/g)].map((match) =>
    (match[1]?.replaceAll(']]', ']') ?? match[2]?.replaceAll('""', '"') ?? match[3] ?? '').trim(),
  );
}

export interface NamedObject {
  readonly id: number;
  readonly kind: 'U' | 'PK' | 'UQ' | 'C' | 'F' | 'D';
  readonly name: string;
  readonly schema: string;
  readonly parentId: number;
}

/** Deterministic id of a constraint, apart from the tables' ids. */
function constraintId(tableId: number, position: number): number {
  return 1_000_000 + tableId * 1000 + position;
}

/** All objects of the database that have an id: tables and their constraints. */
export function* objectsOf(context: Context): Generator<NamedObject> {
  for (const table of context.database.tables.values()) {
    const { schema } = table;
    yield { id: table.id, kind: 'U', name: table.name, schema, parentId: 0 };
    let position = 0;
    const child = (kind: NamedObject['kind'], childName: string): NamedObject => ({
      id: constraintId(table.id, position++),
      kind,
      name: childName,
      schema,
      parentId: table.id,
    });
    for (const { spec } of table.indexes)
      if (spec.kind !== 'index') yield child(spec.kind === 'primary' ? 'PK' : 'UQ', spec.name);
    for (const check of table.checks) yield child('C', check.name);
    for (const foreign of table.foreignKeys) yield child('F', foreign.name);
    for (const column of table.columns) if (column.default !== undefined) yield child('D', column.default.name);
  }
}

function findObject(context: Context, text: string, kind: string | undefined): NamedObject | undefined {
  const parts = splitName(text);
  const wanted = parts.at(-1)?.toLowerCase() ?? '';
  const schema = (parts.length > 1 && parts.at(-2) !== '' ? parts.at(-2) : 'dbo')?.toLowerCase();
  const database = parts.at(-3)?.toLowerCase();
  if (database !== undefined && database !== '' && database !== context.database.name.toLowerCase()) return undefined;
  for (const object of objectsOf(context)) {
    if (object.name.toLowerCase() !== wanted || object.schema.toLowerCase() !== schema) continue;
    if (kind === undefined || kind.trim().toUpperCase() === object.kind) return object;
  }
  const temp = wanted.startsWith('#') ? context.session.tempTables.get(wanted) : undefined;
  return temp === undefined ? undefined : { id: temp.id, kind: 'U', name: temp.name, schema: 'dbo', parentId: 0 };
}

const fixedBytes: Partial<Record<string, number>> = {
  bit: 1,
  tinyint: 1,
  smallint: 2,
  int: 4,
  date: 3,
  uniqueidentifier: 16,
};

const serverProperties: Readonly<Record<string, Value>> = {
  productversion: '0.1.0.0',
  productlevel: 'SIMULATOR',
  edition: 'SQL Server simulator (not Microsoft SQL Server)',
  engineedition: '0',
  servername: 'SQL-SIMULATOR',
  machinename: 'SQL-SIMULATOR',
  collation: 'SQL_Latin1_General_CP1_CI_AS',
  isintegratedsecurityonly: '0',
  ishadrenabled: '0',
};

const databaseProperties = (context: Context): Readonly<Record<string, string>> => ({
  collation: 'SQL_Latin1_General_CP1_CI_AS',
  updateability: 'READ_WRITE',
  status: 'ONLINE',
  recovery: 'SIMPLE',
  snapshotisolationstate: context.database.snapshotAllowed ? '1' : '0',
});

function caught(read: (context: Context) => Value, type = types.int): FunctionSpec {
  return define(0, 0, (_, { context }) => ({
    type,
    run: () => (context.session.caught === undefined ? null : read(context)),
  }));
}

export const systemFunctions: Readonly<Record<string, FunctionSpec>> = {
  SCOPE_IDENTITY: define(0, 0, (_, { context }) => ({
    type: decimal(38, 0),
    run: () => context.session.lastIdentity ?? null,
  })),
  MIN_ACTIVE_ROWVERSION: define(0, 0, (_, { context }) => ({
    type: varbinary(8),
    run: () => rowversionBytes(context.database.minActiveRowversion()),
  })),
  CHANGE_TRACKING_CURRENT_VERSION: define(0, 0, (_, { context }) => ({
    type: types.bigint,
    run: () => {
      const version = context.database.tracking.currentVersion(visibleCommit(context));
      return version === undefined ? null : BigInt(version);
    },
  })),
  CHANGE_TRACKING_MIN_VALID_VERSION: define(1, 1, (args, { context }) =>
    strict(types.bigint, [as(argument(args, 0), types.int)], (id: number) => {
      const version = context.database.tracking.minValidVersion(id);
      return version === undefined ? null : BigInt(version);
    }),
  ),
  DB_NAME: define(0, 1, (args, { context }) => {
    const id = args[0];
    if (id === undefined) return { type: types.sysname, run: () => context.database.name };
    return strict(
      types.sysname,
      [as(id, types.int)],
      (wanted: number) =>
        [...context.session.databases.values()].find((database) => database.id === wanted)?.name ?? null,
    );
  }),
  DB_ID: define(0, 1, (args, { context }) => {
    const wanted = args[0];
    if (wanted === undefined) return { type: types.int, run: () => context.database.id };
    return strict(
      types.int,
      [as(wanted, name)],
      (text: string) => context.session.databases.get(text.toLowerCase())?.id ?? null,
    );
  }),
  OBJECT_ID: define(1, 2, (args, { context }) => {
    const kind = args[1];
    return strict(
      types.int,
      [as(argument(args, 0), name), kind === undefined ? () => '' : as(kind, name)],
      (text: string, type: string) => findObject(context, text, type === '' ? undefined : type)?.id ?? null,
    );
  }),
  OBJECT_NAME: define(1, 1, (args, { context }) =>
    strict(
      types.sysname,
      [as(argument(args, 0), types.int)],
      (id: number) => [...objectsOf(context)].find((object) => object.id === id)?.name ?? null,
    ),
  ),
  OBJECT_SCHEMA_NAME: define(1, 1, (args, { context }) =>
    strict(
      types.sysname,
      [as(argument(args, 0), types.int)],
      (id: number) => [...objectsOf(context)].find((object) => object.id === id)?.schema ?? null,
    ),
  ),
  SCHEMA_ID: define(0, 1, (args, { context }) => {
    const wanted = args[0];
    if (wanted === undefined) return { type: types.int, run: () => 1 };
    return strict(
      types.int,
      [as(wanted, name)],
      (text: string) => context.database.schemas.get(text.toLowerCase())?.id ?? null,
    );
  }),
  SCHEMA_NAME: define(0, 1, (args, { context }) => {
    const wanted = args[0];
    if (wanted === undefined) return { type: types.sysname, run: () => 'dbo' };
    return strict(
      types.sysname,
      [as(wanted, types.int)],
      (id: number) => [...context.database.schemas.values()].find((schema) => schema.id === id)?.name ?? null,
    );
  }),
  COL_LENGTH: define(2, 2, (args, { context }) =>
    strict(
      types.smallint,
      [as(argument(args, 0), name), as(argument(args, 1), name)],
      (tableName: string, columnName: string) => {
        const parts = splitName(tableName);
        const table = context.database.table(parts.at(-2) ?? 'dbo', parts.at(-1) ?? '');
        const type = table?.columns[table.ordinalOf(splitName(columnName)[0] ?? '')]?.type;
        if (type === undefined) return null;
        if (type.length !== 0) return type.length > 0 && type.name.startsWith('n') ? type.length * 2 : type.length;
        return fixedBytes[type.name] ?? 8;
      },
    ),
  ),
  SUSER_SNAME: define(0, 0, (_, { context }) => ({ type: types.sysname, run: () => context.session.login })),
  SUSER_NAME: define(0, 0, (_, { context }) => ({ type: types.sysname, run: () => context.session.login })),
  ORIGINAL_LOGIN: define(0, 0, (_, { context }) => ({ type: types.sysname, run: () => context.session.login })),
  USER_NAME: define(0, 0, () => ({ type: types.sysname, run: () => 'dbo' })),
  HOST_NAME: define(0, 0, (_, { context }) => ({ type: types.sysname, run: () => context.session.host })),
  APP_NAME: define(0, 0, (_, { context }) => ({ type: types.sysname, run: () => context.session.application })),
  SERVERPROPERTY: define(1, 1, (args, { line }) =>
    strict(nvarchar(128), [as(argument(args, 0), name)], (property: string) => {
      if (!Object.hasOwn(serverProperties, property.toLowerCase()))
        throw outsideSubset(`SERVERPROPERTY('${property}')`, line);
      return serverProperties[property.toLowerCase()] ?? null;
    }),
  ),
  DATABASEPROPERTYEX: define(2, 2, (args, { context, line }) =>
    strict(
      nvarchar(128),
      [as(argument(args, 0), name), as(argument(args, 1), name)],
      (database: string, property: string) => {
        if (database.toLowerCase() !== context.database.name.toLowerCase()) return null;
        const found = databaseProperties(context);
        if (!Object.hasOwn(found, property.toLowerCase()))
          throw outsideSubset(`DATABASEPROPERTYEX(…, '${property}')`, line);
        return found[property.toLowerCase()] ?? null;
      },
    ),
  ),
  // The one simulated login may do everything on what exists: 1, or NULL for an object that does not.
  HAS_PERMS_BY_NAME: define(3, 5, (args, { context }) => ({
    type: types.int,
    run: (env) => {
      const securable = as(argument(args, 0), name)(env) as string | null;
      const kind = as(argument(args, 1), name)(env) as string | null;
      if (securable === null || kind === null) return 1;
      switch (kind.toUpperCase()) {
        case 'OBJECT':
          return findObject(context, securable, undefined) === undefined ? null : 1;
        case 'SCHEMA':
          return context.database.schemas.has((splitName(securable)[0] ?? '').toLowerCase()) ? 1 : null;
        case 'DATABASE':
          return context.session.databases.has((splitName(securable)[0] ?? '').toLowerCase()) ? 1 : null;
        default:
          throw outsideSubset(`HAS_PERMS_BY_NAME for ${kind}`);
      }
    },
  })),
  XACT_STATE: define(0, 0, (_, { context }) => ({ type: types.smallint, run: () => context.session.transactionState })),
  ERROR_NUMBER: caught(({ session }) => session.caught?.number ?? null),
  ERROR_SEVERITY: caught(({ session }) => session.caught?.severity ?? null),
  ERROR_STATE: caught(({ session }) => session.caught?.state ?? null),
  ERROR_LINE: caught(({ session }) => session.caught?.line ?? null),
  ERROR_PROCEDURE: caught(() => null, nvarchar(128)),
  ERROR_MESSAGE: caught(({ session }) => session.caught?.message ?? null, nvarchar(4000)),
};

export { varbinary };
