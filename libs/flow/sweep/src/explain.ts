import { parseJobId, runContainerOf } from '@xva/contracts';
import { decide } from './decide.ts';
import type { Looked } from './inventory.ts';
import type { Verdict } from './items.ts';
import { inventory, survey } from './mark.ts';
import type { SweepPolicy } from './policy.ts';
import type { SweepDeps } from './ports.ts';

export interface Explanation {
  readonly kind: string;
  readonly id: string;
  readonly verdict: Verdict;
  /** What the verdict stands on, as sentences. */
  readonly because: readonly string[];
}

/** Whether a thing is what somebody asks about: a run and all of it, a job and its tasks, a task, a blob by name or `container/name`. */
function isAsked({ item }: Looked, asked: string): boolean {
  if (item.id === asked || item.id.endsWith(`/${asked}`) || asked.endsWith(`/${item.id}`)) return true;
  if (item.kind === 'run-container' || item.kind === 'job')
    return item.runId === asked || item.id === runContainerOf(asked);
  if (item.kind === 'task') return item.job.id === asked || item.job.runId === asked;
  return 'metadata' in item && item.metadata['xva_run_id'] === asked;
}

async function usersOf(deps: SweepDeps, object: string): Promise<readonly string[]> {
  const users: string[] = [];
  for await (const { record } of deps.runs.list()) {
    if (record.state === 'swept' && !(await deps.pins.has('run', record.runId))) continue;
    const objects = await deps.storage.packageObjects(record.packageId);
    if (objects === undefined || objects.includes(object)) users.push(`${record.runId} (${record.state})`);
    if (users.length >= 20) break;
  }
  return users;
}

function factsOf({ item, facts }: Looked): readonly string[] {
  return [
    ...(facts.pinned ? ['it, or the run that owns it, is pinned'] : []),
    ...(facts.runState === 'none' ? [] : [`its run is ${facts.runState}`]),
    ...('lastModified' in item ? [`written ${item.lastModified}`] : []),
    ...('hold' in item && item.hold !== undefined ? [`Storage holds it: ${item.hold}`] : []),
    ...(item.kind === 'run'
      ? [
          `state ${item.record.state}, finished ${item.record.finishedAt ?? 'not yet'}, published: ${item.published ? 'yes, or not needed' : 'no'}`,
        ]
      : []),
    ...(item.kind === 'job' ? [`state ${item.state} since ${item.since}, pool ${item.poolId}`] : []),
    ...(item.kind === 'task' ? [item.detail] : []),
  ];
}

/** Why things are kept or would go, now: looks at everything, as a mark does, and tells about what was asked. */
export async function explain(deps: SweepDeps, policy: SweepPolicy, asked: string): Promise<readonly Explanation[]> {
  const found: Explanation[] = [];
  for await (const looked of inventory(await survey(deps, policy))) {
    if (!isAsked(looked, asked)) continue;
    const { item, facts } = looked;
    const users = item.kind === 'object' ? await usersOf(deps, item.id) : [];
    found.push({
      kind: item.kind,
      id: item.id,
      verdict: decide(item, facts, policy, deps.clock.now()),
      because: [...factsOf(looked), ...(users.length === 0 ? [] : [`named by the packages of ${users.join(', ')}`])],
    });
    if (found.length >= 1_000) break;
  }
  const [jobId = '', taskId = ''] = asked.split('/');
  const known = found.some(({ id }) => id === asked);
  if (!known && taskId !== '' && (parseJobId(jobId) !== undefined || (await deps.batch.getJob(jobId)) !== undefined)) {
    const task = await deps.batch.getTask(jobId, taskId);
    if (task !== undefined)
      found.push({
        kind: 'task',
        id: asked,
        verdict: { verdict: 'keep', rule: null, reason: 'nothing-wrong', action: 'report' },
        because: [
          `state ${task.state} since ${task.since.toISOString()}; neither blocked, silent nor on a lost node, or no rule asks`,
        ],
      });
  }
  return found;
}
