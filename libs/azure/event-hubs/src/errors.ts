/**
 * What an error means for the caller: `transient` passes by itself, `operator` needs someone to change rights or
 * settings, `rejected` will be refused again however often it is sent, `stolen` = another reader took the partition.
 */
export type HubErrorClass = 'transient' | 'operator' | 'rejected' | 'stolen' | 'unknown';

/** What Event Hubs or the way to it answered, in our words. Thrown by every method of this room. */
export class HubError extends Error {
  override readonly name = 'HubError';
  /** The client's code, such as `ServerBusyError`, or the system's, such as `ECONNREFUSED`. */
  readonly code: string;
  readonly kind: HubErrorClass;
  /** The same call may succeed later without anybody's help. */
  readonly retryable: boolean;

  constructor(code: string, kind: HubErrorClass, message: string, cause?: unknown) {
    super(`Event Hubs: ${code}: ${message}`, { cause });
    this.code = code;
    this.kind = kind;
    this.retryable = kind === 'transient' || (kind === 'unknown' && retryableFlag(cause));
  }
}

function retryableFlag(error: unknown): boolean {
  return typeof error === 'object' && error !== null && (error as { retryable?: unknown }).retryable === true;
}

/** The client's codes (its own table of AMQP conditions). The client calls a wrong key retryable; we do not. */
const kinds: Readonly<Record<string, HubErrorClass>> = {
  ServerBusyError: 'transient',
  ServiceUnavailableError: 'transient',
  ServiceCommunicationError: 'transient',
  InternalServerError: 'transient',
  DetachForcedError: 'transient',
  ConnectionForcedError: 'transient',
  OperationTimeoutError: 'transient',
  InsufficientCreditError: 'transient',
  QuotaExceededError: 'transient',
  SenderBusyError: 'transient',
  UnauthorizedError: 'operator',
  MessagingEntityNotFoundError: 'operator',
  MessagingEntityDisabledError: 'operator',
  NotImplementedError: 'operator',
  InvalidOperationError: 'operator',
  CredentialUnavailableError: 'operator',
  AuthenticationRequiredError: 'operator',
  MessageTooLargeError: 'rejected',
  ArgumentError: 'rejected',
  ArgumentOutOfRangeError: 'rejected',
  PreconditionFailedError: 'rejected',
  ReceiverDisconnectedError: 'stolen',
};

const refusals = new Set([400, 401, 403, 404, 405]);
const systemCodes = new Set([
  'ECONNREFUSED',
  'ECONNRESET',
  'ETIMEDOUT',
  'ENOTFOUND',
  'EAI_AGAIN',
  'EPIPE',
  'EHOSTUNREACH',
]);

/**
 * Translates what the SDK throws. More than one failed try surfaces as an AggregateError without a code: its last
 * error counts. Aborts go on as they are.
 */
export function translateHubError(error: unknown): unknown {
  if (error instanceof HubError) return error;
  if (error instanceof AggregateError) {
    const last: unknown = error.errors.at(-1);
    return last === undefined ? new HubError('Unknown', 'unknown', error.message, error) : translateHubError(last);
  }
  if (!(error instanceof Error)) return new HubError('Unknown', 'unknown', String(error), error);
  if (error.name === 'AbortError') return error;
  const given = (error as { code?: unknown }).code;
  const code = typeof given === 'string' && given !== '' ? given : error.name;
  const first = error.message.split('\n')[0] ?? '';
  return new HubError(code, kindOf(code, error), first, error);
}

function kindOf(code: string, error: Error): HubErrorClass {
  const known = kinds[code] ?? kinds[error.name];
  if (known !== undefined) return known;
  if (systemCodes.has(code)) return 'transient';
  // The checkpoint store speaks HTTP: what Storage refuses needs a person, the rest passes.
  const status = (error as { statusCode?: unknown }).statusCode;
  if (typeof status === 'number') return refusals.has(status) ? 'operator' : 'transient';
  return 'unknown';
}
