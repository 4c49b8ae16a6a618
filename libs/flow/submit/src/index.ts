export { acceptRun, type AcceptDeps, type AcceptOutcome, type Submission } from './accept.ts';
export { admitRuns, outstandingTasks } from './admission.ts';
export { cancelRun, retryRun, type CommandOutcome } from './commands.ts';
export { withCrashPoints, type CrashPoint } from './crash-points.ts';
export type { SubmitDeps } from './deps.ts';
export { BundleError, ContentConflictError, RequestRefusedError, ResultRefusedError } from './errors.ts';
export { RunLoop, pollDelayMs, type LoopHooks, type LoopOptions } from './loop.ts';
export { ManifestCache, type ManifestSource } from './manifests.ts';
export { planShards, shardSeconds, type PlanLimits } from './plan.ts';
export type { SubmitPolicy } from './policy.ts';
export type {
  BatchPort,
  Blobs,
  JobFacts,
  JobSpec,
  Ledger,
  PoolFacts,
  RunStore,
  StoredRun,
  TaskFacts,
  TaskSpec,
  WorkStorage,
} from './ports.ts';
export { progressOf } from './progress.ts';
export { reconcileRun, type ReconcileOptions, type ReconcileResult } from './reconcile.ts';
export { isOpen } from './record.ts';
export { varyingNames } from './task-specs.ts';
export { viewOf } from './view.ts';
