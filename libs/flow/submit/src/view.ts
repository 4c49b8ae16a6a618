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
    shards: record.plan.shards.length,
    reasons: record.reasons,
    jobs: record.attempts.map(({ jobId, poolId, attempt }) => ({ jobId, poolId, attempt })),
    container: record.container,
    createdAt: record.createdAt,
    updatedAt: record.updatedAt,
    startedAt: record.startedAt,
    finishedAt: record.finishedAt,
    version: record.version,
  };
}
