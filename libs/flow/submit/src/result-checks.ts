import { canonicalJson, type Manifest, type ResultSummary, type RunRecord } from '@xva/contracts';

const additive = ['npv', 'cva', 'dva', 'fba', 'fca', 'fva'] as const;
/** Both sides round sums of doubles; more than this apart is another number. */
const relativeTolerance = 1e-9;

function far(a: number, b: number, scale: number): boolean {
  return Math.abs(a - b) > relativeTolerance * Math.max(1, scale);
}

/** A set has error bars, or a warning that says why not, exactly when the package asks for them. */
function errorBarProblems(summary: ResultSummary, manifest: Manifest): readonly string[] {
  const asked = manifest.parts.some((part) => part.role === 'error-bar-setup');
  const excused = new Set(summary.warnings.filter((one) => one.code === 'no-error-bars').map((one) => one.subject));
  return summary.nettingSets.flatMap((set) => {
    const bars = set.errorBars ?? [];
    if (!asked) return bars.length === 0 ? [] : [`netting set ${set.id} has error bars that nobody asked for`];
    if (bars.length === 0)
      return excused.has(set.id) ? [] : [`netting set ${set.id} has no error bars and no word why`];
    const foreign = bars.find((bar) => bar.currency !== summary.currency);
    const twice = new Set(bars.map((bar) => bar.measure)).size !== bars.length;
    return [
      ...(foreign === undefined ? [] : [`error bar ${foreign.measure} of ${set.id} is in ${foreign.currency}`]),
      ...(twice ? [`netting set ${set.id} has two error bars of one measure`] : []),
    ];
  });
}

/**
 * What is wrong with the summary of a merge, in words; empty when it may be published. Identity, shards, coverage against
 * the manifest, and totals that are the sums of what is published.
 */
export function summaryProblems(summary: ResultSummary, record: RunRecord, manifest: Manifest): readonly string[] {
  const problems: string[] = [];
  const same = (what: string, found: unknown, wanted: unknown): void => {
    if (found !== wanted) problems.push(`${what} is ${String(found)}, expected ${String(wanted)}`);
  };
  same('runId', summary.runId, record.runId);
  same('eventId', summary.eventId, record.eventId);
  same('packageId', summary.packageId, record.packageId);
  same('requestKey', canonicalJson(summary.requestKey), canonicalJson(record.requestKey));
  same('asOf', summary.asOf, manifest.asOf);
  same('currency', summary.currency, manifest.baseCurrency);
  same('samples', summary.samples, manifest.samples);
  same('seed', summary.seed, manifest.seed);
  same(
    'shards',
    summary.shards
      .map((shard) => `${shard.taskId} ${shard.bundleId} ${shard.sha256}`)
      .sort()
      .join(','),
    record.accepted
      .map((one) => `${one.taskId} ${one.bundleId} ${one.sha256}`)
      .sort()
      .join(','),
  );
  const packaged = new Map(manifest.nettingSets.map((set) => [set.id, set]));
  const published = summary.nettingSets.map((set) => set.id);
  same('netting sets, each once', new Set(published).size, published.length);
  for (const id of published) if (!packaged.has(id)) problems.push(`netting set ${id} is not in the package`);
  const left = new Set([...published, ...summary.rejections.map((item) => item.nettingSetId)]);
  for (const id of [...packaged.keys(), ...manifest.refusedNettingSets.map((set) => set.id)]) {
    if (!left.has(id)) problems.push(`netting set ${id} is neither published nor rejected`);
  }
  problems.push(...errorBarProblems(summary, manifest));
  const coverage = summary.coverage.nettingSets;
  same('coverage: netting sets requested', coverage.requested, packaged.size + manifest.refusedNettingSets.length);
  same('coverage: netting sets published', coverage.published, published.length);
  const complete = coverage.published === coverage.requested && summary.rejections.length === 0;
  same('outcome', summary.outcome, complete ? 'complete' : 'partial');
  if (record.strict && !complete) problems.push('the run is strict and not complete');
  // The side of a what-if that nobody holds is shown beside the other and adds to nothing.
  const hypothetical = manifest.provenance?.whatIf?.with;
  const held = summary.nettingSets.filter((set) => set.id !== hypothetical);
  for (const measure of additive) {
    const sum = held.reduce((total, set) => total + set[measure], 0);
    const scale = held.reduce((total, set) => total + Math.abs(set[measure]), 0);
    if (far(sum, summary.totals[measure], scale)) {
      problems.push(`total ${measure} is ${summary.totals[measure]}, its netting sets add up to ${sum}`);
    }
  }
  return problems;
}
