import {
  isLive,
  parseContractText,
  taskProgressSchema,
  type RunProgress,
  type RunRecord,
  type TaskProgress,
} from '@xva/contracts';
import { isFailure } from './decide.ts';
import type { BatchPort, TaskFacts } from './ports.ts';
import { attemptOfTask } from './record.ts';

type Phase = TaskProgress['phase'];
/** Where each phase begins and ends, in percent of a task: the simulation is nearly all of it. */
const spans: Readonly<Record<Phase, readonly [number, number]>> = {
  starting: [0, 2],
  market: [2, 10],
  simulation: [10, 90],
  xva: [90, 95],
  accepting: [95, 97],
  writing: [97, 99],
  merging: [2, 95],
  done: [100, 100],
};

export function taskPercent(progress: Pick<TaskProgress, 'phase' | 'done' | 'total'>): number {
  const [from, to] = spans[progress.phase];
  const share = progress.total === 0 ? 0 : Math.min(1, progress.done / progress.total);
  return Math.round((from + (to - from) * share) * 10) / 10;
}

const progressPath = 'wd/out/progress.json';
const readersAtOnce = 16;

async function readProgress(batch: BatchPort, jobId: string, taskId: string): Promise<TaskProgress | undefined> {
  try {
    const bytes = await batch.readTaskFile(jobId, taskId, progressPath, { offset: 0, count: 64 * 1024 });
    if (bytes === undefined || bytes.length === 0) return undefined;
    return parseContractText(taskProgressSchema, Buffer.from(bytes).toString('utf8'), progressPath);
  } catch {
    // A node that just went away, or a file that is not there yet: the task's state is told without a percentage.
    return undefined;
  }
}

type TaskView = RunProgress['tasks'][number];

function taskView(
  taskId: string,
  record: RunRecord,
  task: TaskFacts | undefined,
  progress: TaskProgress | undefined,
): TaskView {
  const accepted = taskId === 'merge' ? record.merged : record.accepted.find((bundle) => bundle.taskId === taskId);
  const done = accepted !== undefined && accepted !== null;
  const state: TaskView['state'] = done
    ? 'accepted'
    : task === undefined
      ? 'waiting'
      : task.state !== 'completed'
        ? task.state
        : isFailure(task)
          ? 'failed'
          : 'succeeded';
  const percent = done || state === 'succeeded' ? 100 : progress === undefined ? 0 : taskPercent(progress);
  return {
    taskId,
    attempt: done ? accepted.attempt : (attemptOfTask(record, taskId)?.attempt ?? record.attempt),
    state,
    nettingSets: record.plan.shards.find((shard) => shard.taskId === taskId)?.nettingSets ?? [],
    phase: progress?.phase ?? null,
    percent,
    exitCode: task?.exitCode ?? null,
    startTime: task?.startTime?.toISOString() ?? null,
    endTime: task?.endTime?.toISOString() ?? null,
    nodeId: task?.nodeId ?? null,
  };
}

/** The merge's share of a run, in percent; the shards share the rest by their planned cost. */
const mergePercent = 5;

/** Each task as Batch shows it in the attempt that it belongs to, with that attempt's job. */
async function tasksOf(
  record: RunRecord,
  batch: BatchPort,
): Promise<ReadonlyMap<string, { readonly jobId: string; readonly task: TaskFacts }>> {
  const found = new Map<string, { jobId: string; task: TaskFacts }>();
  if (record.state === 'queued') return found;
  await Promise.all(
    record.attempts.map(async ({ attempt, jobId }) => {
      for (const task of (await batch.listTasks(jobId)) ?? []) {
        const id = task.id.toLowerCase();
        if (attemptOfTask(record, id)?.attempt === attempt) found.set(id, { jobId, task });
      }
    }),
  );
  return found;
}

/** From the share that is done of it, and the time that took; null while little is done, or when it is over. */
function etaOf(record: RunRecord, percent: number, now: Date): string | null {
  if (record.state !== 'running' || record.startedAt === null || percent < 1) return null;
  const elapsed = now.getTime() - Date.parse(record.startedAt);
  return new Date(now.getTime() + (elapsed * (100 - percent)) / percent).toISOString();
}

/**
 * Progress of a run: states from the record and Batch, percentages from the engine's own file on the node.
 *
 * @param now from which the time is reckoned at which it is likely to end
 */
export async function progressOf(record: RunRecord, batch: BatchPort, now: Date): Promise<RunProgress> {
  const found = await tasksOf(record, batch);
  const ids = [...record.plan.shards.map((shard) => shard.taskId), 'merge'];
  const progress = new Map<string, TaskProgress>();
  const queue = isLive(record.state) ? ids.filter((id) => found.get(id)?.task.state === 'running') : [];
  const read = async (): Promise<void> => {
    for (let id = queue.shift(); id !== undefined; id = queue.shift()) {
      const known = await readProgress(batch, found.get(id)?.jobId ?? '', id);
      if (known !== undefined) progress.set(id, known);
    }
  };
  await Promise.all(Array.from({ length: Math.min(readersAtOnce, queue.length) }, read));
  const tasks = ids.map((id) => taskView(id, record, found.get(id)?.task, progress.get(id)));
  const costs = new Map(record.plan.shards.map((shard) => [shard.taskId, shard.costSeconds]));
  const total = [...costs.values()].reduce((sum, cost) => sum + cost, 0);
  const weighted = tasks.reduce((sum, task) => {
    const share =
      task.taskId === 'merge' ? mergePercent : ((100 - mergePercent) * (costs.get(task.taskId) ?? 0)) / total;
    return sum + (share * task.percent) / 100;
  }, 0);
  const percent = record.state === 'done' ? 100 : Math.min(99.9, Math.round(weighted * 10) / 10);
  const eta = etaOf(record, percent, now);
  return { schemaVersion: '1.0', runId: record.runId, state: record.state, percent, tasks, eta };
}
