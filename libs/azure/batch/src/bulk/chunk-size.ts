/** Batch takes at most 100 tasks per collection and less than 1 MB of body (reference: Batch service limits). */
export const maxTasks = 100;
export const maxBytes = 1_000_000;

/**
 * How many bytes a collection may have, learnt from 413s: a refused size is a ceiling, an accepted one a floor, and the
 * limit searches between them, so that a smaller limit than the documented one costs a few refusals, not one per
 * collection. A 413 for a size that has passed before (a proxy's mood, an injected fault) teaches nothing: the halving of
 * that one collection is enough. A limit on the number of tasks is found the same way, since tasks are of similar size.
 */
export class ChunkSize {
  #limit = maxBytes;
  #passed = 0;
  #refused = Number.POSITIVE_INFINITY;

  get limit(): number {
    return this.#limit;
  }

  accepted(bytes: number): void {
    if (bytes <= this.#passed) return;
    this.#passed = bytes;
    if (bytes >= this.#refused) this.#refused = Number.POSITIVE_INFINITY;
    this.#search();
  }

  /** Whether the refusal of this size is believed: false when as much has passed before. */
  refused(bytes: number): boolean {
    if (bytes <= this.#passed) return false;
    this.#refused = Math.min(this.#refused, bytes);
    this.#search();
    return true;
  }

  /** Halves while nothing has passed, then the gap between floor and ceiling, until it is not worth another refusal. */
  #search(): void {
    if (this.#refused === Number.POSITIVE_INFINITY) this.#limit = maxBytes;
    else if (this.#refused - this.#passed <= this.#refused / 10) this.#limit = this.#passed;
    else this.#limit = Math.floor((this.#passed + this.#refused) / 2);
  }
}
