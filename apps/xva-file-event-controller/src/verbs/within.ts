import { describeError, systemClock, type Logger } from '@xva/runtime';

const letGoMs = 2_000;

/** Closes things, but not for ever: shortly after the second breath the process ends whatever the other side does. */
export async function within(stopWorking: AbortSignal, logger: Logger, close: () => Promise<void>): Promise<void> {
  const closed = new AbortController();
  const overtime = new Promise<void>((resolve) => {
    const begin = (): void => void systemClock.sleep(letGoMs, closed.signal).then(resolve);
    if (stopWorking.aborted) begin();
    else stopWorking.addEventListener('abort', begin, { once: true });
  });
  const closing = close().catch((error: unknown) => {
    logger.warn({ error: describeError(error) }, 'closing failed');
  });
  await Promise.race([closing, overtime]);
  closed.abort();
}
