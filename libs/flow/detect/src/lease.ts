import { describeError, type Clock, type Logger } from '@xva/runtime';
import type { ClaimedRow, RequestSource } from './ports.ts';

/**
 * Runs `work` while renewing the lease every third of its life. `lost` aborts when another worker has the row; a renewal
 * that fails is tried again at the next turn, since two thirds of the lease are still left then.
 */
export async function whileRenewing<T>(
  deps: { readonly source: RequestSource; readonly clock: Clock; readonly logger: Logger; readonly leaseMs: number },
  claimed: ClaimedRow,
  work: (lost: AbortSignal) => Promise<T>,
): Promise<T> {
  const done = new AbortController();
  const lost = new AbortController();
  const renewing = (async () => {
    while (!done.signal.aborted && !lost.signal.aborted) {
      await deps.clock.sleep(deps.leaseMs / 3, done.signal);
      if (done.signal.aborted) return;
      try {
        if (!(await deps.source.renew(claimed))) lost.abort();
      } catch (error) {
        deps.logger.warn({ requestId: claimed.requestId, error: describeError(error) }, 'the lease was not renewed');
      }
    }
  })();
  try {
    return await work(lost.signal);
  } finally {
    done.abort();
    await renewing;
  }
}
