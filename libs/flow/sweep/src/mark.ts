import { canonicalHash, parseJobId, runIdOfContainer, type RunRecord } from '@xva/contracts';
import type { Clock, Logger } from '@xva/runtime';
import { decide } from './decide.ts';
import type { MarkedItem, SweepFacts, SweepItem, SweepReport, Verdict } from './items.ts';
import type { SweepPolicy } from './policy.ts';
import type { BlobFactsLike, SweepBatch, SweepBlobKind, SweepLedger, SweepRunStore, SweepStorage } from './ports.ts';
import { collectReferences, UnknownReferencesError } from './references.ts';

export interface SweepDeps {
  readonly runs: SweepRunStore;
  readonly storage: SweepStorage;
  readonly batch: SweepBatch;
  readonly ledger: SweepLedger;
  readonly clock: Clock;
  readonly logger: Logger;
}

const noFacts: SweepFacts = { runState: 'none', runPinned: false, referenced: false };

/** State and pin of the run that owns something; `none` when no record exists. */
export async function runFacts(runs: SweepRunStore, runId: string | undefined): Promise<SweepFacts> {
  if (runId === undefined) return noFacts;
  const found = await runs.get(runId);
  return { ...noFacts, runState: found?.record.state ?? 'none', runPinned: await runs.isPinned(runId) };
}

const blobItem = (kind: SweepBlobKind, blob: BlobFactsLike): SweepItem => ({
  kind,
  id: blob.name,
  size: blob.size,
  etag: blob.etag,
  lastModified: blob.lastModified.toISOString(),
});

/** A frozen request's run, by the event id in its name. */
function eventIdOf(blob: string): string | undefined {
  return /^([0-9a-f]{32})\.json$/.exec(blob)?.[1];
}

/** Everything the collector looks at, one by one, each with the facts that decide it. Memory: one fact per run. */
async function* inventory(deps: SweepDeps): AsyncGenerator<{ item: SweepItem; facts: SweepFacts }> {
  const { runs, storage, batch, logger } = deps;
  const stateOfEvent = new Map<string, RunRecord['state']>();
  for await (const { record } of runs.list()) {
    stateOfEvent.set(record.eventId, record.state);
    const pinned = await runs.isPinned(record.runId);
    const published = record.state !== 'done' || (await storage.hasPublishedResult(record.runId));
    yield {
      item: { kind: 'run', id: record.runId, record, pinned, published },
      facts: { runState: record.state, runPinned: pinned, referenced: false },
    };
  }
  for await (const { name, lastModified } of storage.listRunContainers()) {
    const runId = runIdOfContainer(name);
    if (runId === undefined) yield { item: { kind: 'foreign', id: name, where: 'containers' }, facts: noFacts };
    else {
      const item: SweepItem = { kind: 'run-container', id: name, runId, lastModified: lastModified.toISOString() };
      yield { item, facts: await runFacts(runs, runId) };
    }
  }
  for await (const { id, state, since } of batch.listJobs()) {
    const owner = parseJobId(id);
    if (owner === undefined) yield { item: { kind: 'foreign', id, where: 'jobs' }, facts: noFacts };
    else {
      const item: SweepItem = { kind: 'job', id, runId: owner.runId, state, since: since.toISOString() };
      yield { item, facts: await runFacts(runs, owner.runId) };
    }
  }
  try {
    const references = await collectReferences(runs, storage);
    for await (const blob of storage.blobs.object.list()) {
      if (!/^[0-9a-f]{64}$/.test(blob.name)) {
        yield { item: { kind: 'foreign', id: blob.name, where: 'objects' }, facts: noFacts };
      } else yield { item: blobItem('object', blob), facts: { ...noFacts, referenced: references.has(blob.name) } };
    }
  } catch (error) {
    if (!(error instanceof UnknownReferencesError)) throw error;
    logger.warn({ runId: error.runId, packageId: error.packageId }, 'objects are not judged: a manifest is missing');
  }
  for await (const blob of storage.blobs.request.list()) {
    const eventId = eventIdOf(blob.name);
    if (eventId === undefined) yield { item: { kind: 'foreign', id: blob.name, where: 'requests' }, facts: noFacts };
    else {
      yield { item: blobItem('request', blob), facts: { ...noFacts, runState: stateOfEvent.get(eventId) ?? 'none' } };
    }
  }
  for await (const blob of storage.blobs['dead-letter'].list())
    yield { item: blobItem('dead-letter', blob), facts: noFacts };
}

function toMarked(item: SweepItem, verdict: Verdict): MarkedItem {
  if (item.kind === 'foreign' || verdict.rule === null) throw new TypeError('only judged items can be marked');
  const blob = 'etag' in item ? item : undefined;
  return {
    kind: item.kind,
    id: item.id,
    rule: verdict.rule,
    reason: verdict.reason,
    etag: blob?.etag ?? null,
    bytes: blob?.size ?? 0,
  };
}

/** Looks at everything, decides, and stores the report. Takes nothing. */
export async function mark(deps: SweepDeps, policy: SweepPolicy, reportId: string): Promise<SweepReport> {
  const items: MarkedItem[] = [];
  const kept: Record<string, number> = {};
  let looked = 0;
  for await (const { item, facts } of inventory(deps)) {
    looked += 1;
    const verdict = decide(item, facts, policy, deps.clock.now());
    if (verdict.verdict === 'mark') items.push(toMarked(item, verdict));
    else {
      const name = `${item.kind}:${verdict.reason}`;
      kept[name] = (kept[name] ?? 0) + 1;
    }
  }
  const report: SweepReport = {
    schemaVersion: '1.0',
    reportId,
    policy: policy.name,
    policyHash: policyHashOf(policy),
    markedAt: deps.clock.now().toISOString(),
    looked,
    kept,
    totals: { items: items.length, bytes: items.reduce((sum, item) => sum + item.bytes, 0) },
    items,
  };
  await deps.ledger.saveReport(report);
  deps.logger.info({ reportId, looked, marked: items.length, bytes: report.totals.bytes }, 'marked');
  return report;
}

/** A report counts only under the policy that made it. */
export function policyHashOf(policy: SweepPolicy): string {
  return canonicalHash(
    JSON.parse(JSON.stringify(policy, (_key, value: unknown) => (typeof value === 'number' ? String(value) : value))),
  );
}
