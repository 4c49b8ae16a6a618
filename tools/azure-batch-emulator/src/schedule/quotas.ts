/** What an account may have. */
export interface Quotas {
  readonly activeJobsAndSchedules: number;
  readonly pools: number;
  readonly dedicatedCores: number;
  readonly lowPriorityCores: number;
}

/**
 * Cores of a virtual machine size: as configured, or the number that its name carries (`standard_d4s_v5` has 4), or 1.
 */
export function coresOf(vmSize: string, configured: Readonly<Record<string, number>>): number {
  const name = vmSize.toLowerCase();
  const known = Object.entries(configured).find(([size]) => size.toLowerCase() === name)?.[1];
  if (known !== undefined) return known;
  const found = /^(?:standard|basic)_[a-z]+(\d+)/.exec(name);
  return Math.max(1, Number(found?.[1] ?? 1));
}

/** How many more nodes of a size fit into a quota. Pure. */
export function roomFor(quotaCores: number, usedCores: number, coresPerNode: number): number {
  return Math.max(0, Math.floor((quotaCores - usedCores) / coresPerNode));
}
