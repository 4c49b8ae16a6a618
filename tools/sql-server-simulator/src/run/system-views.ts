import { objectsOf } from './functions-system.ts';
import type { ObjectName } from '../sql/ast.ts';
import type { TrackingSettings } from '../engine/change-tracking.ts';
import type { Table } from '../engine/table.ts';
import { outsideSubset } from '../types/sql-error.ts';
import { family, nvarchar, type SqlType, types, typeText, type Value } from '../types/sql-type.ts';
import type { Context } from './context.ts';
import type { ColumnInfo } from './scope.ts';

export interface SystemView {
  readonly columns: readonly ColumnInfo[];
  readonly rows: () => readonly (readonly Value[])[];
}

type Cells = readonly (readonly [string, SqlType, Value])[];

const word = nvarchar(60);

/** Builds a view from rows of [column, type, value]; the first row of an empty view only names the columns. */
function view(template: Cells, rows: () => readonly Cells[]): SystemView {
  return {
    columns: template.map(([name, type]) => ({ name, type })),
    rows: () => rows().map((cells) => cells.map(([, , value]) => value)),
  };
}

const typeIds: Readonly<Record<string, number>> = {
  uniqueidentifier: 36,
  date: 40,
  time: 41,
  datetime2: 42,
  datetimeoffset: 43,
  tinyint: 48,
  smallint: 52,
  int: 56,
  smalldatetime: 58,
  real: 59,
  money: 60,
  datetime: 61,
  float: 62,
  bit: 104,
  decimal: 106,
  smallmoney: 122,
  bigint: 127,
  varbinary: 165,
  varchar: 167,
  binary: 173,
  char: 175,
  rowversion: 189,
  nvarchar: 231,
  nchar: 239,
};

function trackingDatabaseCells(id: number, settings: TrackingSettings | undefined): Cells {
  const unit = settings?.unit ?? 'DAYS';
  return [
    ['database_id', types.int, id],
    ['is_auto_cleanup_on', types.bit, settings?.autoCleanup === true ? 1 : 0],
    ['retention_period', types.int, settings?.retention ?? 0],
    ['retention_period_units', types.tinyint, { MINUTES: 1, HOURS: 2, DAYS: 3 }[unit]],
    ['retention_period_units_desc', word, unit],
  ];
}

function trackingTableCells(id: number, minValid: number, begin: number): Cells {
  return [
    ['object_id', types.int, id],
    ['is_track_columns_updated_on', types.bit, 0],
    ['min_valid_version', types.bigint, BigInt(minValid)],
    ['begin_version', types.bigint, BigInt(begin)],
  ];
}

function recoveryCells(id: number, recoveryFork: string): Cells {
  return [
    ['database_id', types.int, id],
    ['recovery_fork_guid', types.uniqueidentifier, recoveryFork],
  ];
}

function schemaCells(id: number, name: string): Cells {
  return [
    ['name', types.sysname, name],
    ['schema_id', types.int, id],
    ['principal_id', types.int, 1],
  ];
}

function tableCells(table: Table, schemaId: number): Cells {
  return [
    ['name', types.sysname, table.name],
    ['object_id', types.int, table.id],
    ['schema_id', types.int, schemaId],
    ['type', nvarchar(2), 'U'],
    ['type_desc', word, 'USER_TABLE'],
    ['is_ms_shipped', types.bit, 0],
  ];
}

function maxBytes(type: SqlType): number {
  if (type.length !== 0) return type.length > 0 && type.name.startsWith('n') ? type.length * 2 : type.length;
  const fixed: Partial<Record<string, number>> = {
    bit: 1,
    tinyint: 1,
    smallint: 2,
    int: 4,
    real: 4,
    date: 3,
    uniqueidentifier: 16,
    smallmoney: 4,
  };
  return fixed[type.name] ?? 8;
}

function columnCells(table: Table | undefined, ordinal: number): Cells {
  const column = table?.columns[ordinal];
  const type = column?.type ?? types.int;
  return [
    ['object_id', types.int, table?.id ?? 0],
    ['name', types.sysname, column?.name ?? ''],
    ['column_id', types.int, ordinal + 1],
    ['system_type_id', types.tinyint, typeIds[type.name] ?? 0],
    ['user_type_id', types.int, typeIds[type.name] ?? 0],
    ['max_length', types.smallint, maxBytes(type)],
    ['precision', types.tinyint, type.precision],
    ['scale', types.tinyint, type.scale],
    [
      'collation_name',
      types.sysname,
      family(type) === 'string'
        ? type.binaryCollation === true
          ? 'Latin1_General_BIN2'
          : 'SQL_Latin1_General_CP1_CI_AS'
        : null,
    ],
    ['is_nullable', types.bit, Number(column?.nullable ?? false)],
    ['is_identity', types.bit, Number(column?.identity !== undefined)],
    ['is_computed', types.bit, 0],
  ];
}

function databaseCells(name: string, id: number, snapshot: boolean, committedSnapshot: boolean): Cells {
  return [
    ['name', types.sysname, name],
    ['database_id', types.int, id],
    ['state', types.tinyint, 0],
    ['state_desc', word, 'ONLINE'],
    ['collation_name', types.sysname, 'SQL_Latin1_General_CP1_CI_AS'],
    ['compatibility_level', types.tinyint, 160],
    ['snapshot_isolation_state', types.tinyint, Number(snapshot)],
    ['snapshot_isolation_state_desc', word, snapshot ? 'ON' : 'OFF'],
    ['is_read_committed_snapshot_on', types.bit, Number(committedSnapshot)],
    ['is_read_only', types.bit, 0],
    ['recovery_model_desc', word, 'SIMPLE'],
  ];
}

function indexCells(table: Table | undefined, position: number): Cells {
  const spec = table?.indexes[position]?.spec;
  return [
    ['object_id', types.int, table?.id ?? 0],
    ['name', types.sysname, spec?.name ?? null],
    ['index_id', types.int, position + 1],
    ['is_unique', types.bit, Number(spec?.unique ?? false)],
    ['is_primary_key', types.bit, Number(spec?.kind === 'primary')],
    ['is_unique_constraint', types.bit, Number(spec?.kind === 'unique')],
    ['has_filter', types.bit, Number(spec?.filter !== undefined)],
    ['filter_definition', nvarchar(-1), spec?.filter === undefined ? null : `(${spec.filter.text})`],
  ];
}

function informationColumn(database: string, table: Table | undefined, ordinal: number): Cells {
  const column = table?.columns[ordinal];
  const type = column?.type ?? types.int;
  const kind = family(type);
  const exact = kind === 'integer' || kind === 'decimal';
  return [
    ['TABLE_CATALOG', types.sysname, database],
    ['TABLE_SCHEMA', types.sysname, table?.schema ?? ''],
    ['TABLE_NAME', types.sysname, table?.name ?? ''],
    ['COLUMN_NAME', types.sysname, column?.name ?? ''],
    ['ORDINAL_POSITION', types.int, ordinal + 1],
    ['COLUMN_DEFAULT', nvarchar(4000), column?.default === undefined ? null : `(${column.default.text})`],
    ['IS_NULLABLE', nvarchar(3), column?.nullable === true ? 'YES' : 'NO'],
    ['DATA_TYPE', types.sysname, type.name === 'rowversion' ? 'timestamp' : type.name],
    [
      'CHARACTER_MAXIMUM_LENGTH',
      types.int,
      (kind === 'string' || kind === 'binary') && type.name !== 'rowversion' ? type.length : null,
    ],
    ['NUMERIC_PRECISION', types.tinyint, exact ? type.precision : null],
    ['NUMERIC_SCALE', types.int, exact ? type.scale : null],
    ['DATETIME_PRECISION', types.smallint, ['datetime', 'time', 'offset'].includes(kind) ? type.scale : null],
  ];
}

type Builder = (context: Context) => SystemView;

function tables(context: Context): readonly Table[] {
  return [...context.database.tables.values()];
}

function perColumn(cells: (table: Table | undefined, ordinal: number) => Cells): Builder {
  return (context) =>
    view(cells(undefined, 0), () =>
      tables(context).flatMap((table) => table.columns.map((_, ordinal) => cells(table, ordinal))),
    );
}

const objectTypes = {
  U: 'USER_TABLE',
  PK: 'PRIMARY_KEY_CONSTRAINT',
  UQ: 'UNIQUE_CONSTRAINT',
  C: 'CHECK_CONSTRAINT',
  F: 'FOREIGN_KEY_CONSTRAINT',
  D: 'DEFAULT_CONSTRAINT',
} as const;

function objects(context: Context, only: (kind: string) => boolean): SystemView {
  const cells = (name: string, id: number, schema: string, parent: number, kind: keyof typeof objectTypes): Cells => [
    ['name', types.sysname, name],
    ['object_id', types.int, id],
    ['schema_id', types.int, context.database.schemas.get(schema.toLowerCase())?.id ?? 1],
    ['parent_object_id', types.int, parent],
    ['type', nvarchar(2), kind],
    ['type_desc', word, objectTypes[kind]],
  ];
  return view(cells('', 0, 'dbo', 0, 'U'), () =>
    [...objectsOf(context)]
      .filter(({ kind }) => only(kind))
      .map(({ name, id, schema, parentId, kind }) => cells(name, id, schema, parentId, kind)),
  );
}

const views: Readonly<Record<string, Builder>> = {
  'sys.schemas': (context) =>
    view(schemaCells(0, ''), () => [...context.database.schemas.values()].map(({ id, name }) => schemaCells(id, name))),
  'sys.tables': (context) => {
    const rows = (): Cells[] =>
      tables(context).map((table) =>
        tableCells(table, context.database.schemas.get(table.schema.toLowerCase())?.id ?? 1),
      );
    return view(
      [
        ['name', types.sysname, ''],
        ['object_id', types.int, 0],
        ['schema_id', types.int, 0],
        ['type', nvarchar(2), ''],
        ['type_desc', word, ''],
        ['is_ms_shipped', types.bit, 0],
      ],
      rows,
    );
  },
  'sys.objects': (context) => objects(context, () => true),
  'sys.key_constraints': (context) => objects(context, (kind) => kind === 'PK' || kind === 'UQ'),
  'sys.check_constraints': (context) => objects(context, (kind) => kind === 'C'),
  'sys.foreign_keys': (context) => objects(context, (kind) => kind === 'F'),
  'sys.default_constraints': (context) => objects(context, (kind) => kind === 'D'),
  'sys.columns': perColumn(columnCells),
  'sys.types': () =>
    view(
      [
        ['name', types.sysname, ''],
        ['system_type_id', types.tinyint, 0],
        ['user_type_id', types.int, 0],
      ],
      () =>
        Object.entries(typeIds).map(([name, id]): Cells => [
          ['name', types.sysname, name === 'rowversion' ? 'timestamp' : name],
          ['system_type_id', types.tinyint, id],
          ['user_type_id', types.int, id],
        ]),
    ),
  'sys.indexes': (context) =>
    view(indexCells(undefined, 0), () =>
      tables(context).flatMap((table) => table.indexes.map((_, position) => indexCells(table, position))),
    ),
  'sys.databases': (context) =>
    view(databaseCells('', 0, false, false), () =>
      [...context.session.databases.values()].map(({ name, id, snapshotAllowed, readCommittedSnapshot }) =>
        databaseCells(name, id, snapshotAllowed, readCommittedSnapshot),
      ),
    ),
  'sys.change_tracking_databases': (context) =>
    view(trackingDatabaseCells(0, undefined), () =>
      [...context.session.databases.values()].flatMap(({ id, tracking }) =>
        tracking.settings === undefined ? [] : [trackingDatabaseCells(id, tracking.settings)],
      ),
    ),
  'sys.change_tracking_tables': (context) =>
    view(trackingTableCells(0, 0, 0), () =>
      [...context.database.tracking.tables].map(([id, { minValidVersion, beginVersion }]) =>
        trackingTableCells(id, minValidVersion, beginVersion),
      ),
    ),
  'sys.database_recovery_status': (context) =>
    view(recoveryCells(0, ''), () =>
      [...context.session.databases.values()].map(({ id, recoveryFork }) => recoveryCells(id, recoveryFork)),
    ),
  'information_schema.schemata': (context) =>
    view(
      [
        ['CATALOG_NAME', types.sysname, ''],
        ['SCHEMA_NAME', types.sysname, ''],
        ['SCHEMA_OWNER', types.sysname, ''],
      ],
      () =>
        [...context.database.schemas.values()].map(({ name }): Cells => [
          ['CATALOG_NAME', types.sysname, context.database.name],
          ['SCHEMA_NAME', types.sysname, name],
          ['SCHEMA_OWNER', types.sysname, 'dbo'],
        ]),
    ),
  'information_schema.tables': (context) =>
    view(
      [
        ['TABLE_CATALOG', types.sysname, ''],
        ['TABLE_SCHEMA', types.sysname, ''],
        ['TABLE_NAME', types.sysname, ''],
        ['TABLE_TYPE', types.sysname, ''],
      ],
      () =>
        tables(context).map((table): Cells => [
          ['TABLE_CATALOG', types.sysname, context.database.name],
          ['TABLE_SCHEMA', types.sysname, table.schema],
          ['TABLE_NAME', types.sysname, table.name],
          ['TABLE_TYPE', types.sysname, 'BASE TABLE'],
        ]),
    ),
  'information_schema.columns': (context) =>
    perColumn((table, ordinal) => informationColumn(context.database.name, table, ordinal))(context),
};

/** @returns the catalog view of that name; undefined for names outside sys and INFORMATION_SCHEMA; refuses the rest of sys */
export function systemView(name: ObjectName, context: Context): SystemView | undefined {
  const schema = name.schema?.toLowerCase();
  if (schema !== 'sys' && schema !== 'information_schema') return undefined;
  const key = `${schema}.${name.name.toLowerCase()}`;
  const build = Object.hasOwn(views, key) ? views[key] : undefined;
  if (build === undefined) throw outsideSubset(`catalog view ${schema}.${name.name}`, name.line);
  return build(context);
}

export { typeText };
