/**
 * What an error means for the caller: `transient` passes by itself, `operator` needs someone to change rights or
 * settings, `rejected` will be refused again however often it is sent, `stolen` = another reader took the partition.
 */
export type HubErrorClass = 'transient' | 'operator' | 'rejected' | 'stolen' | 'unknown';

/** What Event Hubs or the way to it answered, in our words. Thrown by every method of this room. */
export class HubError extends Error {
  override readonly name: string = 'HubError';
  /** The client's code, such as `ServerBusyError`, or the system's, such as `ECONNREFUSED`. */
  readonly code: string;
  readonly kind: HubErrorClass;
  /** The same call may succeed later without anybody's help. */
  readonly retryable: boolean;
  /** How long the hub asks to be left alone, when it does. */
  readonly retryAfterMs: number | undefined;

  constructor(code: string, kind: HubErrorClass, message: string, cause?: unknown, retryAfterMs?: number) {
    super(`Event Hubs: ${code}: ${message}`, { cause });
    this.code = code;
    this.retryAfterMs = retryAfterMs;
    this.kind = kind;
    this.retryable = kind === 'transient' || (kind === 'unknown' && retryableFlag(cause));
  }
}

/**
 * Thrown when the namespace's throughput is used up (`com.microsoft:server-busy`, error code 50002): slow down for
 * `retryAfterMs` if it is given, rather than count it as a failure.
 */
export class HubBusyError extends HubError {
  override readonly name = 'HubBusyError';

  constructor(message: string, cause?: unknown) {
    super('ServerBusyError', 'transient', message, cause, waitOf(message));
  }
}

/** The service names the wait in its text only: "Please wait 4 seconds and try again", "Try again in 250 ms". */
function waitOf(message: string): number | undefined {
  const [, amount, unit] = /\b(?:wait|in)\s+(\d{1,6})\s*(ms|milliseconds?|s|seconds?)\b/i.exec(message) ?? [];
  if (amount === undefined) return undefined;
  return Number(amount) * (unit?.toLowerCase().startsWith('m') === true ? 1 : 1000);
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
  // Another producer of the group took the partition over, or this one lost count: a person's settings are at fault.
  ProducerDisconnectedError: 'operator',
  SequenceOutOfOrderError: 'operator',
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
  if (code === 'ServerBusyError') return new HubBusyError(first, error);
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
