import type { BatchServiceModels as Models } from '@azure/batch';
import { retryDelayMs, type Clock, type Random, type RetryPolicy } from '@xva/runtime';
import { BatchError } from './errors.ts';

/** Batch takes at most 100 tasks and 1 MB per collection. */
const maxTasks = 100;
const maxBytes = 900_000;

export interface BulkCounts {
  readonly created: readonly string[];
  /** Ids of tasks that were there before; whether they are the same is the caller's to see. */
  readonly existed: readonly string[];
  /** A task that can never be added, with Batch's reason. */
  readonly refused: readonly { readonly taskId: string; readonly code: string; readonly message: string }[];
}

export interface BulkOptions {
  readonly send: (tasks: Models.TaskAddParameter[]) => Promise<Models.TaskAddCollectionResult>;
  readonly parallelism: number;
  readonly policy: RetryPolicy;
  readonly clock: Clock;
  readonly random: Random;
  readonly signal?: AbortSignal | undefined;
  readonly onProgress?: ((done: number, total: number) => void) | undefined;
}

interface Pending {
  readonly task: Models.TaskAddParameter;
  readonly bytes: number;
  attempts: number;
}

/**
 * Adds tasks by collections of at most 100, several at a time, in no order. A collection that is too large is halved for
 * good; an item that failed on the server's side is sent again after a back-off. Nothing is lost without a word: each id
 * ends in one of the three lists, or the call throws.
 *
 * @throws BatchError when a request fails for good, or an item uses up its tries.
 */
export async function addInBulk(tasks: readonly Models.TaskAddParameter[], options: BulkOptions): Promise<BulkCounts> {
  const queue: Pending[] = tasks.map((task) => ({ task, bytes: JSON.stringify(task).length * 2, attempts: 0 }));
  const created: string[] = [];
  const existed: string[] = [];
  const refused: { taskId: string; code: string; message: string }[] = [];
  let limit = maxTasks;
  let failed: { readonly error: unknown } | undefined;

  const take = (): Pending[] => {
    const chunk: Pending[] = [];
    let bytes = 0;
    while (chunk.length < limit) {
      const next = queue[0];
      if (next === undefined || (chunk.length > 0 && bytes + next.bytes > maxBytes)) break;
      bytes += next.bytes;
      chunk.push(next);
      queue.shift();
    }
    return chunk;
  };

  const settle = async (chunk: readonly Pending[], result: Models.TaskAddCollectionResult): Promise<void> => {
    const byId = new Map((result.value ?? []).map((item) => [item.taskId.toLowerCase(), item]));
    const again: Pending[] = [];
    for (const pending of chunk) {
      const { id } = pending.task;
      const item = byId.get(id.toLowerCase());
      const code = item?.error?.code ?? '';
      const status = (item?.status ?? 'servererror').toLowerCase();
      if (status === 'success') created.push(id);
      else if (code === 'TaskExists') existed.push(id);
      else if (status === 'clienterror')
        refused.push({ taskId: id, code, message: item?.error?.message?.value?.split('\n')[0] ?? '' });
      else {
        pending.attempts += 1;
        if (pending.attempts >= options.policy.maxAttempts) {
          const detail = item?.error?.message?.value?.split('\n')[0] ?? 'no result for this task';
          throw new BatchError(`task ${id}`, { code: code === '' ? 'ServerError' : code, status: 500, detail });
        }
        again.push(pending);
      }
    }
    if (again.length > 0) {
      const attempt = Math.max(...again.map((pending) => pending.attempts));
      await options.clock.sleep(retryDelayMs(options.policy, attempt, options.random), options.signal);
      queue.push(...again);
    }
    options.onProgress?.(created.length + existed.length + refused.length, tasks.length);
  };

  const work = async (): Promise<void> => {
    while (failed === undefined) {
      options.signal?.throwIfAborted();
      const chunk = take();
      if (chunk.length === 0) return;
      try {
        await settle(chunk, await options.send(chunk.map(({ task }) => task)));
      } catch (error) {
        if (error instanceof BatchError && error.status === 413 && chunk.length > 1) {
          limit = Math.max(1, Math.min(limit, Math.floor(chunk.length / 2)));
          queue.push(...chunk);
        } else {
          failed ??= { error };
        }
      }
    }
  };

  const workers = Math.max(1, Math.min(options.parallelism, Math.ceil(tasks.length / maxTasks)));
  // A worker may end while another puts tasks back: the rounds go on until nothing is left.
  do await Promise.all(Array.from({ length: workers }, work));
  while (failed === undefined && queue.length > 0);
  if (failed !== undefined) throw failed.error;
  return { created, existed, refused };
}
