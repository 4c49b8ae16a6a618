interface Waiting<In, Out> {
  readonly item: In;
  readonly resolve: (out: Out) => void;
  readonly reject: (reason: unknown) => void;
}

/**
 * Work of many that one statement can do: what comes in one turn of the event loop, or while the statement before is under
 * way, goes together. Who comes alone waits for nothing. Each hears of its own outcome only.
 */
export class Gather<In, Out> {
  readonly #together: (items: readonly In[]) => Promise<readonly PromiseSettledResult<Out>[]>;
  readonly #most: number;
  #waiting: Waiting<In, Out>[] = [];
  #isRunning = false;

  /** @param together outcomes in the order of the items; `most` of them at once */
  constructor(together: (items: readonly In[]) => Promise<readonly PromiseSettledResult<Out>[]>, most: number) {
    this.#together = together;
    this.#most = most;
  }

  get isIdle(): boolean {
    return !this.#isRunning;
  }

  do(item: In): Promise<Out> {
    return new Promise((resolve, reject) => {
      this.#waiting.push({ item, resolve, reject });
      if (!this.#isRunning) void this.#run();
    });
  }

  async #run(): Promise<void> {
    this.#isRunning = true;
    await new Promise((resolve) => setImmediate(resolve));
    while (this.#waiting.length > 0) {
      const some = this.#waiting.splice(0, this.#most);
      let outcomes: readonly PromiseSettledResult<Out>[];
      try {
        outcomes = await this.#together(some.map(({ item }) => item));
      } catch (reason) {
        outcomes = some.map(() => ({ status: 'rejected', reason }));
      }
      some.forEach(({ resolve, reject }, index) => {
        const outcome = outcomes[index];
        if (outcome?.status === 'fulfilled') resolve(outcome.value);
        else reject(outcome?.reason);
      });
    }
    this.#isRunning = false;
  }
}
