import type { RunEvent } from '@xva/contracts';

/*
 * The shapes of the detect flow's ports, said again: the flow's tests use this kit, so the kit cannot import the flow. The
 * compiler holds the two together wherever a test gives a fake to the flow.
 */
export type RequestFieldName =
  | 'book'
  | 'asOf'
  | 'cut'
  | 'scenario'
  | 'revision'
  | 'baseCurrency'
  | 'samples'
  | 'seed'
  | 'quantile'
  | 'dvaName'
  | 'grid'
  | 'strict'
  | 'priority'
  | 'traceparent'
  | 'errorBars'
  | 'marketSnapshot'
  | 'creditProxies'
  | 'whatIf';

export interface SourceRowLike {
  readonly fields: Readonly<Record<RequestFieldName, string | number | boolean | null>>;
  readonly columns: Readonly<Record<RequestFieldName, string>>;
}

export interface ClaimedRowLike {
  readonly requestId: string;
  readonly leaseToken: string;
  readonly attempts: number;
  readonly row: SourceRowLike;
  readonly version?: string;
}

export interface DetailRowsLike {
  readonly nettingSets: readonly { nettingSetId: string; counterparty: string; csa: string | null }[];
  readonly trades: readonly { tradeId: string; nettingSetId: string; tradeType: string; terms: string }[];
  readonly quotes: readonly { key: string; value: string }[];
  readonly fixings: readonly { index: string; date: string; value: string }[];
}

export interface ReleaseOptionsLike {
  readonly error: string | null;
  readonly delayMs: number;
  readonly giveBack: boolean;
}

export interface RequestSourceLike {
  claim(limit: number): Promise<{
    readonly claimed: readonly ClaimedRowLike[];
    readonly poisoned: readonly { readonly requestId: string; readonly reason: string }[];
  }>;
  readDetails(claimed: ClaimedRowLike): Promise<
    | {
        readonly outcome: 'read';
        readonly row: SourceRowLike;
        readonly details: DetailRowsLike;
        readonly consistency: string;
      }
    | { readonly outcome: 'lease-lost' }
    | { readonly outcome: 'unreadable'; readonly reason: string }
  >;
  renew(claimed: ClaimedRowLike): Promise<boolean>;
  complete(claimed: ClaimedRowLike, eventId: string): Promise<boolean>;
  poison(claimed: ClaimedRowLike, reason: string): Promise<boolean>;
  release(claimed: ClaimedRowLike, options: ReleaseOptionsLike): Promise<'released' | 'poisoned' | 'lease-lost'>;
}

type ReadOutcome = Awaited<ReturnType<RequestSourceLike['readDetails']>>;

/** Fields of a request row that a test wants to be other than the usual ones. */
export type RequestFields = Partial<Record<Exclude<RequestFieldName, 'asOf'>, string | number | boolean | null>> & {
  readonly asOf?: string;
};

/** A good request row by the contract's names. */
export function requestFieldsOf(
  fields: RequestFields = {},
): Readonly<Record<RequestFieldName, string | number | boolean | null>> {
  return {
    book: 'RATES',
    asOf: '2026-09-30',
    cut: 'EOD',
    scenario: 'BASE',
    revision: 1,
    baseCurrency: 'EUR',
    samples: 50,
    seed: 42,
    quantile: '0.95',
    dvaName: 'LAB_BANK',
    grid: '1W,1M,1Y',
    strict: false,
    priority: 0,
    traceparent: null,
    errorBars: null,
    marketSnapshot: null,
    creditProxies: null,
    whatIf: null,
    ...fields,
  };
}

export function sourceRowOf(fields: RequestFields = {}): SourceRowLike {
  const all = requestFieldsOf(fields);
  const columns = Object.fromEntries(
    Object.keys(all).map((name) => [name, `${name.slice(0, 1).toUpperCase()}${name.slice(1)}`]),
  );
  return { fields: all, columns: columns as SourceRowLike['columns'] };
}

export const someDetails: DetailRowsLike = {
  nettingSets: [{ nettingSetId: 'NS_A', counterparty: 'ALDER', csa: null }],
  trades: [{ tradeId: 'T1', nettingSetId: 'NS_A', tradeType: 'FxForward', terms: '{"boughtAmount":"1000000"}' }],
  quotes: [{ key: 'FX/RATE/EUR/USD', value: '1.1' }],
  fixings: [{ index: 'EUR-ESTER', date: '2026-09-29', value: '0.0193' }],
};

/** A row of the table, as people see it. */
export interface TableRow {
  readonly requestId: string;
  readonly status: 'new' | 'claimed' | 'published' | 'poison';
  readonly attempts: number;
  readonly lastError: string | null;
  readonly eventId: string | null;
}

interface FakeRow extends TableRow {
  status: TableRow['status'];
  attempts: number;
  lastError: string | null;
  eventId: string | null;
  row: SourceRowLike;
  notBeforeMs: number;
  lockedUntilMs: number;
  token: string;
}

/** The request table in memory, with the server's own clock; any number of sources work on it. */
export class FakeRequestTable {
  readonly rows: FakeRow[] = [];
  readonly leaseMs: number;
  readonly maxAttempts: number;
  details: DetailRowsLike = someDetails;
  nowMs = 0;
  #tokens = 0;

  constructor(options: { leaseMs?: number; maxAttempts?: number } = {}) {
    this.leaseMs = options.leaseMs ?? 60_000;
    this.maxAttempts = options.maxAttempts ?? 5;
  }

  insert(fields: RequestFields = {}): string {
    const requestId = String(this.rows.length + 1);
    const fresh = { status: 'new', attempts: 0, lastError: null, eventId: null } as const;
    const lease = { notBeforeMs: 0, lockedUntilMs: 0, token: '' };
    this.rows.push({ requestId, ...fresh, ...lease, row: sourceRowOf(fields) });
    return requestId;
  }

  find(requestId: string): TableRow | undefined {
    return this.rows.find((row) => row.requestId === requestId);
  }

  expireLeases(): void {
    for (const row of this.rows) row.lockedUntilMs = this.nowMs;
  }

  source(): RequestSourceLike {
    return {
      claim: (limit) => Promise.resolve(this.#claim(limit)),
      readDetails: (claimed) => Promise.resolve(this.#read(claimed)),
      renew: (claimed) => this.#fenced(claimed, ['claimed'], (row) => (row.lockedUntilMs = this.nowMs + this.leaseMs)),
      complete: (claimed, eventId) =>
        this.#fenced(claimed, ['claimed', 'published'], (row) => Object.assign(row, { status: 'published', eventId })),
      poison: (claimed, lastError) =>
        this.#fenced(claimed, ['claimed', 'poison'], (row) => Object.assign(row, { status: 'poison', lastError })),
      release: async (claimed, options) => {
        let outcome: 'released' | 'poisoned' | 'lease-lost' = 'lease-lost';
        await this.#fenced(claimed, ['claimed'], (row) => {
          row.attempts -= options.giveBack ? 1 : 0;
          row.status = row.attempts >= this.maxAttempts ? 'poison' : 'new';
          row.notBeforeMs = this.nowMs + options.delayMs;
          row.lastError = options.error ?? row.lastError;
          outcome = row.status === 'poison' ? 'poisoned' : 'released';
        });
        return outcome;
      },
    };
  }

  #claim(limit: number): Awaited<ReturnType<RequestSourceLike['claim']>> {
    const token = `token-${(this.#tokens += 1)}`;
    const order = (a: FakeRow, b: FakeRow): number =>
      Number(b.row.fields.priority) - Number(a.row.fields.priority) || Number(a.requestId) - Number(b.requestId);
    const sorted = [...this.rows].sort(order);
    const expired = sorted.filter((row) => row.status === 'claimed' && row.lockedUntilMs <= this.nowMs);
    const due = sorted.filter((row) => row.status === 'new' && row.notBeforeMs <= this.nowMs);
    const taken = [...expired.slice(0, limit), ...due.slice(0, limit)].sort(order);
    const usedUp = taken.filter((row) => row.attempts >= this.maxAttempts);
    for (const row of usedUp) {
      row.status = 'poison';
      row.lastError = `attempts used up; ${row.lastError ?? 'no worker lived to say why'}`;
    }
    const claimed = taken.filter((row) => !usedUp.includes(row));
    for (const row of claimed) {
      Object.assign(row, { status: 'claimed', token, lockedUntilMs: this.nowMs + this.leaseMs });
      row.attempts += 1;
    }
    return {
      claimed: claimed.map(({ requestId, attempts, row }) => ({ requestId, leaseToken: token, attempts, row })),
      poisoned: usedUp.map(({ requestId, lastError }) => ({ requestId, reason: lastError ?? '' })),
    };
  }

  #held(claimed: ClaimedRowLike, states: readonly string[]): FakeRow | undefined {
    return this.rows.find(
      (row) => row.requestId === claimed.requestId && row.token === claimed.leaseToken && states.includes(row.status),
    );
  }

  #read(claimed: ClaimedRowLike): ReadOutcome {
    const row = this.#held(claimed, ['claimed']);
    if (row === undefined) return { outcome: 'lease-lost' };
    return { outcome: 'read', row: row.row, details: this.details, consistency: 'snapshot' };
  }

  #fenced(claimed: ClaimedRowLike, states: readonly string[], change: (row: FakeRow) => unknown): Promise<boolean> {
    const row = this.#held(claimed, states);
    if (row !== undefined) change(row);
    return Promise.resolve(row !== undefined);
  }
}

export class FakeRequestStore {
  readonly blobs = new Map<string, Uint8Array>();

  putIfAbsent(eventId: string, bytes: Uint8Array): Promise<'created' | 'exists'> {
    if (this.blobs.has(eventId)) return Promise.resolve('exists');
    this.blobs.set(eventId, bytes);
    return Promise.resolve('created');
  }

  get(eventId: string): Promise<Uint8Array | undefined> {
    return Promise.resolve(this.blobs.get(eventId));
  }
}

export class FakePublisher {
  readonly events: { readonly event: RunEvent; readonly partitionKey: string }[] = [];

  publish(events: readonly RunEvent[], partitionKey: string): Promise<void> {
    this.events.push(...events.map((event) => ({ event, partitionKey })));
    return Promise.resolve();
  }
}
