/** Runs an act for each item, a few at once; answers in the order of the items. The first error stops what has not begun. */
export async function few<T, R>(
  items: readonly T[],
  parallelism: number,
  act: (item: T) => Promise<R>,
): Promise<readonly R[]> {
  const answers: R[] = [];
  let next = 0;
  const work = async (): Promise<void> => {
    for (let at = next++; at < items.length; at = next++) answers[at] = await act(items[at] as T);
  };
  await Promise.all(Array.from({ length: Math.min(parallelism, items.length) }, work));
  return answers;
}
