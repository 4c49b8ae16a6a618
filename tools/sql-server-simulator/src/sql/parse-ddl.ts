import type {
  ColumnDefinition,
  Expression,
  IndexColumn,
  IndexDefinition,
  ObjectName,
  Statement,
  TableConstraint,
} from './ast.ts';
import type { Cursor } from './cursor.ts';
import { parseExpression, parseType } from './parse-expression.ts';
import { parseNames, parseObjectName } from './parse-query.ts';

function keyColumns(cursor: Cursor): IndexColumn[] {
  return cursor.parenthesized(() =>
    cursor.list(() => {
      const name = cursor.name();
      const descending = cursor.takeWord('DESC');
      if (!descending) cursor.takeWord('ASC');
      return { name, descending };
    }),
  );
}

/** `WITH (FILLFACTOR = 90)`, `ON [PRIMARY]`: storage options mean nothing here; those that change behaviour are refused. */
function skipStorageOptions(cursor: Cursor): void {
  if (cursor.isWord('WITH') && cursor.isSymbol('(', 1)) {
    cursor.advance();
    cursor.parenthesized(() =>
      cursor.list(() => {
        const option = cursor.name().toUpperCase();
        cursor.expectSymbol('=');
        const value = cursor.advance().upper;
        if (option === 'IGNORE_DUP_KEY' && value === 'ON') throw cursor.refuse('IGNORE_DUP_KEY = ON');
        if (['SYSTEM_VERSIONING', 'MEMORY_OPTIMIZED', 'LEDGER'].includes(option))
          throw cursor.refuse(`${option} tables`);
      }),
    );
  }
  if (cursor.isWord('ON') && (cursor.peek(1).kind === 'quoted' || cursor.peek(1).upper === 'PRIMARY')) {
    cursor.advance();
    cursor.advance();
  }
}

function clustering(cursor: Cursor): boolean | undefined {
  if (cursor.takeWord('CLUSTERED')) return true;
  return cursor.takeWord('NONCLUSTERED') ? false : undefined;
}

function parseReferences(cursor: Cursor, columns: readonly string[], name: string | undefined): TableConstraint {
  const { line } = cursor;
  cursor.expectWord('REFERENCES');
  const target = parseObjectName(cursor);
  const targetColumns = cursor.isSymbol('(') ? parseNames(cursor) : [];
  while (cursor.isWord('ON') && ['DELETE', 'UPDATE'].includes(cursor.peek(1).upper)) {
    cursor.advance();
    const event = cursor.advance().upper;
    if (!cursor.takeWord('NO', 'ACTION')) throw cursor.refuse(`ON ${event} ${cursor.token.upper}`);
  }
  return { kind: 'foreign', columns, target, targetColumns, line, ...(name === undefined ? {} : { name }) };
}

/** A constraint after its optional CONSTRAINT name; `column` when it stands in a column definition. */
function parseConstraintBody(
  cursor: Cursor,
  name: string | undefined,
  column: string | undefined,
): TableConstraint | undefined {
  const { line } = cursor;
  const named = name === undefined ? {} : { name };
  const primary = cursor.isWord('PRIMARY', 'KEY');
  if (primary || cursor.isWord('UNIQUE')) {
    cursor.expectWord(...(primary ? ['PRIMARY', 'KEY'] : ['UNIQUE']));
    const clustered = clustering(cursor);
    const columns =
      column === undefined || cursor.isSymbol('(') ? keyColumns(cursor) : [{ name: column, descending: false }];
    skipStorageOptions(cursor);
    return { kind: 'key', primary, columns, line, ...named, ...(clustered === undefined ? {} : { clustered }) };
  }
  if (cursor.takeWord('CHECK')) {
    if (cursor.isWord('NOT', 'FOR', 'REPLICATION')) throw cursor.refuse('NOT FOR REPLICATION');
    const { value, text } = cursor.parenthesized(() => cursor.capture(() => parseExpression(cursor)));
    return { kind: 'check', expression: value, text, line, ...named, ...(column === undefined ? {} : { column }) };
  }
  if (cursor.isWord('FOREIGN', 'KEY')) {
    cursor.expectWord('FOREIGN', 'KEY');
    return parseReferences(cursor, cursor.isSymbol('(') ? parseNames(cursor) : [column ?? ''], name);
  }
  if (cursor.isWord('REFERENCES') && column !== undefined) return parseReferences(cursor, [column], name);
  if (cursor.takeWord('DEFAULT')) {
    const { value, text } = cursor.capture(() => parseDefault(cursor));
    let target = column;
    if (target === undefined) {
      cursor.expectWord('FOR');
      target = cursor.name();
    }
    return { kind: 'default', column: target, expression: value, text, line, ...named };
  }
  return undefined;
}

function parseDefault(cursor: Cursor): Expression {
  if (cursor.isWord('NEXT', 'VALUE', 'FOR')) throw cursor.refuse('NEXT VALUE FOR');
  return parseExpression(cursor);
}

function parseColumn(cursor: Cursor, constraints: TableConstraint[]): ColumnDefinition {
  const { line } = cursor;
  const name = cursor.name();
  if (cursor.isWord('AS')) throw cursor.refuse(`computed column ${name}`);
  let type = parseType(cursor);
  let nullable: boolean | undefined;
  let identity: { seed: string; increment: string } | undefined;
  let defaultValue: ColumnDefinition['default'];
  for (;;) {
    if (cursor.takeWord('NOT', 'NULL')) nullable = false;
    else if (cursor.takeWord('NULL')) nullable = true;
    else if (cursor.takeWord('COLLATE')) type = { ...type, ...collationOf(cursor) };
    else if (cursor.takeWord('IDENTITY')) identity = parseIdentity(cursor);
    else if (cursor.isOneOf('SPARSE', 'FILESTREAM', 'ROWGUIDCOL', 'MASKED', 'ENCRYPTED', 'HIDDEN', 'GENERATED'))
      throw cursor.refuse(`column option ${cursor.token.upper}`);
    else if (cursor.isWord('INDEX')) constraints.push({ kind: 'index', index: parseInlineIndex(cursor, name), line });
    else {
      const constraintName = cursor.takeWord('CONSTRAINT') ? cursor.name() : undefined;
      const constraint = parseConstraintBody(cursor, constraintName, name);
      if (constraint === undefined) {
        if (constraintName !== undefined) throw cursor.unexpected();
        break;
      }
      if (constraint.kind === 'default') {
        defaultValue = {
          expression: constraint.expression,
          text: constraint.text,
          ...(constraint.name === undefined ? {} : { name: constraint.name }),
        };
      } else constraints.push(constraint);
    }
  }
  return {
    name,
    type,
    line,
    ...(nullable === undefined ? {} : { nullable }),
    ...(identity === undefined ? {} : { identity }),
    ...(defaultValue === undefined ? {} : { default: defaultValue }),
  };
}

function parseIdentity(cursor: Cursor): { seed: string; increment: string } {
  const identity = { seed: '1', increment: '1' };
  if (cursor.isSymbol('(')) {
    cursor.parenthesized(() => {
      identity.seed = signedInteger(cursor);
      cursor.expectSymbol(',');
      identity.increment = signedInteger(cursor);
    });
  }
  if (cursor.isWord('NOT', 'FOR', 'REPLICATION')) throw cursor.refuse('NOT FOR REPLICATION');
  return identity;
}

function signedInteger(cursor: Cursor): string {
  const sign = cursor.takeSymbol('-') ? '-' : '';
  if (cursor.token.kind !== 'number' || !/^\d+$/.test(cursor.token.text)) throw cursor.unexpected();
  return sign + cursor.advance().text;
}

function collationOf(cursor: Cursor): { binaryCollation?: true } {
  const { text } = cursor.token;
  const kind = collationKind(cursor.name());
  if (kind === undefined) throw cursor.refuse(`collation ${text}`);
  return kind === 'binary' ? { binaryCollation: true } : {};
}

/** @returns how a named collation compares here, or undefined when it is outside the subset */
export function collationKind(name: string): 'ci_as' | 'binary' | undefined {
  if (/^database_default$/i.test(name) || /_CI_AS(_SC)?(_UTF8)?$/i.test(name)) return 'ci_as';
  return /_BIN2?(_UTF8)?$/i.test(name) ? 'binary' : undefined;
}

function parseInlineIndex(cursor: Cursor, column?: string): IndexDefinition {
  const { line } = cursor.advance();
  const name = cursor.name();
  const unique = cursor.takeWord('UNIQUE');
  clustering(cursor);
  const columns =
    column === undefined || cursor.isSymbol('(') ? keyColumns(cursor) : [{ name: column, descending: false }];
  return { name, unique, columns, line, ...parseIndexTail(cursor) };
}

function parseIndexTail(cursor: Cursor): { include: string[]; where?: { expression: Expression; text: string } } {
  const include = cursor.takeWord('INCLUDE') ? parseNames(cursor) : [];
  let where: { expression: Expression; text: string } | undefined;
  if (cursor.takeWord('WHERE')) {
    const { value, text } = cursor.capture(() => parseExpression(cursor));
    where = { expression: value, text };
  }
  skipStorageOptions(cursor);
  return { include, ...(where === undefined ? {} : { where }) };
}

export interface TableBody {
  readonly columns: ColumnDefinition[];
  readonly constraints: TableConstraint[];
}

/** `(column …, constraint …, INDEX …)` of CREATE TABLE and of table variables. */
export function parseTableBody(cursor: Cursor): TableBody {
  return cursor.parenthesized(() => {
    const columns: ColumnDefinition[] = [];
    const constraints: TableConstraint[] = [];
    do {
      if (cursor.isSymbol(')')) break;
      parseElement(cursor, columns, constraints);
    } while (cursor.takeSymbol(','));
    return { columns, constraints };
  });
}

function parseElement(cursor: Cursor, columns: ColumnDefinition[], constraints: TableConstraint[]): void {
  const { line } = cursor;
  if (cursor.isWord('INDEX')) {
    constraints.push({ kind: 'index', index: parseInlineIndex(cursor), line });
    return;
  }
  if (cursor.isWord('PERIOD', 'FOR')) throw cursor.refuse('PERIOD FOR SYSTEM_TIME');
  const name = cursor.takeWord('CONSTRAINT') ? cursor.name() : undefined;
  const constraint = parseConstraintBody(cursor, name, undefined);
  if (constraint !== undefined) constraints.push(constraint);
  else if (name === undefined) columns.push(parseColumn(cursor, constraints));
  else throw cursor.unexpected();
}

function parseCreateTable(cursor: Cursor, line: number): Statement {
  const name = parseObjectName(cursor);
  if (cursor.isWord('AS')) throw cursor.refuse('CREATE TABLE … AS');
  const body = parseTableBody(cursor);
  skipStorageOptions(cursor);
  if (cursor.isWord('TEXTIMAGE_ON')) throw cursor.refuse('TEXTIMAGE_ON');
  return { kind: 'createTable', name, ...body, line };
}

export function parseCreate(cursor: Cursor): Statement {
  const { line } = cursor.advance();
  if (cursor.takeWord('TABLE')) return parseCreateTable(cursor, line);
  if (cursor.takeWord('SCHEMA')) {
    const name = cursor.name();
    if (cursor.takeWord('AUTHORIZATION')) cursor.name();
    return { kind: 'createSchema', name, line };
  }
  const unique = cursor.takeWord('UNIQUE');
  clustering(cursor);
  if (!cursor.takeWord('INDEX')) throw cursor.refuse(`CREATE ${cursor.token.text}`);
  const name = cursor.name();
  cursor.expectWord('ON');
  const table = parseObjectName(cursor);
  const columns = keyColumns(cursor);
  return { kind: 'createIndex', table, index: { name, unique, columns, line, ...parseIndexTail(cursor) }, line };
}

export function parseAlter(cursor: Cursor): Statement {
  const { line } = cursor.advance();
  if (cursor.takeWord('DATABASE')) return parseAlterDatabase(cursor, line);
  if (!cursor.takeWord('TABLE')) throw cursor.refuse(`ALTER ${cursor.token.text}`);
  const table = parseObjectName(cursor);
  const columns: ColumnDefinition[] = [];
  const constraints: TableConstraint[] = [];
  const dropColumns: string[] = [];
  const dropConstraints: string[] = [];
  let ifExists = false;
  if (cursor.isOneOf('ENABLE', 'DISABLE') && cursor.peek(1).upper === 'CHANGE_TRACKING')
    return parseTrackTable(cursor, table, line);
  if (cursor.takeWord('WITH', 'CHECK')) cursor.isWord('ADD');
  if (cursor.takeWord('ADD')) {
    do parseElement(cursor, columns, constraints);
    while (cursor.takeSymbol(','));
  } else if (cursor.takeWord('DROP')) {
    do {
      const isColumn = cursor.takeWord('COLUMN');
      if (!isColumn) cursor.takeWord('CONSTRAINT');
      if (cursor.takeWord('IF', 'EXISTS')) ifExists = true;
      (isColumn ? dropColumns : dropConstraints).push(cursor.name());
    } while (cursor.takeSymbol(','));
  } else throw cursor.refuse(`ALTER TABLE … ${cursor.token.text} ${cursor.peek(1).text}`);
  return { kind: 'alterTable', table, columns, constraints, dropColumns, dropConstraints, ifExists, line };
}

/** `ENABLE CHANGE_TRACKING [WITH (TRACK_COLUMNS_UPDATED = OFF)]`, `DISABLE CHANGE_TRACKING` */
function parseTrackTable(cursor: Cursor, table: ObjectName, line: number): Statement {
  const on = cursor.advance().upper === 'ENABLE';
  cursor.advance();
  if (on && cursor.takeWord('WITH')) {
    cursor.parenthesized(() => {
      cursor.expectWord('TRACK_COLUMNS_UPDATED');
      cursor.expectSymbol('=');
      if (cursor.takeWord('ON')) throw cursor.refuse('TRACK_COLUMNS_UPDATED = ON');
      cursor.expectWord('OFF');
    });
  }
  return { kind: 'trackTable', table, on, line };
}

/** `CHANGE_TRACKING = ON [(CHANGE_RETENTION = 2 DAYS, AUTO_CLEANUP = ON)] | = OFF | (…)` */
function parseTrackDatabase(cursor: Cursor, database: string | undefined, line: number): Statement {
  let on = true;
  if (cursor.takeSymbol('=')) {
    on = cursor.takeWord('ON');
    if (!on) cursor.expectWord('OFF');
  }
  let retention: number | undefined;
  let unit: 'DAYS' | 'HOURS' | 'MINUTES' | undefined;
  let autoCleanup: boolean | undefined;
  if (on && cursor.isSymbol('(')) {
    cursor.parenthesized(() =>
      cursor.list(() => {
        const option = cursor.advance().upper;
        cursor.expectSymbol('=');
        if (option === 'AUTO_CLEANUP') {
          autoCleanup = cursor.takeWord('ON');
          if (!autoCleanup) cursor.expectWord('OFF');
          return;
        }
        if (option !== 'CHANGE_RETENTION') throw cursor.refuse(`CHANGE_TRACKING option ${option}`);
        retention = Number(signedInteger(cursor));
        const word = cursor.token.upper;
        if (word !== 'DAYS' && word !== 'HOURS' && word !== 'MINUTES') throw cursor.unexpected();
        unit = word;
        cursor.advance();
      }),
    );
  }
  return { kind: 'trackDatabase', database, on, retention, unit, autoCleanup, line };
}

function parseAlterDatabase(cursor: Cursor, line: number): Statement {
  const database = cursor.takeWord('CURRENT') ? undefined : cursor.name();
  cursor.expectWord('SET');
  if (cursor.takeWord('CHANGE_TRACKING')) return parseTrackDatabase(cursor, database, line);
  const option = cursor.token.upper;
  if (option !== 'ALLOW_SNAPSHOT_ISOLATION' && option !== 'READ_COMMITTED_SNAPSHOT')
    throw cursor.refuse(`ALTER DATABASE … SET ${cursor.token.text}`);
  cursor.advance();
  const on = cursor.takeWord('ON');
  if (!on) cursor.expectWord('OFF');
  if (cursor.takeWord('WITH')) {
    if (cursor.takeWord('ROLLBACK', 'IMMEDIATE') || cursor.takeWord('NO_WAIT'))
      return { kind: 'alterDatabase', database, option, on, line };
    throw cursor.refuse(`ALTER DATABASE … WITH ${cursor.token.text}`);
  }
  return { kind: 'alterDatabase', database, option, on, line };
}

export function parseDrop(cursor: Cursor): Statement {
  const { line } = cursor.advance();
  const object = cursor.token.upper;
  if (object !== 'TABLE' && object !== 'INDEX' && object !== 'SCHEMA') throw cursor.refuse(`DROP ${cursor.token.text}`);
  cursor.advance();
  const ifExists = cursor.takeWord('IF', 'EXISTS');
  if (object === 'TABLE')
    return { kind: 'dropTable', names: cursor.list((): ObjectName => parseObjectName(cursor)), ifExists, line };
  const name = cursor.name();
  if (object === 'SCHEMA') return { kind: 'dropSchema', name, ifExists, line };
  cursor.expectWord('ON');
  return { kind: 'dropIndex', index: name, table: parseObjectName(cursor), ifExists, line };
}
