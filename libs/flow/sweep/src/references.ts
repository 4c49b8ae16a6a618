import type { SweepRunStore, SweepStorage } from './ports.ts';

/** Thrown when a kept run's manifest cannot be read: without it no object may be called unreferenced. */
export class UnknownReferencesError extends Error {
  override readonly name = 'UnknownReferencesError';
  readonly runId: string;
  readonly packageId: string;

  constructor(runId: string, packageId: string) {
    super(`run ${runId} is kept but its manifest objects/${packageId} is gone: no object is judged in this pass`);
    this.runId = runId;
    this.packageId = packageId;
  }
}

/**
 * Names of all objects that a run which is not swept may still need. Its size is the number of distinct parts of kept
 * packages: shared parts count once.
 *
 * @throws UnknownReferencesError rather than calling something unreferenced on half the knowledge.
 */
export async function collectReferences(runs: SweepRunStore, storage: SweepStorage): Promise<ReadonlySet<string>> {
  const names = new Set<string>();
  const seen = new Set<string>();
  for await (const { record } of runs.list()) {
    if (record.state === 'swept' || seen.has(record.packageId)) continue;
    seen.add(record.packageId);
    const objects = await storage.packageObjects(record.packageId);
    if (objects === undefined) throw new UnknownReferencesError(record.runId, record.packageId);
    for (const name of objects) names.add(name);
  }
  return names;
}
