import { parseJobId } from '@xva/contracts';
import { decide } from './decide.ts';
import { runFacts, type Survey } from './inventory.ts';
import { blocked, jobItem, lookAtJob, lostOf, poolItem, silentOf } from './inventory-batch.ts';
import type { JobItem, MarkedItem, SweepItem, TaskItem } from './items.ts';
import type { SweepDeps } from './ports.ts';
import { actOf, type SweepAct, type Taking } from './sweep.ts';

const terminateReason = 'xva-batch-gc';

/** Anything of Batch but a run's own end, judged again on what Batch says now. */
export async function takeBatchItem(taking: Taking, item: MarkedItem): Promise<SweepAct> {
  switch (item.kind) {
    case 'job':
      return takeJob(taking, item);
    case 'task':
      return takeTask(taking, item);
    case 'preparation':
      return takePreparation(taking, item);
    case 'schedule':
      return takeSchedule(taking, item);
    case 'pool':
      return takePool(taking, item);
    default:
      return actOf(item, 'failed', `nobody takes a ${item.kind} here`);
  }
}

const surveyOf = ({ deps, policy, graph, pins }: Taking): Survey => ({ deps, policy, graph, pins, notes: [] });

async function jobNow(deps: SweepDeps, jobId: string): Promise<JobItem | undefined> {
  const job = await deps.batch.getJob(jobId);
  return job === undefined ? undefined : jobItem(job);
}

/** The verdict on an item as it is now, or why it stays. Pins are asked right before the act. */
async function again(
  { deps, policy }: Taking,
  marked: MarkedItem,
  item: SweepItem,
  facts: Awaited<ReturnType<typeof runFacts>>,
): Promise<string | undefined> {
  const jobId = marked.id.split('/')[0] ?? '';
  const pinned = facts.pinned || (await deps.pins.has('job', jobId));
  const verdict = decide(item, { ...facts, pinned }, policy, deps.clock.now());
  if (verdict.verdict === 'keep') return verdict.reason;
  return verdict.action === marked.action ? undefined : 'judged-otherwise-now';
}

async function takeJob(taking: Taking, item: MarkedItem): Promise<SweepAct> {
  const { deps } = taking;
  const job = await jobNow(deps, item.id);
  if (job === undefined) return actOf(item, 'already-gone', 'absent');
  const { item: current } = await lookAtJob(surveyOf(taking), job);
  // The owner is asked last, right before the act.
  const kept = await again(taking, item, current, await runFacts(deps, job.runId));
  if (kept !== undefined) return actOf(item, 'skipped', kept);
  deps.crashPoint?.('job-deleting');
  if (item.action === 'terminate') {
    const outcome = await deps.batch.terminateJob(item.id, terminateReason);
    return outcome === 'asked' ? actOf(item, 'swept', item.reason, 'terminated') : actOf(item, 'already-gone', outcome);
  }
  const outcome = await deps.batch.deleteJob(item.id);
  return outcome === 'deleted' ? actOf(item, 'swept', item.reason, 'deleted') : actOf(item, 'already-gone', 'absent');
}

/** The same finding on the task as it is now, or undefined when there is nothing to find any more. */
async function findAgain(taking: Taking, job: JobItem, taskId: string, rule: string): Promise<TaskItem | undefined> {
  const { deps } = taking;
  const task = await deps.batch.getTask(job.id, taskId);
  if (task === undefined) return undefined;
  if (rule === 'blockedTasks') {
    if (task.state !== 'active') return undefined;
    for await (const found of blocked(deps, job)) if (found.id === `${job.id}/${taskId}`) return found;
    return undefined;
  }
  if (task.state !== 'running' && task.state !== 'preparing') return undefined;
  if (rule === 'lostNodeTasks') return lostOf(job, task, await deps.batch.listNodes(task.poolId ?? job.poolId));
  return silentOf(surveyOf(taking), job, task);
}

async function takeTask(taking: Taking, item: MarkedItem): Promise<SweepAct> {
  const { deps } = taking;
  const [jobId = '', taskId = ''] = item.id.split('/');
  const job = await jobNow(deps, jobId);
  if (job === undefined) return actOf(item, 'already-gone', 'absent');
  const current = await findAgain(taking, job, taskId, item.rule);
  if (current === undefined) return actOf(item, 'skipped', 'no-longer-so');
  const kept = await again(taking, item, current, await runFacts(deps, parseJobId(jobId)?.runId));
  if (kept !== undefined) return actOf(item, 'skipped', kept);
  if (item.action === 'delete') {
    const outcome = await deps.batch.deleteTask(jobId, taskId);
    return outcome === 'deleted' ? actOf(item, 'swept', item.reason, 'deleted') : actOf(item, 'already-gone', 'absent');
  }
  const outcome = await deps.batch.terminateTask(jobId, taskId);
  if (item.action === 'terminate')
    return outcome === 'terminated'
      ? actOf(item, 'swept', item.reason, 'terminated')
      : actOf(item, 'already-gone', outcome);
  // Killed between the two, the task is a failed one that whoever owns it may reactivate.
  const back = await deps.batch.reactivateTask(jobId, taskId);
  return back === 'reactivated'
    ? actOf(item, 'swept', item.reason, 'requeued')
    : actOf(item, 'failed', `not requeued: ${back}`);
}

/** Deleting the job is what runs its release and frees its nodes. */
async function takePreparation(taking: Taking, item: MarkedItem): Promise<SweepAct> {
  const { deps } = taking;
  const job = await jobNow(deps, item.id);
  if (job === undefined) return actOf(item, 'already-gone', 'absent');
  const left = await deps.batch.preparationLeftovers(item.id);
  if (left === undefined || left.length === 0 || job.state !== 'completed')
    return actOf(item, 'skipped', 'no-longer-so');
  const since = left.reduce((latest, one) => (one.since > latest ? one.since : latest), new Date(job.since));
  const current: SweepItem = { kind: 'preparation', id: item.id, job, since: since.toISOString() };
  const kept = await again(taking, item, current, await runFacts(deps, job.runId));
  if (kept !== undefined) return actOf(item, 'skipped', kept);
  const outcome = await deps.batch.deleteJob(item.id);
  return outcome === 'deleted' ? actOf(item, 'swept', item.reason, 'deleted') : actOf(item, 'already-gone', 'absent');
}

async function takeSchedule({ deps, policy }: Taking, item: MarkedItem): Promise<SweepAct> {
  const found = (await deps.batch.listSchedules())?.find(({ id }) => id === item.id);
  if (found === undefined) return actOf(item, 'already-gone', 'absent');
  const current: SweepItem = { kind: 'schedule', id: found.id, state: found.state, since: found.since.toISOString() };
  const verdict = decide(current, { runState: 'none', pinned: false, referenced: false }, policy, deps.clock.now());
  if (verdict.verdict === 'keep') return actOf(item, 'skipped', verdict.reason);
  if (item.action === 'terminate') {
    const outcome = await deps.batch.terminateSchedule(item.id);
    return outcome === 'terminated'
      ? actOf(item, 'swept', item.reason, 'terminated')
      : actOf(item, 'already-gone', 'absent');
  }
  const outcome = await deps.batch.deleteSchedule(item.id);
  return outcome === 'deleted' ? actOf(item, 'swept', item.reason, 'deleted') : actOf(item, 'already-gone', 'absent');
}

async function takePool({ deps, policy }: Taking, item: MarkedItem): Promise<SweepAct> {
  let inUse = false;
  for await (const job of deps.batch.listJobs())
    if (job.poolId.toLowerCase() === item.id.toLowerCase() && !['completed', 'deleting'].includes(job.state))
      inUse = true;
  for await (const pool of deps.batch.listPools()) {
    if (pool.id !== item.id) continue;
    const current = await poolItem(deps, pool, inUse);
    const verdict = decide(current, { runState: 'none', pinned: false, referenced: false }, policy, deps.clock.now());
    if (verdict.verdict === 'keep') return actOf(item, 'skipped', verdict.reason);
    const outcome = await deps.batch.emptyPool(item.id);
    if (outcome === 'asked') return actOf(item, 'swept', item.reason, 'resized to no nodes');
    return actOf(item, outcome === 'absent' ? 'already-gone' : 'skipped', outcome);
  }
  return actOf(item, 'already-gone', 'absent');
}
