import { describeError } from '@xva/runtime';

/** One thing that is wrong, by name; the same shape as in problem details. */
export interface Defect {
  readonly subject: string;
  readonly code: string;
  readonly message: string;
}

/**
 * What a failure asks for. `transient`: try again; counts against the event's budget when it is the event's own.
 * `outage`: the service fails, whoever asks: wait, for ever if need be. `busy`: the other side lives but wants less:
 * wait. `operator`: a person must change something; wait and say so, since every other event would fail the same way.
 * `poison`: this event can never succeed as it is.
 */
export type FailureKind = 'transient' | 'outage' | 'busy' | 'operator' | 'poison';

/** Thrown by ports and steps: why an event cannot go on now, in words for the person who finds it. */
export class StepFailure extends Error {
  override readonly name = 'StepFailure';
  readonly kind: FailureKind;
  /** Stable name of the reason, such as `package-refused`. */
  readonly reason: string;
  readonly defects: readonly Defect[];
  /** What the other side asked to wait. */
  readonly retryAfterMs: number | undefined;

  constructor(
    kind: FailureKind,
    reason: string,
    message: string,
    more: {
      readonly defects?: readonly Defect[];
      readonly retryAfterMs?: number | undefined;
      readonly cause?: unknown;
    } = {},
  ) {
    super(message, more.cause === undefined ? {} : { cause: more.cause });
    this.kind = kind;
    this.reason = reason;
    this.defects = more.defects ?? [];
    this.retryAfterMs = more.retryAfterMs;
  }
}

/** The same failure, but of another kind. */
export function asKind(kind: FailureKind, failure: StepFailure): StepFailure {
  const { reason, message, defects, retryAfterMs } = failure;
  return new StepFailure(kind, reason, message, { defects, retryAfterMs, cause: failure });
}

/** Anything that is no StepFailure is unexpected: tried again within the budget, dead-lettered in the end, never swallowed. */
export function asStepFailure(error: unknown): StepFailure {
  if (error instanceof StepFailure) return error;
  const { message } = describeError(error);
  return new StepFailure('transient', 'unexpected', `unexpected: ${String(message)}`, { cause: error });
}
