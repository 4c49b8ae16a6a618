import type { SqlType, Value } from '../types/sql-type.ts';

interface Node {
  readonly line: number;
}

export type ArithmeticOperator = '+' | '-' | '*' | '/' | '%' | '&' | '|' | '^';
export type CompareOperator = '=' | '<>' | '<' | '<=' | '>' | '>=';

export type Expression = Node &
  (
    | { readonly kind: 'literal'; readonly type: SqlType; readonly value: Value }
    | { readonly kind: 'variable'; readonly name: string }
    | { readonly kind: 'global'; readonly name: string }
    | { readonly kind: 'column'; readonly parts: readonly string[] }
    | { readonly kind: 'star'; readonly qualifier: readonly string[] }
    | { readonly kind: 'unary'; readonly operator: '-' | '+' | '~'; readonly operand: Expression }
    | {
        readonly kind: 'binary';
        readonly operator: ArithmeticOperator;
        readonly left: Expression;
        readonly right: Expression;
      }
    | {
        readonly kind: 'compare';
        readonly operator: CompareOperator;
        readonly left: Expression;
        readonly right: Expression;
      }
    | { readonly kind: 'logic'; readonly operator: 'and' | 'or'; readonly left: Expression; readonly right: Expression }
    | { readonly kind: 'not'; readonly operand: Expression }
    | { readonly kind: 'isNull'; readonly operand: Expression; readonly negated: boolean }
    | {
        readonly kind: 'between';
        readonly operand: Expression;
        readonly low: Expression;
        readonly high: Expression;
        readonly negated: boolean;
      }
    | {
        readonly kind: 'in';
        readonly operand: Expression;
        readonly list: readonly Expression[];
        readonly negated: boolean;
      }
    | { readonly kind: 'inQuery'; readonly operand: Expression; readonly query: Query; readonly negated: boolean }
    | {
        readonly kind: 'like';
        readonly operand: Expression;
        readonly pattern: Expression;
        readonly escape?: Expression;
        readonly negated: boolean;
      }
    | { readonly kind: 'exists'; readonly query: Query }
    | {
        readonly kind: 'case';
        readonly operand?: Expression;
        readonly whens: readonly { readonly when: Expression; readonly then: Expression }[];
        readonly otherwise?: Expression;
      }
    | {
        readonly kind: 'call';
        readonly name: string;
        readonly args: readonly Expression[];
        readonly distinct?: boolean;
        readonly over?: Window;
      }
    | {
        readonly kind: 'cast';
        readonly operand: Expression;
        readonly type: SqlType;
        readonly safe: boolean;
        readonly style?: Expression;
      }
    | { readonly kind: 'subquery'; readonly query: Query }
    | { readonly kind: 'collate'; readonly operand: Expression; readonly collation: string }
    | { readonly kind: 'default' }
  );

export interface Window {
  readonly partition: readonly Expression[];
  readonly order: readonly OrderItem[];
}

export interface OrderItem {
  readonly expression: Expression;
  readonly descending: boolean;
}

/** schema and name of an object; `database` only if the statement gave one. */
export interface ObjectName extends Node {
  readonly database?: string;
  readonly schema?: string;
  readonly name: string;
}

export type TableHint =
  | 'NOLOCK'
  | 'READUNCOMMITTED'
  | 'READPAST'
  | 'UPDLOCK'
  | 'XLOCK'
  | 'HOLDLOCK'
  | 'SERIALIZABLE'
  | 'REPEATABLEREAD'
  | 'ROWLOCK'
  | 'PAGLOCK'
  | 'TABLOCK'
  | 'TABLOCKX'
  | 'READCOMMITTED'
  | 'READCOMMITTEDLOCK'
  | 'NOWAIT'
  | 'FORCESEEK'
  | 'FORCESCAN'
  | 'INDEX'
  | 'SNAPSHOT';

export interface OpenJsonColumn {
  readonly name: string;
  readonly type: SqlType;
  readonly path?: string;
  readonly asJson: boolean;
}

export type TableSource = Node &
  (
    | {
        readonly kind: 'table';
        readonly name: ObjectName;
        readonly alias?: string;
        readonly hints: readonly TableHint[];
      }
    | { readonly kind: 'tableVariable'; readonly name: string; readonly alias?: string }
    | { readonly kind: 'derived'; readonly query: Query; readonly alias: string; readonly columns?: readonly string[] }
    | {
        readonly kind: 'values';
        readonly rows: readonly (readonly Expression[])[];
        readonly alias: string;
        readonly columns: readonly string[];
      }
    | {
        readonly kind: 'openJson';
        readonly json: Expression;
        readonly path?: Expression;
        readonly columns?: readonly OpenJsonColumn[];
        readonly alias?: string;
      }
    | { readonly kind: 'changes'; readonly table: ObjectName; readonly since: Expression; readonly alias: string }
    | {
        readonly kind: 'function';
        readonly name: string;
        readonly args: readonly Expression[];
        readonly alias?: string;
      }
    | {
        readonly kind: 'join';
        readonly type: JoinType;
        readonly left: TableSource;
        readonly right: TableSource;
        readonly on?: Expression;
      }
  );

export type JoinType = 'inner' | 'left' | 'right' | 'full' | 'cross' | 'crossApply' | 'outerApply';

export type SelectItem = Node & {
  readonly expression: Expression;
  readonly alias?: string;
  /** `SELECT @v = expression` */
  readonly variable?: string;
};

export interface Top {
  readonly count: Expression;
  readonly percent: boolean;
  readonly ties: boolean;
}

export interface SelectCore extends Node {
  readonly kind: 'select';
  readonly distinct: boolean;
  readonly top?: Top;
  readonly items: readonly SelectItem[];
  readonly into?: ObjectName;
  readonly from?: TableSource;
  readonly where?: Expression;
  readonly groupBy: readonly Expression[];
  readonly having?: Expression;
}

export interface SetQuery extends Node {
  readonly kind: 'set';
  readonly operator: 'unionAll' | 'union' | 'except' | 'intersect';
  readonly left: QueryBody;
  readonly right: QueryBody;
}

export type QueryBody = SelectCore | SetQuery;

export interface CommonTable extends Node {
  readonly name: string;
  readonly columns?: readonly string[];
  readonly query: Query;
}

export interface Query extends Node {
  readonly with: readonly CommonTable[];
  readonly body: QueryBody;
  readonly orderBy: readonly OrderItem[];
  readonly offset?: Expression;
  readonly fetch?: Expression;
}

export interface OutputClause extends Node {
  readonly items: readonly SelectItem[];
  readonly into?: { readonly target: DmlTarget; readonly columns?: readonly string[] };
}

export type DmlTarget = Node &
  (
    | { readonly kind: 'object'; readonly name: ObjectName; readonly hints: readonly TableHint[] }
    | { readonly kind: 'variable'; readonly name: string }
  );

export interface Assignment extends Node {
  /** Column that is set; absent when only a variable is (`SET @v = …`). */
  readonly column?: readonly string[];
  readonly variable?: string;
  readonly operator: '=' | ArithmeticOperator;
  readonly value: Expression;
}

export interface MergeWhen extends Node {
  readonly match: 'matched' | 'notMatched' | 'notMatchedBySource';
  readonly condition?: Expression;
  readonly action:
    | { readonly kind: 'update'; readonly set: readonly Assignment[] }
    | { readonly kind: 'delete' }
    | { readonly kind: 'insert'; readonly columns: readonly string[]; readonly values?: readonly Expression[] };
}

export interface ColumnDefinition extends Node {
  readonly name: string;
  readonly type: SqlType;
  readonly nullable?: boolean;
  readonly identity?: { readonly seed: string; readonly increment: string };
  readonly default?: { readonly name?: string; readonly expression: Expression; readonly text: string };
}

export type TableConstraint = Node &
  (
    | {
        readonly kind: 'key';
        readonly name?: string;
        readonly primary: boolean;
        readonly columns: readonly IndexColumn[];
        readonly clustered?: boolean;
      }
    | {
        readonly kind: 'check';
        readonly name?: string;
        readonly expression: Expression;
        readonly text: string;
        readonly column?: string;
      }
    | {
        readonly kind: 'foreign';
        readonly name?: string;
        readonly columns: readonly string[];
        readonly target: ObjectName;
        readonly targetColumns: readonly string[];
      }
    | {
        readonly kind: 'default';
        readonly name?: string;
        readonly column: string;
        readonly expression: Expression;
        readonly text: string;
      }
    | { readonly kind: 'index'; readonly index: IndexDefinition }
  );

export interface IndexColumn {
  readonly name: string;
  readonly descending: boolean;
}

export interface IndexDefinition extends Node {
  readonly name: string;
  readonly unique: boolean;
  readonly columns: readonly IndexColumn[];
  readonly include: readonly string[];
  readonly where?: { readonly expression: Expression; readonly text: string };
}

export interface ProcedureArgument {
  readonly name?: string;
  readonly value: Expression;
  readonly output: boolean;
}

export type Statement = Node &
  (
    | { readonly kind: 'query'; readonly query: Query; readonly forJson?: ForJson }
    | {
        readonly kind: 'insert';
        readonly with: readonly CommonTable[];
        readonly top?: Top;
        readonly target: DmlTarget;
        readonly columns?: readonly string[];
        readonly output?: OutputClause;
        readonly source: InsertSource;
      }
    | {
        readonly kind: 'update';
        readonly with: readonly CommonTable[];
        readonly top?: Top;
        readonly target: DmlTarget;
        readonly set: readonly Assignment[];
        readonly output?: OutputClause;
        readonly from?: TableSource;
        readonly where?: Expression;
      }
    | {
        readonly kind: 'delete';
        readonly with: readonly CommonTable[];
        readonly top?: Top;
        readonly target: DmlTarget;
        readonly output?: OutputClause;
        readonly from?: TableSource;
        readonly where?: Expression;
      }
    | {
        readonly kind: 'merge';
        readonly with: readonly CommonTable[];
        readonly target: DmlTarget;
        readonly alias?: string;
        readonly source: TableSource;
        readonly on: Expression;
        readonly whens: readonly MergeWhen[];
        readonly output?: OutputClause;
      }
    | {
        readonly kind: 'declare';
        readonly variables: readonly { readonly name: string; readonly type: SqlType; readonly value?: Expression }[];
      }
    | {
        readonly kind: 'declareTable';
        readonly name: string;
        readonly columns: readonly ColumnDefinition[];
        readonly constraints: readonly TableConstraint[];
      }
    | {
        readonly kind: 'setVariable';
        readonly name: string;
        readonly operator: '=' | ArithmeticOperator;
        readonly value: Expression;
      }
    | { readonly kind: 'setOption'; readonly option: string; readonly value: string; readonly target?: ObjectName }
    | { readonly kind: 'if'; readonly condition: Expression; readonly then: Statement; readonly otherwise?: Statement }
    | { readonly kind: 'while'; readonly condition: Expression; readonly body: Statement }
    | { readonly kind: 'block'; readonly statements: readonly Statement[] }
    | { readonly kind: 'try'; readonly body: readonly Statement[]; readonly handler: readonly Statement[] }
    | { readonly kind: 'break' | 'continue' }
    | { readonly kind: 'return'; readonly value?: Expression }
    | { readonly kind: 'print'; readonly value: Expression }
    | {
        readonly kind: 'throw';
        readonly number?: Expression;
        readonly message?: Expression;
        readonly state?: Expression;
      }
    | {
        readonly kind: 'raiserror';
        readonly message: Expression;
        readonly severity: Expression;
        readonly state: Expression;
        readonly args: readonly Expression[];
      }
    | { readonly kind: 'waitfor'; readonly delay: Expression }
    | { readonly kind: 'begin' | 'commit' | 'rollback' | 'save'; readonly name?: string }
    | {
        readonly kind: 'execute';
        readonly procedure: string;
        readonly args: readonly ProcedureArgument[];
        readonly result?: string;
      }
    | { readonly kind: 'executeText'; readonly text: Expression }
    | { readonly kind: 'use'; readonly database: string }
    | { readonly kind: 'createSchema'; readonly name: string }
    | {
        readonly kind: 'createTable';
        readonly name: ObjectName;
        readonly columns: readonly ColumnDefinition[];
        readonly constraints: readonly TableConstraint[];
      }
    | { readonly kind: 'createIndex'; readonly table: ObjectName; readonly index: IndexDefinition }
    | {
        readonly kind: 'alterTable';
        readonly table: ObjectName;
        readonly columns: readonly ColumnDefinition[];
        readonly constraints: readonly TableConstraint[];
        readonly dropColumns: readonly string[];
        readonly dropConstraints: readonly string[];
        readonly ifExists: boolean;
      }
    | {
        readonly kind: 'alterDatabase';
        readonly database: string | undefined;
        readonly option: 'ALLOW_SNAPSHOT_ISOLATION' | 'READ_COMMITTED_SNAPSHOT';
        readonly on: boolean;
      }
    | {
        readonly kind: 'trackDatabase';
        readonly database: string | undefined;
        readonly on: boolean;
        readonly retention: number | undefined;
        readonly unit: 'DAYS' | 'HOURS' | 'MINUTES' | undefined;
        readonly autoCleanup: boolean | undefined;
      }
    | {
        readonly kind: 'insertBulk';
        readonly table: ObjectName;
        readonly columns: readonly string[];
        readonly keepNulls: boolean;
      }
    | { readonly kind: 'trackTable'; readonly table: ObjectName; readonly on: boolean }
    | { readonly kind: 'dropTable'; readonly names: readonly ObjectName[]; readonly ifExists: boolean }
    | { readonly kind: 'dropIndex'; readonly index: string; readonly table: ObjectName; readonly ifExists: boolean }
    | { readonly kind: 'dropSchema'; readonly name: string; readonly ifExists: boolean }
    | { readonly kind: 'truncate'; readonly table: ObjectName }
  );

export interface ForJson {
  readonly withoutArrayWrapper: boolean;
  readonly includeNulls: boolean;
  readonly root?: string;
}

export type InsertSource =
  | { readonly kind: 'values'; readonly rows: readonly (readonly Expression[])[] }
  | { readonly kind: 'query'; readonly query: Query }
  | { readonly kind: 'defaults' };

export type StatementOf<K extends Statement['kind']> = Extract<Statement, { readonly kind: K }>;
export type ExpressionOf<K extends Expression['kind']> = Extract<Expression, { readonly kind: K }>;

/** A text that is the same for expressions that mean the same: for GROUP BY matching and filtered indexes. */
export function expressionKey(expression: Expression): string {
  return JSON.stringify(expression, (name, value: unknown) => {
    if (name === 'line') return undefined;
    if (typeof value === 'bigint') return `${value}n`;
    if (name === 'parts' && Array.isArray(value)) return (value as string[]).at(-1)?.toLowerCase();
    return name === 'name' && typeof value === 'string' ? value.toLowerCase() : value;
  });
}
