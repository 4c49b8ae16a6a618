import {
  isLive,
  jobIdOf,
  runContainerOf,
  runRecordSchema,
  type AcceptedBundle,
  type Attempt,
  type JobRequest,
  type Manifest,
  type Plan,
  type Reason,
  type RunRecord,
} from '@xva/contracts';
import type { PoolChoice } from './pools.ts';

/** A record remembers this many reasons; the oldest go first. Nothing is counted by them. */
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
  });
}

/** The next version of a record. */
export function change(record: RunRecord, now: Date, fields: Partial<RunRecord>): RunRecord {
  return { ...record, ...fields, version: record.version + 1, updatedAt: now.toISOString() };
}

export function reason(at: Date, code: string, subject: string, message: string): Reason {
  return { at: at.toISOString(), code, subject, message: message.slice(0, 2_000) };
}

export function withReasons(record: RunRecord, reasons: readonly Reason[]): Reason[] {
  return [...record.reasons, ...reasons].slice(-maxReasons);
}

export function hasReason(record: RunRecord, code: string, subject: string): boolean {
  return record.reasons.some((found) => found.code === code && found.subject === subject);
}

/** Planned shards that have no accepted bundle yet. */
export function openShards(record: RunRecord): RunRecord['plan']['shards'] {
  const done = new Set(record.accepted.map((bundle) => bundle.taskId));
  return record.plan.shards.filter((shard) => !done.has(shard.taskId));
}

/** Tasks that the run still needs: its open shards, then the merge. */
export function openTasks(record: RunRecord): readonly string[] {
  const shards = openShards(record).map((shard) => shard.taskId);
  return shards.length > 0 ? shards : record.merged === null ? ['merge'] : [];
}

export function isOpen(record: RunRecord): boolean {
  return (
    isLive(record.state) || ((record.state === 'failed' || record.state === 'cancelled') && record.finishedAt === null)
  );
}

/** The attempt that a task belongs to: the latest that names it; a merge that none names rides with the latest. */
export function attemptOfTask(record: RunRecord, taskId: string): Attempt | undefined {
  return record.attempts.findLast((attempt) => attempt.tasks.includes(taskId)) ?? record.attempts.at(-1);
}

/** Open tasks by the number of the attempt that they belong to. */
export function openTasksByAttempt(record: RunRecord): ReadonlyMap<number, readonly string[]> {
  const latest = new Map<string, number>();
  for (const { attempt, tasks } of record.attempts) for (const task of tasks) latest.set(task, attempt);
  const last = record.attempts.at(-1)?.attempt ?? record.attempt;
  const found = new Map<number, string[]>();
  for (const task of openTasks(record)) {
    const attempt = latest.get(task) ?? last;
    const tasks = found.get(attempt) ?? [];
    tasks.push(task);
    found.set(attempt, tasks);
  }
  return found;
}

/** What an attempt is opened with beside its tasks. */
export interface AttemptTerms extends PoolChoice {
  readonly image: string | null;
  readonly slotsPerNode: number;
  readonly pricePerNodeHour: number | null;
}

function newAttempt(
  record: RunRecord,
  attempt: number,
  tasks: readonly string[],
  terms: AttemptTerms,
  now: Date,
  why: string,
): Attempt {
  return {
    attempt,
    jobId: jobIdOf(record.runId, attempt),
    ...terms,
    tasks: [...tasks],
    reason: why,
    startedAt: now.toISOString(),
    submittedAt: null,
    endedAt: null,
    priority: record.priority,
  };
}

/** The record on its way to Batch: the intent to open this attempt's job is written before Batch is touched. */
export function startAttempt(record: RunRecord, terms: AttemptTerms, now: Date, why: string): RunRecord {
  const known = record.attempts.some((attempt) => attempt.attempt === record.attempt);
  if (known) return change(record, now, { state: 'submitting', waiting: null });
  // Shards of another image are computed afresh: bundles of two engines never merge.
  const other = record.attempts.filter((attempt) => attempt.image !== terms.image).map((attempt) => attempt.attempt);
  const accepted = record.accepted.filter((bundle) => !other.includes(bundle.attempt));
  const dropped = record.accepted.length - accepted.length;
  const next = { ...record, accepted };
  const told =
    dropped === 0
      ? []
      : [reason(now, 'engine-changed', record.runId, `${dropped} shards of another engine image are computed afresh`)];
  const entry = newAttempt(next, record.attempt, openTasks(next), terms, now, why);
  return change(next, now, {
    state: 'submitting',
    waiting: null,
    attempts: [...record.attempts, entry],
    reasons: withReasons(record, told),
  });
}

/**
 * Gives tasks to another attempt: one of that pool class that is still open and younger than every other that names them,
 * else a new one. Its job is put in place while the run goes on.
 */
export function moveTasks(
  record: RunRecord,
  tasks: readonly string[],
  terms: AttemptTerms,
  now: Date,
  why: string,
): RunRecord {
  const naming = record.attempts.filter((attempt) => attempt.tasks.some((task) => tasks.includes(task)));
  const youngest = Math.max(0, ...naming.map((attempt) => attempt.attempt));
  const fit = record.attempts.find(
    (attempt) =>
      attempt.poolClass === terms.poolClass &&
      attempt.poolId === terms.poolId &&
      attempt.image === terms.image &&
      attempt.endedAt === null &&
      attempt.attempt > youngest,
  );
  if (fit !== undefined) {
    const grown = { ...fit, tasks: [...fit.tasks, ...tasks] };
    return { ...record, attempts: record.attempts.map((attempt) => (attempt === fit ? grown : attempt)) };
  }
  const attempt = Math.max(record.attempt, ...record.attempts.map((one) => one.attempt)) + 1;
  const entry = newAttempt(record, attempt, tasks, terms, now, why);
  return { ...record, attempt, attempts: [...record.attempts, entry] };
}

/** Reasons that tell one attempt of a run from the next. */
export const attemptLost = 'attempt-lost';
export const retryAsked = 'retry-asked';

/** A job is of no more use: another one of the same kind with what it still had to do, or the end when that happened too often. */
export function nextAttempt(
  record: RunRecord,
  lost: Attempt,
  tasks: readonly string[],
  maxAttempts: number,
  now: Date,
  why: string,
): RunRecord {
  const reasons = withReasons(record, [reason(now, attemptLost, lost.jobId, why)]);
  const attempts = record.attempts.map((one) =>
    one.attempt === lost.attempt ? { ...one, endedAt: one.endedAt ?? now.toISOString() } : one,
  );
  const counted = { ...record, reasons, attempts, lostAttempts: record.lostAttempts + 1 };
  if (counted.lostAttempts >= maxAttempts) {
    return failed(counted, now, [
      reason(now, 'attempts-used-up', record.runId, `the job was lost ${maxAttempts} times: ${why}`),
    ]);
  }
  const { poolId, poolClass, image, slotsPerNode, pricePerNodeHour } = lost;
  const terms = { poolId, poolClass, image, slotsPerNode, pricePerNodeHour };
  return change(moveTasks(counted, tasks, terms, now, why), now, {});
}

/** `failed`, with its jobs still to be ended: `finishedAt` follows when nothing of it is active in Batch. */
export function failed(record: RunRecord, now: Date, reasons: readonly Reason[]): RunRecord {
  return change(record, now, {
    state: 'failed',
    outcome: 'failed',
    waiting: null,
    reasons: withReasons(record, reasons),
    finishedAt: null,
  });
}

export function withAccepted(record: RunRecord, bundles: readonly AcceptedBundle[]): AcceptedBundle[] {
  return [...record.accepted, ...bundles].sort((a, b) => (a.taskId < b.taskId ? -1 : 1));
}

/** The record with what it waits for; undefined when it says so already. */
export function waitingFor(record: RunRecord, now: Date, code: string, message: string): RunRecord | undefined {
  if (record.waiting?.code === code) return undefined;
  const told = hasReason(record, code, record.runId) ? [] : [reason(now, code, record.runId, message)];
  return change(record, now, {
    waiting: { code, message, since: now.toISOString() },
    reasons: withReasons(record, told),
  });
}
