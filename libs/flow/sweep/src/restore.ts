import { ledgerContainers, runContainerOf, runIdOfContainer, workContainers } from '@xva/contracts';
import type { BlobPlace, SweepReport } from './items.ts';
import { placeOf } from './items.ts';
import { reportPages } from './mark.ts';
import type { BlobFactsLike, SweepDeps } from './ports.ts';
import { leasedNow, ownMetadata, quarantined, quarantinePlace, type QuarantineLabels } from './quarantine.ts';
import { stateBefore, stepTo } from './take-run.ts';
import { nameOf } from './take-blobs.ts';

/** What is to come back: all that one sweep took, a run with all that it needs, or one blob (`container/name`). */
export type RestoreTarget = { readonly report: SweepReport } | { readonly runId: string } | { readonly blob: string };

export interface Restored {
  readonly kind: 'run' | 'blob';
  readonly id: string;
  /** `there` = it is (again) there with the same content or another, which is left as it is. */
  readonly outcome: 'restored' | 'there' | 'gone' | 'failed';
  readonly detail: string;
}

/**
 * Brings back what a sweep took, as long as quarantine lasts: the same bytes under the same name with the same metadata,
 * younger by its new time of writing. A run comes back with its container, its objects and its former state, and is
 * pinned, so that the next sweep does not take it again; its Batch jobs do not come back.
 */
export async function* restore(deps: SweepDeps, target: RestoreTarget, by: string): AsyncGenerator<Restored> {
  if ('runId' in target) {
    yield* restoreRun(deps, target.runId, by);
    return;
  }
  const prefix = 'report' in target ? `${target.report.reportId}/` : '';
  const runs = new Set<string>();
  for await (const { blob, labels } of quarantined(deps.storage, prefix)) {
    if ('blob' in target && target.blob !== `${labels.container}/${labels.name}`) continue;
    const runId = runIdOfContainer(labels.container);
    // What lay in a run's container comes back with the run.
    if (runId !== undefined && 'report' in target) runs.add(runId);
    else yield await restoreBlob(deps, blob, labels);
  }
  for (const runId of runs) yield* restoreRun(deps, runId, by);
  if ('report' in target) yield* undeleteAll(deps, target.report);
  else if (!target.blob.startsWith(`${ledgerContainers.quarantine}/`)) yield* undeleteOne(deps, target.blob);
}

async function restoreBlob(deps: SweepDeps, blob: BlobFactsLike, labels: QuarantineLabels): Promise<Restored> {
  const { account, container, name } = labels;
  const id = `${container}/${name}`;
  const place: BlobPlace = { account, container };
  // A run's container goes as a whole. Elsewhere what is there may be on a sweep's page: touched, it stays (ADR 7).
  const there =
    runIdOfContainer(container) === undefined
      ? await deps.storage.touch(place, name)
      : (await deps.storage.head(place, name)) === undefined
        ? 'gone'
        : 'touched';
  if (there === 'leased') return { kind: 'blob', id, outcome: 'failed', detail: leasedNow };
  if (there !== 'gone') return { kind: 'blob', id, outcome: 'there', detail: 'a blob of that name is there' };
  const outcome = await deps.storage.copy(quarantinePlace, blob, place, name, ownMetadata(blob.metadata));
  return outcome === 'copied'
    ? { kind: 'blob', id, outcome: 'restored', detail: `from ${blob.name}` }
    : { kind: 'blob', id, outcome: 'gone', detail: 'the copy is no longer in quarantine' };
}

/** What the account itself kept (soft delete). */
async function* undeleteAll(deps: SweepDeps, report: SweepReport): AsyncGenerator<Restored> {
  for await (const items of reportPages(deps.ledger, report)) {
    for (const item of items) {
      const place = placeOf(item);
      if (place === undefined || item.kind === 'quarantined') continue;
      const name = nameOf(item, place);
      if ((await deps.storage.head(place, name)) !== undefined) continue;
      if (!(await deps.storage.undelete(place, name))) continue;
      await deps.storage.touch(place, name);
      yield { kind: 'blob', id: `${place.container}/${name}`, outcome: 'restored', detail: 'undeleted' };
    }
  }
}

async function* undeleteOne(deps: SweepDeps, blob: string): AsyncGenerator<Restored> {
  const [container = '', ...rest] = blob.split('/');
  const name = rest.join('/');
  for (const account of ['work', 'ledger'] as const) {
    const place: BlobPlace = { account, container };
    if (name === '' || (await deps.storage.head(place, name)) !== undefined) continue;
    if (!(await deps.storage.undelete(place, name))) continue;
    await deps.storage.touch(place, name);
    yield { kind: 'blob', id: blob, outcome: 'restored', detail: 'undeleted' };
  }
}

/**
 * Makes sure of every part of the run's package: what is there is touched, so that a sweep under way, which decided before,
 * leaves it (ADR 7); what is missing is looked for in quarantine, and where the account keeps deleted blobs, and touched too.
 * `failed` = it cannot be touched now, although a sweep could delete it later.
 */
async function* restoreObjects(deps: SweepDeps, packageId: string): AsyncGenerator<Restored> {
  const place: BlobPlace = { account: 'work', container: workContainers.objects };
  const told = (name: string, outcome: Restored['outcome'], detail: string): Restored => ({
    kind: 'blob',
    id: `${place.container}/${name}`,
    outcome,
    detail,
  });
  const leased = new Set<string>();
  const missingOf = async (names: Iterable<string>): Promise<Set<string>> => {
    const missing = new Set<string>();
    for (const name of names) {
      const outcome = await deps.storage.touch(place, name);
      if (outcome === 'gone') missing.add(name);
      if (outcome === 'leased') leased.add(name);
      else leased.delete(name);
    }
    return missing;
  };
  const bring = async function* (names: ReadonlySet<string>): AsyncGenerator<Restored> {
    const wanted = new Set(names);
    for (const name of names) {
      if (!(await deps.storage.undelete(place, name))) continue;
      wanted.delete(name);
      yield told(name, 'restored', 'undeleted');
    }
    if (wanted.size === 0) return;
    for await (const { blob, labels } of quarantined(deps.storage, '')) {
      if (labels.container !== place.container || !wanted.delete(labels.name)) continue;
      yield await restoreBlob(deps, blob, labels);
    }
  };
  yield* bring(await missingOf([packageId]));
  const objects = await deps.storage.packageObjects(packageId);
  if (objects === undefined) {
    yield told(packageId, 'gone', 'the manifest is nowhere: the run comes back without its package');
    return;
  }
  const missing = await missingOf(objects);
  yield* bring(missing);
  for (const name of await missingOf(missing)) yield told(name, 'gone', 'is neither there nor in quarantine');
  for (const name of leased) yield told(name, 'failed', leasedNow);
}

async function* restoreRun(deps: SweepDeps, runId: string, by: string): AsyncGenerator<Restored> {
  const fail = (outcome: Restored['outcome'], detail: string): Restored => ({
    kind: 'run',
    id: runId,
    outcome,
    detail,
  });
  const found = await deps.runs.get(runId);
  if (found !== undefined && found.record.state !== 'swept' && found.record.state !== 'sweeping') {
    yield fail('there', `its record says ${found.record.state}`);
    return;
  }
  const there = await deps.storage.headRunContainer(runContainerOf(runId));
  if (found?.record.state === 'sweeping' && there !== undefined) {
    yield fail(
      'failed',
      'a sweep has begun with it and its container is still there: pin it, the next sweep lets it go',
    );
    return;
  }
  // Pinned first: a sweep that goes on meanwhile stops at it.
  if (found !== undefined) await deps.pins.put('run', runId, by, 'restored from quarantine');
  // A sweep that was killed left it half way. It is over before anything comes back: nobody must take the new container for the old.
  if (found?.record.state === 'sweeping') {
    const over = stepTo(found.record, 'swept', deps.clock.now(), '');
    if (!(await deps.runs.replace(over, found.etag))) {
      yield fail('failed', 'its record changed meanwhile: try again');
      return;
    }
  }
  const container = runContainerOf(runId);
  const copies: { blob: BlobFactsLike; labels: QuarantineLabels }[] = [];
  let latest = '';
  for await (const one of quarantined(deps.storage, '')) {
    if (one.labels.container !== container) continue;
    copies.push(one);
    if (one.labels.reportId > latest) latest = one.labels.reportId;
  }
  if (copies.length === 0) {
    yield fail('gone', 'nothing of it is in quarantine');
    return;
  }
  const labels = { xva_class: 'bundle', xva_run_id: runId };
  if (!(await deps.storage.makeRunContainer(container, labels))) {
    yield fail('failed', `container ${container} is still being deleted: try again in a minute`);
    return;
  }
  let vanished = 0;
  for (const { blob, labels: from } of copies) {
    if (from.reportId !== latest) continue;
    const one = await restoreBlob(deps, blob, from);
    if (one.outcome === 'gone') vanished += 1;
    yield one;
  }
  if (vanished > 0) {
    yield fail(
      'failed',
      `${vanished} of its blobs left quarantine meanwhile: it stays swept, what came back is pinned`,
    );
    return;
  }
  if (found === undefined) {
    yield fail('restored', 'its container only: no record knows it');
    return;
  }
  for await (const one of restoreObjects(deps, found.record.packageId)) {
    yield one;
    if (one.outcome !== 'failed') continue;
    yield fail('failed', `${one.id}: ${one.detail}`);
    return;
  }
  const now = await deps.runs.get(runId);
  // Another restore may have been quicker, and the run gone on since.
  if (now?.record.state !== 'swept') {
    yield fail('there', `its record says ${now?.record.state ?? 'nothing'} by now`);
    return;
  }
  const before = stateBefore(now.record);
  if (!(await deps.runs.replace(stepTo(now.record, before, deps.clock.now(), latest), now.etag))) {
    yield fail('failed', 'its record changed meanwhile: try again');
    return;
  }
  // Who marked before the record said so may have taken what was touched long ago: from now on nobody calls it unreferenced.
  let failed: Restored | undefined;
  for await (const one of restoreObjects(deps, now.record.packageId)) {
    if (one.outcome === 'failed') failed = one;
    yield one;
  }
  yield failed === undefined
    ? fail('restored', `${before} again, and pinned`)
    : fail('failed', `${before} again, and pinned, but ${failed.id}: ${failed.detail}`);
}
