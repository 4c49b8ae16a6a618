import { isLive, parseJobId, runContainerOf, runPaths } from '@xva/contracts';
import { decide } from './decide.ts';
import { isAbout } from './decide-batch.ts';
import { factsIfNeeded, noFacts, runFacts, type Looked, type Survey } from './inventory.ts';
import type { JobItem, SweepFacts, SweepItem, TaskItem } from './items.ts';
import type { SweepDeps, SweepJob, SweepPool, SweepTask } from './ports.ts';

export function jobItem(job: SweepJob): JobItem {
  const { id, state, since, poolId, metadata, terminateReason } = job;
  const runId = parseJobId(id)?.runId;
  return { kind: 'job', id, runId, state, since: since.toISOString(), poolId, metadata, terminateReason };
}

const lostStates = new Set(['unusable', 'unknown', 'starttaskfailed', 'leavingpool', 'preempted', 'offline']);

/** Jobs with what is wrong in them: their tasks and preparation first, since those go with the job. */
export async function* lookAtJobs(survey: Survey): AsyncGenerator<Looked> {
  const nodes = new NodeBook(survey.deps);
  const used = new Map<string, string>();
  for await (const job of survey.deps.batch.listJobs()) {
    const item = jobItem(job);
    if (!['completed', 'deleting'].includes(job.state)) used.set(job.poolId.toLowerCase(), job.id);
    const looked = await lookAtJob(survey, item);
    yield* lookAtTasks(survey, item, nodes);
    yield* lookAtPreparation(survey, item);
    yield looked;
  }
  yield* lookAtPools(survey, used);
}

/** A job with what only decides when its age would let it go: whether it still has work, whether its outputs are safe. */
export async function lookAtJob(survey: Survey, job: JobItem): Promise<Looked> {
  const { deps, policy, pins } = survey;
  const now = deps.clock.now();
  const pinned = pins.has('job', job.id);
  const facts: SweepFacts = { ...(await runFacts(deps, job.runId)), ...(pinned ? { pinned } : {}) };
  const optimistic: SweepItem = { ...job, safe: true, nothingToRun: true };
  const verdict = decide(optimistic, facts, policy, now);
  if (verdict.rule !== 'completedJobs' && verdict.rule !== 'idleJobs') return { item: job, facts };
  const counts = await deps.batch.taskCounts(job.id);
  const nothingToRun = counts !== undefined && counts.active + counts.running === 0;
  const safe = verdict.rule === 'completedJobs' && (await outputsAreSafe(deps, job));
  return { item: { ...job, nothingToRun, safe }, facts, tasks: (counts?.active ?? 0) + (counts?.completed ?? 0) };
}

/**
 * Whether a completed job may go before its run: a `done` run is published; of another, every task that ran to an end of its
 * own left its logs in the run's container (Batch does not upload those of a task that it killed).
 */
async function outputsAreSafe(deps: SweepDeps, job: JobItem): Promise<boolean> {
  if (job.runId === undefined) return false;
  const found = await deps.runs.get(job.runId);
  if (found === undefined || isLive(found.record.state)) return false;
  if (found.record.state === 'done') return deps.storage.hasPublishedResult(job.runId);
  const attempt = parseJobId(job.id)?.attempt ?? 0;
  const logged = new Set<string>();
  const place = { account: 'work', container: runContainerOf(job.runId) } as const;
  for await (const page of deps.storage.list(place, { prefix: `a${attempt}/`, split: 'folders' })) {
    for (const { name } of page) {
      const task = name.split('/')[1] ?? '';
      if (name.startsWith(`${runPaths.taskLogs(attempt, task)}/`)) logged.add(task);
    }
  }
  for await (const task of deps.batch.listTasks(job.id, ['completed'])) {
    const ranToItsEnd = task.exitCode !== undefined && task.exitCode >= 0;
    if (ranToItsEnd && !logged.has(task.id)) return false;
  }
  return true;
}

/** Nodes of the pools that were asked for, once per look. */
class NodeBook {
  readonly #deps: SweepDeps;
  readonly #pools = new Map<string, Awaited<ReturnType<SweepDeps['batch']['listNodes']>>>();

  constructor(deps: SweepDeps) {
    this.#deps = deps;
  }

  async of(poolId: string): ReturnType<SweepDeps['batch']['listNodes']> {
    if (!this.#pools.has(poolId)) this.#pools.set(poolId, await this.#deps.batch.listNodes(poolId));
    return this.#pools.get(poolId);
  }
}

async function* lookAtTasks(survey: Survey, job: JobItem, nodes: NodeBook): AsyncGenerator<Looked> {
  const { deps, policy, pins } = survey;
  const { blockedTasks, silentTasks, lostNodeTasks } = policy.rules;
  const wanted = [blockedTasks, silentTasks, lostNodeTasks].some(
    (rule) => rule !== undefined && isAbout(rule.where, job),
  );
  if (!wanted || !['active', 'disabled'].includes(job.state)) return;
  const facts: SweepFacts = await runFacts(deps, job.runId);
  const seen = (item: TaskItem): Looked => ({
    item,
    facts: { ...facts, pinned: facts.pinned || pins.has('job', job.id) },
    tasks: 1,
  });
  if (blockedTasks !== undefined) for await (const item of blocked(deps, job)) yield seen(item);
  if (silentTasks === undefined && lostNodeTasks === undefined) return;
  for await (const task of deps.batch.listTasks(job.id, ['running', 'preparing'])) {
    const lost = lostNodeTasks === undefined ? undefined : lostOf(job, task, await nodes.of(task.poolId ?? job.poolId));
    if (lost !== undefined) yield seen(lost);
    else if (silentTasks !== undefined) {
      const item = await silentOf(survey, job, task);
      if (item !== undefined) yield seen(item);
    }
  }
}

function parentOf(task: SweepTask, failed: ReadonlyMap<string, string>): string | undefined {
  const named = task.dependsOn.find((id) => failed.has(id));
  if (named !== undefined || task.dependsOnRanges.length === 0) return named;
  const inRange = (id: string): boolean =>
    /^\d+$/.test(id) && task.dependsOnRanges.some(({ start, end }) => Number(id) >= start && Number(id) <= end);
  return [...failed.keys()].find(inRange);
}

/** Active tasks that depend on one that failed and does not let them go on. Memory: the failed tasks of one job. */
export async function* blocked(deps: SweepDeps, job: JobItem): AsyncGenerator<TaskItem> {
  const failed = new Map<string, string>();
  for await (const task of deps.batch.listTasks(job.id, ['completed'])) {
    if (task.failed && !task.mayBeSatisfied) failed.set(task.id, (task.endTime ?? task.since).toISOString());
  }
  if (failed.size === 0) return;
  for await (const task of deps.batch.listTasks(job.id, ['active'])) {
    const parent = parentOf(task, failed);
    if (parent === undefined) continue;
    const since = failed.get(parent) ?? '';
    yield { kind: 'task', id: `${job.id}/${task.id}`, job, finding: 'blocked', since, detail: `task ${parent} failed` };
  }
}

export function lostOf(
  job: JobItem,
  task: SweepTask,
  nodes: ReadonlyMap<string, { state: string; since: Date | undefined }> | undefined,
): TaskItem | undefined {
  if (task.nodeId === undefined) return undefined;
  const node = nodes?.get(task.nodeId);
  if (node !== undefined && !lostStates.has(node.state)) return undefined;
  const since = (node?.since ?? task.since).toISOString();
  const detail = node === undefined ? `node ${task.nodeId} is gone` : `node ${task.nodeId} is ${node.state}`;
  return { kind: 'task', id: `${job.id}/${task.id}`, job, finding: 'lost-node', since, detail };
}

/** A running task with the time of its last word; only asked when it runs for long enough. */
export async function silentOf({ deps, policy }: Survey, job: JobItem, task: SweepTask): Promise<TaskItem | undefined> {
  const began = task.startTime ?? task.since;
  const limitMs = (policy.rules.silentTasks?.retainSeconds ?? 0) * 1000;
  if (deps.clock.now().getTime() - began.getTime() < limitMs) return undefined;
  const word = await deps.batch.lastProgress(job.id, task.id);
  const since = word !== undefined && word > began ? word : began;
  const detail = word === undefined ? 'no progress was ever told' : `last progress ${word.toISOString()}`;
  return { kind: 'task', id: `${job.id}/${task.id}`, job, finding: 'silent', since: since.toISOString(), detail };
}

async function* lookAtPreparation(survey: Survey, job: JobItem): AsyncGenerator<Looked> {
  const rule = survey.policy.rules.preparationTasks;
  if (rule === undefined || job.state !== 'completed' || !isAbout(rule.where, job)) return;
  const left = await survey.deps.batch.preparationLeftovers(job.id);
  if (left === undefined || left.length === 0) return;
  const since = left.reduce((latest, one) => (one.since > latest ? one.since : latest), new Date(job.since));
  const item: SweepItem = { kind: 'preparation', id: job.id, job, since: since.toISOString() };
  yield { item, facts: await factsIfNeeded(survey, item, job.runId), tasks: left.length };
}

export async function poolItem(deps: SweepDeps, pool: SweepPool, inUse: boolean): Promise<SweepItem> {
  const common = { kind: 'pool', id: pool.id, nodes: pool.nodes } as const;
  const steady = pool.allocationState === 'steady' && pool.state === 'active';
  if (inUse || !steady || pool.nodes === 0) return { ...common, steady, idleSince: undefined };
  const nodes = await deps.batch.listNodes(pool.id);
  const all = [...(nodes?.values() ?? [])];
  const idle = all.length > 0 && all.every(({ state, since }) => state === 'idle' && since !== undefined);
  const latest = Math.max(0, ...all.map(({ since }) => since?.getTime() ?? 0));
  return { ...common, steady, idleSince: idle ? new Date(latest).toISOString() : undefined };
}

async function* lookAtPools({ deps, policy }: Survey, used: ReadonlyMap<string, string>): AsyncGenerator<Looked> {
  if (policy.rules.idlePools === undefined) return;
  for await (const pool of deps.batch.listPools()) {
    yield { item: await poolItem(deps, pool, used.has(pool.id.toLowerCase())), facts: noFacts };
  }
}

export async function* lookAtSchedules({ deps, policy, notes }: Survey): AsyncGenerator<Looked> {
  if (policy.rules.schedules === undefined) return;
  const schedules = await deps.batch.listSchedules();
  if (schedules === undefined) {
    notes.push('schedules are not judged: the Batch service does not offer them');
    return;
  }
  for (const { id, state, since } of schedules) {
    yield { item: { kind: 'schedule', id, state, since: since.toISOString() }, facts: noFacts };
  }
}
