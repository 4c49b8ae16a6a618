import type { ResultSummary } from '@xva/contracts';

const amounts = ['npv', 'cva', 'dva', 'fba', 'fca', 'fva', 'colva'] as const;

function money(value: number | null): string {
  if (value === null) return '–';
  return value.toLocaleString('en-US', { minimumFractionDigits: 2, maximumFractionDigits: 2 });
}

/** Columns padded to their widest cell; the first is text, the others are right-aligned. */
export function alignColumns(rows: readonly (readonly string[])[]): string {
  const widths = (rows[0] ?? []).map((_cell, column) => Math.max(...rows.map((row) => (row[column] ?? '').length)));
  return rows
    .map((row) =>
      row
        .map((cell, column) => (column < 2 ? cell.padEnd(widths[column] ?? 0) : cell.padStart(widths[column] ?? 0)))
        .join('  '),
    )
    .map((line) => line.trimEnd())
    .join('\n');
}

/** XVA per netting set and total, as of a date, in its currency. Rounded for reading; the tables hold every digit. */
export function formatXva(summary: ResultSummary): string {
  const { currency } = summary;
  const header = [
    'Netting set',
    'Counterparty',
    ...amounts.map((name) => `${name.toUpperCase()} ${currency}`),
    `Peak PFE ${currency}`,
    `EEPE ${currency}`,
  ];
  const rows = summary.nettingSets.map((set) => [
    set.id + (set.collateralised ? ' (CSA)' : ''),
    set.counterparty,
    ...amounts.map((name) => money(set[name])),
    money(set.peakPfe),
    money(set.baselEepe),
  ]);
  const total = ['Total', '', ...amounts.map((name) => money(summary.totals[name])), '', ''];
  const { requested, published } = summary.coverage.nettingSets;
  const lines = [
    alignColumns([header, ...rows, total]),
    `${summary.outcome}: ${published} of ${requested} netting sets, ${summary.coverage.trades.published} of ${summary.coverage.trades.requested} trades; ` +
      `${summary.samples} samples × ${summary.gridDates} dates, PFE at ${summary.quantile}, as of ${summary.asOf}`,
    ...summary.rejections.map(
      (rejection) =>
        `  left out ${rejection.nettingSetId}${rejection.tradeId === null ? '' : ` (trade ${rejection.tradeId})`}: ${rejection.message}`,
    ),
  ];
  return lines.join('\n');
}

/** `1.23 s` or `456 ms`. */
export function formatDuration(ms: number): string {
  return ms >= 10_000
    ? `${(ms / 1000).toFixed(1)} s`
    : ms >= 1000
      ? `${(ms / 1000).toFixed(2)} s`
      : `${Math.round(ms)} ms`;
}
