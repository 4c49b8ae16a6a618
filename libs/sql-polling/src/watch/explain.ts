import type { WatchDefinition } from '../definition/schema.ts';
import type { RowState } from '../outbox/row-state.ts';
import type { Change, ChangeReader } from './change.ts';
import { isNews, versionOf } from './news.ts';
import type { Cursor, DetectionStore, KnownRow } from './state.ts';

type Verdict = Pick<RowState, 'state' | 'detail'>;

function verdictOn(change: Change, known: KnownRow | undefined, cursor: Cursor, maxAttempts: number): Verdict {
  if (cursor.phase === 'baseline') {
    return { state: 'known', detail: 'was there before the start: it fires when it changes (start: now)' };
  }
  if (isNews(change, known, cursor.phase)) {
    const attempt = known?.state === 'failing' ? known.attempts + 1 : 1;
    const before = known?.state === 'failing' ? `; last error: ${known.reason ?? ''}` : '';
    return { state: 'due', detail: `attempt ${attempt} of ${maxAttempts}${before}` };
  }
  if (known?.state === 'poison') return { state: 'poison', detail: known.reason ?? '' };
  const since = known?.state === 'baseline' ? 'was there before the start' : `is published as ${known?.eventId ?? ''}`;
  return { state: 'known', detail: `${since}, and nothing that the definition maps has changed since` };
}

/**
 * What the next poll would make of rows, without touching anything: those behind the cursor first, then the others from the
 * table's beginning, `limit` in all.
 *
 * @throws SqlError, ValueError, and what the store throws
 */
export async function explainWatch(
  {
    definition,
    reader,
    store,
    fingerprint,
  }: { definition: WatchDefinition; reader: ChangeReader; store: DetectionStore; fingerprint: string },
  fresh: () => Promise<Cursor>,
  limit: number,
): Promise<readonly RowState[]> {
  const stored = (await store.readLead(definition.name))?.value.cursor ?? (await fresh());
  // A changed definition's cursor is none of the reader's: the next poll reads everything.
  const isChanged = stored.fingerprint !== fingerprint;
  const cursor: Cursor = isChanged && stored.phase !== 'baseline' ? { ...stored, phase: 'adopt' } : stored;
  const states = new Map<string, RowState>();
  const add = async (changes: readonly Change[], phase: Cursor['phase']): Promise<void> => {
    const known = await store.readRows(
      definition.name,
      changes.map(({ key }) => key),
    );
    for (const change of changes) {
      if (states.has(change.key) || states.size >= limit) continue;
      const before = known.get(change.key)?.value;
      const { version } = versionOf(change, before, cursor);
      const verdict = verdictOn(change, before, { ...cursor, phase }, definition.maxAttempts);
      states.set(change.key, {
        requestId: change.key,
        ...verdict,
        row: change.row,
        version: before?.state === 'published' && verdict.state === 'known' ? before.version : version,
      });
    }
  };
  if (!isChanged) {
    const page = await reader.follow(cursor.phase === 'follow' ? cursor.position : cursor.followFrom, limit);
    if (page.outcome === 'page' && !page.whole) await add(page.changes, 'follow');
  }
  let { scan } = await reader.begin();
  while (states.size < limit) {
    const page = await reader.scan(scan, limit);
    await add(page.changes, cursor.phase);
    if (!page.more) break;
    scan = page.position;
  }
  return [...states.values()];
}
