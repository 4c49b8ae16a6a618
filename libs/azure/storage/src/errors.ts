import { RestError } from '@azure/storage-blob';
import { parseRetryAfterMs } from '@xva/runtime';

/** Refusals that pass by themselves: a name still being deleted, bytes garbled on the way, blocks dropped by another writer. */
const passingCodes = new Set(['ContainerBeingDeleted', 'Md5Mismatch', 'Crc64Mismatch', 'InvalidBlockList']);

/** What Storage answered, in our words. `retryable` = the same call may succeed later. Thrown by every method here. */
export class StorageError extends Error {
  override readonly name = 'StorageError';
  /** Storage's error code, such as `ContainerNotFound`; the client's own code for a connection that failed. */
  readonly code: string;
  /** HTTP status, 0 when there was no answer. */
  readonly status: number;
  readonly retryable: boolean;
  readonly requestId: string | undefined;
  /** Milliseconds that Storage asked to wait (Retry-After). */
  readonly retryAfterMs: number | undefined;
  /** Container, or container and blob. */
  readonly target: string;

  constructor(
    target: string,
    code: string,
    status: number,
    message: string,
    requestId?: string,
    cause?: unknown,
    retryAfterMs?: number,
  ) {
    super(`Storage ${target}: ${code} (${status === 0 ? 'no answer' : status}): ${message}`, { cause });
    this.target = target;
    this.code = code;
    this.status = status;
    this.retryable = status === 0 || status === 408 || status === 429 || status >= 500 || passingCodes.has(code);
    this.requestId = requestId;
    this.retryAfterMs = retryAfterMs;
  }
}

/** Translates what the SDK throws; anything that is no RestError (an abort, a bug) goes on as it is. */
export function translateError(error: unknown, target: string, now = new Date()): unknown {
  if (!(error instanceof RestError)) return error;
  const details = error.details as { errorCode?: string; code?: string } | undefined;
  const code = details?.errorCode ?? details?.code ?? error.code ?? 'Unknown';
  const first = error.message.split('\n')[0] ?? error.message;
  const requestId = error.response?.headers.get('x-ms-request-id');
  const retryAfterMs = parseRetryAfterMs(error.response?.headers.get('retry-after'), now);
  return new StorageError(target, code, error.statusCode ?? 0, first, requestId, error, retryAfterMs);
}
