import type { z } from 'zod';
import {
  isLive,
  runRecordSchema,
  jobIdOf,
  runContainerOf,
  type AcceptedBundle,
  type Attempt,
  type JobRequest,
  type Manifest,
  type Plan,
  type Reason,
  type RunRecord,
} from '@xva/contracts';

/** A record remembers this many reasons; the oldest go first. */
const maxReasons = 300;

export interface NewRun {
  readonly runId: string;
  readonly request: JobRequest;
  readonly manifest: Manifest;
  readonly plan: Plan;
  readonly traceparent: string | null;
  readonly submittedBy: string;
  readonly desk: string;
  readonly now: Date;
}

/** The first version of a run's record: `queued`, nothing in Batch yet. */
export function newRecord(run: NewRun): RunRecord {
  const at = run.now.toISOString();
  return runRecordSchema.parse({
    schemaVersion: '1.0',
    runId: run.runId,
    eventId: run.request.eventId,
    requestKey: run.request.requestKey,
    packageId: run.request.packageId,
    strict: run.manifest.strict,
    priority: run.request.priority,
    deadline: run.request.deadline ?? null,
    traceparent: run.traceparent,
    submittedBy: run.submittedBy,
    desk: run.desk,
    state: 'queued',
    outcome: null,
    attempt: 1,
    plan: run.plan,
    attempts: [],
    accepted: [],
    merged: null,
    retries: {},
    reasons: [],
    container: runContainerOf(run.runId),
    createdAt: at,
    updatedAt: at,
    startedAt: null,
    finishedAt: null,
    version: 1,
  } satisfies z.input<typeof runRecordSchema>);
}

/** The next version of a record. */
export function change(record: RunRecord, now: Date, fields: Partial<RunRecord>): RunRecord {
  return { ...record, ...fields, version: record.version + 1, updatedAt: now.toISOString() };
}

export function reason(at: Date, code: string, subject: string, message: string): Reason {
  return { at: at.toISOString(), code, subject, message: message.slice(0, 2_000) };
}

export function withReasons(record: RunRecord, reasons: readonly Reason[]): readonly Reason[] {
  return [...record.reasons, ...reasons].slice(-maxReasons);
}

export function hasReason(record: RunRecord, code: string, subject: string, at?: string): boolean {
  return record.reasons.some(
    (found) => found.code === code && found.subject === subject && (at === undefined || found.at === at),
  );
}

/** Planned shards that have no accepted bundle yet. */
export function openShards(record: RunRecord): RunRecord['plan']['shards'] {
  const done = new Set(record.accepted.map((bundle) => bundle.taskId));
  return record.plan.shards.filter((shard) => !done.has(shard.taskId));
}

export function isOpen(record: RunRecord): boolean {
  return (
    isLive(record.state) || ((record.state === 'failed' || record.state === 'cancelled') && record.finishedAt === null)
  );
}

/** The record on its way to Batch: the intent to open this attempt's job is written before Batch is touched. */
export function startAttempt(record: RunRecord, poolId: string, now: Date, why: string): RunRecord {
  const known = record.attempts.some((attempt) => attempt.attempt === record.attempt);
  const tasks = openShards(record).map((shard) => shard.taskId);
  const entry: Attempt = {
    ...{ poolClass: 'dedicated', image: null, submittedAt: null, endedAt: null, priority: record.priority },
    attempt: record.attempt,
    jobId: jobIdOf(record.runId, record.attempt),
    poolId,
    tasks: tasks.length === 0 ? ['merge'] : tasks,
    reason: why,
    startedAt: now.toISOString(),
  };
  return change(record, now, {
    state: 'submitting',
    attempts: known ? record.attempts : [...record.attempts, entry],
  });
}

/** Reasons that tell one attempt of a run from the next. */
export const attemptLost = 'attempt-lost';
export const retryAsked = 'retry-asked';

/** Attempts that the reconciler gave up since somebody last asked for a retry. */
export function attemptsLost(record: RunRecord): number {
  const since = record.reasons.map((item) => item.code).lastIndexOf(retryAsked);
  return record.reasons.slice(since + 1).filter((item) => item.code === attemptLost).length;
}

/** The job is of no more use: another one with what is not accepted yet, or the end when that happened too often. */
export function nextAttempt(
  record: RunRecord,
  policy: { readonly poolId: string; readonly maxAttempts: number },
  now: Date,
  why: string,
): RunRecord {
  const lost = reason(now, attemptLost, jobIdOf(record.runId, record.attempt), why);
  const reasons = [...withReasons(record, [lost])];
  if (attemptsLost(record) + 1 >= policy.maxAttempts) {
    return failed({ ...record, reasons }, now, [
      reason(now, 'attempts-used-up', record.runId, `the job was lost ${policy.maxAttempts} times: ${why}`),
    ]);
  }
  return startAttempt({ ...record, reasons, merged: null, attempt: record.attempt + 1 }, policy.poolId, now, why);
}

/** `failed`, with its jobs still to be ended: `finishedAt` follows when nothing of it is active in Batch. */
export function failed(record: RunRecord, now: Date, reasons: readonly Reason[]): RunRecord {
  return change(record, now, {
    state: 'failed',
    outcome: 'failed',
    reasons: [...withReasons(record, reasons)],
    finishedAt: null,
  });
}

export function withAccepted(record: RunRecord, bundles: readonly AcceptedBundle[]): readonly AcceptedBundle[] {
  return [...record.accepted, ...bundles].sort((a, b) => (a.taskId < b.taskId ? -1 : 1));
}
