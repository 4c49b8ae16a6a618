import type { ResultSummary } from '@xva/contracts';
import { tableText } from './ask.ts';

const measures = ['npv', 'cva', 'dva', 'fba', 'fca', 'fva'] as const;

/** A result for people: each number with its currency, error bars where they were asked for, what was refused by name. */
export function resultText(summary: ResultSummary): string {
  const { currency, totals, coverage } = summary;
  const rows = summary.nettingSets.map((set) => [
    set.id,
    set.counterparty,
    ...measures.map((name) => String(set[name])),
  ]);
  const total = ['total', '', ...measures.map((name) => String(totals[name]))];
  const bars = summary.nettingSets.flatMap((set) =>
    (set.errorBars ?? []).map((bar) => [set.id, bar.measure.toUpperCase(), `${bar.standardError} ${bar.currency}`]),
  );
  const heads = measures.map((name) => `${name.toUpperCase()} ${currency}`);
  const { published, requested } = coverage.nettingSets;
  return [
    tableText(['NETTING SET', 'COUNTERPARTY', ...heads], [...rows, total]),
    ...(bars.length === 0 ? [] : [tableText(['NETTING SET', 'MEASURE', 'STANDARD ERROR'], bars)]),
    `${summary.outcome}: ${published} of ${requested} netting sets`,
    ...summary.rejections.map(
      ({ nettingSetId, tradeId, code, message }) =>
        `refused: ${nettingSetId}${tradeId === null ? '' : `/${tradeId}`} ${code}: ${message}`,
    ),
  ].join('\n');
}
