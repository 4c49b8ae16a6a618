import { describeError, type Clock, type Logger } from '@xva/runtime';
import type { ClaimedRow, RequestSource } from './ports.ts';

/** Why a renewal stops: a reason that is made once, since there is one for every row. */
const over = new Error('the work is done');

/**
 * Runs `work` while renewing the lease every third of its life. `isLost` says that another worker has the row; a renewal
 * that fails is tried again at the next turn, since two thirds of the lease are still left then.
 */
export async function whileRenewing<T>(
  deps: { readonly source: RequestSource; readonly clock: Clock; readonly logger: Logger; readonly leaseMs: number },
  claimed: ClaimedRow,
  work: (isLost: () => boolean) => Promise<T>,
): Promise<T> {
  const done = new AbortController();
  let lost = false;
  const isOver = (): boolean => lost || done.signal.aborted;
  const renewing = (async () => {
    while (!isOver()) {
      await deps.clock.sleep(deps.leaseMs / 3, done.signal);
      if (isOver()) return;
      try {
        lost = !(await deps.source.renew(claimed));
      } catch (error) {
        deps.logger.warn({ requestId: claimed.requestId, error: describeError(error) }, 'the lease was not renewed');
      }
    }
  })();
  try {
    return await work(() => lost);
  } finally {
    done.abort(over);
    await renewing;
  }
}
