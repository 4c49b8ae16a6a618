import type { RetryingBatchClient } from './client.ts';
import { BatchError } from './errors.ts';
import { toPoolFacts, type PoolFacts } from './shapes.ts';

type Refusal = { readonly outcome: 'refused'; readonly code: string; readonly message: string };

export type ResizeOutcome = { readonly outcome: 'asked' | 'busy' | 'autoscaled' | 'absent' } | Refusal;
export type EvaluateOutcome =
  | { readonly outcome: 'evaluated'; readonly results: string; readonly error: string | undefined }
  | { readonly outcome: 'absent' }
  | Refusal;

/** Conflicts that pass when the resize that is under way is over. */
const busy: ReadonlySet<string> = new Set(['PoolBeingResized', 'PoolBeingCreated', 'PoolBeingDeleted']);

function refusal(error: BatchError): Refusal {
  return { outcome: 'refused', code: error.code, message: error.detail };
}

/** What an operator does with pools, by the official client. */
export class Pools {
  readonly #client: RetryingBatchClient;

  constructor(client: RetryingBatchClient) {
    this.#client = client;
  }

  async get(poolId: string): Promise<PoolFacts | undefined> {
    try {
      return await this.#client.call(`pool ${poolId}`, async (client, options) =>
        toPoolFacts(await client.pool.get(poolId, options)),
      );
    } catch (error) {
      if (error instanceof BatchError && error.status === 404) return undefined;
      throw error;
    }
  }

  async *list(): AsyncGenerator<PoolFacts> {
    const pages = this.#client.list(
      'pools',
      (client, options) => client.pool.list(options),
      (client, link, options) => client.pool.listNext(link, options),
    );
    for await (const page of pages) yield* page.map(toPoolFacts);
  }

  /** Asks for so many nodes; what is left out stays. A pool that scales by its formula says so. */
  async resize(
    poolId: string,
    target: { readonly dedicatedNodes?: number | undefined; readonly spotNodes?: number | undefined },
  ): Promise<ResizeOutcome> {
    const pool = await this.get(poolId);
    if (pool === undefined) return { outcome: 'absent' };
    if (pool.autoScaleFormula !== undefined) return { outcome: 'autoscaled' };
    const wanted = {
      targetDedicatedNodes: target.dedicatedNodes ?? pool.dedicatedNodes.target,
      targetLowPriorityNodes: target.spotNodes ?? pool.spotNodes.target,
    };
    try {
      await this.#client.call(`pool ${poolId}`, (client, options) => client.pool.resize(poolId, wanted, options));
      return { outcome: 'asked' };
    } catch (error) {
      if (!(error instanceof BatchError)) throw error;
      if (error.status === 404) return { outcome: 'absent' };
      if (busy.has(error.code)) return { outcome: 'busy' };
      if (error.status === 400 || error.status === 409) return refusal(error);
      throw error;
    }
  }

  /** What a formula would set now. Batch evaluates only where automatic scaling is on. */
  async evaluate(poolId: string, formula: string): Promise<EvaluateOutcome> {
    try {
      const run = await this.#client.call(`pool ${poolId}`, (client, options) =>
        client.pool.evaluateAutoScale(poolId, formula, options),
      );
      const { error } = run;
      const told = error === undefined ? undefined : `${error.code ?? ''}: ${error.message ?? ''}`;
      return { outcome: 'evaluated', results: run.results ?? '', error: told };
    } catch (error) {
      if (!(error instanceof BatchError)) throw error;
      if (error.status === 404) return { outcome: 'absent' };
      if (error.status === 400 || error.status === 409) return refusal(error);
      throw error;
    }
  }
}
