import { BatchError } from '../errors.ts';
import { contentOf, type WireTask } from '../shapes.ts';
import type { Item } from './source.ts';

/** How existing tasks are read; both select only what is compared. */
export interface TaskReader {
  /** @throws BatchError with status 404 when it is gone */
  readonly get: (taskId: string) => Promise<WireTask>;
  readonly list: (filter: string, pageSize: number) => AsyncIterable<WireTask>;
}

/** Existing tasks are compared when so many have gathered, so that memory does not grow with them. */
const gatherAtMost = 5_000;
/** Of so many tasks, or of a third of the job, the whole range of their ids is read page by page. */
const pageSize = 1_000;
/** Fewer (a collection whose answer was lost) are looked for in a page of the range of a hundred ids. */
const runLength = 100;
/** Ids of differing tasks that are named; a whole job of them is named by its first. */
const nameAtMost = 1_000;

/** Compares tasks that "exist already" with what was to be added. */
export class ContentCheck {
  readonly #reader: TaskReader;
  readonly #varying: ReadonlySet<string>;
  readonly #parallelism: number;
  #gathered: Item[] = [];
  #earlier: Promise<void> = Promise.resolve();
  readonly #differing: Item[] = [];
  #vanished: Item[] = [];

  constructor(reader: TaskReader, varying: ReadonlySet<string>, parallelism: number) {
    this.#reader = reader;
    this.#varying = varying;
    this.#parallelism = parallelism;
  }

  /** Ids of tasks of other content, in the order of the input. */
  get differing(): readonly string[] {
    return this.#differing.sort((a, b) => a.index - b.index).map((item) => item.id);
  }

  /** Adds tasks to compare; resolves late when many have gathered. `tasksOfJob` is a lower bound. */
  async add(items: readonly Item[], tasksOfJob: number): Promise<void> {
    this.#gathered.push(...items);
    if (this.#gathered.length >= gatherAtMost) await this.flush(tasksOfJob);
  }

  /** Compares all that has gathered. */
  async flush(tasksOfJob: number): Promise<void> {
    const items = this.#gathered;
    this.#gathered = [];
    this.#earlier = this.#earlier.then(() => this.#compare(items, tasksOfJob));
    await this.#earlier;
  }

  /** Tasks that existed when they were to be added and were gone when they were to be compared. Forgets them. */
  takeVanished(): readonly Item[] {
    const vanished = this.#vanished;
    this.#vanished = [];
    return vanished;
  }

  async #compare(items: readonly Item[], tasksOfJob: number): Promise<void> {
    const rest: Item[] = [];
    if (items.length > Math.min(Math.max(2, tasksOfJob / 3), pageSize))
      rest.push(...(await this.#byRange(items, pageSize)));
    else {
      const sorted = [...items].sort((a, b) => (a.id < b.id ? -1 : 1));
      for (let at = 0; at < sorted.length; at += runLength) {
        // Ids of one collection mostly stand together; where they do not, one page is all that is spent on it.
        const run = sorted.slice(at, at + runLength);
        rest.push(...(run.length < 3 ? run : await this.#byRange(run, 2 * run.length, 2 * run.length)));
      }
    }
    const worker = async (): Promise<void> => {
      for (let item = rest.pop(); item !== undefined; item = rest.pop()) await this.#byItself(item);
    };
    await Promise.all(Array.from({ length: this.#parallelism }, worker));
  }

  /**
   * Reads the range of ids that holds them all, at most so many tasks of it, and returns what it did not show: the rest,
   * or all where ids are ordered otherwise than here.
   */
  async #byRange(items: readonly Item[], page: number, most = Number.POSITIVE_INFINITY): Promise<Item[]> {
    const wanted = new Map<string, Item[]>();
    for (const item of items) {
      const key = item.id.toLowerCase();
      wanted.set(key, [...(wanted.get(key) ?? []), item]);
    }
    const keys = [...wanted.keys()].sort();
    const quoted = (text: string | undefined): string => `'${(text ?? '').replaceAll("'", "''")}'`;
    let read = 0;
    for await (const task of this.#reader.list(`id ge ${quoted(keys[0])} and id le ${quoted(keys.at(-1))}`, page)) {
      const key = (task.id ?? '').toLowerCase();
      for (const item of wanted.get(key) ?? []) this.#judge(item, task);
      wanted.delete(key);
      if (wanted.size === 0 || (read += 1) >= most) break;
    }
    return [...wanted.values()].flat();
  }

  async #byItself(item: Item): Promise<void> {
    try {
      this.#judge(item, await this.#reader.get(item.id));
    } catch (error) {
      if (!(error instanceof BatchError) || error.status !== 404) throw error;
      this.#vanished.push(item);
    }
  }

  #judge(item: Item, found: WireTask): void {
    const wanted = JSON.parse(item.json) as WireTask;
    if (contentOf(wanted, this.#varying) === contentOf(found, this.#varying)) return;
    if (this.#differing.length < nameAtMost) this.#differing.push(item);
  }
}
