/** Thrown for a job request that no later try can make right. `code` is the problem's name in the API's answer. */
export class RequestRefusedError extends Error {
  override readonly name = 'RequestRefusedError';
  readonly code: string;
  readonly subject: string;

  constructor(code: string, subject: string, message: string) {
    super(message);
    this.code = code;
    this.subject = subject;
  }
}

/** Thrown when a bundle is not what it must be; the text names the file and both sides. */
export class BundleError extends Error {
  override readonly name = 'BundleError';
  readonly blob: string;

  constructor(blob: string, problem: string) {
    super(`${blob}: ${problem}`);
    this.blob = blob;
  }
}

/** Thrown when a blob that derives its name from its content holds other content: somebody must look. */
export class ContentConflictError extends Error {
  override readonly name = 'ContentConflictError';
  readonly blob: string;

  constructor(blob: string) {
    super(`${blob} exists with other content`);
    this.blob = blob;
  }
}

/** Thrown when a merge's numbers do not add up or do not belong to the run; nothing is published. */
export class ResultRefusedError extends Error {
  override readonly name = 'ResultRefusedError';
  readonly problems: readonly string[];

  constructor(problems: readonly string[]) {
    super(problems.join('; '));
    this.problems = problems;
  }
}
