import type { RunRecord } from '@xva/contracts';
import type { Clock, Logger } from '@xva/runtime';
import type { ManifestSource } from './manifests.ts';
import type { SubmitPolicy } from './policy.ts';
import type { TaskWatch } from './task-watch.ts';
import type {
  BatchPort,
  CostModelStore,
  Ledger,
  PoolFacts,
  RunStore,
  StoredRun,
  UsageStore,
  WorkStorage,
} from './ports.ts';

export interface SubmitDeps {
  readonly runs: RunStore;
  readonly batch: BatchPort;
  readonly work: WorkStorage;
  readonly ledger: Ledger;
  readonly manifests: ManifestSource;
  readonly clock: Clock;
  readonly policy: SubmitPolicy;
  readonly logger: Logger;
  /** Absent = fair share knows the open runs only. */
  readonly usage?: UsageStore | undefined;
  /** Absent = plans use the built-in figures. */
  readonly costModel?: CostModelStore | undefined;
  /** Told of what a person should know at once, such as a deadline that was missed. Called once per record version. */
  readonly alert?: ((alert: Alert) => void) | undefined;
}

export interface Alert {
  readonly runId: string;
  readonly desk: string;
  /** `deadline-missed` or `run-failed`. */
  readonly code: string;
  readonly message: string;
}

/** What of the pools a run may use now. */
export interface Capacity {
  /** Tasks that the run may add to the pool now, more than it has there. 0 = it waits. */
  room(run: StoredRun, poolId: string): Promise<number>;
  /** Why there is none, in code and words. */
  shortage(poolId: string): { readonly code: string; readonly message: string };
  facts(poolId: string): Promise<PoolFacts | undefined>;
  /** Told after each look, and each addition: tasks of a job that wait or run. */
  outstanding(runId: string, jobId: string, poolId: string, tasks: number): void;
}

/** No limit: for one run alone. */
export function unlimited(batch: Pick<BatchPort, 'poolFacts'>): Capacity {
  return {
    room: () => Promise.resolve(Number.MAX_SAFE_INTEGER),
    shortage: () => ({ code: 'waiting-for-slots', message: 'there are no slots' }),
    facts: (poolId) => batch.poolFacts(poolId),
    outstanding: () => undefined,
  };
}

export interface StepOptions {
  /** Also look at the jobs themselves, not at their tasks only. */
  readonly deep: boolean;
  readonly capacity: Capacity;
  readonly watch: TaskWatch;
}

/** What one act on a run came to. */
export type StepResult =
  /** The record was written: the next act may follow at once. */
  | { readonly kind: 'moved'; readonly run: StoredRun }
  /** Somebody else wrote the record: read it again. */
  | { readonly kind: 'stale' }
  /** Nothing to do before something happens elsewhere, or before `notBefore`. */
  | {
      readonly kind: 'waiting';
      readonly run: StoredRun;
      readonly on: 'admission' | 'quota' | 'tasks' | 'retry' | 'pause';
      readonly notBefore?: Date | undefined;
    }
  /** Nothing of the run is open any more. */
  | { readonly kind: 'over'; readonly run: StoredRun };

/** Writes the next version over the one that was read. */
export async function swap(deps: SubmitDeps, run: StoredRun, record: RunRecord): Promise<StepResult> {
  const etag = await deps.runs.swap(record, run.etag);
  return etag === undefined ? { kind: 'stale' } : { kind: 'moved', run: { record, etag } };
}
