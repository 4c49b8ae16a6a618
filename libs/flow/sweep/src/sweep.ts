import { parseJobId, runContainerOf, runIdOfContainer, type RunRecord } from '@xva/contracts';
import { decide, refuseSweep } from './decide.ts';
import type { MarkedItem, SweepFacts, SweepItem, SweepReport } from './items.ts';
import { policyHashOf, runFacts, type SweepDeps } from './mark.ts';
import type { SweepPolicy } from './policy.ts';
import type { SweepBlobKind } from './ports.ts';
import { collectReferences } from './references.ts';

/** What became of one marked item. */
export interface SweepAct {
  readonly kind: MarkedItem['kind'];
  readonly id: string;
  readonly outcome: 'swept' | 'already-gone' | 'skipped' | 'failed';
  readonly reason: string;
}

export type SweepOutcome =
  | { readonly outcome: 'refused'; readonly reason: string }
  | { readonly outcome: 'done' | 'stopped'; readonly acts: readonly SweepAct[] };

/** What the records say, read afresh when the sweep starts; a write after that changes the blob's ETag, or its age. */
interface Knowledge {
  readonly references: ReadonlySet<string> | undefined;
  readonly stateOfEvent: ReadonlyMap<string, RunRecord['state']>;
}

async function gatherKnowledge(deps: SweepDeps, items: readonly MarkedItem[]): Promise<Knowledge> {
  const has = (kind: MarkedItem['kind']): boolean => items.some((item) => item.kind === kind);
  const stateOfEvent = new Map<string, RunRecord['state']>();
  if (has('request')) {
    for await (const { record } of deps.runs.list()) stateOfEvent.set(record.eventId, record.state);
  }
  const references = has('object') ? await collectReferences(deps.runs, deps.storage) : undefined;
  return { references, stateOfEvent };
}

/**
 * Takes what a report marked, each item re-decided right before on fresh facts, blobs only in the version that was seen.
 * Killed anywhere, the same report (or the next mark) goes on where it stood: each act is repeatable.
 */
export async function sweep(
  deps: SweepDeps,
  policy: SweepPolicy,
  report: SweepReport,
  options: { readonly approved: boolean; readonly signal: AbortSignal },
): Promise<SweepOutcome> {
  if (report.policyHash !== policyHashOf(policy)) {
    return { outcome: 'refused', reason: 'the policy changed since the report: mark again' };
  }
  const refusal = refuseSweep(report, policy, deps.clock.now(), options.approved);
  if (refusal !== undefined) return { outcome: 'refused', reason: refusal };
  const acts: SweepAct[] = [];
  // Runs first: a swept run lets go of its objects in the next mark, never in this one.
  const order = ['run', 'job', 'run-container', 'request', 'dead-letter', 'object'];
  const items = [...report.items].sort((a, b) => order.indexOf(a.kind) - order.indexOf(b.kind));
  const knowledge = await gatherKnowledge(deps, items);
  for (const item of items) {
    if (options.signal.aborted) return { outcome: 'stopped', acts };
    // One thing that cannot be taken (a lease, a legal hold) must not keep the rest for ever.
    const act = await takeOne(deps, policy, item, knowledge).catch((error: unknown): SweepAct => ({
      kind: item.kind,
      id: item.id,
      outcome: 'failed',
      reason: error instanceof Error ? error.message : String(error),
    }));
    acts.push(act);
    await deps.ledger.audit({
      at: deps.clock.now().toISOString(),
      reportId: report.reportId,
      kind: act.kind,
      id: act.id,
      rule: item.rule,
      outcome: act.outcome,
      reason: act.reason,
      bytes: item.bytes,
    });
    deps.logger.info({ reportId: report.reportId, ...act, rule: item.rule }, 'sweep act');
  }
  return { outcome: 'done', acts };
}

async function takeOne(
  deps: SweepDeps,
  policy: SweepPolicy,
  item: MarkedItem,
  knowledge: Knowledge,
): Promise<SweepAct> {
  switch (item.kind) {
    case 'run':
      return takeRun(deps, policy, item);
    case 'run-container':
      return takeContainer(deps, policy, item);
    case 'job':
      return takeJob(deps, policy, item);
    case 'object':
    case 'request':
    case 'dead-letter':
      return takeBlob(deps, policy, item, item.kind, knowledge);
  }
}

const act = (item: MarkedItem, outcome: SweepAct['outcome'], reason: string): SweepAct => ({
  kind: item.kind,
  id: item.id,
  outcome,
  reason,
});

/** `sweeping` by compare-and-swap → jobs → container → tombstone. Whoever else writes the record sees the state first. */
async function takeRun(deps: SweepDeps, policy: SweepPolicy, item: MarkedItem): Promise<SweepAct> {
  const { runs, storage, batch, clock } = deps;
  const found = await runs.get(item.id);
  if (found === undefined) return act(item, 'already-gone', 'no-run-record');
  const pinned = await runs.isPinned(item.id);
  const published = found.record.state !== 'done' || (await storage.hasPublishedResult(item.id));
  const current: SweepItem = { kind: 'run', id: item.id, record: found.record, pinned, published };
  const facts: SweepFacts = { runState: found.record.state, runPinned: pinned, referenced: false };
  const verdict = decide(current, facts, policy, clock.now());
  if (verdict.verdict === 'keep') return act(item, 'skipped', verdict.reason);
  const step = (record: RunRecord, state: 'sweeping' | 'swept'): RunRecord => ({
    ...record,
    state,
    updatedAt: clock.now().toISOString(),
    version: record.version + 1,
  });
  if (found.record.state !== 'sweeping' && !(await runs.replace(step(found.record, 'sweeping'), found.etag))) {
    return act(item, 'skipped', 'record-changed');
  }
  // A pin does not change the record, so it is asked again once nobody else can begin.
  const swept = await runs.get(item.id);
  if (swept !== undefined && found.record.state !== 'sweeping' && (await runs.isPinned(item.id))) {
    await runs.replace({ ...found.record, version: swept.record.version + 1 }, swept.etag);
    return act(item, 'skipped', 'pinned');
  }
  for (const { jobId } of found.record.attempts) await batch.deleteJob(jobId);
  await storage.deleteRunContainer(runContainerOf(item.id));
  const after = await runs.get(item.id);
  if (after?.record.state !== 'sweeping') return act(item, 'skipped', 'record-changed-while-sweeping');
  return (await runs.replace(step(after.record, 'swept'), after.etag))
    ? act(item, 'swept', verdict.reason)
    : act(item, 'skipped', 'record-changed-while-sweeping');
}

async function takeContainer(deps: SweepDeps, policy: SweepPolicy, item: MarkedItem): Promise<SweepAct> {
  const found = await deps.storage.headRunContainer(item.id);
  const runId = runIdOfContainer(item.id);
  if (found === undefined || runId === undefined) return act(item, 'already-gone', 'absent');
  const lastModified = found.lastModified.toISOString();
  const current: SweepItem = { kind: 'run-container', id: item.id, runId, lastModified };
  const verdict = decide(current, await runFacts(deps.runs, runId), policy, deps.clock.now());
  if (verdict.verdict === 'keep') return act(item, 'skipped', verdict.reason);
  const deleted = await deps.storage.deleteRunContainer(item.id);
  return act(item, deleted ? 'swept' : 'already-gone', verdict.reason);
}

async function takeJob(deps: SweepDeps, policy: SweepPolicy, item: MarkedItem): Promise<SweepAct> {
  const found = await deps.batch.getJob(item.id);
  const owner = parseJobId(item.id);
  if (found === undefined || owner === undefined) return act(item, 'already-gone', 'absent');
  const { state, since } = found;
  const current: SweepItem = { kind: 'job', id: item.id, runId: owner.runId, state, since: since.toISOString() };
  const verdict = decide(current, await runFacts(deps.runs, owner.runId), policy, deps.clock.now());
  if (verdict.verdict === 'keep') return act(item, 'skipped', verdict.reason);
  const outcome = await deps.batch.deleteJob(item.id);
  return act(item, outcome === 'deleted' ? 'swept' : 'already-gone', verdict.reason);
}

async function takeBlob(
  deps: SweepDeps,
  policy: SweepPolicy,
  item: MarkedItem,
  kind: SweepBlobKind,
  knowledge: Knowledge,
): Promise<SweepAct> {
  const blobs = deps.storage.blobs[kind];
  const facts = await blobs.head(item.id);
  if (facts === undefined) return act(item, 'already-gone', 'absent');
  if (facts.etag !== item.etag) return act(item, 'skipped', 'changed-since-report');
  const current: SweepItem = {
    kind,
    id: item.id,
    size: facts.size,
    etag: facts.etag,
    lastModified: facts.lastModified.toISOString(),
  };
  const runState = kind === 'request' ? (knowledge.stateOfEvent.get(item.id.replace(/\.json$/, '')) ?? 'none') : 'none';
  const referenced = kind === 'object' && (knowledge.references?.has(item.id) ?? true);
  const verdict = decide(current, { runState, runPinned: false, referenced }, policy, deps.clock.now());
  if (verdict.verdict === 'keep') return act(item, 'skipped', verdict.reason);
  const outcome = await blobs.delete(item.id, facts.etag);
  if (outcome === 'changed') return act(item, 'skipped', 'changed-since-report');
  return act(item, outcome === 'deleted' ? 'swept' : 'already-gone', verdict.reason);
}
