import { randomBytes } from 'node:crypto';
import type { Clock } from '@xva/runtime';
import type { Principal } from '../auth/principal.ts';
import { allowsVersion, versionChanged } from '../http/conditions.ts';
import { notFound, ProblemError } from '../http/problems.ts';
import { AddressError, checkedAddress, checkUrl, type AddressRules, type Resolve } from '../webhooks/address-guard.ts';
import { webhookSecret } from '../webhooks/signature.ts';
import type { Delivery, Versioned, Webhook, WebhookEvent, WebhookStore } from '../webhooks/store.ts';

export interface WebhookServiceDeps {
  readonly store: WebhookStore;
  readonly clock: Clock;
  readonly rules: AddressRules;
  readonly resolve: Resolve;
  /** Undefined = webhooks are switched off. */
  readonly signingKey: string | undefined;
  readonly maxWebhooks: number;
  /** There is something to deliver. */
  readonly wake: () => void;
}

const maxShownDeliveries = 100;

/** Makes and shows webhooks. One that was made by somebody who sees a desk only is told of that desk only. */
export class WebhookService {
  readonly #deps: WebhookServiceDeps;

  constructor(deps: WebhookServiceDeps) {
    this.#deps = deps;
  }

  /** @throws ProblemError 409 while webhooks are switched off */
  #needSigningKey(): string {
    const { signingKey } = this.#deps;
    if (signingKey === undefined)
      throw new ProblemError(
        409,
        'webhooks-off',
        'webhooks are switched off: the setting webhookSigningKey is missing',
      );
    return signingKey;
  }

  async #checked(url: string): Promise<string> {
    const { rules, resolve } = this.#deps;
    try {
      const parsed = checkUrl(url, rules);
      await checkedAddress(parsed, rules, resolve);
      return parsed.href;
    } catch (error) {
      const [code, message] =
        error instanceof AddressError
          ? ['address-not-allowed', error.message]
          : ['address-not-known', 'the host of this address cannot be resolved'];
      throw new ProblemError(422, code, message, { errors: [{ subject: 'body.url', code, message }] });
    }
  }

  /** @returns the webhook and its secret, which is shown now only */
  async create(
    wanted: { readonly url: string; readonly events: readonly WebhookEvent[] },
    principal: Principal,
  ): Promise<{ hook: Webhook; secret: string }> {
    const signingKey = this.#needSigningKey();
    const { store, clock, maxWebhooks } = this.#deps;
    const url = await this.#checked(wanted.url);
    if ((await store.list()).length >= maxWebhooks)
      throw new ProblemError(409, 'too-many-webhooks', `there are ${maxWebhooks} webhooks: delete one first`);
    const hook: Webhook = {
      id: randomBytes(8).toString('hex'),
      url,
      events: [...new Set(wanted.events)],
      desk: principal.sees === 'all' ? null : principal.desk,
      generation: 1,
      previousUntil: null,
      createdAt: clock.now().toISOString(),
      createdBy: principal.id,
      version: 1,
    };
    await store.add(hook);
    return { hook, secret: webhookSecret(signingKey, hook.id, 1) };
  }

  async list(principal: Principal): Promise<readonly Webhook[]> {
    return (await this.#deps.store.list()).filter((hook) => isTheirs(hook, principal));
  }

  async get(id: string, principal: Principal): Promise<Versioned<Webhook>> {
    const found = await this.#deps.store.get(id);
    if (found === undefined || !isTheirs(found.value, principal)) throw notFound(`webhook ${id}`);
    return found;
  }

  async remove(id: string, principal: Principal, expected: string | undefined): Promise<Webhook> {
    const found = await this.#expected(id, principal, expected);
    if (!(await this.#deps.store.remove(id, found.etag))) throw changedMeanwhile(id);
    return found.value;
  }

  /** A new secret; the one before it signs too for `overlapHours`. */
  async rotate(
    id: string,
    overlapHours: number,
    principal: Principal,
    expected: string | undefined,
  ): Promise<{ before: Webhook; hook: Webhook; secret: string }> {
    const signingKey = this.#needSigningKey();
    const { store, clock } = this.#deps;
    const { value: before, etag } = await this.#expected(id, principal, expected);
    const until = new Date(clock.now().getTime() + overlapHours * 3_600_000).toISOString();
    const { generation, version } = before;
    const hook = { ...before, generation: generation + 1, previousUntil: until, version: version + 1 };
    if (!(await store.replace(hook, etag))) throw changedMeanwhile(id);
    return { before, hook, secret: webhookSecret(signingKey, id, hook.generation) };
  }

  /** Sends a message that says nothing but that it arrives. */
  async ping(id: string, principal: Principal): Promise<Delivery> {
    this.#needSigningKey();
    const { value: hook } = await this.get(id, principal);
    const now = this.#deps.clock.now().toISOString();
    const delivery: Delivery = {
      ...{ webhookId: hook.id, id: `msg-${randomBytes(16).toString('hex')}`, event: 'ping', runId: null },
      body: JSON.stringify({ type: 'ping', timestamp: now, data: { webhookId: hook.id } }),
      ...{ state: 'pending', attempts: [], createdAt: now, dueAt: now },
    };
    await this.#deps.store.enqueue(delivery);
    this.#deps.wake();
    return delivery;
  }

  async deliveries(id: string, principal: Principal): Promise<readonly Delivery[]> {
    await this.get(id, principal);
    return this.#deps.store.deliveries(id, maxShownDeliveries);
  }

  /** Sends a message again that was delivered or given up: the same message under the same id. */
  async redeliver(
    id: string,
    deliveryId: string,
    principal: Principal,
  ): Promise<{ before: Delivery; after: Delivery }> {
    await this.get(id, principal);
    const found = await this.#deps.store.delivery(id, deliveryId);
    if (found === undefined) throw notFound(`delivery ${deliveryId} of webhook ${id}`);
    const before = found.value;
    if (before.state === 'pending') return { before, after: before };
    const dueAt = this.#deps.clock.now().toISOString();
    const after: Delivery = { ...before, state: 'pending', attempts: [], dueAt };
    if (!(await this.#deps.store.replaceDelivery(after, found.etag))) throw changedMeanwhile(deliveryId);
    this.#deps.wake();
    return { before, after };
  }

  async #expected(id: string, principal: Principal, expected: string | undefined): Promise<Versioned<Webhook>> {
    const found = await this.get(id, principal);
    if (expected !== undefined && !allowsVersion(expected, found.value.version))
      throw versionChanged(`webhook ${id}`, expected, found.value.version);
    return found;
  }
}

function isTheirs(hook: Webhook, principal: Principal): boolean {
  return principal.sees === 'all' || hook.desk === principal.desk;
}

function changedMeanwhile(id: string): ProblemError {
  return new ProblemError(409, 'changed-meanwhile', `${id} was changed by somebody else just now: read it again`);
}
