import { RestError } from '@azure/data-tables';

/** What the Table service answered, in our words. `retryable` = the same call may succeed later. Thrown by every method here. */
export class TableError extends Error {
  override readonly name = 'TableError';
  readonly table: string;
  /** The service's code, such as `TableNotFound`; the client's own for a connection that failed. */
  readonly code: string;
  /** HTTP status, 0 when there was no answer. */
  readonly status: number;
  readonly retryable: boolean;
  readonly requestId: string | undefined;

  constructor(table: string, code: string, status: number, message: string, requestId?: string, cause?: unknown) {
    super(`Table ${table}: ${code} (${status === 0 ? 'no answer' : status}): ${message}`, { cause });
    this.table = table;
    this.code = code;
    this.status = status;
    this.retryable = status === 0 || status === 408 || status === 429 || status >= 500 || code === 'TableBeingDeleted';
    this.requestId = requestId;
  }
}

interface ServiceErrorDetails {
  readonly odataError?: { readonly code?: string; readonly message?: { readonly value?: string } };
}

/** Translates what the SDK throws; anything that is no RestError (an abort, a bug) goes on as it is. */
export function translateError(error: unknown, table: string): unknown {
  if (!(error instanceof RestError)) return error;
  const details = (error.details as ServiceErrorDetails | undefined)?.odataError;
  const code = details?.code ?? error.code ?? 'Unknown';
  const text = details?.message?.value ?? error.message;
  const requestId = error.response?.headers.get('x-ms-request-id');
  return new TableError(table, code, error.statusCode ?? 0, text.split('\n')[0] ?? text, requestId, error);
}
