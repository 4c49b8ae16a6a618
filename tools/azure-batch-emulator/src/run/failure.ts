import type { FailureInfo } from '../store/rows.ts';

/** A task's failure on its way to `failureInfo`: before the process ran (preProcessing) or while files were uploaded. */
export class TaskFailureError extends Error {
  override readonly name = 'TaskFailureError';
  readonly info: FailureInfo;

  constructor(
    category: FailureInfo['category'],
    code: string,
    message: string,
    details: Readonly<Record<string, string>> = {},
  ) {
    super(message);
    const named = Object.entries(details).map(([name, value]) => ({ name, value }));
    this.info = { category, code, message, ...(named.length === 0 ? {} : { details: named }) };
  }
}
