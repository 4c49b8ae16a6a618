import type { EventIds, Happening, Step } from '@xva/flow-package';
import type { Logger } from '@xva/runtime';

const reminderMs = 60_000;
const waitTexts = {
  transient: 'trying again',
  busy: 'asked to slow down',
  outage: 'a service fails; events wait for it and nothing is lost',
  poison: 'trying again',
} as const;

type Lasting = 'operator' | 'outage';

/**
 * What a person must change before work can go on, and outages that events wait for, for readiness; and the log of waits, in which a trouble that many
 * events share is said once and then once a minute.
 */
export class Troubles {
  readonly #logger: Logger;
  readonly #now: () => number;
  readonly #open: Readonly<Record<Lasting, Map<Step, string>>> = { operator: new Map(), outage: new Map() };
  readonly #said = new Map<string, number>();

  /** `now` in milliseconds. */
  constructor(logger: Logger, now: () => number) {
    this.#logger = logger;
    this.#now = now;
  }

  /** Empty when nothing needs a person. */
  get operator(): readonly string[] {
    return [...this.#open.operator.values()];
  }

  /** Empty when no event waits for a service that fails. */
  get outages(): readonly string[] {
    return [...this.#open.outage.values()];
  }

  note(ids: EventIds, happening: Happening): void {
    const { step } = happening;
    if (happening.kind === 'done') {
      const settled = [this.#open.operator.delete(step), this.#open.outage.delete(step)];
      if (settled.includes(true)) this.#logger.info({ step }, 'work goes on: what held it up is settled');
      return;
    }
    const { failure, delayMs } = happening;
    const { kind } = failure;
    if (kind === 'operator' || kind === 'outage') this.#open[kind].set(step, `${failure.reason}: ${failure.message}`);
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
      this.#logger.warn(fields, waitTexts[failure.kind]);
    }
  }
}
