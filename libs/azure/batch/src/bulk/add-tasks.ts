import { BatchError } from '../errors.ts';
import { toTask, type TaskSpec } from '../shapes.ts';
import { Pump, type PumpOptions } from './pump.ts';
import { ContentCheck, type TaskReader } from './same-content.ts';
import type { RefusedTask } from './settle.ts';
import { ItemSource, type Item } from './source.ts';

export interface AddOptions extends Omit<PumpOptions, 'onSettled'> {
  readonly reader: TaskReader;
  /** Names of environment settings that do not count when contents are compared. */
  readonly varying: ReadonlySet<string>;
  /** Tasks settled so far (added, there before or refused), and how many there are in all if that is known. */
  readonly onProgress?: ((done: number, total: number | undefined) => void) | undefined;
}

export interface Added {
  readonly created: number;
  readonly existed: number;
  /** Ids, in the order of the input, of tasks that exist with other content; the first thousand. */
  readonly differing: readonly string[];
  /** The first task of the input that can never be added. */
  readonly refused: RefusedTask | undefined;
}

/** A task that is deleted by another hand between "it exists" and the comparison is sent again so often. */
const rounds = 3;

/**
 * Adds tasks by collections. Nothing is lost without a word: each task of the input is created, found to exist (with the
 * same content or not) or refused, or the call throws. Repeating the call after any failure is the same act.
 *
 * @throws BatchError when a request fails for good; whatever the input throws; the signal's reason
 */
export async function addTasksInBulk(
  specs: Iterable<TaskSpec> | AsyncIterable<TaskSpec>,
  options: AddOptions,
): Promise<Added> {
  const total = Array.isArray(specs) ? specs.length : undefined;
  const check = new ContentCheck(options.reader, options.varying, options.parallelism);
  let created = 0;
  let existed = 0;
  let done = 0;
  let refused: RefusedTask | undefined;
  const pump = (items: Iterable<Item> | AsyncIterable<Item>): Promise<void> =>
    new Pump({
      ...options,
      onSettled: async (settled) => {
        created += settled.created.length;
        existed += settled.existed.length;
        done += settled.created.length + settled.existed.length + settled.refused.length;
        for (const one of settled.refused) if (refused === undefined || one.index < refused.index) refused = one;
        if (settled.existed.length > 0) await check.add(settled.existed, created + existed);
        options.onProgress?.(done, total);
      },
    }).run(new ItemSource(items));

  await pump(Symbol.asyncIterator in specs ? asyncItems(specs) : items(specs));
  await check.flush(created + existed);
  for (let round = 1, gone = check.takeVanished(); gone.length > 0; round += 1, gone = check.takeVanished()) {
    if (round === rounds) {
      const detail = 'it exists when it is added and is gone when it is read, time and again';
      throw new BatchError(`task ${gone[0]?.id ?? ''}`, { code: 'TaskVanished', status: 409, detail });
    }
    existed -= gone.length;
    done -= gone.length;
    await pump(gone);
    await check.flush(created + existed);
  }
  return { created, existed, differing: check.differing, refused };
}

function toItem(spec: TaskSpec, index: number): Item {
  const json = JSON.stringify(toTask(spec));
  return { index, id: spec.id, json, bytes: Buffer.byteLength(json) };
}

function* items(specs: Iterable<TaskSpec>): Generator<Item> {
  let index = 0;
  for (const spec of specs) yield toItem(spec, index++);
}

async function* asyncItems(specs: AsyncIterable<TaskSpec>): AsyncGenerator<Item> {
  let index = 0;
  for await (const spec of specs) yield toItem(spec, index++);
}
