import { describeError, type Logger } from './logging.ts';

/** The two breaths of a stop: take no more, then stop working. */
export interface Lifecycle {
  /** Aborts at the first signal: finish what is under way, take nothing new. */
  readonly stopTaking: AbortSignal;
  /** Aborts when the grace time is over: let go of everything now. */
  readonly stopWorking: AbortSignal;
}

export interface LifecycleOptions {
  readonly logger: Logger;
  readonly shutdownGraceTimeMs: number;
  /** Calls back once per stop signal; returns how to stop listening. */
  readonly onStopSignal: (handler: (signal: string) => void) => () => void;
  /** Ends the process at once: the second signal. */
  readonly forceExit: (code: number) => void;
}

/**
 * Runs `work` until it ends by itself or is asked to stop. The first signal aborts `stopTaking` and starts the grace
 * time; when that is over `stopWorking` aborts; a second signal forces. Returns normally also after a clean stop.
 */
export async function runWithLifecycle(
  options: LifecycleOptions,
  work: (lifecycle: Lifecycle) => Promise<void>,
): Promise<void> {
  const taking = new AbortController();
  const working = new AbortController();
  let timer: NodeJS.Timeout | undefined;
  const stopListening = options.onStopSignal((signal) => {
    if (taking.signal.aborted) {
      options.logger.warn({ signal }, 'second signal: leaving at once');
      options.forceExit(130);
      return;
    }
    options.logger.info({ signal, shutdownGraceTimeMs: options.shutdownGraceTimeMs }, 'stopping: taking no more');
    taking.abort(new StoppedError());
    timer = setTimeout(() => {
      options.logger.warn({}, 'grace time is over: stopping work');
      working.abort(new StoppedError());
    }, options.shutdownGraceTimeMs);
  });
  try {
    await work({ stopTaking: taking.signal, stopWorking: working.signal });
  } catch (error) {
    if (!(taking.signal.aborted && error instanceof StoppedError)) throw error;
    options.logger.debug({ error: describeError(error) }, 'work ended by the stop');
  } finally {
    clearTimeout(timer);
    stopListening();
  }
}

/** The reason of both stop signals. */
export class StoppedError extends Error {
  override readonly name = 'StoppedError';
  constructor() {
    super('the component is stopping');
  }
}
