import { BatchServiceClient, type BatchServiceModels as Models } from '@azure/batch';
import { DefaultAzureCredential, type TokenCredential } from '@azure/identity';
import { retry, systemClock, type Clock, type Random, type RetryPolicy } from '@xva/runtime';
import { entraAuthorizer, sharedKeyAuthorizer, type Authorizer } from './credentials.ts';
import { BatchError, translateError } from './errors.ts';
import { pagesOf } from './pages.ts';
import { RestClient } from './rest.ts';
import { Transport } from './transport.ts';

export interface BatchClientOptions {
  /** `https://<account>.<region>.batch.azure.com`; no path, since the client loses it. */
  readonly endpoint: string;
  /** Both, or else the process's Entra identity is used. */
  readonly accountName?: string | undefined;
  readonly accountKey?: string | undefined;
  readonly credential?: TokenCredential | undefined;
  readonly retryPolicy?: Partial<RetryPolicy> | undefined;
  readonly requestTimeoutMs?: number | undefined;
  readonly clock?: Clock | undefined;
  readonly random?: Random | undefined;
  readonly onRetry?: ((error: BatchError, attempt: number, delayMs: number) => void) | undefined;
}

export const defaultRetryPolicy: RetryPolicy = {
  maxAttempts: 6,
  baseDelayMs: 100,
  maxDelayMs: 5_000,
  deadlineMs: 60_000,
};

type AbortSignalLike = NonNullable<Models.PoolGetOptionalParams['abortSignal']>;

export interface CallOptions {
  readonly abortSignal?: AbortSignalLike;
}

/**
 * Two ways to one account: the official client for pools, jobs, single acts and files, its own retries off (it never
 * tries 429 again and waits half a minute after a reset), and our own REST path for adding and reading tasks in bulk. One
 * transport, one proof of identity and one retry policy serve both: 429, 408 and 5xx with Retry-After, lost
 * connections, capped back-off with full jitter, a 401 with a fresh token.
 */
export class RetryingBatchClient {
  readonly policy: RetryPolicy;
  readonly clock: Clock;
  readonly random: Random;
  readonly rest: RestClient;
  readonly #client: BatchServiceClient;
  readonly #authorizer: Authorizer;
  readonly #transport: Transport;
  readonly #onRetry: BatchClientOptions['onRetry'];

  /** @throws BatchError when only one of account name and key is given. */
  constructor(options: BatchClientOptions) {
    const { accountName, accountKey } = options;
    if ((accountName === undefined) !== (accountKey === undefined)) {
      const detail = 'give account name and key, or neither for the Entra identity';
      throw new BatchError('account', { code: 'BadOptions', status: 400, detail });
    }
    this.clock = options.clock ?? systemClock;
    this.random = options.random ?? Math.random;
    this.policy = { ...defaultRetryPolicy, ...options.retryPolicy };
    this.#onRetry = options.onRetry;
    this.#transport = new Transport(options.requestTimeoutMs ?? 30_000);
    this.#authorizer =
      accountName !== undefined && accountKey !== undefined
        ? sharedKeyAuthorizer(accountName, accountKey)
        : entraAuthorizer(options.credential ?? new DefaultAzureCredential(), () => this.clock.now().getTime());
    const endpoint = rootOf(options.endpoint);
    this.rest = new RestClient({
      endpoint,
      authorizer: this.#authorizer,
      transport: this.#transport,
      now: () => this.clock.now(),
    });
    this.#client = new BatchServiceClient(this.#authorizer.sdk, endpoint, {
      noRetryPolicy: true,
      httpClient: this.#transport.sdk(endpoint),
    });
  }

  /** One operation of the official client with retries. `target` names the thing in errors. @throws BatchError */
  async call<T>(
    target: string,
    operation: (client: BatchServiceClient, options: CallOptions) => Promise<T>,
    signal?: AbortSignal,
  ): Promise<T> {
    return this.retrying(() => this.#once(target, operation, signal), signal);
  }

  /** The pages of one of the official client's listings, each with retries. @throws BatchError */
  list<P extends { readonly odatanextLink?: string; readonly _response: { readonly bodyAsText: string } }>(
    target: string,
    first: (client: BatchServiceClient, options: CallOptions) => Promise<P>,
    next: (client: BatchServiceClient, link: string, options: CallOptions) => Promise<P>,
  ): AsyncGenerator<P> {
    const read = (link: string | undefined): Promise<P> =>
      this.call(target, async (client, options) => {
        const page = await (link === undefined ? first(client, options) : next(client, link, options));
        // The client takes what is no list for an empty one, and a collector would take every run for one without a job.
        if (/"value"\s*:\s*\[/.test(page._response.bodyAsText)) return page;
        throw new BatchError(target, { code: 'PARSE_ERROR', status: 200, detail: 'the answer has no list' });
      });
    return pagesOf(target, read, (page) => page.odatanextLink);
  }

  /** An operation of any kind, tried again as the policy says. @throws BatchError */
  async retrying<T>(operation: () => Promise<T>, signal?: AbortSignal): Promise<T> {
    let startedMs = 0;
    const attempt = (): Promise<T> => {
      startedMs = this.clock.now().getTime();
      return operation();
    };
    return retry(attempt, {
      policy: this.policy,
      clock: this.clock,
      random: this.random,
      signal,
      judge: (error) => {
        const verdict = this.judge(error, startedMs);
        return verdict === undefined ? { retry: false } : { retry: true, retryAfterMs: verdict.retryAfterMs };
      },
      onRetry: (error, tries, delayMs) => this.tell(error, tries, delayMs),
    });
  }

  /** Whether the same request may succeed later, and after which wait; undefined = never. */
  judge(error: unknown, startedMs: number): { readonly retryAfterMs: number | undefined } | undefined {
    if (!(error instanceof BatchError)) return undefined;
    if (error.status === 401) return this.#authorizer.renew(startedMs) ? { retryAfterMs: 0 } : undefined;
    return error.retryable ? { retryAfterMs: error.retryAfterMs } : undefined;
  }

  tell(error: unknown, attempt: number, delayMs: number): void {
    if (error instanceof BatchError) this.#onRetry?.(error, attempt, delayMs);
  }

  async #once<T>(
    target: string,
    operation: (client: BatchServiceClient, options: CallOptions) => Promise<T>,
    signal: AbortSignal | undefined,
  ): Promise<T> {
    try {
      // Node's signal is what the client wants; only its older type for `dispatchEvent` differs.
      return await operation(this.#client, signal === undefined ? {} : { abortSignal: signal as AbortSignalLike });
    } catch (error) {
      throw translateError(error, target, this.clock.now());
    }
  }

  close(): void {
    this.#transport.close();
  }
}

/** @throws BatchError for an endpoint that is no http(s) root: the official client would lose a path. */
function rootOf(endpoint: string): string {
  const url = URL.parse(endpoint);
  const plain = url !== null && /^https?:$/.test(url.protocol) && url.pathname === '/' && url.search === '';
  if (plain) return url.origin;
  const detail = `the endpoint must be like https://<account>.<region>.batch.azure.com, not ${endpoint}`;
  throw new BatchError('account', { code: 'BadOptions', status: 400, detail });
}
