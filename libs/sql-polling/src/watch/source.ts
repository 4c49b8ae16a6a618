import { SqlError } from '../client/errors.ts';
import { detailRows } from '../outbox/rows.ts';
import type { Claimed, ClaimResult, ReadResult, ReleaseOptions } from '../outbox/source.ts';
import { detailsBatch } from '../statements/details.ts';
import { ValueError } from '../values.ts';
import type { ChangePage, Gap } from './change.ts';
import { DefinitionStateError } from './errors.ts';
import { WatchInspection, type WatchOptions } from './inspection.ts';
import { RowMemory, type Work } from './memory.ts';
import { isNews, versionOf, type remembered } from './news.ts';
import type { Cursor } from './state.ts';

/** A change that is worked on; `version` names its event. */
export interface ClaimedChange extends Claimed {
  readonly version: string;
}

/** Versions are repeated after a restore: where the database names its life, a position of another life counts for nothing. */
function restoredReason(cursor: Cursor, page: ChangePage): string | undefined {
  const isOther = cursor.life !== null && page.life !== null && cursor.life !== page.life;
  return isOther ? `the database was restored: its recovery fork is ${page.life} and was ${cursor.life}` : undefined;
}

/** Rows that fire nothing are read in larger pages. */
const silentPageRows = 500;

/** Clocks of two machines differ by less. */
const clockToleranceMs = 300_000;

/** Change tracking knows rows by the table's own key, which means nothing in another table or mode. */
function byTrackedKey(fingerprint: string): boolean {
  return fingerprint.startsWith('changeTracking ');
}

/**
 * A table or condition that may only be read, worked off as if it were a queue: the cursor moves over a page once every
 * change on it is remembered as done. Ended anywhere, the next leader reads the page again, and what was published comes
 * out as the same events.
 */
export class WatchSource extends WatchInspection {
  /** By key: what was claimed and is not done. */
  readonly #work = new Map<string, Work>();
  #page: { readonly cursor: Cursor; readonly next: Cursor; readonly more: boolean } | undefined;
  #pageWasEmpty = true;
  /** The first idle page's cursor is written too: a process that lives for one tick only would never move it otherwise. */
  #savedAtMs = -Infinity;
  /** Of the lead, in which all of this was read. */
  #term = 0;
  readonly #memory: RowMemory;

  constructor(options: WatchOptions) {
    super(options);
    this.#memory = new RowMemory(options.store, options.definition.name);
  }

  /**
   * Changes to work on; none while another process leads. In the baseline, all that is read is only remembered, page by
   * page until `stop` is aborted: the next leader goes on where the cursor stands.
   *
   * @throws SqlError, ValueError for a result that cannot be told apart, and what the store throws
   */
  async claim(limit: number, stop?: AbortSignal): Promise<ClaimResult> {
    const none: ClaimResult = { claimed: [], poisoned: [] };
    for (;;) {
      if (stop?.aborted === true) return none;
      const cursor = await this.options.lead.hold(() => this.fresh());
      if (cursor === undefined) {
        this.#forget();
        return none;
      }
      const { term } = this.options.lead;
      if (term !== this.#term) {
        this.#forget();
        this.#term = term;
        this.options.crashPoint?.('lead-taken');
      }
      if (cursor.fingerprint !== this.options.fingerprint) {
        await this.#adopt(cursor);
        continue;
      }
      if (this.#page === undefined) {
        const page = await this.#read(cursor, limit);
        const gap = page.outcome === 'gap' ? page.reason : restoredReason(cursor, page);
        if (page.outcome === 'gap' || gap !== undefined) {
          await this.#readAgain(cursor, gap ?? '');
          continue;
        }
        await this.#take(cursor, page);
        this.options.crashPoint?.('page-read');
      }
      const due = this.#due(limit);
      if (due.length > 0) return this.#begin(due);
      if (this.#work.size > 0) return none;
      if (!(await this.#turnPage())) return none;
    }
  }

  /**
   * The row if it still is what was claimed, and its details, as of one instant. A row that went on since is left to the
   * poll that sees it.
   *
   * @throws SqlError
   */
  async readDetails(claimed: ClaimedChange): Promise<ReadResult> {
    const { definition, reader, runner } = this.options;
    const work = this.#workOf(claimed);
    if (work === undefined) return { outcome: 'lease-lost' };
    const consistency = await this.options.consistency();
    const noted = this.#noted(work);
    noted.catch(() => undefined);
    const { book, asOf, cut, scenario, revision } = claimed.row.fields;
    const text = (value: string | number | boolean | null): string | null => (value === null ? null : String(value));
    const statement = detailsBatch(definition, consistency, reader.own.sql, {
      ...reader.own.parameters,
      requestId: 'bigint',
    });
    try {
      const { resultSets } = await runner.query(
        statement,
        {
          requestId: null,
          book: text(book),
          asOf: text(asOf),
          cut: text(cut),
          scenario: text(scenario),
          revision: Number(revision),
          fixingDays: definition.fixingDays,
          ...Object.fromEntries(Object.entries(work.change.locate).filter(([, value]) => value !== null)),
        },
        { maxRows: definition.maxDetailRows },
      );
      if (!(await noted)) return { outcome: 'lease-lost' };
      const own = reader.ownRow(resultSets[0], work.change);
      if (own === undefined) {
        // What it became since lies behind this page, under a version of its own.
        this.#work.delete(claimed.requestId);
        return { outcome: 'lease-lost' };
      }
      return { outcome: 'read', row: own, details: detailRows(resultSets.slice(1)), consistency };
    } catch (error) {
      if (error instanceof ValueError) return { outcome: 'unreadable', reason: error.message };
      if (error instanceof SqlError && ['ESHAPE', 'ETOOMANYROWS'].includes(error.code)) {
        return { outcome: 'unreadable', reason: error.message };
      }
      throw error;
    }
  }

  /** False when another process leads now. */
  async renew(claimed: ClaimedChange): Promise<boolean> {
    const cursor = await this.options.lead.hold(() => this.fresh());
    return cursor !== undefined && this.options.lead.term === this.#term && this.#workOf(claimed) !== undefined;
  }

  async complete(claimed: ClaimedChange, eventId: string): Promise<boolean> {
    return this.#end(claimed, { state: 'published', eventId });
  }

  async poison(claimed: ClaimedChange, reason: string): Promise<boolean> {
    return this.#end(claimed, { state: 'poison', reason: this.#cut(reason), attempts: claimed.attempts });
  }

  async release(claimed: ClaimedChange, options: ReleaseOptions): Promise<'released' | 'poisoned' | 'lease-lost'> {
    const work = this.#workOf(claimed);
    if (work === undefined) return 'lease-lost';
    if (!(await this.#noted(work))) return 'lease-lost';
    const attempts = claimed.attempts - (options.giveBack ? 1 : 0);
    const reason = this.#cut(options.error ?? work.known?.value.reason ?? '');
    if (attempts >= this.definition.maxAttempts) {
      return (await this.poison(claimed, `attempts used up; ${reason}`)) ? 'poisoned' : 'lease-lost';
    }
    work.restsUntilMs = this.options.monotonicMs() + options.delayMs;
    return (await this.#remember(work, { state: 'failing', attempts, reason })) ? 'released' : 'lease-lost';
  }

  /**
   * Waits until this process leads, or another has been seen to be alive for the length of a lease. For a single pass: a
   * process that starts cannot know how long the leader has been silent.
   */
  async waitForLead(sleep: (ms: number) => Promise<void>, stop?: AbortSignal): Promise<boolean> {
    const { lead, monotonicMs, definition } = this.options;
    const leaseMs = definition.leaseSeconds * 1000;
    for (const startedAtMs = monotonicMs(); ;) {
      if ((await lead.hold(() => this.fresh())) !== undefined) return true;
      if (stop?.aborted === true || monotonicMs() - startedAtMs > leaseMs * 1.5) return false;
      await sleep(leaseMs / 10);
    }
  }

  /** The last tick that was worked off, null before the first; undefined while another process leads. */
  async lastTick(): Promise<Date | null | undefined> {
    const cursor = await this.options.lead.hold(() => this.fresh());
    if (cursor === undefined) return undefined;
    return cursor.tick === null ? null : new Date(cursor.tick);
  }

  /** Notes a tick as worked off, if this process leads and none later was. @throws LeadLostError; what the store throws */
  async tickDone(tick: Date): Promise<void> {
    const cursor = await this.options.lead.hold(() => this.fresh());
    if (cursor === undefined) return;
    const noted = cursor.tick === null ? undefined : new Date(cursor.tick);
    // A clock that ran ahead and was set right would otherwise stop all noting until then.
    const isAhead = noted !== undefined && noted.getTime() - this.options.now().getTime() > clockToleranceMs;
    if (noted !== undefined && noted >= tick && !isAhead) return;
    await this.options.lead.save({ ...cursor, tick: tick.toISOString() });
  }

  /** Lets another process take over at once. */
  async close(): Promise<void> {
    this.#forget();
    await this.options.lead.release();
  }

  /** After a gap everything is read once more; what is known with the same content fires nothing. */
  async #readAgain(cursor: Cursor, reason: string): Promise<void> {
    const { reader, lead, fingerprint, now } = this.options;
    this.#forget();
    const { scan, follow, life } = await reader.begin();
    const gap = { reason, at: now().toISOString() };
    // A baseline that was not through goes on being one.
    const phase = cursor.phase === 'baseline' ? 'baseline' : 'scan';
    const incarnation = cursor.incarnation + 1;
    await lead.save({ ...cursor, phase, position: scan, followFrom: follow, incarnation, life, fingerprint, gap });
    this.options.onGap(reason);
    this.options.crashPoint?.('gap-noted');
  }

  /** Another table or condition under the same name: everything is read, and keys that are known fire nothing. */
  async #adopt(cursor: Cursor): Promise<void> {
    const { reader, lead, fingerprint } = this.options;
    if (byTrackedKey(cursor.fingerprint) || byTrackedKey(fingerprint)) {
      throw new DefinitionStateError(
        this.definition.name,
        `it followed "${cursor.fingerprint}" and now is to follow "${fingerprint}": what was published cannot be told from what is new. Undo the change, or give the definition another name (with start: now, so that what is there fires nothing)`,
      );
    }
    this.#forget();
    const { scan, follow, life } = await reader.begin();
    const phase = cursor.phase === 'baseline' ? 'baseline' : 'adopt';
    const incarnation = cursor.incarnation + 1;
    await lead.save({ ...cursor, phase, position: scan, followFrom: follow, incarnation, life, fingerprint });
  }

  #read(cursor: Cursor, limit: number): Promise<ChangePage | Gap> {
    const { reader } = this.options;
    if (cursor.phase === 'follow') return reader.follow(cursor.position, limit);
    if (cursor.phase === 'scan') return reader.scan(cursor.position, limit);
    // What changes while all is being read must not be taken for what was there: it lies behind `followFrom`.
    return reader.scan(cursor.position, Math.max(limit, silentPageRows), cursor.followFrom);
  }

  /** Decides what on a page is news; in the baseline, remembers it. */
  async #take(cursor: Cursor, page: ChangePage): Promise<void> {
    const known = await this.#memory.of(page);
    this.#work.clear();
    const silent: Work[] = [];
    // A condition asked for an earlier day than before (a tick that was missed) says nothing of what is there now.
    const isEarlier = page.day !== undefined && cursor.day !== null && page.day < cursor.day;
    for (const change of page.changes) {
      const before = known.get(change.key);
      if (isEarlier && before?.value.state === 'gone' && before.value.hash === change.hash) continue;
      if (!isNews(change, before?.value, cursor.phase)) {
        const isOther = before !== undefined && before.value.hash !== change.hash;
        if (isOther) silent.push({ change: versionOf(change, before.value, cursor), known: before, restsUntilMs: 0 });
        continue;
      }
      // Two rows of one page with one key: the later one counts, and its work replaces the earlier's.
      this.#work.set(change.key, { change: versionOf(change, before?.value, cursor), known: before, restsUntilMs: 0 });
    }
    if (cursor.phase === 'baseline') silent.push(...this.#work.values());
    await this.#memory.rememberSilently(silent);
    if (cursor.phase === 'baseline') this.#work.clear();
    const present = new Set(page.changes.map(({ key }) => key));
    const gone = page.whole
      ? [...known.values()].filter(({ value }) => !isEarlier && !present.has(value.key))
      : page.deleted.flatMap((key) => known.get(key) ?? []);
    await this.#memory.markGone(gone);
    const ended = !page.more && cursor.phase !== 'follow';
    const day = isEarlier ? cursor.day : (page.day ?? cursor.day);
    const next: Cursor = ended
      ? { ...cursor, phase: 'follow', position: cursor.followFrom, day }
      : { ...cursor, life: cursor.life ?? page.life, position: page.position, day };
    this.#page = { cursor, next, more: page.more || ended };
  }

  #due(limit: number): readonly Work[] {
    const nowMs = this.options.monotonicMs();
    return [...this.#work.values()].filter(({ restsUntilMs }) => restsUntilMs <= nowMs).slice(0, limit);
  }

  /**
   * Notes that each is being tried before anything is published: a row that goes back to what it was while its event is on
   * the way must not look as if nothing had happened. A first try is noted while its details are read (whoever reads waits
   * for both), a further one before, since its request may be frozen already. What was tried too often is put aside.
   */
  async #begin(due: readonly Work[]): Promise<ClaimResult> {
    const { maxAttempts } = this.definition;
    const begun = await Promise.all(
      due.map(async (work) => {
        const { change, known } = work;
        const before = known?.value.version === change.version ? known.value : undefined;
        const attempts = (before?.attempts ?? 0) + 1;
        if (attempts > maxAttempts) {
          const reason = `attempts used up; ${before?.reason ?? ''}`;
          const kept = await this.#remember(work, { state: 'poison', reason, attempts: maxAttempts });
          if (kept) this.#work.delete(change.key);
          return kept ? { poisoned: { requestId: change.key, reason } } : {};
        }
        const reason = before?.reason ?? 'no worker lived to say why';
        work.noting = this.#remember(work, { state: 'failing', attempts, reason });
        // Whoever takes the claim up hears of it.
        work.noting.catch(() => undefined);
        if (attempts > 1 && !(await this.#noted(work))) return {};
        const { key: requestId, version, row } = change;
        return { claimed: { requestId, leaseToken: version, attempts, row, version } };
      }),
    );
    this.options.crashPoint?.('rows-begun');
    return {
      claimed: begun.flatMap(({ claimed }) => claimed ?? []),
      poisoned: begun.flatMap(({ poisoned }) => poisoned ?? []),
    };
  }

  /** Moves the cursor over the page. Whether there may be more right now. */
  async #turnPage(): Promise<boolean> {
    const page = this.#page;
    if (page === undefined) return false;
    const { lead, monotonicMs } = this.options;
    const { next, cursor: from } = page;
    const moved = next.position !== from.position || next.phase !== from.phase;
    const idle = !page.more && this.#pageWasEmpty && next.day === from.day;
    // An idle table's cursor is written now and then only: what it skips over is cheap to read again.
    if ((moved || next.day !== from.day) && (!idle || monotonicMs() - this.#savedAtMs > 10_000)) {
      const { phase, position, life, day } = next;
      const now = await lead.hold(() => this.fresh());
      if (now === undefined || lead.term !== this.#term) {
        // Another process led since this page was read, and may be elsewhere.
        this.#forget();
        return now !== undefined;
      }
      await lead.save({ ...now, phase, position, life, day });
      this.#savedAtMs = monotonicMs();
      this.options.crashPoint?.('cursor-moved');
    }
    this.#page = undefined;
    this.#pageWasEmpty = true;
    return page.more;
  }

  async #end(
    claimed: ClaimedChange,
    now: Parameters<typeof remembered>[2] & { readonly state: 'published' | 'poison' },
  ): Promise<boolean> {
    const work = this.#workOf(claimed);
    if (work === undefined || !(await this.#noted(work)) || !(await this.#remember(work, now))) return false;
    this.#work.delete(claimed.requestId);
    this.#pageWasEmpty = false;
    this.options.crashPoint?.('row-remembered');
    return true;
  }

  /** Once it is known in the store that the work is being tried. @throws what the store threw */
  async #noted(work: Work): Promise<boolean> {
    try {
      return (await work.noting) ?? true;
    } finally {
      work.noting = undefined;
    }
  }

  async #remember(work: Work, now: Parameters<typeof remembered>[2]): Promise<boolean> {
    const isOurs = await this.#memory.remember(work, now);
    if (!isOurs) this.#forget();
    return isOurs;
  }

  /** The work while the claim is of this very change. */
  #workOf(claimed: ClaimedChange): Work | undefined {
    const work = this.#work.get(claimed.requestId);
    return work?.change.version === claimed.version ? work : undefined;
  }

  #forget(): void {
    this.#work.clear();
    this.#page = undefined;
    this.#memory.forget();
  }

  #cut(text: string): string {
    return text.slice(0, this.definition.lastErrorLength);
  }
}
