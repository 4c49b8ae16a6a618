export { BatchAdapter, type AddJobOutcome, type AddTasksOutcome, type BatchAdapterOptions } from './batch-adapter.ts';
export { defaultRetryPolicy, type BatchClientOptions } from './client.ts';
export { batchScope } from './credentials.ts';
export { BatchError } from './errors.ts';
export type { EvaluateOutcome, ResizeOutcome } from './pools.ts';
export type { JobFacts, JobSpec, PoolFacts, TaskChanges, TaskCounts, TaskFacts, TaskSpec } from './shapes.ts';
export type { BatchCollector, CollectedTask } from './collect.ts';
