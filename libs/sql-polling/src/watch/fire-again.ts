import type { ChangeReader } from './change.ts';
import { LeadLostError } from './lead.ts';
import type { DetectionStore, KnownRow, Stored } from './state.ts';

/**
 * See `WatchSource.fireAgain`. The hash of each chosen row is forgotten, so that whatever it says is news; then the lead is
 * taken away with a cursor that reads everything, which the next poll of any process finds.
 */
export async function fireAgain(
  { store, reader, definition }: { store: DetectionStore; reader: ChangeReader; definition: { readonly name: string } },
  which: (row: KnownRow) => boolean,
  dryRun: boolean,
): Promise<readonly KnownRow[]> {
  const { name } = definition;
  const chosen: Stored<KnownRow>[] = [];
  for await (const row of store.listRows(name)) if (which(row.value)) chosen.push(row);
  if (dryRun || chosen.length === 0) return chosen.map(({ value }) => value);
  const lead = await store.readLead(name);
  if (lead === undefined) throw new LeadLostError(name);
  for (const { value, etag } of chosen) {
    const again: KnownRow = { ...value, state: 'gone', hash: '', attempts: 0, reason: null };
    if ((await store.writeRow(name, again, etag)) === undefined) throw new LeadLostError(name);
  }
  const { cursor } = lead.value;
  const { scan, follow, life } = await reader.begin();
  // A new incarnation: the same content must not fall under the event that was published for it before.
  const again = { ...cursor, phase: 'scan', position: scan, followFrom: follow, life } as const;
  const record = { ...lead.value, leader: null, cursor: { ...again, incarnation: cursor.incarnation + 1 } };
  if ((await store.writeLead(name, record, lead.etag)) === undefined) throw new LeadLostError(name);
  return chosen.map(({ value }) => value);
}
