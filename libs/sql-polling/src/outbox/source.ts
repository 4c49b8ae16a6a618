import type { Logger } from '@xva/runtime';
import { checkReadable, describeConsistency, pingDatabase } from '../checks.ts';
import type { SqlRunner } from '../client/statement.ts';
import type { OutboxDefinition } from '../definition/schema.ts';
import { collect, pastOfOutbox, revive, type AsOfRange, type PastRow } from '../past.ts';
import { claimStatement, rowStatus } from '../statements/claim.ts';
import { leaseStatements, type LeaseStatements } from '../statements/lease.ts';
import { explainStatement, writeProbe } from '../statements/probe.ts';
import { cellText, integerText } from '../values.ts';
import { Completion } from './completion.ts';
import { DetailsReader } from './details-reader.ts';
import { readable, rowState, type RowState } from './row-state.ts';
import type { DetailRows, SourceRow } from './rows.ts';

/** A row that this worker holds until its lease ends. */
export interface Claimed {
  readonly requestId: string;
  readonly leaseToken: string;
  /** Claims so far, this one included. */
  readonly attempts: number;
  readonly row: SourceRow;
}

export interface Poisoned {
  readonly requestId: string;
  readonly reason: string;
}

export interface ClaimResult {
  readonly claimed: readonly Claimed[];
  /** Rows that this claim found used up and put aside. */
  readonly poisoned: readonly Poisoned[];
}

export type ReadResult =
  | { readonly outcome: 'read'; readonly row: SourceRow; readonly details: DetailRows; readonly consistency: string }
  | { readonly outcome: 'lease-lost' }
  /** The details cannot be carried over: a NULL, a lossy type, too many rows. */
  | { readonly outcome: 'unreadable'; readonly reason: string };

export interface ReleaseOptions {
  readonly error: string | null;
  readonly delayMs: number;
  /** The attempt is not the row's fault and does not count against it. */
  readonly giveBack: boolean;
}

export interface OutboxOptions {
  readonly runner: SqlRunner;
  readonly definition: OutboxDefinition;
  /** Who claims, for people who look at the table. */
  readonly owner: string;
  readonly newToken: () => string;
  readonly logger: Logger;
}

/**
 * The table as a queue: claim with lease and fencing token, details in one snapshot, completion under the token. The
 * worker's own clock decides nothing.
 */
export class OutboxSource {
  readonly #runner: SqlRunner;
  readonly #definition: OutboxDefinition;
  readonly #owner: string;
  readonly #newToken: () => string;
  readonly #lease: LeaseStatements;
  readonly #details: DetailsReader;
  readonly #completion: Completion;

  constructor(options: OutboxOptions) {
    this.#runner = options.runner;
    this.#definition = options.definition;
    this.#owner = options.owner.slice(0, 200);
    this.#newToken = options.newToken;
    this.#lease = leaseStatements(options.definition);
    this.#details = new DetailsReader(options);
    this.#completion = new Completion(options.runner, options.definition);
  }

  get definition(): OutboxDefinition {
    return this.#definition;
  }

  /**
   * Takes due rows, highest priority first: at most `limit` new ones and `limit` whose lease ran out. A lost answer costs
   * nothing but the lease's time.
   *
   * @throws SqlError
   */
  async claim(limit: number): Promise<ClaimResult> {
    const definition = this.#definition;
    const leaseToken = this.#newToken();
    const { resultSets } = await this.#runner.query(claimStatement(definition), {
      batchSize: limit,
      leaseSeconds: definition.leaseSeconds,
      maxAttempts: definition.maxAttempts,
      errorLength: definition.lastErrorLength,
      leaseToken,
      leaseOwner: this.#owner,
    });
    const claimed: Claimed[] = [];
    const poisoned: Poisoned[] = [];
    for (const row of resultSets.flatMap((set) => set.rows)) {
      const requestId = integerText(definition.columns.id, row['requestId']);
      if (Number(row['status']) === rowStatus.poison) {
        poisoned.push({ requestId, reason: cellText(definition.columns.lastError, row['lastError']) ?? '' });
        continue;
      }
      const fields = readable(definition, row);
      if (typeof fields === 'string') {
        // One such row must not hold up those that were claimed with it, whose leases would run out.
        await this.#fenced(this.#lease.poison, { requestId, leaseToken }, { lastError: this.#cut(fields) });
        poisoned.push({ requestId, reason: fields });
      } else claimed.push({ requestId, leaseToken, attempts: Number(row['attempts']), row: fields });
    }
    // OUTPUT gives no order.
    return { claimed: claimed.sort(byPriority), poisoned };
  }

  /**
   * The row as it is now, under its lease, and its details, as of one instant. Rows that ask for the same details at the
   * same time are read together.
   *
   * @throws SqlError for what passes by itself or a statement that the server refuses
   */
  readDetails(claimed: Claimed): Promise<ReadResult> {
    return this.#details.read(claimed);
  }

  /** False when the lease is no longer ours. @throws SqlError */
  async renew(claimed: Claimed): Promise<boolean> {
    return this.#fenced(this.#lease.renew, claimed, { leaseSeconds: this.#definition.leaseSeconds });
  }

  /**
   * False when the lease is no longer ours; true again when it was completed by us before. Rows that are done at the same
   * time are completed by one statement.
   *
   * @throws SqlError
   */
  complete(claimed: Claimed, eventId: string): Promise<boolean> {
    return this.#completion.complete(claimed, eventId);
  }

  /** False when the lease is no longer ours. @throws SqlError */
  async poison(claimed: Claimed, reason: string): Promise<boolean> {
    return this.#fenced(this.#lease.poison, claimed, { lastError: this.#cut(reason) });
  }

  /** Gives the row back, or puts it aside when its attempts are used up. @throws SqlError */
  async release(claimed: Claimed, options: ReleaseOptions): Promise<'released' | 'poisoned' | 'lease-lost'> {
    const { resultSets } = await this.#runner.query(this.#lease.release, {
      ...this.#key(claimed),
      giveBack: options.giveBack ? 1 : 0,
      maxAttempts: this.#definition.maxAttempts,
      delayMs: Math.min(2_000_000_000, Math.max(0, Math.round(options.delayMs))),
      lastError: options.error === null ? null : this.#cut(options.error),
    });
    const row = resultSets[0]?.rows[0];
    if (row === undefined) return 'lease-lost';
    return Number(row['status']) === rowStatus.poison ? 'poisoned' : 'released';
  }

  /** Rows that are not published yet, in the order of their ids. Changes nothing. @throws SqlError */
  async explain(limit: number): Promise<readonly RowState[]> {
    const { resultSets } = await this.#runner.query(explainStatement(this.#definition), { limit });
    return (resultSets[0]?.rows ?? []).map((row) => rowState(this.#definition, row));
  }

  /** Rows that were published and lie in the range, oldest first. @throws SqlError */
  published(range: AsOfRange): AsyncGenerator<PastRow> {
    return pastOfOutbox(this.#runner, this.#definition, 'published', range);
  }

  /** Makes rows of the range that were put aside new again; with `dryRun` only names them. @throws SqlError */
  async backfill(range: AsOfRange, dryRun: boolean): Promise<readonly PastRow[]> {
    const rows = await collect(pastOfOutbox(this.#runner, this.#definition, 'poison', range));
    if (dryRun) return rows;
    const revived: PastRow[] = [];
    for (const row of rows) if (await revive(this.#runner, this.#definition, row.requestId)) revived.push(row);
    return revived;
  }

  /** The database's name, when it answers. @throws SqlError */
  async ping(): Promise<string> {
    return pingDatabase(this.#runner);
  }

  /** Every table and column can be read, and no value column loses digits. @throws SqlError naming what is not so */
  async checkRead(): Promise<string> {
    return checkReadable(this.#runner, this.#definition);
  }

  /** The claim's columns can be written. @throws SqlError */
  async checkWrite(): Promise<string> {
    await this.#runner.query(writeProbe(this.#definition), {});
    return `can claim in ${this.#definition.table}`;
  }

  /** How details are read. @throws SqlError */
  async checkConsistency(): Promise<string> {
    return describeConsistency(await this.#details.chooseConsistency());
  }

  async #fenced(
    statement: LeaseStatements[keyof LeaseStatements],
    claimed: Pick<Claimed, 'requestId' | 'leaseToken'>,
    values: Readonly<Record<string, string | number>>,
  ): Promise<boolean> {
    const { rowCount } = await this.#runner.query(statement, { ...this.#key(claimed), ...values });
    return rowCount === 1;
  }

  #key(claimed: Pick<Claimed, 'requestId' | 'leaseToken'>): { requestId: string; leaseToken: string } {
    return { requestId: claimed.requestId, leaseToken: claimed.leaseToken };
  }

  #cut(text: string): string {
    return text.slice(0, this.#definition.lastErrorLength);
  }
}

function byPriority(a: Claimed, b: Claimed): number {
  const priority = Number(b.row.fields.priority ?? 0) - Number(a.row.fields.priority ?? 0);
  if (priority !== 0) return priority;
  return BigInt(a.requestId) < BigInt(b.requestId) ? -1 : 1;
}
