import type { SqlRunner } from '../client/statement.ts';
import type { OutboxDefinition } from '../definition/schema.ts';
import { leaseStatements } from '../statements/lease.ts';
import { completedColumns, completePage, mostPageRows, ofEverySize, pageValues } from '../statements/page.ts';
import { Gather } from './gather.ts';
import type { Claimed } from './source.ts';
import { isEveryonesError, Loners } from './together.ts';

interface Done {
  readonly claimed: Claimed;
  readonly eventId: string;
}

/** Completes rows, those that are done at the same time by one statement. */
export class Completion {
  readonly #runner: SqlRunner;
  readonly #definition: OutboxDefinition;
  readonly #gather = new Gather<Done, boolean>((done) => this.#together(done), mostPageRows);
  readonly #loners = new Loners();
  readonly #pageOf = ofEverySize((size) => completePage(this.#definition, size));

  constructor(runner: SqlRunner, definition: OutboxDefinition) {
    this.#runner = runner;
    this.#definition = definition;
  }

  /** False when the lease is no longer ours; true again when it was completed by us before. @throws SqlError */
  complete(claimed: Claimed, eventId: string): Promise<boolean> {
    const done = { claimed, eventId };
    return this.#loners.has(claimed) ? this.#alone(done) : this.#gather.do(done);
  }

  async #alone({ claimed, eventId }: Done): Promise<boolean> {
    const { requestId, leaseToken } = claimed;
    const statement = leaseStatements(this.#definition).complete;
    return this.#loners.watch(claimed, async () => {
      const { rowCount } = await this.#runner.query(statement, { requestId, leaseToken, eventId });
      return rowCount === 1;
    });
  }

  async #together(done: readonly Done[]): Promise<readonly PromiseSettledResult<boolean>[]> {
    if (done.length > 1) {
      const rows = done.map(({ claimed, eventId }) => ({
        id: claimed.requestId,
        token: claimed.leaseToken,
        event: eventId,
      }));
      try {
        const { rowCount } = await this.#runner.query(this.#pageOf(done.length), pageValues(rows, completedColumns));
        if (rowCount === done.length) return done.map(() => ({ status: 'fulfilled', value: true }));
      } catch (error) {
        if (isEveryonesError(error)) throw error;
      }
    }
    // One of them is no longer ours, or stands in the way of the others: each by itself, which may be repeated.
    return Promise.allSettled(done.map((one) => this.#alone(one)));
  }
}
