import type { Item } from './source.ts';

/** A task that can never be added, with Batch's reason. */
export interface RefusedTask {
  readonly index: number;
  readonly taskId: string;
  readonly code: string;
  readonly message: string;
}

/** What one answer to a collection means for each of its items: every item is in exactly one of the four. */
export interface Settlement {
  readonly created: readonly Item[];
  /** There before; whether with the same content is still to be seen. */
  readonly existed: readonly Item[];
  readonly refused: readonly RefusedTask[];
  /** Failed on the server's side, or not mentioned in the answer: to be sent again. */
  readonly again: readonly Item[];
  readonly reason: { readonly code: string; readonly detail: string };
}

interface WireResult {
  readonly status?: unknown;
  readonly taskId?: unknown;
  readonly error?: { readonly code?: unknown; readonly message?: { readonly value?: unknown } } | null;
}

/**
 * Reads the answer of "add task collection". Statuses come as `Success` or `success` by api-version, results in any order
 * and ids in any case (ids are unique without regard to case). An answer that lacks an item, or the list, settles
 * nothing about it.
 */
export function settle(items: readonly Item[], answer: unknown): Settlement {
  const listed = (answer as { value?: unknown } | undefined)?.value;
  // An id that was sent twice has two results.
  const results = new Map<string, WireResult[]>();
  for (const result of Array.isArray(listed) ? (listed as (WireResult | null)[]) : []) {
    if (typeof result?.taskId !== 'string') continue;
    const id = result.taskId.toLowerCase();
    const others = results.get(id);
    if (others === undefined) results.set(id, [result]);
    else others.push(result);
  }
  const created: Item[] = [];
  const existed: Item[] = [];
  const refused: RefusedTask[] = [];
  const again: Item[] = [];
  let reason = { code: 'NoResult', detail: 'the answer has no result for this task' };
  for (const item of items) {
    const result = results.get(item.id.toLowerCase())?.shift();
    const status = typeof result?.status === 'string' ? result.status.toLowerCase() : '';
    const code = typeof result?.error?.code === 'string' ? result.error.code : '';
    const sentence = result?.error?.message?.value;
    const message = typeof sentence === 'string' ? (sentence.split('\n')[0] ?? '') : '';
    if (status === 'success') created.push(item);
    else if (code === 'TaskExists') existed.push(item);
    else if (status === 'clienterror') refused.push({ index: item.index, taskId: item.id, code, message });
    else {
      again.push(item);
      if (result !== undefined) reason = { code: code === '' ? 'ServerError' : code, detail: message };
    }
  }
  return { created, existed, refused, again, reason };
}
