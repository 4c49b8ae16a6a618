import type { Explanation, MarkedItem, PolicyTestResult, Restored, SweepOutcome, SweepReport } from '@xva/flow-sweep';
import { printable } from '@xva/runtime';

function table(rows: readonly (readonly [string, string])[]): string {
  const width = Math.min(100, Math.max(0, ...rows.map(([name]) => name.length)));
  return rows.map(([name, value]) => `  ${printable(name).padEnd(width)}  ${printable(value)}`).join('\n');
}

const counted = (counts: Readonly<Record<string, number>>): string =>
  table(Object.entries(counts).map(([name, count]) => [name, String(count)] as const));

/** A mark for people: what would go and why, and how much was kept for which reason. */
export function reportText(report: SweepReport, items: readonly MarkedItem[]): string {
  const { totals, saved, notes } = report;
  const rows = items.map(
    (item) =>
      [`${item.kind} ${item.id}`, `${item.action}: ${item.reason} (rule ${item.rule}, ${item.bytes} bytes)`] as const,
  );
  const classes = Object.entries(report.classes).map(
    ([name, total]) => [name, `${total.items} items, ${total.bytes} bytes, ${total.tasks} tasks`] as const,
  );
  return [
    `report ${report.reportId}, policy ${report.policy}, marked at ${report.markedAt}`,
    `looked at ${report.looked}; marked ${totals.items} (${totals.bytes} bytes, ${totals.tasks} tasks); nothing was taken`,
    ...(saved === null ? [] : [`would save about ${saved.perMonth.toFixed(2)} ${saved.currency} a month`]),
    ...notes.map((note) => `note: ${note}`),
    ...(classes.length > 0 ? ['by class:', table(classes)] : []),
    ...(rows.length > 0 ? ['would go:', table(rows)] : []),
    ...(totals.items > items.length
      ? [`  … and ${totals.items - items.length} more: report ${report.reportId} --format csv`]
      : []),
    ...(Object.keys(report.kept).length > 0 ? ['kept:', counted(report.kept)] : []),
  ].join('\n');
}

export function outcomeText(outcome: SweepOutcome): string {
  if (outcome.outcome === 'refused') return `refused: ${outcome.reason}`;
  const acts = outcome.acts.map(
    (act) => [`${act.outcome} ${act.kind} ${act.id}`, `${act.reason}${act.how === '' ? '' : `, ${act.how}`}`] as const,
  );
  return [
    ...(acts.length > 0 ? [table(acts)] : []),
    counted(outcome.counts),
    `${outcome.outcome}${outcome.reason === '' ? '' : ` (${outcome.reason})`}: ${outcome.bytes} bytes swept`,
  ].join('\n');
}

export function explanationText(asked: string, found: readonly Explanation[]): string {
  if (found.length === 0)
    return `${asked}: nothing of that name is among what the collector looks at, so it never touches it`;
  return found
    .map(({ kind, id, verdict, because }) =>
      printable(
        `${kind} ${id}: ${verdict.verdict === 'keep' ? 'kept' : `would go (${verdict.action}, rule ${verdict.rule ?? ''})`}: ${verdict.reason}${because.map((line) => `; ${line}`).join('')}`,
      ),
    )
    .join('\n');
}

export function restoredText(restored: readonly Restored[]): string {
  if (restored.length === 0) return 'nothing of that is in quarantine';
  return table(restored.map(({ kind, id, outcome, detail }) => [`${outcome} ${kind} ${id}`, detail] as const));
}

export function policyTestText(name: string, result: PolicyTestResult): string {
  const rows = result.marked
    .slice(0, 200)
    .map((item) => [`${item.kind} ${item.id}`, `${item.reason} (rule ${item.rule})`] as const);
  return [
    `policy ${name}: looked at ${result.looked}, would mark ${result.marked.length}`,
    ...(rows.length > 0 ? [table(rows)] : []),
    ...(result.marked.length > rows.length ? [`  … and ${result.marked.length - rows.length} more`] : []),
    'would keep:',
    counted(result.kept),
  ].join('\n');
}
