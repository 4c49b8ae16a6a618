import type { Logger } from '@xva/runtime';
import { readConsistency } from '../checks.ts';
import { SqlError } from '../client/errors.ts';
import type { Cell, QueryResult, SqlRunner } from '../client/statement.ts';
import type { OutboxDefinition } from '../definition/schema.ts';
import { detailsStatement, type ReadConsistency } from '../statements/details.ts';
import { areDetailsShared, detailsPage, ofEverySize, ownColumns, pageValues } from '../statements/page.ts';
import { integerText } from '../values.ts';
import { Gather } from './gather.ts';
import { detailRows, isRowFault, sourceRow, type DetailRows } from './rows.ts';
import type { Claimed, ReadResult } from './source.ts';
import { isEveryonesError, Loners } from './together.ts';

/** Rows whose details are held at once, however many wait. */
const mostTogether = 64;

type Row = Readonly<Record<string, Cell>>;

/** Reads rows under their leases with their details; rows that ask for the same details at the same time, together. */
export class DetailsReader {
  readonly #runner: SqlRunner;
  readonly #definition: OutboxDefinition;
  readonly #logger: Logger;
  readonly #areShared: boolean;
  /** By what the details depend on. */
  readonly #gathers = new Map<string, Gather<Claimed, ReadResult>>();
  readonly #loners = new Loners();
  readonly #pages = {
    snapshot: ofEverySize((size) => detailsPage(this.#definition, 'snapshot', size)),
    serializable: ofEverySize((size) => detailsPage(this.#definition, 'serializable', size)),
  };
  #consistency: ReadConsistency | undefined;

  constructor(options: { readonly runner: SqlRunner; readonly definition: OutboxDefinition; readonly logger: Logger }) {
    this.#runner = options.runner;
    this.#definition = options.definition;
    this.#logger = options.logger;
    this.#areShared = areDetailsShared(options.definition);
  }

  /** @throws SqlError for what passes by itself or a statement that the server refuses */
  read(claimed: Claimed): Promise<ReadResult> {
    if (!this.#areShared || this.#loners.has(claimed)) return this.#alone(claimed);
    const { book, asOf, cut, scenario } = claimed.row.fields;
    const key = JSON.stringify([book, asOf, cut, scenario]);
    let gather = this.#gathers.get(key);
    if (gather === undefined) {
      for (const [other, { isIdle }] of this.#gathers) if (isIdle) this.#gathers.delete(other);
      gather = new Gather((claims) => this.#together(claims), mostTogether);
      this.#gathers.set(key, gather);
    }
    return gather.do(claimed);
  }

  /** Asks the database how details can be read as of one instant. @throws SqlError */
  async chooseConsistency(): Promise<ReadConsistency> {
    const consistency = await readConsistency(this.#runner);
    this.#logger.info({ definition: this.#definition.name, consistency }, 'how details are read');
    return consistency;
  }

  async #alone(claimed: Claimed): Promise<ReadResult> {
    const { requestId, leaseToken } = claimed;
    const consistency = (this.#consistency ??= await this.chooseConsistency());
    const values = { ...this.#values(claimed), requestId, leaseToken };
    return this.#loners.watch(claimed, async () => {
      try {
        const { maxDetailRows: maxRows } = this.#definition;
        const answer = await this.#runner.query(detailsStatement(this.#definition, consistency), values, { maxRows });
        return this.#resultOf(answer.resultSets[0]?.rows[0], () => detailRows(answer.resultSets.slice(1)), consistency);
      } catch (error) {
        return this.#unreadable(error);
      }
    });
  }

  async #together(claims: readonly Claimed[]): Promise<readonly PromiseSettledResult<ReadResult>[]> {
    const [first] = claims;
    if (first !== undefined && claims.length > 1) {
      const consistency = (this.#consistency ??= await this.chooseConsistency());
      try {
        return this.#parted(claims, await this.#readPage(first, claims, consistency), consistency);
      } catch (error) {
        this.#noteSnapshot(error);
        if (isEveryonesError(error)) throw error;
        // What stands in one row's way is found out with each by itself.
      }
    }
    return Promise.allSettled(claims.map((claimed) => this.#alone(claimed)));
  }

  #readPage(first: Claimed, claims: readonly Claimed[], consistency: ReadConsistency): Promise<QueryResult> {
    const statement = this.#pages[consistency](claims.length);
    const rows = claims.map(({ requestId, leaseToken }) => ({ id: requestId, token: leaseToken }));
    const maxRows = Math.max(this.#definition.maxDetailRows, claims.length);
    return this.#runner.query(statement, { ...this.#values(first), ...pageValues(rows, ownColumns) }, { maxRows });
  }

  #parted(
    claims: readonly Claimed[],
    { resultSets }: QueryResult,
    consistency: ReadConsistency,
  ): readonly PromiseSettledResult<ReadResult>[] {
    const column = this.#definition.columns.id;
    const own = new Map(resultSets[0]?.rows.map((row) => [integerText(column, row['requestId']), row]));
    const details = detailRows(resultSets.slice(1));
    return claims.map(({ requestId }) => {
      try {
        return { status: 'fulfilled', value: this.#resultOf(own.get(requestId), () => details, consistency) };
      } catch (error) {
        return isRowFault(error)
          ? { status: 'fulfilled', value: { outcome: 'unreadable', reason: error.message } }
          : { status: 'rejected', reason: error };
      }
    });
  }

  #resultOf(own: Row | undefined, details: () => DetailRows, consistency: ReadConsistency): ReadResult {
    if (own === undefined) return { outcome: 'lease-lost' };
    return { outcome: 'read', row: sourceRow(this.#definition, own), details: details(), consistency };
  }

  #values({ row: { fields } }: Claimed): Record<string, string | number | null> {
    const { book, asOf, cut, scenario, revision } = fields;
    const text = (value: string | number | boolean | null): string | null => (value === null ? null : String(value));
    return {
      book: text(book),
      asOf: text(asOf),
      cut: text(cut),
      scenario: text(scenario),
      revision: Number(revision),
      fixingDays: this.#definition.fixingDays,
    };
  }

  /** 3952: snapshot isolation was switched off since; the database is asked again next time. */
  #noteSnapshot(error: unknown): void {
    if (error instanceof SqlError && error.number === 3952) this.#consistency = undefined;
  }

  #unreadable(error: unknown): ReadResult {
    this.#noteSnapshot(error);
    if (isRowFault(error)) return { outcome: 'unreadable', reason: error.message };
    if (error instanceof SqlError && ['ESHAPE', 'ETOOMANYROWS'].includes(error.code)) {
      return { outcome: 'unreadable', reason: error.message };
    }
    throw error;
  }
}
