import { isLive } from '@xva/contracts';
import { few } from './few.ts';
import type { PinSet } from './graph.ts';
import { eventIdOf, isForPinned, runFacts } from './inventory.ts';
import { placeOf, type BlobPlace, type MarkedItem } from './items.ts';
import type { SweepDeps } from './ports.ts';
import { putInQuarantine, quarantineModeOf } from './quarantine.ts';
import { actOf, failedAct, type SweepAct, type Taking } from './sweep.ts';

/** As many as one request to Storage takes. */
const chunkItems = 256;
const chunksInFlight = 4;

/** A blob's name in its container: the ids of some kinds carry the container too. */
export function nameOf(item: MarkedItem, place: BlobPlace): string {
  const prefix = `${place.container}/`;
  return item.place !== undefined && item.id.startsWith(prefix) ? item.id.slice(prefix.length) : item.id;
}

/**
 * Why a marked blob must stay after all, or undefined. Its own facts need no second look: it goes only in the version that
 * was judged, and Storage itself refuses at that moment what is leased, held or immutable.
 */
async function keptAfterAll(
  { deps, policy, graph, pins }: Taking,
  item: MarkedItem,
  place: BlobPlace,
): Promise<string | undefined> {
  const name = nameOf(item, place);
  if (pins.has('blob', `${place.container}/${name}`)) return 'pinned';
  if (item.kind === 'quarantined') return (await isCopyOfPinned(deps, pins, item, place)) ? 'pinned' : undefined;
  if (pins.has('run', item.runId)) return 'pinned';
  if (item.kind === 'object') return graph.isReferenced(name) ? 'referenced' : undefined;
  if (item.kind === 'dead-letter') return undefined;
  if (item.kind === 'request' && graph.keepsEvent(eventIdOf(name) ?? '')) return 'run-kept';
  if (item.runId === undefined) return undefined;
  const { runState, pinned } = await runFacts(deps, item.runId);
  if (pinned) return 'pinned';
  switch (item.kind) {
    case 'request':
      return runState === 'none' || runState === 'swept' ? undefined : 'run-kept';
    case 'result':
      return runState === 'swept' ? undefined : 'run-kept';
    case 'log':
      return runState !== 'none' && isLive(runState) ? `live-${runState}` : undefined;
    default: {
      const rule = policy.blobs.find(({ name: known }) => item.rule === `blobs.${known}`);
      if (rule === undefined) return 'rule-gone';
      if (runState !== 'none' && isLive(runState)) return `live-${runState}`;
      const states: readonly string[] | undefined = rule.runStates;
      return states === undefined || states.includes(runState) ? undefined : `run-${runState}`;
    }
  }
}

/** Copies are many and pins few: a copy's labels are read only where a pin could be meant. */
async function isCopyOfPinned(deps: SweepDeps, pins: PinSet, item: MarkedItem, place: BlobPlace): Promise<boolean> {
  if (!pins.hasBlobs && !pins.has('run', item.runId)) return false;
  const found = await deps.storage.head(place, item.id);
  return found !== undefined && isForPinned(deps, pins, found.metadata);
}

/** Marked blobs, many with one request, each only in the version that was seen; outcomes in the order given. */
export async function takeBlobs(taking: Taking, items: readonly MarkedItem[]): Promise<readonly SweepAct[]> {
  const acts = new Map<MarkedItem, SweepAct>();
  const groups = new Map<string, { place: BlobPlace; items: MarkedItem[] }>();
  for (const item of items) {
    const place = placeOf(item);
    if (place === undefined) acts.set(item, actOf(item, 'failed', 'the report does not say where it lies'));
    else {
      const key = `${place.account} ${place.container} ${item.kind}`;
      const group = groups.get(key) ?? { place, items: [] };
      group.items.push(item);
      groups.set(key, group);
    }
  }
  const chunks = [...groups.values()].flatMap(({ place, items: all }) =>
    Array.from({ length: Math.ceil(all.length / chunkItems) }, (_unused, index) => ({
      place,
      some: all.slice(index * chunkItems, (index + 1) * chunkItems),
    })),
  );
  await few(chunks, chunksInFlight, async ({ place, some }) => {
    const found = await takeChunk(taking, place, some);
    some.forEach((item, index) => acts.set(item, found[index] ?? actOf(item, 'failed', 'no outcome')));
  });
  return items.map((item) => acts.get(item) ?? actOf(item, 'failed', 'no outcome'));
}

async function takeChunk(taking: Taking, place: BlobPlace, items: readonly MarkedItem[]): Promise<readonly SweepAct[]> {
  const { deps } = taking;
  const acts = new Map<MarkedItem, SweepAct>();
  try {
    const mode = await quarantineModeOf(taking, items[0], place);
    // Not 256 copies at once.
    await few(items, 8, async (item) => {
      const kept = await keptAfterAll(taking, item, place);
      if (kept !== undefined) acts.set(item, actOf(item, 'skipped', kept));
      else if (mode === 'copy') {
        const outcome = await putInQuarantine(taking, item, place, nameOf(item, place));
        if (outcome === 'absent') acts.set(item, actOf(item, 'already-gone', 'absent'));
        if (outcome === 'changed') acts.set(item, actOf(item, 'skipped', 'changed-since-report'));
      }
    });
    deps.crashPoint?.('quarantined');
    const left = items.filter((item) => !acts.has(item));
    const how = { copy: 'quarantined', account: 'soft-deleted', off: 'deleted' }[mode];
    const outcomes = await deps.storage.delete(
      place,
      left.map((item) => ({ name: nameOf(item, place), etag: item.etag ?? '' })),
    );
    deps.crashPoint?.('batch-half-deleted');
    left.forEach((item, index) => {
      const { outcome, detail } = outcomes[index] ?? { outcome: 'failed' as const, detail: 'no outcome' };
      const act = {
        deleted: () => actOf(item, 'swept', item.reason, how),
        absent: () => actOf(item, 'already-gone', 'absent'),
        changed: () => actOf(item, 'skipped', 'changed-since-report'),
        held: () => actOf(item, 'skipped', `held: ${detail}`),
        failed: () => actOf(item, 'failed', detail),
      }[outcome]();
      acts.set(item, act);
    });
  } catch (error) {
    for (const item of items) if (!acts.has(item)) acts.set(item, failedAct(item, error));
  }
  return items.map((item) => acts.get(item) ?? actOf(item, 'failed', 'no outcome'));
}
