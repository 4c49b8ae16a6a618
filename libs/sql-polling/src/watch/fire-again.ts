import type { ChangeReader } from './change.ts';
import { DefinitionStateError } from './errors.ts';
import { isAskedAgain } from './news.ts';
import type { Cursor, DetectionStore, KnownRow, LeadRecord, Stored } from './state.ts';

export interface FireAgainOptions {
  readonly store: DetectionStore;
  readonly reader: ChangeReader;
  readonly definition: { readonly name: string };
  readonly fingerprint: string;
}

const writesAtOnce = 16;
/** A leader renews and moves the cursor meanwhile: each costs one of these. */
const leadTries = 20;

/**
 * See `WatchSource.backfill`. The hash of each chosen row is forgotten, so that whatever it says is news; then the lead is
 * taken away with a cursor that reads everything, which the next poll of any process finds. Ended in between, the rows
 * still say that they were asked for, and asking again goes on.
 */
export async function fireAgain(
  options: FireAgainOptions,
  which: (row: KnownRow) => boolean,
  dryRun: boolean,
): Promise<readonly KnownRow[]> {
  const { store, definition } = options;
  if (!dryRun) await readLead(options);
  const chosen: KnownRow[] = [];
  let some: Stored<KnownRow>[] = [];
  const markSome = async (): Promise<void> => {
    const marked = dryRun
      ? some.map(({ value }) => value)
      : await Promise.all(some.map((row) => mark(options, row, which)));
    chosen.push(...marked.flatMap((row) => row ?? []));
    some = [];
  };
  for await (const row of store.listRows(definition.name)) {
    if (which(row.value)) some.push(row);
    if (some.length >= writesAtOnce) await markSome();
  }
  await markSome();
  if (!dryRun && chosen.length > 0) await readAll(options);
  return chosen;
}

/** The row as it was; undefined when it is none of the chosen any more. */
async function mark(
  { store, definition: { name } }: FireAgainOptions,
  found: Stored<KnownRow>,
  which: (row: KnownRow) => boolean,
): Promise<KnownRow | undefined> {
  for (let row: Stored<KnownRow> | undefined = found; row !== undefined && which(row.value);) {
    const { value, etag }: Stored<KnownRow> = row;
    if (isAskedAgain(value)) return value;
    const again: KnownRow = { ...value, state: 'gone', hash: '', attempts: 0, reason: null };
    if ((await store.writeRow(name, again, etag)) !== undefined) return value;
    row = (await store.readRows(name, [value.key])).get(value.key);
  }
  return undefined;
}

async function readAll(options: FireAgainOptions): Promise<void> {
  const { store, reader, definition } = options;
  const { scan } = await reader.begin();
  for (let tries = 0; tries < leadTries; tries += 1) {
    const { value, etag } = await readLead(options);
    const { cursor } = value;
    const again: Cursor = {
      ...cursor,
      phase: 'scan',
      position: scan,
      // What was deleted since lies behind the cursor, and only there.
      followFrom: cursor.phase === 'follow' ? cursor.position : cursor.followFrom,
      // A new incarnation: the same content must not fall under the event that was published for it before.
      incarnation: cursor.incarnation + 1,
    };
    const record: LeadRecord = { ...value, leader: null, cursor: again };
    if ((await store.writeLead(definition.name, record, etag)) !== undefined) return;
  }
  throw new DefinitionStateError(definition.name, 'its cursor moved all the time: ask again, nothing is lost');
}

/** @throws DefinitionStateError where reading everything would fire what was there before the start */
async function readLead({ store, definition, fingerprint }: FireAgainOptions): Promise<Stored<LeadRecord>> {
  const lead = await store.readLead(definition.name);
  if (lead === undefined)
    throw new DefinitionStateError(definition.name, 'has not begun yet: there is nothing to fill');
  const { phase, fingerprint: known } = lead.value.cursor;
  if (phase === 'baseline' || phase === 'adopt' || known !== fingerprint) {
    const why = known === fingerprint ? 'is still being read for the first time' : 'changed and was not polled since';
    throw new DefinitionStateError(definition.name, `${why}: ask again when status says follow`);
  }
  return lead;
}
