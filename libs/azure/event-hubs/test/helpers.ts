import type { HubEvent, HubPosition, PartitionHandle, PartitionSession, ReleaseReason } from '../src/index.ts';

/** Resolves once the condition holds; fails the test loudly when it never does. */
export async function until(
  condition: () => boolean | Promise<boolean>,
  what: string,
  timeoutMs = 20_000,
): Promise<void> {
  const end = Date.now() + timeoutMs;
  while (!(await condition())) {
    if (Date.now() > end) throw new Error(`never happened within ${timeoutMs} ms: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

/** A session that remembers what it got and checkpoints each batch at once. */
export class RecordingSession implements PartitionSession {
  readonly handle: PartitionHandle;
  readonly log: { readonly id: string; readonly partitionId: string; readonly sequenceNumber: number }[];
  readonly releases: ReleaseReason[] = [];
  #last: HubPosition | undefined;
  readonly #checkpointAtOnce: boolean;

  constructor(handle: PartitionHandle, log: RecordingSession['log'], checkpointAtOnce = true) {
    this.handle = handle;
    this.log = log;
    this.#checkpointAtOnce = checkpointAtOnce;
  }

  async receive(events: readonly HubEvent[]): Promise<void> {
    for (const event of events) {
      const { id } = JSON.parse(Buffer.from(event.body).toString('utf8')) as { id: string };
      this.log.push({ id, partitionId: event.partitionId, sequenceNumber: event.sequenceNumber });
      this.#last = event;
    }
    if (this.#checkpointAtOnce && this.#last !== undefined) await this.handle.checkpoint(this.#last);
  }

  async release(reason: ReleaseReason): Promise<void> {
    this.releases.push(reason);
    if (reason === 'stop' && this.#last !== undefined) await this.handle.checkpoint(this.#last);
  }
}

export function numbered(from: number, count: number, keys = 7): { id: string; body: string; partitionKey: string }[] {
  return Array.from({ length: count }, (_unused, index) => {
    const id = `event-${from + index}`;
    return { id, body: JSON.stringify({ id }), partitionKey: `book-${(from + index) % keys}` };
  });
}
