import { Agent as HttpAgent } from 'node:http';
import { Agent as HttpsAgent } from 'node:https';
import { BatchServiceClient, type BatchServiceModels as Models } from '@azure/batch';
import { DefaultAzureCredential, type TokenCredential } from '@azure/identity';
import { retry, systemClock, type Clock, type Random, type RetryPolicy } from '@xva/runtime';
import { entraCredentials, sharedKeyCredentials } from './credentials.ts';
import { BatchError, translateError } from './errors.ts';

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
  readonly abortSignal: AbortSignalLike;
}

/**
 * The official client with its own retries off (it never tries 429 again and waits half a minute after a reset) and
 * ours around every request: 429, 408 and 5xx with Retry-After, lost connections, capped back-off with full jitter.
 */
export class RetryingBatchClient {
  readonly policy: RetryPolicy;
  readonly clock: Clock;
  readonly random: Random;
  readonly #client: BatchServiceClient;
  readonly #agents: readonly [HttpAgent, HttpsAgent];
  readonly #timeoutMs: number;
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
    this.#timeoutMs = options.requestTimeoutMs ?? 30_000;
    this.#onRetry = options.onRetry;
    this.#agents = [new HttpAgent({ keepAlive: true }), new HttpsAgent({ keepAlive: true })];
    const credentials =
      accountName !== undefined && accountKey !== undefined
        ? sharedKeyCredentials(accountName, accountKey)
        : entraCredentials(options.credential ?? new DefaultAzureCredential(), () => this.clock.now().getTime());
    this.#client = new BatchServiceClient(credentials, options.endpoint.replace(/\/+$/, ''), {
      noRetryPolicy: true,
      agentSettings: { http: this.#agents[0], https: this.#agents[1] },
    });
  }

  /** One operation with retries. `target` names the thing in errors. @throws BatchError */
  async call<T>(
    target: string,
    operation: (client: BatchServiceClient, options: CallOptions) => Promise<T>,
    signal?: AbortSignal,
  ): Promise<T> {
    return retry(() => this.#once(target, operation, signal), {
      policy: this.policy,
      clock: this.clock,
      random: this.random,
      signal,
      judge: (error) =>
        error instanceof BatchError && error.retryable
          ? { retry: true, retryAfterMs: error.retryAfterMs }
          : { retry: false },
      onRetry: (error, attempt, delayMs) => {
        if (error instanceof BatchError) this.#onRetry?.(error, attempt, delayMs);
      },
    });
  }

  async #once<T>(
    target: string,
    operation: (client: BatchServiceClient, options: CallOptions) => Promise<T>,
    signal: AbortSignal | undefined,
  ): Promise<T> {
    const timeout = AbortSignal.timeout(this.#timeoutMs);
    try {
      return await operation(this.#client, {
        // Node's signal is what the client wants; only its older type for `dispatchEvent` differs.
        abortSignal: (signal === undefined ? timeout : AbortSignal.any([signal, timeout])) as AbortSignalLike,
      });
    } catch (error) {
      if (signal?.aborted !== true && timeout.aborted) {
        const detail = `no answer within ${this.#timeoutMs} ms`;
        throw new BatchError(target, { code: 'RequestTimeout', status: 0, detail }, error);
      }
      throw translateError(error, target, this.clock.now());
    }
  }

  close(): void {
    for (const agent of this.#agents) agent.destroy();
  }
}
