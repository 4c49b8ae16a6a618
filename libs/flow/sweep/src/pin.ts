import { ledgerContainers, runIdOfContainer, workContainers, type RunRecord } from '@xva/contracts';
import { few } from './few.ts';
import { isRunLog } from './inventory.ts';
import { keptLogs, type BlobPlace } from './items.ts';
import type { SweepPolicy } from './policy.ts';
import type { BlobFactsLike, PinKind, SweepDeps } from './ports.ts';
import { leasedNow, quarantined, quarantinePlace } from './quarantine.ts';

/** What a pin found of what it keeps. `failed` = it could not be made sure of; `detail` says why and what to do. */
export interface Pinned {
  readonly kind: PinKind;
  readonly id: string;
  readonly outcome: 'kept' | 'gone' | 'failed';
  readonly detail: string;
}

/** A blob in a run's container, which goes as a whole: only the run can be pinned. */
export class PinTheRunError extends Error {
  override readonly name = 'PinTheRunError';
  readonly runId: string;
  constructor(blob: string, runId: string) {
    super(`${blob} lies in a run's container, which is kept or goes as a whole: pin ${runId}`);
    this.runId = runId;
  }
}

/**
 * Keeps a thing whatever the policy says. The pin is written first; then what a sweep under way may have decided on before
 * is touched, so that its delete does not match any more (ADR 7). A run keeps all that is left of it: when it was swept,
 * the objects of its package, its results, its request, logs, and its copies in quarantine.
 *
 * @throws PinTheRunError; what pins, records and Storage throw
 */
export async function* pin(
  deps: SweepDeps,
  policy: SweepPolicy,
  wanted: { readonly kind: PinKind; readonly id: string; readonly by: string; readonly reason: string },
): AsyncGenerator<Pinned> {
  const { kind, id, by, reason } = wanted;
  const [container = '', ...rest] = id.split('/');
  const owner = kind === 'blob' ? runIdOfContainer(container) : undefined;
  if (owner !== undefined) throw new PinTheRunError(id, owner);
  await deps.pins.put(kind, id, by, reason);
  deps.crashPoint?.('pin-written');
  if (kind === 'run') yield* keepRun(deps, id);
  else if (kind === 'blob') yield await keepBlob(deps, policy, id, container, rest.join('/'));
  else yield { kind, id, outcome: 'kept', detail: 'pinned' };
}

async function keepBlob(
  deps: SweepDeps,
  policy: SweepPolicy,
  id: string,
  container: string,
  name: string,
): Promise<Pinned> {
  const told = (outcome: Pinned['outcome'], detail: string): Pinned => ({ kind: 'blob', id, outcome, detail });
  // Nobody but their owners may change what lies elsewhere (a checkpoint, say), and no sweep takes it.
  const places = [...takenPlaces, ...policy.blobs].filter((place) => place.container === container);
  if (places.length === 0) return told('kept', 'pinned; no sweep takes anything of that container');
  const outcomes = await Promise.all(
    places.map(({ account, container: of }) => deps.storage.touch({ account, container: of }, name)),
  );
  if (outcomes.includes('leased')) return told('failed', `pinned, but ${leasedNow}`);
  if (outcomes.some((outcome) => outcome !== 'gone')) return told('kept', 'pinned');
  return told('gone', 'pinned, but nothing of that name is there: a sweep may have taken it before (see restore)');
}

/** Where a sweep takes single blobs by its own rules. */
const takenPlaces: readonly BlobPlace[] = [
  { account: 'work', container: workContainers.objects },
  { account: 'work', container: workContainers.requests },
  { account: 'ledger', container: ledgerContainers.results },
  { account: 'ledger', container: ledgerContainers.deadLetters },
  quarantinePlace,
  keptLogs,
];

async function* keepRun(deps: SweepDeps, runId: string): AsyncGenerator<Pinned> {
  const told = (outcome: Pinned['outcome'], detail: string): Pinned => ({ kind: 'run', id: runId, outcome, detail });
  const found = await deps.runs.get(runId);
  if (found === undefined) {
    yield told('gone', 'pinned, but there is no record of it');
    return;
  }
  const { record } = found;
  const leased: string[] = [];
  let kept = 0;
  const touch = async (place: BlobPlace, name: string): Promise<void> => {
    const outcome = await deps.storage.touch(place, name);
    if (outcome === 'leased') leased.push(`${place.container}/${name}`);
    else if (outcome !== 'gone') kept += 1;
  };
  for await (const { place, names } of leftOf(deps, record)) await few(names, 8, (name) => touch(place, name));
  for (const blob of leased) yield { kind: 'blob', id: blob, outcome: 'failed', detail: leasedNow };
  // A sweep that begins after the pin was written sees it; one that had begun says so in the record.
  const state = (await deps.runs.get(runId))?.record.state ?? record.state;
  if (leased.length > 0) yield told('failed', `pinned, but ${leased.length} of its blobs are leased: try again`);
  else if (state === 'swept')
    yield told(
      'kept',
      `pinned; it was swept, and what is left of it stays (${kept} blobs); restore brings back the rest`,
    );
  else if (state === 'sweeping')
    yield told(
      'failed',
      'pinned, but a sweep has begun with it: see with explain whether it was let go, else restore it',
    );
  else yield told('kept', 'pinned');
}

/** What a sweep takes of a run one by one: not its container, for which the record stands. */
async function* leftOf(
  deps: SweepDeps,
  record: RunRecord,
): AsyncGenerator<{ readonly place: BlobPlace; readonly names: readonly string[] }> {
  const { runId, eventId, packageId, state } = record;
  const isSwept = state === 'swept';
  yield { place: { account: 'work', container: workContainers.requests }, names: [`${eventId}.json`] };
  if (isSwept) {
    const objects = (await deps.storage.packageObjects(packageId)) ?? [packageId];
    yield { place: { account: 'work', container: workContainers.objects }, names: objects };
  }
  const pages = async function* (
    place: BlobPlace,
    prefix: string,
    wanted: (blob: BlobFactsLike) => boolean = () => true,
  ) {
    for await (const page of deps.storage.list(place, { prefix, split: 'folders' }))
      yield { place, names: page.filter(wanted).map(({ name }) => name) };
  };
  yield* pages({ account: 'ledger', container: ledgerContainers.results }, `${runId}/`);
  yield* pages(keptLogs, `${runId}/`);
  if (isSwept) {
    for await (const { blob, labels } of quarantined(deps.storage, ''))
      if (labels.container === record.container) yield { place: quarantinePlace, names: [blob.name] };
  } else yield* pages({ account: 'work', container: record.container }, '', ({ name }) => isRunLog(name));
}
