import type { Attempt, RunCost, RunRecord } from '@xva/contracts';
import type { TaskFacts } from './ports.ts';

const nothing: RunCost = { slotSeconds: 0, nodeHours: 0, amount: 0, currency: null, executions: 0 };

/** Seconds that an execution held its slot; one that did not end yet counts until `now`. 0 when nothing ran. */
export function heldSeconds(task: Pick<TaskFacts, 'startTime' | 'endTime'>, now: Date): number {
  if (task.startTime === undefined) return 0;
  return Math.max(0, ((task.endTime ?? now).getTime() - task.startTime.getTime()) / 1000);
}

/**
 * What a run used with some more executions of one attempt's tasks: slot time by the slots of a node is node time, times
 * the price that the pool had when the attempt was opened. Time that was lost with a preempted node is not in it, for
 * Batch tells the last execution only.
 */
export function withExecutions(
  cost: RunCost | null,
  attempt: Pick<Attempt, 'slotsPerNode' | 'pricePerNodeHour'>,
  tasks: readonly Pick<TaskFacts, 'startTime' | 'endTime'>[],
  now: Date,
  currency: string | undefined,
): RunCost | null {
  const ran = tasks.filter((task) => task.startTime !== undefined);
  if (ran.length === 0) return cost;
  const before = cost ?? nothing;
  const seconds = ran.reduce((sum, task) => sum + heldSeconds(task, now), 0);
  const nodeHours = seconds / attempt.slotsPerNode / 3600;
  const amount =
    before.amount === null || attempt.pricePerNodeHour === null
      ? null
      : before.amount + nodeHours * attempt.pricePerNodeHour;
  return {
    slotSeconds: rounded(before.slotSeconds + seconds, 3),
    nodeHours: rounded(before.nodeHours + nodeHours, 9),
    amount: amount === null ? null : rounded(amount, 9),
    currency: amount === null ? null : (currency ?? null),
    executions: before.executions + ran.length,
  };
}

function rounded(value: number, digits: number): number {
  return Math.round(value * 10 ** digits) / 10 ** digits;
}

/** Whether the record has this execution's time already: it was accepted, or its failure was counted. */
export function isAccounted(record: RunRecord, task: TaskFacts): boolean {
  if (record.merged?.taskId === task.id || record.accepted.some((bundle) => bundle.taskId === task.id)) return true;
  return task.endTime !== undefined && record.lastFailures[task.id] === task.endTime.toISOString();
}

/** The earliest start that Batch told of any task. */
export function firstStart(record: RunRecord, tasks: readonly TaskFacts[]): string | null {
  if (record.firstTaskAt !== null) return record.firstTaskAt;
  const starts = tasks.flatMap((task) => (task.startTime === undefined ? [] : [task.startTime.getTime()]));
  return starts.length === 0 ? null : new Date(Math.min(...starts)).toISOString();
}
