import { parseContractText, runPaths, taskReportSchema, type AcceptedBundle, type RunRecord } from '@xva/contracts';
import { findBundle } from './bundles.ts';
import type { TaskFailure } from './decide.ts';
import type { SubmitDeps } from './deps.ts';
import { BundleError } from './errors.ts';

/** A task of an attempt. */
export interface Place {
  readonly attempt: number;
  readonly taskId: string;
}

export interface Found {
  readonly accepted: readonly AcceptedBundle[];
  /** Tasks that succeeded and left no valid bundle. */
  readonly invalid: readonly (Place & { readonly problem: string })[];
}

const readersAtOnce = 4;

/** Reads and checks the bundles of tasks that succeeded. */
export async function lookForBundles(deps: SubmitDeps, record: RunRecord, places: readonly Place[]): Promise<Found> {
  const container = deps.work.runContainer(record.container);
  const accepted: AcceptedBundle[] = [];
  const invalid: (Place & { problem: string })[] = [];
  const queue = [...places];
  const work = async (): Promise<void> => {
    for (let place = queue.shift(); place !== undefined; place = queue.shift()) {
      try {
        const bundle = await findBundle(container, record, place.attempt, place.taskId);
        if (bundle === undefined) invalid.push({ ...place, problem: 'it left no bundle' });
        else accepted.push(bundle);
      } catch (error) {
        if (!(error instanceof BundleError)) throw error;
        invalid.push({ ...place, problem: error.message });
      }
    }
  };
  await Promise.all(Array.from({ length: Math.min(readersAtOnce, queue.length) }, work));
  accepted.sort((a, b) => (a.taskId < b.taskId ? -1 : 1));
  return { accepted, invalid };
}

/** The engine of a bundle that differs from those accepted before, or from the others found with it, in words. */
export function engineMismatch(record: RunRecord, found: readonly AcceptedBundle[]): string | undefined {
  const known = [...record.accepted, ...found].filter((bundle) => bundle.engine !== null);
  const [first] = known;
  const other = known.find((bundle) => bundle.engine !== first?.engine);
  if (first === undefined || other === undefined) return undefined;
  return (
    `${first.taskId} was made by ${first.engine ?? ''}, ${other.taskId} by ${other.engine ?? ''}: shards of two engines are ` +
    'never merged; a retry computes every shard afresh'
  );
}

/** The runner's own words about a failure, from Storage, since the node may be gone; else what Batch says. */
export async function explain(
  deps: SubmitDeps,
  record: RunRecord,
  attempt: number,
  failure: TaskFailure,
): Promise<string> {
  const container = deps.work.runContainer(record.container);
  let newest: { name: string; at: number } | undefined;
  for await (const { name, lastModified } of container.list(`${runPaths.taskOut(attempt, failure.taskId)}/`)) {
    const at = lastModified.getTime();
    if (/\/report-[0-9a-f-]{36}\.json$/.test(name) && (newest === undefined || at >= newest.at)) newest = { name, at };
  }
  if (newest !== undefined) {
    const text = Buffer.from((await container.get(newest.name))?.bytes ?? '').toString('utf8');
    try {
      const report = parseContractText(taskReportSchema, text, newest.name);
      if (report.exitCode === failure.exitCode) return report.message;
    } catch {
      // A report that cannot be read is no reason to lose what else is known.
    }
  }
  const errors = await container.get(`${runPaths.taskLogs(attempt, failure.taskId)}/stderr.txt`);
  const last =
    Buffer.from(errors?.bytes ?? '')
      .toString('utf8')
      .trim()
      .split('\n')
      .at(-1) ?? '';
  return last === '' || failure.exitCode === undefined ? failure.message : last;
}

export function told(failure: TaskFailure, words: string): string {
  const code = failure.exitCode === undefined ? 'nothing ran' : `exit code ${failure.exitCode}, ${failure.exitClass}`;
  return `${code}: ${words}`;
}
