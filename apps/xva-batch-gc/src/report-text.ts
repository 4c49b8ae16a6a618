import type { SweepOutcome, SweepReport } from '@xva/flow-sweep';

function table(rows: readonly (readonly [string, string])[]): string {
  const width = Math.max(0, ...rows.map(([name]) => name.length));
  return rows.map(([name, value]) => `  ${name.padEnd(width)}  ${value}`).join('\n');
}

/** A mark for people: what would go and why, and how much was kept for which reason. */
export function reportText(report: SweepReport, most = 200): string {
  const items = report.items
    .slice(0, most)
    .map((item) => [`${item.kind} ${item.id}`, `${item.reason} (rule ${item.rule}, ${item.bytes} bytes)`] as const);
  const kept = Object.entries(report.kept).map(([name, count]) => [name, String(count)] as const);
  return [
    `report ${report.reportId}, policy ${report.policy}, marked at ${report.markedAt}`,
    `looked at ${report.looked}; marked ${report.totals.items} (${report.totals.bytes} bytes); nothing was taken`,
    ...(items.length > 0 ? ['would go:', table(items)] : []),
    ...(report.items.length > most ? [`  … and ${report.items.length - most} more`] : []),
    ...(kept.length > 0 ? ['kept:', table(kept)] : []),
  ].join('\n');
}

export function outcomeText(outcome: SweepOutcome): string {
  if (outcome.outcome === 'refused') return `refused: ${outcome.reason}`;
  const acts = outcome.acts.map((act) => [`${act.outcome} ${act.kind} ${act.id}`, act.reason] as const);
  const count = (name: string): number => outcome.acts.filter((act) => act.outcome === name).length;
  return [
    ...(acts.length > 0 ? [table(acts)] : []),
    `${outcome.outcome}: ${count('swept')} swept, ${count('already-gone')} already gone, ${count('skipped')} skipped, ${count('failed')} failed`,
  ].join('\n');
}
