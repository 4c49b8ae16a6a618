/** One task on its way: its place in the input (refusals are reported in that order), its id and its JSON. */
export interface Item {
  readonly index: number;
  readonly id: string;
  readonly json: string;
  readonly bytes: number;
}

/** `{"value":[` and `]}`. */
const envelopeBytes = 12;

/** Bytes of a collection's body: its items and the commas between them. */
export function bodyBytes(items: readonly Item[]): number {
  return items.reduce((sum, item) => sum + item.bytes + 1, envelopeBytes - 1);
}

export function bodyOf(items: readonly Item[]): string {
  return `{"value":[${items.map((item) => item.json).join(',')}]}`;
}

/** Cuts a stream of items into collections, looking one item ahead and no further. */
export class ItemSource {
  readonly #iterator: Iterator<Item> | AsyncIterator<Item>;
  #held: Item | undefined;
  #ended = false;

  constructor(items: Iterable<Item> | AsyncIterable<Item>) {
    this.#iterator = Symbol.asyncIterator in items ? items[Symbol.asyncIterator]() : items[Symbol.iterator]();
  }

  /** Up to `count` items in `bytes` of body, at least one; none at the end. Errors of the input go through. */
  async take(count: number, bytes: number): Promise<readonly Item[]> {
    const items: Item[] = [];
    let size = envelopeBytes - 1;
    while (items.length < count) {
      let item = this.#held;
      if (item === undefined) {
        // Most inputs are at hand: only one that is a promise costs a turn of the event loop.
        const next = this.#next();
        item = next instanceof Promise ? await next : next;
      }
      this.#held = undefined;
      if (item === undefined) break;
      size += item.bytes + 1;
      if (items.length > 0 && size > bytes) {
        this.#held = item;
        break;
      }
      items.push(item);
    }
    return items;
  }

  #next(): Item | undefined | Promise<Item | undefined> {
    if (this.#ended) return undefined;
    const read = (step: IteratorResult<Item, unknown>): Item | undefined => {
      if (step.done !== true) return step.value;
      this.#ended = true;
      return undefined;
    };
    const step = this.#iterator.next();
    return step instanceof Promise ? step.then(read) : read(step);
  }

  /** Tells the input that nothing more will be taken. */
  async close(): Promise<void> {
    if (this.#ended) return;
    this.#ended = true;
    await this.#iterator.return?.();
  }
}
