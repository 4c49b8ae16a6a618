import type { Published, ResultSummary } from '@xva/contracts';

/** What a run published, without what varies from run to run (ids, times, bundles): equal texts, equal numbers. */
export interface Numbers {
  /** Every netting set's measures and the totals, to the last digit. */
  readonly summary: string;
  /** Hash of every table: profiles, trades and the rest, by file name. */
  readonly tables: string;
}

export function numbersOf(results: { readonly published: Published; readonly summary: ResultSummary }): Numbers {
  const { asOf, currency, samples, seed, quantile, gridDates, totals, nettingSets, coverage } = results.summary;
  const tables = results.published.files
    .filter((file) => file.name.endsWith('.parquet'))
    .map((file) => `${file.name} ${file.sha256}`);
  return {
    summary: JSON.stringify({ asOf, currency, samples, seed, quantile, gridDates, totals, nettingSets, coverage }),
    tables: tables.sort().join('\n'),
  };
}
