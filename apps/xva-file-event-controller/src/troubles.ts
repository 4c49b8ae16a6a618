import type { EventIds, Happening, Step } from '@xva/flow-package';
import type { Logger } from '@xva/runtime';

const reminderMs = 60_000;

/**
 * What a person must change before work can go on, for readiness; and the log of waits, in which a trouble that many
 * events share is said once and then once a minute.
 */
export class Troubles {
  readonly #logger: Logger;
  readonly #now: () => number;
  readonly #open = new Map<Step, string>();
  readonly #said = new Map<string, number>();

  /** `now` in milliseconds. */
  constructor(logger: Logger, now: () => number) {
    this.#logger = logger;
    this.#now = now;
  }

  /** Empty when nothing needs a person. */
  get operator(): readonly string[] {
    return [...this.#open.values()];
  }

  note(ids: EventIds, happening: Happening): void {
    const { step } = happening;
    if (happening.kind === 'done') {
      if (this.#open.delete(step)) this.#logger.info({ step }, 'work goes on: what needed a person is settled');
      return;
    }
    const { failure, delayMs } = happening;
    if (failure.kind === 'operator') this.#open.set(step, `${failure.reason}: ${failure.message}`);
    const fields = { ...ids, step, kind: failure.kind, reason: failure.reason, detail: failure.message, delayMs };
    const key = `${step} ${failure.reason}`;
    if (this.#now() - (this.#said.get(key) ?? -Infinity) < reminderMs) {
      this.#logger.debug(fields, 'waiting');
      return;
    }
    this.#said.set(key, this.#now());
    if (failure.kind === 'operator') {
      this.#logger.error(fields, 'a person must change something; events wait and nothing is lost');
    } else {
      this.#logger.warn(fields, failure.kind === 'busy' ? 'asked to slow down' : 'trying again');
    }
  }
}
