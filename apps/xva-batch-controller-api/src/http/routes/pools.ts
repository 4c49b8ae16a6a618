import { z } from 'zod';
import type { PoolService, PoolView } from '../../service/pools.ts';
import { route, type ResponseDoc, type Route } from '../route.ts';
import { nothing } from './shared.ts';

const nodes = z.strictObject({ current: z.int(), target: z.int() });
export const poolSchema = z.strictObject({
  id: z.string(),
  state: z.string(),
  allocationState: z.string(),
  vmSize: z.string(),
  slotsPerNode: z.int(),
  dedicatedNodes: nodes,
  spotNodes: nodes,
  resizeErrors: z.array(z.string()),
  autoScaleFormula: z.string().nullable(),
});
const poolExample: PoolView = {
  id: 'spot',
  state: 'active',
  allocationState: 'steady',
  vmSize: 'standard_d4s_v5',
  slotsPerNode: 4,
  dedicatedNodes: { current: 0, target: 0 },
  spotNodes: { current: 8, target: 8 },
  resizeErrors: [],
  autoScaleFormula: null,
};

const poolParams = z.strictObject({
  poolId: z
    .string()
    .regex(/^[A-Za-z0-9_-]{1,64}$/, 'must be a pool id')
    .meta({ example: 'spot' }),
});
const pool: ResponseDoc = {
  description: 'the pool',
  schema: { name: 'Pool', schema: poolSchema, example: poolExample },
};
const noSuchPool = { 404: { description: 'no such pool' } };
const wantedNodes = z.int().min(0).max(10_000).optional();

function nodesOf({ dedicatedNodes, spotNodes }: PoolView): string {
  return `${dedicatedNodes.target} dedicated, ${spotNodes.target} spot`;
}

/** The nodes that tasks run on. */
export function poolRoutes(pools: PoolService): readonly Route[] {
  return [
    route({
      operationId: 'listPools',
      method: 'get',
      path: '/v1/pools',
      tag: 'pools',
      role: 'reader',
      summary: 'The pools of the Batch account.',
      params: nothing,
      query: nothing,
      responses: {
        200: {
          description: 'pools',
          schema: {
            name: 'Pools',
            schema: z.strictObject({ items: z.array(poolSchema) }),
            example: { items: [poolExample] },
          },
        },
      },
      handle: async () => ({ status: 200, body: { items: await pools.list() } }),
    }),
    route({
      operationId: 'getPool',
      method: 'get',
      path: '/v1/pools/{poolId}',
      tag: 'pools',
      role: 'reader',
      summary: 'One pool.',
      params: poolParams,
      query: nothing,
      responses: { 200: pool, ...noSuchPool },
      handle: async ({ params }) => ({ status: 200, body: await pools.get(params.poolId) }),
    }),
    route({
      operationId: 'resizePool',
      method: 'post',
      changes: true,
      path: '/v1/pools/{poolId}/resize',
      tag: 'pools',
      role: 'admin',
      summary: 'Ask for so many nodes; what is left out stays as it is.',
      params: poolParams,
      query: nothing,
      body: {
        name: 'PoolTarget',
        schema: z
          .strictObject({ dedicatedNodes: wantedNodes, spotNodes: wantedNodes })
          .meta({ minProperties: 1 })
          .refine(
            (target) => target.dedicatedNodes !== undefined || target.spotNodes !== undefined,
            'must name dedicatedNodes or spotNodes',
          ),
        example: { spotNodes: 8 },
      },
      responses: {
        202: { ...pool, description: 'it is being resized' },
        ...noSuchPool,
        409: { description: 'it is being resized already, or scales by its formula' },
        422: { description: 'more nodes than are allowed, or Batch refuses' },
      },
      subject: ({ poolId }, { dedicatedNodes, spotNodes }) =>
        `pool ${poolId} to ${dedicatedNodes ?? 'as many'} dedicated, ${spotNodes ?? 'as many'} spot`,
      handle: async ({ params: { poolId }, body }) => {
        const { before, after } = await pools.resize(poolId, body);
        const change = { subject: `pool ${poolId}`, before: nodesOf(before), after: nodesOf(after) };
        return { status: 202, body: after, change };
      },
    }),
    route({
      operationId: 'evaluateAutoscale',
      method: 'post',
      changes: false,
      path: '/v1/pools/{poolId}/autoscale/evaluate',
      tag: 'pools',
      role: 'operator',
      summary: 'What an autoscale formula would set now; nothing changes.',
      params: poolParams,
      query: nothing,
      body: {
        name: 'AutoscaleFormula',
        schema: z.strictObject({ formula: z.string().min(1).max(8_192) }),
        example: { formula: '$TargetLowPriorityNodes = min(16, $PendingTasks.GetSample(1));' },
      },
      responses: {
        200: {
          description: 'what it would set, or what is wrong with it',
          schema: {
            name: 'AutoscaleEvaluation',
            schema: z.strictObject({ results: z.string(), error: z.string().nullable() }),
            example: { results: '$TargetLowPriorityNodes=8', error: null },
          },
        },
        ...noSuchPool,
        422: { description: 'Batch does not evaluate it, such as for a pool that does not scale by formula' },
      },
      handle: async ({ params, body }) => ({ status: 200, body: await pools.evaluate(params.poolId, body.formula) }),
    }),
  ];
}
