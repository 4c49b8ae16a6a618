import type { BatchAdapter } from '@xva/azure-batch';
import { parseContractText, taskProgressSchema } from '@xva/contracts';
import type { SweepBatch } from '@xva/flow-sweep';

/** The runner replaces this file while it works; it is small. */
const progressFile = { path: 'wd/out/progress.json', count: 4_096 } as const;

/** Batch as the sweep flow needs it, by the adapter that the controller uses too. */
export function createSweepBatch(batch: BatchAdapter): SweepBatch {
  const collector = batch.collector();
  return {
    listJobs: () => batch.listJobs(),
    getJob: (jobId) => batch.getJob(jobId),
    taskCounts: (jobId) => batch.taskCounts(jobId),
    listTasks: (jobId, states) => collector.tasks(jobId, states),
    getTask: (jobId, taskId) => collector.task(jobId, taskId),
    lastProgress: async (jobId, taskId) => {
      const { path, count } = progressFile;
      const bytes = await batch.readTaskFile(jobId, taskId, path, { offset: 0, count });
      if (bytes === undefined || bytes.length === 0) return undefined;
      try {
        return new Date(parseContractText(taskProgressSchema, bytes.toString('utf8'), 'progress').updatedAt);
      } catch {
        // Half a file, or another program's: no word from our runner.
        return undefined;
      }
    },
    listNodes: (poolId) => collector.nodes(poolId),
    listPools: async function* () {
      for await (const { id, state, allocationState, dedicatedNodes, spotNodes } of batch.listPools())
        yield { id, state, allocationState, nodes: dedicatedNodes.current + spotNodes.current };
    },
    listSchedules: () => collector.schedules(),
    preparationLeftovers: (jobId) => collector.preparationLeftovers(jobId),
    deleteJob: (jobId) => batch.deleteJob(jobId),
    terminateJob: (jobId, reason) => batch.terminateJob(jobId, reason),
    terminateTask: (jobId, taskId) => batch.terminateTask(jobId, taskId),
    reactivateTask: (jobId, taskId) => batch.reactivateTask(jobId, taskId),
    deleteTask: (jobId, taskId) => collector.deleteTask(jobId, taskId),
    deleteSchedule: (id) => collector.deleteSchedule(id),
    terminateSchedule: (id) => collector.terminateSchedule(id),
    emptyPool: async (poolId) => {
      const { outcome } = await batch.resizePool(poolId, { dedicatedNodes: 0, spotNodes: 0 });
      return outcome === 'asked' || outcome === 'absent' ? outcome : 'changed';
    },
  };
}
