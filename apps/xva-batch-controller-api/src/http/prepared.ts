import type { NextFunction, Request, Response } from 'express';
import { ProblemError } from './problems.ts';

/** How long a request waits for tables and containers that are still being made. */
const patienceMs = 5_000;

/** Holds back what needs the stores until they are there: a table that nobody made yet is no fault of whoever asks. */
export class Prepared {
  readonly #done = Promise.withResolvers<true>();
  #isDone = false;

  done(): void {
    this.#isDone = true;
    this.#done.resolve(true);
  }

  /** Express middleware. @throws ProblemError 503 when it takes too long */
  gate(waitMs = patienceMs) {
    return async (_request: Request, _response: Response, next: NextFunction): Promise<void> => {
      if (!this.#isDone) {
        let timer: NodeJS.Timeout | undefined;
        const late = new Promise<false>((resolve) => (timer = setTimeout(() => resolve(false), waitMs)));
        const isThere = await Promise.race([this.#done.promise, late]);
        clearTimeout(timer);
        if (!isThere)
          throw new ProblemError(503, 'not-ready', 'tables and containers are still waited for; try again', {
            retryAfterSeconds: 1,
          });
      }
      next();
    };
  }
}
