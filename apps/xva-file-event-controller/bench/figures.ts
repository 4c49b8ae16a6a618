/** Prints, and keeps count of aims that were missed. */
export const print = (line = ''): void => void process.stdout.write(`${line}\n`);

export const quantile = (numbers: readonly number[], part: number): number => {
  const sorted = [...numbers].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * part))] ?? Number.NaN;
};
export const median = (numbers: readonly number[]): number => quantile(numbers, 0.5);

export function spread(numbers: readonly number[], digits = 2): string {
  const at = (part: number): string => quantile(numbers, part).toFixed(digits);
  return `${at(0.5)} (${at(0)} to ${at(1)})`;
}

export function aim(what: string, reached: number, least: number): void {
  print(`${what}: ${reached.toFixed(2)}, aim ${least}: ${reached >= least ? 'met' : 'MISSED'}`);
  if (!(reached >= least)) process.exitCode = 1;
}

/** Megabytes of memory that are in use after a collection (`--expose-gc`). */
export function heapMegabytes(): number {
  (globalThis as { gc?: () => void }).gc?.();
  return process.memoryUsage().heapUsed / 2 ** 20;
}
