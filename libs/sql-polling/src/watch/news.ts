import { requestKeyOf, type Change } from './change.ts';
import type { Cursor, KnownRow } from './state.ts';

/** A change with the version that its event is named by. */
export interface VersionedChange extends Change {
  readonly version: string;
}

/**
 * The version of a change. It stands for one content: in `query` mode the count of the key's changes with the content's
 * hash, else the mode's stamp within one life of the database.
 */
export function versionOf(change: Change, known: KnownRow | undefined, { incarnation }: Cursor): VersionedChange {
  // What is being tried keeps its version, also when the row was written again as it was.
  if (known?.state === 'failing' && known.hash === change.hash) return { ...change, version: known.version };
  if (change.stamp !== null) return { ...change, version: `i${incarnation}.${change.stamp}` };
  const generation = (known?.generation ?? 0) + 1;
  return { ...change, version: `g${generation}.${change.hash.slice(0, 16)}` };
}

/** Asked for once more by a person, and not taken up yet. */
export function isAskedAgain({ state, hash }: KnownRow): boolean {
  return state === 'gone' && hash === '';
}

/**
 * Whether a change asks for anything. What is already known with this content does not, whatever its version: an update
 * that touches nothing the definition maps, a table that was emptied and filled again, a second reading after a gap.
 * When the definition changed (`adopt`), only keys that nobody has seen do: a new mapping must not fire all that ever was.
 */
export function isNews(change: Change, known: KnownRow | undefined, phase: Cursor['phase']): boolean {
  if (known === undefined) return true;
  if (phase === 'adopt') return known.state === 'failing' || isAskedAgain(known);
  if (known.hash !== change.hash) return true;
  return known.state === 'failing' || known.state === 'gone';
}

/** What is remembered once a change was handled, or tried. */
export function remembered(
  change: VersionedChange,
  before: KnownRow | undefined,
  now: Pick<KnownRow, 'state'> & Partial<Pick<KnownRow, 'attempts' | 'eventId' | 'reason'>>,
): KnownRow {
  const isAgain = before?.version === change.version;
  return {
    key: change.key,
    requestKey: requestKeyOf(change.row),
    version: change.version,
    hash: change.hash,
    state: now.state,
    generation: isAgain ? before.generation : (before?.generation ?? 0) + 1,
    attempts: now.attempts ?? 0,
    eventId: now.eventId ?? null,
    reason: now.reason ?? null,
  };
}
