import { SqlError } from '../client/errors.ts';
import type { Claimed } from './source.ts';

/** Whether an error of a statement for many rows would be that of each of them: the server is away or lets nobody in. */
export function isEveryonesError(error: unknown): boolean {
  return error instanceof SqlError && (error.kind === 'connection' || error.kind === 'login');
}

/** Claims that failed by themselves: from then on they are worked on alone, so that they hold up nobody. */
export class Loners {
  readonly #claims = new Set<string>();

  has({ requestId, leaseToken }: Claimed): boolean {
    return this.#claims.has(`${requestId} ${leaseToken}`);
  }

  async watch<T>({ requestId, leaseToken }: Claimed, work: () => Promise<T>): Promise<T> {
    const key = `${requestId} ${leaseToken}`;
    try {
      const result = await work();
      this.#claims.delete(key);
      return result;
    } catch (error) {
      if (isEveryonesError(error)) throw error;
      // Of claims that nobody asks about any more: the oldest goes.
      if (this.#claims.size >= 1_000) for (const oldest of [...this.#claims].slice(0, 1)) this.#claims.delete(oldest);
      this.#claims.add(key);
      throw error;
    }
  }
}
