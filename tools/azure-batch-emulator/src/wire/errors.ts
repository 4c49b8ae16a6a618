import { isoTime } from '../time.ts';

/** HTTP status and English text per error code (Batch REST reference, "Batch Status and Error Codes"). */
const catalogue = {
  InvalidRequestBody: [400, 'The specified Request Body is not syntactically valid.'],
  InvalidPropertyValue: [400, 'The value provided for one of the properties in the request body is invalid.'],
  MissingRequiredProperty: [400, 'A required property was not specified in the request body.'],
  UnsupportedProperty: [400, 'One of the properties in the request body is not supported.'],
  InvalidQueryParameterValue: [400, 'Value for one of the query parameters specified in the request URI is invalid.'],
  OutOfRangeQueryParameterValue: [400, 'A query parameter in the request URI is outside the permissible range.'],
  MissingRequiredQueryParameter: [400, 'A required query parameter was not specified for this request.'],
  UnsupportedQueryParameter: [400, 'One of the query parameters in the request URI is not supported.'],
  InvalidHeaderValue: [400, 'The value provided for one of the HTTP headers was not in the correct format.'],
  InvalidUri: [400, 'The requested URI does not represent any resource on the server.'],
  InvalidInput: [400, 'One of the request inputs is not valid.'],
  OutOfRangePriority: [400, 'The priority specified is outside the permissible range.'],
  InvalidAutoScalingSettings: [400, 'The specified autoscaling settings are not valid.'],
  AutoScalingFormulaSyntaxError: [400, 'The specified autoscale formula has a syntax error.'],
  TaskIdSameAsJobPreparationTask: [409, 'The specified task id is the id of the job preparation task.'],
  TaskIdSameAsJobReleaseTask: [409, 'The specified task id is the id of the job release task.'],
  InvalidAuthenticationInfo: [400, 'The authentication information was not provided in the correct format.'],
  MultipleConditionHeadersNotSupported: [400, 'Multiple condition headers are not supported.'],
  TaskDependenciesNotSpecifiedOnJob: [400, 'The job does not allow task dependencies (usesTaskDependencies is false).'],
  TaskDependencyListTooLong: [400, 'The combined length of the task ids that the task depends on exceeds 64000.'],
  TaskDependencyRangesTooLong: [400, 'The task id ranges that the task depends on are too long.'],
  AuthenticationFailed: [
    403,
    'Server failed to authenticate the request. Make sure the value of Authorization header is formed correctly including the signature.',
  ],
  JobNotFound: [404, 'The specified job does not exist.'],
  TaskNotFound: [404, 'The specified task does not exist.'],
  PoolNotFound: [404, 'The specified pool does not exist.'],
  NodeNotFound: [404, 'The specified node does not exist.'],
  JobScheduleNotFound: [404, 'The specified job schedule does not exist.'],
  NodeUserNotFound: [404, 'The specified node user does not exist.'],
  FileNotFound: [404, 'The specified file does not exist.'],
  UnsupportedHttpVerb: [405, 'The resource does not support the specified HTTP verb.'],
  JobExists: [409, 'The specified job already exists.'],
  TaskExists: [409, 'The specified task already exists.'],
  PoolExists: [409, 'The specified pool already exists.'],
  JobScheduleExists: [409, 'The specified job schedule already exists.'],
  JobWithSameIdExists: [409, 'A job with the specified id exists: jobs and job schedules share their ids.'],
  JobScheduleWithSameIdExists: [
    409,
    'A job schedule with the specified id exists: jobs and job schedules share their ids.',
  ],
  JobScheduleCompleted: [409, 'The specified job schedule is already in a completed state.'],
  JobScheduleBeingTerminated: [409, 'The specified job schedule is being terminated.'],
  JobScheduleBeingDeleted: [409, 'The specified job schedule is being deleted.'],
  JobPreparationTaskOrReleaseTaskNotSpecified: [
    409,
    'The specified job has no job preparation task and no job release task.',
  ],
  AutoScaleNotEnabledOnPool: [409, 'Autoscale is not enabled on the specified pool.'],
  PoolAutoScaleEnabled: [409, 'The operation is not allowed on a pool with autoscale enabled.'],
  NodeUserExists: [409, 'The specified node user already exists.'],
  JobBeingTerminated: [409, 'The specified job is being terminated.'],
  JobBeingDeleted: [409, 'The specified job has been marked for deletion and is being garbage collected.'],
  JobCompleted: [409, 'The specified job is already in a completed state.'],
  JobNotActive: [409, 'The specified job is not active.'],
  TaskCompleted: [409, 'The specified task is already in a completed state.'],
  TaskNotCompleted: [409, 'The specified task has not completed.'],
  TaskSucceeded: [409, 'The specified task succeeded and cannot be reactivated.'],
  TaskFilesUnavailable: [409, 'The files of the specified task are unavailable because it never ran on a node.'],
  TaskFilesCleanedup: [409, 'The files of the specified task have been cleaned up.'],
  PoolBeingDeleted: [409, 'The specified pool is being deleted.'],
  PoolBeingResized: [409, 'The specified pool is being resized.'],
  OperationInvalidForCurrentState: [409, 'The request cannot be performed in the current state of the resource.'],
  NodeNotReady: [409, 'The specified node is not ready.'],
  NodeAlreadyInTargetSchedulingState: [409, 'The specified node is already in the target scheduling state.'],
  ActiveJobAndScheduleQuotaReached: [409, 'Active job and job schedule quota for the account has been reached.'],
  PoolQuotaReached: [409, 'The pool quota for the account has been reached.'],
  ConditionNotMet: [412, 'The condition specified using HTTP conditional header(s) is not met.'],
  RequestBodyTooLarge: [413, 'The request body is too large and exceeds the maximum permissible limit.'],
  InvalidRange: [416, 'The range specified is invalid for the current size of the resource.'],
  TooManyRequests: [429, 'Request failed as server encountered too many requests. Please try again.'],
  InternalError: [500, 'Server encountered an internal error. Please try again after some time.'],
  OperationTimedOut: [500, 'Operation could not be completed within the permitted time.'],
  NotImplementedByEmulator: [501, 'The emulator does not implement this.'],
  TooManyEnableAutoScaleRequests: [
    503,
    'Autoscale of the specified pool was enabled less than 30 seconds ago. Please try again.',
  ],
  ServerBusy: [503, 'The server is busy. Please try again.'],
} as const satisfies Record<string, readonly [number, string]>;

export type ErrorCode = keyof typeof catalogue;

/** A refusal that the client sees as Batch's own error. Thrown anywhere below the request pipeline. */
export class BatchError extends Error {
  override readonly name = 'BatchError';
  readonly status: number;
  readonly code: string;
  readonly values: Readonly<Record<string, string>>;
  readonly headers: Readonly<Record<string, string>>;

  constructor(
    status: number,
    code: string,
    text: string,
    values: Readonly<Record<string, string>> = {},
    headers: Readonly<Record<string, string>> = {},
  ) {
    super(text);
    this.status = status;
    this.code = code;
    this.values = values;
    this.headers = headers;
  }
}

/** The error of a code of the catalogue, with its `values` (details that tools print). */
export function refusal(
  code: ErrorCode,
  values: Readonly<Record<string, string>> = {},
  headers: Readonly<Record<string, string>> = {},
): BatchError {
  const [status, text] = catalogue[code];
  return new BatchError(status, code, text, values, headers);
}

/** What the emulator lacks is refused by name and never guessed. */
export function notImplemented(what: string): BatchError {
  return new BatchError(501, 'NotImplementedByEmulator', `The emulator does not implement ${what}.`, { Feature: what });
}

/** Status and text for a code that a fault rule asks for; unknown codes keep the given status. */
export function faultError(status: number | undefined, code: string, headers: Record<string, string>): BatchError {
  const known = Object.hasOwn(catalogue, code) ? catalogue[code as ErrorCode] : undefined;
  return new BatchError(status ?? known?.[0] ?? 500, code, known?.[1] ?? 'Injected fault.', {}, headers);
}

/** The error object of a task in a collection's answer. */
export function itemError(error: BatchError, requestId: string, now: number): Record<string, unknown> {
  const value = `${error.message}\nRequestId:${requestId}\nTime:${isoTime(now)}`;
  const values = Object.entries(error.values).map(([key, text]) => ({ key, value: text }));
  return {
    code: error.code,
    message: { lang: 'en-US', value },
    ...(values.length === 0 ? {} : { values }),
  };
}

/** The body of an error answer. */
export function errorBody(error: BatchError, base: string, requestId: string, now: number): Record<string, unknown> {
  return {
    'odata.metadata': `${base}/$metadata#Microsoft.Azure.Batch.Protocol.Entities.Container.errors/@Element`,
    ...itemError(error, requestId, now),
  };
}
