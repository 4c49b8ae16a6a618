import { deriveRunId, type JobRequest, type Plan, type PlanView, type PoolClass, type RunRecord } from '@xva/contracts';
import type { Clock } from '@xva/runtime';
import { planOf, type AcceptDeps } from './accept.ts';
import { RequestRefusedError } from './errors.ts';
import { makespanSeconds } from './plan.ts';
import type { SubmitPolicy } from './policy.ts';
import { firstPoolOf } from './pools.ts';
import type { BatchPort } from './ports.ts';
import { openShards } from './record.ts';
import { slotsOf } from './slots.ts';

export interface PlanDeps extends Pick<AcceptDeps, 'runs' | 'manifests' | 'work' | 'costModel'> {
  readonly batch: Pick<BatchPort, 'poolFacts'>;
  readonly clock: Clock;
  readonly policy: SubmitPolicy;
  /** Open runs as the loop knows them: what is ahead in the queue. */
  readonly open: () => readonly RunRecord[];
}

/** The merge and what is around it, beside the shards. Seconds. */
const mergeSeconds = 5;

function secondsLeft(record: RunRecord): number {
  return openShards(record).reduce((sum, shard) => sum + shard.costSeconds, 0);
}

/**
 * What a submission of this request would be, without making one: shards, predicted CPU seconds, cost and end. What would
 * refuse it is told as refusals. A run that exists already is told with the plan that it has.
 */
export async function planRequest(request: JobRequest, deps: PlanDeps): Promise<PlanView> {
  const runId = deriveRunId(request.eventId, request.requestKey);
  const known = await deps.runs.get(runId);
  const refusals: { code: string; subject: string; message: string }[] = [];
  let plan: Plan | undefined = known?.record.plan;
  if (plan === undefined) {
    try {
      plan = (await planOf(request, { ...deps, limits: deps.policy })).plan;
    } catch (error) {
      if (!(error instanceof RequestRefusedError)) throw error;
      refusals.push({ code: error.code, subject: error.subject, message: error.message });
    }
  } else if (known !== undefined && known.record.packageId !== request.packageId) {
    const message = `event ${request.eventId} already has run ${runId} with package ${known.record.packageId}`;
    refusals.push({ code: 'run-conflict', subject: runId, message });
  }
  const pool = firstPoolOf(deps.policy);
  const facts = await deps.batch.poolFacts(pool.poolId);
  if (facts === undefined)
    refusals.push({ code: 'pool-not-found', subject: pool.poolId, message: `there is no pool ${pool.poolId}` });
  const slots = Math.max(1, facts === undefined ? 1 : slotsOf(facts).slots);
  const seconds = (plan?.shards ?? []).map((shard) => shard.costSeconds);
  const ahead = deps
    .open()
    .filter((record) => record.runId !== runId && record.paused === null)
    .filter((record) => record.state !== 'queued' || record.priority >= request.priority)
    .reduce((sum, record) => sum + secondsLeft(record), 0);
  const startsInSeconds = round(ahead / slots);
  const endsInSeconds = round(startsInSeconds + makespanSeconds(seconds, slots) + mergeSeconds);
  const endsAt = new Date(deps.clock.now().getTime() + endsInSeconds * 1000);
  const total = seconds.reduce((sum, one) => sum + one, 0);
  const nodeHours = (total + mergeSeconds) / 3600 / Math.max(1, facts?.slotsPerNode ?? 1);
  const price = deps.policy.prices?.perNodeHour[pool.poolId];
  return {
    schemaVersion: '1.0',
    runId,
    packageId: request.packageId,
    existing: known?.record.state ?? null,
    shards: (plan?.shards ?? []).map(({ taskId, nettingSets, trades, costSeconds }) => ({
      ...{ taskId, nettingSets, cpuSeconds: costSeconds },
      ...(trades === undefined ? {} : { trades }),
    })),
    predicted: {
      cpuSeconds: round(total),
      longestShardCpuSeconds: Math.max(0, ...seconds),
      learntFromShards: plan?.model?.shards ?? 0,
    },
    cost: {
      nodeHours: Math.round(nodeHours * 1e6) / 1e6,
      amount: price === undefined ? null : Math.round(nodeHours * price * 1e6) / 1e6,
      currency: price === undefined ? null : (deps.policy.prices?.currency ?? null),
      unit: 'node-hour',
      pricePerNodeHour: price ?? null,
    },
    pool: { poolId: pool.poolId, poolClass: pool.poolClass satisfies PoolClass, slots },
    eta: {
      startsInSeconds,
      endsInSeconds,
      endsAt: endsAt.toISOString(),
      meetsDeadline: request.deadline === undefined ? null : endsAt <= new Date(request.deadline),
    },
    refusals,
  };
}

function round(seconds: number): number {
  return Math.round(seconds * 1000) / 1000;
}
