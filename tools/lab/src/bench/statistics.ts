/** What a sample of timings looks like. Quantiles interpolate linearly between order statistics (Hyndman and Fan, type 7). */
export interface Spread {
  readonly count: number;
  readonly min: number;
  readonly p25: number;
  readonly median: number;
  readonly p75: number;
  readonly p95: number;
  readonly max: number;
}

/**
 * The p-quantile of a sample, by type 7 of Hyndman and Fan (1996): position `(n − 1) p` among the sorted values.
 *
 * @throws RangeError for an empty sample, a value that is no finite number, or `p` outside 0 … 1.
 */
export function quantile(values: readonly number[], p: number): number {
  if (!(p >= 0 && p <= 1)) throw new RangeError(`${p} is no probability`);
  if (values.length === 0) throw new RangeError('an empty sample has no quantile');
  if (!values.every(Number.isFinite)) throw new RangeError('a sample holds something that is no finite number');
  const sorted = [...values].sort((a, b) => a - b);
  const position = (sorted.length - 1) * p;
  const below = Math.floor(position);
  const low = sorted[below] ?? 0;
  const high = sorted[below + 1] ?? low;
  return low + (high - low) * (position - below);
}

/** @throws RangeError as `quantile`. */
export function spreadOf(values: readonly number[]): Spread {
  const at = (p: number): number => quantile(values, p);
  return {
    count: values.length,
    min: at(0),
    p25: at(0.25),
    median: at(0.5),
    p75: at(0.75),
    p95: at(0.95),
    max: at(1),
  };
}

/** B/A of each pair: the pair shares its minute on the machine, so that what disturbs both drops out. */
export function pairRatios(pairs: readonly { readonly bareMs: number; readonly pipelineMs: number }[]): number[] {
  return pairs.map(({ bareMs, pipelineMs }) => {
    if (!(bareMs > 0)) throw new RangeError(`a bare run cannot have taken ${bareMs} ms`);
    return pipelineMs / bareMs;
  });
}

/** Medians of named values over several runs, names in the order of their first appearance. */
export function mediansByName(
  runs: readonly (readonly { readonly name: string; readonly ms: number }[])[],
): readonly { readonly name: string; readonly ms: number }[] {
  const byName = new Map<string, number[]>();
  for (const { name, ms } of runs.flat()) byName.set(name, [...(byName.get(name) ?? []), ms]);
  return [...byName].map(([name, values]) => ({ name, ms: quantile(values, 0.5) }));
}
