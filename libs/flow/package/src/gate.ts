import type { Clock } from '@xva/runtime';

/** Holds back all calls to a service that asked for a pause, not only the one that heard it. */
export class Gate {
  readonly #clock: Clock;
  #closedUntil = 0;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  get isOpen(): boolean {
    return this.#clock.now().getTime() >= this.#closedUntil;
  }

  closeFor(ms: number): void {
    this.#closedUntil = Math.max(this.#closedUntil, this.#clock.now().getTime() + ms);
  }

  /** Resolves when the pause is over. @throws the signal's reason. */
  async pass(signal: AbortSignal): Promise<void> {
    while (!this.isOpen) {
      await this.#clock.sleep(this.#closedUntil - this.#clock.now().getTime(), signal);
      signal.throwIfAborted();
    }
  }
}
