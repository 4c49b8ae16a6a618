import { ContractError, formatRequestKey, NotCanonicalError, type RequestKey, type RunSettings } from '@xva/contracts';
import {
  childTraceparent,
  describeError,
  retry,
  StoppedError,
  type Clock,
  type Logger,
  type Random,
} from '@xva/runtime';
import { buildRunEvent } from './event.ts';
import { freezeRequest, identityOf, readFrozen, type Frozen, type Identity } from './freeze.ts';
import { whileRenewing } from './lease.ts';
import type { ClaimedRow, EventPublisherPort, RequestSource, RequestStore } from './ports.ts';
import { readRequest } from './request.ts';

/** Boundaries between steps, where tests end the process. */
export const crashPoints = ['claimed', 'read', 'frozen', 'published', 'completed'] as const;
export type CrashPoint = (typeof crashPoints)[number];

/**
 * Whose fault an error is. `passes`: it goes away by itself. `operator`: rights or settings, the same for every row. Only
 * `row` counts against the row's attempts: a hub that is down, or a key that was rolled, must not put the table aside.
 */
export type Blame = 'passes' | 'operator' | 'row';

export interface DetectDeps {
  /** Name of the polling definition: part of every event's id. */
  readonly definition: string;
  readonly source: RequestSource;
  readonly store: RequestStore;
  readonly publisher: EventPublisherPort;
  readonly clock: Clock;
  readonly random: Random;
  readonly randomHex?: (bytes: number) => string;
  readonly logger: Logger;
  readonly leaseMs: number;
  /** The adapters' errors are the application's to judge; a bug is the row's, so that it cannot loop for ever. */
  readonly blame: (error: unknown) => Blame;
  /** How long the hub asks to be left alone (ms); undefined when the error is anything but its being busy. */
  readonly busyMs?: (error: unknown) => number | undefined;
  readonly crashPoint: (point: CrashPoint) => void;
}

export type RowOutcome =
  /** `reused`: the request was frozen before, and the stored bytes were sent. */
  | {
      readonly outcome: 'published';
      readonly eventId: string;
      readonly runId: string;
      readonly frozen: 'created' | 'reused';
    }
  | { readonly outcome: 'poisoned'; readonly reason: string }
  /** Back in the table; `trouble` when the store, the hub or the database is the cause; `busyMs` when the hub is busy. */
  | { readonly outcome: 'released'; readonly reason: string; readonly trouble: boolean; readonly busyMs?: number }
  /** Another worker has the row now; whatever was done under the same event id is the same act. */
  | { readonly outcome: 'lease-lost' }
  /** The database does not answer: the lease runs out by itself and the row comes again. */
  | { readonly outcome: 'abandoned'; readonly reason: string };

type Ready = { readonly outcome: 'frozen'; readonly frozen: Frozen; readonly how: 'created' | 'reused' };

/** Lets work begin when it is its turn; rejects with StoppedError when it is not to begin any more. */
export type Turn = <T>(work: () => Promise<T>) => Promise<T>;

/**
 * One row: freeze what it asks for, publish the event, and only after the acknowledgement complete the row. Ended at any
 * step, the next holder of the lease does the same under the same ids. The lease is renewed from the start, while the row
 * waits for its turn too. Never throws for what happens to one row.
 */
export async function handleRow(
  deps: DetectDeps,
  claimed: ClaimedRow,
  turn: Turn = (work) => work(),
  stopTaking?: AbortSignal,
): Promise<RowOutcome> {
  const scoped = { ...deps, logger: deps.logger.child({ definition: deps.definition, requestId: claimed.requestId }) };
  let outcome: RowOutcome;
  try {
    outcome = await whileRenewing(scoped, claimed, (isLost) => turn(() => steps(scoped, claimed, isLost, stopTaking)));
  } catch (error) {
    outcome = await giveBack(scoped, claimed, error);
  }
  report(scoped.logger, outcome);
  return outcome;
}

async function steps(
  deps: DetectDeps,
  claimed: ClaimedRow,
  isLost: () => boolean,
  stopTaking?: AbortSignal,
): Promise<RowOutcome> {
  if (isLost()) return { outcome: 'lease-lost' };
  deps.crashPoint('claimed');
  const reading = readRequest(claimed.row);
  if (reading.outcome === 'invalid') return putAside(deps, claimed, reading.reason);
  const identity = identityOf(deps.definition, reading.key, claimed.version);
  const traceparent = childTraceparent(reading.trace, deps.randomHex);
  // A first claim finds nothing stored, as a rule: the conditional write tells when it does.
  const stored = claimed.attempts > 1 ? await deps.store.get(identity.eventId) : undefined;
  const ready =
    stored === undefined
      ? await freeze(deps, claimed, reading.key, identity, traceparent)
      : useStored(deps, stored, identity, reading);
  if (ready.outcome === 'refused') return putAside(deps, claimed, ready.reason);
  if (ready.outcome !== 'frozen') return ready;
  deps.crashPoint('frozen');
  if (isLost()) return { outcome: 'lease-lost' };
  const { frozen, how } = ready;
  const event = buildRunEvent(deps.definition, frozen, traceparent, deps.clock.now());
  await whileBusy(deps, isLost, stopTaking, () => deps.publisher.publish([event], frozen.key.book));
  deps.crashPoint('published');
  const completed = await retryShortly(deps, () => deps.source.complete(claimed, frozen.eventId));
  deps.crashPoint('completed');
  if (!completed) return { outcome: 'lease-lost' };
  return { outcome: 'published', eventId: frozen.eventId, runId: frozen.runId, frozen: how };
}

/** A hub that is busy for longer gets its rows back later: whoever looks at the table shall see them. */
const patienceMs = 300_000;

/**
 * Keeps the row and its lease while the hub is busy, asks it again when it allows, and claims nothing meanwhile: giving the
 * row back would have another worker ask at once.
 */
async function whileBusy(
  deps: DetectDeps,
  isLost: () => boolean,
  stopTaking: AbortSignal | undefined,
  publish: () => Promise<void>,
): Promise<void> {
  const isStopping = (): boolean => stopTaking?.aborted === true;
  for (let waitedMs = 0; ;) {
    try {
      return await publish();
    } catch (error) {
      const busyMs = deps.busyMs?.(error);
      if (busyMs === undefined || waitedMs + busyMs > patienceMs || isLost() || isStopping()) throw error;
      deps.logger.warn({ busyMs, error: describeError(error) }, 'the hub is busy: the row waits, its lease is kept');
      // Those that wait together do not come back together.
      const waitMs = busyMs + Math.round((deps.random() * busyMs) / 4);
      await deps.clock.sleep(waitMs, stopTaking);
      waitedMs += waitMs;
      if (isStopping()) throw new StoppedError();
      if (isLost()) throw error;
    }
  }
}

type Refused = { readonly outcome: 'refused'; readonly reason: string };

/** Reads the details in one snapshot and stores them; whoever comes second uses what the first one stored. */
async function freeze(
  deps: DetectDeps,
  claimed: ClaimedRow,
  key: RequestKey,
  identity: Identity,
  traceparent: string,
): Promise<Ready | Refused | RowOutcome> {
  const read = await deps.source.readDetails(claimed);
  if (read.outcome === 'lease-lost') return read;
  if (read.outcome === 'unreadable') return { outcome: 'refused', reason: read.reason };
  deps.crashPoint('read');
  // The row in the snapshot counts, not the one that the claim saw.
  const now = readRequest(read.row);
  if (now.outcome === 'invalid') return { outcome: 'refused', reason: now.reason };
  if (formatRequestKey(now.key) !== formatRequestKey(key)) {
    return { outcome: 'refused', reason: `the row's key changed to ${formatRequestKey(now.key)} while it was claimed` };
  }
  let frozen: Frozen;
  try {
    frozen = freezeRequest(identity, now.key, now.settings, read.details, now.extras);
  } catch (error) {
    if (error instanceof ContractError || error instanceof NotCanonicalError) {
      return { outcome: 'refused', reason: error.message };
    }
    throw error;
  }
  const put = await deps.store.putIfAbsent(identity.eventId, frozen.bytes, { ...identity, traceparent });
  if (put === 'created') return { outcome: 'frozen', frozen, how: 'created' };
  const stored = await deps.store.get(identity.eventId);
  // Written once and swept long after: it can only be absent here when somebody removed it by hand.
  if (stored === undefined) throw new Error(`the frozen request ${identity.eventId} is there and is not`);
  return useStored(deps, stored, identity, now);
}

function useStored(
  deps: DetectDeps,
  bytes: Uint8Array,
  identity: Identity,
  row: { readonly key: RequestKey; readonly settings: RunSettings },
): Ready | Refused {
  let frozen: ReturnType<typeof readFrozen>;
  try {
    frozen = readFrozen(bytes);
  } catch (error) {
    return { outcome: 'refused', reason: `requests/${identity.eventId}.json: ${(error as Error).message}` };
  }
  if (frozen.eventId !== identity.eventId || formatRequestKey(frozen.key) !== formatRequestKey(row.key)) {
    const reason = `requests/${identity.eventId}.json holds the request ${formatRequestKey(frozen.key)}, not this row's`;
    return { outcome: 'refused', reason };
  }
  if (JSON.stringify(sorted(frozen.settings)) !== JSON.stringify(sorted(row.settings))) {
    deps.logger.warn({ eventId: identity.eventId }, 'the row changed since it was frozen; what was frozen counts');
  }
  return { outcome: 'frozen', frozen, how: 'reused' };
}

function sorted(settings: RunSettings): [string, unknown][] {
  return Object.entries(settings).sort(([a], [b]) => (a < b ? -1 : 1));
}

async function putAside(deps: DetectDeps, claimed: ClaimedRow, reason: string): Promise<RowOutcome> {
  const kept = await retryShortly(deps, () => deps.source.poison(claimed, reason));
  return kept ? { outcome: 'poisoned', reason } : { outcome: 'lease-lost' };
}

/** How long a row rests after a failure: seconds, more with every attempt, at most a minute. */
export function restMs(attempts: number, random: Random): number {
  return Math.round(Math.min(60_000, 1_000 * 2 ** Math.min(10, attempts - 1)) * (0.5 + random() / 2));
}

async function giveBack(deps: DetectDeps, claimed: ClaimedRow, error: unknown): Promise<RowOutcome> {
  const stopped = error instanceof StoppedError;
  const reason = error instanceof Error ? error.message : String(error);
  if (!stopped) deps.logger.warn({ error: describeError(error) }, 'the row goes back to the table');
  const blame = stopped ? 'passes' : deps.blame(error);
  const busyMs = deps.busyMs?.(error);
  try {
    const outcome = await deps.source.release(claimed, {
      error: stopped ? null : reason,
      delayMs: stopped ? 0 : Math.max(busyMs ?? 0, restMs(claimed.attempts, deps.random)),
      giveBack: blame !== 'row',
    });
    if (outcome === 'poisoned') return { outcome: 'poisoned', reason };
    return outcome === 'released'
      ? {
          outcome: 'released',
          reason,
          trouble: !stopped && blame !== 'row',
          ...(busyMs === undefined ? {} : { busyMs }),
        }
      : { outcome: 'lease-lost' };
  } catch (second) {
    const { message } = describeError(second);
    return { outcome: 'abandoned', reason: `${reason}; and then ${String(message)}` };
  }
}

function retryShortly<T>(deps: DetectDeps, operation: () => Promise<T>): Promise<T> {
  return retry(operation, {
    policy: { maxAttempts: 4, baseDelayMs: 100, maxDelayMs: 1_000, deadlineMs: deps.leaseMs / 2 },
    clock: deps.clock,
    random: deps.random,
    judge: (error) => ({ retry: deps.blame(error) === 'passes' }),
  });
}

function report(logger: Logger, outcome: RowOutcome): void {
  switch (outcome.outcome) {
    case 'published':
      logger.info(outcome, 'row published');
      return;
    case 'poisoned':
      logger.error(outcome, 'row put aside');
      return;
    case 'released':
    case 'lease-lost':
    case 'abandoned':
      logger.warn(outcome, 'row not published');
  }
}
