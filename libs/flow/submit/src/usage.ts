import type { RunRecord } from '@xva/contracts';
import type { SubmitDeps } from './deps.ts';
import type { UsageEntry } from './ports.ts';

/** Writes what a run used to the ledger's usage: before its record says that it is over, so that none is forgotten. */
export async function recordUsage(deps: Pick<SubmitDeps, 'usage'>, record: RunRecord, now: Date): Promise<void> {
  if (deps.usage === undefined || record.cost === null) return;
  const { slotSeconds, amount, currency } = record.cost;
  await deps.usage.put({ runId: record.runId, desk: record.desk, at: now, slotSeconds, amount, currency });
}

export const defaultHalfLifeMs = 3_600_000;
/** After so many half-lives an entry counts less than a thousandth. */
const forgottenAfter = 10;

/** Entries older than this make no difference to fair share. */
export function usageHorizon(now: Date, halfLifeMs: number): Date {
  return new Date(now.getTime() - forgottenAfter * halfLifeMs);
}

/**
 * Decayed slot-seconds per desk: a slot-second counts half after a half-life. Of a run that comes twice (it was tried
 * again) the latest entry counts. Open runs count with what they used so far.
 */
export function deskUsage(
  entries: readonly UsageEntry[],
  open: readonly RunRecord[],
  now: Date,
  halfLifeMs: number,
): ReadonlyMap<string, number> {
  const live = new Set(open.map((record) => record.runId));
  const latest = new Map<string, UsageEntry>();
  for (const entry of entries) {
    const known = latest.get(entry.runId);
    if (!live.has(entry.runId) && (known === undefined || known.at < entry.at)) latest.set(entry.runId, entry);
  }
  const usage = new Map<string, number>();
  const add = (desk: string, seconds: number): void => void usage.set(desk, (usage.get(desk) ?? 0) + seconds);
  for (const { desk, at, slotSeconds } of latest.values())
    add(desk, slotSeconds * 2 ** (-Math.max(0, now.getTime() - at.getTime()) / halfLifeMs));
  for (const { desk, cost } of open) if (cost !== null) add(desk, cost.slotSeconds);
  return usage;
}
