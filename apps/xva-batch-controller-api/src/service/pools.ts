import type { PoolDetails, PoolPort } from '@xva/flow-submit';
import { ProblemError, notFound } from '../http/problems.ts';

export interface PoolView {
  readonly id: string;
  readonly state: string;
  readonly allocationState: string;
  readonly vmSize: string;
  readonly slotsPerNode: number;
  readonly dedicatedNodes: { readonly current: number; readonly target: number };
  readonly spotNodes: { readonly current: number; readonly target: number };
  readonly resizeErrors: readonly string[];
  readonly autoScaleFormula: string | null;
}

function viewOf(pool: PoolDetails): PoolView {
  const { id, state, allocationState, vmSize, slotsPerNode, dedicatedNodes, spotNodes, resizeErrors } = pool;
  return {
    ...{ id, state, allocationState, vmSize, slotsPerNode, dedicatedNodes, spotNodes, resizeErrors },
    autoScaleFormula: pool.autoScaleFormula ?? null,
  };
}

/** The pools of the Batch account, for operators. */
export class PoolService {
  readonly #pools: PoolPort;
  readonly #maxNodes: number;

  /** @param maxNodes no resize asks for more, of either kind: a slip of the finger shall not cost a fortune */
  constructor(pools: PoolPort, maxNodes: number) {
    this.#pools = pools;
    this.#maxNodes = maxNodes;
  }

  async list(): Promise<readonly PoolView[]> {
    const found: PoolView[] = [];
    for await (const pool of this.#pools.listPools()) found.push(viewOf(pool));
    return found;
  }

  async get(id: string): Promise<PoolView> {
    const pool = await this.#pools.poolDetails(id);
    if (pool === undefined) throw notFound(`pool ${id}`);
    return viewOf(pool);
  }

  async resize(
    id: string,
    target: { readonly dedicatedNodes?: number | undefined; readonly spotNodes?: number | undefined },
  ): Promise<{ before: PoolView; after: PoolView }> {
    const most = Math.max(target.dedicatedNodes ?? 0, target.spotNodes ?? 0);
    if (most > this.#maxNodes)
      throw new ProblemError(
        422,
        'too-many-nodes',
        `the setting maxPoolNodes allows ${this.#maxNodes} nodes, not ${most}`,
      );
    const before = await this.get(id);
    const result = await this.#pools.resizePool(id, target);
    if (result.outcome === 'absent') throw notFound(`pool ${id}`);
    if (result.outcome === 'busy')
      throw new ProblemError(409, 'pool-busy', `pool ${id} is being resized: try again when it is steady`);
    if (result.outcome === 'autoscaled')
      throw new ProblemError(409, 'pool-autoscaled', `pool ${id} scales by its formula: change that instead`);
    if (result.outcome === 'refused') throw new ProblemError(422, 'pool-refused', `${result.code}: ${result.message}`);
    return { before, after: await this.get(id) };
  }

  /** What a formula would set now, by Batch's own evaluator; nothing changes. */
  async evaluate(id: string, formula: string): Promise<{ results: string; error: string | null }> {
    const result = await this.#pools.evaluateAutoScale(id, formula).catch((error: unknown) => {
      // A service that stands in for Batch may say so of what it has not got.
      if ((error as { status?: unknown }).status !== 501) throw error;
      throw new ProblemError(422, 'pool-refused', 'this Batch service evaluates no formulas');
    });
    if (result.outcome === 'absent') throw notFound(`pool ${id}`);
    if (result.outcome === 'refused') throw new ProblemError(422, 'pool-refused', `${result.code}: ${result.message}`);
    return { results: result.results, error: result.error ?? null };
  }
}
