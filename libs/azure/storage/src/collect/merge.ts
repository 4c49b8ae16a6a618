/**
 * Several streams as one, in no order, a few of them at a time. Each waits until what it gave was taken, so that no more
 * is held than one item per open stream (and the page behind it).
 */
export async function* mergeStreams<T>(
  sources: Iterable<() => AsyncIterable<readonly T[]>>,
  parallelism: number,
): AsyncGenerator<readonly T[]> {
  const waiting = sources[Symbol.iterator]();
  const open = new Map<AsyncIterator<readonly T[]>, Promise<Pulled<T>>>();
  const pull = async (iterator: AsyncIterator<readonly T[]>): Promise<Pulled<T>> => ({
    iterator,
    result: await iterator.next(),
  });
  const fill = (): void => {
    while (open.size < parallelism) {
      const next = waiting.next();
      if (next.done === true) return;
      const iterator = next.value()[Symbol.asyncIterator]();
      open.set(iterator, pull(iterator));
    }
  };
  try {
    for (fill(); open.size > 0; fill()) {
      const { iterator, result } = await Promise.race(open.values());
      if (result.done === true) open.delete(iterator);
      else {
        open.set(iterator, pull(iterator));
        yield result.value;
      }
    }
  } finally {
    const left = [...open];
    for (const [, promise] of left) promise.catch(() => undefined);
    await Promise.allSettled(left.map(async ([iterator]) => iterator.return?.()));
  }
}

interface Pulled<T> {
  readonly iterator: AsyncIterator<readonly T[]>;
  readonly result: IteratorResult<readonly T[]>;
}
