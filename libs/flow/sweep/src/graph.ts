import type { RunRecord } from '@xva/contracts';
import { CompactSet } from './compact-set.ts';
import type { PinKind, SweepDeps, SweepPins } from './ports.ts';

/** The reasons in a record that tell what it was before the collector took it. */
export const sweepingReason = 'sweeping';

/**
 * What the run records need of the rest: which objects their packages name, which events they came from. Grows by what
 * was recorded since, never shrinks while a sweep lasts: a thing once needed stays needed until the next look.
 */
export class RunGraph {
  readonly #deps: Pick<SweepDeps, 'runs' | 'storage' | 'clock'>;
  readonly #objects = new CompactSet();
  readonly #packages = new CompactSet();
  readonly #events = new CompactSet();
  /** Runs whose manifest is gone: as long as there is one, no object can be called unreferenced. */
  readonly #blind: { readonly runId: string; readonly packageId: string }[] = [];
  /** Runs whose pins have been followed: what is once in here stays. */
  readonly #pinned = new Set<string>();
  #lookedAt: Date | undefined;

  constructor(deps: Pick<SweepDeps, 'runs' | 'storage' | 'clock'>) {
    this.#deps = deps;
  }

  get blind(): readonly { readonly runId: string; readonly packageId: string }[] {
    return this.#blind;
  }

  /** Takes a record into account. A swept run needs nothing any more, unless it is pinned. */
  async add(record: RunRecord, pinned = false): Promise<void> {
    const isSwept = record.state === 'swept';
    if (isSwept && !pinned) return;
    this.#events.add(record.eventId);
    if (this.#packages.has(record.packageId)) return;
    const objects = await this.#deps.storage.packageObjects(record.packageId);
    if (objects === undefined) {
      // What a tombstone once needed is not known: that keeps nothing.
      if (isSwept) return;
      if (this.#blind.length < 100) this.#blind.push({ runId: record.runId, packageId: record.packageId });
      return;
    }
    for (const name of objects) this.#objects.add(name);
    this.#packages.add(record.packageId);
  }

  /** Everything that was recorded, or that changed since the last look (with a margin for clocks that differ). */
  async look(): Promise<void> {
    const since = this.#lookedAt === undefined ? undefined : new Date(this.#lookedAt.getTime() - 120_000);
    this.#lookedAt = this.#deps.clock.now();
    for await (const { record } of this.#deps.runs.list(since)) await this.add(record);
  }

  /** Pins say nothing in the records: what they reach is asked for by itself. */
  async addPinned(pins: PinSet): Promise<void> {
    for (const runId of pins.runs) {
      if (this.#pinned.has(runId)) continue;
      this.#pinned.add(runId);
      const found = await this.#deps.runs.get(runId);
      if (found !== undefined) await this.add(found.record, true);
    }
  }

  /** Looks again when the last look is older than this. */
  async refresh(maxAgeMs: number): Promise<void> {
    const last = this.#lookedAt;
    if (last === undefined || this.#deps.clock.now().getTime() - last.getTime() >= maxAgeMs) await this.look();
  }

  lookedNow(at: Date): void {
    this.#lookedAt = at;
  }

  isReferenced(object: string): boolean {
    return this.#blind.length > 0 || this.#objects.has(object);
  }

  keepsEvent(eventId: string): boolean {
    return this.#events.has(eventId);
  }
}

/** All pins at one moment. */
export class PinSet {
  readonly #pins: ReadonlySet<string>;

  private constructor(pins: ReadonlySet<string>) {
    this.#pins = pins;
  }

  static async load(pins: SweepPins): Promise<PinSet> {
    const all = new Set<string>();
    for await (const { kind, id } of pins.list()) all.add(`${kind} ${id}`);
    return new PinSet(all);
  }

  /** Ids of the runs that are pinned. */
  get runs(): readonly string[] {
    return [...this.#pins].flatMap((pin) => (pin.startsWith('run ') ? [pin.slice(4)] : []));
  }

  get hasBlobs(): boolean {
    return [...this.#pins].some((pin) => pin.startsWith('blob '));
  }

  has(kind: PinKind, id: string | undefined): boolean {
    return id !== undefined && this.#pins.has(`${kind} ${id}`);
  }
}

/** The newest N of each group by time: of what it has seen, the time from which on a thing is among them. */
export class Newest {
  readonly #most: number;
  readonly #times = new Map<string, string[]>();

  constructor(most: number) {
    this.#most = most;
  }

  see(group: string, time: string): void {
    const times = this.#times.get(group) ?? [];
    times.push(time);
    times.sort((a, b) => (a < b ? 1 : -1)).splice(this.#most);
    this.#times.set(group, times);
  }

  /** Also yes for all that are as old as the oldest of them. */
  has(group: string, time: string): boolean {
    const times = this.#times.get(group) ?? [];
    return times.length < this.#most || time >= (times.at(-1) ?? '');
  }
}
