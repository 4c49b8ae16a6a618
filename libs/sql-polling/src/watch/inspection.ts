import { checkReadable, describeConsistency, pingDatabase } from '../checks.ts';
import type { SqlRunner } from '../client/statement.ts';
import type { WatchDefinition } from '../definition/schema.ts';
import type { RowState } from '../outbox/row-state.ts';
import { isInRange, pastOfKnown, type AsOfRange, type PastRow } from '../past.ts';
import type { ReadConsistency } from '../statements/details.ts';
import type { ChangeReader } from './change.ts';
import { explainWatch } from './explain.ts';
import { fireAgain } from './fire-again.ts';
import type { Lead } from './lead.ts';
import { isAskedAgain } from './news.ts';
import type { Cursor, DetectionStore, KnownRow } from './state.ts';

export interface WatchOptions {
  readonly runner: SqlRunner;
  readonly definition: WatchDefinition;
  readonly reader: ChangeReader;
  readonly store: DetectionStore;
  readonly lead: Lead;
  /** Identifies table, columns and mapping; a cursor of another one is not gone on from. */
  readonly fingerprint: string;
  readonly consistency: () => Promise<ReadConsistency>;
  readonly now: () => Date;
  /** Milliseconds that only go forward. */
  readonly monotonicMs: () => number;
  readonly onGap: (reason: string) => void;
  readonly crashPoint?: ((point: WatchCrashPoint) => void) | undefined;
}

/** Boundaries between steps of a definition that only reads, where tests end the process. */
export const watchCrashPoints = [
  'lead-taken',
  'gap-noted',
  'page-read',
  'rows-begun',
  'row-remembered',
  'cursor-moved',
] as const;
export type WatchCrashPoint = (typeof watchCrashPoints)[number];

/** What people ask of a definition that only reads; nothing here claims anything. */
export class WatchInspection {
  protected readonly options: WatchOptions;

  constructor(options: WatchOptions) {
    this.options = options;
  }

  get definition(): WatchDefinition {
    return this.options.definition;
  }

  /** What the next poll would make of the rows. Changes nothing. @throws SqlError, ValueError, what the store throws */
  async explain(limit: number): Promise<readonly RowState[]> {
    return explainWatch(this.options, () => this.fresh(), limit);
  }

  /** The database's name, when it answers. @throws SqlError */
  async ping(): Promise<string> {
    return pingDatabase(this.options.runner);
  }

  /** The mode's own reading works, and every detail table and column can be read. @throws SqlError naming what is not so */
  async checkRead(): Promise<string> {
    const { runner, definition, reader } = this.options;
    const { scan, follow } = await reader.begin();
    await reader.scan(scan, 1);
    const page = await reader.follow(follow, 1);
    if (page.outcome === 'gap') throw new Error(page.reason);
    return checkReadable(runner, definition);
  }

  /** How details are read. @throws SqlError */
  async checkConsistency(): Promise<string> {
    return describeConsistency(await this.options.consistency());
  }

  /** Where the definition stands. @throws what the store throws */
  async checkState(): Promise<string> {
    const { store } = this.options;
    const record = (await store.readLead(this.definition.name))?.value;
    await store.checkWrite(this.definition.name);
    if (record === undefined) return 'not begun yet, can be written';
    const { phase, gap } = record.cursor;
    const read = gap === null ? '' : `; everything was read again at ${gap.at}: ${gap.reason}`;
    return `${phase}, led by ${record.leader ?? 'nobody'}${read}`;
  }

  /** Rows that were published and lie in the range, in no order. @throws what the store throws */
  async *published(range: AsOfRange): AsyncGenerator<PastRow> {
    for await (const { value } of this.options.store.listRows(this.definition.name)) {
      const past = value.state === 'published' ? pastOfKnown(value) : undefined;
      if (past !== undefined && isInRange(past.requestKey, range)) yield past;
    }
  }

  /**
   * Makes rows of the range fire that were there before the start or were put aside; with `dryRun` only names them. Any
   * process may ask: the leader's next poll does it.
   *
   * @throws DefinitionStateError when the definition has not begun, or is still reading everything; asking twice is safe
   */
  async backfill(range: AsOfRange, dryRun: boolean): Promise<readonly PastRow[]> {
    const chosen = (row: KnownRow): boolean =>
      (row.state === 'baseline' || row.state === 'poison' || isAskedAgain(row)) && isInRange(row.requestKey, range);
    return (await fireAgain(this.options, chosen, dryRun)).flatMap((row) => pastOfKnown(row) ?? []);
  }

  protected async fresh(): Promise<Cursor> {
    const { reader, definition, fingerprint } = this.options;
    const { scan, follow, life } = await reader.begin();
    const phase = definition.start === 'now' ? 'baseline' : 'scan';
    return {
      phase,
      position: scan,
      followFrom: follow,
      incarnation: 1,
      life,
      fingerprint,
      tick: null,
      day: null,
      gap: null,
    };
  }
}
