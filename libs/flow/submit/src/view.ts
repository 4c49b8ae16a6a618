import type { RunRecord, RunView } from '@xva/contracts';

/** What the API tells of a run. */
export function viewOf(record: RunRecord): RunView {
  return {
    schemaVersion: '1.0',
    runId: record.runId,
    eventId: record.eventId,
    requestKey: record.requestKey,
    packageId: record.packageId,
    state: record.state,
    outcome: record.outcome,
    attempt: record.attempt,
    priority: record.priority,
    deadline: record.deadline,
    deadlineMissedAt: record.deadlineMissedAt,
    desk: record.desk,
    submittedBy: record.submittedBy,
    paused: record.paused,
    waiting: record.waiting,
    shards: record.plan.shards.length,
    accepted: record.accepted.length,
    plannedCpuSeconds: Math.round(record.plan.shards.reduce((sum, shard) => sum + shard.costSeconds, 0) * 1000) / 1000,
    cost: record.cost,
    reasons: record.reasons,
    jobs: record.attempts.map(({ jobId, poolId, poolClass, attempt, reason, tasks, submittedAt, endedAt }) => ({
      ...{ jobId, poolId, poolClass, attempt, reason, submittedAt, endedAt },
      tasks: tasks.length,
    })),
    container: record.container,
    createdAt: record.createdAt,
    updatedAt: record.updatedAt,
    startedAt: record.startedAt,
    firstTaskAt: record.firstTaskAt,
    finishedAt: record.finishedAt,
    version: record.version,
  };
}
