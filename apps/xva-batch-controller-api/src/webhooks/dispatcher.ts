import { canonicalHash, type RunRecord } from '@xva/contracts';
import { viewOf, type StoredRun } from '@xva/flow-submit';
import { describeError, type Clock, type Logger } from '@xva/runtime';
import { AddressError } from './address-guard.ts';
import { postOnce, type PostOptions, type PostOutcome } from './post.ts';
import { signatureOf, webhookSecret } from './signature.ts';
import type { Attempt, Delivery, Webhook, WebhookEvent, WebhookStore } from './store.ts';

export interface DispatcherDeps {
  readonly store: WebhookStore;
  /** Records that changed at or after a time, in no order. */
  readonly changedSince: (at: Date) => AsyncIterable<StoredRun>;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly signingKey: string;
  readonly post: PostOptions;
}

export interface DispatcherOptions {
  /** How often run records are looked through for what nobody told here: another replica's, or a crash's. */
  readonly scanMs: number;
  /** Wait before the second try of a delivery, doubling. */
  readonly retryMs: number;
  readonly maxAttempts: number;
}

const longestRetryMs = 3_600_000;
/** Clocks of replicas may differ by this, and a write may take so long to be seen. */
const overlapMs = 10 * 60_000;
const together = 8;
const mostTold = 10_000;

/** What of a record is worth telling: each once per run and version of what happened. */
export function eventsOf(record: RunRecord): readonly { readonly event: WebhookEvent; readonly at: string }[] {
  const missed = record.deadlineMissedAt;
  const ended = record.finishedAt;
  const states: Partial<Record<RunRecord['state'], WebhookEvent>> = {
    done: 'run.done',
    failed: 'run.failed',
    cancelled: 'run.cancelled',
  };
  const event = states[record.state];
  return [
    ...(missed === null ? [] : [{ event: 'run.deadline-missed' as const, at: missed }]),
    ...(event === undefined || ended === null ? [] : [{ event, at: ended }]),
  ];
}

/** Tells webhooks what became of runs: at least once each, signed, with growing waits, by any of the replicas. */
export class WebhookDispatcher {
  readonly #deps: DispatcherDeps;
  readonly #options: DispatcherOptions;
  /** What was told here: a record is read often, and what it says is noticed once. The scan finds what was lost. */
  readonly #told = new Set<string>();
  #wake: () => void = () => undefined;

  constructor(deps: DispatcherDeps, options: DispatcherOptions) {
    this.#deps = deps;
    this.#options = options;
  }

  /** A version of a record that was written here: what it says is told at once. */
  tell(run: StoredRun): void {
    const { runId } = run.record;
    const events = eventsOf(run.record);
    const fresh = events.filter(({ event, at }) => !this.#told.has(`${runId} ${event} ${at}`));
    if (fresh.length === 0) return;
    if (this.#told.size > mostTold) this.#told.clear();
    for (const { event, at } of fresh) this.#told.add(`${runId} ${event} ${at}`);
    this.#notice(run.record)
      .then((noticed) => {
        if (noticed > 0) this.#wake();
      })
      .catch((error: unknown) => {
        this.#deps.logger.warn({ runId, error: describeError(error) }, 'webhooks will be told by the next scan');
      });
  }

  /** There is something to deliver. */
  wake(): void {
    this.#wake();
  }

  async run(signal: AbortSignal): Promise<void> {
    const { clock, logger } = this.#deps;
    let scanAt = 0;
    while (!signal.aborted) {
      const woken = new Promise<void>((resolve) => (this.#wake = resolve));
      let due: number | undefined;
      try {
        if (clock.now().getTime() >= scanAt) {
          await this.scan();
          scanAt = clock.now().getTime() + this.#options.scanMs;
        }
        due = await this.deliverDue(signal);
      } catch (error) {
        logger.warn({ error: describeError(error) }, 'webhooks could not be worked on and will be again');
      }
      const now = clock.now().getTime();
      const sleeping = new AbortController();
      const stop = (): void => sleeping.abort();
      signal.addEventListener('abort', stop, { once: true });
      const wait = Math.max(10, Math.min(scanAt, due ?? scanAt, now + this.#options.scanMs) - now);
      await Promise.race([woken, clock.sleep(wait, sleeping.signal)]);
      signal.removeEventListener('abort', stop);
      stop();
    }
  }

  /** Looks through the records that changed since the last time, with an overlap. */
  async scan(): Promise<number> {
    const { store, clock, changedSince } = this.#deps;
    const started = clock.now();
    const hooks = await store.list();
    let noticed = 0;
    if (hooks.length > 0) {
      const from = (await store.cursor()) ?? started.toISOString();
      for await (const { record } of changedSince(new Date(Date.parse(from) - overlapMs)))
        noticed += await this.#notice(record, hooks);
    }
    await store.advance(started.toISOString());
    return noticed;
  }

  async #notice(record: RunRecord, known?: readonly Webhook[]): Promise<number> {
    const hooks = known ?? (await this.#deps.store.list());
    let noticed = 0;
    for (const { event, at } of eventsOf(record)) {
      for (const hook of hooks) {
        const isMeant = hook.events.includes(event) && (hook.desk === null || hook.desk === record.desk);
        // What happened before a hook was there is none of its business.
        if (!isMeant || at < hook.createdAt) continue;
        if (await this.#deps.store.enqueue(this.#deliveryOf(hook, event, at, record))) noticed += 1;
      }
    }
    return noticed;
  }

  #deliveryOf(hook: Webhook, event: WebhookEvent, at: string, record: RunRecord): Delivery {
    const now = this.#deps.clock.now().toISOString();
    const id = `msg-${canonicalHash([hook.id, record.runId, event, at]).slice(0, 32)}`;
    const body = JSON.stringify({ type: event, timestamp: at, data: viewOf(record) });
    return {
      ...{ webhookId: hook.id, id, event, runId: record.runId, body },
      ...{ state: 'pending', attempts: [], createdAt: now, dueAt: now },
    };
  }

  /** Tries what is due; @returns when the next one is, in ms since the epoch. */
  async deliverDue(signal: AbortSignal): Promise<number | undefined> {
    const queue: Pick<Delivery, 'webhookId' | 'id'>[] = [];
    for await (const one of this.#deps.store.pending()) queue.push(one);
    let next: number | undefined;
    const work = async (): Promise<void> => {
      for (let one = queue.shift(); one !== undefined && !signal.aborted; one = queue.shift()) {
        const due = await this.#deliver(one);
        if (due !== undefined && (next === undefined || due < next)) next = due;
      }
    };
    await Promise.all(Array.from({ length: together }, work));
    return next;
  }

  async #deliver(key: Pick<Delivery, 'webhookId' | 'id'>): Promise<number | undefined> {
    const { store, clock, logger } = this.#deps;
    const [found, hook] = await Promise.all([store.delivery(key.webhookId, key.id), store.get(key.webhookId)]);
    if (found === undefined || hook === undefined || found.value.state !== 'pending') {
      // A mark that was just made may be ahead of its delivery: only an old one is without.
      if (found !== undefined || hook === undefined) await store.settled(key);
      return undefined;
    }
    const now = clock.now().getTime();
    const dueAt = Date.parse(found.value.dueAt);
    if (dueAt > now) return dueAt;
    // Whoever writes the lease first tries; should it die, another one does when the lease is over.
    const lease = new Date(now + this.#deps.post.timeoutMs * 2).toISOString();
    if (!(await store.replaceDelivery({ ...found.value, dueAt: lease }, found.etag))) return undefined;
    const attempt = await this.#attempt(hook.value, found.value);
    const after = this.#after(found.value, attempt);
    const held = await store.delivery(key.webhookId, key.id);
    if (held === undefined || !(await store.replaceDelivery(after, held.etag))) return undefined;
    const { webhookId, id } = key;
    logger.info({ webhookId, deliveryId: id, status: attempt.status, state: after.state }, 'a webhook was tried');
    if (after.state === 'pending') return Date.parse(after.dueAt);
    await store.settled(key);
    return undefined;
  }

  async #attempt(hook: Webhook, delivery: Delivery): Promise<Attempt> {
    const { clock, signingKey, post } = this.#deps;
    const now = clock.now();
    const seconds = Math.floor(now.getTime() / 1000);
    const generations = [
      hook.generation,
      ...(hook.previousUntil !== null && hook.previousUntil > now.toISOString() ? [hook.generation - 1] : []),
    ];
    const signatures = generations.map((generation) =>
      signatureOf(webhookSecret(signingKey, hook.id, generation), delivery.id, seconds, delivery.body),
    );
    const headers = {
      'content-type': 'application/json',
      'user-agent': 'xva-batch-controller-api',
      'webhook-id': delivery.id,
      'webhook-timestamp': String(seconds),
      'webhook-signature': signatures.join(' '),
    };
    let outcome: PostOutcome;
    try {
      outcome = await postOnce(hook.url, headers, delivery.body, post);
    } catch (error) {
      const message = error instanceof Error ? error.message : String(error);
      outcome = {
        outcome: 'failed',
        message: error instanceof AddressError ? message : `it could not be sent: ${message}`,
      };
    }
    return outcome.outcome === 'answered'
      ? { at: now.toISOString(), status: outcome.status, message: `answered ${outcome.status}` }
      : { at: now.toISOString(), status: 0, message: outcome.message.slice(0, 300) };
  }

  #after(delivery: Delivery, attempt: Attempt): Delivery {
    const attempts = [...delivery.attempts, attempt];
    if (attempt.status >= 200 && attempt.status < 300) return { ...delivery, attempts, state: 'delivered' };
    // 410 is the receiver's own word that nothing shall come any more.
    if (attempts.length >= this.#options.maxAttempts || attempt.status === 410)
      return { ...delivery, attempts, state: 'failed' };
    const wait = Math.min(longestRetryMs, this.#options.retryMs * 2 ** (attempts.length - 1));
    return { ...delivery, attempts, dueAt: new Date(this.#deps.clock.now().getTime() + wait).toISOString() };
  }
}
