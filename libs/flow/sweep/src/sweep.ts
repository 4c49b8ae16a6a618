import { refuseSweep } from './decide.ts';
import { few } from './few.ts';
import { PinSet, RunGraph } from './graph.ts';
import type { MarkedItem, SweepReport } from './items.ts';
import { policyHashOf } from './mark.ts';
import type { SweepPolicy } from './policy.ts';
import type { SweepDeps } from './ports.ts';
import { takeBatchItem } from './take-batch.ts';
import { takeBlobs } from './take-blobs.ts';
import { takeContainer, takeRuns } from './take-run.ts';

/** What became of one marked item. `how` = what was done to it, as far as it was. */
export interface SweepAct {
  readonly kind: MarkedItem['kind'];
  readonly id: string;
  readonly outcome: 'swept' | 'already-gone' | 'skipped' | 'failed' | 'reported';
  readonly reason: string;
  readonly how: string;
  readonly bytes: number;
}

export type SweepOutcome =
  | { readonly outcome: 'refused'; readonly reason: string }
  | {
      readonly outcome: 'done' | 'stopped';
      /** Why it stopped, if it did. */
      readonly reason: string;
      /** The first thousand; all are in the audit. */
      readonly acts: readonly SweepAct[];
      /** Number of acts by `outcome kind reason`. */
      readonly counts: Readonly<Record<string, number>>;
      readonly bytes: number;
    };

export interface SweepOptions {
  /** Id of the report that somebody read and approved although it is above the ceiling. */
  readonly approved?: string | undefined;
  readonly signal: AbortSignal;
  readonly onActs?: ((acts: readonly SweepAct[]) => void) | undefined;
}

/** All that an act needs to know. */
export interface Taking {
  readonly deps: SweepDeps;
  readonly policy: SweepPolicy;
  readonly report: SweepReport;
  readonly graph: RunGraph;
  readonly pins: PinSet;
}

const shownActs = 1_000;
/** How old the knowledge of the records may be when a blob goes; a run that came later touched what it uses (its ETag changed). */
const graphAgeMs = 30_000;

export function actOf(item: MarkedItem, outcome: SweepAct['outcome'], reason: string, how = ''): SweepAct {
  return { kind: item.kind, id: item.id, outcome, reason, how, bytes: outcome === 'swept' ? item.bytes : 0 };
}

/** Runs an act for each, a few at once; outcomes in order. One that throws must not keep the rest for ever. */
export function actForEach(
  items: readonly MarkedItem[],
  parallelism: number,
  act: (item: MarkedItem) => Promise<SweepAct>,
): Promise<readonly SweepAct[]> {
  return few(items, parallelism, (item) => act(item).catch((error: unknown) => failedAct(item, error)));
}

export function failedAct(item: MarkedItem, error: unknown): SweepAct {
  if (error instanceof Error && error.name === 'CrashedError') throw error;
  return actOf(item, 'failed', error instanceof Error ? error.message : String(error));
}

/**
 * Takes what a report marked, each item re-decided right before on fresh facts, blobs only in the version that was seen.
 * Killed anywhere, the same report goes on with the page where it stood: each act is repeatable. One collector at a time
 * has the lease; if two should sweep all the same, every act is conditional.
 */
export async function sweep(
  deps: SweepDeps,
  policy: SweepPolicy,
  report: SweepReport,
  options: SweepOptions,
): Promise<SweepOutcome> {
  const { ledger, clock, logger } = deps;
  const { reportId } = report;
  if (report.policyHash !== policyHashOf(policy)) {
    return { outcome: 'refused', reason: 'the policy changed since the report: mark again' };
  }
  const refusal = refuseSweep(report, policy, clock.now(), options.approved);
  if (refusal !== undefined) return { outcome: 'refused', reason: refusal };
  const lease = await ledger.lease();
  if (lease === undefined)
    return { outcome: 'refused', reason: 'another collector is sweeping: try again when it is done' };
  const acts: SweepAct[] = [];
  let bytes = 0;
  const done = await ledger.loadProgress(reportId);
  const counts: Record<string, number> = { ...done?.counts };
  const end = (outcome: 'done' | 'stopped', reason: string): SweepOutcome => ({ outcome, reason, acts, counts, bytes });
  try {
    const graph = new RunGraph(deps);
    if (done !== undefined) logger.info({ reportId, page: done.pages, of: report.pages }, 'sweep goes on');
    for (let page = done?.pages ?? 0; page < report.pages; page += 1) {
      if (options.signal.aborted) return end('stopped', 'asked to stop');
      if (!(await lease.stillHeld())) return end('stopped', 'the lease was lost: another collector may be sweeping');
      // Ages were judged by this clock: when it went back, nothing that it says counts.
      if (clock.now() < new Date(report.markedAt)) return end('stopped', 'the clock went back behind the report');
      const items = await ledger.loadPage(reportId, page);
      const pins = await PinSet.load(deps.pins);
      if (items.some(({ kind }) => kind === 'object' || kind === 'request')) {
        await graph.refresh(graphAgeMs);
        await graph.addPinned(pins);
      }
      const taking: Taking = { deps, policy, report, graph, pins };
      const found = await takePage(taking, page, items);
      for (const act of found) {
        const name = `${act.outcome} ${act.kind} ${act.outcome === 'failed' ? 'error' : act.reason.split(':')[0]}`;
        counts[name] = (counts[name] ?? 0) + 1;
        bytes += act.bytes;
        if (acts.length < shownActs) acts.push(act);
        if (act.outcome === 'failed')
          logger.warn({ reportId, kind: act.kind, id: act.id, reason: act.reason }, 'sweep act failed');
      }
      options.onActs?.(found);
      await ledger.saveProgress(reportId, { pages: page + 1, counts });
      logger.info({ reportId, page, acts: found.length, bytes }, 'page swept');
    }
    return end('done', '');
  } finally {
    await lease.release();
  }
}

const blobKinds: ReadonlySet<MarkedItem['kind']> = new Set([
  'log',
  'result',
  'request',
  'dead-letter',
  'blob',
  'object',
  'quarantined',
]);
const inFlight = 8;

/** One page: first the intent of every act into the audit, then the acts, then what became of them. */
async function takePage(taking: Taking, page: number, items: readonly MarkedItem[]): Promise<readonly SweepAct[]> {
  const { deps, report } = taking;
  const line = (phase: string, item: MarkedItem, act?: SweepAct) => ({
    at: deps.clock.now().toISOString(),
    by: deps.actor,
    reportId: report.reportId,
    phase,
    kind: item.kind,
    id: item.id,
    action: item.action,
    rule: item.rule,
    etag: item.etag,
    outcome: act?.outcome ?? null,
    reason: act?.reason ?? item.reason,
    how: act?.how ?? null,
    bytes: act?.bytes ?? item.bytes,
  });
  await deps.ledger.audit(
    report.reportId,
    page,
    items.map((item) => line('intent', item)),
  );
  deps.crashPoint?.('intent-written');
  const acts = new Map<MarkedItem, SweepAct>();
  const reported = items.filter(({ action }) => action === 'report');
  for (const item of reported) acts.set(item, actOf(item, 'reported', item.reason));
  const take = async (
    of: readonly MarkedItem[],
    doing: (some: readonly MarkedItem[]) => Promise<readonly SweepAct[]>,
  ) => {
    if (of.length === 0) return;
    const found = await doing(of);
    of.forEach((item, index) => acts.set(item, found[index] ?? actOf(item, 'failed', 'no outcome')));
  };
  const rest = items.filter(({ action }) => action !== 'report');
  await take(
    rest.filter(({ kind }) => kind === 'run'),
    (some) => takeRuns(taking, some),
  );
  await take(
    rest.filter(({ kind }) => !blobKinds.has(kind) && kind !== 'run' && kind !== 'run-container'),
    (some) => actForEach(some, inFlight, (item) => takeBatchItem(taking, item)),
  );
  await take(
    rest.filter(({ kind }) => kind === 'run-container'),
    (some) => actForEach(some, inFlight, (item) => takeContainer(taking, item)),
  );
  await take(
    rest.filter(({ kind }) => blobKinds.has(kind)),
    (some) => takeBlobs(taking, some),
  );
  deps.crashPoint?.('audit-line');
  const all = items.map((item) => acts.get(item) ?? actOf(item, 'failed', 'no outcome'));
  await deps.ledger.audit(
    report.reportId,
    page,
    items.map((item, index) => line('done', item, all[index])),
  );
  return all;
}
