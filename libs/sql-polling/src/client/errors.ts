/**
 * What an error means for the caller: `deadlock`, `lock-timeout`, `throttled`, `failover` and `connection` pass by
 * themselves; `timeout` may; `login`, `rights`, `shape` and `statement` stay until a person changes something.
 */
export type SqlErrorKind =
  | 'deadlock'
  | 'lock-timeout'
  | 'throttled'
  | 'failover'
  | 'connection'
  | 'timeout'
  | 'login'
  | 'rights'
  | 'shape'
  | 'statement';

interface KnownError {
  readonly kind: SqlErrorKind;
  readonly retryable: boolean;
}

/**
 * Error numbers that decide what is tried next. Source: SQL Server's "Database engine events and errors" and Azure SQL's
 * list of transient faults. 4060 and 18456 come in the middle of a failover too, but far more often from a wrong name or
 * password, and hammering a login locks it: they are not retried quickly.
 */
const knownErrors: ReadonlyMap<number, KnownError> = new Map<number, KnownError>([
  [1205, { kind: 'deadlock', retryable: true }],
  [3960, { kind: 'deadlock', retryable: true }],
  // Snapshots are not allowed (any more): the source asks the database again and reads in the other way.
  [3952, { kind: 'statement', retryable: true }],
  [1222, { kind: 'lock-timeout', retryable: true }],
  [10928, { kind: 'throttled', retryable: true }],
  [10929, { kind: 'throttled', retryable: true }],
  [40501, { kind: 'throttled', retryable: true }],
  [49918, { kind: 'throttled', retryable: true }],
  [49919, { kind: 'throttled', retryable: true }],
  [49920, { kind: 'throttled', retryable: true }],
  [40197, { kind: 'failover', retryable: true }],
  [40540, { kind: 'failover', retryable: true }],
  [40613, { kind: 'failover', retryable: true }],
  [4221, { kind: 'failover', retryable: true }],
  [983, { kind: 'failover', retryable: true }],
  [976, { kind: 'failover', retryable: true }],
  [6005, { kind: 'failover', retryable: true }],
  [596, { kind: 'connection', retryable: true }],
  [4060, { kind: 'login', retryable: false }],
  [18452, { kind: 'login', retryable: false }],
  [18456, { kind: 'login', retryable: false }],
  [229, { kind: 'rights', retryable: false }],
  [230, { kind: 'rights', retryable: false }],
  [916, { kind: 'rights', retryable: false }],
  [207, { kind: 'shape', retryable: false }],
  [208, { kind: 'shape', retryable: false }],
]);

/** Codes of the client where the server said nothing. */
const knownCodes: Readonly<Record<string, KnownError>> = {
  ESOCKET: { kind: 'connection', retryable: true },
  ECLOSE: { kind: 'connection', retryable: true },
  ECONNRESET: { kind: 'connection', retryable: true },
  EINVALIDSTATE: { kind: 'connection', retryable: true },
  ETIMEOUT: { kind: 'timeout', retryable: true },
  ECANCEL: { kind: 'timeout', retryable: true },
  EDEADLINE: { kind: 'timeout', retryable: true },
  EPOOLCLOSED: { kind: 'connection', retryable: false },
  ELOGIN: { kind: 'login', retryable: false },
  EENCRYPT: { kind: 'login', retryable: false },
  ESHAPE: { kind: 'shape', retryable: false },
  ETOOMANYROWS: { kind: 'shape', retryable: false },
};

/** Thrown by every call to SQL Server: what it said, or how the connection failed. */
export class SqlError extends Error {
  override readonly name = 'SqlError';
  /** SQL Server's error number; null when the server said nothing. */
  readonly number: number | null;
  /** Severity, 11 to 25; null when the server said nothing. */
  readonly class: number | null;
  /** The client's code, such as `ESOCKET`, `ETIMEOUT`, `EREQUEST`. */
  readonly code: string;
  readonly kind: SqlErrorKind;
  readonly retryable: boolean;
  /** Name of the statement, or `connect`. */
  readonly statement: string;

  constructor(
    statement: string,
    facts: { code: string; number?: number | undefined; class?: number | undefined; message: string },
    cause?: unknown,
  ) {
    const number = facts.number === undefined ? '' : ` ${facts.number}`;
    super(`SQL ${statement}: ${facts.code}${number}: ${facts.message}`, { cause });
    this.number = facts.number ?? null;
    this.class = facts.class ?? null;
    this.code = facts.code;
    this.statement = statement;
    // Severity 20 and above ends the connection, whatever the number.
    const fatal: KnownError | undefined =
      facts.class !== undefined && facts.class >= 20 ? { kind: 'connection', retryable: true } : undefined;
    const known = (facts.number === undefined ? undefined : knownErrors.get(facts.number)) ?? fatal;
    const { kind, retryable } = known ?? knownCodes[facts.code] ?? { kind: 'statement', retryable: false };
    this.kind = kind;
    this.retryable = retryable;
  }
}

interface TediousLike {
  readonly message?: unknown;
  readonly code?: unknown;
  readonly number?: unknown;
  readonly class?: unknown;
  readonly errors?: unknown;
}

/**
 * Translates what tedious throws. Of several errors of one batch (an AggregateError) the one that the table knows
 * decides, else the first: the last is often only "the statement has been terminated".
 */
export function translateSqlError(statement: string, error: unknown, loginNumber?: number): SqlError {
  if (error instanceof SqlError) return error;
  if (typeof error !== 'object' || error === null) {
    return new SqlError(statement, { code: 'EUNKNOWN', message: String(error) }, error);
  }
  const { message, code, number, class: severity, errors } = error as TediousLike;
  if (Array.isArray(errors) && errors.length > 0) {
    const all = errors as readonly TediousLike[];
    const known = all.find((one) => typeof one.number === 'number' && knownErrors.has(one.number));
    return translateSqlError(statement, known ?? all[0]);
  }
  return new SqlError(
    statement,
    {
      code: typeof code === 'string' ? code : 'EUNKNOWN',
      number: typeof number === 'number' ? number : loginNumber,
      class: typeof severity === 'number' ? severity : undefined,
      message: typeof message === 'string' ? message : 'no message',
    },
    error,
  );
}
