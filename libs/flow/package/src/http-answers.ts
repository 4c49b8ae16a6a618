import type { Defect } from './failures.ts';
import { StepFailure } from './failures.ts';

/** The parts of an HTTP answer that decide. */
export interface HttpAnswer {
  readonly status: number;
  readonly retryAfterMs: number | undefined;
  /** From problem details, when the body was such. */
  readonly code: string | undefined;
  readonly detail: string | undefined;
  readonly defects: readonly Defect[];
}

type Call = 'createPackage' | 'openPart' | 'submitJob';

const names: Readonly<Record<Call, { readonly service: string; readonly reason: string }>> = {
  createPackage: { service: 'input API', reason: 'input-api' },
  openPart: { service: 'input API', reason: 'input-api' },
  submitJob: { service: 'job API', reason: 'job-api' },
};

/**
 * What an answer that is no success means. The controller's 429 and 503 are back-pressure; of the input API's 503 only
 * the one that says `busy` is, since one that dies over a request would otherwise be asked for ever.
 */
export function judgeAnswer(call: Call, answer: HttpAnswer): StepFailure {
  const { service, reason } = names[call];
  const { status, retryAfterMs, defects } = answer;
  const said = [answer.code, answer.detail].filter((text) => text !== undefined).join(': ');
  const message = `${service} answered ${status}${said === '' ? '' : ` (${said})`}`;
  const more = { defects, retryAfterMs };
  const busy = status === 429 || (status === 503 && (call === 'submitJob' || answer.code === 'busy'));
  if (busy) return new StepFailure('busy', `${reason}-busy`, message, more);
  if (status === 408 || status >= 500) return new StepFailure('transient', `${reason}-unavailable`, message, more);
  // The input API keeps packages in a bounded cache: posting the request again brings a part back.
  if (call === 'openPart' && status === 404) return new StepFailure('transient', 'part-not-cached', message, more);
  if (status < 400 || [401, 403, 404, 405, 407].includes(status)) {
    return new StepFailure('operator', `${reason}-refuses-us`, message, more);
  }
  if (call === 'submitJob' && answer.code === 'package-not-found') {
    // It has just been stored: the job API looks in another account.
    return new StepFailure('operator', 'job-api-other-storage', message, more);
  }
  if (call === 'submitJob') {
    return new StepFailure('poison', status === 409 ? 'run-conflict' : 'job-refused', message, more);
  }
  if (status === 422) return new StepFailure('poison', 'package-refused', message, more);
  return new StepFailure('poison', status === 413 ? 'request-too-large' : 'request-refused', message, more);
}
