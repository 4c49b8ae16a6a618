import { finalStates, runContainerOf, runIdOfContainer, type RunRecord } from '@xva/contracts';
import { decide } from './decide.ts';
import { sweepingReason } from './graph.ts';
import { isRunLog, runFacts } from './inventory.ts';
import { keptLogs, type MarkedItem, type SweepFacts, type SweepItem } from './items.ts';
import type { ContainerHold } from './ports.ts';
import { forEachBlob, quarantineContainer, quarantineModeOf } from './quarantine.ts';
import { actForEach, actOf, type SweepAct, type Taking } from './sweep.ts';

const inFlight = 8;

/** A run whose record says `sweeping`: nobody else begins anything with it. */
interface Claimed {
  readonly record: RunRecord;
  readonly etag: string;
  readonly reason: string;
}

/** The state before `sweeping`, as the record's reasons tell. */
export function stateBefore(record: RunRecord): 'done' | 'failed' | 'cancelled' {
  const told = record.reasons.findLast(({ code }) => code === sweepingReason)?.message;
  return told === 'done' || told === 'cancelled' ? told : 'failed';
}

export function stepTo(record: RunRecord, state: RunRecord['state'], now: Date, reportId: string): RunRecord {
  const at = now.toISOString();
  const told = state === 'sweeping' ? [{ at, code: sweepingReason, subject: reportId, message: record.state }] : [];
  return { ...record, state, updatedAt: at, version: record.version + 1, reasons: [...record.reasons, ...told] };
}

/**
 * Runs of a page: all records to `sweeping` by compare-and-swap, one wait for whoever read a record just before, then
 * each run's container and jobs, and the tombstone.
 */
export async function takeRuns(taking: Taking, items: readonly MarkedItem[]): Promise<readonly SweepAct[]> {
  const { deps, policy } = taking;
  const claims = new Map<MarkedItem, Claimed>();
  const acts = await actForEach(items, inFlight, async (item) => {
    const claimed = await claim(taking, item);
    if ('record' in claimed) claims.set(item, claimed);
    return 'record' in claimed ? actOf(item, 'failed', 'not taken') : claimed;
  });
  if (claims.size > 0) {
    deps.crashPoint?.('records-sweeping');
    await deps.clock.sleep(policy.settleSeconds * 1000);
  }
  const taken = await actForEach([...claims.keys()], inFlight, async (item) => {
    const claimed = claims.get(item);
    return claimed === undefined ? actOf(item, 'failed', 'not claimed') : takeClaimed(taking, item, claimed);
  });
  const of = new Map([...claims.keys()].map((item, index) => [item, taken[index]]));
  return items.map((item, index) => of.get(item) ?? acts[index] ?? actOf(item, 'failed', 'no outcome'));
}

async function claim(taking: Taking, item: MarkedItem): Promise<Claimed | SweepAct> {
  const { deps, policy, report } = taking;
  const { runs, pins, storage, clock } = deps;
  const found = await runs.get(item.id);
  if (found === undefined) return actOf(item, 'already-gone', 'no-run-record');
  const { record } = found;
  if (record.state === 'swept') return actOf(item, 'already-gone', 'tombstone');
  const pinned = await pins.has('run', item.id);
  const published = record.state !== 'done' || (await storage.hasPublishedResult(item.id));
  // Which runs are the newest of their book was decided over all of them; a run only becomes older.
  const current: SweepItem = { kind: 'run', id: item.id, record, published, newest: false };
  const facts: SweepFacts = { runState: record.state, pinned, referenced: false };
  const verdict = decide(current, facts, policy, clock.now());
  if (verdict.verdict === 'keep') return actOf(item, 'skipped', verdict.reason);
  if (record.state === 'sweeping') return { record, etag: found.etag, reason: verdict.reason };
  if (!(await runs.replace(stepTo(record, 'sweeping', clock.now(), report.reportId), found.etag)))
    return actOf(item, 'skipped', 'record-changed');
  const claimed = await runs.get(item.id);
  if (claimed?.record.state !== 'sweeping') return actOf(item, 'skipped', 'record-changed');
  return { ...claimed, reason: verdict.reason };
}

/**
 * Back to what the run was, as long as nothing of it is gone. Under the container's lease: another sweeper that has looked
 * at the record and is about to delete holds it, and then the run is its. `gone`: its container was deleted before anybody
 * wanted it kept, so that it can only become a tombstone; `restore` brings it back.
 */
async function letGo({ deps, report }: Taking, runId: string): Promise<'let-go' | 'not-ours' | 'gone'> {
  const hold = await deps.storage.holdRunContainer(runContainerOf(runId));
  if (hold === 'absent') return 'gone';
  if (hold === 'leased') return 'not-ours';
  try {
    const now = await deps.runs.get(runId);
    if (now?.record.state !== 'sweeping') return 'not-ours';
    await deps.runs.replace(stepTo(now.record, stateBefore(now.record), deps.clock.now(), report.reportId), now.etag);
    return 'let-go';
  } finally {
    await hold.release();
  }
}

async function takeClaimed(taking: Taking, item: MarkedItem, claimed: Claimed): Promise<SweepAct> {
  const { deps, report } = taking;
  const { runs, pins, storage, batch, clock } = deps;
  // A pin does not change the record, so it is asked again once nobody else can begin.
  if ((await pins.has('run', item.id)) && (await letGo(taking, item.id)) !== 'gone')
    return actOf(item, 'skipped', 'pinned');
  const container = runContainerOf(item.id);
  const hold = await storage.holdRunContainer(container);
  if (hold === 'leased') {
    await letGo(taking, item.id);
    return actOf(item, 'skipped', 'held: container-leased');
  }
  let how = 'deleted';
  if (hold !== 'absent') {
    const kept = await releaseUnlessDeleted(hold, async () => {
      await moveLogsOut(taking, claimed.record);
      if ((await quarantineModeOf(taking, item, { account: 'work', container })) !== 'off') {
        how = `quarantined (${await quarantineContainer(taking, item, container)} blobs)`;
      }
      const now = await runs.get(item.id);
      if (now?.record.state !== 'sweeping') return 'record-changed-while-sweeping';
      // Copying may have taken long.
      if (await pins.has('run', item.id)) return 'pinned';
      deps.crashPoint?.('container-deleting');
      return (await hold.delete()) === 'held' ? 'held: container' : undefined;
    });
    if (kept !== undefined) {
      await letGo(taking, item.id);
      return actOf(item, 'skipped', kept);
    }
  }
  deps.crashPoint?.('job-deleting');
  for (const { jobId } of claimed.record.attempts) if (!(await pins.has('job', jobId))) await batch.deleteJob(jobId);
  const after = await runs.get(item.id);
  if (after?.record.state !== 'sweeping') return actOf(item, 'skipped', 'record-changed-while-sweeping');
  return (await runs.replace(stepTo(after.record, 'swept', clock.now(), report.reportId), after.etag))
    ? actOf(item, 'swept', claimed.reason, how)
    : actOf(item, 'skipped', 'record-changed-while-sweeping');
}

/** Runs what ends in the container's end; if it does not, the lease is given back. */
async function releaseUnlessDeleted(
  hold: ContainerHold,
  work: () => Promise<string | undefined>,
): Promise<string | undefined> {
  let gone = false;
  try {
    const kept = await work();
    gone = kept === undefined;
    return kept;
  } finally {
    if (!gone) await hold.release();
  }
}

/** Logs that must outlive their run go to the ledger before the container goes. */
async function moveLogsOut({ deps, policy }: Taking, record: RunRecord): Promise<void> {
  const { logs, runs } = policy.rules;
  if (logs === undefined || runs === undefined || logs.retainSeconds <= runs.retainSeconds) return;
  const place = { account: 'work', container: record.container } as const;
  await forEachBlob(deps.storage, place, async (blob) => {
    if (!isRunLog(blob.name)) return;
    const metadata = {
      ...blob.metadata,
      xva_class: 'log',
      xva_run_id: record.runId,
      xva_over: record.finishedAt ?? '',
    };
    await deps.storage.copy(place, blob, keptLogs, `${record.runId}/${blob.name}`, metadata);
  });
}

/** A run's container that no record knows. */
export async function takeContainer(taking: Taking, item: MarkedItem): Promise<SweepAct> {
  const { deps, policy } = taking;
  const runId = runIdOfContainer(item.id);
  if (runId === undefined) return actOf(item, 'skipped', 'foreign');
  const judge = async (): Promise<string | undefined> => {
    const found = await deps.storage.headRunContainer(item.id);
    if (found === undefined) return 'absent';
    const { metadata } = found;
    const current: SweepItem = {
      kind: 'run-container',
      id: item.id,
      runId,
      lastModified: found.lastModified.toISOString(),
      metadata,
    };
    const verdict = decide(current, await runFacts(deps, runId), policy, deps.clock.now());
    return verdict.verdict === 'keep' ? verdict.reason : undefined;
  };
  const first = await judge();
  if (first !== undefined) return actOf(item, first === 'absent' ? 'already-gone' : 'skipped', first);
  const hold = await deps.storage.holdRunContainer(item.id);
  if (hold === 'absent') return actOf(item, 'already-gone', 'absent');
  if (hold === 'leased') return actOf(item, 'skipped', 'held: container-leased');
  let how = 'deleted';
  const kept = await releaseUnlessDeleted(hold, async () => {
    if ((await quarantineModeOf(taking, item, { account: 'work', container: item.id })) !== 'off') {
      how = `quarantined (${await quarantineContainer(taking, item, item.id)} blobs)`;
    }
    const { runState, pinned } = await runFacts(deps, runId);
    if (pinned) return 'pinned';
    if (runState !== 'none' && runState !== 'swept')
      return finalStates.has(runState) ? 'owned-by-run-record' : `live-${runState}`;
    deps.crashPoint?.('container-deleting');
    return (await hold.delete()) === 'held' ? 'held: container' : undefined;
  });
  return kept === undefined ? actOf(item, 'swept', item.reason, how) : actOf(item, 'skipped', kept);
}
