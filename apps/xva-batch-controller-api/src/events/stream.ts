export interface StreamEvent {
  readonly id: number;
  readonly event: string;
  readonly data: unknown;
}

/** After a break a browser waits so long before it asks again. */
const retryMs = 2_000;

function text({ id, event, data }: StreamEvent): string {
  return `id: ${id}\nevent: ${event}\ndata: ${JSON.stringify(data)}\n\n`;
}

/**
 * Server-sent events (HTML Living Standard, section 9.2) of what changes, with a comment now and then while nothing does,
 * so that a dead connection is noticed. The reader sets the pace: while it does not read, changes are not taken either.
 */
export async function* eventStream<T>(
  changes: AsyncGenerator<T>,
  toEvent: (change: T) => StreamEvent,
  options: { readonly heartbeatMs: number; readonly signal: AbortSignal; readonly release: () => void },
): AsyncGenerator<string> {
  const { heartbeatMs, signal, release } = options;
  try {
    yield `retry: ${retryMs}\n\n`;
    let next = changes.next();
    while (!signal.aborted) {
      let timer: NodeJS.Timeout | undefined;
      const beat = new Promise<'beat'>((resolve) => (timer = setTimeout(() => resolve('beat'), heartbeatMs)));
      const result = await Promise.race([next, beat]).finally(() => clearTimeout(timer));
      if (result === 'beat') {
        yield ': still here\n\n';
        continue;
      }
      if (result.done === true) return;
      yield text(toEvent(result.value));
      next = changes.next();
    }
  } finally {
    release();
  }
}
