export { acceptRun, deskOf, type AcceptDeps, type AcceptOutcome, type Submission } from './accept.ts';
export { allot, demandsOf, type Demand } from './admission.ts';
export { cancelRun, pauseRun, resumeRun, retryRun, setRunPriority, type CommandOutcome } from './commands.ts';
export { withCrashPoints, type CrashPoint } from './crash-points.ts';
export { unlimited, type Alert, type Capacity, type SubmitDeps } from './deps.ts';
export { BundleError, ContentConflictError, RequestRefusedError, ResultRefusedError } from './errors.ts';
export { RunFeed, type FeedOptions } from './feed.ts';
export { learnFrom } from './learn.ts';
export { RunLoop, pollDelayMs, type LoopHooks, type LoopOptions } from './loop.ts';
export { ManifestCache, type ManifestSource } from './manifests.ts';
export { builtInCostModel, makespanSeconds, planShards, shardSeconds, type PlanLimits } from './plan.ts';
export { planRequest, type PlanDeps } from './plan-request.ts';
export type { PriceTable, SubmitPolicy } from './policy.ts';
export { notSeparable, type NotSeparable } from './separable.ts';
export { slotsOf, type Slots } from './slots.ts';
export type {
  BatchPort,
  Blobs,
  CostModelStore,
  JobFacts,
  JobSpec,
  Ledger,
  PoolDetails,
  PoolFacts,
  PoolPort,
  RunStore,
  StoredRun,
  TaskFacts,
  TaskSpec,
  UsageEntry,
  UsageStore,
  WorkStorage,
} from './ports.ts';
export { progressOf } from './progress.ts';
export { reconcileRun, type ReconcileOptions, type ReconcileResult } from './reconcile.ts';
export { isOpen } from './record.ts';
export { TaskWatch, type TaskWatchOptions } from './task-watch.ts';
export { varyingNames } from './task-specs.ts';
export { deskUsage, usageHorizon } from './usage.ts';
export { viewOf } from './view.ts';
