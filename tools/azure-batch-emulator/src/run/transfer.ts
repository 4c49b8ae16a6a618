/** Runs `work` over the items with at most `width` at a time; the first failure wins after the others have ended. */
export async function inParallel<T>(
  items: readonly T[],
  width: number,
  work: (item: T) => Promise<void>,
): Promise<void> {
  const queue = items.values();
  const failures: unknown[] = [];
  const lane = async (): Promise<void> => {
    for (const item of queue) {
      if (failures.length > 0) return;
      try {
        await work(item);
      } catch (error) {
        failures.push(error);
        return;
      }
    }
  };
  await Promise.all(Array.from({ length: Math.min(width, items.length) }, lane));
  if (failures.length > 0) throw failures[0];
}

/** Repeats what a passing fault broke (no answer, 408, 429, 5xx), with doubling pauses from 100 ms. */
export async function withRetries<T>(
  transient: (error: unknown) => boolean,
  signal: AbortSignal,
  attempts: number,
  work: () => Promise<T>,
): Promise<T> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await work();
    } catch (error) {
      if (attempt >= attempts || signal.aborted || !transient(error)) throw error;
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, 100 * 2 ** (attempt - 1));
        signal.addEventListener('abort', () => (clearTimeout(timer), resolve()), { once: true });
      });
    }
  }
}
