import type { Manifest, RunRecord } from '@xva/contracts';
import { swap, type StepResult, type SubmitDeps } from './deps.ts';
import { ContentConflictError } from './errors.ts';
import type { Blobs, StoredRun, TaskSpec } from './ports.ts';
import { change, failed, hasReason, nextAttempt, reason, startAttempt, withReasons } from './record.ts';
import { batchTaskOf, jobSpecOf, labelsOf, mergeSpec, shardSpecs, taskFileOf } from './task-specs.ts';

/** `queued` → `submitting`, if there is room: the intent is written before Batch is touched. */
export async function stepQueued(deps: SubmitDeps, run: StoredRun, admitted: boolean): Promise<StepResult> {
  const { record } = run;
  const now = deps.clock.now();
  if (admitted)
    return swap(deps, run, startAttempt(record, deps.policy.poolId, now, record.attempt === 1 ? 'first' : 'retry'));
  if (hasReason(record, 'waiting-for-slots', record.runId)) return { kind: 'waiting', run, on: 'admission' };
  const message = 'as many tasks as the pool can work on soon are submitted already; the run starts when some are done';
  const waiting = change(record, now, {
    reasons: [...withReasons(record, [reason(now, 'waiting-for-slots', record.runId, message)])],
  });
  const written = await swap(deps, run, waiting);
  return written.kind === 'moved' ? { kind: 'waiting', run: written.run, on: 'admission' } : written;
}

/** Writes a blob whose name says what is in it. @throws ContentConflictError when other content is there. */
async function putSame(container: Blobs, blob: string, text: string, metadata: Record<string, string>): Promise<void> {
  const { outcome } = await container.putIfAbsent(blob, text, { contentType: 'application/json', metadata });
  if (outcome === 'created') return;
  const there = await container.get(blob);
  if (there === undefined || Buffer.from(there.bytes).toString('utf8') !== text) throw new ContentConflictError(blob);
}

const writersAtOnce = 16;

/** Stores the specs of tasks and gives the Batch tasks that use them. */
export async function writeTasks(
  deps: SubmitDeps,
  record: RunRecord,
  specs: Parameters<typeof batchTaskOf>[0][],
): Promise<readonly TaskSpec[]> {
  const container = deps.work.runContainer(record.container);
  const metadata = labelsOf(record, 'task-input');
  const queue = specs.map(taskFileOf);
  const write = async (): Promise<void> => {
    for (let file = queue.shift(); file !== undefined; file = queue.shift())
      await putSame(container, file.blob, file.text, metadata);
  };
  await Promise.all(Array.from({ length: Math.min(writersAtOnce, queue.length) }, write));
  return specs.map((spec) => batchTaskOf(spec, record, deps.policy, { objects: deps.work.objects, container }));
}

export function specsOf(record: RunRecord, manifest: Manifest): Parameters<typeof batchTaskOf>[0][] {
  const shards = shardSpecs(record, manifest);
  return shards.length === 0 ? [mergeSpec(record)] : [...shards];
}

/**
 * Puts the current attempt's container, specs, job and tasks in place, and says so in the record. Every part is the same
 * act when done twice, so a crash anywhere in between is followed by the whole of it again.
 */
export async function stepSubmitting(deps: SubmitDeps, run: StoredRun): Promise<StepResult> {
  const { record } = run;
  const { batch, clock, work } = deps;
  const job = jobSpecOf(record, deps.policy);
  const end = (code: string, subject: string, message: string): Promise<StepResult> =>
    swap(deps, run, failed(record, clock.now(), [reason(clock.now(), code, subject, message)]));
  const prepare = async (): Promise<readonly TaskSpec[]> => {
    const [manifest] = await Promise.all([
      deps.manifests.get(record.packageId),
      work.ensureRunContainer(record.container, labelsOf(record, 'bundle')),
    ]);
    if (manifest === undefined) throw new MissingPackageError(record.packageId);
    return writeTasks(deps, record, specsOf(record, manifest));
  };
  const earlier = record.attempts.slice(0, -1).map((attempt) => batch.terminateJob(attempt.jobId, 'superseded'));
  const [prepared, added] = await Promise.allSettled([prepare(), batch.addJob(job), ...earlier]);
  if (added.status === 'rejected') throw added.reason;
  if (added.value.outcome === 'quota') return backToQueue(deps, run);
  if (added.value.outcome === 'refused')
    return end('job-refused', job.id, `${added.value.code}: ${added.value.message}`);
  if (added.value.outcome === 'conflict')
    return end('job-conflict', job.id, `job ${job.id} exists with other content; nothing of it was touched`);
  if (prepared.status === 'rejected') {
    const { reason: error } = prepared as { reason: unknown };
    if (error instanceof MissingPackageError) return end('package-gone', record.packageId, error.message);
    if (error instanceof ContentConflictError) return end('task-spec-conflict', error.blob, error.message);
    throw error;
  }
  const tasks = await batch.addTasks(job.id, prepared.value);
  switch (tasks.outcome) {
    case 'added': {
      const startedAt = record.startedAt ?? clock.now().toISOString();
      return swap(deps, run, change(record, clock.now(), { state: 'running', startedAt }));
    }
    case 'conflict':
      return end('task-conflict', job.id, `tasks ${tasks.taskIds.join(', ')} exist with other content`);
    case 'refused':
      return end('tasks-refused', job.id, `${tasks.code}: ${tasks.message}`);
    case 'job-closed':
    case 'job-absent':
      return swap(
        deps,
        run,
        nextAttempt(record, deps.policy, clock.now(), `job ${job.id} was ended before its tasks were added`),
      );
  }
}

/** Batch has no room for another job: the run waits, it does not fail for that. */
async function backToQueue(deps: SubmitDeps, run: StoredRun): Promise<StepResult> {
  const { record } = run;
  const now = deps.clock.now();
  const message =
    'the Batch account holds as many active jobs as its quota allows; the run starts when some have ended';
  const told = hasReason(record, 'waiting-for-quota', record.runId);
  const reasons = told
    ? record.reasons
    : withReasons(record, [reason(now, 'waiting-for-quota', record.runId, message)]);
  const written = await swap(deps, run, change(record, now, { state: 'queued', reasons: [...reasons] }));
  return written.kind === 'moved' ? { kind: 'waiting', run: written.run, on: 'quota' } : written;
}

class MissingPackageError extends Error {
  override readonly name = 'MissingPackageError';
  constructor(packageId: string) {
    super(`the manifest objects/${packageId} is gone from the work account`);
  }
}
