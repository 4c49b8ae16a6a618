import type { Attempt, RunRecord } from '@xva/contracts';
import type { Capacity, StepResult, SubmitDeps } from './deps.ts';
import { ContentConflictError } from './errors.ts';
import { poolOf, type PoolChoice } from './pools.ts';
import type { Blobs, TaskSpec } from './ports.ts';
import { isOpen, type AttemptTerms } from './record.ts';
import { batchTaskOf, jobSpecOf, labelsOf, runLabelsOf, specsOf, taskFileOf } from './task-specs.ts';

/** What came of putting an attempt's job, or some of its tasks, in place. */
export type Placed =
  | { readonly outcome: 'placed' }
  /** Batch takes no more jobs now. */
  | { readonly outcome: 'quota' }
  /** Somebody ended the job. */
  | { readonly outcome: 'closed' }
  /** No later try can help. */
  | { readonly outcome: 'end'; readonly code: string; readonly subject: string; readonly message: string };

/** A pool's terms for an attempt that is opened now. */
export async function termsOf(
  deps: SubmitDeps,
  capacity: Capacity,
  choice: PoolChoice,
  image: string | null,
): Promise<AttemptTerms> {
  const facts = await capacity.facts(choice.poolId);
  const price = deps.policy.prices?.perNodeHour[choice.poolId];
  return { ...choice, image, slotsPerNode: facts?.slotsPerNode ?? 1, pricePerNodeHour: price ?? null };
}

/** As `termsOf` for a task that goes from one pool to one of another class, with the engine that it had. */
export function movedTermsOf(
  deps: SubmitDeps,
  capacity: Capacity,
  from: Attempt,
  to: 'dedicated' | 'large',
): Promise<AttemptTerms> {
  return termsOf(deps, capacity, poolOf(to, deps.policy), from.image);
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
async function writeTasks(
  deps: SubmitDeps,
  record: RunRecord,
  attempt: Attempt,
  taskIds: readonly string[],
): Promise<readonly TaskSpec[]> {
  const manifest = await deps.manifests.get(record.packageId);
  if (manifest === undefined) throw new MissingPackageError(record.packageId);
  const container = deps.work.runContainer(record.container);
  const metadata = labelsOf(record, 'task-input');
  const specs = specsOf(record, attempt.attempt, taskIds, manifest);
  const queue = specs.map(taskFileOf);
  const write = async (): Promise<void> => {
    for (let file = queue.shift(); file !== undefined; file = queue.shift())
      await putSame(container, file.blob, file.text, metadata);
  };
  await Promise.all(Array.from({ length: Math.min(writersAtOnce, queue.length) }, write));
  const tasks = specs.map((spec) =>
    batchTaskOf(spec, record, attempt, deps.policy, { objects: deps.work.objects, container }),
  );
  const secret = tasks.flatMap((task) => task.resourceFiles).find((file) => file.httpUrl.includes('sig='));
  if (secret !== undefined && deps.policy.identityResourceId !== undefined) throw new SecretUrlError();
  return tasks;
}

/**
 * Puts an attempt's container, job and these of its tasks in place. Every part is the same act when done twice, so a crash
 * anywhere in between is followed by the whole of it again.
 */
export async function placeAttempt(
  deps: SubmitDeps,
  record: RunRecord,
  attempt: Attempt,
  taskIds: readonly string[],
): Promise<Placed> {
  const { batch, work } = deps;
  const job = jobSpecOf(record, attempt, deps.policy);
  const prepare = async (): Promise<readonly TaskSpec[]> => {
    await work.ensureRunContainer(record.container, runLabelsOf(record, 'bundle', deps.policy));
    return writeTasks(deps, record, attempt, taskIds);
  };
  const [prepared, added] = await Promise.allSettled([prepare(), batch.addJob(job)]);
  if (added.status === 'rejected') throw added.reason;
  switch (added.value.outcome) {
    case 'quota':
      return { outcome: 'quota' };
    case 'refused':
      return end('job-refused', job.id, `${added.value.code}: ${added.value.message}`);
    case 'conflict':
      return end('job-conflict', job.id, `job ${job.id} exists with other content; nothing of it was touched`);
    case 'created':
    case 'exists':
  }
  if (prepared.status === 'rejected') return refusalOf(prepared.reason, record);
  return add(deps, attempt, prepared.value);
}

/**
 * After a job was put in place and the record had changed meanwhile: when nobody wants it any more (it had been ended, even
 * deleted, and was made anew here), it is ended again.
 */
export async function endUnwanted(
  deps: SubmitDeps,
  runId: string,
  attempt: Attempt,
  written: StepResult,
): Promise<StepResult> {
  if (written.kind !== 'stale') return written;
  const now = (await deps.runs.get(runId))?.record;
  const mine = now?.attempts.find((one) => one.attempt === attempt.attempt);
  if (now === undefined || mine === undefined || mine.endedAt !== null || !isOpen(now))
    await deps.batch.terminateJob(attempt.jobId, 'superseded');
  return written;
}

/** Adds tasks to an attempt whose job is there. */
export async function addTasks(
  deps: SubmitDeps,
  record: RunRecord,
  attempt: Attempt,
  taskIds: readonly string[],
): Promise<Placed> {
  let tasks: readonly TaskSpec[];
  try {
    tasks = await writeTasks(deps, record, attempt, taskIds);
  } catch (error) {
    return refusalOf(error, record);
  }
  return add(deps, attempt, tasks);
}

async function add(deps: SubmitDeps, attempt: Attempt, tasks: readonly TaskSpec[]): Promise<Placed> {
  const { jobId } = attempt;
  if (tasks.length === 0) return { outcome: 'placed' };
  const added = await deps.batch.addTasks(jobId, tasks);
  switch (added.outcome) {
    case 'added':
      // The merge is the last: its job ends by itself then, also when no controller is there to end it. Not before it is
      // in, for a job without tasks, or with nothing but ended ones, would end at once (Batch REST, onAllTasksComplete).
      if (tasks.some((task) => task.id === 'merge'))
        await deps.batch.patchJob(jobId, { onAllTasksComplete: 'terminatejob' });
      return { outcome: 'placed' };
    case 'conflict':
      return end('task-conflict', jobId, `tasks ${added.taskIds.join(', ')} exist with other content`);
    case 'refused':
      return end('tasks-refused', jobId, `${added.code}: ${added.message}`);
    case 'job-closed': {
      // It may have ended by itself, with the merge that an earlier life or another reconciler added: the next look tells.
      const job = await deps.batch.getJob(jobId);
      return { outcome: job?.terminateReason === 'AllTasksComplete' ? 'placed' : 'closed' };
    }
    case 'job-absent':
      return { outcome: 'closed' };
  }
}

function end(code: string, subject: string, message: string): Placed {
  return { outcome: 'end', code, subject, message };
}

/** @throws what is no refusal. */
function refusalOf(error: unknown, record: RunRecord): Placed {
  if (error instanceof MissingPackageError) return end('package-gone', record.packageId, error.message);
  if (error instanceof ContentConflictError) return end('task-spec-conflict', error.blob, error.message);
  if (error instanceof SecretUrlError) return end('work-url-with-secret', record.container, error.message);
  throw error;
}

class MissingPackageError extends Error {
  override readonly name = 'MissingPackageError';
  constructor(packageId: string) {
    super(`the manifest objects/${packageId} is gone from the work account`);
  }
}

class SecretUrlError extends Error {
  override readonly name = 'SecretUrlError';
  constructor() {
    super(
      'the URLs of the work account carry a SAS although tasks have an identity: configure the account by URL or account key',
    );
  }
}
